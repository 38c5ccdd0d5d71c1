"""Profile files of the gallery, ``<plate>.csv.gz``: bytes in, checked profiles out.

Belongs here: the format, and one clear error for each way in which a file can be bad. Does not belong here: annotation,
normalization, whether a feature is of use (``science``).

A file is 384 rows of a few texts and 5,792 numbers. A columnar reader pays for each column of each block, so the rows
are cut behind their texts here, and pyarrow gets all 2.2 million numbers as one column, which it parses with all cores.
On one core: 27 ms to unpack (zlib takes 47) and 68 ms for the rest; polars reads the columns in 120 ms, pyarrow in 144,
both without making a matrix of them.

That says that a number is bad but not where: only after it has failed, a slow pass over the text finds the place.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from cpjump_assets.gallery.sniff import GZIP_MAGIC, impostor, unpack_gzip
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.features import METADATA_PREFIX, Profiles, is_feature, listed
from cpjump_assets.science.plate_values import SomeWells
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.science.positions import POSITIONS

_REQUIRED = ("Metadata_Plate", "Metadata_Well")
_MISSING = ("", "NaN", "nan", "NA")
_COMMA = np.uint8(ord(","))
_COMMA_TO_NEWLINE = np.uint8(ord(",") ^ ord("\n"))


class _Row(NamedTuple):
    """One well: its metadata, and its features as text, one a line."""

    texts: list[str]
    numbers: bytes | memoryview


def read_profile_csv(path: Path, plate: PlateKey) -> Profiles:
    """Read the aggregated profiles of a plate.

    Features become float32: the files carry five significant digits (``%.5g``), float32 keeps seven, so that different
    texts stay different and equal ones equal, at half the memory. Metadata columns stay text, a blank is a missing
    one. NaN features are let through; whoever normalizes counts them.

    Parameters
    ----------
    path
        A gzipped CSV with a header, ``Metadata_`` columns and features; 384 rows and 5,792 features in real ones.
    plate
        The acquisition that the file must be of.

    Returns
    -------
    Profiles
        The wells in order; columns in the order of the file, the matrix float32 and feature-major.

    Raises
    ------
    BadTableError
        If the file is empty, corrupt, truncated or no CSV; lacks a column, or has one twice; is of another plate; names
        a well twice, or one that is not A01 to P24; or has a feature value that is no number, or not finite. The
        message names the file and the plate, and the well and the feature where there is one.
    """
    source = f"{path.name} of plate {plate}"
    profiles = _read(path, source)
    _require_wells(profiles.metadata, plate, source)
    _require_finite(profiles, source)
    return profiles


def read_published_csv(path: Path, plate: PlateKey) -> Profiles:
    """Read the published profiles of a plate at any level, to compare ours with.

    As ``read_profile_csv``, but nothing is asked of the values: normalized to reference wells without spread they are
    infinite or NaN. And wells of other plates are left out: the sphered files hold those of a whole condition.

    Raises
    ------
    BadTableError
        As ``read_profile_csv``, infinite values apart; also if the file holds no well of the plate.
    """
    source = f"{path.name} of plate {plate}"
    everything = _read(path, source)
    of_plate = (everything.metadata["Metadata_Plate"] == plate.barcode).to_numpy(dtype=bool)
    if not of_plate.any():
        raise BadTableError(f"{source}: expected rows with Metadata_Plate {plate.barcode}, found none")
    wells = SomeWells(everything, of_plate)
    _require_wells(wells.metadata, plate, source)
    return Profiles(wells.metadata, wells.values(), wells.features)


def _read(path: Path, source: str) -> Profiles:
    """Read the rows of a profile file, sorted by well, whatever they say."""
    text = _unpacked(path.read_bytes(), source)
    header = _header(text, source)
    _require_columns(header, source)
    return _parsed(text, header, source)


def _unpacked(content: bytes, source: str) -> bytes:
    if not content.startswith(GZIP_MAGIC):
        found = impostor(content)
        raise BadTableError(
            f"{source}: expected a gzipped CSV, found {found or f'a file that begins with {content[:12]!r}'}"
        )
    text = unpack_gzip(content, source)
    found = impostor(text)
    if found is not None:
        raise BadTableError(f"{source}: expected a CSV inside of the gzip file, found {found}")
    return text


def _header(text: bytes, source: str) -> list[str]:
    try:
        first_line = io.BytesIO(text).readline().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadTableError(f"{source}: expected a header in UTF-8: {error.reason} at byte {error.start}") from error
    try:
        return next(csv.reader([first_line]))
    except csv.Error as error:
        raise BadTableError(f"{source}: expected a header of column names: {error}") from error


def _require_columns(header: list[str], source: str) -> None:
    missing = [column for column in _REQUIRED if column not in header]
    if missing:
        raise BadTableError(f"{source}: columns {', '.join(missing)} are missing; found: {listed(header)[:200]}")
    repeated = [column for column, count in Counter(header).items() if count > 1]
    if repeated:
        raise BadTableError(f"{source}: columns come more than once: {listed(repeated)}")
    if not any(map(is_feature, header)):
        raise BadTableError(f"{source}: expected features beside the {METADATA_PREFIX} columns, found none")


def _parsed(text: bytes, header: list[str], source: str) -> Profiles:
    metadata = [column for column in header if not is_feature(column)]
    features = tuple(filter(is_feature, header))
    # Where there are quotes, a text may hold commas; where there are none, a row can be cut behind its texts.
    plain = b'"' not in text and header[: len(metadata)] == metadata
    texts, column = [], bytearray()
    try:
        for row in (_plain_rows if plain else _quoted_rows)(text, header):
            texts.append(row.texts)
            column += row.numbers
            column += b"\n"
        if not texts:
            raise BadTableError(f"{source}: expected a row for each well, found only a header")
        values = _numbers(column)
        if values.size != len(texts) * len(features):
            raise ValueError("a feature value holds the end of a line")
    except (ValueError, csv.Error) as error:  # what is wrong with UTF-8, and what pyarrow says, are ValueErrors
        raise BadTableError(f"{source}: {_first_problem(text, header) or error}") from error
    wells = pd.DataFrame(texts, columns=metadata, dtype="str")
    others = wells.columns.drop(list(_REQUIRED))
    wells[others] = wells[others].replace("", np.nan)
    order = np.argsort(wells["Metadata_Well"].to_numpy(), kind="stable")
    matrix = np.asfortranarray(values.reshape(len(wells), len(features))[order])
    return Profiles(wells.take(order).reset_index(drop=True), matrix, features)


def _plain_rows(text: bytes, header: list[str]) -> Iterator[_Row]:
    n_texts = sum(not is_feature(column) for column in header)
    lines = io.BytesIO(text)
    lines.readline()
    for line in lines:
        *texts, numbers = line.rstrip(b"\r\n").split(b",", n_texts)
        if not (texts or numbers):
            continue
        characters = np.frombuffer(numbers, np.uint8)
        is_comma = characters == _COMMA
        if len(texts) < n_texts or np.count_nonzero(is_comma) != len(header) - n_texts - 1:
            raise ValueError("a row has another number of fields than the header")
        one_a_line = characters ^ is_comma.view(np.uint8) * _COMMA_TO_NEWLINE  # bytes.replace: 8 ms more a plate
        yield _Row([value.decode() for value in texts], one_a_line.data)


def _quoted_rows(text: bytes, header: list[str]) -> Iterator[_Row]:
    lines = csv.reader(io.StringIO(text.decode("utf-8-sig"), newline=""))
    next(lines)
    is_value = [is_feature(column) for column in header]
    is_text = [not value for value in is_value]
    for fields in filter(None, lines):
        if len(fields) != len(header):
            raise ValueError("a row has another number of fields than the header")
        yield _Row(list(compress(fields, is_text)), "\n".join(compress(fields, is_value)).encode())


def _numbers(column: bytearray) -> NDArray[np.float32]:
    """Parse one number a line."""
    table = pa_csv.read_csv(
        pa.BufferReader(column),
        read_options=pa_csv.ReadOptions(column_names=["value"]),
        parse_options=pa_csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
        convert_options=pa_csv.ConvertOptions(column_types={"value": pa.float32()}, null_values=_MISSING),
    )
    return table["value"].to_numpy()


def _first_problem(text: bytes, header: list[str]) -> str | None:
    try:
        return next(_problems(text, header), None)
    except UnicodeDecodeError as error:
        return f"expected text in UTF-8: {error.reason} at byte {error.start:,}"
    except csv.Error as error:
        return f"expected a CSV: {error}"


def _problems(text: bytes, header: list[str]) -> Iterator[str]:
    lines = csv.reader(io.StringIO(text.decode("utf-8-sig"), newline=""))
    next(lines)
    for fields in filter(None, lines):
        if len(fields) != len(header):
            yield f"line {lines.line_num} has {len(fields):,} fields, the header has {len(header):,}"
        row = dict(zip(header, fields, strict=False))
        for feature in filter(is_feature, row):
            if not _is_number(row[feature]):
                yield f"feature {feature} of well {row['Metadata_Well']} must be a number, found {row[feature]!r}"


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return value in _MISSING
    return True


def _require_wells(metadata: pd.DataFrame, plate: PlateKey, source: str) -> None:
    wells, barcodes = metadata["Metadata_Well"], metadata["Metadata_Plate"]
    others = barcodes[barcodes != plate.barcode].unique()
    if len(others):
        found = listed([repr(barcode) for barcode in others])
        raise BadTableError(f"{source}: expected Metadata_Plate {plate.barcode} in every row, found {found}")
    unknown = wells[~wells.isin(POSITIONS.index)].unique()
    if len(unknown):
        raise BadTableError(f"{source}: expected wells A01 to P24, found {listed([repr(well) for well in unknown])}")
    repeated = wells[wells.duplicated()].unique()
    if len(repeated):
        raise BadTableError(f"{source}: wells come more than once: {listed(list(repeated))}")


def _require_finite(profiles: Profiles, source: str) -> None:
    infinite = np.isinf(profiles.matrix)
    if not infinite.any():
        return
    wells = profiles.metadata["Metadata_Well"]
    places = [f"{profiles.features[column]} of well {wells[row]}" for row, column in np.argwhere(infinite)]
    raise BadTableError(
        f"{source}: {len(places):,} feature values are infinite or too large for float32: {listed(places)}"
    )

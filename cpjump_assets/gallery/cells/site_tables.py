"""Single cells of a plate from CellProfiler's CSV files, a folder for each site: files in, cells in memory out.

Belongs here: the folders, the format, and one clear error for each way in which a file can be bad. Does not belong
here: the same cells in one SQLite file (``backend_file``), what is computed of them (``science.aggregate``).

Folders are named ``<plate>-<well>-<site>`` and hold Image.csv, Cells.csv, Cytoplasm.csv and Nuclei.csv. Names of
columns lack the compartment, which a profile has in front: ``AreaShape_Area`` of Cells.csv is ``Cells_AreaShape_Area``.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from cpjump_assets.gallery.cells.backend_index import IMAGES, LINKS
from cpjump_assets.gallery.cells.cell_values import MISSING, feature_matrix, first_bad
from cpjump_assets.gallery.sniff import impostor
from cpjump_assets.science.aggregate import COMPARTMENTS, CellBlock
from cpjump_assets.science.errors import BadTableError, GalleryError
from cpjump_assets.science.features import is_feature, listed
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.science.positions import POSITIONS

_IMAGE_NUMBER = "ImageNumber"
_KEYS = (_IMAGE_NUMBER, "ObjectNumber")


@dataclass(frozen=True)
class _Site:
    folder: Path
    well: str
    images: frozenset[str]


class SiteTables:
    """The single cells of a plate, as ``science.aggregate.CellSource`` asks for them.

    Parameters
    ----------
    folder
        Holds the folders of the sites; other entries are left alone.
    plate
        The acquisition that they must be of.

    Raises
    ------
    GalleryError
        If the folder cannot be read, or a site lacks a file.
    BadTableError
        If the folder holds no site of the plate, a site comes twice or is of no well A01 to P24, Image.csv says
        another plate or well than the folder, or a file is no CSV with the columns that it must have.
    """

    def __init__(self, folder: Path, plate: PlateKey) -> None:
        self.plate = plate.barcode
        self._label = f"of plate {plate}"
        self._sites = _sites(folder, plate, self._label)
        self.wells = tuple(sorted({site.well for site in self._sites}))
        self._columns = {compartment: self._feature_columns(compartment) for compartment in COMPARTMENTS}

    def features(self, compartment: str) -> tuple[str, ...]:
        """Give the features of a compartment, in the order of its first file that has cells."""
        return tuple(f"{compartment}_{column}" for column in self._columns[compartment])

    def blocks(self, compartment: str) -> Iterator[tuple[str, ...]]:
        """Give each well by itself."""
        return ((well,) for well in self.wells)

    def read(self, compartment: str, wells: tuple[str, ...]) -> CellBlock:
        """Read the cells of all sites of some wells.

        Raises
        ------
        GalleryError, BadTableError
            If a file is not there, is no CSV, lacks a feature, has one that is no number, or names an image that
            Image.csv of the site lacks; the message names the file.
        """
        parts, counts = [], []
        for well in wells:
            of_well = [self._values(site, compartment) for site in self._sites if site.well == well]
            counts.append(sum(part.shape[1] for part in of_well))
            parts += of_well
        return CellBlock(np.concatenate(parts, axis=1, dtype=np.float64), counts)

    def _values(self, site: _Site, compartment: str) -> np.ndarray:
        columns = self._columns[compartment]
        text, source = _content(site.folder, compartment, self._label)
        if _has_no_rows(text):
            return np.empty((len(columns), 0))
        table = _parsed(text, [_IMAGE_NUMBER, *columns], source)
        unknown = sorted(set(table[_IMAGE_NUMBER].to_pylist()) - site.images)
        if unknown:
            raise BadTableError(f"{source}: {_IMAGE_NUMBER} {unknown[0]} is not in {IMAGES}.csv of the site")
        return feature_matrix(table.drop_columns(_IMAGE_NUMBER).combine_chunks().to_batches()[0])

    def _feature_columns(self, compartment: str) -> tuple[str, ...]:
        """Find the columns in the first file that has cells: CellProfiler writes fewer where it found no object."""
        for site in self._sites:
            text, source = _content(site.folder, compartment, self._label)
            if not _has_no_rows(text):
                header = _header(text, source)
                columns = tuple(name for name in header if _holds_feature(compartment, name))
                if _IMAGE_NUMBER not in header or not columns:
                    raise BadTableError(
                        f"{source}: expected {_IMAGE_NUMBER} and features, found: {listed(header)[:200]}"
                    )
                return columns
        raise BadTableError(f"none of the {len(self._sites)} sites {self._label} has a row in {compartment}.csv")


def _sites(folder: Path, plate: PlateKey, label: str) -> tuple[_Site, ...]:
    """Find the sites of a plate, in the order of wells and sites."""
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    except OSError as error:
        raise GalleryError(f"{folder} cannot be read: {error.strerror or error}") from error
    places: dict[tuple[str, str], str] = {}
    for name in names:
        barcode, _, place = name.partition("-")
        well, _, site = place.partition("-")
        if barcode != plate.barcode or not site:
            continue
        if well not in POSITIONS.index:
            raise BadTableError(f"{name} {label}: expected wells A01 to P24, found {well!r}")
        key = (well, site.lstrip("0").rjust(8, "0"))
        if key in places:
            raise BadTableError(f"{folder.name} {label}: folders {places[key]} and {name} are of the same site")
        places[key] = name
    if not places:
        raise BadTableError(
            f"{folder.name} {label}: expected folders {plate.barcode}-<well>-<site>, found {listed(names) or 'none'}"
        )
    return tuple(_site(folder / places[key], key[0], plate, label) for key in sorted(places))


def _site(folder: Path, well: str, plate: PlateKey, label: str) -> _Site:
    text, source = _content(folder, IMAGES, label)
    header, *rows = _lines(text, source)
    expected = {"Metadata_Plate": plate.barcode, "Metadata_Well": well}
    missing = [column for column in (_IMAGE_NUMBER, *expected) if column not in header]
    if missing:
        raise BadTableError(f"{source}: columns {', '.join(missing)} are missing; found: {listed(header)[:200]}")
    images = [dict(zip(header, row, strict=False)) for row in rows if row]
    for image in images:
        for column, value in expected.items():
            if image.get(column) != value:
                raise BadTableError(f"{source}: expected {column} {value}, found {image.get(column)!r}")
    return _Site(folder, well, frozenset(image[_IMAGE_NUMBER] for image in images))


def _holds_feature(compartment: str, column: str) -> bool:
    return is_feature(column) and column not in _KEYS and f"{compartment}_{column}" not in LINKS


def _content(folder: Path, table: str, label: str) -> tuple[bytes, str]:
    """Read a file of a site; give also how an error names it."""
    path = folder / f"{table}.csv"
    source = f"{folder.name}/{path.name} {label}"
    try:
        text = path.read_bytes()
    except OSError as error:
        raise GalleryError(f"{source} cannot be read: {error.strerror or error}") from error
    found = impostor(text)
    if found is not None:
        raise BadTableError(f"{source}: expected a CSV, found {found}")
    return text, source


def _has_no_rows(text: bytes) -> bool:
    return not text.partition(b"\n")[2].strip()


def _lines(text: bytes, source: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text.decode("utf-8-sig"), newline=""))) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadTableError(f"{source}: expected a CSV in UTF-8: {error}") from error


def _header(text: bytes, source: str) -> list[str]:
    return _lines(text.partition(b"\n")[0], source)[0]


def _parsed(text: bytes, columns: list[str], source: str) -> pa.Table:
    """Read some columns; features become float64."""
    kinds = {column: pa.string() if column == _IMAGE_NUMBER else pa.float64() for column in columns}
    options = pa_csv.ConvertOptions(column_types=kinds, include_columns=columns, null_values=MISSING)
    try:
        return pa_csv.read_csv(
            pa.BufferReader(text),
            read_options=pa_csv.ReadOptions(block_size=len(text), use_threads=False),
            convert_options=options,
        )
    except pa.ArrowKeyError as error:
        missing = sorted(set(columns) - set(_header(text, source)))
        raise BadTableError(f"{source}: columns that other sites have are missing: {listed(missing)}") from error
    except pa.ArrowInvalid as error:
        raise BadTableError(f"{source}: {_first_problem(text, columns) or error}") from error


def _first_problem(text: bytes, columns: list[str]) -> str | None:
    """Find the first value that is no number, in a slow pass over the text."""
    texts = pd.read_csv(pa.BufferReader(text), dtype="str", usecols=columns, on_bad_lines="skip")
    for column in columns[1:]:
        bad = first_bad(pa.array(texts[column], type=pa.string()))
        if bad is not None:
            return f"{column} must be a number, found {texts[column][bad]!r} in row {bad + 1}"
    return None

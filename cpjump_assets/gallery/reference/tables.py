"""Reference files, and reading them into raw tables.

Belongs here: the kinds of files, their dialects, and tables that keep the files' own column names and texts. Does not
belong here: where a file is found (``reference``), which columns and values a table must have (``science``, which
checks them when it builds the metadata).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from cpjump_assets.science.errors import BadTableError


class ReferenceKind(StrEnum):
    """What a reference file is."""

    OFFICIAL = "official split table"
    EXPERIMENT = "experiment metadata"
    BARCODES = "barcode plate map"
    PLATE_MAP = "plate map"
    COMPOUNDS = "compound annotations"
    TARGET_LISTS = "compound target lists"
    CRISPR = "CRISPR annotations"
    ORF = "ORF annotations"


@dataclass(frozen=True)
class ReferenceFile:
    """A file of the reference root.

    Attributes
    ----------
    kind
        What the file is.
    path
        Below the root, with slashes.
    sha256
        Of the content, as 64 hexadecimal digits.
    content
        The bytes.
    """

    kind: ReferenceKind
    path: str
    sha256: str
    content: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class _Dialect:
    separator: str
    missing: tuple[str, ...]


_TABS = _Dialect("\t", missing=("",))
_COMMAS = _Dialect(",", missing=("",))
_DIALECTS = {
    # Written by R: NA is missing, and only here; in the other files it would be a text like any other.
    ReferenceKind.OFFICIAL: _Dialect(",", missing=("", "NA")),
    ReferenceKind.EXPERIMENT: _TABS,
    ReferenceKind.BARCODES: _COMMAS,
    ReferenceKind.PLATE_MAP: _TABS,
    ReferenceKind.COMPOUNDS: _TABS,
    ReferenceKind.TARGET_LISTS: _TABS,
    ReferenceKind.CRISPR: _TABS,
    ReferenceKind.ORF: _TABS,
}


def read_table(file: ReferenceFile) -> pd.DataFrame:
    """Read a reference file as it is: its own column names, every value a text, rows in order.

    Blank fields are missing; in the official split table ``NA`` is too. Rows of blanks stay.

    Returns
    -------
    pandas.DataFrame
        All columns of dtype ``str``.

    Raises
    ------
    BadTableError
        If a row has more or fewer fields than the header, a column comes twice, the text is not UTF-8, or there are no
        rows; with the path, and the line where there is one.
    """
    dialect = _DIALECTS[file.kind]
    header = file.content.partition(b"\n")[0].decode("utf-8-sig", errors="replace").rstrip("\r")
    names = [name.strip('"') for name in header.split(dialect.separator)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise BadTableError(f"{file.path}: columns come more than once: {', '.join(repeated)}")
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(file.content),
            read_options=pa_csv.ReadOptions(use_threads=False),
            parse_options=pa_csv.ParseOptions(delimiter=dialect.separator),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=dialect.missing,
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        raise BadTableError(f"{file.path}: expected a table of {len(names)} columns: {error}") from error
    if table.num_rows == 0:
        raise BadTableError(f"{file.path}: expected rows below the header, found none")
    return table.to_pandas()


def the_table(files: Iterable[ReferenceFile], kind: ReferenceKind) -> pd.DataFrame:
    """Read the one file of a kind.

    Raises
    ------
    BadTableError
        As ``read_table``.
    """
    (file,) = (file for file in files if file.kind == kind)
    return read_table(file)


def target_lists(files: Iterable[ReferenceFile]) -> dict[str, pd.DataFrame]:
    """Read the target lists of the compounds, by file name: which file they came from goes into the metadata."""
    return {file.name: read_table(file) for file in files if file.kind == ReferenceKind.TARGET_LISTS}


def barcode_plate_maps(files: Iterable[ReferenceFile]) -> dict[str, pd.DataFrame]:
    """Read which plate got which plate map, by batch."""
    return {
        PurePosixPath(file.path).parent.name: read_table(file) for file in files if file.kind == ReferenceKind.BARCODES
    }


def plate_maps(files: Iterable[ReferenceFile]) -> dict[str, pd.DataFrame]:
    """Read the plate maps, by name; each batch has its own copy of the maps it uses.

    Raises
    ------
    BadTableError
        If the copies of two batches differ, or as ``read_table``.
    """
    first: dict[str, ReferenceFile] = {}
    for file in files:
        if file.kind != ReferenceKind.PLATE_MAP:
            continue
        copy = first.setdefault(file.name, file)
        if copy.sha256 != file.sha256:
            raise BadTableError(f"plate map {file.name} differs between {copy.path} and {file.path}")
    return {PurePosixPath(file.path).stem: read_table(file) for file in first.values()}

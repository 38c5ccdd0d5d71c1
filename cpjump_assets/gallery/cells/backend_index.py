"""Which rows of a single-cell backend belong to which well: a first pass over the keys of an SQLite file.

Belongs here: the tables and columns that a backend must have, and the row numbers of each well. Does not belong here:
feature values (``backend_file``).

SQLite keeps the first columns of a row on the first of the pages that the row takes, and real backends have an index of
them, so this pass reads a small part of the file: 0.05 of 8 s for 60,000 rows of 1,700 features, 0.3 s without index.
"""

import sqlite3
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cpjump_assets.gallery.sniff import impostor
from cpjump_assets.science.aggregate import COMPARTMENTS
from cpjump_assets.science.errors import BadTableError, GalleryError
from cpjump_assets.science.features import listed
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.science.positions import POSITIONS

IMAGES = "Image"
IMAGE_KEY = ("TableNumber", "ImageNumber")
LINKS = ("Cytoplasm_Parent_Cells", "Cytoplasm_Parent_Nuclei")
"""Object numbers that link the compartments, no features: pycytominer sets them aside as well. Everything else that
begins with the name of the compartment is a feature, also locations, parents and object numbers."""

_MAGIC = b"SQLite format 3\x00"
_ImageKey = tuple[object, object]


@dataclass(frozen=True, eq=False)
class RowRanges:
    """Runs of rows that follow each other in a table and belong to one well; m runs, sorted.

    Attributes
    ----------
    first, last
        (m,) row numbers, both of the run.
    well
        (m,) place of the well in ``BackendIndex.wells``.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    well: NDArray[np.int64]

    def of(self, wells: Sequence[int]) -> "RowRanges":
        """Give the runs of some wells."""
        taken = np.isin(self.well, wells)
        return RowRanges(self.first[taken], self.last[taken], self.well[taken])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Give the rows of each run."""
        return self.last - self.first + 1

    def well_of(self, row: int) -> int:
        """Give the well of a row of one of the runs."""
        return int(self.well[np.searchsorted(self.first, row, side="right") - 1])


@dataclass(frozen=True, eq=False)
class BackendIndex:
    """What a backend holds and where.

    Attributes
    ----------
    source
        File and plate, for error messages.
    wells
        Wells of the table Image, in plate order.
    features
        Feature columns, by compartment, in the order of the table.
    rows
        Where the cells of each well are, by compartment.
    """

    source: str
    wells: tuple[str, ...]
    features: Mapping[str, tuple[str, ...]]
    rows: Mapping[str, RowRanges]


def read_index(path: Path, plate: PlateKey) -> BackendIndex:
    """Look through the keys of a backend.

    Parameters
    ----------
    path
        An SQLite file with the tables Image, Cells, Cytoplasm and Nuclei, as cytominer-database writes it. Metadata of
        images may be named ``Metadata_Well`` or ``Image_Metadata_Well``; the cells of a well may lie anywhere.
    plate
        The acquisition that the file must be of.

    Raises
    ------
    GalleryError
        If there is no such file.
    BadTableError
        If it is no database or a broken one, lacks a table or column, is of another plate, has an image twice or of a
        place that is no well, or has a row whose image it lacks. The message names the file, the plate and the table.
    """
    source = f"{path.name} of plate {plate}"
    _require_database(path, source)
    with clear_sqlite_errors(source), closing(sqlite3.connect(read_only(path), uri=True)) as connection:
        _require_tables(connection, source)
        columns = {table: _columns(connection, table, source) for table in (IMAGES, *COMPARTMENTS)}
        well_names = _wells_of_images(connection, columns[IMAGES], plate, source)
        wells = tuple(sorted(set(well_names.values())))
        places = {image: wells.index(well) for image, well in well_names.items()}
        features = {table: _features(table, columns[table], source) for table in COMPARTMENTS}
        rows = {table: _row_ranges(connection, table, places, source) for table in COMPARTMENTS}
    return BackendIndex(source, wells, features, rows)


def read_only(path: Path) -> str:
    """Give the address by which SQLite opens a file without ever writing to it."""
    return f"{path.resolve().as_uri()}?mode=ro"


@contextmanager
def clear_sqlite_errors(source: str) -> Iterator[None]:
    """Say of which file it is that SQLite complains."""
    try:
        yield
    except sqlite3.Error as error:
        raise BadTableError(f"{source}: the database cannot be read: {error}") from error


def quoted(column: str) -> str:
    """Give a column's name as SQL takes it, whatever characters are in it."""
    return '"' + column.replace('"', '""') + '"'


def _require_database(path: Path, source: str) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError as error:
        raise GalleryError(f"{source} cannot be read: {error.strerror or error}") from error
    if not start.startswith(_MAGIC):
        found = impostor(start) or f"a file that begins with {start[:12]!r}"
        raise BadTableError(f"{source}: expected an SQLite database, found {found}")


def _require_tables(connection: sqlite3.Connection, source: str) -> None:
    found = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
    present = {name.lower() for name in found}  # SQLite does not tell names apart by case
    missing = [table for table in (IMAGES, *COMPARTMENTS) if table.lower() not in present]
    if missing:
        raise BadTableError(f"{source}: tables {', '.join(missing)} are missing; found: {listed(found) or 'none'}")


def _columns(connection: sqlite3.Connection, table: str, source: str) -> tuple[str, ...]:
    columns = tuple(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))
    missing = [column for column in IMAGE_KEY if column not in columns]
    if missing:
        raise BadTableError(f"{source}: table {table} lacks the columns {', '.join(missing)}; found: {listed(columns)}")
    return columns


def _features(table: str, columns: Sequence[str], source: str) -> tuple[str, ...]:
    features = tuple(column for column in columns if column.startswith(f"{table}_") and column not in LINKS)
    if not features:
        raise BadTableError(f"{source}: table {table} has no column that begins with {table}_: {listed(columns)}")
    return features


def _wells_of_images(
    connection: sqlite3.Connection, columns: Sequence[str], plate: PlateKey, source: str
) -> dict[_ImageKey, str]:
    """Give the well of each image."""
    plate_column, well_column = (_image_metadata(columns, name, source) for name in ("Plate", "Well"))
    names = ", ".join(map(quoted, (*IMAGE_KEY, plate_column, well_column)))
    wells: dict[_ImageKey, str] = {}
    for table_number, image_number, barcode, well in connection.execute(f"SELECT {names} FROM {IMAGES}"):
        key, image = (table_number, image_number), _image_label(table_number, image_number)
        if str(barcode) != plate.barcode:
            raise BadTableError(f"{source}: expected {plate_column} {plate.barcode} in every image, found {barcode!r}")
        if well not in POSITIONS.index:
            raise BadTableError(f"{source}: expected wells A01 to P24, found {well!r} at {image}")
        if key in wells:
            raise BadTableError(f"{source}: table {IMAGES} holds {image} of well {well} more than once")
        wells[key] = well
    if not wells:
        raise BadTableError(f"{source}: table {IMAGES} has no rows")
    return wells


def _image_metadata(columns: Sequence[str], name: str, source: str) -> str:
    candidates = (f"Metadata_{name}", f"Image_Metadata_{name}")
    for column in candidates:
        if column in columns:
            return column
    raise BadTableError(f"{source}: table {IMAGES} has neither {' nor '.join(candidates)}; found: {listed(columns)}")


def _image_label(table_number: object, image_number: object) -> str:
    return f"image TableNumber {table_number}, ImageNumber {image_number}"


def _row_ranges(connection: sqlite3.Connection, table: str, places: Mapping[_ImageKey, int], source: str) -> RowRanges:
    """Cut a table into runs of rows of one well."""
    runs = array("q")  # first, last, well of one run after the other: 24 bytes each, were every row a run of its own
    last, well = -1, -1
    for row, table_number, image_number in connection.execute(f"SELECT rowid, {', '.join(IMAGE_KEY)} FROM {table}"):
        place = places.get((table_number, image_number))
        if place is None:
            image = _image_label(table_number, image_number)
            raise BadTableError(f"{source}: row {row} of table {table} is of {image}, which table {IMAGES} lacks")
        if place == well and row == last + 1:
            runs[-2] = row
        else:
            runs.extend((row, row, place))
        last, well = row, place
    first, final, wells = np.array(runs, dtype=np.int64).reshape(-1, 3).T
    order = np.argsort(first)  # an index gives the rows in the order of the images
    return RowRanges(first[order], final[order], wells[order])

"""Single cells of a plate, in whichever form they are given.

Belongs here: telling the forms apart. Does not belong here: the forms (``backend_file``, ``site_tables``).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cpjump_assets.gallery.cells.backend_file import BackendFile
from cpjump_assets.gallery.cells.site_tables import SiteTables
from cpjump_assets.science.aggregate import CellSource
from cpjump_assets.science.plates import PlateKey


@contextmanager
def open_cells(path: Path, plate: PlateKey) -> Iterator[CellSource]:
    """Open the single cells of a plate: a folder of CSV files per site, or an SQLite backend.

    Raises
    ------
    GalleryError, BadTableError
        As ``SiteTables`` and ``BackendFile``.
    """
    if path.is_dir():
        yield SiteTables(path, plate)
        return
    with BackendFile(path, plate) as cells:
        yield cells

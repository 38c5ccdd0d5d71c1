"""The record of what is held: one row for each pulled object.

Belongs here: the SQLite file beside the pulled objects, its rows, reading and writing them. Does not belong here:
deciding what to pull (``pull``). It needs a local disk: SQLite's write-ahead log does not work on network file systems.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

from cpjump_assets.gallery.transfer.etag import Verification, object_version
from cpjump_assets.science.errors import StoreError

FILE_NAME = "inventory.sqlite"
_BUSY_SECONDS = 30.0
_SCHEMA_VERSION = 1
_CREATE = """
CREATE TABLE IF NOT EXISTS objects (
  key TEXT PRIMARY KEY, size INTEGER NOT NULL, etag TEXT NOT NULL, last_modified TEXT NOT NULL,
  sha256 TEXT NOT NULL, verification TEXT NOT NULL, pulled_at TEXT NOT NULL
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class InventoryRow:
    """A pulled object, written only once its file is in place.

    Attributes
    ----------
    key
        Gallery key, which is also the path below the gallery folder of the store.
    size
        Bytes.
    etag
        ETag of the version that was pulled, without quotes.
    last_modified
        When that version was written to the gallery, ISO 8601 in UTC.
    sha256
        Of the file, as 64 hexadecimal digits.
    verification
        How the bytes were proved.
    pulled_at
        When the file was put in place, ISO 8601 in UTC.
    """

    key: str
    size: int
    etag: str
    last_modified: str
    sha256: str
    verification: Verification
    pulled_at: str

    @property
    def version(self) -> str:
        """What changes when the content does, spelled as for a listed object."""
        return object_version(self.etag, self.size)


_COLUMNS = tuple(column.name for column in fields(InventoryRow))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM objects WHERE key = ?"
_REPLACE = f"INSERT OR REPLACE INTO objects ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' for _ in _COLUMNS)})"


class Inventory:
    """The inventory of one gallery folder; threads may share it, and processes may open it side by side.

    Parameters
    ----------
    folder
        The folder that holds the pulled objects, ``<store>/gallery``; made if it is not there.

    Raises
    ------
    StoreError
        If the file cannot be made, or is not an inventory.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self._lock = Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make {folder}: {error.strerror or error}") from error
        with self._clear_errors():
            self._connection = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            # A row says that its file is safe on the disk, so the row must be as safe when its writing has returned.
            self._connection.execute("PRAGMA synchronous = FULL")
        with self._transaction() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _SCHEMA_VERSION):
                raise StoreError(
                    f"{self.path}: expected an inventory of version {_SCHEMA_VERSION}, found version {version}"
                )
            connection.execute(_CREATE)
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    def rows(self, keys: Iterable[str]) -> dict[str, InventoryRow]:
        """Give the rows of those ``keys`` that are held, by key.

        Raises
        ------
        StoreError
            If the inventory cannot be read.
        """
        with self._lock, self._clear_errors():
            found = [self._connection.execute(_SELECT, (key,)).fetchone() for key in keys]
        return {values[0]: _from_sql(values) for values in found if values is not None}

    def record(self, rows: Iterable[InventoryRow]) -> None:
        """Write rows in one transaction, in place of former ones with the same keys; they are on the disk on return.

        Raises
        ------
        StoreError
            If the inventory cannot be written; then it holds none of ``rows``.
        """
        with self._transaction() as connection:
            connection.executemany(_REPLACE, map(astuple, rows))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> "Inventory":
        """Give the inventory itself, to be closed when the block ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._clear_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"cannot use the inventory {self.path}: {error}") from error


def _from_sql(values: tuple[Any, ...]) -> InventoryRow:
    named = dict(zip(_COLUMNS, values, strict=True))
    return InventoryRow(**{**named, "verification": Verification(named["verification"])})

"""The record of what is held, and of what was listed: one row for each pulled object, one for each listed prefix.

Belongs here: the SQLite file beside the pulled objects, reading and writing its rows. Does not belong here: its tables
and their former versions (``inventory_schema``), deciding what to pull (``pull``), what a difference between listing
and rows means (``changes``). It needs a local disk: SQLite's write-ahead log does not work on network file systems.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

from cpjump_assets.gallery.layout import RECORD_NAME
from cpjump_assets.gallery.transfer.etag import Verification, object_version
from cpjump_assets.gallery.transfer.inventory_schema import SCHEMA_VERSION, make_tables, version_of
from cpjump_assets.gallery.transfer.kept_listing import KeptListing, pack, unpack
from cpjump_assets.science.errors import StoreError

FILE_NAME = RECORD_NAME
_BUSY_SECONDS = 30.0
_SWITCHES = 100
"""Times that others may be in the way while a new file is switched to the write-ahead log."""
_CHUNK = 1000
"""Rows that one statement asks for or gives: 7 us of CPU a key, where single statements take 13."""


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
    part_size
        Bytes of a part of the upload, by which a multipart ETag was proved; None where none was needed or known.
    sha256
        Of the file, as 64 hexadecimal digits: where the ETag cannot prove it, or a sum was released. None for others.
    verification
        How the bytes were proved.
    pulled_at
        When the file was put in place, ISO 8601 in UTC.
    verified_at
        When the bytes of the file were last found to be right, ISO 8601 in UTC.
    mtime_ns
        Modification time of the file when its bytes were right; 0 when it is not known.
    vanished_at
        Since when the gallery no longer lists the object, ISO 8601 in UTC; None while it does.
    """

    key: str
    size: int
    etag: str
    last_modified: str
    part_size: int | None
    sha256: str | None
    verification: Verification
    pulled_at: str
    verified_at: str
    mtime_ns: int
    vanished_at: str | None = None

    @property
    def version(self) -> str:
        """What changes when the content does, spelled as for a listed object."""
        return object_version(self.etag, self.size)


@dataclass(frozen=True, slots=True)
class FolderSummary:
    """What is held in one folder, without the folders in it.

    Attributes
    ----------
    folder
        Key up to and with the last slash; empty for the root.
    objects, bytes
        How many, and how large together.
    unverified
        Objects whose bytes nothing could prove.
    vanished
        Objects that the gallery no longer lists.
    oldest_verification
        When the bytes longest not looked at were last found right, ISO 8601 in UTC.
    """

    folder: str
    objects: int
    bytes: int
    unverified: int
    vanished: int
    oldest_verification: str


_COLUMNS = tuple(column.name for column in fields(InventoryRow))
_VALUES = attrgetter(*_COLUMNS)
_VERIFICATION = _COLUMNS.index("verification")
_VERIFICATIONS = {kind.value: kind for kind in Verification}
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM objects WHERE key"
_REPLACE = f"INSERT OR REPLACE INTO objects ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' for _ in _COLUMNS)})"
_UPDATE_VERIFIED = """
UPDATE objects SET verified_at = ?, mtime_ns = ?, part_size = ?, sha256 = ?, verification = ?
WHERE key = ? AND etag = ? AND size = ?
"""
_TOTALS = "SELECT count(*), coalesce(sum(size), 0) FROM objects WHERE key >= ?1 AND substr(key, 1, ?2) = ?1"
_SUMMARIES = """
SELECT folder_of(key) AS folder, count(*), sum(size), sum(verification = 'unverified'), count(vanished_at),
  min(verified_at)
FROM objects GROUP BY folder ORDER BY folder
"""


class Inventory:
    """The inventory of one gallery folder; threads may share it, and processes may open it side by side.

    Parameters
    ----------
    folder
        The folder that holds the pulled objects, ``<store>/gallery``; made if it is not there.

    Raises
    ------
    StoreError
        If the file cannot be made, or is not an inventory. All methods raise it if the file cannot be read or written;
        what they would have written is then not there at all.
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
            _write_ahead(self._connection)
            # A row says that its file is safe on the disk, so the row must be as safe when its writing has returned.
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.create_function("folder_of", 1, _folder_of, deterministic=True)
            version = version_of(self._connection)
        if version != SCHEMA_VERSION:
            with self._transaction() as connection:
                make_tables(connection, str(self.path))

    def rows(self, keys: Iterable[str]) -> dict[str, InventoryRow]:
        """Give the rows of those ``keys`` that are held, by key."""
        found: dict[str, InventoryRow] = {}
        for chunk in _chunks(keys):
            marks = ", ".join("?" * len(chunk))
            found |= {row.key: row for row in self._select(f"{_SELECT} IN ({marks})", chunk)}
        return found

    def rows_below(self, prefix: str = "") -> Iterator[InventoryRow]:
        """Stream the rows whose keys begin with ``prefix``, by key; without one, all.

        Others may read and write meanwhile: rows are fetched a chunk at a time.
        """
        start = prefix
        while rows := self._select(f"{_SELECT} >= ? ORDER BY key LIMIT {_CHUNK}", [start]):
            for row in rows:
                if not row.key.startswith(prefix):
                    return
                yield row
            start = f"{rows[-1].key}\0"  # the very next text in the order of bytes

    def totals_below(self, prefix: str = "") -> tuple[int, int]:
        """Give the number and the bytes of the objects whose keys begin with ``prefix``."""
        with self._lock, self._clear_errors():
            objects, size = self._connection.execute(_TOTALS, (prefix, len(prefix))).fetchone()
        return objects, size

    def record(self, rows: Iterable[InventoryRow]) -> None:
        """Write rows in one transaction, in place of former ones with the same keys; they are on the disk on return."""
        self._write_many(_REPLACE, map(_VALUES, rows))

    def mark_verified(self, rows: Iterable[InventoryRow]) -> None:
        """Write what was found out about files as they are held; a row whose object was pulled anew meanwhile stays."""
        values = (
            (row.verified_at, row.mtime_ns, row.part_size, row.sha256, row.verification, row.key, row.etag, row.size)
            for row in rows
        )
        self._write_many(_UPDATE_VERIFIED, values)

    def mark_vanished(self, keys: Iterable[str], *, moment: str) -> None:
        """Mark objects that the gallery no longer lists; those that are marked already keep their time."""
        statement = "UPDATE objects SET vanished_at = ? WHERE key = ? AND vanished_at IS NULL"
        self._write_many(statement, ((moment, key) for key in keys))

    def mark_present(self, keys: Iterable[str]) -> None:
        """Take the mark from objects that the gallery lists again."""
        statement = "UPDATE objects SET vanished_at = NULL WHERE key = ? AND vanished_at IS NOT NULL"
        self._write_many(statement, ((key,) for key in keys))

    def folder_summaries(self) -> tuple[FolderSummary, ...]:
        """Sum up what is held, folder by folder."""
        with self._lock, self._clear_errors():
            return tuple(FolderSummary(*values) for values in self._connection.execute(_SUMMARIES))

    def keep_listings(self, listings: Iterable[KeptListing]) -> None:
        """Keep what was listed, in place of what was listed before under the same prefixes."""
        values = ((kept.prefix, kept.listed_at, kept.count, kept.bytes, pack(kept)) for kept in listings)
        self._write_many("INSERT OR REPLACE INTO listings VALUES (?, ?, ?, ?, ?)", values)

    def last_listing(self, prefix: str) -> KeptListing | None:
        """Give what was listed last under a prefix; None when it never was."""
        with self._lock, self._clear_errors():
            found = self._connection.execute(
                "SELECT listed_at, content FROM listings WHERE prefix = ?", [prefix]
            ).fetchone()
        return None if found is None else unpack(prefix, *found)

    def listed_prefixes(self) -> tuple[str, ...]:
        """Give the prefixes of which a listing is kept, in order."""
        with self._lock, self._clear_errors():
            found = self._connection.execute("SELECT prefix FROM listings ORDER BY prefix").fetchall()
        return tuple(prefix for (prefix,) in found)

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

    def _select(self, statement: str, values: list[str]) -> list[InventoryRow]:
        with self._lock, self._clear_errors():
            found = self._connection.execute(statement, values).fetchall()
        return [_from_sql(row) for row in found]

    def _write_many(self, statement: str, values: Iterable[tuple[Any, ...]]) -> None:
        with self._transaction() as connection:
            connection.executemany(statement, values)

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
            raise StoreError(f"cannot use the inventory {self.path}: {_reason(error)}") from error


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; wait for whom it has to wait for.

    SQLite does not wait with the switch itself where another connection is about to write, which one that makes the
    same file is: it gives up at once. So this waits for a lock that SQLite does wait for, and tries again.
    """
    for _ in range(_SWITCHES):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode = WAL")


def is_kept_in(folder: Path) -> bool:
    """Tell whether a folder has an inventory; to open one that is not there would make it.

    Raises
    ------
    StoreError
        If the folder may not be looked into.
    """
    path = folder / FILE_NAME
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StoreError(f"cannot look at {path}: {error.strerror or error}") from error
    return True


def utc_text(moment: datetime) -> str:
    """Spell a moment as the inventory does: ISO 8601 in UTC, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _reason(error: sqlite3.Error) -> str:
    # On a full disk SQLite mostly fails to make its files beside the inventory, which it calls an I/O error.
    is_io = (getattr(error, "sqlite_errorname", None) or "").startswith("SQLITE_IOERR")
    return f"{error} (is the disk full?)" if is_io else str(error)


def _folder_of(key: str) -> str:
    return key[: key.rfind("/") + 1]


def _from_sql(values: tuple[Any, ...]) -> InventoryRow:
    typed = [*values]
    typed[_VERIFICATION] = _VERIFICATIONS[values[_VERIFICATION]]
    return InventoryRow(*typed)


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(keys)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk

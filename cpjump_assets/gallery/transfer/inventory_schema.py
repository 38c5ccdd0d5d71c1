"""The tables of the inventory, and how a file of an earlier release becomes one of this.

Belongs here: SQL that makes tables. Does not belong here: rows (``inventory``).
"""

import sqlite3

from cpjump_assets.science.errors import StoreError

SCHEMA_VERSION = 2

_OBJECTS = """
CREATE TABLE objects (
  key TEXT PRIMARY KEY, size INTEGER NOT NULL, etag TEXT NOT NULL, last_modified TEXT NOT NULL,
  part_size INTEGER, sha256 TEXT, verification TEXT NOT NULL, pulled_at TEXT NOT NULL, verified_at TEXT NOT NULL,
  mtime_ns INTEGER NOT NULL, vanished_at TEXT
) WITHOUT ROWID
"""
# A listing is one value, because it is only ever read whole: 100,000 rows of their own would take 12 times the space.
_LISTINGS = """
CREATE TABLE listings (
  prefix TEXT PRIMARY KEY, listed_at TEXT NOT NULL, objects INTEGER NOT NULL, bytes INTEGER NOT NULL,
  content BLOB NOT NULL
) WITHOUT ROWID
"""
# Version 1 had a sha256 for each file, and neither the size of parts nor the times of a file.
_FROM_VERSION_1 = (
    "ALTER TABLE objects RENAME TO objects_1",
    _OBJECTS,
    _LISTINGS,
    "INSERT INTO objects SELECT key, size, etag, last_modified, NULL, sha256, verification, pulled_at, pulled_at, 0, "
    "NULL FROM objects_1",
    "DROP TABLE objects_1",
)
_STEPS = {0: (_OBJECTS, _LISTINGS), 1: _FROM_VERSION_1}


def version_of(connection: sqlite3.Connection) -> int:
    """Give the version of the tables; 0 when there are none."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def make_tables(connection: sqlite3.Connection, name: str) -> None:
    """Make the tables, or bring those of an earlier version up to this one; to be called in a transaction.

    Parameters
    ----------
    name
        Of the file, for the message.

    Raises
    ------
    StoreError
        If the tables are those of a later release.
    """
    version = version_of(connection)
    if version == SCHEMA_VERSION:
        return  # another process made them meanwhile
    if version not in _STEPS:
        raise StoreError(f"{name}: expected an inventory of version {SCHEMA_VERSION} or less, found version {version}")
    for statement in _STEPS[version]:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

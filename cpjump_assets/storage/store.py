"""The store: Parquet tables by group, asset and partition, and the few files that are no tables.

Belongs here: names, the provenance that travels inside each table, digests. Does not belong here: where the files lie,
in a folder or in S3 (``files``), how profiles are laid out in a file (``profile_table``), schemas and rules
(``science``), pulled gallery objects (``gallery``), Dagster events (``orchestration``).

A table carries its provenance in the Parquet footer, so that data and provenance are written in one piece and can never
disagree. No clock time, run, host or path is stored: equal inputs give equal bytes, wherever the store lies.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cpjump_assets.science.errors import StoreError
from cpjump_assets.science.features import Matrix, Profiles
from cpjump_assets.storage.arrow_frames import text_columns, to_arrow, to_frame
from cpjump_assets.storage.digests import file_digest as file_digest
from cpjump_assets.storage.file_state import FileState
from cpjump_assets.storage.files import Files, LocalFiles, NotAsWrittenError
from cpjump_assets.storage.profile_table import ProfileTable, write_profile_table

_FOOTER_KEY = b"cpjump"
COLUMNS_DESCRIBED = 40
"""Columns whose types a description lists."""


@dataclass(frozen=True)
class TableKey:
    """Where a table belongs: ``<group>/<asset>[/<partition>]``."""

    group: str
    asset: str
    partition: str | None = None

    def __str__(self) -> str:
        """Spell the key as a relative path without a suffix."""
        return "/".join(part for part in (self.group, self.asset, self.partition) if part is not None)


@dataclass(frozen=True)
class Provenance:
    """What a table was made from, and by which code.

    Attributes
    ----------
    code_version
        Version of the code that made the table.
    inputs
        Digest of each input, by its name. The order does not matter.
    origin
        Where the measurements come from: the public gallery, a simulated one by the text of its marker, several joined,
        or reference tables alone.
    preset
        The way of making profiles that the table depends on; None where it depends on none.
    """

    code_version: str
    inputs: Mapping[str, str]
    origin: str
    preset: str | None = None

    def to_bytes(self) -> bytes:
        """Serialize, with sorted keys, so that equal provenance is equal bytes."""
        content = {"code_version": self.code_version, "inputs": dict(self.inputs), "origin": self.origin}
        if self.preset is not None:
            content["preset"] = self.preset
        return json.dumps(content, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Provenance":
        """Read back what ``to_bytes`` wrote."""
        return cls(**json.loads(content))


@dataclass(frozen=True)
class StoredTable:
    """A table as it lies in the store.

    Attributes
    ----------
    key
        Its place.
    digest
        sha256 of the file.
    rows
        Number of rows.
    columns
        Type of each of the first columns, by name, in order; of thousands of features they stand for all.
    n_columns
        Number of columns.
    bytes
        Size of the file.
    provenance
        What it was made from.
    """

    key: TableKey
    digest: str
    rows: int
    columns: Mapping[str, str]
    n_columns: int
    bytes: int
    provenance: Provenance


class Store:
    """Parquet tables, and the files that are none.

    Parameters
    ----------
    root
        Folder of this machine in which the files lie, or in which those of a store in S3 are worked on; it is made when
        the first file is written.
    gallery_folder
        Where pulled objects lie, each below its gallery key; by default in the folder ``gallery`` of the store.
    files
        Where the files lie; by default in ``root``.
    """

    def __init__(self, root: Path, gallery_folder: Path | None = None, files: Files | None = None) -> None:
        self.root = root
        self.gallery_folder = gallery_folder or root / "gallery"
        self.files = files or LocalFiles(root)

    def path(self, key: TableKey) -> Path:
        """Give the place of a table on this machine; of a store in S3, it is there once the table was read."""
        return self.file_path(_name(key))

    def file_path(self, name: str) -> Path:
        """Give the place of a file on this machine by its name, such as ``benchmark/figures/figure_4a.png``.

        Raises
        ------
        StoreError
            If it would lie outside of the store.
        """
        path = self.root / name
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise StoreError(f"{name} would lie outside of the store {self.root}")
        return path

    def _checked(self, name: str) -> str:
        """Give a name that lies in the store; raises ``StoreError`` as ``file_path``."""
        self.file_path(name)
        return name

    def write_file(self, name: str, content: bytes) -> str:
        """Write a file that is no table in one piece, in place of the former one, and give its digest.

        Raises
        ------
        StoreError
            If the store cannot be written, or the file would lie outside of it; what was there before stays.
        """
        with self.files.writing(self._checked(name)) as part:
            part.write_bytes(content)
        return file_digest(self.file_path(name))

    def file_digest(self, name: str) -> str | None:
        """Give the digest of a file by its name; None where there is no such file."""
        path = self.files.local(self._checked(name))
        return None if path is None else file_digest(path)

    def file_names(self, folder: str) -> tuple[str, ...]:
        """Give the names of the files right in a folder of the store, such as ``images/montages/<plate>``, in order."""
        return self.files.names(self._checked(folder))

    def remove_file(self, name: str) -> None:
        """Take away a file that is no table, if it is there."""
        self.files.remove(self._checked(name))

    def exists(self, key: TableKey) -> bool:
        """Tell whether the table is there."""
        return self.files.exists(self._checked(_name(key)))

    def write(self, key: TableKey, frame: pd.DataFrame, provenance: Provenance) -> StoredTable:
        """Write a table in one piece, in place of the former one.

        Raises
        ------
        StoreError
            If the store cannot be written; what was there before stays.
        """
        table = to_arrow(frame).replace_schema_metadata(_footer(provenance))
        with self.files.writing(self._checked(_name(key))) as part:
            pq.write_table(table, part, compression="zstd", use_dictionary=text_columns(table.schema))
        return self.describe(key)

    def write_profiles(self, key: TableKey, profiles: Profiles, provenance: Provenance) -> StoredTable:
        """Write profiles in one piece, in place of the former table; their features in float32.

        Raises
        ------
        StoreError
            As ``write``.
        """
        with self.files.writing(self._checked(_name(key))) as part:
            write_profile_table(part, profiles, _footer(provenance))
        return self.describe(key)

    def read(self, key: TableKey, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read a table, or some of its columns.

        Raises
        ------
        NotAsWrittenError
            If the table was never made, or the file is not the Parquet file that was written.
        StoreError
            If the store cannot be asked.
        """
        with self.readable(key) as path:
            return to_frame(pq.read_table(path, columns=None if columns is None else list(columns)))

    def read_profiles(self, key: TableKey) -> Profiles:
        """Read profiles, their features in float32.

        Raises
        ------
        StoreError
            As ``read``.
        """
        with self.readable(key) as path:
            return ProfileTable(path).read()

    def open_profiles(self, key: TableKey) -> "StoredProfiles":
        """Give profiles whose values are read when they are asked for, a ``science.plate_values.PlateValues``.

        Raises
        ------
        StoreError
            As ``read``; also when values are asked for and the file has gone, is broken or was replaced.
        """
        return StoredProfiles(self, key)

    def describe(self, key: TableKey) -> StoredTable:
        """Read the footer and the digest of a table, not its rows.

        Raises
        ------
        StoreError
            As ``read``.
        """
        with self.readable(key) as path:
            status = path.stat()
            content = _content_of(path, FileState.of(status))
        if content.provenance is None:
            raise NotAsWrittenError(f"{path} carries no provenance: it was not written by this platform")
        return StoredTable(
            key=key,
            digest=content.digest,
            rows=content.rows,
            columns=dict(content.columns),
            n_columns=content.n_columns,
            bytes=status.st_size,
            provenance=Provenance.from_bytes(content.provenance),
        )

    def find(self, key: TableKey) -> StoredTable | None:
        """Describe a table; None where it is not there, or is not the one that was written.

        Raises
        ------
        StoreError
            If the store cannot be asked.
        """
        try:
            return self.describe(key)
        except NotAsWrittenError:
            return None

    def remove(self, key: TableKey) -> None:
        """Take a table away if it is there."""
        self.files.remove(self._checked(_name(key)))

    @contextmanager
    def readable(self, key: TableKey) -> Iterator[Path]:
        """Give the file of a table, and say what a failure to read it means.

        Raises
        ------
        StoreError
            As ``read``.
        """
        with self.reading(key, self.files.local(self._checked(_name(key)))) as path:
            yield path

    @contextmanager
    def reading(self, key: TableKey, path: Path | None) -> Iterator[Path]:
        """Say what a failure to read a file of a table means, which was looked up before.

        Raises
        ------
        StoreError
            As ``read``.
        """
        if path is None or not path.is_file():
            raise NotAsWrittenError(f"table {key} is not in the store {self.files}: materialize {key.asset} first")
        try:
            yield path
        except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
            raise NotAsWrittenError(f"{path} cannot be read as the Parquet table that was written: {error}") from error


class StoredProfiles:
    """Profiles of the store; their values are read when they are asked for.

    Parameters
    ----------
    store, key
        Where they lie.
    """

    def __init__(self, store: Store, key: TableKey) -> None:
        self._store, self._key = store, key
        with store.readable(key) as path:
            self._path = path
            self._table = ProfileTable(path)

    @property
    def metadata(self) -> pd.DataFrame:
        """Give the ``Metadata_`` columns."""
        return self._table.metadata

    @property
    def features(self) -> tuple[str, ...]:
        """Give the names of the features."""
        return self._table.features

    def values(self, start: int = 0, stop: int | None = None) -> Matrix:
        """Read some features, see ``science.plate_values.PlateValues``."""
        # The file that was opened, without looking up whether there is a newer one: features are read in many blocks.
        with self._store.reading(self._key, self._path):
            return self._table.values(start, stop)


class _Content(NamedTuple):
    digest: str
    rows: int
    columns: tuple[tuple[str, str], ...]
    n_columns: int
    provenance: bytes | None


@lru_cache(maxsize=4096)
def _content_of(path: Path, _state: FileState) -> _Content:
    """Read digest and footer of a file, once for each state in which it lies on disk.

    The footer of 5,792 columns and the digest take 25 ms, and each step asks them of every plate.
    """
    footer = pq.read_metadata(path)
    schema = footer.schema.to_arrow_schema()
    first = (schema.field(position) for position in range(min(len(schema), COLUMNS_DESCRIBED)))
    return _Content(
        digest=file_digest(path),
        rows=footer.num_rows,
        columns=tuple((item.name, str(item.type)) for item in first),
        n_columns=len(schema),
        provenance=(footer.metadata or {}).get(_FOOTER_KEY),
    )


def _name(key: TableKey) -> str:
    """Give the name of the file of a table; the suffix is appended because a plate key holds a dot."""
    return f"{key}.parquet"


def _footer(provenance: Provenance) -> dict[bytes, bytes]:
    return {_FOOTER_KEY: provenance.to_bytes()}

"""The store: Parquet tables by group, asset and partition, and the few files that are no tables.

Belongs here: paths, atomic writes, the provenance that travels inside each table, digests. Does not belong here:
schemas and rules (``science``), pulled gallery objects (``gallery``), Dagster events (``orchestration``).

A table carries its provenance in the Parquet footer, so that data and provenance are written by one rename and can
never disagree. No clock time, run, host or path is stored: equal inputs give equal bytes.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cpjump_assets.science.errors import StoreError
from cpjump_assets.storage.atomic import atomic_path

_FOOTER_KEY = b"cpjump"


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
    """

    code_version: str
    inputs: Mapping[str, str]
    origin: str

    def to_bytes(self) -> bytes:
        """Serialize, with sorted keys, so that equal provenance is equal bytes."""
        content = {"code_version": self.code_version, "inputs": dict(self.inputs), "origin": self.origin}
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
        Type of each column, by name, in order.
    bytes
        Size of the file.
    provenance
        What it was made from.
    """

    key: TableKey
    digest: str
    rows: int
    columns: Mapping[str, str]
    bytes: int
    provenance: Provenance


class Store:
    """Parquet tables below one folder.

    Parameters
    ----------
    root
        The folder; it is made when the first table is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def gallery_folder(self) -> Path:
        """Where pulled objects lie, each below its gallery key."""
        return self.root / "gallery"

    def path(self, key: TableKey) -> Path:
        """Give the file of a table; the suffix is appended because a plate key holds a dot."""
        return self.file_path(f"{key}.parquet")

    def file_path(self, name: str) -> Path:
        """Give the place of a file by its path below the store, such as ``benchmark/figures/figure_4a.png``.

        Raises
        ------
        StoreError
            If it would lie outside of the store.
        """
        path = self.root / name
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise StoreError(f"{name} would lie outside of the store {self.root}")
        return path

    def write_file(self, name: str, content: bytes) -> str:
        """Write a file that is no table in one piece, in place of the former one, and give its digest.

        Raises
        ------
        StoreError
            If the store cannot be written, or the file would lie outside of it; what was there before stays.
        """
        path = self.file_path(name)
        with atomic_path(path) as part:
            part.write_bytes(content)
        return file_digest(path)

    def file_digest(self, name: str) -> str | None:
        """Give the digest of a file by its path below the store; None where there is no such file."""
        path = self.file_path(name)
        return file_digest(path) if path.is_file() else None

    def exists(self, key: TableKey) -> bool:
        """Tell whether the table is there."""
        return self.path(key).is_file()

    def write(self, key: TableKey, frame: pd.DataFrame, provenance: Provenance) -> StoredTable:
        """Write a table in one piece, in place of the former one.

        Raises
        ------
        StoreError
            If the store cannot be written; what was there before stays.
        """
        table = pa.Table.from_pandas(frame, preserve_index=False)
        untyped = [item.name for item in table.schema if pa.types.is_null(item.type)]
        if untyped:
            raise ValueError(f"table {key}: columns {untyped} hold nothing and have no type")
        # The pandas footer would tie the bytes to the pandas version; the column types say all that is needed.
        table = table.replace_schema_metadata({_FOOTER_KEY: provenance.to_bytes()})
        with atomic_path(self.path(key)) as part:
            pq.write_table(table, part, compression="zstd", use_dictionary=_text_columns(table.schema))
        return self.describe(key)

    def read(self, key: TableKey, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read a table, or some of its columns.

        Raises
        ------
        StoreError
            If the table was never made, or the file is not the Parquet file that was written.
        """
        with self._readable(key) as path:
            table = pq.read_table(path, columns=None if columns is None else list(columns))
        return _to_frame(table)

    def describe(self, key: TableKey) -> StoredTable:
        """Read the footer and the digest of a table, not its rows.

        Raises
        ------
        StoreError
            As ``read``.
        """
        with self._readable(key) as path:
            footer = pq.read_metadata(path)
            stored = (footer.metadata or {}).get(_FOOTER_KEY)
            if stored is None:
                raise StoreError(f"{path} carries no provenance: it was not written by this platform")
            return StoredTable(
                key=key,
                digest=file_digest(path),
                rows=footer.num_rows,
                columns={item.name: str(item.type) for item in footer.schema.to_arrow_schema()},
                bytes=path.stat().st_size,
                provenance=Provenance.from_bytes(stored),
            )

    def missing_values(self, key: TableKey) -> dict[str, int]:
        """Count the missing values of each column, from the footer alone.

        Raises
        ------
        StoreError
            As ``read``.
        """
        with self._readable(key) as path:
            footer = pq.read_metadata(path)
        counts = dict.fromkeys(footer.schema.to_arrow_schema().names, 0)
        for group in (footer.row_group(index) for index in range(footer.num_row_groups)):
            for chunk in (group.column(index) for index in range(group.num_columns)):
                counts[chunk.path_in_schema] += chunk.statistics.null_count
        return counts

    def find(self, key: TableKey) -> StoredTable | None:
        """Describe a table that is there and readable; None where there is no such table."""
        try:
            return self.describe(key)
        except StoreError:
            return None

    def remove(self, key: TableKey) -> None:
        """Remove a table if it is there."""
        self.path(key).unlink(missing_ok=True)

    @contextmanager
    def _readable(self, key: TableKey) -> Iterator[Path]:
        path = self.path(key)
        if not path.is_file():
            raise StoreError(f"table {key} is not in the store {self.root}: materialize {key.asset} first")
        try:
            yield path
        except (pa.ArrowInvalid, OSError) as error:
            raise StoreError(f"{path} cannot be read as the Parquet table that was written: {error}") from error


def file_digest(path: Path) -> str:
    """Give the sha256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


_NULLABLE = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}


def _to_frame(table: pa.Table) -> pd.DataFrame:
    """Keep integers and booleans what they are where some are missing; pandas would make floats and objects of them."""
    frame = table.to_pandas()
    for item, column in zip(table.schema, table.columns, strict=True):
        if column.null_count and item.type in _NULLABLE:
            frame[item.name] = column.to_pandas(types_mapper=_NULLABLE.get)
    return frame


def _text_columns(schema: pa.Schema) -> list[str]:
    # Dictionary pages only help repeated text; for 5,792 float columns they cost time and space.
    return [item.name for item in schema if pa.types.is_string(item.type) or pa.types.is_large_string(item.type)]

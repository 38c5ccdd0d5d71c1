"""Profile tables: Parquet files whose feature columns lie in the file as one matrix.

Belongs here: how profiles are laid out in a file, and reading them back, whole or some features. Does not belong here:
where a file lies and what it was made from (``store``).

A table of 5,792 columns is slow to decode column by column: 0.3 s for 384 wells, 15 s for a batch. So the feature
columns are written plain: float32, never null (a missing value is NaN), uncompressed, one page each. Then every column
of n wells takes equally many bytes, a page header and n floats, and p columns behind each other are a p x n matrix with
a stride: to read it takes 2 ms. To every other reader (pandas, polars, DuckDB) it is an ordinary Parquet file with
named columns. Nothing is taken on trust: a file whose columns are not laid out like this, because something else wrote
it, is read as any Parquet file is; and a file that was replaced since it was opened is refused, because its wells may
be others.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cpjump_assets.science.errors import StoreError
from cpjump_assets.science.features import Matrix, Profiles, is_feature
from cpjump_assets.storage.arrow_frames import text_columns, to_arrow, to_frame
from cpjump_assets.storage.file_state import FileState

_FLOAT = np.dtype("<f4")
_ONE_PAGE = 2**30
"""Bytes that a page may have: a column is never cut into several."""


def write_profile_table(path: Path, profiles: Profiles, footer: Mapping[bytes, bytes]) -> None:
    """Write profiles, their features in float32.

    Parameters
    ----------
    path
        The file to write.
    profiles
        n wells x p features.
    footer
        Goes into the file's key-value metadata.
    """
    metadata = to_arrow(profiles.metadata)
    n, p = profiles.matrix.shape
    values = pa.array(np.ascontiguousarray(profiles.matrix.T, dtype=_FLOAT).ravel())
    fields = [pa.field(name, pa.float32(), nullable=False) for name in profiles.features]
    schema = pa.schema([*metadata.schema, *fields])
    with pq.ParquetWriter(
        path,
        schema,
        compression="none",
        use_dictionary=text_columns(metadata.schema),
        write_statistics=False,
        store_schema=False,  # Arrow's own copy of the schema would be as large as the footer again
        data_page_size=_ONE_PAGE,
        max_rows_per_page=max(n, 1),
    ) as writer:
        writer.write_table(
            pa.Table.from_arrays([*metadata.columns, *(values.slice(i * n, n) for i in range(p))], schema=schema),
            row_group_size=max(n, 1),
        )
        writer.add_key_value_metadata(dict(footer))


class _Block(NamedTuple):
    """Where the feature columns lie: each takes ``stride`` bytes, of which the first are its page header."""

    offset: int
    stride: int
    header: int


class ProfileTable:
    """Profiles in a file; their values are read when they are asked for.

    Parameters
    ----------
    path
        A file that ``write_profile_table`` wrote, or another Parquet file of ``Metadata_`` and numeric columns.

    Raises
    ------
    pyarrow.ArrowInvalid, OSError
        If it cannot be read as Parquet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = FileState.of(path.stat())
        # The file is not kept open: what Arrow holds of the footer is many times what is needed of it here.
        with pq.ParquetFile(path) as file:
            names = file.schema.names
            self.features = tuple(sys.intern(name) for name in names if is_feature(name))
            self.metadata = to_frame(file.read(columns=[name for name in names if not is_feature(name)]))
            self._block = _find_block(file.metadata, [is_feature(name) for name in names])

    def values(self, start: int = 0, stop: int | None = None) -> Matrix:
        """Read the features from position ``start`` to before ``stop``: (n, stop - start), float32, feature-major.

        Raises
        ------
        pyarrow.ArrowInvalid, OSError
            If they cannot be read.
        StoreError
            If the file is another one than was opened, or one of these features holds no numbers.
        """
        first, end, _ = slice(start, stop).indices(len(self.features))
        end = max(first, end)
        with self._path.open("rb") as stream:
            if FileState.of(os.fstat(stream.fileno())) != self._state:
                raise StoreError(f"{self._path} was replaced or altered after it was opened: open it again")
            found = None if self._block is None else _read_block(stream, self._block, first, end)
            return self._decode(stream, first, end) if found is None else found

    def read(self) -> Profiles:
        """Read all of it."""
        return Profiles(self.metadata, self.values(), self.features)

    def _decode(self, stream: BinaryIO, start: int, stop: int) -> Matrix:
        """Read columns as any Parquet reader does."""
        stream.seek(0)
        names = self.features[start:stop]
        matrix = np.empty((stop - start, len(self.metadata)), dtype=_FLOAT)
        for name, row, column in zip(names, matrix, pq.read_table(stream, columns=list(names)), strict=True):
            if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
                raise StoreError(f"{self._path}: expected numbers in feature {name}, found {column.type}")
            row[:] = column
        return matrix.T


def _find_block(footer: pq.FileMetaData, is_value: Sequence[bool]) -> _Block | None:
    """Locate the block by its first and last column; None where the columns are not of the layout above."""
    n, p = footer.num_rows, sum(is_value)
    if footer.num_row_groups != 1 or n < 1 or not p or not all(is_value[-p:]):
        return None
    columns = map(footer.schema.column, range(len(is_value) - p, len(is_value)))
    if not all(column.physical_type == "FLOAT" and column.max_definition_level == 0 for column in columns):
        return None
    first, last = (footer.row_group(0).column(len(is_value) - back) for back in (p, 1))
    stride, header = first.total_compressed_size, first.total_compressed_size - n * _FLOAT.itemsize
    plain = all(
        chunk.compression == "UNCOMPRESSED"
        and set(chunk.encodings) <= {"PLAIN", "RLE"}  # RLE is of the levels, of which there are none
        and chunk.dictionary_page_offset is None
        and chunk.total_compressed_size == stride
        for chunk in (first, last)
    )
    adjoining = last.data_page_offset - first.data_page_offset == stride * (p - 1)
    return _Block(first.data_page_offset, stride, header) if plain and adjoining and header > 0 else None


def _read_block(stream: BinaryIO, block: _Block, start: int, stop: int) -> Matrix | None:
    """Read columns as one piece; None where the file ends before, or a page is not the one page of its column."""
    stream.seek(block.offset)
    header = stream.read(block.header)
    stream.seek(block.offset + start * block.stride)
    content = np.fromfile(stream, np.uint8, count=(stop - start) * block.stride)
    if content.size != (stop - start) * block.stride or not header.startswith(_page_of(block.stride - block.header)):
        return None
    columns = content.reshape(stop - start, block.stride)
    if not (columns[:, : block.header] == np.frombuffer(header, np.uint8)).all():
        return None
    return np.ascontiguousarray(columns[:, block.header :]).view(_FLOAT).T


def _page_of(size: int) -> bytes:
    """Give what the header of an uncompressed data page of so many bytes begins with, in Thrift's compact protocol.

    The fields are its type (0, a data page), its size and its compressed size: each a byte that says so, and a number
    of 7 bits a byte, doubled because its last bit is the sign.
    """
    number, rest = b"", 2 * size
    while rest > 0x7F:
        number += bytes([rest & 0x7F | 0x80])
        rest >>= 7
    number += bytes([rest])
    return b"\x15\x00" + b"\x15" + number + b"\x15" + number

"""The readers of the field on profiles, pandas, pyarrow, polars and ADBC: what each row of ``profiles`` times.

Belongs here: their calls, each at its best. Does not belong here: ours (``profile_own``), pycytominer. What a process
that measures another reader need not hold in memory is imported where it is called.
"""

import gzip
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.profile_inputs import feature_names
from cpjump_assets.science.features import Matrix, is_feature

_ROWS_PER_QUERY = 1024
"""What ours takes, and the fastest."""


def every_row(path: Path) -> int:
    """Read all rows of the three tables of a backend with the reader that ours uses, and do nothing with them.

    One query for all rows of a table would take a quarter more time than one for each so many.
    """
    from adbc_driver_sqlite import StatementOptions, dbapi

    values = 0
    with dbapi.connect(f"{path.as_uri()}?mode=ro") as connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{StatementOptions.BATCH_ROWS.value: str(_ROWS_PER_QUERY)})
        for table in ("Cells", "Cytoplasm", "Nuclei"):
            cursor.execute(f"SELECT MAX(rowid) FROM {table}")
            for first in range(1, cursor.fetchone()[0] + 1, _ROWS_PER_QUERY):
                last = first + _ROWS_PER_QUERY - 1
                cursor.execute(f"SELECT * FROM {table} WHERE rowid BETWEEN {first} AND {last}")
                rows = cursor.fetch_arrow_table()
                values += rows.num_rows * rows.num_columns
    return values


def csv_with_pandas(path: Path, header: Sequence[str]) -> Any:
    """Read a csv.gz; its own parser in float64 is the fastest of those that pandas has."""
    return pd.read_csv(path, low_memory=False)


def csv_with_pyarrow(path: Path, header: Sequence[str]) -> Any:
    """Read a csv.gz as float32; in one block, because blocks of the default size take more than twice as long."""
    import pyarrow as pa
    from pyarrow import csv

    types = {name: pa.float32() if is_feature(name) else pa.string() for name in header}
    return csv.read_csv(
        path,
        read_options=csv.ReadOptions(block_size=2**28),
        convert_options=csv.ConvertOptions(column_types=types),
    )


def csv_with_polars(path: Path, header: Sequence[str]) -> Any:
    """Read a csv.gz as float32, with its columns declared."""
    import polars as pl

    return pl.read_csv(path, schema={name: pl.Float32 if is_feature(name) else pl.String for name in header})


def unpacked(path: Path) -> bytes:
    """Unpack a csv.gz with the standard library, and parse nothing."""
    return gzip.decompress(path.read_bytes())


CSV_READERS: Mapping[str, Callable[[Path, Sequence[str]], Any]] = MappingProxyType(
    {"pandas": csv_with_pandas, "pyarrow": csv_with_pyarrow, "polars": csv_with_polars}
)
FLOOR = "gunzip alone"
EVERY_ROW = "reading every row"


def csv_values(table: Any, features: list[str]) -> Matrix:
    """Take features out of what a reader gave: (n, p), float32."""
    frame = table if isinstance(table, pd.DataFrame) else table.to_pandas()
    return frame[features].to_numpy(dtype=np.float32)


def loaded_with_pyarrow(files: Sequence[Path]) -> Matrix:
    """Read ordinary wide Parquet files into one float32 matrix."""
    import pyarrow.parquet as pq

    def values(path: Path) -> Matrix:
        table = pq.read_table(path)
        batch = table.select(list(filter(is_feature, table.column_names))).combine_chunks().to_batches()[0]
        return batch.to_tensor(null_to_nan=True, row_major=False).to_numpy()

    return np.concatenate([values(path).T for path in files], axis=1).T


def loaded_with_polars(files: Sequence[Path]) -> Matrix:
    """Read ordinary wide Parquet files into one float32 matrix."""
    import polars as pl

    frames = map(pl.read_parquet, files)
    matrices = [frame.select(list(filter(is_feature, frame.columns))).to_numpy() for frame in frames]
    return np.concatenate([matrix.T for matrix in matrices], axis=1).T


def loaded_with_pandas(files: Sequence[Path]) -> Matrix:
    """Read ordinary wide Parquet files into one float32 matrix."""
    frame = pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)
    return frame[feature_names(frame)].to_numpy(dtype=np.float32)


PARQUET_READERS: Mapping[str, Callable[[Sequence[Path]], Matrix]] = MappingProxyType(
    {"pandas": loaded_with_pandas, "pyarrow": loaded_with_pyarrow, "polars": loaded_with_polars}
)

"""How profiles lie in the store: layouts that were compared, by time, size, and who can open them.

Belongs here: writing and reading a plate and a batch in each layout. Does not belong here: the layout that was chosen
(``cpjump_assets.storage.profile_table``).

Reading ends with metadata and one float32 matrix. Seconds of one plate are those of the processor, on one core, the
median of several runs; the batch is read once, on two cores, in seconds on the wall. A tool opens a layout if it gives
the values of a feature under its name.

    python -m benchmarks.stored_layout [--json]
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather

from benchmarks.processes import in_fresh_process, median_run, one_thread, wall_seconds
from benchmarks.profile_inputs import Drawn
from benchmarks.profile_own import digest
from cpjump_assets.science.features import METADATA_PREFIX, Profiles, is_feature, stack
from cpjump_assets.storage.arrow_frames import text_columns, to_arrow, to_frame
from cpjump_assets.storage.profile_table import ProfileTable, write_profile_table

FEATURES, PLATES, CORES, RUNS = 5_792, 51, 2, 5
_VALUES, _NAMES = "values", b"features"


@dataclass(frozen=True)
class Row:
    """What a layout takes.

    Attributes
    ----------
    name
        The layout, and the reader.
    write_s, read_s
        One plate.
    megabytes
        Of one plate in the file system.
    batch_s
        All plates into one matrix.
    batch_mb
        Peak memory of the process that did so.
    opened_by
        Tools that give the values of a feature by its name.
    agrees
        Whether all values came back.
    """

    name: str
    write_s: float
    read_s: float
    megabytes: float
    batch_s: float
    batch_mb: int
    opened_by: tuple[str, ...]
    agrees: bool


@dataclass(frozen=True)
class Layout:
    """A way to write profiles below a path, and to read them again."""

    name: str
    write: Callable[[Path, Profiles], None]
    read: Callable[[Path], Profiles]


def _wide_table(profiles: Profiles) -> pa.Table:
    metadata = to_arrow(profiles.metadata)
    columns = [pa.array(column) for column in np.ascontiguousarray(profiles.matrix.T)]
    return pa.Table.from_arrays([*metadata.columns, *columns], names=[*metadata.column_names, *profiles.features])


def _profiles(table: pa.Table) -> Profiles:
    names = list(filter(is_feature, table.column_names))
    batch = table.select(names).combine_chunks().to_batches()[0]
    matrix = batch.to_tensor(null_to_nan=True, row_major=False).to_numpy()
    return Profiles(_metadata(table), matrix, tuple(names))


def _metadata(table: pa.Table) -> pd.DataFrame:
    return to_frame(table.select([name for name in table.column_names if name.startswith(METADATA_PREFIX)]))


def _write_compressed(path: Path, profiles: Profiles) -> None:
    table = _wide_table(profiles)
    pq.write_table(table, path, compression="zstd", use_dictionary=text_columns(table.schema))


def _read_wide(path: Path) -> Profiles:
    return _profiles(pq.read_table(path))


def _write_plain(path: Path, profiles: Profiles) -> None:
    write_profile_table(path, profiles, {})


def _read_block(path: Path) -> Profiles:
    return ProfileTable(path).read()


def _write_lists(path: Path, profiles: Profiles) -> None:
    values = pa.array(np.ascontiguousarray(profiles.matrix).ravel())
    table = to_arrow(profiles.metadata).append_column(
        _VALUES, pa.FixedSizeListArray.from_arrays(values, len(profiles.features))
    )
    names = {_NAMES: json.dumps(profiles.features).encode()}
    pq.write_table(table.replace_schema_metadata(names), path, compression="none", use_dictionary=False)


def _read_lists(path: Path) -> Profiles:
    table = pq.read_table(path)
    features = tuple(json.loads(table.schema.metadata[_NAMES]))
    values = table.column(_VALUES).combine_chunks().flatten().to_numpy()
    return Profiles(_metadata(table), values.reshape(-1, len(features)), features)


def _write_arrow(path: Path, profiles: Profiles) -> None:
    feather.write_feather(_wide_table(profiles), str(path), compression="uncompressed")


def _read_arrow(path: Path) -> Profiles:
    return _profiles(feather.read_table(path, memory_map=True))


def _write_numpy(path: Path, profiles: Profiles) -> None:
    """Write the matrix to ``path``; names and metadata to a table beside it."""
    with path.open("wb") as file:
        np.save(file, np.ascontiguousarray(profiles.matrix.T))
    names = {_NAMES: json.dumps(profiles.features).encode()}
    pq.write_table(to_arrow(profiles.metadata).replace_schema_metadata(names), _beside(path))


def _read_numpy(path: Path) -> Profiles:
    table = pq.read_table(_beside(path))
    return Profiles(to_frame(table), np.load(path).T, tuple(json.loads(table.schema.metadata[_NAMES])))


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.metadata")


LAYOUTS = (
    Layout("wide Parquet, zstd, with statistics", _write_compressed, _read_wide),
    Layout("wide Parquet, plain, by pyarrow", _write_plain, _read_wide),
    Layout("wide Parquet, plain, as a block (ours)", _write_plain, _read_block),
    Layout("Parquet, one column of lists", _write_lists, _read_lists),
    Layout("Arrow IPC (Feather), wide", _write_arrow, _read_arrow),
    Layout(".npy beside a table", _write_numpy, _read_numpy),
)


def _with_pandas(path: Path, feature: str) -> np.ndarray:
    frame = pd.read_feather(path) if _is_arrow(path) else pd.read_parquet(path)
    return frame[feature].to_numpy()


def _with_polars(path: Path, feature: str) -> np.ndarray:
    import polars as pl

    frame = pl.read_ipc(path) if _is_arrow(path) else pl.read_parquet(path)
    return frame[feature].to_numpy()


def _with_duckdb(path: Path, feature: str) -> np.ndarray:
    import duckdb

    found = duckdb.connect().execute(f"SELECT \"{feature}\" FROM read_parquet('{path}')").fetchnumpy()
    return np.ma.filled(found[feature], np.nan)


def _is_arrow(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6) == b"ARROW1"


TOOLS: Mapping[str, Callable[[Path, str], np.ndarray]] = MappingProxyType(
    {"pandas": _with_pandas, "polars": _with_polars, "DuckDB": _with_duckdb}
)


def opened_by(path: Path, profiles: Profiles) -> tuple[str, ...]:
    """Name the tools that give the values of the last feature by its name."""
    import duckdb
    import polars as pl

    name, expected = profiles.features[-1], profiles.matrix[:, -1]
    found = []
    for tool, read in TOOLS.items():
        try:
            values = read(path, name)
        except (KeyError, ValueError, OSError, pl.exceptions.PolarsError, duckdb.Error):
            continue  # it does not know the format, or the name
        if np.array_equal(values.astype(np.float32), expected, equal_nan=True):
            found.append(tool)
    return tuple(found)


def _one_plate(layout: Layout, path: Path, profiles: Profiles) -> tuple[float, tuple[float, Profiles]]:
    """Write and read one plate; give the seconds of reading and of writing, and the profiles that came back."""
    write_s, _ = median_run(partial(layout.write, path, profiles), RUNS)
    read_s, read = median_run(partial(layout.read, path), RUNS)
    return read_s, (write_s, read)


def _all_plates(layout: Layout, paths: Sequence[Path]) -> tuple[float, str]:
    seconds, read = median_run(lambda: stack(map(layout.read, paths)), 1, wall_seconds)
    return seconds, digest(read.matrix)


def drawn_batch(plates: int, features: int) -> list[Profiles]:
    """Draw plates in float32, as they are stored."""
    drawn = Drawn.of(features, seed=6)
    whole = [drawn.plate(number) for number in range(plates)]
    return [plate.with_matrix(plate.matrix.astype(np.float32)) for plate in whole]


def measure(layout: Layout, folder: Path, batch: Sequence[Profiles], expected: str) -> Row:
    """Measure one layout in an empty folder; the digest of the matrix of all plates says whether they came back."""
    paths = [folder / f"{number}.plate" for number in range(len(batch))]
    for path, profiles in zip(paths, batch, strict=True):
        layout.write(path, profiles)
    plate = in_fresh_process(_one_plate, layout, folder / "again.plate", batch[0])
    write_s, read = plate.result
    whole = in_fresh_process(_all_plates, layout, paths, cores=CORES)
    return Row(
        layout.name,
        write_s=round(write_s, 4),
        read_s=round(plate.seconds, 4),
        megabytes=round(sum(file.stat().st_size for file in folder.glob("0.plate*")) / 1e6, 2),
        batch_s=round(whole.seconds, 3),
        batch_mb=round(whole.megabytes),
        opened_by=opened_by(paths[0], batch[0]),
        agrees=whole.result == expected and read.metadata.equals(batch[0].metadata),
    )


def main(arguments: list[str] | None = None, *, plates: int = PLATES, features: int = FEATURES) -> None:
    """Print one line for each layout, or with ``--json`` one object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stored_layout", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    options = parser.parse_args(arguments)
    one_thread()
    batch = drawn_batch(plates, features)
    expected = digest(stack(batch).matrix)
    for layout in LAYOUTS:
        with tempfile.TemporaryDirectory() as folder:
            row = measure(layout, Path(folder), batch, expected)
        print(json.dumps(asdict(row)) if options.json else _line(row), flush=True)


def _line(row: Row) -> str:
    return (
        f"{row.name:<40} write {row.write_s:.3f} s, read {row.read_s:.4f} s, {row.megabytes:.1f} MB;"
        f"   batch {row.batch_s:.2f} s, {row.batch_mb:,} MB   opened by {', '.join(row.opened_by) or 'none'}"
        f"   {'agrees' if row.agrees else 'DIFFERS'}"
    )


if __name__ == "__main__":
    main()

"""Reading csv.gz and stored plates, and aggregating single cells: ours against the readers of the field.

Belongs here: these rows. Does not belong here: the calls (``profile_own``, ``profile_readers``).
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import profile_own, profile_readers
from benchmarks.processes import Measured
from benchmarks.profile_computations import stored_plates
from benchmarks.profile_inputs import PLATE, WELLS, Drawn, csv_header, feature_names, write_backend, write_csv
from benchmarks.profile_rows import ALL_CORES, RUNS, Bench, Row, Rows, alone, row
from cpjump_assets.science.features import Profiles, is_feature
from cpjump_assets.storage.store import Store

_EQUAL = 1e-9


def rows(bench: Bench, *, large: bool) -> Rows:
    """Give what makes each row from its name, by name; ``large`` adds a row that writes a backend of 8 GB."""
    sizes = bench.sizes
    csv = f"read csv.gz {WELLS} x {sizes.features:,}"
    backend = f"aggregate backend {sizes.cells:,} cells x 3 x {sizes.cell_features:,}"
    found: Rows = {
        **_csv_rows(bench, csv, cores=1),
        **_csv_rows(bench, f"{csv}, all cores", cores=ALL_CORES),
        f"{backend}, one core": partial(_aggregate, bench, 1),
        f"{backend}, all cores": partial(_aggregate, bench, ALL_CORES),
        f"{backend}, {profile_readers.EVERY_ROW}": partial(_aggregate_or_read, bench),
        **_load_rows(bench),
    }
    if large:
        name = f"aggregate backend {sizes.many_cells:,} cells x 3 x {sizes.cell_features:,}, ours alone"
        found[name] = partial(_aggregate_many, bench)
    return found


def _csv_rows(bench: Bench, name: str, cores: int) -> Rows:
    """Compare with the fastest reader, with each, and with unpacking alone."""
    readers = profile_readers.CSV_READERS
    return {
        name: partial(_read_csv, bench, tuple(readers), cores),
        **{f"{name}, {reader}": partial(_read_csv, bench, (reader,), cores) for reader in readers},
        f"{name}, {profile_readers.FLOOR}": partial(_unpack_csv, bench, cores),
    }


def _read_csv(bench: Bench, readers: Sequence[str], cores: int, name: str) -> Row:
    ours, path = _our_csv(bench, cores), _csv(bench)
    theirs = min((_their_csv(bench, reader, cores) for reader in readers), key=lambda measured: measured.seconds)
    expected = profile_readers.csv_values(theirs.result, list(ours.result.features))
    same_names = list(ours.result.features) == list(filter(is_feature, csv_header(path)))
    return row(name, ours, theirs, agrees=same_names and np.array_equal(ours.result.matrix, expected, equal_nan=True))


def _unpack_csv(bench: Bench, cores: int, name: str) -> Row:
    floor = bench.on_cores(cores, partial(profile_readers.unpacked, _csv(bench)), RUNS)
    return row(name, _our_csv(bench, cores), floor, agrees=None)


def _our_csv(bench: Bench, cores: int) -> Measured:
    call = partial(profile_own.read_csv, _csv(bench), PLATE)
    return bench.remember(f"our csv, {cores}", lambda: bench.on_cores(cores, call, RUNS))


def _their_csv(bench: Bench, reader: str, cores: int) -> Measured:
    call = partial(profile_readers.CSV_READERS[reader], _csv(bench), csv_header(_csv(bench)))
    return bench.remember(f"csv of {reader}, {cores}", lambda: bench.on_cores(cores, call, RUNS))


def _csv(bench: Bench) -> Path:
    path = bench.folder / "plate.csv.gz"
    return bench.remember("csv", lambda: write_csv(path, Drawn.of(bench.sizes.features, seed=1).plate(0)))


def _aggregate(bench: Bench, cores: int, name: str) -> Row:
    """Compare with pycytominer, which has one thread, on as many cores."""
    from benchmarks import profile_pycytominer

    ours = _our_cells(bench, cores)
    theirs = bench.remember(
        f"their cells, {cores}", lambda: bench.on_cores(cores, partial(profile_pycytominer.aggregated, _backend(bench)))
    )
    return row(name, ours, theirs, agrees=same_wells(ours.result, theirs.result))


def _aggregate_or_read(bench: Bench, name: str) -> Row:
    reading = bench.on_one_core(partial(profile_readers.every_row, _backend(bench)), 3)
    return row(name, _our_cells(bench, 1), reading, agrees=None)


def _aggregate_many(bench: Bench, name: str) -> Row:
    path = write_backend(bench.folder / "many.sqlite", bench.sizes.many_cells, bench.sizes.cell_features)
    return alone(name, bench.on_one_core(partial(profile_own.aggregated, path, PLATE, workers=1)))


def _our_cells(bench: Bench, cores: int) -> Measured:
    call = partial(profile_own.aggregated, _backend(bench), PLATE, workers=cores)
    return bench.remember(f"our cells, {cores}", lambda: bench.on_cores(cores, call, 3))


def _backend(bench: Bench) -> Path:
    sizes, path = bench.sizes, bench.folder / "plate.sqlite"
    return bench.remember("backend", lambda: write_backend(path, sizes.cells, sizes.cell_features))


def same_wells(found: Profiles, expected: pd.DataFrame) -> bool:
    """Compare all values of all wells, whatever the order of wells and features in either."""
    ours = found.to_frame().set_index("Metadata_Well")[list(found.features)]
    theirs = expected.set_index("Metadata_Well")
    theirs = theirs[feature_names(theirs)]
    if set(ours.index) != set(theirs.index) or set(ours.columns) != set(theirs.columns):
        return False
    theirs = theirs.loc[ours.index, ours.columns]
    return bool(np.allclose(ours.to_numpy(), theirs.to_numpy(), rtol=_EQUAL, atol=0, equal_nan=True))


def _load_rows(bench: Bench) -> Rows:
    """Compare with the fastest reader of Parquet, and with each."""
    plates, readers = bench.sizes.plates, profile_readers.PARQUET_READERS
    name = f"load {plates} plates, {WELLS * plates:,} x {bench.sizes.features:,}"
    return {
        name: partial(_load, bench, tuple(readers)),
        **{f"{name}, {reader}": partial(_load, bench, (reader,)) for reader in readers},
    }


def _load(bench: Bench, readers: Sequence[str], name: str) -> Row:
    """Compare with reading the same plates from ordinary wide Parquet files."""
    store, keys = stored_plates(bench, bench.sizes.plates)
    call = partial(profile_own.loaded, store, keys)
    ours = bench.remember("our matrix", lambda: bench.on_all_cores(call, 3, reduce=profile_own.digest))
    theirs = min((_their_matrix(bench, reader) for reader in readers), key=lambda measured: measured.seconds)
    return row(name, ours, theirs, agrees=ours.result == theirs.result)


def _their_matrix(bench: Bench, reader: str) -> Measured:
    files = bench.remember("wide files", lambda: _wide_files(bench))
    call = partial(profile_readers.PARQUET_READERS[reader], files)
    return bench.remember(f"matrix of {reader}", lambda: bench.on_all_cores(call, reduce=profile_own.digest))


def _wide_files(bench: Bench) -> list[Path]:
    """Write the stored plates again as pandas and pyarrow do by default: compressed, with statistics."""
    folder, keys = stored_plates(bench, bench.sizes.plates)
    store, files = Store(folder), []
    for number, key in enumerate(keys):
        files.append(folder / f"{number}.parquet")
        store.read_profiles(key).to_frame().to_parquet(files[-1], compression="zstd")
    return files

"""The benchmark of clusters: tables are made anew in every round, and another table is noticed."""

from pathlib import Path

from benchmarks.scale_out import ASSETS, Bench, Engine, Row, _line, hand_over
from cpjump_assets.orchestration import tables
from cpjump_assets.science.features import Profiles

ONE_THREAD = Engine("1 thread", threads=1)


def test_tables_are_made_anew_and_others_noticed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, features=20, plates=1)
    store, (plate,) = bench.store, bench.plates
    before = [store.path(asset.key(str(plate))).stat().st_mtime_ns for asset in ASSETS]
    seconds, same = bench.make(ONE_THREAD)
    assert seconds > 0
    assert same
    after = [store.path(asset.key(str(plate))).stat().st_mtime_ns for asset in ASSETS]
    assert all(new > old for old, new in zip(before, after, strict=True))
    key = tables.AGGREGATED_PROFILES.key(str(plate))
    profiles = store.read_profiles(key)
    other = Profiles(profiles.metadata, 2 * profiles.matrix, profiles.features)
    store.write_profiles(key, other, store.describe(key).provenance)
    assert not bench.make(ONE_THREAD)[1]


def test_rows_say_what_was_measured() -> None:
    connecting, nothing = hand_over(ONE_THREAD)
    assert connecting.milliseconds >= 0
    assert nothing.what == "nothing to make, a plate"
    assert _line(Row("w", "2 workers", 1.5, 8.0, False)).endswith("2 workers  1.50 s, 8.00 plates/s, OTHER TABLES")

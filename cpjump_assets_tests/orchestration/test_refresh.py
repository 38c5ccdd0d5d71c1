"""A refresh makes everything once, records it, and afterwards makes again only what changed."""

import gzip
import hashlib
from dataclasses import replace
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration import automation, tables
from cpjump_assets.orchestration.partitions import PLATE_KEYS, contiguous_ranges
from cpjump_assets.orchestration.refresh import PlannedRun, RefreshRequest, refresh_plan
from cpjump_assets.science import presets
from cpjump_assets.science.preset_names import DEFAULT_PRESET
from cpjump_assets.science.strategies import STRATEGIES
from cpjump_assets.simulate.s3.faults import ChangedObject, FaultPlan, FaultRule, FlippedBit
from cpjump_assets.simulate.writer import GALLERY
from cpjump_assets_tests.orchestration.asked import Watcher
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, LAB_PLATES, Lab

PLATE_ASSETS = (
    tables.AGGREGATED_PROFILES,
    tables.ANNOTATED_PROFILES,
    tables.NORMALIZED_PROFILES,
    tables.NORMALIZED_WHOLE_PLATE,
    tables.PLATE_SELECTED_PROFILES,
    tables.WELL_QUALITY,
    tables.PROFILE_REPRODUCTION,
)
OF_THE_PLATE_ALONE = PLATE_ASSETS[:-1]
"""The last one compares what was selected over the batch as well, so that it depends on every plate."""
BATCH_ASSETS = (
    tables.EXPERIMENT_METADATA,
    tables.PERTURBATIONS,
    tables.WELLS,
    tables.FEATURE_SELECTION,
    tables.SELECTED_PROFILES,
    tables.PLATE_QUALITY,
    tables.OVERALL_CLASSES,
    tables.OVERALL_SCORES,
    tables.OVERALL_PERCENT_SCORES,
    tables.OVERALL_DIRECTIONALITY,
    tables.OVERALL_DIRECTIONAL_PAIRS,
    tables.PUBLISHED_COMPARISON,
    tables.BENCHMARK_FIGURES,
)
NEW_ASSETS = (
    tables.PLATE_SELECTED_PROFILES,
    tables.OVERALL_PERCENT_SCORES,
    tables.OVERALL_DIRECTIONALITY,
    tables.OVERALL_DIRECTIONAL_PAIRS,
    tables.BENCHMARK_PERCENT_SCORES,
    tables.BENCHMARK_DIRECTIONALITY,
    tables.BENCHMARK_FIGURES,
)
"""What the first release did not make."""
OLDER_PLATE_ASSETS = tuple(asset for asset in PLATE_ASSETS if asset not in NEW_ASSETS)
STRATEGY_ASSETS = (
    tables.SPLIT_MANIFEST,
    tables.LEAKAGE_AUDIT,
    tables.BENCHMARK_CLASSES,
    tables.BENCHMARK_SCORES,
    tables.BENCHMARK_PERCENT_SCORES,
    tables.BENCHMARK_DIRECTIONALITY,
)


def test_the_plan_states_the_order_of_the_design() -> None:
    plan = refresh_plan(PLATE_KEYS[:51])
    assert [(run.job, run.partition) for run in plan] == [
        ("metadata", None),
        ("profiles", None),
        ("batch", None),
        ("reproduction", None),
        *(("strategy", name) for name in STRATEGIES),
        ("comparison", None),
    ]
    assert plan[1].plate_range == plan[3].plate_range == (PLATE_KEYS[0], PLATE_KEYS[50])


def test_ranges_cover_the_plates_and_nothing_else() -> None:
    wanted = [PLATE_KEYS[place] for place in (7, 3, 4, 5, 50)]
    assert contiguous_ranges(wanted) == [
        (PLATE_KEYS[3], PLATE_KEYS[5]),
        (PLATE_KEYS[7], PLATE_KEYS[7]),
        (PLATE_KEYS[50], PLATE_KEYS[50]),
    ]
    assert contiguous_ranges(PLATE_KEYS[:5], at_most=2) == [
        (PLATE_KEYS[0], PLATE_KEYS[1]),
        (PLATE_KEYS[2], PLATE_KEYS[3]),
        (PLATE_KEYS[4], PLATE_KEYS[4]),
    ]


@pytest.mark.parametrize("asset", PLATE_ASSETS, ids=lambda asset: asset.name)
def test_each_plate_is_recorded_exactly_once(refreshed_lab: Lab, asset: tables.StoredAsset) -> None:
    recorded = refreshed_lab.materializations(asset)
    assert sorted(record.partition_key for record in recorded) == sorted(LAB_KEYS)
    for record in recorded:
        stored = refreshed_lab.store.describe(asset.key(record.partition_key))
        tags = record.asset_materialization.tags
        assert tags["dagster/data_version"] == stored.digest
        assert tags["dagster/code_version"] == asset.code_version


@pytest.mark.parametrize("asset", (*BATCH_ASSETS, *STRATEGY_ASSETS), ids=lambda asset: asset.name)
def test_every_table_is_recorded_with_rows_columns_and_digest(refreshed_lab: Lab, asset: tables.StoredAsset) -> None:
    for record in refreshed_lab.materializations(asset):
        stored = refreshed_lab.store.describe(asset.key(record.partition_key))
        metadata = record.asset_materialization.metadata
        assert metadata["dagster/row_count"].value == stored.rows > 0
        assert [column.name for column in metadata["dagster/column_schema"].value.columns][:40] == list(stored.columns)
        assert metadata["sha256"].value == stored.digest


def test_after_a_refresh_nothing_is_stale(refreshed_lab: Lab) -> None:
    graph = build_defs(refreshed_lab.settings).resolve_asset_graph()
    with refreshed_lab.instance() as instance:
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        stale = {
            (name.to_user_string(), key): [cause.reason for cause in resolver.get_stale_causes(name, key)]
            for name in graph.materializable_asset_keys
            for key in _partitions_of(name.to_user_string())
            if resolver.get_status(name, key) is not StaleStatus.FRESH
        }
    assert stale == {}


def _partitions_of(asset: str) -> list[str | None]:
    if asset in {plate_asset.name for plate_asset in PLATE_ASSETS}:
        return list(LAB_KEYS)
    return list(STRATEGIES) if asset in {strategy.name for strategy in STRATEGY_ASSETS} else [None]


def test_what_comes_of_simulated_data_says_so_and_is_not_compared(refreshed_lab: Lab) -> None:
    scores = refreshed_lab.store.describe(tables.OVERALL_SCORES.key())
    assert scores.provenance.origin == "simulated gallery, size lab, seed 0"
    comparison = refreshed_lab.store.read(tables.PUBLISHED_COMPARISON.key())
    assert set(comparison["verdict"]) == {"not compared: simulated data"}
    assert comparison["ours"].isna().all()


def test_a_second_refresh_is_the_job_of_the_ui_and_makes_only_what_an_older_release_did_not(lab: Lab) -> None:
    before = lab.digests()
    events = {asset: len(lab.materializations(asset)) for asset in OLDER_PLATE_ASSETS}
    _age(lab)
    assert lab.digests() != before
    foreign = _open_run_of_another_store(lab)
    finished = lab.run("refresh")
    assert finished.success, finished.errors
    assert not [request for request in lab.server.requests if request.key.endswith(".csv.gz")]
    assert lab.digests() == before
    assert {asset: len(lab.materializations(asset)) for asset in OLDER_PLATE_ASSETS} == events
    with lab.instance() as instance:
        runs = instance.get_runs(filters=dg.RunsFilter(tags={"cpjump/refresh": finished.run_id[:8]}))
        assert instance.get_run_by_id(foreign).status is dg.DagsterRunStatus.STARTED
    assert [run.job_name for run in reversed(runs)][-4:] == ["strategy", "strategy", "strategy", "comparison"]
    assert all(run.is_success for run in runs)


def _age(lab: Lab) -> None:
    """Take away what an older release of the code did not make, and columns that it did not know."""
    for asset in NEW_ASSETS:
        for path in sorted((lab.store.root / asset.group).rglob(f"{asset.name}*/*.parquet")):
            path.unlink()
        lab.store.remove(asset.key())
    scores = lab.store.describe(tables.OVERALL_SCORES.key())
    older = lab.store.read(scores.key).drop(columns=["reference_experiment_type", "wells"]).head(3)
    lab.store.write(scores.key, older, scores.provenance)


def _open_run_of_another_store(lab: Lab) -> str:
    """Record a run that a refresh of another store has begun, as both may share an instance."""
    with lab.instance() as instance:
        tags = {"cpjump/refresh": "x", "cpjump/refreshed_store": "another"}
        run = instance.create_run_for_job(build_defs(lab.settings).resolve_job_def("metadata"), tags=tags)
        instance.report_dagster_event(
            dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name="metadata"), run.run_id
        )
    return run.run_id


def test_one_changed_plate_is_made_again_and_no_other_and_automation_leaves_it_to_the_refresh(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = LAB_PLATES[2]
    lab.drop_last_well(changed)
    before = lab.digests()
    watcher = Watcher(lab)
    assert watcher.asked() == {}
    _, error = lab.refresh(after_run=watcher.expect_silence_after("profiles", "batch", "strategy"))
    assert error is None
    monkeypatch.setattr(automation, "_BETWEEN_RUNS", timedelta(0))
    assert watcher.asked() == watcher.asked() == {}
    after = lab.digests()
    places = {f"{asset.key(key)}.parquet": (asset, key) for asset in OF_THE_PLATE_ALONE for key in LAB_KEYS}
    remade = {place for path, place in places.items() if before[path] != after[path]}
    assert remade == {(asset, str(changed)) for asset in OF_THE_PLATE_ALONE}
    assert before["profiles/selected_profiles.parquet"] != after["profiles/selected_profiles.parquet"]
    for asset in OF_THE_PLATE_ALONE:
        newest = lab.materializations(asset)[0]
        assert (newest.partition_key, len(lab.materializations(asset))) == (str(changed), len(LAB_KEYS) + 1)


def test_a_table_that_was_altered_or_cut_off_on_disk_is_made_again(lab: Lab) -> None:
    before = lab.digests()
    altered, cut = (tables.NORMALIZED_PROFILES.key(key) for key in LAB_KEYS[:2])
    frame = lab.store.read(altered)
    lab.store.write(altered, frame.iloc[::-1], lab.store.describe(altered).provenance)
    lab.store.path(cut).write_bytes(lab.store.path(cut).read_bytes()[:100])
    assert lab.digests() != before
    finished = lab.run("profiles", plates=LAB_KEYS[:2])
    assert finished.success, finished.errors
    assert lab.digests() == before


def test_a_pulled_file_that_was_altered_at_its_size_is_pulled_again(lab: Lab) -> None:
    before = lab.digests()
    key = tables.AGGREGATED_PROFILES.key(LAB_KEYS[0])
    pulled = lab.store.gallery_folder / GALLERY.profile_key(LAB_PLATES[0])
    content = pulled.read_bytes()
    pulled.write_bytes(content[:500] + bytes([content[500] ^ 1]) + content[501:])
    lab.store.remove(key)
    finished = lab.run("profiles", plates=LAB_KEYS[:1])
    assert finished.success, finished.errors
    assert pulled.read_bytes() == content
    assert lab.digests() == before


def test_an_object_that_cannot_be_pulled_stops_its_own_plate_only(lab: Lab) -> None:
    for plate in LAB_PLATES[:4]:
        path = lab.profile_path(plate)
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), mtime=1))
    spoiled = LAB_PLATES[2]
    lab.server.faults = FaultPlan(FaultRule(FlippedBit(), keys=f"*{spoiled.barcode}.csv.gz"))
    made = {key: lab.store.describe(tables.AGGREGATED_PROFILES.key(key)).provenance for key in LAB_KEYS}
    finished = lab.run("profiles", plates=LAB_KEYS[2:4])
    assert not finished.success
    assert spoiled.barcode in finished.errors[0]
    now = {key: lab.store.describe(tables.AGGREGATED_PROFILES.key(key)).provenance for key in LAB_KEYS}
    assert {key for key in LAB_KEYS if made[key] != now[key]} == {LAB_KEYS[3]}


def test_an_object_that_changes_while_it_is_pulled_is_recorded_as_what_was_pulled(lab: Lab) -> None:
    changed = LAB_PLATES[2]
    lab.profile_path(changed).write_bytes(
        gzip.compress(gzip.decompress(lab.profile_path(changed).read_bytes()), mtime=1)
    )

    def without_last_well(content: bytes) -> bytes:
        lines = gzip.decompress(content).decode().splitlines(keepends=True)
        return gzip.compress("".join(lines[:-1]).encode(), mtime=2)

    # The listing still shows the former version: only what is read afterwards has changed.
    changing = FaultRule(ChangedObject(without_last_well), keys=f"*{changed.barcode}.csv.gz")
    lab.server.faults = FaultPlan(changing)
    finished = lab.run("profiles", plates=[str(changed)])
    assert finished.success, finished.errors
    stored = lab.store.describe(tables.AGGREGATED_PROFILES.key(str(changed)))
    pulled = (lab.store.gallery_folder / f"{GALLERY.profile_key(changed)}").read_bytes()
    assert stored.rows == 383
    assert stored.provenance.inputs["gallery_profiles"] == f"{hashlib.md5(pulled).hexdigest()}-{len(pulled)}"


def test_another_configuration_makes_a_plate_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tables.NORMALIZED_PROFILES.key(LAB_KEYS[0])
    before = lab.store.describe(key)
    changed = replace(presets.PRESETS[DEFAULT_PRESET], epsilon=5.0)
    monkeypatch.setattr(presets, "PRESETS", {DEFAULT_PRESET: changed})
    assert lab.run("profiles", plates=LAB_KEYS[:1]).success
    after = lab.store.describe(key)
    assert after.provenance.inputs != before.provenance.inputs
    assert after.digest != before.digest


def test_plates_per_run_splits_the_range() -> None:
    plan = refresh_plan(LAB_KEYS, plates_per_run=1)
    for job in ("profiles", "reproduction"):
        assert [run.plate_range for run in plan if run.job == job] == [(key, key) for key in LAB_KEYS]


def test_a_plate_that_is_not_listed_is_one_clear_error(lab: Lab) -> None:
    absent = PLATE_KEYS[0]
    assert absent not in LAB_KEYS
    _, error = lab.refresh(RefreshRequest(plates=(absent,)))
    assert str(error) == f"the gallery does not hold the aggregated profile of {absent}"


def test_plates_that_the_gallery_lacks_are_a_counted_warning(refreshed_lab: Lab) -> None:
    with refreshed_lab.instance() as instance:
        key = dg.AssetCheckKey(tables.AGGREGATED_PROFILES.asset_key, "main_plates_pulled")
        (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    evaluation = record.event.dagster_event.event_specific_data
    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    assert evaluation.metadata["missing"].value == 51 - len(LAB_KEYS)


def test_a_failed_run_ends_the_refresh_unless_it_is_a_strategy_or_compares_profiles() -> None:
    plan = refresh_plan(PLATE_KEYS[:2])
    assert [run.job for run in plan if not run.required] == ["reproduction", *["strategy"] * 3]
    assert PlannedRun("x", "x").tags == {}

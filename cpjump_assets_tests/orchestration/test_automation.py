"""What automation asks for, told by what happened since it last looked: exactly what a change touches, once."""

import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import (
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    CachingStaleStatusResolver,
    StaleCauseCategory,
    get_input_data_version_tag,
)
from dagster._core.loader import LoadingContextForTest

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration import automation, tables
from cpjump_assets.orchestration.assets.sources import version_observation
from cpjump_assets.orchestration.outdated import outdated_partitions
from cpjump_assets.orchestration.partitions import PLATE_KEYS
from cpjump_assets.orchestration.tables import StoredAsset
from cpjump_assets.science.errors import SettingsError
from cpjump_assets.science.strategies import STRATEGIES
from cpjump_assets.settings import Settings
from cpjump_assets_tests.orchestration.asked import BATCH, CHAIN, OF_STRATEGIES, Asked, asked_for
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, Lab

PLATE = LAB_KEYS[2]


@dataclass
class Watched:
    """A history that a test may add to, and automation that was turned on when the lab had been refreshed."""

    instance: dg.DagsterInstance
    definitions: dg.Definitions
    cursor: object
    made: int = field(default=0)

    def tick(self) -> Asked:
        """Let automation look at what happened, and give what it asks for."""
        asked, self.cursor = asked_for(self.definitions, self.instance, self.cursor)
        return asked

    def version(self, asset: StoredAsset, partition: str | None = None) -> str:
        """Give the data version on record."""
        record = self.instance.get_latest_data_version_record(asset.asset_key, partition_key=partition)
        return record.asset_materialization.tags[DATA_VERSION_TAG]

    def observe(self, plate: str, version: str | None = None) -> None:
        """Record that the gallery holds a plate in a version; by default in the one that was seen last."""
        if version is None:
            seen = self.instance.get_latest_data_version_record(dg.AssetKey("gallery_profiles"), True, plate)
            version = seen.asset_observation.tags[DATA_VERSION_TAG]
        self.instance.report_runless_asset_event(version_observation("gallery_profiles", plate, version))

    def make(
        self, asset: StoredAsset, partition: str | None = None, *, version: str | None = None, **inputs: str
    ) -> None:
        """Record that an asset was made; by default in a version that was never there."""
        self.made += 1
        tags = {
            DATA_VERSION_TAG: version or f"new version {self.made}",
            DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
            **{get_input_data_version_tag(dg.AssetKey(name)): made_from for name, made_from in inputs.items()},
        }
        event = dg.AssetMaterialization(asset.asset_key, partition=partition, tags=tags)
        self.instance.report_runless_asset_event(event)

    def begin(self, job: str, tags: dict[str, str] | None = None) -> dg.DagsterRun:
        """Record that a run has begun."""
        run = self.instance.create_run_for_job(self.definitions.resolve_job_def(job), tags=tags)
        begun = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name=job)
        self.instance.report_dagster_event(begun, run.run_id)
        return run

    def check(self, asset: StoredAsset, name: str, partition: str | None = None, *, passed: bool) -> None:
        """Record what a check found."""
        evaluation = dg.AssetCheckEvaluation(asset.asset_key, name, passed, metadata={}, partition=partition)
        self.instance.report_runless_asset_event(evaluation)

    def pass_checks(self, asset: StoredAsset) -> None:
        """Record that an asset without partitions passed its blocking checks; those of a former table do not count."""
        graph = self.definitions.resolve_asset_graph()
        for key in graph.get(asset.asset_key).check_keys:
            if graph.get_check_spec(key).blocking:
                self.check(asset, key.name, passed=True)


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_defs(Settings())


@pytest.fixture(scope="module")
def turned_on(refreshed_lab: Lab, definitions: dg.Definitions) -> object:
    """Give what automation remembers of its first look at the refreshed lab."""
    with refreshed_lab.instance() as instance:
        asked, cursor = asked_for(definitions, instance, None)
    assert asked == {}
    return cursor


@pytest.fixture
def watched(
    refreshed_lab: Lab,
    definitions: dg.Definitions,
    turned_on: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Watched]:
    """Give a copy of the history of the refreshed lab; its refresh counts as over."""
    monkeypatch.setattr(automation, "_BETWEEN_RUNS", timedelta(0))
    shutil.copytree(refreshed_lab.settings.dagster_home, tmp_path / "home")
    with dg.DagsterInstance.from_config(str(tmp_path / "home")) as instance:
        yield Watched(instance, definitions, turned_on)


def _of(names: Collection[str], partitions: Collection[str | None] = (None,)) -> Asked:
    return {name: set(partitions) for name in names}


def test_nothing_is_asked_for_when_the_sources_are_seen_unchanged(watched: Watched) -> None:
    for plate in LAB_KEYS:
        watched.observe(plate)
    assert watched.tick() == {}
    assert watched.tick() == {}


def test_a_changed_plate_asks_for_what_is_made_of_it_alone_and_once(watched: Watched) -> None:
    watched.observe(PLATE, "another version")
    assert watched.tick() == _of(CHAIN, [PLATE])
    assert watched.tick() == {}


def test_a_plate_that_was_never_made_is_left_to_a_refresh(watched: Watched) -> None:
    absent = next(key for key in PLATE_KEYS if key not in LAB_KEYS)
    watched.observe(absent, "first seen")
    assert watched.tick() == {}


def test_what_was_never_made_of_a_plate_is_left_to_a_refresh(watched: Watched) -> None:
    halfway = next(key for key in PLATE_KEYS if key not in LAB_KEYS)
    watched.make(tables.AGGREGATED_PROFILES, halfway, gallery_profiles="the version that was pulled")
    watched.observe(halfway, "another version")
    assert watched.tick() == _of(["aggregated_profiles"], [halfway])


def test_the_batch_follows_a_plate_although_the_gallery_lacks_45_and_the_strategies_wait_for_it(
    watched: Watched,
) -> None:
    watched.make(tables.NORMALIZED_PROFILES, PLATE)
    watched.make(tables.PLATE_SELECTED_PROFILES, PLATE)
    assert watched.tick() == _of(BATCH) | _of(["well_quality"], [PLATE])


def test_the_three_strategies_follow_the_batch_in_one_go(watched: Watched) -> None:
    watched.make(tables.NORMALIZED_PROFILES, PLATE)
    watched.make(tables.PLATE_SELECTED_PROFILES, PLATE)
    watched.tick()
    watched.make(tables.SELECTED_PROFILES)
    watched.pass_checks(tables.SELECTED_PROFILES)
    asked = watched.tick()
    assert {name: asked[name] for name in OF_STRATEGIES} == _of(OF_STRATEGIES, STRATEGIES)
    assert not {"split_manifest", "leakage_audit"} & set(asked)
    assert watched.tick() == {}


def test_tables_that_are_made_again_and_come_out_equal_ask_for_nothing(watched: Watched) -> None:
    for asset in (tables.WELLS, tables.PERTURBATIONS, tables.SELECTED_PROFILES, tables.OVERALL_SCORES):
        watched.make(asset, version=watched.version(asset))
        watched.pass_checks(asset)
    assert watched.tick() == {}


def test_what_changes_while_a_table_is_being_made_asks_for_the_table_again(watched: Watched) -> None:
    watched.make(tables.FEATURE_SELECTION, normalized_profiles="what the plates were when the table was begun")
    watched.make(tables.NORMALIZED_PROFILES, PLATE)
    assert watched.tick()["feature_selection"] == {None}


def test_a_strategy_whose_blocking_check_failed_is_not_asked_for_and_the_others_are(watched: Watched) -> None:
    refused = STRATEGIES[1]
    watched.check(tables.SPLIT_MANIFEST, "promise_target", refused, passed=False)
    watched.make(tables.SELECTED_PROFILES)
    watched.pass_checks(tables.SELECTED_PROFILES)
    asked = watched.tick()
    assert asked["benchmark_classes"] == asked["benchmark_scores"] == set(STRATEGIES) - {refused}


def test_no_strategy_is_asked_for_while_a_blocking_check_of_the_batch_fails(watched: Watched) -> None:
    watched.make(tables.SELECTED_PROFILES)
    watched.check(tables.SELECTED_PROFILES, "selected_profiles_finite", passed=False)
    assert "benchmark_classes" not in watched.tick()
    watched.check(tables.SELECTED_PROFILES, "selected_profiles_finite", passed=True)
    assert watched.tick()["benchmark_classes"] == set(STRATEGIES)


def test_nothing_is_asked_for_while_a_refresh_is_at_work_and_later_what_it_left_undone(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = watched.begin("observe_reference", {tables.REFRESH_TAG: "a refresh"})
    watched.observe(PLATE, "another version")
    assert watched.tick() == {}
    monkeypatch.setattr(automation, "_BETWEEN_RUNS", timedelta(minutes=2))
    watched.instance.report_run_failed(run)
    assert watched.tick() == {}, "the next run of the refresh may be about to begin"
    monkeypatch.setattr(automation, "_BETWEEN_RUNS", timedelta(0))
    assert watched.tick() == _of(CHAIN, [PLATE])


def test_nothing_is_asked_for_while_a_table_is_being_made(watched: Watched) -> None:
    run = watched.begin("batch")
    watched.observe(PLATE, "another version")
    assert watched.tick() == {}
    watched.instance.report_run_failed(run)
    assert watched.tick() == _of(CHAIN, [PLATE])


def test_out_of_date_is_what_dagster_calls_so(watched: Watched) -> None:
    watched.observe(PLATE, "another version")
    watched.make(tables.NORMALIZED_PROFILES, LAB_KEYS[3])
    watched.make(tables.WELLS)
    watched.make(tables.SPLIT_MANIFEST, STRATEGIES[0])
    instance, graph = watched.instance, watched.definitions.resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    ours, theirs = {}, {}
    for key in (dg.AssetKey(name) for name in (*CHAIN, *BATCH, *OF_STRATEGIES, "split_manifest", "leakage_audit")):
        partitions: list[str | None] = [None]
        if graph.get(key).is_partitioned:
            partitions = list(
                STRATEGIES if STRATEGIES[0] in graph.get(key).partitions_def.get_partition_keys() else LAB_KEYS
            )
        ours[key.to_user_string()] = outdated_partitions(instance, graph, key, partitions)
        theirs[key.to_user_string()] = {
            partition
            for partition in partitions
            for cause in resolver.get_stale_causes(key, partition)
            if cause.category is StaleCauseCategory.DATA
        }
    assert ours == theirs
    assert {name for name, partitions in ours.items() if not partitions} >= {"overall_scores", "published_comparison"}
    assert ours["annotated_profiles"] == set(LAB_KEYS)
    assert ours["aggregated_profiles"] == {PLATE}
    assert ours["leakage_audit"] == set(STRATEGIES)


def test_what_pulls_much_or_compares_with_others_is_not_automated(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    automated = {key.to_user_string() for key in graph.materializable_asset_keys if graph.get(key).automation_condition}
    assert automated == {*CHAIN, *BATCH, *OF_STRATEGIES, "split_manifest", "leakage_audit"} | {
        "experiment_metadata",
        "perturbations",
        "wells",
        "known_issues",
    }


def test_automation_waits_to_be_turned_on_and_no_other_sensor_does_its_work(definitions: dg.Definitions) -> None:
    sensors = {sensor.name: sensor for sensor in definitions.get_repository_def().sensor_defs}
    assert "default_automation_condition_sensor" not in sensors
    assert sensors["automation"].default_status is dg.DefaultSensorStatus.STOPPED
    assert sensors["automation"].run_tags == {"cpjump/store": "main"}


@pytest.mark.parametrize(
    ("name", "job"),
    [("observe_reference_schedule", "observe_reference"), ("observe_gallery_schedule", "observe_gallery")],
)
def test_the_sources_are_looked_at_when_the_setting_says(name: str, job: str) -> None:
    schedule = build_defs(Settings(observe_cron="30 1 * * 2")).resolve_schedule_def(name)
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert (schedule.cron_schedule, schedule.execution_timezone, schedule.job_name) == ("30 1 * * 2", "UTC", job)
    (request,) = schedule.evaluate_tick(dg.build_schedule_context()).run_requests
    ends = [request.tags.get(f"dagster/asset_partition_range_{end}") for end in ("start", "end")]
    assert ends == ([PLATE_KEYS[0], PLATE_KEYS[-1]] if job == "observe_gallery" else [None, None])


@pytest.mark.parametrize(
    ("job", "cron"),
    [
        ("refresh", "10 1 * * *"),
        ("prune", "0 6 * * 0"),
        ("verify", "30 4 2 * *"),
        ("observe_images", "0 5 1 * *"),
    ],
)
def test_what_else_runs_by_itself_is_off_until_somebody_turns_it_on(job: str, cron: str) -> None:
    definitions = build_defs(Settings(refresh_cron="10 1 * * *", verify_cron="30 4 2 * *"))
    schedule = definitions.resolve_schedule_def(f"{job}_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone, schedule.job_name) == (cron, "UTC", job)
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert len(schedule.evaluate_tick(dg.build_schedule_context()).run_requests) == 1


@pytest.mark.parametrize("setting", ["refresh_cron", "observe_cron", "verify_cron"])
def test_a_time_that_is_none_names_its_variable(setting: str) -> None:
    settings = replace(Settings(), **{setting: "61 2 * * 1"})
    with pytest.raises(SettingsError, match=rf"CPJUMP_{setting.upper()} must be a cron expression.*'61 2 \* \* 1'"):
        build_defs(settings)

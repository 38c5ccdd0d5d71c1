"""Pruning forgets runs, and nothing that Dagster tells of assets, checks and automation changes by it."""

import gzip
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import pytest
from click.testing import CliRunner

from cpjump_assets.build import build_defs
from cpjump_assets.cli import main
from cpjump_assets.orchestration import automation, pruning, tables
from cpjump_assets.orchestration.needed_runs import Need
from cpjump_assets.orchestration.pruning import PruneReport, find_old_runs, prune
from cpjump_assets.orchestration.recording import recorded_versions
from cpjump_assets.science.strategies import STRATEGIES
from cpjump_assets.settings import Settings
from cpjump_assets.web import open_instance
from cpjump_assets_tests.orchestration.asked import asked_for
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, LAB_PLATES, Lab
from cpjump_assets_tests.orchestration.small_platform import SmallPlatform, state_of
from cpjump_assets_tests.processes import Postgres, running_postgres


class Lived(NamedTuple):
    """A store, what automation had seen at some moments, and all that Dagster tells."""

    folder: Path
    cursors: list[Any]
    told: dict[str, Any]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """Give a small platform with some weeks behind it; take a copy."""
    folder = tmp_path_factory.mktemp("lived")
    with open_instance(Settings(store=folder)) as instance:
        platform = SmallPlatform(instance)
        cursors = _live(platform)
        return Lived(folder, cursors, _told(platform, cursors))


@contextmanager
def _copy(lived: Lived, folder: Path) -> Iterator[SmallPlatform]:
    shutil.copytree(lived.folder, folder)
    with open_instance(Settings(store=folder)) as instance:
        yield SmallPlatform(instance)


def _live(platform: SmallPlatform) -> list[Any]:
    """Let some weeks pass; give what automation had seen at the end of each."""
    cursors: list[Any] = []

    def remember() -> None:
        cursors.append(platform.automation(cursors[-1] if cursors else None).cursor)

    def week(*plates: str) -> None:
        platform.look()
        platform.make(*plates)
        platform.make_batch()

    week("a", "b", "c")
    remember()
    week()
    week()
    remember()
    platform.versions["b"] = "2"
    week("b")
    remember()
    platform.versions["c"] = "2"
    platform.broken = {"c"}
    week("c")
    remember()
    platform.versions["a"] = "3"
    platform.look()
    platform.versions["a"] = "1"
    platform.look()
    remember()
    platform.look()
    platform.make("b")
    platform.broken = {"b", "c"}
    platform.make("b")
    platform.check_batch()
    platform.idle()
    return cursors


def _told(platform: SmallPlatform, cursors: list[Any]) -> dict[str, Any]:
    """Give all that Dagster tells, and what automation requests next, from what it had seen at each moment."""
    return {**_state(platform), "requests": _requests(platform, cursors)}


def _state(platform: SmallPlatform) -> dict[str, Any]:
    return {**platform.state(), "last event": platform.instance.event_log_storage.get_maximum_record_id()}


def _requests(platform: SmallPlatform, cursors: list[Any]) -> list[dict[str, set[Any]]]:
    results = [platform.automation(cursor) for cursor in [None, *cursors]]
    return [
        {name: result.get_requested_partitions(dg.AssetKey(name)) for name in ("plate", "batch")} for result in results
    ]


def _prune(platform: SmallPlatform) -> PruneReport:
    return prune(platform.instance, platform.checks, before=datetime.now(UTC))


def _assert_nothing_changes(platform: SmallPlatform, cursors: list[Any], told: dict[str, Any]) -> None:
    assert told["plates"]["plate"]["failed"] == {"b", "c"}
    assert any(wanted["plate"] for wanted in told["requests"])
    assert {status for status, *_ in told["stale"].values()} == {"FRESH", "STALE"}
    runs = len(platform.instance.get_runs())

    report = _prune(platform)

    assert len(report.plan.deleted) >= 4
    assert len(platform.instance.get_runs()) == runs - len(report.plan.deleted)
    assert _told(platform, cursors) == told
    assert _prune(platform).plan.deleted == ()


def test_pruning_everything_changes_nothing_that_is_told(lived: Lived, tmp_path: Path) -> None:
    with _copy(lived, tmp_path / "copy") as platform:
        _assert_nothing_changes(platform, lived.cursors, lived.told)


def test_pruning_everything_changes_nothing_that_is_told_in_postgres(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPJUMP_POSTGRES_URL", postgres.url)
    with open_instance(Settings(store=tmp_path, postgres_url=postgres.url)) as instance:
        platform = SmallPlatform(instance)
        cursors = _live(platform)
        _assert_nothing_changes(platform, cursors, _told(platform, cursors))
    assert postgres.execute("select count(*) from event_logs where run_id not in (select run_id from runs)") == "0"


@pytest.mark.parametrize("need", [Need.LATEST, Need.VERSION, Need.SOURCE, Need.ATTEMPT, Need.CHECK, Need.NEWEST])
def test_without_any_one_of_the_reasons_something_would_change(
    need: Need, lived: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = pruning.plan_pruning
    monkeypatch.setattr(
        pruning, "plan_pruning", lambda ended, needs, **how: decide(ended, {**needs, need: set()}, **how)
    )
    with _copy(lived, tmp_path / "copy") as platform:
        _prune(platform)
        same = all(lived.told[name] == value for name, value in _state(platform).items())
        assert not (same and _requests(platform, lived.cursors) == lived.told["requests"])


def test_younger_runs_unfinished_ones_and_those_of_open_backfills_stay(lived: Lived, tmp_path: Path) -> None:
    with _copy(lived, tmp_path / "copy") as platform:
        instance, now = platform.instance, datetime.now(UTC)
        deletable = find_old_runs(instance, platform.checks, before=now).deleted
        assert find_old_runs(instance, platform.checks, before=now - timedelta(days=1)).deleted == ()
        instance.add_run_tags(deletable[0], {"dagster/backfill": "open"})
        instance.add_run_tags(deletable[1], {"dagster/backfill": "done"})
        for name, status in (("open", "REQUESTED"), ("done", "COMPLETED_SUCCESS")):
            instance.add_backfill(platform.backfill(name, status))
        begun = instance.create_run_for_job(platform.definitions.resolve_job_def("look"))
        plan = find_old_runs(instance, platform.checks, before=datetime.now(UTC))
        assert set(plan.deleted) == set(deletable) - {deletable[0]}
        assert plan.kept[Need.BACKFILL] == plan.kept[Need.UNFINISHED] == 1
        assert begun.run_id not in plan.deleted


def test_nothing_is_left_of_a_deleted_run_even_when_a_pruning_was_killed(
    lived: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(instance: dg.DagsterInstance) -> int:
        raise Killed

    with _copy(lived, tmp_path / "copy") as platform:
        monkeypatch.setattr(pruning, "_remove_files_of_no_run", kill)
        with pytest.raises(Killed):
            _prune(platform)
        monkeypatch.undo()
        report = _prune(platform)
        assert report.plan.deleted == ()
        assert report.freed > 100_000
        left = {run.run_id for run in platform.instance.get_runs()}
        home = Settings(store=tmp_path / "copy").dagster_home
        of_runs = {path.name.partition(".")[0] for path in (home / "history" / "runs").iterdir()}
        assert of_runs == left | {"index"}
        assert {path.name for path in (home / "storage").iterdir()} <= left


def test_the_command_deletes_what_it_says_and_the_lab_looks_as_before(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automation, "_BETWEEN_RUNS", timedelta(0))
    definitions = build_defs(lab.settings)
    checks = definitions.resolve_asset_graph().asset_check_keys
    environment = lab.settings.to_environment()

    def week() -> None:
        assert lab.run("observe_gallery", plates=LAB_KEYS[:2]).success
        assert lab.run("metadata", assets=["known_issues"]).success

    def run(*options: str) -> list[str]:
        result = CliRunner().invoke(main, ["prune", *options], env=environment)
        assert result.exit_code == 0, result.output
        return result.output.splitlines()

    def told() -> dict[str, Any]:
        with lab.instance() as instance:
            return {
                **state_of(instance, definitions, checks, without_staleness_of=[*LAB_KEYS[2:], *STRATEGIES[1:]]),
                "asked for": asked_for(definitions, instance, cursor)[0],
                "recorded": recorded_versions(instance, tables.NORMALIZED_PROFILES, LAB_KEYS),
                "runs": len(instance.get_runs()),
            }

    week()
    week()
    with lab.instance() as instance:
        _, cursor = asked_for(definitions, instance, None)
    changed = lab.profile_path(LAB_PLATES[0])
    changed.write_bytes(gzip.compress(gzip.decompress(changed.read_bytes()), mtime=1))
    week()
    partial = lab.store.root / "profiles" / "left.parquet.0123abcd.part"
    partial.touch()
    before = told()
    assert before["asked for"]["aggregated_profiles"] == {LAB_KEYS[0]}
    assert set(before["recorded"]) == set(LAB_KEYS)

    assert run("--dry-run")[0] == "0 runs would be deleted"
    (said, *_) = run("--keep-days", "0", "--dry-run")
    deletable = int(said.removesuffix(" runs would be deleted"))
    assert deletable >= 2
    assert partial.exists()

    first, second, *_ = run("--keep-days", "0")
    assert first.startswith(f"{deletable} runs deleted with their events, ")
    assert second == "1 file of no use removed from the store"
    assert not partial.exists()
    assert told() == {**before, "runs": before["runs"] - deletable}


def test_the_job_keeps_as_many_days_as_its_configuration_says(lived: Lived, tmp_path: Path) -> None:
    with _copy(lived, tmp_path / "copy") as platform:
        settings = Settings(store=tmp_path / "copy", keep_days=2)
        job = build_defs(settings).resolve_job_def("prune")

        def execute(**config: int) -> dict[str, Any]:
            result = job.execute_in_process(
                instance=platform.instance, run_config={"ops": {"prune_runs": {"config": config}}} if config else None
            )
            (shown,) = (event.step_output_data.metadata for event in result.all_events if event.is_successful_output)
            return {name: entry.value for name, entry in shown.items()}

        runs = len(platform.instance.get_runs())
        assert execute()["deleted runs"] == 0
        shown = execute(older_than_days=0)
        assert shown["deleted runs"] > 0
        assert shown["younger runs"] == 0
        assert len(platform.instance.get_runs()) == runs + 2 - shown["deleted runs"]

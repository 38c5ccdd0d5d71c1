"""Failed runs are found once, with what they say; the next success of the same job and partitions ends it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import freeze_time

from cpjump_assets.orchestration.alerting import runs
from cpjump_assets.orchestration.alerting.collecting import Seen
from cpjump_assets_tests.orchestration.alerting.trials import ON_SQLITE, UI, Listener, Trials

A, B = (f"run:manifests:{partition}" for partition in "ab")


def test_the_first_look_tells_what_is_wrong_now_and_no_history(trials: Trials, listener: Listener) -> None:
    trials.make("a", failing=True)
    trials.make("a")
    trials.make("b", failing=True)
    trials.make("b", failing=True)
    assert listener.told() == [f"failed {B}"]
    assert listener.told() == []


def test_only_a_success_of_the_same_partition_ends_it(trials: Trials, listener: Listener) -> None:
    assert listener.told() == []
    run = trials.make("a", failing=True)
    (event,) = listener.look()
    assert event.what == "manifests for a failed: wells leak in a"
    assert ("run", run) in event.numbers
    assert event.link == f"{UI}/runs/{run}"
    trials.make("b")
    trials.check("a")
    assert listener.told() == []
    trials.make("a", failing=True)
    assert listener.told() == []
    trials.make("a")
    assert listener.told() == [f"recovered {A}"]
    trials.make("a")
    assert listener.told() == []


def test_a_failure_and_a_success_between_two_looks_are_both_told(trials: Trials, listener: Listener) -> None:
    listener.look()
    trials.make("a", failing=True)
    trials.make("a")
    assert listener.told() == [f"failed {A}", f"recovered {A}"]


@ON_SQLITE
def test_a_range_is_named_by_its_ends(trials: Trials, listener: Listener) -> None:
    trials.failing = True
    trials.run("manifests", **{"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "c"})
    assert listener.told() == ["failed run:manifests:a...c"]


@ON_SQLITE
def test_a_run_that_was_launched_again_ends_the_first(
    trials: Trials, listener: Listener, instance: dg.DagsterInstance
) -> None:
    def materialize(*, failing: bool, **tags: str) -> str:
        trials.failing = failing
        assets = [asset for asset in trials.definitions.assets if asset.key == dg.AssetKey("manifest")]
        tags = {"dagster/partition": "a", **tags}
        return dg.materialize(assets, instance=instance, tags=tags, raise_on_error=False).run_id

    first = materialize(failing=True)
    (event,) = listener.look()
    assert event.what.startswith("materialization of everything for a failed: wells leak")
    materialize(failing=False, **{"dagster/root_run_id": first, "dagster/parent_run_id": first})
    assert listener.told() == ["recovered run:materialization of everything:a"]


def test_a_run_whose_process_was_killed_says_so(
    trials: Trials, listener: Listener, instance: dg.DagsterInstance
) -> None:
    listener.look()
    job = trials.definitions.resolve_job_def("manifests")
    run = instance.create_run_for_job(job, tags={"dagster/partition": "a"}, status=dg.DagsterRunStatus.STARTED)
    assert listener.told() == []
    instance.report_run_failed(run, "the process that executed this run ended before it did")
    (event,) = listener.look()
    assert event.what == "manifests for a failed: the process that executed this run ended before it did"


def test_a_run_that_was_marked_as_failed_and_succeeds_after_all_recovers(
    trials: Trials, listener: Listener, instance: dg.DagsterInstance
) -> None:
    listener.look()
    job = trials.definitions.resolve_job_def("manifests")
    run = instance.create_run_for_job(job, tags={"dagster/partition": "a"}, status=dg.DagsterRunStatus.STARTED)
    instance.report_run_failed(run, "nobody heard of it for long")
    assert listener.told() == [f"failed {A}"]
    success = dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, job_name=run.job_name)
    instance.report_dagster_event(success, run.run_id)
    assert listener.told() == [f"recovered {A}"]
    assert listener.told() == []


def test_a_run_that_ended_a_while_before_it_was_seen_is_told(trials: Trials, listener: Listener) -> None:
    """Another machine's clock is behind, or its database transaction was slow."""
    listener.look()
    seen = listener.seen
    trials.make("b")
    listener.look()
    ahead = replace(listener.seen.runs, until=listener.seen.runs.until + runs.OVERLAP_SECONDS / 2)
    listener.state = replace(listener.state, cursor=replace(seen, runs=ahead).to_text())
    trials.make("a", failing=True)
    assert listener.told() == [f"failed {A}"]
    assert listener.told() == []


def test_a_machine_whose_clock_is_ahead_does_not_hide_later_runs(
    trials: Trials, listener: Listener, instance: dg.DagsterInstance
) -> None:
    listener.look()
    job = trials.definitions.resolve_job_def("manifests")
    run = instance.create_run_for_job(job, tags={"dagster/partition": "b"}, status=dg.DagsterRunStatus.STARTED)
    with freeze_time(datetime.now(UTC) + timedelta(days=1)):
        instance.report_run_failed(run)
    assert listener.told() == [f"failed {B}"]
    trials.make("a", failing=True)
    assert listener.told() == [f"failed {A}"]
    assert listener.told() == []


def test_a_tag_on_an_old_run_does_not_tell_it_again(
    trials: Trials, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "OVERLAP_SECONDS", 0.0)
    failed = trials.make("a", failing=True)
    trials.make("a")
    listener.look()
    trials.make("b")
    listener.look()
    listener.state = replace(listener.state, seen=())  # the last line of defence is gone
    trials.instance.add_run_tags(failed, {"looked": "at"})
    assert listener.told() == []


@pytest.mark.parametrize("text", [None, '{"version": 0}', "{}{", "[]", '{"version": 1, "checks": null}'])
def test_a_cursor_that_cannot_be_read_begins_anew(text: str | None) -> None:
    assert Seen.from_text(text) == Seen()


@ON_SQLITE
def test_a_cursor_is_read_as_it_was_written(trials: Trials, listener: Listener) -> None:
    trials.make("a", failing=True)
    listener.look()
    assert listener.seen.runs.told != ()
    assert Seen.from_text(listener.seen.to_text()) == listener.seen

"""Failed checks are found once, whichever way and whenever they were evaluated."""

import dagster as dg
import pytest
import sqlalchemy

from cpjump_assets.orchestration.alerting import checks
from cpjump_assets_tests.orchestration.alerting.trials import CHECK, ON_SQLITE, UI, Listener, Trials

A, B = (f"check:manifest:sound:{partition}" for partition in "ab")


def test_the_first_look_tells_what_is_wrong_now_and_no_history(trials: Trials, listener: Listener) -> None:
    trials.check("a", broken=True)
    trials.check("a")
    trials.check("b")
    trials.check("b", broken=True)
    assert listener.told() == [f"failed {B}"]
    assert listener.told() == []
    trials.check("b")
    assert listener.told() == [f"recovered {B}"]
    assert listener.told() == []


def test_what_failed_and_recovered_between_two_looks_is_told(trials: Trials, listener: Listener) -> None:
    assert listener.told() == []
    trials.check("a", broken=True)
    trials.check("b")
    trials.check("a")
    trials.check("a", broken=True)
    trials.check("a", broken=True)
    assert listener.told() == [f"failed {A}", f"recovered {A}", f"failed {A}"]
    trials.check("a", broken=True)
    assert listener.told() == []


@ON_SQLITE
def test_what_an_alert_says(trials: Trials, listener: Listener) -> None:
    run = trials.check("a", broken=True)
    (event,) = listener.look()
    assert event.what == "Check sound of manifest for a failed"
    assert event.severity == "error"
    assert event.numbers == (("groups", "160"), ("share", "0.5"), ("which", "A01"))
    assert event.link == f"{UI}/runs/{run}"
    trials.check("a")
    (event,) = listener.look()
    assert event.what == "Check sound of manifest for a passes again"
    assert event.advice == "Nothing to do."


def test_an_evaluation_without_a_run_is_told(trials: Trials, listener: Listener, instance: dg.DagsterInstance) -> None:
    trials.check("a")
    assert listener.told() == []
    # Dagster 1.13 takes one evaluation without a run for a partition, and any number of them for none.
    for passed, partition in ((False, None), (True, None), (False, "a")):
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=CHECK.asset_key, check_name=CHECK.name, passed=passed, metadata={}, partition=partition
            )
        )
        (event,) = listener.look()
        assert event.state == ("recovered" if passed else "failed")
        assert event.subject.key == (A if partition else "check:manifest:sound")
        assert event.link == f"{UI}/assets/manifest?view=checks&checkDetail=sound"
    trials.check("a")
    assert listener.told() == [f"recovered {A}"]


def test_a_run_that_goes_on_while_others_end_is_told(trials: Trials, listener: Listener) -> None:
    """Its row was planned before theirs, and is evaluated after a look that saw theirs."""
    looks: list[list[str]] = []

    def another_run() -> None:
        Trials(trials.instance, broken={"table"}).run("others")
        looks.extend(listener.told() for _ in range(2))

    trials.during = another_run
    trials.check("a", broken=True)
    assert looks == [["failed check:table:table_schema"], []]
    assert listener.told() == [f"failed {A}"]
    assert listener.told() == []


def test_rows_that_are_never_evaluated_do_not_hold_the_cursor(
    trials: Trials, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster plans a row for each partition of a range, and evaluates one of none."""
    span = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "c"}
    trials.broken = {"b"}
    trials.run("checks", **span)
    assert listener.told() == ["failed check:manifest:sound"]
    assert listener.seen.checks.told != ()
    monkeypatch.setattr(checks, "_YOUNG_SECONDS", -60.0)
    assert listener.told() == []
    assert listener.seen.checks.told == ()
    trials.check("a", broken=True)
    assert listener.told() == [f"failed {A}"]


def test_a_row_that_is_seen_later_than_one_with_a_higher_number_is_told(
    trials: Trials, listener: Listener, instance: dg.DagsterInstance
) -> None:
    def rename(before: str, after: str) -> None:
        statement = "update asset_check_executions set check_name = :after where check_name = :before"
        with instance.event_log_storage.index_connection() as connection:
            connection.execute(sqlalchemy.text(statement), {"after": after, "before": before})

    trials.check("a", broken=True)
    rename("sound", "not there yet")
    trials.broken = {"table"}
    trials.run("others")
    assert listener.told() == ["failed check:table:table_schema"]
    rename("not there yet", "sound")
    assert listener.told() == [f"failed {A}"]
    assert listener.told() == []


def test_numbers_that_sqlite_gives_again_are_told(trials: Trials, listener: Listener) -> None:
    trials.check("b")
    last = trials.check("a", broken=True)
    assert listener.told() == [f"failed {A}"]
    trials.instance.delete_run(last)
    assert listener.told() == []
    trials.check("a")
    trials.check("b", broken=True)
    assert listener.told() == [f"recovered {A}", f"failed {B}"]


@ON_SQLITE
def test_only_errors_are_told_where_that_is_asked_for(trials: Trials, instance: dg.DagsterInstance) -> None:
    errors, all_of_them = Listener(instance, alert_on="error"), Listener(instance)
    trials.severity = dg.AssetCheckSeverity.WARN
    trials.check("a", broken=True)
    assert errors.told() == []
    (event,) = all_of_them.look()
    assert event.severity == "warning"
    trials.severity = dg.AssetCheckSeverity.ERROR
    trials.check("a", broken=True)
    assert errors.told() == [f"failed {A}"]
    trials.severity = dg.AssetCheckSeverity.WARN
    trials.check("a", broken=True)
    (event,) = errors.look()
    assert (event.state, event.what) == ("recovered", "Check sound of manifest for a fails as a warning only")
    assert all_of_them.told() == [f"failed {A}"]  # the warning became an error

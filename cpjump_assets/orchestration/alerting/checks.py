"""Asset checks that failed, and that pass again.

Belongs here: reading evaluations, those of runs and those that were reported without one. Does not belong here: whether
one is news (``alerts.state``).

Dagster keeps a row for each execution of a check: planned when its run begins, overwritten when it is evaluated. The
rows of all checks are numbered in one sequence, on SQLite and on Postgres, unlike events, whose numbers on SQLite begin
anew in each run. A row that is still planned may become an evaluation later, so the cursor stays in front of it until
its run has ended. Postgres gives a number before the row is there for others to see, so the cursor stays in front of
young rows, too. Rows behind the cursor that were told already are remembered.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)
from dagster._core.storage.dagster_run import FINISHED_STATUSES

from cpjump_assets.alerts.events import AlertEvent, Subject
from cpjump_assets.orchestration.alerting import advice, wording

_PAGE = 50
_FIRST_LOOK = 100
"""Rows of each check that the first look goes back; what failed before them and was never evaluated again stays so."""
_YOUNG_SECONDS = 60.0
_PLANNED = AssetCheckExecutionRecordStatus.PLANNED


@dataclass(frozen=True)
class SeenChecks:
    """What of the checks has been told.

    Attributes
    ----------
    settled
        Rows up to this one are told, or will never be evaluated.
    told
        Keys of the events of later rows that were told.
    """

    settled: int = 0
    told: tuple[str, ...] = ()


def look_at_checks(
    instance: dg.DagsterInstance,
    keys: Collection[dg.AssetCheckKey],
    seen: SeenChecks | None,
    *,
    ui_url: str,
    alert_on: str,
    now: float,
) -> tuple[list[AlertEvent], SeenChecks]:
    """Give what checks found since the last look.

    Parameters
    ----------
    keys
        The checks of the code location.
    seen
        What was told; None at the first look, which gives the latest evaluation of each check and partition alone.
    alert_on
        Least severity that counts as failed.
    now
        Time of this look, in seconds since 1970.
    """
    since = seen or SeenChecks()
    newest, rows = _rows_after(instance, keys, since.settled, first=seen is None)
    ended = _ended_runs(instance, rows)
    if ended:  # what was evaluated between the two queries is read now, and no later evaluation can follow
        newest, rows = _rows_after(instance, keys, since.settled, first=seen is None)
    settled = _settled(rows, ended, young=now - _YOUNG_SECONDS, before=since.settled)
    evaluated = sorted((row for row in rows if row.status is not _PLANNED), key=_time)
    chosen = _latest_of_each(evaluated) if seen is None else evaluated
    told = set(since.told)
    events = [_event(row, ui_url=ui_url, alert_on=alert_on) for row in chosen if _event_key(row) not in told]
    ahead = tuple(_event_key(row) for row in evaluated if settled is not None and row.id > settled)
    return events, SeenChecks(newest if settled is None else settled, ahead)


def _settled(
    rows: Collection[AssetCheckExecutionRecord], ended: Collection[str], *, young: float, before: int
) -> int | None:
    """Give the last row in front of those that are open or young; None where there are none of these."""
    held = [
        row.id for row in rows if row.create_timestamp > young or (row.status is _PLANNED and row.run_id not in ended)
    ]
    if not held:
        return None
    # Not the number before the first of them: that may be the row which is not there yet.
    first = min(held)
    return max((row.id for row in rows if row.id < first), default=before)


def _rows_after(
    instance: dg.DagsterInstance, keys: Collection[dg.AssetCheckKey], settled: int, *, first: bool
) -> tuple[int, list[AssetCheckExecutionRecord]]:
    """Give the number of the newest row, and the rows behind the cursor; one query tells which checks have any.

    The newest number falls when runs are deleted, and SQLite gives the freed ones again.
    """
    storage = instance.event_log_storage
    latest = storage.get_latest_asset_check_execution_by_key(list(keys))
    rows: list[AssetCheckExecutionRecord] = []
    for key, newest in latest.items():
        if newest.id <= settled:
            continue
        page = storage.get_asset_check_execution_history(key, limit=_FIRST_LOOK if first else _PAGE)
        while page:
            rows.extend(row for row in page if row.id > settled)
            if first or page[-1].id <= settled:
                break
            page = storage.get_asset_check_execution_history(key, limit=_PAGE, cursor=page[-1].id)
    return max((row.id for row in (*latest.values(), *rows)), default=0), rows


def _ended_runs(instance: dg.DagsterInstance, rows: Iterable[AssetCheckExecutionRecord]) -> set[str]:
    """Give those of the runs with planned rows that have ended, or are not on record any more."""
    planned = {row.run_id for row in rows if row.status is _PLANNED}
    if not planned:
        return set()
    runs = instance.get_runs(filters=dg.RunsFilter(run_ids=sorted(planned)))
    return planned - {run.run_id for run in runs if run.status not in FINISHED_STATUSES}


def _latest_of_each(rows: Iterable[AssetCheckExecutionRecord]) -> Iterable[AssetCheckExecutionRecord]:
    return {(row.key, row.partition): row for row in rows}.values()


def _time(row: AssetCheckExecutionRecord) -> tuple[float, int]:
    return row.event.timestamp, row.id


def _event_key(row: AssetCheckExecutionRecord) -> str:
    return f"{_subject(row).key}@{wording.moment(row.event.timestamp)}"


def _subject(row: AssetCheckExecutionRecord) -> Subject:
    asset = row.key.asset_key.to_user_string()
    return Subject("check", f"{row.key.name} of {asset}", asset=asset, check=row.key.name, partition=row.partition)


def _event(row: AssetCheckExecutionRecord, *, ui_url: str, alert_on: str) -> AlertEvent:
    found = row.evaluation
    subject = _subject(row)
    is_error = found.severity is dg.AssetCheckSeverity.ERROR
    failed = not found.passed and (is_error or alert_on == "warning")
    where = f" for {row.partition}" if row.partition else ""
    verdict = "failed" if failed else "passes again" if found.passed else "fails as a warning only"
    described = f": {found.description}" if found.description and not found.passed else ""
    return AlertEvent(
        key=_event_key(row),
        subject=subject,
        state="failed" if failed else "recovered",
        severity="error" if is_error else "warning",
        what=wording.short(f"Check {row.key.name} of {subject.asset}{where} {verdict}{described}"),
        numbers=() if found.passed else wording.numbers_of(found.metadata),
        link=wording.run_link(ui_url, row.run_id) if row.run_id else wording.check_link(ui_url, row.key),
        advice=advice.of_check(row.key) if failed else advice.RECOVERED,
        happened_at=wording.moment(row.event.timestamp),
    )

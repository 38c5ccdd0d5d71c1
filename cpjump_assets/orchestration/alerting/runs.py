"""Runs that failed, and the next success of the same job and partitions.

Belongs here: reading runs that ended. Does not belong here: whether one is news (``alerts.state``).

Runs are found by the time of their last update. A process writes it before the row is there for others to see, and by a
clock of its own, so each look goes back a while and remembers the runs that it told of.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from cpjump_assets.alerts.events import AlertEvent, Subject
from cpjump_assets.orchestration.alerting import advice, wording
from cpjump_assets.orchestration.failures import reason_of_step

OVERLAP_SECONDS = 600.0
_FIRST_LOOK = 1000
_MOST_REASONS = 3
_MOST_NAMES = 3
_ENDED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]
_NO_JOB = "__"
_PARTITION = "dagster/partition"
_RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


@dataclass(frozen=True)
class SeenRuns:
    """What of the runs has been told.

    Attributes
    ----------
    until
        Latest end of a run that was told, in seconds since 1970; never later than the look.
    told
        Keys of the events that a look which goes back the overlap finds again.
    """

    until: float = 0.0
    told: tuple[str, ...] = ()


def look_at_runs(
    instance: dg.DagsterInstance, seen: SeenRuns | None, *, ui_url: str, now: float
) -> tuple[list[AlertEvent], SeenRuns]:
    """Give the runs that ended since the last look.

    Parameters
    ----------
    seen
        What was told; None at the first look, which gives of each job and its partitions the latest run alone.
    now
        Time of this look, in seconds since 1970.
    """
    since = (seen or SeenRuns()).until - OVERLAP_SECONDS
    records = _first_records(instance) if seen is None else _records_after(instance, since)
    ended = sorted((record for record in records if record.end_time is not None), key=_end)
    subjects = {record.dagster_run.run_id: _subject(instance, record.dagster_run) for record in ended}
    keys = {record.dagster_run.run_id: _event_key(subjects[record.dagster_run.run_id], record) for record in ended}
    latest = {subjects[record.dagster_run.run_id].key: record for record in ended}
    chosen = list(latest.values()) if seen is None else ended
    told = set() if seen is None else set(seen.told)
    events = [
        _event(instance, record, subjects[run_id], keys[run_id], ui_url=ui_url)
        for record in chosen
        if keys[run_id := record.dagster_run.run_id] not in told
    ]
    # A machine whose clock is ahead ends its runs in the future: looks from then on would find no run of the present.
    until = min(max([(seen or SeenRuns()).until, *map(_end, ended)]), now)
    kept = (keys[record.dagster_run.run_id] for record in ended if _end(record) > until - OVERLAP_SECONDS)
    return events, SeenRuns(until, tuple(kept))


def _first_records(instance: dg.DagsterInstance) -> Sequence[dg.RunRecord]:
    return instance.get_run_records(dg.RunsFilter(statuses=_ENDED), limit=_FIRST_LOOK)


def _records_after(instance: dg.DagsterInstance, since: float) -> list[dg.RunRecord]:
    after = datetime.fromtimestamp(max(since, 0.0), UTC)
    records = instance.get_run_records(dg.RunsFilter(statuses=_ENDED, updated_after=after))
    # A tag that somebody gives to an old run updates the run, too.
    return [record for record in records if record.end_time is not None and record.end_time > since]


def _event_key(subject: Subject, record: dg.RunRecord) -> str:
    """Name the event: a run that was marked as failed may go on, and succeed after all."""
    run = record.dagster_run
    return f"{subject.key}@{run.run_id}" + (" succeeded" if run.status is dg.DagsterRunStatus.SUCCESS else "")


def _end(record: dg.RunRecord) -> float:
    return record.end_time or 0.0


def _subject(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Subject:
    """Say what run it is: its job and partitions; a run that was launched again is the same as the first one."""
    if run.root_run_id:
        run = instance.get_run_by_id(run.root_run_id) or run
    return Subject("run", _job(run), partition=_partitions(run))


def _job(run: dg.DagsterRun) -> str:
    """Name the job; what is launched from the asset graph has none, and is named by what it makes."""
    if not run.job_name.startswith(_NO_JOB):
        return run.job_name
    assets = sorted(key.to_user_string() for key in run.asset_selection or ())
    checks = sorted(f"{key.name} of {key.asset_key.to_user_string()}" for key in run.asset_check_selection or ())
    names = assets or checks or ["everything"]
    if len(names) <= _MOST_NAMES:
        return f"materialization of {', '.join(names)}"
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]
    return f"materialization of {names[0]} and {len(names) - 1} others ({digest})"


def _partitions(run: dg.DagsterRun) -> str | None:
    first, last = (run.tags.get(tag) for tag in _RANGE)
    if first is not None and last is not None:
        return first if first == last else f"{first}...{last}"
    return run.tags.get(_PARTITION)


def _event(
    instance: dg.DagsterInstance, record: dg.RunRecord, subject: Subject, key: str, *, ui_url: str
) -> AlertEvent:
    run = record.dagster_run
    failed = run.status is dg.DagsterRunStatus.FAILURE
    title = subject.name + (f" for {subject.partition}" if subject.partition else "")
    lasted = (("lasted", wording.duration(_end(record) - record.start_time)),) if record.start_time else ()
    return AlertEvent(
        key=key,
        subject=subject,
        state="failed" if failed else "recovered",
        severity="error",
        what=wording.short(f"{title} failed: {_reason(instance, run)}" if failed else f"{title} succeeds again"),
        numbers=(("run", run.run_id), *lasted) if failed else (),
        link=wording.run_link(ui_url, run.run_id),
        advice=advice.of_run(run.job_name) if failed else advice.RECOVERED,
        happened_at=wording.moment(_end(record)),
    )


def _reason(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Give what the failed steps say; where no step failed, what ended the run."""
    steps = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE, limit=_MOST_REASONS)
    reasons = [reason_of_step(record.event_log_entry.dagster_event) for record in steps.records]
    if reasons:
        return "; ".join(reasons)
    ends = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE, limit=1).records
    return ends[0].event_log_entry.dagster_event.message or "no reason on record" if ends else "no reason on record"

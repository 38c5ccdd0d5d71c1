"""Sensors, schedules and automation whose ticks fail, and that run again.

Belongs here: reading ticks, those of the sensor that tells the alerts among them: it tells of its own failure at the
next tick that succeeds. Does not belong here: whether one is news (``alerts.state``).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorTick,
    InstigatorTickSummary,
    TickStatus,
)

from cpjump_assets.alerts.events import AlertEvent, Subject
from cpjump_assets.orchestration.alerting import advice, wording
from cpjump_assets.orchestration.failures import reason_of_error

_KINDS = {InstigatorType.SENSOR: "sensor", InstigatorType.SCHEDULE: "schedule"}
_OVERLAP_SECONDS = 60.0
_DONE = (TickStatus.SUCCESS, TickStatus.SKIPPED, TickStatus.FAILURE)


@dataclass(frozen=True)
class SeenTicks:
    """What of the ticks has been told.

    Attributes
    ----------
    looked_at
        When the last look was, in seconds since 1970: of a sensor that was turned on since, all later ticks are told.
    last
        Start and number of the last tick that was told, and whether it failed, by the selector of its sensor or
        schedule; before the first one, the look before it was seen, and 0.
    """

    looked_at: float = 0.0
    last: Mapping[str, tuple[float, int, bool]] = field(default_factory=dict)


def look_at_ticks(
    instance: dg.DagsterInstance, seen: SeenTicks | None, *, ui_url: str, now: float
) -> tuple[list[AlertEvent], SeenTicks]:
    """Give the ticks since the last look of everything that is turned on, as far as their outcome changes.

    Parameters
    ----------
    seen
        What was told; None at the first look, which gives the latest tick of each alone.
    now
        Time of this look, in seconds since 1970.
    """
    events: list[AlertEvent] = []
    since = seen or SeenTicks(looked_at=now)
    last = dict(since.last)
    running = {InstigatorStatus.RUNNING, InstigatorStatus.DECLARED_IN_CODE}
    for state in instance.all_instigator_state(instigator_statuses=running):
        if state.instigator_type not in _KINDS:
            continue
        # What was turned on since the last look begins well, and its first tick may go on through many looks.
        start, number, failed = last.setdefault(state.selector_id, (since.looked_at, 0, False))
        done = _ended_ticks(instance, state, after=None if seen is None else start, number=number)
        if done:
            last[state.selector_id] = (done[-1].timestamp, done[-1].tick_id, _failed(done[-1]))
        events.extend(_event(_tick(instance, tick), state, ui_url=ui_url) for tick in _changes(done, failed))
    return sorted(events, key=lambda event: event.happened_at), SeenTicks(now, last)


def _ended_ticks(
    instance: dg.DagsterInstance, state: InstigatorState, *, after: float | None, number: int
) -> list[InstigatorTickSummary]:
    """Give the ticks that have ended since, in their order, without what they carry; the latest where no time is.

    The last one is among them: Dagster tries a schedule's failed tick again, under its number.
    """
    summaries = instance.schedule_storage.get_tick_summaries(
        state.instigator_origin_id,
        state.selector_id,
        after=None if after is None else max(after - _OVERLAP_SECONDS, 0.0),
        limit=1 if after is None else None,
        statuses=list(_DONE),
    )
    return sorted((tick for tick in summaries if tick.tick_id >= number), key=lambda tick: tick.tick_id)


def _changes(ticks: list[InstigatorTickSummary], before: bool) -> Iterator[InstigatorTickSummary]:
    """Leave out what is as the tick before it."""
    for tick in ticks:
        if _failed(tick) is not before:
            yield tick
        before = _failed(tick)


def _failed(tick: InstigatorTickSummary) -> bool:
    return tick.status is TickStatus.FAILURE


def _tick(instance: dg.DagsterInstance, summary: InstigatorTickSummary) -> InstigatorTick:
    return instance.schedule_storage.get_tick(summary.tick_id)


def _event(tick: InstigatorTick, state: InstigatorState, *, ui_url: str) -> AlertEvent:
    data, kind = tick.tick_data, _KINDS[state.instigator_type]
    title = f"{kind} {state.name}"
    subject = Subject("sensor", title)
    failed = data.status is TickStatus.FAILURE
    reason = reason_of_error(data.error, title) if data.error else "no reason on record"
    started = wording.moment(data.timestamp)
    location = state.origin.repository_origin.code_location_origin.location_name
    return AlertEvent(
        key=f"{subject.key}@{tick.tick_id} {started}" + ("" if failed else " succeeded"),
        subject=subject,
        state="failed" if failed else "recovered",
        severity="error",
        what=wording.short(f"{title} fails: {reason}" if failed else f"{title} runs again"),
        numbers=(("tick", str(tick.tick_id)),) if failed else (),
        link=wording.instigator_link(ui_url, location, kind, state.name),
        advice=advice.of_instigator() if failed else advice.RECOVERED,
        happened_at=started,
    )

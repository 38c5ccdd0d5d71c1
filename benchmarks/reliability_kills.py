"""Killing a refresh at a drawn moment of a stage, and reading where it was.

Belongs here: stages, moments, waiting for one, SIGKILL. Does not belong here: what must be true afterwards
(``reliability_record``), anything else that happens to a refresh (``reliability_faults``).

A stage is a run of the plan of a refresh, or what comes before the first one. A moment is drawn evenly over the time
that the stage takes undisturbed, and then kept as a place in the order of events: after so many events of the run, and
so long after the last of them. So a slower machine is killed at the same place.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import dagster as dg
import numpy as np
from dagster._core.storage.dagster_run import FINISHED_STATUSES

from benchmarks.reliability_platform import SIZE, Platform
from benchmarks.reliability_process import END_SECONDS, HangError, RefreshProcess
from cpjump_assets.orchestration.refresh import OBSERVE_GALLERY, OBSERVE_REFERENCE, refresh_plan
from cpjump_assets.web import open_instance

_LOOK_SECONDS = 0.1
"""Looking reads the record, which takes a refresh's processor from it; how long ago an event was, its own time says."""
_TELLING_SECONDS = 0.1
"""A shorter time does not tell how fast the machine is."""
_PARTITION = "dagster/partition"
_STEP_ENDS = frozenset(
    {dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.STEP_SKIPPED}
)


class Stage(NamedTuple):
    """A run of the plan: its job, and the partition if the plan has several runs of the job."""

    job: str
    partition: str | None = None

    def __str__(self) -> str:
        """Spell it for a person."""
        return self.job if self.partition is None else f"{self.job} {self.partition}"

    @classmethod
    def of(cls, run: dg.DagsterRun) -> "Stage":
        """Give the stage that a run is of."""
        return cls(run.job_name, run.tags.get(_PARTITION))


START = Stage("start")
"""From the start of the process to its first run: the lock, the Dagster home and its databases."""
_PLAN = (OBSERVE_REFERENCE, OBSERVE_GALLERY, *refresh_plan([str(plate) for plate in SIZE.plates]))
STAGES = (START, *(Stage(run.job, run.partition) for run in _PLAN))


@dataclass(frozen=True)
class Timeline:
    """When the events of an undisturbed refresh were recorded.

    Attributes
    ----------
    start
        Seconds from the start of the process to its first event.
    events
        Seconds of each event since the first one of its run, by stage.
    """

    start: float
    events: dict[Stage, tuple[float, ...]]

    @classmethod
    def read(cls, platform: Platform, known: frozenset[str], *, started_at: float) -> "Timeline":
        """Read it from the record of a refresh, all of whose runs were not known before, and when it was started."""
        first = None
        events: dict[Stage, tuple[float, ...]] = {}
        with open_instance(platform.settings) as instance:
            for run in runs_since(instance, known):
                records = instance.get_records_for_run(run.run_id).records
                moments = [record.event_log_entry.timestamp for record in records]
                first = first or moments[0]
                # Of several runs of a stage, over ranges of plates, the first is the one that is killed.
                events.setdefault(Stage.of(run), tuple(moment - moments[0] for moment in moments))
        return cls((first or started_at) - started_at, events)

    def draw(self, stage: Stage, random: np.random.Generator) -> "Moment":
        """Draw a moment of a stage, evenly over its time."""
        if stage == START:
            return Moment(stage, 0, float(random.uniform(0, self.start)))
        events = self.events[stage]
        drawn = float(random.uniform(0, events[-1]))
        passed = int(np.searchsorted(events, drawn, side="right"))
        return Moment(stage, passed, drawn - events[passed - 1], elapsed=events[passed - 1])


@dataclass(frozen=True)
class Moment:
    """A place in a refresh.

    Attributes
    ----------
    stage
        The run, or ``START``.
    events
        So many of its events are on record.
    seconds
        Time since the last of them; of ``START``, since the start of the process.
    elapsed
        Time from the first of them to the last, undisturbed: it tells how fast the machine is now.
    """

    stage: Stage
    events: int
    seconds: float
    elapsed: float = 0.0


@dataclass(frozen=True)
class Place:
    """Where a refresh was, as its own record says.

    Attributes
    ----------
    stage
        The run that had not ended; between two runs, the one that ended last.
    step
        The step that had not ended, if there was one.
    """

    stage: Stage
    step: str | None = None

    def __str__(self) -> str:
        """Spell it for a person."""
        return f"{self.stage}, {self.step or 'between steps'}"


def kill_at(platform: Platform, moment: Moment, known: frozenset[str]) -> bool:
    """Start a refresh and kill it at a moment; tell whether it was still there to be killed."""
    return started_until(platform, moment, known).kill()


def started_until(platform: Platform, moment: Moment, known: frozenset[str]) -> RefreshProcess:
    """Start a refresh, and give it when it has come to a moment, or has ended before.

    Raises
    ------
    HangError
        If neither happens.
    """
    if moment.stage == START:
        refresh = platform.start()  # nobody else looks into the Dagster home while the refresh makes it
        time.sleep(moment.seconds)
        return refresh
    with open_instance(platform.settings) as instance:
        refresh = platform.start()
        wait_for(refresh, lambda: _has_come_to(instance, moment, known))
        seconds = _seconds_until(instance, moment, known)
    time.sleep(max(0.0, seconds))
    return refresh


def wait_for(refresh: RefreshProcess, holds: Callable[[], bool]) -> None:
    """Wait until something holds, or the refresh has ended.

    Raises
    ------
    HangError
        If neither happens.
    """
    deadline = time.monotonic() + END_SECONDS
    while not refresh.has_ended and not holds():
        if time.monotonic() > deadline:
            refresh.kill()
            raise HangError(f"cpjump refresh did not come on within {END_SECONDS} s: {refresh.said}")
        time.sleep(_LOOK_SECONDS)


def _run_of(instance: dg.DagsterInstance, stage: Stage, known: frozenset[str]) -> dg.DagsterRun | None:
    return next((run for run in runs_since(instance, known) if Stage.of(run) == stage), None)


def _seconds_until(instance: dg.DagsterInstance, moment: Moment, known: frozenset[str]) -> float:
    """Give the time from now to a moment whose events are on record; longer where the stage went slowly so far."""
    run = _run_of(instance, moment.stage, known)
    if run is None:
        return 0.0
    records = instance.get_records_for_run(run.run_id, limit=moment.events).records
    first, last = (records[place].event_log_entry.timestamp for place in (0, -1))
    slowness = (last - first) / moment.elapsed if moment.elapsed >= _TELLING_SECONDS else 1.0
    return last + moment.seconds * slowness - time.time()


def _has_come_to(instance: dg.DagsterInstance, moment: Moment, known: frozenset[str]) -> bool:
    wanted = _run_of(instance, moment.stage, known)
    # Before the run has started its file of events may not be there, and looking for it would make it.
    if wanted is None or wanted.status is dg.DagsterRunStatus.NOT_STARTED:
        return False
    events = instance.get_records_for_run(wanted.run_id, limit=moment.events).records
    return len(events) >= moment.events or wanted.status in FINISHED_STATUSES


def place_of(platform: Platform, known: frozenset[str]) -> Place:
    """Read from the record where a refresh was that has ended, or was ended."""
    if platform.postgres_url is None and not _has_runs(platform):
        return Place(START)  # the next refresh has to cope with a home that is half made, so nobody mends it before
    with open_instance(platform.settings) as instance:
        runs = runs_since(instance, known)
        if not runs:
            return Place(START)
        last = runs[-1]
        if last.status in FINISHED_STATUSES:
            return Place(Stage.of(last), "ended")
        steps: list[str] = []
        for record in instance.get_records_for_run(last.run_id).records:
            event = record.event_log_entry.dagster_event
            if event is None or event.step_key is None:
                continue
            if event.event_type is dg.DagsterEventType.STEP_START:
                steps.append(event.step_key)
            elif event.event_type in _STEP_ENDS and event.step_key in steps:
                steps.remove(event.step_key)
    return Place(Stage.of(last), steps[-1] if steps else None)


def _has_runs(platform: Platform) -> bool:
    files = (platform.settings.dagster_home / "history" / "runs").glob("*.db")
    return any(path.stem != "index" for path in files)


def runs_since(instance: dg.DagsterInstance, known: frozenset[str]) -> Sequence[dg.DagsterRun]:
    """Give the runs that were not known before, oldest first; a refresh has fewer than are asked for."""
    return [run for run in reversed(instance.get_runs(limit=2 * len(STAGES))) if run.run_id not in known]

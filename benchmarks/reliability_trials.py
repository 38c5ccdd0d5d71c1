"""A trial: disturb a refresh, look at once, run the next refresh, and say what is wrong then.

Belongs here: that order, and what undisturbed refreshes give, which is right. Does not belong here: what disturbs
(``reliability_kills``, ``reliability_faults``), how store and record are read (``reliability_record``).
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.reliability_kills import Place, Stage, Timeline, place_of
from benchmarks.reliability_platform import Origin, Platform
from benchmarks.reliability_process import HangError, RefreshProcess
from benchmarks.reliability_record import Holding, Partitioned, Record, bad_files, torn
from cpjump_assets.web import open_instance


@dataclass(frozen=True)
class Undisturbed:
    """What a refresh does from an origin when nothing disturbs it.

    Attributes
    ----------
    holding
        What the platform holds then.
    timeline
        When its events were recorded.
    plates
        How often each plate of each asset was recorded.
    bytes
        Bytes that it took on the disk.
    """

    holding: Holding
    timeline: Timeline
    plates: Counter[Partitioned]
    bytes: int


@dataclass
class Truth:
    """What is right: undisturbed refreshes by origin, and what they hold by version of the gallery."""

    refreshes: dict[Origin, Undisturbed] = field(default_factory=dict)
    holdings: dict[int, Holding] = field(default_factory=dict)

    def learn(self, platform: Platform, origin: Origin) -> list[str]:
        """Refresh undisturbed, and keep what comes of it; name what is wrong already."""
        known, before = begin(platform, origin), platform.bytes
        started_at = time.time()
        refresh = platform.start()
        if refresh.end():
            return [f"an undisturbed refresh failed: {refresh.said}"]
        holding = Holding.of(platform)
        flaws = list(self.holdings.setdefault(platform.source.version, holding).differences(holding))
        with open_instance(platform.settings) as instance:
            record = Record(platform, instance)
            flaws += [*record.flaws(), *bad_files(platform)]
            plates = record.plates_recorded(known)
        timeline = Timeline.read(platform, known, started_at=started_at)
        self.refreshes[origin] = Undisturbed(holding, timeline, plates, platform.bytes - before)
        platform.made = platform.source.version
        return flaws


@dataclass(frozen=True)
class Ended:
    """How a disturbed refresh ended.

    Attributes
    ----------
    how
        In words.
    place
        Where it was, as its own record says.
    disturbed
        Whether it was hit before it had ended.
    flaws
        What was wrong with the way in which it ended.
    """

    how: str
    place: Place
    disturbed: bool = True
    flaws: tuple[str, ...] = ()

    @classmethod
    def of(cls, platform: Platform, refresh: RefreshProcess, known: frozenset[str]) -> "Ended":
        """Wait for the end of a refresh that was not killed: it says in a line why it failed, if it did."""
        code = refresh.end()
        said = refresh.said.splitlines() or ["nothing"]
        flaws = ("it ended with a traceback",) if "Traceback (most recent call last)" in refresh.said else ()
        return cls(f"exit code {code}: {said[-1]}" if code else "done", place_of(platform, known), flaws=flaws)


Disturbance = Callable[[Platform, frozenset[str]], Ended]
"""Starts a refresh and disturbs it; is given the runs that are on record already."""


@dataclass(frozen=True)
class Trial:
    """What came of a disturbance.

    Attributes
    ----------
    disturbance, origin, aim
        What was done, to a refresh that began from where, and in which stage it was to be.
    stage, step
        Where the refresh was, as its own record says.
    ended
        How it ended.
    disturbed
        Whether it was hit before it had ended.
    flaws
        What was wrong at once, and after the next refresh; nothing, if all is well.
    seconds
        Time of the trial.
    """

    disturbance: str
    origin: Origin
    aim: str
    stage: str
    step: str | None
    ended: str
    disturbed: bool
    flaws: tuple[str, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Give everything by name."""
        return {**vars(self), "flaws": list(self.flaws), "seconds": round(self.seconds, 1)}


def begin(platform: Platform, origin: Origin) -> frozenset[str]:
    """Bring a platform to the state from which the next refresh begins, and give the runs that are on record."""
    platform.begin_from(origin)
    if origin is Origin.NOTHING:
        return frozenset()
    with open_instance(platform.settings) as instance:
        return frozenset(run.run_id for run in instance.get_runs())


def trial(platform: Platform, truth: Truth, origin: Origin, disturb: Disturbance, *, name: str, aim: str = "") -> Trial:
    """Disturb a refresh, then run the next one.

    A platform on which nothing good was made yet begins from nothing, whatever ``origin`` says.
    """
    started = time.monotonic()
    origin = Origin.NOTHING if platform.made is None else origin
    former = [] if origin is Origin.NOTHING else [truth.holdings[platform.made or 0]]
    try:
        known = begin(platform, origin)
        ended = disturb(platform, known)
        right = truth.holdings[platform.source.version]
        flaws = [*ended.flaws, *torn(platform, right, *former), *_next(platform, truth, origin, known)]
    except HangError as error:
        ended, flaws = Ended("hung", Place(Stage("unknown"))), [str(error)]
    platform.made = None if flaws else platform.source.version
    stage, step = str(ended.place.stage), ended.place.step
    seconds = time.monotonic() - started
    return Trial(name, origin, aim or stage, stage, step, ended.how, ended.disturbed, tuple(flaws), seconds)


def _next(platform: Platform, truth: Truth, origin: Origin, known: frozenset[str]) -> Iterator[str]:
    """Run the next refresh, and say what is wrong after it."""
    refresh = platform.start()
    code = refresh.end()
    if code:
        yield f"the next refresh ended with exit code {code}: {refresh.said}"
        return
    yield from flaws_of(platform, truth.holdings[platform.source.version], truth.refreshes[origin].plates, known)


def flaws_of(
    platform: Platform, right: Holding, plates: Mapping[Partitioned, int], known: frozenset[str]
) -> Iterator[str]:
    """Say what is wrong with a platform on which a refresh succeeded.

    Parameters
    ----------
    right
        What it must hold.
    plates
        How often each plate of each asset must have been recorded, in runs that were not known before.
    known
        Runs that were on record before.
    """
    yield from right.differences(Holding.of(platform))
    yield from bad_files(platform)
    with open_instance(platform.settings) as instance:
        record = Record(platform, instance)
        yield from record.flaws()
        recorded = record.plates_recorded(known)
    if recorded != plates:
        more, less = recorded - Counter(plates), Counter(plates) - recorded
        yield f"plates were recorded again: {dict(more)}; or not: {dict(less)}"

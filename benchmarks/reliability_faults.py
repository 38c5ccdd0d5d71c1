"""What happens to a refresh besides a kill: full disks, databases and servers that go away, another refresh.

Belongs here: one function for each, and what it needs of the system. Does not belong here: kills
(``reliability_kills``), what must be true afterwards (``reliability_trials``).
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.reliability_kills import STAGES, Moment, place_of, started_until, wait_for
from benchmarks.reliability_platform import Origin, Platform, Source
from benchmarks.reliability_trials import Disturbance, Ended, Trial, Truth, trial
from cpjump_assets.simulate.s3.answers import Answer
from cpjump_assets.simulate.s3.faults import FaultPlan, FaultRule, StalledBody
from cpjump_assets.simulate.s3.requests import S3Request
from cpjump_assets_tests.processes import Postgres, running_postgres

_AMPLE = 1 << 30
_DATABASE = "CPJUMP_POSTGRES_URL"
_PULL_SECONDS = 1.0
_BUSY = "another refresh is at work on this store"
_REFUSED = 2


@dataclass(frozen=True)
class Situation:
    """What a fault is tried on.

    Attributes
    ----------
    folder
        For platforms of its own.
    source
        The gallery.
    truth
        What is right.
    random
        Of its draws.
    """

    folder: Path
    source: Source
    truth: Truth
    random: np.random.Generator

    def try_on(self, platform: Platform, origin: Origin, disturb: Disturbance, name: str) -> Trial:
        """Try a disturbance."""
        return trial(platform, self.truth, origin, disturb, name=name)

    def moment(self, origin: Origin) -> Moment:
        """Draw a stage of those that have a run, and a moment of it."""
        stage = STAGES[int(self.random.integers(1, len(STAGES)))]
        return self.truth.refreshes[origin].timeline.draw(stage, self.random)


Fault = Callable[[Situation], Iterator[Trial]]


def full_disk(situation: Situation) -> Iterator[Trial]:
    """Store and Dagster home lie on a small disk in memory, which is full before the refresh has ended.

    Where this user may not mount one, nothing is tried.
    """
    with _small_disk(situation.folder) as resize:
        if resize is None:
            print("no small disk can be mounted here: left out", file=sys.stderr)
            return
        platform = Platform(situation.folder, situation.source)
        for origin in Origin:
            share = float(situation.random.uniform(0.1, 0.9))

            def disturb(
                platform: Platform, known: frozenset[str], origin: Origin = origin, share: float = share
            ) -> Ended:
                resize(platform.bytes + int(share * situation.truth.refreshes[origin].bytes))
                refresh = platform.start()
                refresh.end()
                resize(_AMPLE)
                return replace(Ended.of(platform, refresh, known), disturbed=refresh.end() != 0)

            yield situation.try_on(platform, origin, disturb, f"disk full at {share:.0%}")


@contextmanager
def _small_disk(folder: Path) -> Iterator[Callable[[int], None] | None]:
    """Mount a file system in memory on a folder, and give what sets its size."""
    folder.mkdir(parents=True)

    def mount(*options: str) -> bool:
        return subprocess.run(["mount", *options, str(folder)], capture_output=True).returncode == 0

    def resize(size: int) -> None:
        if not mount("-o", f"remount,size={size}"):
            raise OSError(f"the disk on {folder} cannot be resized")

    if not mount("-t", "tmpfs", "-o", f"size={_AMPLE}", "tmpfs"):
        yield None
        return
    try:
        yield resize
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def small_files(situation: Situation) -> Iterator[Trial]:
    """No file may grow beyond a size: what the disk refuses is refused within a file, whoever the user is."""
    platform = Platform(situation.folder, situation.source)
    largest = int(situation.random.integers(50_000, 500_000))

    def disturb(platform: Platform, known: frozenset[str]) -> Ended:
        refresh = platform.start(largest_file=largest)
        return replace(Ended.of(platform, refresh, known), disturbed=refresh.end() != 0)

    yield situation.try_on(platform, Origin.NOTHING, disturb, f"no file beyond {largest:,} bytes")


def database_gone(situation: Situation) -> Iterator[Trial]:
    """Postgres, in which runs and events are recorded, stops as in a crash; once it is back at once, once later."""
    if not list(Path("/usr/lib/postgresql").glob("*/bin")):
        print("Postgres is not installed: left out", file=sys.stderr)
        return
    with running_postgres() as postgres, _named_in_environment(postgres.url):
        platform = Platform(situation.folder, situation.source, postgres_url=postgres.url)
        yield situation.try_on(
            platform, Origin.NOTHING, _stop(postgres, situation.moment(Origin.NOTHING)), "database gone, and back"
        )
        yield situation.try_on(
            platform,
            Origin.CHANGED,
            _restart(postgres, situation.moment(Origin.CHANGED)),
            "database restarted",
        )


@contextmanager
def _named_in_environment(url: str) -> Iterator[None]:
    """Put the database into the environment of this process: ``dagster.postgres.yaml`` finds it nowhere else.

    Platforms on SQLite look for none, and a refresh has an environment of its own.
    """
    os.environ[_DATABASE] = url
    try:
        yield
    finally:
        del os.environ[_DATABASE]


def _stop(postgres: Postgres, moment: Moment) -> Disturbance:
    def disturb(platform: Platform, known: frozenset[str]) -> Ended:
        refresh = started_until(platform, moment, known)
        at_work = not refresh.has_ended
        postgres.stop()
        refresh.end()
        postgres.start()
        return replace(Ended.of(platform, refresh, known), disturbed=at_work)

    return disturb


def _restart(postgres: Postgres, moment: Moment) -> Disturbance:
    def disturb(platform: Platform, known: frozenset[str]) -> Ended:
        refresh = started_until(platform, moment, known)
        at_work = not refresh.has_ended
        postgres.stop()
        postgres.start()
        return replace(Ended.of(platform, refresh, known), disturbed=at_work)

    return disturb


def gallery_restarted(situation: Situation) -> Iterator[Trial]:
    """Let the server of the gallery hang up while objects are pulled, and come back after a while."""
    platform, server = Platform(situation.folder, situation.source), situation.source.server
    away, begun = (float(situation.random.uniform(0, most)) for most in (5, _PULL_SECONDS))

    def disturb(platform: Platform, known: frozenset[str]) -> Ended:
        # Objects are small: without a pause within each, nothing would be on its way.
        noticed = threading.Event()
        server.faults = FaultPlan(FaultRule(_NoticedPause(_PULL_SECONDS, noticed=noticed), keys="*.csv.gz"))
        refresh = platform.start()
        wait_for(refresh, noticed.is_set)
        time.sleep(begun)
        server.close()
        time.sleep(away)
        server.start()
        ended = Ended.of(platform, refresh, known)
        server.faults = FaultPlan()
        return replace(ended, disturbed=noticed.is_set())

    yield situation.try_on(platform, Origin.NOTHING, disturb, f"gallery away for {away:.1f} s")


@dataclass(frozen=True)
class _NoticedPause(StalledBody):
    """A pause within a body that tells when the first one is on its way."""

    noticed: threading.Event = field(default_factory=threading.Event)

    def change_answer(self, answer: Answer, request: S3Request) -> Answer:
        """Pause, and tell."""
        self.noticed.set()
        return super().change_answer(answer, request)


def two_at_once(situation: Situation) -> Iterator[Trial]:
    """Two refreshes are started on one store, first together on an empty one, then one after the other."""
    platform = Platform(situation.folder, situation.source)
    for origin, delay in ((Origin.NOTHING, 0.0), (Origin.CHANGED, float(situation.random.uniform(0, 10)))):

        def disturb(platform: Platform, known: frozenset[str], delay: float = delay) -> Ended:
            return both_at_once(platform, known, delay)

        yield situation.try_on(platform, origin, disturb, f"a second refresh after {delay:.1f} s")


def both_at_once(platform: Platform, known: frozenset[str], delay: float = 0.0) -> Ended:
    """Start a refresh, and another one after a while: one works, the other says why it does not."""
    refreshes = [platform.start()]
    time.sleep(delay)
    refreshes.append(platform.start(name="second"))
    ended = Ended.of(platform, refreshes[0], known)
    codes = sorted(refresh.end() for refresh in refreshes)
    said = [refresh.said for refresh in refreshes if refresh.end()]
    flaws = list(ended.flaws)
    if codes != [0, _REFUSED] or _BUSY not in " ".join(said[0].split()):
        flaws.append(f"of two refreshes none or both were refused: exit codes {codes}, {said}")
    return replace(ended, how=f"exit codes {codes}", place=place_of(platform, known), flaws=tuple(flaws))


FAULTS: dict[str, Fault] = {
    "full disk": full_disk,
    "database gone": database_gone,
    "two at once": two_at_once,
    "gallery restarted": gallery_restarted,
    "small files": small_files,
}

"""A campaign of disturbed refreshes: killed in every stage, on full disks, without database or gallery, two at once.

Belongs here: the plan of the campaign, its lanes, the printing. Does not belong here: a trial (``reliability_trials``),
what disturbs (``reliability_kills``, ``reliability_faults``).

Six plates of 40 features. A refresh begins from nothing, or from a store in which everything is made and a gallery in
which one plate has changed; it is disturbed; and the next refresh must end with what an undisturbed one gives: tables
and figures byte for byte, pulled files, checks, no partial file, and in Dagster's record no run that never ends, no
stored table whose digest is not on record, nothing stale, and no plate that was made twice. Also right after the
disturbance no file may be anything but one whole version. Two lanes work side by side, each on a gallery of its own.

    python -m benchmarks.reliability [--kills 50] [--seed 0] [--no-faults] [--json]
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from benchmarks.processes import one_thread
from benchmarks.reliability_faults import FAULTS, Fault, Situation
from benchmarks.reliability_kills import STAGES, Moment, Stage, kill_at, place_of
from benchmarks.reliability_platform import Origin, Platform, Source, simulated_source
from benchmarks.reliability_trials import Ended, Trial, Truth, trial

LANES = 2
_MEMORY = Path("/dev/shm")
_ROUNDS = 4
"""So often kills are planned: what came too late, and stages that none has hit, are tried again."""
_KILL = "kill -9"


@dataclass
class Lane:
    """A platform on a gallery of its own; what happens on it happens one after the other."""

    folder: Path
    source: Source

    def __post_init__(self) -> None:
        self.platform = Platform(self.folder / "store", self.source)


@dataclass(frozen=True)
class PlannedKill:
    """A kill: which one it is, from where the refresh begins, and the stage in which it is to die."""

    number: int
    origin: Origin
    stage: Stage


def plan_kills(count: int, random: np.random.Generator) -> list[PlannedKill]:
    """Spread kills over all stages, and over both origins, in a drawn order."""
    stages = [STAGES[place] for _ in range(count // len(STAGES) + 1) for place in random.permutation(len(STAGES))]
    origins = list(Origin)
    return [
        PlannedKill(number, origins[int(random.integers(len(origins)))], stage)
        for number, stage in enumerate(stages[:count])
    ]


class Campaign:
    """A campaign in a folder.

    Parameters
    ----------
    folder
        Of all platforms and galleries.
    seed
        Of all that is drawn.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed, self._truth = folder, seed, Truth()

    def run(self, kills: int, faults: Sequence[Fault]) -> Iterator[Trial]:
        """Give each trial as it ends; the first are the undisturbed refreshes."""
        with ExitStack() as stack:
            lanes = [self._lane(stack, number) for number in range(LANES)]
            yield from self._undisturbed(lanes)
            works = [self._fault(fault, number) for number, fault in enumerate(faults)]
            works += map(self._kill, plan_kills(kills, self._random(0)))
            done: list[Trial] = []
            for attempt in range(_ROUNDS):
                for ended in _in_lanes(lanes, works):
                    done.append(ended)
                    yield ended
                works = [self._kill(kill) for kill in self._lacking(done, kills, attempt)]

    def _lacking(self, done: Sequence[Trial], kills: int, attempt: int) -> list[PlannedKill]:
        """Plan what is lacking: kills that came too late, and stages that none has hit."""
        hit = killed_by_stage(done)
        missed = [stage for stage in STAGES if not hit[str(stage)]] if kills >= len(STAGES) else []
        late = plan_kills(max(0, kills - hit.total() - len(missed)), self._random(0, attempt))
        stages = [*missed, *(kill.stage for kill in late)]
        return [PlannedKill(kills * (attempt + 1) + place, Origin.NOTHING, stage) for place, stage in enumerate(stages)]

    def _lane(self, stack: ExitStack, number: int) -> Lane:
        folder = self._folder / f"lane_{number}"
        folder.mkdir()
        return Lane(folder, stack.enter_context(simulated_source(folder / "gallery")))

    def _random(self, *place: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, *place])

    def _undisturbed(self, lanes: list[Lane]) -> Iterator[Trial]:
        """Refresh undisturbed from both origins, on both versions of the gallery in each lane: all must agree."""
        for lane in lanes[1::2]:
            lane.source.change()
        for origin in Origin:
            for done in _in_lanes(lanes, [_learning(self._truth, origin)] * len(lanes)):
                yield done
                if done.flaws:
                    raise SystemExit(f"undisturbed refreshes differ already: {done.flaws}")

    def _kill(self, kill: PlannedKill) -> "Work":
        def work(lane: Lane) -> Iterator[Trial]:
            # A platform on which nothing good was made begins from nothing.
            origin = Origin.NOTHING if lane.platform.made is None else kill.origin
            random = self._random(1, kill.number)
            moment = self._truth.refreshes[origin].timeline.draw(kill.stage, random)
            yield trial(lane.platform, self._truth, origin, killing(moment), name=_KILL, aim=str(kill.stage))

        return work

    def _fault(self, fault: Fault, number: int) -> "Work":
        def work(lane: Lane) -> Iterator[Trial]:
            folder = lane.folder / f"fault_{number}"
            yield from fault(Situation(folder, lane.source, self._truth, self._random(2, number)))

        return work


Work = Callable[[Lane], Iterator[Trial]]


def killing(moment: Moment) -> Callable[[Platform, frozenset[str]], Ended]:
    """Give the disturbance that kills a refresh at a moment."""

    def disturb(platform: Platform, known: frozenset[str]) -> Ended:
        killed = kill_at(platform, moment, known)
        return Ended("killed" if killed else "done before", place_of(platform, known), disturbed=killed)

    return disturb


def _learning(truth: Truth, origin: Origin) -> Work:
    def work(lane: Lane) -> Iterator[Trial]:
        started = time.monotonic()
        flaws = truth.learn(lane.platform, origin)
        yield Trial("none", origin, "", "", None, "done", False, tuple(flaws), time.monotonic() - started)

    return work


def _in_lanes(lanes: Sequence[Lane], works: Sequence[Work]) -> Iterator[Trial]:
    """Work side by side, each in whichever lane is free; give the trials of each as it is done."""
    free: SimpleQueue[Lane] = SimpleQueue()
    for lane in lanes:
        free.put(lane)

    def in_lane(work: Work) -> list[Trial]:
        lane = free.get()
        try:
            return list(work(lane))
        finally:
            free.put(lane)

    with ThreadPoolExecutor(len(lanes)) as pool:
        try:
            for future in as_completed([pool.submit(in_lane, work) for work in works]):
                yield from future.result()
        finally:
            pool.shutdown(cancel_futures=True)  # after an error nothing more is begun


def main(arguments: list[str] | None = None) -> int:
    """Print a line for each trial and a summary, or with ``--json`` one object each; 1 when anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="how many refreshes are killed (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (default: %(default)s)")
    parser.add_argument("--faults", default=",".join(FAULTS), help="which other faults (default: %(default)s)")
    parser.add_argument("--no-faults", action="store_true", help="nothing but kills")
    parser.add_argument("--json", action="store_true", help="one JSON object a trial, and one for all")
    options = parser.parse_args(arguments)
    one_thread()
    faults = [] if options.no_faults else [FAULTS[name] for name in options.faults.split(",") if name]
    started, trials = time.monotonic(), []
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        for done in Campaign(Path(folder), options.seed).run(options.kills, faults):
            trials.append(done)
            print(json.dumps(done.to_json()) if options.json else _line(done), flush=True)
    summary = summarize(trials, options.kills, time.monotonic() - started)
    print(json.dumps(summary) if options.json else "\n".join(_lines(summary)))
    return int(any(summary[what] for what in _WRONG))


_WRONG = ("trials with flaws", "stages not hit", "kills that came too late", "other disturbances that came too late")
"""What must not be in a summary."""


def killed_by_stage(trials: Sequence[Trial]) -> Counter[str]:
    """Count the kills that hit a refresh, by the stage in which it was, as its own record says."""
    return Counter(done.stage for done in trials if done.disturbance == _KILL and done.disturbed)


def summarize(trials: Sequence[Trial], kills: int, seconds: float) -> dict:
    """Count kills by stage, other disturbances, and what was wrong."""
    hit = killed_by_stage(trials)
    others = [done for done in trials if done.disturbance not in (_KILL, "none")]
    return {
        "kills": hit.total(),
        "kills by stage": {str(stage): hit[str(stage)] for stage in STAGES},
        "stages not hit": [str(stage) for stage in STAGES if kills >= len(STAGES) and not hit[str(stage)]],
        "kills that came too late": max(0, kills - hit.total()),
        "other disturbances": sum(done.disturbed for done in others),
        "other disturbances that came too late": sum(not done.disturbed for done in others),
        "trials with flaws": sum(bool(done.flaws) for done in trials),
        "seconds": round(seconds),
    }


def _line(done: Trial) -> str:
    where = f"{done.stage}, {done.step or 'between steps'}" if done.stage else ""
    verdict = "; ".join(done.flaws) or "all equal"
    return f"{done.disturbance:<24} from {done.origin:<16} {where:<60} {done.ended}: {verdict} [{done.seconds:.0f} s]"


def _lines(summary: dict) -> Iterator[str]:
    for name, value in summary.items():
        yield f"{name}: " + (
            ", ".join(f"{key} {count}" for key, count in value.items()) if isinstance(value, dict) else str(value)
        )


if __name__ == "__main__":
    sys.exit(main())

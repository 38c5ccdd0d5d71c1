"""Clients, each in a process of its own: their clocks, their peak memory, and many of them in interleaved rounds.

Belongs here: starting, watching, killing and repeating processes. Does not belong here: what they run
(``pull_clients``).
"""

import itertools
import json
import os
import resource
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import psutil

_PROJECT = Path(__file__).parents[1]
_LOOK_EVERY = 0.01
"""Seconds between two looks at the memory of a process."""
_CHILDREN_EVERY = 10
"""Looks between two searches for its children, which cost a hundred times as much."""
_NOT_INHERITED = ("AWS_", "S3_", "CPJUMP_")


@dataclass(frozen=True)
class Command:
    """What is run: arguments, and variables on top of the environment."""

    arguments: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What a process took.

    Attributes
    ----------
    seconds
        On the wall: of a client in Python from after its imports, of another one from its start.
    whole_seconds
        From the start of the process to its end.
    cpu_seconds
        Of the processor, over the same time as ``seconds``.
    megabytes
        Peak resident memory, summed over the process and those that it started.
    result
        What a client in Python says of its work; of another one the text that it printed, under ``printed``.
    agrees
        Whether what it wrote, or listed, is what was served; who knows that says so.
    """

    seconds: float
    whole_seconds: float
    cpu_seconds: float
    megabytes: float
    result: Mapping[str, Any]
    agrees: bool = True


Clock = Callable[[Run], float]


def work_seconds(run: Run) -> float:
    """Give the clock of the rows: it leaves out the imports of clients in Python."""
    return run.seconds


def whole_seconds(run: Run) -> float:
    """Give the clock of whole processes."""
    return run.whole_seconds


def cpu_seconds(run: Run) -> float:
    """Give the clock of the processor."""
    return run.cpu_seconds


def run(command: Command) -> Run:
    """Run a command to its end.

    Raises
    ------
    RuntimeError
        If it fails, with the end of what it wrote.
    """
    used = _used_by_children()
    # Files, not pipes: a list of 100,000 keys must not wait for somebody to read it.
    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as said:
        start = time.perf_counter()
        process = _start(command, printed, said)
        with _Peak(process.pid) as peak:
            process.wait()
            seconds = time.perf_counter() - start
        if process.returncode:
            raise RuntimeError(f"{' '.join(command.arguments)} failed: {_text(said)[-2_000:]}")
        whole = Run(seconds, seconds, _used_by_children() - used, peak.megabytes, {"printed": _text(printed)})
    return _of_python(whole) or whole


def kill_when(command: Command, ready: Callable[[], bool]) -> bool:
    """Run a command, and kill it (SIGKILL) as soon as it is ``ready``; False if it ended before.

    Raises
    ------
    RuntimeError
        If it fails by itself.
    """
    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as said:
        process = _start(command, printed, said)
        while process.poll() is None:
            if ready():
                process.kill()
                process.wait()
                return True
            time.sleep(0.002)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command.arguments)} failed: {_text(said)[-2_000:]}")
    return False


def _start(command: Command, printed: TextIO, said: TextIO) -> subprocess.Popen:
    # No set-up of the user, nor a proxy, comes between a client and the loopback server.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_NOT_INHERITED) and not name.lower().endswith("_proxy")
    }
    environment = inherited | {"OMP_NUM_THREADS": "1"} | dict(command.variables)
    return subprocess.Popen(command.arguments, cwd=_PROJECT, env=environment, stdout=printed, stderr=said)


def _text(file: TextIO) -> str:
    file.seek(0)
    return file.read()


def _used_by_children() -> float:
    """Give the seconds of the processor that ended processes took; the server, which runs on, is not among them."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _of_python(whole: Run) -> Run | None:
    """Take what ``pull_python`` printed; None if the process was another one."""
    text = whole.result["printed"]
    if not text.startswith("{"):
        return None
    told = json.loads(text)
    return Run(
        seconds=told.pop("seconds"),
        whole_seconds=whole.whole_seconds,
        cpu_seconds=told.pop("cpu_seconds"),
        megabytes=told.pop("megabytes"),
        result=told,
    )


class _Peak:
    """Looks at the memory of a process and its children until the block ends."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peaks: dict[int, float] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak", daemon=True)

    @property
    def megabytes(self) -> float:
        return sum(self._peaks.values())

    def __enter__(self) -> "_Peak":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        try:
            process = psutil.Process(self._pid)
            for look in itertools.count():
                if look % _CHILDREN_EVERY == 0:
                    members = [process, *process.children(recursive=True)]
                for member in members:
                    self._peaks[member.pid] = max(self._peaks.get(member.pid, 0), _resident(member))
                if self._done.wait(_LOOK_EVERY):
                    return
        except psutil.NoSuchProcess:
            return  # it has ended


def _resident(process: psutil.Process) -> float:
    """Give the peak of one process where the system keeps it (Linux), or else what it holds now."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return process.memory_info().rss / 2**20
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)  # none as a zombie


@dataclass(frozen=True)
class Runs:
    """Runs of the same command."""

    runs: tuple[Run, ...]

    def median(self, clock: Clock) -> float:
        """Give the median of a clock."""
        return statistics.median(map(clock, self.runs))

    @property
    def megabytes(self) -> float:
        """Peak of all runs."""
        return max(run.megabytes for run in self.runs)

    @property
    def agree(self) -> bool:
        """Whether every run agrees."""
        return all(run.agrees for run in self.runs)


def in_rounds(entries: Mapping[Any, Callable[[], Run]], rounds: int) -> dict[Any, Runs]:
    """Run every entry once a round, in an order that is drawn anew for each: what disturbs the machine meets all."""
    generator = np.random.default_rng(rounds)
    found: dict[Any, list[Run]] = {entry: [] for entry in entries}
    for _ in range(rounds):
        for position in generator.permutation(len(entries)):
            entry = list(entries)[position]
            found[entry].append(entries[entry]())
    return {entry: Runs(tuple(runs)) for entry, runs in found.items()}


def fastest(found: Mapping[Any, Runs], entries: Iterable[Any]) -> Any:
    """Name the entry with the least median."""
    return min(entries, key=lambda entry: found[entry].median(work_seconds))

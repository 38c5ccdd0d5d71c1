"""Each implementation in a process of its own, on one core or a few, with one thread of BLAS.

Belongs here: the fresh process, its clocks and peak memory, and the median of several runs. Does not belong here: what
is run.

Seconds are those of the processor where one core is used: what is measured does not wait (files that it reads were just
written, and are in memory), so that on an idle machine they are the seconds on the wall; on one that others use too,
they stay what they are. Where several cores are the point, seconds are those on the wall.
"""

import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

_THREAD_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


processor_seconds = time.process_time
"""The clock of what runs on one core: the time that all threads of this process have computed."""

wall_seconds = time.perf_counter
"""The clock of what runs on several cores."""


class Measured(NamedTuple):
    """What a workload took: seconds, the peak resident memory of its process in MB, and what it gave."""

    seconds: float
    megabytes: float
    result: Any


def one_thread() -> None:
    """Let BLAS of every process that is started from now on use one thread."""
    blas_threads(1)


def blas_threads(count: int) -> None:
    """Let BLAS of every process that is started from now on use so many threads."""
    os.environ.update(dict.fromkeys(_THREAD_COUNTS, str(count)))


def in_fresh_process(work: Callable[..., tuple[float, Any]], *arguments: Any, cores: int = 1) -> Measured:
    """Run ``work``, which gives seconds and a result, where nothing has been imported, allocated or cached before."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, work, arguments, cores).result()


def _measured(work: Callable[..., tuple[float, Any]], arguments: tuple[Any, ...], cores: int) -> Measured:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])
    seconds, result = work(*arguments)
    return Measured(seconds, peak_megabytes(), result)


def peak_megabytes() -> float:
    """Give the largest resident memory of this process so far.

    ``ru_maxrss`` alone would not do on Linux: a process starts with that of the one it was started by.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def reset_peak() -> None:
    """Forget what ``peak_megabytes`` has seen, where the system can (Linux)."""
    peak = Path("/proc/self/clear_refs")
    if peak.exists():
        peak.write_text("5")


def median_run(work: Callable[[], Any], runs: int, clock: Callable[[], float] = processor_seconds) -> tuple[float, Any]:
    """Give the median seconds of some runs, none of which leaves anything behind for the next, and the last result."""
    seconds, result = [], None
    for _ in range(runs):
        result = None
        start = clock()
        result = work()
        seconds.append(clock() - start)
    return statistics.median(seconds), result

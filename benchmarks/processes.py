"""Each implementation in a process of its own, on one core, with one thread of BLAS.

Belongs here: the fresh process, its clock and peak memory, and the median of several runs. Does not belong here: what
is run.

Seconds are those of the processor. What is measured neither reads nor writes nor waits, so that on an idle machine they
are the seconds on the wall; on one that others use too, they stay what they are.
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
"""The clock of every measurement: the time that all threads of this process have computed."""


class Measured(NamedTuple):
    """What a workload took: seconds, the peak resident memory of its process in MB, and what it gave."""

    seconds: float
    megabytes: float
    result: Any


def one_thread() -> None:
    """Let BLAS of every process that is started from now on use one thread."""
    os.environ.update(dict.fromkeys(_THREAD_COUNTS, "1"))


def in_fresh_process(work: Callable[..., tuple[float, Any]], *arguments: Any) -> Measured:
    """Run ``work``, which gives seconds and a result, where nothing has been imported, allocated or cached before."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, work, arguments).result()


def _measured(work: Callable[..., tuple[float, Any]], arguments: tuple[Any, ...]) -> Measured:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
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


def median_run(work: Callable[[], Any], runs: int) -> tuple[float, Any]:
    """Give the median seconds of some runs, none of which leaves anything behind for the next, and the last result."""
    seconds, result = [], None
    for _ in range(runs):
        result = None
        start = processor_seconds()
        result = work()
        seconds.append(processor_seconds() - start)
    return statistics.median(seconds), result

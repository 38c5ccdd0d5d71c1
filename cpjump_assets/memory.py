"""Peak memory of a process and its children.

Belongs here: one sampler, for the demo and the benchmarks. Does not belong here: time, which every caller reads itself.
"""

import os
import threading
from types import TracebackType

import psutil


class PeakMemory:
    """Samples the proportional set size (PSS), summed over this process and its children, while the block runs.

    PSS counts a page that several processes share once, split among them; summing the resident size would count it for
    each. Where the system does not tell it (macOS), the unique set size stands in.

    Attributes
    ----------
    peak
        Largest sum seen, in bytes.
    """

    def __init__(self, interval: float = 0.25) -> None:
        self.peak = 0
        self._interval = interval
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        running = True
        while running:
            running = not self._done.wait(self._interval)
            # Looked at after the wait, so that what a short block holds as it ends is seen too.
            self.peak = max(self.peak, _summed(psutil.Process(os.getpid())))


def _summed(process: psutil.Process) -> int:
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            memory = member.memory_full_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it ended between the listing and the reading
        total += getattr(memory, "pss", None) or memory.uss
    return total

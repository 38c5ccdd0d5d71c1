"""What a pull tells while it is under way.

Belongs here: the protocol, saying nothing, and lines for a log. Does not belong here: a bar in the terminal
(``terminal.pull``), the sums when all is done (``pull.PullReport``).
"""

import time
from collections.abc import Callable
from threading import Lock
from typing import Protocol

from cpjump_assets.gallery.transfer.amounts import bytes_text, left_text, rate_text

LOG_EVERY = 10.0
"""Seconds between two lines of a log, at least."""


class Progress(Protocol):
    """Listens to a pull; its methods are called by many threads at once."""

    def begin(self, objects: int, size: int) -> None:
        """Learn how many objects are to come, and how many bytes they have."""

    def advance(self, count: int) -> None:
        """Learn that bytes came; a negative number takes back those of a try that was thrown away."""

    def finish_object(self) -> None:
        """Learn that an object is in place, or given up."""

    def retry(self, key: str, why: str) -> None:
        """Learn that an object is asked for again, and why."""

    def end(self) -> None:
        """Learn that nothing more will come, whether all went well or not."""


class NoProgress:
    """Says nothing."""

    def begin(self, objects: int, size: int) -> None:
        """Say nothing."""

    def advance(self, count: int) -> None:
        """Say nothing."""

    def finish_object(self) -> None:
        """Say nothing."""

    def retry(self, key: str, why: str) -> None:
        """Say nothing."""

    def end(self) -> None:
        """Say nothing."""


class LogProgress:
    """Writes a line now and then: what has come, how fast, and how long the rest will take.

    Parameters
    ----------
    log
        Takes a line, such as the ``info`` of a logger.
    every
        Seconds between two lines, at least; nothing is written before so many seconds, so that short pulls are silent.
    clock
        Gives seconds that never go back.
    verb
        What becomes of the objects.
    """

    def __init__(
        self,
        log: Callable[[str], object],
        *,
        every: float = LOG_EVERY,
        clock: Callable[[], float] = time.monotonic,
        verb: str = "pulled",
    ) -> None:
        self._log = log
        self._verb = verb
        self._every = every
        self._clock = clock
        self._lock = Lock()
        self._objects = self._size = self._objects_done = self._came = self._retries = 0
        self._began = self._spoke = clock()
        self._came_when_spoke = 0

    def begin(self, objects: int, size: int) -> None:
        """Begin to count."""
        self._objects, self._size = objects, size
        self._began = self._spoke = self._clock()

    def advance(self, count: int) -> None:
        """Count bytes, and write a line when it is time."""
        with self._lock:
            self._came += count
            now = self._clock()
            if now - self._spoke < self._every:
                return
            line = self._line(now)
            self._spoke, self._came_when_spoke = now, self._came
        self._log(line)

    def finish_object(self) -> None:
        """Count an object."""
        with self._lock:
            self._objects_done += 1

    def retry(self, key: str, why: str) -> None:
        """Count a retry; one is worth a line only in the sums, as a network that loses a connection is a common one."""
        with self._lock:
            self._retries += 1

    def end(self) -> None:
        """Say nothing: the report of the pull has the sums."""

    def _line(self, now: float) -> str:
        rate = rate_text(self._came - self._came_when_spoke, now - self._spoke)
        mean = self._came / (now - self._began)
        left = f", about {left_text((self._size - self._came) / mean)}" if mean > 0 else ""
        retries = f"; retries: {self._retries:,}" if self._retries else ""
        return (
            f"{self._verb} {self._objects_done:,} of {self._objects:,} objects, {bytes_text(self._came)} of "
            f"{bytes_text(self._size)} at {rate}{left}{retries}"
        )

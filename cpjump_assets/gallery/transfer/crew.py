"""Work on many items by a fixed number of threads.

Belongs here: handing out items, collecting what came of them. Does not belong here: what the work is, and whether it
went well (``pull``).

Items are taken from their iterator one by one, and results leave as soon as somebody asks for them: of a million items
no more is in memory than is under way.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Lock
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Over:
    """Stands for an item when there are no more, and for a result when a thread has ended."""


_OVER = _Over()


def in_batches(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int, stop: Event, seconds: float
) -> Iterator[list[Result]]:
    """Do ``work`` for each item in some threads, and give the results in batches as they come.

    Parameters
    ----------
    work
        Called in the threads. What it raises ends the whole, and is raised again here when all threads have ended.
    threads
        Items under way at once.
    stop
        When it is set, no further item is begun; it is set as well when the caller takes no further batch.
    seconds
        For how long results are gathered, from the first of a batch on.
    """
    waiting, handing_out = iter(items), Lock()
    results: SimpleQueue[Result | _Over] = SimpleQueue()

    def take() -> Item | _Over:
        with handing_out:
            return _OVER if stop.is_set() else next(waiting, _OVER)

    def labour() -> None:
        try:
            while not isinstance(item := take(), _Over):
                results.put(work(item))
        except BaseException:
            stop.set()
            raise
        finally:
            results.put(_OVER)

    with ThreadPoolExecutor(threads, thread_name_prefix="pull") as pool:
        crew = [pool.submit(labour) for _ in range(threads)]
        try:
            yield from _batches(results, working=threads, seconds=seconds)
        finally:
            stop.set()
    for ended in crew:
        ended.result()


def _batches(results: "SimpleQueue[Result | _Over]", *, working: int, seconds: float) -> Iterator[list[Result]]:
    while working:
        batch: list[Result] = []
        for found in _gathered(results, seconds):
            if not isinstance(found, _Over):
                batch.append(found)
            elif (working := working - 1) == 0:
                break
        if batch:
            yield batch


def _gathered(results: "SimpleQueue[Result | _Over]", seconds: float) -> Iterator[Result | _Over]:
    """Give one result, however long it takes, and then those that come within some seconds."""
    yield results.get()
    until = time.monotonic() + seconds
    with suppress(Empty):
        while (left := until - time.monotonic()) > 0:
            yield results.get(timeout=left)

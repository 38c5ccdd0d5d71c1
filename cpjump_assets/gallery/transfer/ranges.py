"""Large objects: ranges side by side, into one file, from where a former process stopped.

Belongs here: how an object is cut, and the ranges under way. Does not belong here: the record of those that are done
(``resume``), the loop that reads and writes (``stream``), tries of the whole (``task``).
"""

import errno
import os
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from io import FileIO
from pathlib import Path
from threading import Event, Lock
from typing import Any, NamedTuple

from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.transfer.body import try_repeatedly
from cpjump_assets.gallery.transfer.etag import MIB, EtagCheck, PartSums, multipart_etag
from cpjump_assets.gallery.transfer.md5_lanes import md5
from cpjump_assets.gallery.transfer.proof import PartSizes
from cpjump_assets.gallery.transfer.resume import Done, RangePlan, RangeRecord
from cpjump_assets.gallery.transfer.stream import PullStoppedError, Stream, read_again
from cpjump_assets.gallery.transfer.task import Task

LARGE_SIZE = 64 * MIB
"""Bytes from which on an object is received in ranges."""
_SMALLEST_RANGE, _LARGEST_RANGE = 8 * MIB, 64 * MIB
_RANGES = 64
"""Ranges that an object is cut into, within these bounds."""
_LOOK_EVERY = 0.1
"""Seconds between two looks at whether the pull ends, and at least between two records of how far it has come."""
_RECORD_SHARE = 0.1
"""Share of the time that recording may take: what a killed process did since the last record is asked for again."""


def range_plan(wanted: GalleryObject, sizes: PartSizes) -> RangePlan:
    """Cut an object into ranges; of whole parts, where their size is known and not too large for a range."""
    target = min(max(wanted.size // _RANGES, _SMALLEST_RANGE), _LARGEST_RANGE)
    sole = sizes.candidates[0] if len(sizes.candidates) == 1 else None
    part_size = sole if sole is not None and sole <= _LARGEST_RANGE else None
    range_size = target if part_size is None else part_size * max(target // part_size, 1)
    return RangePlan(wanted.key, wanted.etag, wanted.size, range_size, part_size)


class _Range(NamedTuple):
    """A range under way."""

    stream: Stream
    start: int
    sums: PartSums | None

    def so_far(self, plan: RangePlan) -> Done:
        """Tell how far it has come; another thread may ask."""
        size = self.stream.position - self.start  # looked at first: the sums may be ahead of it, never behind
        if self.sums is None or plan.part_size is None:
            return Done(size, ())
        complete = self.start + size == self.stream.stop
        return Done(size, self.sums.digests() if complete else self.sums.complete()[: size // plan.part_size])


class RangedTask(Task):
    """An object that is received in ranges.

    Parameters
    ----------
    side
        The side file.
    *others, **named
        As ``task.Task``.
    """

    def __init__(self, side: Path, *others: Any, **named: Any) -> None:
        super().__init__(*others, **named)
        self._side = side
        self._sizes: PartSizes | None = None
        self._record: RangeRecord | None = None
        self._came = 0
        self._lock = Lock()

    def _receive(self, file: FileIO) -> PartSizes:
        sizes = self._sizes = self._sizes or self._part_sizes()
        record = self._record = self._record or self._begin(sizes, file)
        missing = record.missing()
        if missing:
            self._fetch_all(record, missing, file.fileno())
        return sizes

    def _begin(self, sizes: PartSizes, file: FileIO) -> RangeRecord:
        plan = range_plan(self.wanted, sizes)
        record = RangeRecord.found(self._side, plan, file.fileno())
        if record is None:
            self._side.unlink(missing_ok=True)
            file.truncate(0)
            _allocate(file.fileno(), plan.size)
            record = RangeRecord(plan, os.fstat(file.fileno()).st_ino, self._side)
        self.resumed_bytes += record.size
        self._count(record.size)
        return record

    def _fetch_all(self, record: RangeRecord, missing: list[int], file: int) -> None:
        """Fetch ranges side by side; when one fails, or the pull ends, those under way are given up."""
        under_way: dict[int, _Range] = {}
        abandon = Event()
        with ThreadPoolExecutor(min(self._reader.connections, len(missing)), thread_name_prefix="range") as pool:
            running = {pool.submit(self._fetch, record, number, file, under_way, abandon) for number in missing}
            fetched = set(running)
            try:
                self._watch(running, record, file, under_way)
            finally:
                abandon.set()
                pool.shutdown(cancel_futures=True)
                _record(record, file, under_way)
        _raise_first(fetched)
        if record.missing():  # all that were left had not begun
            raise PullStoppedError(self.wanted.key)

    def _watch(
        self, running: set[Future[None]], record: RangeRecord, file: int, under_way: Mapping[int, _Range]
    ) -> None:
        """Wait until all ranges have come, one has failed, or the pull ends; and record now and then."""
        pause, since = _LOOK_EVERY, time.monotonic()
        while running and not self._conduct.stop.is_set():
            ended, running = wait(running, timeout=_LOOK_EVERY, return_when=FIRST_EXCEPTION)
            if any(future.exception() for future in ended):
                return
            began = time.monotonic()
            if began - since >= pause:
                _record(record, file, under_way)
                since = time.monotonic()
                pause = max(_LOOK_EVERY, (since - began) / _RECORD_SHARE)

    def _fetch(self, record: RangeRecord, number: int, file: int, under_way: dict[int, _Range], abandon: Event) -> None:
        if self._conduct.stop.is_set() or abandon.is_set():
            raise PullStoppedError(self.wanted.key)
        stream, start, _ = under_way[number] = self._begin_range(record, number, file)
        conduct = replace(self._conduct, stop=abandon, on_bytes=self._count)
        begun = stream.position

        def attempt() -> None:
            with self._lock:
                self.resumed_bytes += stream.position - begun
            stream.run(self._reader, file, conduct)

        what = f"{self.wanted.key}, bytes {start} to {stream.stop},"
        try:
            _, retries = try_repeatedly(attempt, what, conduct.retry, wait=abandon.wait, on_retry=conduct.on_retry)
        except BaseException:
            abandon.set()  # here, and not when the watch sees it: this thread would begin the next range meanwhile
            raise
        with self._lock:
            self.retries += retries

    def _begin_range(self, record: RangeRecord, number: int, file: int) -> _Range:
        """Go on where the record says that a range has come; the sum of a part that is not complete begins again."""
        start, stop = record.plan.span(number)
        size, known = record.so_far(number)
        part_size = record.plan.part_size
        sums = None if part_size is None else PartSums(part_size, md5=md5, known=known)
        if sums is not None and part_size is not None:
            read_again(file, start + len(known) * part_size, start + size, sums, self._conduct)
        return _Range(Stream(self.wanted, start + size, stop, () if sums is None else (sums,)), start, sums)

    def _count(self, count: int) -> None:
        with self._lock:
            self._came += count
        self._conduct.on_bytes(count)

    def _found(self, file: FileIO) -> Mapping[int | None, str]:
        if self._record is None or self._sizes is None or self._sizes.etag is None:
            return {}
        if self._record.plan.part_size is not None:
            return {self._record.plan.part_size: multipart_etag(self._record.digests())}
        check = EtagCheck(self._sizes.etag, self._sizes.candidates, md5=md5)
        read_again(file.fileno(), 0, self.wanted.size, check, self._conduct)
        return check.found()

    def _throw_away(self, file: FileIO) -> None:
        self._count(-self._came)
        self._sizes = self._record = None
        self._side.unlink(missing_ok=True)


def _record(record: RangeRecord, file: int, under_way: Mapping[int, _Range]) -> None:
    """Record how far the ranges have come."""
    come = {number: one.so_far(record.plan) for number, one in tuple(under_way.items())}
    record.done |= {number: done for number, done in come.items() if done.size}
    if record.done:
        record.write(file)


def _raise_first(fetched: set[Future[None]]) -> None:
    """Raise what ended the fetching, not what it did to the others."""
    errors = [error for future in fetched if not future.cancelled() and (error := future.exception()) is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, PullStoppedError)):
        raise error


def _allocate(file: int, size: int) -> None:
    """Take the room on the disk at once, so that a disk that is too small is no matter of hours."""
    if not hasattr(os, "posix_fallocate"):  # macOS
        os.ftruncate(file, size)
        return
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # what file systems say that cannot
            raise
        os.ftruncate(file, size)

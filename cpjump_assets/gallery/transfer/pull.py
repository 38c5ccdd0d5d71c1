"""Many objects, pulled into the store: what is held already is skipped, what comes is verified and recorded.

Belongs here: which objects are under way at once, which failures end a pull, and when rows are written. Does not belong
here: what is missing (``plan``), one object's download (``download``), the record (``inventory``), what is pulled and
when (``orchestration``).

The order is the promise: verified ``.part`` file, fsync, rename, inventory row. A pull that is killed leaves at worst a
good file without a row, which the next pull fetches again.
"""

import errno
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, NamedTuple

from cpjump_assets.gallery.failures import AbsentObjectError
from cpjump_assets.gallery.layout import safe_relative_path
from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.reference.released import Released, ReleasedFile
from cpjump_assets.gallery.transfer.body import RetryPolicy
from cpjump_assets.gallery.transfer.crew import in_batches
from cpjump_assets.gallery.transfer.download import Download, download
from cpjump_assets.gallery.transfer.etag import Verification
from cpjump_assets.gallery.transfer.inventory import Inventory, InventoryRow, utc_text
from cpjump_assets.gallery.transfer.plan import plan_pull
from cpjump_assets.gallery.transfer.progress import NoProgress, Progress
from cpjump_assets.gallery.transfer.reader import ObjectReader, object_reader
from cpjump_assets.gallery.transfer.report import FailedObject, IncompletePullError, PullReport
from cpjump_assets.gallery.transfer.stream import PullStoppedError
from cpjump_assets.science.errors import CpjumpError, GalleryError, StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_RECORD_EVERY = 0.2
"""Seconds for which complete files wait for their rows: each transaction is an fsync, which files share this way."""
_FAILURES_IN_A_ROW = 16
"""So many failures without a success in between, and every further object would fail the same way."""
_OF_ONE_FILE = frozenset({errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EILSEQ, errno.EAGAIN})
"""What the system says of one file alone: it cannot have its name, or another process is writing it."""


def pull_objects(
    client: "S3Client",
    bucket: str,
    objects: Iterable[GalleryObject],
    *,
    destination: Path,
    inventory: Inventory,
    connections: int,
    retry: RetryPolicy | None = None,
    progress: Progress | None = None,
    budget: int | None = None,
    released: Released | None = None,
) -> PullReport:
    """Bring listed objects into ``destination``, each below its key.

    What is held (``plan.plan_pull``) is skipped without a request. An object that fails does not stop the others: when
    they are in place and recorded, the pull ends with one error for all that failed. One that is gone since the listing
    is a finding and no failure. Where every further object would fail the same way, the pull ends at once: the disk is
    full or may not be written, or 16 objects failed one after another, as when the endpoint is down. The next pull goes
    on from there.

    Parameters
    ----------
    objects
        As listed; their keys decide where the files go.
    destination
        The gallery folder of the store.
    inventory
        The record of that folder.
    connections
        Objects under way at once.
    retry
        Patience with broken bodies.
    progress
        Told as the pull goes.
    budget
        Bytes that the pull may bring; None allows any amount.
    released
        Sums to compare objects with whose size agrees; they prove those whose ETag cannot. One that differs is a
        finding and no failure: files have versions, in the release and in the gallery.

    Raises
    ------
    GalleryError
        If a key cannot be stored or the pull is over budget (before anything is pulled).
    IncompletePullError
        If objects could not be read or proved; it has the report.
    StoreError
        If files or rows cannot be written.
    """
    started = time.monotonic()
    plan = plan_pull(objects, inventory, destination)
    plan.require_within(budget)
    told = progress or NoProgress()
    reader = object_reader(client, bucket, connections=connections)
    patience = _Patience(_Stop(reader))
    pull = _Pull(reader, client, bucket, destination, retry or RetryPolicy(), told, released or {}, patience)
    tally = _Tally()
    told.begin(len(plan.missing), plan.missing_bytes)
    try:
        threads = max(min(connections, len(plan.missing)), 1)
        for ended in in_batches(pull.fetch, plan.missing, threads=threads, stop=patience.stop, seconds=_RECORD_EVERY):
            rows = [pull.row(item) for item in ended if isinstance(item, _Pulled)]
            inventory.record(rows)
            tally.add(ended, rows)
    finally:
        reader.close()
        told.end()
    if tally.fatal:
        raise tally.fatal
    report = tally.report(skipped=plan.held_objects, seconds=time.monotonic() - started)
    if report.failed:
        raise IncompletePullError(report, given_up=patience.is_over)
    return report


class _Pulled(NamedTuple):
    """An object in place, and whether it is the released one; None where none of its size was released."""

    download: Download
    is_released: bool | None


class _Failure(NamedTuple):
    """An object that could not be pulled."""

    key: str
    error: CpjumpError


class _Stop(Event):
    """Set when a pull ends, of itself or by Ctrl-C; then nobody waits any longer for a server that is silent."""

    def __init__(self, reader: ObjectReader) -> None:
        super().__init__()
        self._reader = reader

    def set(self) -> None:
        """End the pull."""
        super().set()
        self._reader.abort()


@dataclass
class _Patience:
    """Ends a pull when every further object would fail as those before did; threads share it."""

    stop: Event
    is_over: bool = False
    _failed_in_a_row: int = 0
    _lock: Lock = field(default_factory=Lock)

    def note_success(self) -> None:
        """Begin to count anew: an object came."""
        with self._lock:
            self._failed_in_a_row = 0

    def note_failure(self, error: CpjumpError) -> None:
        """Count an object that did not come, unless it is just not there any more."""
        with self._lock:
            self._failed_in_a_row += not isinstance(error, AbsentObjectError)
            self.is_over |= self._failed_in_a_row >= _FAILURES_IN_A_ROW
            if self.is_over or _is_of_the_disk(error):
                self.stop.set()


@dataclass(frozen=True)
class _Pull:
    """What the downloads of one pull share."""

    reader: ObjectReader
    client: "S3Client"
    bucket: str
    destination: Path
    retry: RetryPolicy
    progress: Progress
    released: Released
    patience: _Patience

    def fetch(self, item: GalleryObject) -> _Pulled | _Failure | None:
        """Download an object; None when it was given up because the pull ends."""
        try:
            known = self.released.get(item.key)
            done = download(
                self.reader,
                self.client,
                self.bucket,
                item,
                self._path(item),
                retry=self.retry,
                stop=self.patience.stop,
                on_bytes=self.progress.advance,
                on_retry=lambda fault: self.progress.retry(item.key, str(fault)),
                want_sha256=known is not None and known.size == item.size,
            )
        except PullStoppedError:
            return None
        except (GalleryError, StoreError) as error:
            self.patience.note_failure(error)
            return _Failure(item.key, error)
        else:
            self.patience.note_success()
            return _Pulled(done, _is_released(done, known))
        finally:
            self.progress.finish_object()

    def row(self, pulled: _Pulled) -> InventoryRow:
        """Describe a file in place."""
        done = pulled.download
        proved_otherwise = done.verification is Verification.UNVERIFIED and pulled.is_released
        now = utc_text(datetime.now(UTC))
        return InventoryRow(
            key=done.object.key,
            size=done.object.size,
            etag=done.object.etag,
            last_modified=utc_text(done.object.last_modified),
            part_size=done.part_size,
            sha256=done.sha256,
            verification=Verification.RELEASE if proved_otherwise else done.verification,
            pulled_at=now,
            verified_at=now,
            mtime_ns=done.mtime_ns,
        )

    def _path(self, item: GalleryObject) -> Path:
        return self.destination / safe_relative_path(item.key)


@dataclass
class _Tally:
    """What has ended so far."""

    rows: list[InventoryRow] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    failed: list[FailedObject] = field(default_factory=list)
    not_as_released: list[str] = field(default_factory=list)
    as_released: int = 0
    fatal: CpjumpError | None = None
    retries: int = 0
    resumed_bytes: int = 0

    def add(self, ended: Iterable[_Pulled | _Failure | None], rows: Iterable[InventoryRow]) -> None:
        self.rows += rows
        for item in ended:
            if isinstance(item, _Pulled):
                self._count(item.download, item.is_released)
            elif item is not None:
                self._blame(item)

    def _count(self, done: Download, is_released: bool | None) -> None:
        self.retries += done.retries
        self.resumed_bytes += done.resumed_bytes
        self.as_released += is_released is True
        self.not_as_released += [done.object.key] if is_released is False else []
        self.changed += [done.object.key] if done.changed else []

    def _blame(self, failure: _Failure) -> None:
        if isinstance(failure.error, AbsentObjectError):
            self.absent.append(failure.key)
        elif _is_of_the_disk(failure.error):
            self.fatal = self.fatal or failure.error
        else:
            self.failed.append(FailedObject(failure.key, str(failure.error)))

    def report(self, *, skipped: int, seconds: float) -> PullReport:
        return PullReport(
            pulled=tuple(sorted(self.rows, key=attrgetter("key"))),
            skipped=skipped,
            retries=self.retries,
            resumed_bytes=self.resumed_bytes,
            as_released=self.as_released,
            not_as_released=tuple(sorted(self.not_as_released)),
            changed=tuple(sorted(self.changed)),
            absent=tuple(sorted(self.absent)),
            failed=tuple(sorted(self.failed, key=attrgetter("key"))),
            seconds=seconds,
        )


def _is_released(done: Download, known: ReleasedFile | None) -> bool | None:
    if known is None or done.sha256 is None or known.size != done.object.size:
        return None
    return done.sha256 == known.sha256


def _is_of_the_disk(error: CpjumpError) -> bool:
    """Tell whether no file at all can be written, or just not this one."""
    if not isinstance(error, StoreError):
        return False
    return not (isinstance(error.__cause__, OSError) and error.__cause__.errno in _OF_ONE_FILE)

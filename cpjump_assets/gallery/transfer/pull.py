"""Many objects, pulled into the store: what is held already is skipped, what comes is verified and recorded.

Belongs here: which objects need a request, how many are under way at once, the report. Does not belong here: one
object's download (``download``), the record (``inventory``), what is pulled and when (``orchestration``).

The order is the promise: verified ``.part`` file, fsync, rename, inventory row. A pull that is killed leaves at worst a
good file without a row, which the next pull fetches again.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from cpjump_assets.gallery.layout import safe_relative_path
from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.transfer.body import RetryPolicy
from cpjump_assets.gallery.transfer.download import Download, download
from cpjump_assets.gallery.transfer.etag import Verification
from cpjump_assets.gallery.transfer.inventory import Inventory, InventoryRow

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

# Enough waiting jobs that no thread idles while rows are recorded, few enough that millions of objects fit in memory.
_QUEUED_PER_CONNECTION = 4


@dataclass(frozen=True)
class PullReport:
    """What a pull did.

    Attributes
    ----------
    pulled
        The rows recorded, by key.
    skipped
        Objects that were held already, in the listed version.
    retries
        Tries of a body besides the first, over all objects.
    changed
        Keys of objects that changed between the listing and the reading; their new version was pulled.
    seconds
        Time taken.
    """

    pulled: tuple[InventoryRow, ...]
    skipped: int
    retries: int
    changed: tuple[str, ...]
    seconds: float

    @property
    def bytes(self) -> int:
        """Bytes of the objects pulled."""
        return sum(row.size for row in self.pulled)

    @property
    def unverified(self) -> tuple[str, ...]:
        """Keys of the objects pulled whose ETag could not prove their bytes."""
        return tuple(row.key for row in self.pulled if row.verification is Verification.UNVERIFIED)


def pull_objects(
    client: "S3Client",
    bucket: str,
    objects: Iterable[GalleryObject],
    *,
    destination: Path,
    inventory: Inventory,
    connections: int,
    retry: RetryPolicy | None = None,
) -> PullReport:
    """Bring listed objects into ``destination``, each below its key.

    An object whose ETag and size are those of its inventory row, and whose file is there with that size, is skipped
    without a request. If one object fails, the downloads under way are given up, what is complete stays and is
    recorded, and the pull ends with that error; the next pull goes on from there.

    Parameters
    ----------
    objects
        As listed; their keys decide where the files go.
    destination
        The gallery folder of the store.
    inventory
        The record of that folder.
    connections
        Downloads at once.
    retry
        Patience with broken bodies.

    Raises
    ------
    GalleryError
        If a key cannot be stored (before anything is pulled), or an object cannot be read or proved.
    StoreError
        If a file or a row cannot be written.
    """
    started = time.monotonic()
    wanted = {item.key: item for item in objects}
    paths = {key: destination / safe_relative_path(key) for key in wanted}
    held = inventory.rows(wanted)
    missing = [item for item in wanted.values() if not _is_held(item, held.get(item.key), paths[item.key])]
    stop = threading.Event()

    def fetch(item: GalleryObject) -> Download:
        return download(client, bucket, item, paths[item.key], retry=retry or RetryPolicy(), stop=stop)

    downloads: list[Download] = []
    rows: list[InventoryRow] = []
    with ThreadPoolExecutor(connections, thread_name_prefix="pull") as pool:
        try:
            for ended in _as_they_end(pool, fetch, missing, at_once=connections * _QUEUED_PER_CONNECTION):
                complete = [future.result() for future in ended if future.exception() is None]
                new_rows = [_row(item) for item in complete]
                inventory.record(new_rows)
                downloads += complete
                rows += new_rows
                for future in ended:
                    future.result()  # raises the error of the first one that failed
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    return PullReport(
        pulled=tuple(sorted(rows, key=lambda row: row.key)),
        skipped=len(wanted) - len(missing),
        retries=sum(item.retries for item in downloads),
        changed=tuple(sorted(item.object.key for item in downloads if item.changed)),
        seconds=time.monotonic() - started,
    )


def _is_held(item: GalleryObject, row: InventoryRow | None, path: Path) -> bool:
    if row is None or (row.etag, row.size) != (item.etag, item.size):
        return False
    return path.is_file() and path.stat().st_size == item.size


def _as_they_end(
    pool: ThreadPoolExecutor,
    fetch: Callable[[GalleryObject], Download],
    items: Iterable[GalleryObject],
    *,
    at_once: int,
) -> Iterator[set[Future[Download]]]:
    # Those that ended since the last look come together, so that one transaction records them all.
    waiting = iter(items)
    running: set[Future[Download]] = set()
    while True:
        running |= {pool.submit(fetch, item) for item in islice(waiting, at_once - len(running))}
        if not running:
            return
        ended, running = wait(running, return_when=FIRST_COMPLETED)
        yield ended


def _row(done: Download) -> InventoryRow:
    return InventoryRow(
        key=done.object.key,
        size=done.object.size,
        etag=done.object.etag,
        last_modified=_iso(done.object.last_modified),
        sha256=done.sha256,
        verification=done.verification,
        pulled_at=_iso(datetime.now(UTC)),
    )


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")

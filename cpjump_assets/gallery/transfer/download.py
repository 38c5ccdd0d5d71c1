"""One object, downloaded and proved: the file is in place only when its bytes answer to the ETag.

Belongs here: what a download is asked for, and what it gives. Does not belong here: many objects and the record of them
(``pull``), how small (``whole``) and large objects (``ranges``) are received, what both do about faults (``task``).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.transfer.body import BodyFaultError, RetryPolicy, try_repeatedly
from cpjump_assets.gallery.transfer.etag import Verification
from cpjump_assets.gallery.transfer.ranges import LARGE_SIZE, RangedTask
from cpjump_assets.gallery.transfer.reader import ObjectReader
from cpjump_assets.gallery.transfer.stream import Conduct
from cpjump_assets.gallery.transfer.task import Task
from cpjump_assets.gallery.transfer.whole import WholeTask
from cpjump_assets.storage.atomic import atomic_file, resumable_file, side_file

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


@dataclass(frozen=True)
class Download:
    """A file in place, and how it came there.

    Attributes
    ----------
    object
        The object as it was read: another version than the listed one when it changed in between.
    verification
        How the bytes were proved.
    part_size
        Bytes of a part of the upload, by which a multipart ETag was proved; None for other proofs.
    sha256
        Of the bytes, as 64 hexadecimal digits, where it was asked for or where nothing else proves them; None for
        others.
    retries
        Tries besides the first.
    resumed_bytes
        Bytes that tries which broke off had left, in this process or a former one, and that were not asked for again.
    changed
        Whether the object changed between the listing and the reading.
    mtime_ns
        Modification time of the file, as it was when the bytes were proved.
    """

    object: GalleryObject
    verification: Verification
    part_size: int | None
    sha256: str | None
    retries: int
    resumed_bytes: int
    changed: bool
    mtime_ns: int


def download(
    reader: ObjectReader,
    client: "S3Client",
    bucket: str,
    listed: GalleryObject,
    final: Path,
    *,
    retry: RetryPolicy,
    stop: Event,
    on_bytes: Callable[[int], object] = lambda count: None,
    on_retry: Callable[[BodyFaultError], object] = lambda fault: None,
    want_sha256: bool = False,
) -> Download:
    """Download an object to ``final``, which holds the former file until the new one is proved.

    Requests are bound to the listed version (If-Match). A body that breaks off is taken up again where it stopped; one
    that does not answer to its ETag begins anew. If the object has changed, its new version is looked up and taken
    instead. Each of these uses up one of the tries. An object of 64 MiB or more comes in ranges side by side, each with
    tries of its own; what came outlives the process in ``<name>.part`` and ``<name>.part.json``, and the next download
    of the same version goes on from there.

    Parameters
    ----------
    reader
        Of the bucket.
    client
        Asked for what is not a body: the part size, and the new version of an object.
    stop
        When it is set, the download ends at the next chunk or wait.
    on_bytes
        Told of bytes as they come, and with a negative number of those that are thrown away; when all went well, the
        sum is the object's size. It may be called by several threads at once.
    on_retry
        Told of each fault after which there is another try.
    want_sha256
        Whether the sha256 of the bytes is needed even where the ETag proves them.

    Raises
    ------
    AbsentObjectError
        If the object is gone.
    GalleryError
        If it cannot be read, or if no try gave bytes that answer to its ETag.
    StoreError
        If the file cannot be written.
    PullStoppedError
        If ``stop`` was set.
    """
    conduct = Conduct(retry, stop, on_bytes, on_retry)
    common = (reader, client, bucket, listed, conduct)
    task: Task
    if listed.size < LARGE_SIZE:
        place, task = atomic_file(final), WholeTask(*common, want_sha256=want_sha256)
    else:
        place, task = resumable_file(final), RangedTask(side_file(final), *common, want_sha256=want_sha256)
    with place as file:
        proof, retries = try_repeatedly(
            lambda: task.attempt(file), listed.key, retry, wait=stop.wait, on_retry=on_retry
        )
        sha256 = task.sha256(file) if want_sha256 or proof.verification is Verification.UNVERIFIED else None
        mtime_ns = os.fstat(file.fileno()).st_mtime_ns
    return Download(
        object=task.wanted,
        verification=proof.verification,
        part_size=proof.part_size,
        sha256=sha256,
        retries=retries + task.retries,
        resumed_bytes=task.resumed_bytes,
        changed=task.wanted != listed,
        mtime_ns=mtime_ns,
    )

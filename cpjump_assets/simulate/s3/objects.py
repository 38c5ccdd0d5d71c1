"""The folder that is served: ``<root>/<bucket>/<key>`` on disk, read only.

Belongs here: from a bucket and a key to an object, with the refusals, and the cache of ETags. Does not belong here:
which keys there are (``key_index``), or what is answered (``service``).

Only regular files are objects. Links are not, wherever they lead, nor are ``.part`` files, which a writer has not
finished. A writer must replace a file by renaming: one that is rewritten in place while it is sent arrives mixed, as
from any file server.
"""

import io
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cpjump_assets.simulate.s3.answers import FileSlice, Step, read_body
from cpjump_assets.simulate.s3.errors import S3Error
from cpjump_assets.simulate.s3.etags import UploadRule

UNFINISHED_SUFFIX = ".part"
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_LONGEST_KEY = 1024  # bytes of UTF-8, S3's limit
_LONGEST_NAME = 255  # bytes of a file name, on all common file systems
_CLOCK_TICK_NS = 50_000_000


def is_settled(status: os.stat_result) -> bool:
    """Tell whether a file or folder has been left alone for so long that a further change would show in its stamp.

    File systems take the time from the kernel's tick (1 to 10 ms), so that two changes within one tick look like one.
    """
    return time.time_ns() - status.st_ctime_ns > _CLOCK_TICK_NS


class Stamp(NamedTuple):
    """What changes when a file or folder changes.

    The time is that of the last change of the inode: unlike the modification time it cannot be set, and a writer that
    wants reproducible files sets all modification times alike.
    """

    inode: int
    size: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        """Take the stamp from a stat."""
        return cls(status.st_ino, status.st_size, status.st_ctime_ns)


@dataclass(frozen=True)
class StoredObject:
    """One version of an object.

    Parameters
    ----------
    content
        The steps that send all of it.
    size
        Bytes.
    etag
        Without quotes.
    last_modified
        Seconds since 1970, whole ones: S3 knows no others.
    upload
        How it was uploaded.
    """

    content: tuple[Step, ...]
    size: int
    etag: str
    last_modified: int
    upload: UploadRule

    def read(self) -> bytes:
        """Read the whole content into memory."""
        return read_body(self.content)

    def with_content(self, content: bytes) -> "StoredObject":
        """Give the next version, a second younger, with the ETag that belongs to its content."""
        return replace(
            self,
            content=(content,),
            size=len(content),
            etag=self.upload.etag(io.BytesIO(content), len(content)),
            last_modified=self.last_modified + 1,
        )


class ObjectFolder:
    """The buckets below a folder.

    Parameters
    ----------
    root
        The folder with one folder for each bucket; links in the path to it are resolved once, here.
    upload
        How all objects count as uploaded.
    """

    def __init__(self, root: Path, upload: UploadRule):
        self.root = root.resolve()
        self.upload = upload
        self._etags: dict[str, tuple[Stamp, str]] = {}

    def bucket(self, name: str) -> Path:
        """Find the folder of a bucket.

        Raises
        ------
        S3Error
            ``InvalidBucketName`` or ``NoSuchBucket``.
        """
        if not _BUCKET_NAME.fullmatch(name):
            raise S3Error("InvalidBucketName", BucketName=name)
        folder = self.root / name
        if folder.is_symlink() or not folder.is_dir():
            raise S3Error("NoSuchBucket", BucketName=name)
        return folder

    @contextmanager
    def open(self, bucket: str, key: str) -> Iterator[StoredObject]:
        """Open an object; its content can be sent as long as the context lasts.

        Size, ETag and content come from one open file, so that a file replaced meanwhile never mixes two versions.

        Raises
        ------
        S3Error
            ``AccessDenied`` for a key that climbs out of its bucket or a file that may not be read,
            ``KeyTooLongError``, ``NoSuchKey``, and those of ``bucket``.
        """
        path = self._path(bucket, key)
        try:
            file = path.open("rb", buffering=0)
        except PermissionError as error:
            raise S3Error("AccessDenied") from error
        except FileNotFoundError as error:  # gone since the look at its path
            raise S3Error("NoSuchKey", Key=key) from error
        with file:
            status = os.fstat(file.fileno())
            etag = self._cached_etag(str(path), status) or self._compute_etag(str(path), file, status)
            whole = FileSlice(file, 0, status.st_size)
            yield StoredObject((whole,), status.st_size, etag, int(status.st_mtime), self.upload)

    def describe(self, bucket: str, key: str) -> StoredObject | None:
        """Give size, ETag and time of a listed key, without content; None if the file is gone by now."""
        path = f"{self.root}/{bucket}/{key}"
        try:
            status = os.stat(path, follow_symlinks=False)  # noqa: PTH116 - once a key: a Path costs more than the stat
        except (FileNotFoundError, NotADirectoryError):
            return None
        etag = self._cached_etag(path, status)
        if etag:
            return StoredObject((), status.st_size, etag, int(status.st_mtime), self.upload)
        try:
            with self.open(bucket, key) as stored:
                return replace(stored, content=())
        except S3Error as error:
            if error.code != "NoSuchKey":
                raise
            return None

    def _path(self, bucket: str, key: str) -> Path:
        folder = self.bucket(bucket)
        segments = key.split("/")
        if "." in segments or ".." in segments:
            raise S3Error("AccessDenied")
        if len(key.encode()) > _LONGEST_KEY:
            raise S3Error("KeyTooLongError", MaxSizeAllowed=str(_LONGEST_KEY))
        # An empty segment (a leading, trailing or double slash) would name another key's file.
        no_file = "" in segments or "\0" in key or key.endswith(UNFINISHED_SUFFIX)
        if no_file or max(len(segment.encode()) for segment in segments) > _LONGEST_NAME:
            raise S3Error("NoSuchKey", Key=key)
        path = folder / key
        if path.resolve() != path or not path.is_file():
            raise S3Error("NoSuchKey", Key=key)
        return path

    def _cached_etag(self, path: str, status: os.stat_result) -> str | None:
        stamp, etag = self._etags.get(path, (None, None))
        return etag if stamp == Stamp.of(status) else None

    def _compute_etag(self, path: str, file: BinaryIO, status: os.stat_result) -> str:
        etag = self.upload.etag(file, status.st_size)
        if is_settled(status):
            self._etags[path] = Stamp.of(status), etag
        return etag

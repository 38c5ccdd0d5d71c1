"""One object, downloaded and proved: the file is in place only when its bytes answer to the ETag.

Belongs here: the steps from a listed object to a verified file. Does not belong here: many objects and the record of
them (``pull``), hashes (``etag``), which faults are worth another try (``body``).
"""

import hashlib
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from cpjump_assets.gallery.failures import clear_errors, status
from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.transfer.body import BodyFaultError, RetryPolicy, chunks, try_repeatedly
from cpjump_assets.gallery.transfer.etag import Etag, EtagCheck, Verification, could_be_part_size, likely_part_sizes
from cpjump_assets.storage.atomic import atomic_path

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef


class PullStoppedError(Exception):
    """The download was given up because the whole pull ends."""


@dataclass(frozen=True)
class Download:
    """A file in place, and how it came there.

    Attributes
    ----------
    object
        The object as it was read: another version than the listed one when it changed in between.
    sha256
        Of the bytes, as 64 hexadecimal digits.
    verification
        How the bytes were proved.
    retries
        Tries besides the first.
    changed
        Whether the object changed between the listing and the reading.
    """

    object: GalleryObject
    sha256: str
    verification: Verification
    retries: int
    changed: bool


def download(
    client: "S3Client", bucket: str, listed: GalleryObject, final: Path, *, retry: RetryPolicy, stop: Event
) -> Download:
    """Download an object to ``final``, which holds the former file until the new one is proved.

    The request is bound to the listed version (If-Match). If the object has changed since, its new version is looked up
    and taken instead; every change uses up one of the tries.

    Parameters
    ----------
    stop
        When it is set, the download ends at the next chunk or wait, and leaves nothing behind.

    Raises
    ------
    GalleryError
        If the object is gone or cannot be read, or if no try gave bytes that answer to its ETag.
    StoreError
        If the file cannot be written.
    PullStoppedError
        If ``stop`` was set.
    """
    task = _Task(client, bucket, listed, stop)

    def attempt() -> tuple[str, Verification]:
        with atomic_path(final) as part:
            return task.receive(part)

    (sha256, verification), retries = try_repeatedly(attempt, listed.key, retry, wait=stop.wait)
    return Download(
        object=task.wanted, sha256=sha256, verification=verification, retries=retries, changed=task.wanted != listed
    )


@dataclass
class _Task:
    client: "S3Client"
    bucket: str
    wanted: GalleryObject
    stop: Event
    # sha256 of the bodies that no part size explained.
    unexplained: set[str] = field(default_factory=set)

    def receive(self, part: Path) -> tuple[str, Verification]:
        """Stream the wanted version into ``part``; give its sha256 and how it was proved."""
        etag = Etag.parse(self.wanted.etag)
        told = self._told_part_size(etag)
        check = EtagCheck(etag, (told,) if told else likely_part_sizes(self.wanted.size, etag.parts if etag else 0))
        sha256 = self._stream(self._open(), part, check)
        if part.stat().st_size != self.wanted.size:
            raise BodyFaultError(f"expected {self.wanted.size} bytes, received {part.stat().st_size}")
        return sha256, self._verdict(etag, check, sha256, part_size_is_sure=told is not None)

    def _told_part_size(self, etag: Etag | None) -> int | None:
        # One HEAD gives the exact size of part 1, where the server knows parts; others answer for the whole object.
        if etag is None or etag.parts < 2:
            return None
        with clear_errors(self.client, f"s3://{self.bucket}/{self.wanted.key}"):
            try:
                first = self.client.head_object(Bucket=self.bucket, Key=self.wanted.key, PartNumber=1)
            except ClientError as error:
                if status(error) in (400, 416, 501):  # how servers without parts refuse the question
                    return None
                raise
        size = first["ContentLength"]
        return size if could_be_part_size(size, size=self.wanted.size, parts=etag.parts) else None

    def _open(self) -> "GetObjectOutputTypeDef":
        with clear_errors(self.client, f"s3://{self.bucket}/{self.wanted.key}"):
            try:
                answer = self.client.get_object(
                    Bucket=self.bucket, Key=self.wanted.key, IfMatch=f'"{self.wanted.etag}"'
                )
            except ClientError as error:
                if status(error) != 412:
                    raise
                self._look_again()
            else:
                # Some servers do not know If-Match: their answer itself tells the version.
                if answer["ETag"].strip('"') == self.wanted.etag:
                    return answer
                answer["Body"].close()
                self._look_again()
        raise BodyFaultError("the object changed while it was being read")

    def _look_again(self) -> None:
        head = self.client.head_object(Bucket=self.bucket, Key=self.wanted.key)
        self.wanted = GalleryObject(
            key=self.wanted.key,
            size=head["ContentLength"],
            etag=head["ETag"].strip('"'),
            last_modified=head["LastModified"],
        )

    def _stream(self, answer: "GetObjectOutputTypeDef", part: Path, check: EtagCheck) -> str:
        sha256 = hashlib.sha256()
        with closing(answer["Body"]) as body, part.open("wb") as file:
            for chunk in chunks(body):
                if self.stop.is_set():
                    raise PullStoppedError(self.wanted.key)
                file.write(chunk)
                sha256.update(chunk)
                check.update(chunk)
        return sha256.hexdigest()

    def _verdict(self, etag: Etag | None, check: EtagCheck, sha256: str, *, part_size_is_sure: bool) -> Verification:
        if etag is None:
            return Verification.UNVERIFIED
        if check.matches():
            return Verification.MULTIPART if etag.parts else Verification.MD5
        # With a part size that was only guessed, a mismatch may be a bad guess: bytes that come twice the same are
        # taken.
        if etag.parts and not part_size_is_sure and sha256 in self.unexplained:
            return Verification.UNVERIFIED
        self.unexplained.add(sha256)
        found = ", ".join(check.found()) or "no ETag of a common part size"
        raise BodyFaultError(f"expected ETag {etag.text}, the bytes give {found}")

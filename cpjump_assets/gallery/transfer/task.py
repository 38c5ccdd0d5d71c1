"""One object under way: its tries, and what becomes of it when it changes meanwhile or does not prove right.

Belongs here: what small and large objects have in common. Does not belong here: how their bytes are received
(``whole``, ``ranges``), the verdict (``proof``).
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from io import FileIO
from typing import TYPE_CHECKING

from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.transfer.answer import ObjectChangedError
from cpjump_assets.gallery.transfer.body import BodyFaultError
from cpjump_assets.gallery.transfer.heads import version_now
from cpjump_assets.gallery.transfer.proof import Judge, PartSizes, Proof
from cpjump_assets.gallery.transfer.reader import ObjectReader
from cpjump_assets.gallery.transfer.stream import Conduct

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


class Task(ABC):
    """An object on its way into a file.

    Parameters
    ----------
    reader
        Of the bucket.
    client
        Asked for what is not a body.
    bucket
        The bucket.
    listed
        The object.
    conduct
        What the download is conducted by.
    want_sha256
        Whether the sum is needed even where the ETag proves the bytes.

    Attributes
    ----------
    wanted
        The version that is received: another one than the listed one if the object changed.
    resumed_bytes
        Bytes that tries which broke off had left.
    retries
        Tries besides the first that are not counted by the caller of ``attempt``.
    """

    def __init__(
        self,
        reader: ObjectReader,
        client: "S3Client",
        bucket: str,
        listed: GalleryObject,
        conduct: Conduct,
        *,
        want_sha256: bool,
    ) -> None:
        self.wanted = listed
        self.resumed_bytes = 0
        self.retries = 0
        self._reader = reader
        self._client = client
        self._bucket = bucket
        self._conduct = conduct
        self._want_sha256 = want_sha256
        self._judge = Judge()

    def attempt(self, file: FileIO) -> Proof:
        """Receive what is missing of the wanted version, and prove the whole.

        Raises
        ------
        BodyFaultError
            If another try may help; what is good stays in the file.
        GalleryError, OSError, PullStoppedError
            As ``stream.Stream``.
        """
        try:
            sizes = self._receive(file)
        except ObjectChangedError as error:
            self._throw_away(file)
            self.wanted = version_now(self._client, self._bucket, self.wanted.key)
            raise BodyFaultError("the object changed while it was being read") from error
        try:
            return self._judge.verdict(sizes, self._found(file), lambda: self.sha256(file))
        except BodyFaultError:
            self._throw_away(file)
            raise

    def sha256(self, file: FileIO) -> str:
        """Give the sum of the bytes in the file, as 64 hexadecimal digits."""
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()

    def _part_sizes(self) -> PartSizes:
        return PartSizes.of(self._client, self._bucket, self.wanted)

    @abstractmethod
    def _receive(self, file: FileIO) -> PartSizes:
        """Bring the whole body into the file; give the part sizes that it was hashed by."""

    @abstractmethod
    def _found(self, file: FileIO) -> Mapping[int | None, str]:
        """Give the ETags that the bytes give, as ``EtagCheck.found``."""

    @abstractmethod
    def _throw_away(self, file: FileIO) -> None:
        """Forget what came, so that the next try begins anew."""

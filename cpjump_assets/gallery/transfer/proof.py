"""Whether the bytes that came are those of the gallery, by the ETag.

Belongs here: the part sizes that an ETag may answer to, and the verdict. Does not belong here: the hashes (``etag``),
streaming (``stream``), asking the server (``heads``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.transfer.body import BodyFaultError
from cpjump_assets.gallery.transfer.etag import Etag, Verification, could_be_part_size, likely_part_sizes
from cpjump_assets.gallery.transfer.heads import size_of_first_part

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


@dataclass(frozen=True)
class Proof:
    """How bytes were proved.

    Attributes
    ----------
    verification
        By what.
    part_size
        Bytes of each part of the upload but the last; None for an ETag without parts, or that proves nothing.
    """

    verification: Verification
    part_size: int | None


@dataclass(frozen=True)
class PartSizes:
    """The part sizes by which the ETag of an object may have been made.

    Attributes
    ----------
    etag
        None when it says nothing about the bytes.
    candidates
        In bytes; none for an ETag without parts.
    told
        Whether the server told the one candidate, so that bytes which do not answer to it are wrong.
    """

    etag: Etag | None
    candidates: tuple[int, ...] = ()
    told: bool = False

    @classmethod
    def of(cls, client: "S3Client", bucket: str, wanted: GalleryObject) -> "PartSizes":
        """Look at an object's ETag, and ask the server where it was made of parts.

        Raises
        ------
        GalleryError
            If the server refuses to answer, other than by not knowing parts.
        """
        etag = Etag.parse(wanted.etag)
        if etag is None or not etag.parts:
            return cls(etag)
        told = _told_part_size(client, bucket, wanted, etag) if etag.parts > 1 else None
        return cls(etag, (told,) if told else likely_part_sizes(wanted.size, etag.parts), told=told is not None)


def _told_part_size(client: "S3Client", bucket: str, wanted: GalleryObject, etag: Etag) -> int | None:
    size = size_of_first_part(client, bucket, wanted.key)
    return size if size is not None and could_be_part_size(size, size=wanted.size, parts=etag.parts) else None


@dataclass
class Judge:
    """Says of each body whether it is what the ETag promised, and remembers those that no part size explained."""

    _unexplained: set[str] = field(default_factory=set)

    def verdict(self, sizes: PartSizes, found: Mapping[int | None, str], sha256: Callable[[], str]) -> Proof:
        """Judge a body that is complete.

        Parameters
        ----------
        found
            The ETags that its bytes give, as of ``EtagCheck.found``.
        sha256
            Gives its sum; called only where it is needed.

        Raises
        ------
        BodyFaultError
            If the body does not answer to the ETag.
        """
        etag = sizes.etag
        if etag is None:
            return Proof(Verification.UNVERIFIED, None)
        for part_size, text in found.items():
            if text == etag.text:
                return Proof(Verification.MULTIPART if etag.parts else Verification.MD5, part_size)
        # With a part size that was only guessed, a mismatch may be a bad guess: bytes that come twice the same are
        # taken.
        if etag.parts and not sizes.told:
            sum_of_body = sha256()
            if sum_of_body in self._unexplained:
                return Proof(Verification.UNVERIFIED, None)
            self._unexplained.add(sum_of_body)
        given = ", ".join(found.values()) or "no ETag of a common part size"
        raise BodyFaultError(f"expected ETag {etag.text}, the bytes give {given}")

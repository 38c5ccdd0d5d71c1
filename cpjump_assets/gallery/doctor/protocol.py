"""How the server answers the requests that verified, resumable pulls are made of.

Belongs here: ranges, conditions and ETags, tried on one object. Does not belong here: what is in objects (``samples``),
pulling any (``gallery.transfer``).
"""

from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

from botocore.exceptions import ClientError

from cpjump_assets.gallery.doctor.findings import Finding, Status, attempt, skipped
from cpjump_assets.gallery.doctor.holdings import Holdings
from cpjump_assets.gallery.failures import clear_errors, status
from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.transfer.body import RetryPolicy, chunks, try_repeatedly
from cpjump_assets.gallery.transfer.etag import Etag, likely_part_sizes

AREA = "transfer"
RANGE, CONDITION = ASKED = ("Range", "If-Match")
ETAGS = "ETags"
_OTHER_VERSION = f'"{"0" * 32}"'
_ATTEMPTS = RetryPolicy(attempts=2)


class FirstBytes(NamedTuple):
    """The answer to a request for the first bytes of an object."""

    status: int
    content: bytes


def first_bytes(gallery: Gallery, item: GalleryObject, length: int) -> FirstBytes:
    """Ask for the first ``length`` bytes of an object, and read no more than those even if more are sent.

    Raises
    ------
    GalleryError
        If the object cannot be read.
    """

    def ask() -> FirstBytes:
        with clear_errors(gallery.client, f"s3://{gallery.root.bucket}/{item.key}"):
            answer = gallery.client.get_object(Bucket=gallery.root.bucket, Key=item.key, Range=f"bytes=0-{length - 1}")
        with closing(answer["Body"]) as body:
            content = next(chunks(body), b"")[:length]
        return FirstBytes(answer["ResponseMetadata"]["HTTPStatusCode"], content)

    return try_repeatedly(ask, item.key, _ATTEMPTS)[0]


def answer_findings(gallery: Gallery, holdings: Holdings) -> Iterator[Finding]:
    """Try ranges and conditions on the first object that was listed."""
    item = next((item for shelf in holdings.shelves.values() for item in shelf.objects.values()), None)
    if item is None:
        yield from skipped(AREA, *ASKED, because="needs: any object")
        return
    advice = "this object was listed and cannot be read: check that the bucket lets anyone read"
    yield from attempt(AREA, RANGE, lambda: _range_findings(gallery, item), advice=advice)
    yield from attempt(AREA, CONDITION, lambda: _condition_findings(gallery, item), advice=advice)


def _range_findings(gallery: Gallery, item: GalleryObject) -> Iterator[Finding]:
    answered = first_bytes(gallery, item, 1).status
    if answered == 206:
        yield Finding(AREA, RANGE, Status.OK, "answered with 206: a pull that broke off goes on where it stopped")
        return
    advice = "where ranges are not answered with 206, a pull that broke off begins anew"
    yield Finding(AREA, RANGE, Status.WARNING, f"answered with {answered}", expected="206", advice=advice)


def _condition_findings(gallery: Gallery, item: GalleryObject) -> Iterator[Finding]:
    with clear_errors(gallery.client, f"s3://{gallery.root.bucket}/{item.key}"):
        try:
            gallery.client.head_object(Bucket=gallery.root.bucket, Key=item.key, IfMatch=_OTHER_VERSION)
        except ClientError as error:
            if status(error) != 412:
                raise
            yield Finding(AREA, CONDITION, Status.OK, "honoured with 412: an object that changes is noticed at once")
            return
    advice = "where If-Match is ignored, an object that changes during a pull shows by the ETag of the answer alone"
    yield Finding(AREA, CONDITION, Status.WARNING, "ignored", expected="412", advice=advice)


def etag_findings(holdings: Holdings) -> Iterator[Finding]:
    """Tell whether the ETags of all listed objects can prove their bytes."""
    listed = [item for shelf in holdings.shelves.values() for item in shelf.objects.values()]
    etags = {item.key: Etag.parse(item.etag) for item in listed}
    single = sum(etag is not None and not etag.parts for etag in etags.values())
    parts = sum(etag is not None and etag.parts > 0 for etag in etags.values())
    found = f"{single:,} are MD5 sums, {parts:,} are of uploads in parts, {len(listed) - single - parts:,} are neither"
    doubtful = tuple(item.key for item in listed if not _can_prove(item, etags[item.key]))
    if not doubtful:
        yield Finding(AREA, ETAGS, Status.OK, found)
        return
    advice = "objects whose ETag proves nothing are pulled, and counted as unverified"
    yield Finding(AREA, ETAGS, Status.WARNING, found, expected="MD5 sums", names=doubtful, advice=advice)


def _can_prove(item: GalleryObject, etag: Etag | None) -> bool:
    return etag is not None and (not etag.parts or bool(likely_part_sizes(item.size, etag.parts)))

"""A store in S3: whether it can be listed and written, keeps two refreshes apart, and what it holds.

Belongs here: looking, with an object that is gone again at once. Does not belong here: the folder in which the store is
worked on (``machine``), the gallery.
"""

import uuid
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from cpjump_assets.gallery.copies import Copies
from cpjump_assets.gallery.doctor.findings import Finding, Status, attempt
from cpjump_assets.gallery.doctor.machine import STORE
from cpjump_assets.gallery.transfer.amounts import bytes_text, objects_text
from cpjump_assets.settings import Settings
from cpjump_assets.storage.s3_place import S3Place, status_of

WRITING, CONDITIONS, COPIES = "S3 store", "conditional writes", "copies of pulled objects"
_REFUSED = (409, 412)


def s3_store_findings(settings: Settings) -> Iterator[Finding]:
    """Look at the store in S3; nothing is said of a store that is a folder."""
    if settings.store_url is None:
        return
    place = S3Place.parse(settings.store_url, settings.store_endpoint)
    advice = "correct CPJUMP_STORE, CPJUMP_STORE_ENDPOINT or the AWS credentials"
    written = attempt(STORE, WRITING, lambda: _writing_findings(place), advice=advice)
    yield from written
    if all(finding.status is not Status.ERROR for finding in written):
        yield from attempt(STORE, COPIES, lambda: _copies_findings(place), advice=advice)


def _writing_findings(place: S3Place) -> Iterator[Finding]:
    """Write an object, write it again on the condition that it is not there, and remove it."""
    asked: dict[str, Any] = {"Bucket": place.bucket, "Key": place.key(f"doctor-{uuid.uuid4().hex}")}
    with place.clear_errors("an object cannot be written to"):
        place.client.list_objects_v2(Bucket=place.bucket, Prefix=place.prefix, MaxKeys=1)
        place.client.put_object(**asked, Body=b"cpjump doctor")
        try:
            place.client.put_object(**asked, Body=b"cpjump doctor", IfNoneMatch="*")
            refused = False
        except ClientError as error:
            if status_of(error) not in _REFUSED:
                raise
            refused = True
        finally:
            place.client.delete_object(**asked)
    yield Finding(STORE, WRITING, Status.OK, f"{place} can be written")
    if refused:
        yield Finding(STORE, CONDITIONS, Status.OK, "refused where they must be: one refresh at a time")
        return
    yield Finding(
        STORE,
        CONDITIONS,
        Status.WARNING,
        "the server ignores If-None-Match",
        expected="an object that is there is not written again",
        advice="start refreshes of this store on one machine only: tables stay whole, but two may do the same work",
    )


def _copies_findings(place: S3Place) -> Iterator[Finding]:
    total = Copies.in_store(place).total()
    yield Finding(STORE, COPIES, Status.OK, f"{objects_text(total.objects)}, {bytes_text(total.bytes)}")

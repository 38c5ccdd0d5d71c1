"""What the gallery holds, by listing prefixes: no request per object.

Belongs here: listed objects, plate by plate, and the marker of a simulated gallery. Does not belong here: the key
layout (``layout``), reading objects (``download``).
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cpjump_assets.gallery.failures import clear_errors, endpoint_name
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.transfer.body import read_object
from cpjump_assets.gallery.transfer.etag import object_version
from cpjump_assets.science.errors import GalleryError
from cpjump_assets.science.plates import PlateKey

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


@dataclass(frozen=True, slots=True)
class GalleryObject:
    """An object as a listing shows it.

    Attributes
    ----------
    key
        The whole key, from the bucket on.
    size
        Bytes.
    etag
        ETag without quotes.
    last_modified
        When the object was last written, in UTC.
    """

    key: str
    size: int
    etag: str
    last_modified: datetime

    @property
    def version(self) -> str:
        """What changes when the content does: ETag and size."""
        return object_version(self.etag, self.size)


@dataclass(frozen=True)
class PlateListing:
    """What the gallery holds under the profile prefix of a plate.

    Attributes
    ----------
    plate
        The plate acquisition.
    profile
        The one object with its aggregated, unnormalized profiles; None when the gallery has none.
    others
        All other objects of the prefix, by key: the same profiles processed further, under other suffixes.
    """

    plate: PlateKey
    profile: GalleryObject | None
    others: tuple[GalleryObject, ...]


def list_objects(client: "S3Client", bucket: str, prefix: str) -> tuple[GalleryObject, ...]:
    """List all objects below a prefix, by key.

    Keys come URL-encoded and are decoded, so that any character of a key survives the XML. Empty objects whose key ends
    with a slash are left out: consoles make them to show a folder.

    Raises
    ------
    GalleryError
        If the endpoint cannot be reached or the bucket cannot be listed.
    """
    what = f"the listing of s3://{bucket}/{prefix}"
    with clear_errors(client, what):
        pages = list(client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix))
    # botocore takes any well-formed page, such as that of a hotel's login, for a listing of nothing.
    if any(page.get("Name") != bucket for page in pages):
        raise GalleryError(f"{what} cannot be read: {endpoint_name(client)} does not answer as an S3 server does")
    entries = [entry for page in pages for entry in page.get("Contents", ())]
    return tuple(
        GalleryObject(
            key=entry["Key"], size=entry["Size"], etag=entry["ETag"].strip('"'), last_modified=entry["LastModified"]
        )
        for entry in sorted(entries, key=lambda entry: entry["Key"])
        if not entry["Key"].endswith("/")
    )


def list_plates(
    client: "S3Client", root: GalleryRoot, plates: Iterable[PlateKey], *, connections: int
) -> dict[PlateKey, PlateListing]:
    """List the profile prefix of each plate, several at once.

    A plate that the gallery does not hold has an empty listing: that is a finding, not an error.

    Raises
    ------
    GalleryError
        If a prefix cannot be listed; the listings that have not begun are given up.
    """

    def list_plate(plate: PlateKey) -> PlateListing:
        objects = list_objects(client, root.bucket, root.profiles_prefix(plate))
        by_key = {item.key: item for item in objects}
        profile = by_key.pop(root.profile_key(plate), None)
        return PlateListing(plate=plate, profile=profile, others=tuple(by_key.values()))

    wanted = tuple(plates)
    with ThreadPoolExecutor(connections, thread_name_prefix="list") as pool:
        return dict(zip(wanted, pool.map(list_plate, wanted), strict=True))


def list_backends(client: "S3Client", root: GalleryRoot, plates: Iterable[PlateKey]) -> dict[PlateKey, GalleryObject]:
    """List the single-cell backends of the plates that have one; a request or two for each batch.

    Raises
    ------
    GalleryError
        If a prefix cannot be listed.
    """
    wanted = tuple(plates)
    batches = sorted({plate.batch for plate in wanted})
    objects = {
        item.key: item for batch in batches for item in list_objects(client, root.bucket, root.backends_prefix(batch))
    }
    return {plate: objects[root.backend_key(plate)] for plate in wanted if root.backend_key(plate) in objects}


def simulated_marker(client: "S3Client", root: GalleryRoot) -> str | None:
    """Give the text by which a simulated gallery says that it is one; None for the real gallery.

    Scores carry it as their origin, so that those of simulated data are never taken for real ones.

    Raises
    ------
    GalleryError
        If the endpoint cannot be reached or refuses to say.
    """
    content = read_object(client, root.bucket, root.marker_key)
    return None if content is None else content.decode(errors="replace").strip()

"""What the gallery holds, by listing prefixes: no request per object.

Belongs here: listed objects, prefix by prefix and plate by plate, and the marker of a simulated gallery. Does not
belong here: the key layout (``layout``), reading objects (``download``), keeping listings (``transfer.inventory``).
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from cpjump_assets.gallery.failures import clear_errors, endpoint_name
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.transfer.body import read_object
from cpjump_assets.gallery.transfer.etag import object_version
from cpjump_assets.science.errors import GalleryError
from cpjump_assets.science.plates import PlateKey

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef


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

    @property
    def objects(self) -> tuple[GalleryObject, ...]:
        """All that was listed, by key."""
        profile = () if self.profile is None else (self.profile,)
        return tuple(sorted((*profile, *self.others), key=attrgetter("key")))


def list_objects(client: "S3Client", bucket: str, prefix: str) -> tuple[GalleryObject, ...]:
    """List all objects below a prefix, by key.

    Keys come URL-encoded and are decoded, so that any character of a key survives the XML. Empty objects whose key ends
    with a slash are left out: consoles make them to show a folder.

    Raises
    ------
    GalleryError
        If the endpoint cannot be reached or the bucket cannot be listed.
    """
    objects = (
        GalleryObject(
            key=entry["Key"], size=entry["Size"], etag=entry["ETag"].strip('"'), last_modified=entry["LastModified"]
        )
        for page in _pages(client, bucket, prefix)
        for entry in page.get("Contents", ())
        if not entry["Key"].endswith("/")
    )
    return tuple(sorted(objects, key=attrgetter("key")))


def list_prefixes(
    client: "S3Client", bucket: str, prefixes: Iterable[str], *, connections: int
) -> dict[str, tuple[GalleryObject, ...]]:
    """List all objects below each prefix, several prefixes at once; a prefix without objects has an empty listing.

    Raises
    ------
    GalleryError
        If a prefix cannot be listed; the listings that have not begun are given up.
    """
    wanted = tuple(dict.fromkeys(prefixes))
    with ThreadPoolExecutor(connections, thread_name_prefix="list") as pool:
        listed = pool.map(lambda prefix: list_objects(client, bucket, prefix), wanted)
        return dict(zip(wanted, listed, strict=True))


def find_objects(client: "S3Client", bucket: str, keys: Iterable[str], *, connections: int) -> dict[str, GalleryObject]:
    """List single objects, a request each; those that are not there are left out.

    Raises
    ------
    GalleryError
        If the gallery cannot be listed.
    """
    listed = list_prefixes(client, bucket, keys, connections=connections)
    return {item.key: item for key, objects in listed.items() for item in objects if item.key == key}


def list_folders(client: "S3Client", bucket: str, prefix: str) -> tuple[str, ...]:
    """List the names of the folders right below a prefix, without looking into them.

    Parameters
    ----------
    prefix
        Ends with a slash, or is empty for the whole bucket.

    Raises
    ------
    GalleryError
        If the prefix cannot be listed.
    """
    pages = _pages(client, bucket, prefix, Delimiter="/")
    folders = (entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ()))
    return tuple(sorted(folder.removeprefix(prefix).removesuffix("/") for folder in folders))


def _pages(client: "S3Client", bucket: str, prefix: str, **more: Any) -> Iterator["ListObjectsV2OutputTypeDef"]:
    what = f"the listing of s3://{bucket}/{prefix}"
    with clear_errors(client, what):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **more):
            # botocore takes any well-formed page, such as that of a hotel's login, for a listing of nothing.
            if page.get("Name") != bucket:
                raise GalleryError(
                    f"{what} cannot be read: {endpoint_name(client)} does not answer as an S3 server does"
                )
            yield page


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
    wanted = tuple(plates)
    prefixes = [root.profiles_prefix(plate) for plate in wanted]
    listed = list_prefixes(client, root.bucket, prefixes, connections=connections)
    return {plate: plate_listing(root, plate, listed[root.profiles_prefix(plate)]) for plate in wanted}


def plate_listing(root: GalleryRoot, plate: PlateKey, objects: Iterable[GalleryObject]) -> PlateListing:
    """Tell the profile of a plate from the other objects of its profile prefix."""
    by_key = {item.key: item for item in objects}
    profile = by_key.pop(root.profile_key(plate), None)
    return PlateListing(plate=plate, profile=profile, others=tuple(by_key.values()))


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

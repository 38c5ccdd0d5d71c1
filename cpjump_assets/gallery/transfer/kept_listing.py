"""A listing that is kept: what a prefix held, and when.

Belongs here: the listing with its time, and its form in the inventory. Does not belong here: the file that keeps it
(``inventory``), asking for it (``gallery.listing``), comparing it (``changes``).
"""

import json
import zlib
from dataclasses import dataclass
from datetime import datetime

from cpjump_assets.gallery.listing import GalleryObject

# ETags do not compress, the rest does at any level: 1 takes a third of the time of 6, for 36 bytes an image, not 32.
_LEVEL = 1


@dataclass(frozen=True)
class KeptListing:
    """What was listed under a prefix.

    Attributes
    ----------
    prefix
        As it was asked for.
    listed_at
        When, ISO 8601 in UTC.
    objects
        All that there was, by key.
    """

    prefix: str
    listed_at: str
    objects: tuple[GalleryObject, ...]

    @property
    def count(self) -> int:
        """Number of objects."""
        return len(self.objects)

    @property
    def bytes(self) -> int:
        """Bytes of all objects."""
        return sum(item.size for item in self.objects)


def pack(listing: KeptListing) -> bytes:
    """Write the objects of a listing as compressed JSON, without the prefix that all keys share."""
    cut = len(listing.prefix)
    entries = [(item.key[cut:], item.size, item.etag, item.last_modified.isoformat()) for item in listing.objects]
    return zlib.compress(json.dumps(entries).encode(), _LEVEL)


def unpack(prefix: str, listed_at: str, content: bytes) -> KeptListing:
    """Read a listing as it was packed."""
    objects = tuple(
        GalleryObject(prefix + rest, size, etag, datetime.fromisoformat(moment))
        for rest, size, etag, moment in json.loads(zlib.decompress(content))
    )
    return KeptListing(prefix, listed_at, objects)

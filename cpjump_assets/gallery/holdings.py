"""What the store holds of the gallery, and what changed upstream, by kind of object and batch.

Belongs here: which kind and batch a key is of, and the sums. Does not belong here: pulling (``contents`` knows what can
be), one prefix's changes (``transfer.changes``), how it looks (``terminal.inventory``).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cpjump_assets.gallery.contents import KINDS
from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.gallery.layout import GalleryRoot, outermost
from cpjump_assets.gallery.listing import list_prefixes
from cpjump_assets.gallery.transfer.changes import KINDS_OF_CHANGE, Changes, compare, keep_listings
from cpjump_assets.gallery.transfer.inventory import FolderSummary, Inventory

OTHER = "other"
"""Kind of what lies nowhere where the gallery is known to keep something."""
NAMED_KEYS = 1000
"""Keys of changed and vanished objects that are named, at most."""

# By the segments below the root, where * stands for the batch: the kind, and how many segments make a prefix that is
# listed as a whole, such as that of a plate.
_PLACES = {
    ("workspace", "profiles", "*"): ("profiles", 4),
    ("workspace", "load_data_csv", "*"): ("load-data", 4),
    ("workspace", "backend", "*"): ("backends", 4),
    ("workspace", "analysis", "*"): ("analysis", 5),
    ("workspace", "metadata", "platemaps", "*"): ("platemaps", 4),
    ("workspace", "metadata"): ("metadata", 2),
    ("images", "*", "images"): ("images", 5),
    ("images", "*", "illum"): ("illumination", 4),
}


@dataclass(frozen=True)
class Place:
    """Where in the gallery a key lies.

    Attributes
    ----------
    kind
        As in ``contents.KINDS``, or ``OTHER``.
    batch
        Empty where the object is of no batch.
    prefix
        What is listed as a whole: the folder of a plate, for most kinds.
    """

    kind: str
    batch: str
    prefix: str

    @classmethod
    def of(cls, root: GalleryRoot, folder: str) -> "Place":
        """Tell the place of a folder, given as a key that ends with a slash."""
        above = f"{root.prefix}/" if root.prefix else ""
        segments = folder.removeprefix(above).split("/")[:-1] if folder.startswith(above) else []
        for pattern, (kind, depth) in _PLACES.items():
            if len(segments) >= len(pattern) and all(p in ("*", s) for p, s in zip(pattern, segments, strict=False)):
                batch = segments[pattern.index("*")] if "*" in pattern else ""
                return cls(kind, batch, above + "".join(f"{segment}/" for segment in segments[:depth]))
        return cls(OTHER, "", folder)


@dataclass
class Held:
    """What is held of one kind and batch.

    Attributes
    ----------
    objects, bytes, unverified, vanished
        As of ``FolderSummary``, added up.
    oldest_verification
        When the bytes longest not looked at were last found right, ISO 8601 in UTC.
    """

    kind: str
    batch: str
    objects: int = 0
    bytes: int = 0
    unverified: int = 0
    vanished: int = 0
    oldest_verification: str = ""

    def add(self, folder: FolderSummary) -> None:
        """Add what is held in a folder."""
        self.objects += folder.objects
        self.bytes += folder.bytes
        self.unverified += folder.unverified
        self.vanished += folder.vanished
        oldest = folder.oldest_verification
        self.oldest_verification = min(self.oldest_verification or oldest, oldest)


@dataclass
class Upstream:
    """How the gallery differs from what is held of one kind and batch.

    Attributes
    ----------
    listed_at
        When; of several listings, the time of the oldest.
    counts
        Objects by kind of change.
    changed, vanished
        The first keys of those that changed and vanished.
    """

    kind: str
    batch: str
    listed_at: str
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS_OF_CHANGE, 0))
    changed: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)


def held_by_kind(root: GalleryRoot, folders: Iterable[FolderSummary]) -> list[Held]:
    """Add up what is held, by kind and batch."""
    sums: dict[tuple[str, str], Held] = {}
    for folder in folders:
        place = Place.of(root, folder.folder)
        sums.setdefault((place.kind, place.batch), Held(place.kind, place.batch)).add(folder)
    return [sums[key] for key in sorted(sums, key=_order)]


def look_again(gallery: Gallery, inventory: Inventory) -> None:
    """List everything again of which something is held or was listed, and keep the listings.

    Objects at places that are not known to be of CPJUMP1 are looked at only where their prefix was listed before.

    Raises
    ------
    GalleryError
        If a prefix cannot be listed; then nothing is kept.
    StoreError
        If the inventory cannot be read or written.
    """
    places = [Place.of(gallery.root, folder.folder) for folder in inventory.folder_summaries()]
    held = [place.prefix for place in places if place.kind != OTHER]
    prefixes = outermost([*held, *inventory.listed_prefixes()])
    listed = list_prefixes(gallery.client, gallery.root.bucket, prefixes, connections=gallery.connections)
    keep_listings(inventory, listed, moment=datetime.now(UTC))


def upstream_by_kind(root: GalleryRoot, inventory: Inventory) -> list[Upstream]:
    """Compare the kept listings with what is held, by kind and batch; no request is sent.

    Raises
    ------
    StoreError
        If the inventory cannot be read.
    """
    sums: dict[tuple[str, str], Upstream] = {}
    for prefix in outermost(inventory.listed_prefixes()):
        listing = inventory.last_listing(prefix)
        if listing is None:
            continue  # another process has taken the prefix out meanwhile
        place = Place.of(root, prefix)
        found = sums.setdefault((place.kind, place.batch), Upstream(place.kind, place.batch, listing.listed_at))
        found.listed_at = min(found.listed_at, listing.listed_at)
        _add(found, compare(listing.objects, inventory.rows_below(prefix)))
    return [sums[key] for key in sorted(sums, key=_order)]


def _add(sums: Upstream, changes: Changes) -> None:
    for kind, number in changes.counts().items():
        sums.counts[kind] += number
    sums.changed += [item.key for item in changes.changed][: NAMED_KEYS - len(sums.changed)]
    sums.vanished += [row.key for row in changes.vanished][: NAMED_KEYS - len(sums.vanished)]


def _order(key: tuple[str, str]) -> tuple[int, str]:
    kind, batch = key
    return (KINDS.index(kind) if kind in KINDS else len(KINDS), batch)

"""What changed upstream: a listing, compared with what is held.

Belongs here: new, changed, unchanged and vanished, and the marks that this leaves in the inventory. Does not belong
here: listing (``gallery.listing``), what a pull has to bring (``plan``, which looks at the files too).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.transfer.inventory import Inventory, InventoryRow, utc_text
from cpjump_assets.gallery.transfer.kept_listing import KeptListing

KINDS_OF_CHANGE = ("new", "changed", "unchanged", "vanished")


@dataclass(frozen=True)
class Changes:
    """How a listing differs from the rows that are held, by key.

    Attributes
    ----------
    new
        Listed, and not held.
    changed
        Listed with another size or ETag than is held.
    unchanged
        Listed as held.
    vanished
        Held, and no longer listed.
    """

    new: tuple[GalleryObject, ...]
    changed: tuple[GalleryObject, ...]
    unchanged: tuple[GalleryObject, ...]
    vanished: tuple[InventoryRow, ...]

    def counts(self) -> dict[str, int]:
        """Give the number of objects by kind of change, for metadata and tables."""
        return {kind: len(getattr(self, kind)) for kind in KINDS_OF_CHANGE}


def compare(listed: Iterable[GalleryObject], rows: Iterable[InventoryRow]) -> Changes:
    """Compare a listing with the rows of the same prefix, by key, size and ETag."""
    held = {row.key: row for row in rows}
    new, changed, unchanged = [], [], []
    for item in listed:
        row = held.pop(item.key, None)
        if row is None:
            new.append(item)
        elif (row.size, row.etag) == (item.size, item.etag):
            unchanged.append(item)
        else:
            changed.append(item)
    return Changes(tuple(new), tuple(changed), tuple(unchanged), tuple(held.values()))


def keep_listings(
    inventory: Inventory, listings: Mapping[str, Iterable[GalleryObject]], *, moment: datetime
) -> dict[str, Changes]:
    """Keep what was just listed, and mark in the inventory what has vanished and what is back.

    Parameters
    ----------
    listings
        All objects below each prefix.
    moment
        When they were listed.

    Returns
    -------
    dict
        What changed, by prefix.

    Raises
    ------
    StoreError
        If the inventory cannot be read or written.
    """
    now = utc_text(moment)
    kept = [KeptListing(prefix, now, tuple(objects)) for prefix, objects in listings.items()]
    changes: dict[str, Changes] = {}
    vanished: list[str] = []
    back: list[str] = []
    for listing in kept:
        rows = list(inventory.rows_below(listing.prefix))
        found = changes[listing.prefix] = compare(listing.objects, rows)
        gone = {row.key for row in found.vanished}
        vanished += gone
        back += [row.key for row in rows if row.vanished_at is not None and row.key not in gone]
    inventory.keep_listings(kept)
    inventory.mark_vanished(sorted(vanished), moment=now)
    inventory.mark_present(sorted(back))
    return changes


def total(changes: Iterable[Changes]) -> str:
    """Say how many objects of several prefixes are new, changed, unchanged and vanished."""
    counts: Counter[str] = Counter()
    for part in changes:
        counts.update(part.counts())
    return ", ".join(f"{counts[kind]:,} {kind}" for kind in KINDS_OF_CHANGE)

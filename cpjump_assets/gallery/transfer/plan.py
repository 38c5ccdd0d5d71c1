"""Before a pull: what of it is held already, what it would bring, and whether that is allowed.

Belongs here: comparing listed objects with the inventory and the disk, and the budget. Does not belong here: pulling
(``pull``), what a difference from a former listing means (``changes``).
"""

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cpjump_assets.gallery.layout import safe_relative_path
from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.transfer.amounts import bytes_text, enough_text, objects_text
from cpjump_assets.gallery.transfer.inventory import Inventory, InventoryRow
from cpjump_assets.gallery.transfer.twins import require_own_names
from cpjump_assets.science.errors import GalleryError, StoreError

_ROWS_AT_ONCE = 10_000  # so that the rows of millions of objects are never in memory together


@dataclass(frozen=True)
class PullPlan:
    """What a pull would do.

    Attributes
    ----------
    objects, bytes
        All that is wanted.
    missing
        The objects that have to be pulled, in the order in which they were listed.
    missing_bytes
        Bytes of these.
    changed
        Keys of those that are held in another version than is listed.
    """

    objects: int
    bytes: int
    missing: tuple[GalleryObject, ...]
    missing_bytes: int
    changed: tuple[str, ...]

    @property
    def held_objects(self) -> int:
        """Objects that are held in the listed version."""
        return self.objects - len(self.missing)

    @property
    def held_bytes(self) -> int:
        """Bytes of the objects that are held."""
        return self.bytes - self.missing_bytes

    def sums(self) -> dict[str, int]:
        """Give the numbers by name."""
        return {
            "objects": self.objects,
            "bytes": self.bytes,
            "held_objects": self.held_objects,
            "held_bytes": self.held_bytes,
            "missing_objects": len(self.missing),
            "missing_bytes": self.missing_bytes,
            "changed_objects": len(self.changed),
        }

    def require_within(self, budget: int | None) -> None:
        """Refuse a pull that would bring more than is allowed.

        Parameters
        ----------
        budget
            Bytes; None allows any amount.

        Raises
        ------
        GalleryError
            If the missing objects have more bytes, with both amounts and the ways to allow it.
        """
        if budget is None or self.missing_bytes <= budget:
            return
        enough = enough_text(self.missing_bytes)
        raise GalleryError(
            f"the pull would bring {objects_text(len(self.missing))}, {bytes_text(self.missing_bytes)}, more than the "
            f"budget of {bytes_text(budget)}: ask for less, or allow it with --budget {enough} or "
            f"CPJUMP_PULL_BUDGET={enough}"
        )


def total_plan(plans: Iterable[PullPlan]) -> PullPlan:
    """Add up plans that have no object in common."""
    parts = tuple(plans)
    return PullPlan(
        objects=sum(plan.objects for plan in parts),
        bytes=sum(plan.bytes for plan in parts),
        missing=tuple(item for plan in parts for item in plan.missing),
        missing_bytes=sum(plan.missing_bytes for plan in parts),
        changed=tuple(key for plan in parts for key in plan.changed),
    )


def plan_pull(objects: Iterable[GalleryObject], inventory: Inventory | None, destination: Path) -> PullPlan:
    """Find what is missing of some objects; no request is sent.

    An object is held when its ETag and size are those of its inventory row, and its file is there with that size.

    Parameters
    ----------
    objects
        As listed.
    inventory
        Of the destination; None where there is none yet.
    destination
        The gallery folder of a store.

    Raises
    ------
    GalleryError
        If a key cannot be stored.
    StoreError
        If the inventory cannot be read, or a file not be looked at.
    """
    wanted = {item.key: item for item in objects}
    missing: list[GalleryObject] = []
    changed: list[str] = []
    for chunk in _chunks(wanted.values()):
        paths = {item.key: destination / safe_relative_path(item.key) for item in chunk}
        rows = {} if inventory is None else inventory.rows(paths)
        for item in chunk:
            row = rows.get(item.key)
            if not _is_held(item, row, paths[item.key]):
                missing.append(item)
                if row is not None and row.version != item.version:
                    changed.append(item.key)
    require_own_names((item.key for item in missing), destination)
    return PullPlan(
        objects=len(wanted),
        bytes=sum(item.size for item in wanted.values()),
        missing=tuple(missing),
        missing_bytes=sum(item.size for item in missing),
        changed=tuple(changed),
    )


def _is_held(item: GalleryObject, row: InventoryRow | None, path: Path) -> bool:
    if row is None or row.version != item.version:
        return False
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StoreError(f"cannot look at {path}: {error.strerror or error}") from error
    return stat.S_ISREG(status.st_mode) and status.st_size == item.size


def _chunks(objects: Iterable[GalleryObject]) -> Iterator[list[GalleryObject]]:
    remaining = iter(objects)
    while chunk := list(islice(remaining, _ROWS_AT_ONCE)):
        yield chunk

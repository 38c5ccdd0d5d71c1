"""Keys that differ in case only, and folders that do not tell them apart.

Belongs here: refusing the second of two such keys before it overwrites the first. Does not belong here: what is wrong
with a key by itself (``layout.safe_relative_path``). On file systems that tell case, as on nearly all of Linux, nothing
is refused and nothing is looked at.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from cpjump_assets.gallery.layout import RECORD_NAME
from cpjump_assets.science.errors import GalleryError


def require_own_names(keys: Iterable[str], folder: Path) -> None:
    """Refuse keys of which the file system would make one file or folder.

    Parameters
    ----------
    keys
        Keys that ``safe_relative_path`` takes.
    folder
        The folder of pulled objects, with the inventory in it.

    Raises
    ------
    GalleryError
        If the folder does not tell the name of a key, or of a folder in it, from that of another key or of a file that
        is there; it names both.
    """
    if not _is_there(folder / RECORD_NAME.upper()):
        return
    for parent, names in sorted(_names_by_parent(keys).items()):
        _require_different(parent, names, folder)
        _require_as_spelled(parent, names, folder)


def _names_by_parent(keys: Iterable[str]) -> dict[str, set[str]]:
    names: defaultdict[str, set[str]] = defaultdict(set)
    for key in keys:
        parent, _, name = key.rpartition("/")
        while name and name not in names[parent]:
            names[parent].add(name)
            parent, _, name = parent.rpartition("/")
    return names


def _require_different(parent: str, names: set[str], folder: Path) -> None:
    spelled: dict[str, str] = {}
    for name in sorted(names):
        first = spelled.setdefault(name.casefold(), name)
        if first != name:
            raise _refusal(parent, name, first, folder)


def _require_as_spelled(parent: str, names: set[str], folder: Path) -> None:
    place = folder / parent
    there = {path.name for path in place.iterdir()} if _is_there(place) else set()
    for name in sorted(names - there):
        if _is_there(place / name):
            other = next((other for other in sorted(there) if other.casefold() == name.casefold()), "another name")
            raise _refusal(parent, name, other, folder)


def _refusal(parent: str, name: str, other: str, folder: Path) -> GalleryError:
    key = f"{parent}/{name}".lstrip("/")
    return GalleryError(
        f"key {key!r} cannot be stored beside {other!r}: expected a folder that tells upper from lower case, found "
        f"{folder}, which does not"
    )


def _is_there(path: Path) -> bool:
    return path.exists()

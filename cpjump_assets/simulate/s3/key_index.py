"""The sorted keys of a bucket, kept in step with its folder.

Belongs here: reading folders, and reading again only those that changed. Does not belong here: pages (``listing``).
"""

import os
import threading
from dataclasses import dataclass
from pathlib import Path

from cpjump_assets.simulate.s3.objects import UNFINISHED_SUFFIX, Stamp, is_settled


@dataclass(frozen=True)
class _Scan:
    """What one folder held: names of files and of folders, and the stamp that it had."""

    stamp: Stamp | None
    files: tuple[str, ...]
    folders: tuple[str, ...]


class KeyIndex:
    """The sorted keys of one bucket.

    A listing looks at the stamp of each folder and reads again those that changed: 100,000 keys in 260 folders cost
    1 ms a page instead of 0.2 s.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._scans: dict[str, _Scan] = {}
        self._keys: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def keys(self) -> tuple[str, ...]:
        """Give the keys as they are on disk now, in the order of their UTF-8 bytes."""
        with self._lock:
            scans = self._scan_all()
            listed = {name: (scan.files, scan.folders) for name, scan in scans.items()}
            if listed != {name: (scan.files, scan.folders) for name, scan in self._scans.items()}:
                self._keys = tuple(sorted(name + file for name, scan in scans.items() for file in scan.files))
            self._scans = scans
            return self._keys

    def _scan_all(self) -> dict[str, _Scan]:
        scans: dict[str, _Scan] = {}
        waiting = [""]
        while waiting:
            name = waiting.pop()
            scan = self._scan(name)
            if scan is not None:
                scans[name] = scan
                waiting += [f"{name}{folder}/" for folder in scan.folders]
        return scans

    def _scan(self, name: str) -> _Scan | None:
        """Read a folder, unless it is as it was; None if it is gone."""
        path = f"{self._folder}/{name}"
        known = self._scans.get(name)
        try:
            status = os.stat(path)  # noqa: PTH116 - once a folder and page: a Path costs more than the stat
            if known is not None and known.stamp == Stamp.of(status):
                return known
            with os.scandir(path) as entries:
                found = [entry for entry in entries if _is_key_part(entry)]
        except FileNotFoundError:
            return None
        return _Scan(
            Stamp.of(status) if is_settled(status) else None,
            tuple(entry.name for entry in found if not entry.is_dir()),
            tuple(entry.name for entry in found if entry.is_dir()),
        )


def _is_key_part(entry: os.DirEntry[str]) -> bool:
    """Tell whether a directory entry is a folder or an object: no link, not unfinished, and named in UTF-8."""
    if any("\ud800" <= character <= "\udfff" for character in entry.name):
        return False
    if entry.is_dir(follow_symlinks=False):
        return True
    return entry.is_file(follow_symlinks=False) and not entry.name.endswith(UNFINISHED_SUFFIX)

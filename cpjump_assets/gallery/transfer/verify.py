"""Everything that is held, read again.

Belongs here: many files at once, what of it goes into the inventory, the report; making room for pulling bad ones
again. Does not belong here: one file (``check``), pulling (``pull``), what changed in the gallery (``changes``).
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from cpjump_assets.gallery.layout import outermost, safe_relative_path
from cpjump_assets.gallery.reference.released import Released
from cpjump_assets.gallery.transfer import md5_lanes
from cpjump_assets.gallery.transfer.check import CheckedFile, FileState, check_file
from cpjump_assets.gallery.transfer.crew import in_batches
from cpjump_assets.gallery.transfer.etag import Md5, Verification
from cpjump_assets.gallery.transfer.inventory import Inventory, InventoryRow
from cpjump_assets.gallery.transfer.md5_lanes import LANES
from cpjump_assets.gallery.transfer.progress import NoProgress, Progress
from cpjump_assets.gallery.transfer.report import PullReport
from cpjump_assets.science.errors import GalleryError, StoreError

_RECORD_EVERY = 1.0
"""Seconds for which verified files wait for their rows, as each transaction is an fsync."""
_A_MOMENT = 0.5
"""Seconds within which a pull records the files that it has put in place."""


@dataclass(frozen=True)
class VerifyReport:
    """What reading again has shown.

    Attributes
    ----------
    states
        Number of files by verdict.
    bytes
        Of the verified files.
    bad
        The files that are not verified, by key.
    unverified
        Verified files of which only their own sum of the day of the pull is known, so that nothing proves the pull.
    as_released
        Number of files whose sha256 is the released one.
    not_as_released
        Keys of files that have the released size, and another sha256.
    seconds
        Time taken.
    """

    states: Mapping[FileState, int]
    bytes: int
    bad: tuple[CheckedFile, ...]
    unverified: int
    as_released: int
    not_as_released: tuple[str, ...]
    seconds: float

    @property
    def verified(self) -> int:
        """Number of files whose bytes are right."""
        return self.states.get(FileState.VERIFIED, 0)

    @property
    def objects(self) -> int:
        """Number of files that were read, or should have been."""
        return sum(self.states.values())

    def to_json(self) -> dict[str, Any]:
        """Give everything by name, with all bad files."""
        bad = [
            {"key": item.row.key, "state": item.state, "expected": item.expected, "found": item.found}
            for item in self.bad
        ]
        counts = {str(state): self.states.get(state, 0) for state in FileState}
        return {
            **counts,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "unverified": self.unverified,
            "as released": self.as_released,
            "not as released": list(self.not_as_released),
            "bad": bad,
        }


@dataclass(frozen=True)
class Repair:
    """What became of bad files that were pulled again.

    Attributes
    ----------
    pulled
        Keys of those that are right now.
    left
        Keys of those that are not: the gallery has them no more, or their pull failed.
    """

    pulled: tuple[str, ...]
    left: tuple[str, ...]

    @classmethod
    def of(cls, bad: Iterable[CheckedFile], report: PullReport) -> "Repair":
        """Compare what was bad with what was pulled."""
        pulled = {row.key for row in report.pulled}
        keys = sorted(item.row.key for item in bad)
        return cls(
            pulled=tuple(key for key in keys if key in pulled), left=tuple(key for key in keys if key not in pulled)
        )

    def to_json(self) -> dict[str, Any]:
        """Give the keys by name."""
        return {"pulled again": list(self.pulled), "not pulled again": list(self.left)}


def verify_objects(
    inventory: Inventory,
    folder: Path,
    prefixes: Iterable[str] = ("",),
    *,
    threads: int = LANES,
    progress: Progress | None = None,
    released: Released | None = None,
    md5: Callable[[], Md5] = md5_lanes.md5,
) -> VerifyReport:
    """Read again what is held, several files at once, and record what is right.

    Parameters
    ----------
    folder
        The gallery folder of the store.
    prefixes
        Only objects whose keys begin with one of these.
    threads
        Files under way at once: with as many as the lanes of the MD5, objects of 2 MB take half of the CPU time.
    progress
        Told as files are read.
    released
        Tells what was released, to compare with as well.
    md5
        Begins an MD5.

    Raises
    ------
    StoreError
        If the inventory cannot be read or written. A bad file is no error, but part of the report.
    """
    started = time.monotonic()
    told = progress or NoProgress()
    apart = outermost(prefixes)
    totals = [inventory.totals_below(prefix) for prefix in apart]
    told.begin(sum(objects for objects, _ in totals), sum(size for _, size in totals))
    stop = Event()
    reading = _Reading(inventory, folder, told, released, md5, stop)
    rows = (row for prefix in apart for row in inventory.rows_below(prefix))
    tally = _Tally()
    doubtful: list[CheckedFile] = []
    try:
        for ended in in_batches(reading.check, rows, threads=threads, stop=stop, seconds=_RECORD_EVERY):
            batch = [item for item in ended if item is not None]
            tally.add(reading.right(batch))
            doubtful += [item for item in batch if item.state is not FileState.VERIFIED]
        if doubtful:
            time.sleep(_A_MOMENT)
            settled = [reading.again(item) for item in doubtful]
            reading.right(settled)
            tally.add(settled)
    finally:
        told.end()
    return tally.report(time.monotonic() - started)


def still_right(row: InventoryRow, inventory: Inventory, folder: Path) -> InventoryRow | None:
    """Tell whether a held file is what its row says, without reading it unless something has touched it.

    A file whose size and modification time are those of its row is taken as it is: a backend of 23 GB takes half a
    minute to hash. One that was only touched gets its time recorded.

    Returns
    -------
    InventoryRow or None
        The row; None when the file was not right. Then it is removed, to be pulled again.

    Raises
    ------
    StoreError
        If the file cannot be removed, or the inventory not be written.
    """
    path = folder / safe_relative_path(row.key)
    try:
        status = path.stat()
    except OSError:
        return None
    if (status.st_size, status.st_mtime_ns) == (row.size, row.mtime_ns):
        return row
    checked = check_file(path, row)
    if checked.state is not FileState.VERIFIED:
        take_away([checked], inventory, folder)
        return None
    inventory.mark_verified([checked.row])
    return checked.row


def take_away(bad: Iterable[CheckedFile], inventory: Inventory, folder: Path) -> None:
    """Remove bad files, so that the next pull brings them again.

    What is no file stays, and is in the pull's way; so does a file that was pulled anew since it was read.

    Raises
    ------
    StoreError
        If one cannot be removed, or the inventory not be read.
    """
    for item in bad:
        if _pulled_anew(item, inventory):
            continue
        path = folder / safe_relative_path(item.row.key)
        try:
            if not path.is_dir():
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"cannot remove {path}: {error.strerror or error}") from error


def _pulled_anew(checked: CheckedFile, inventory: Inventory) -> InventoryRow | None:
    """Give the row of a file that a pull has replaced since it was read; None where none has."""
    row = inventory.rows([checked.row.key]).get(checked.row.key)
    return None if row == checked.row else row


class _VerifyStoppedError(Exception):
    """A file was given up because the whole ends."""


@dataclass(frozen=True)
class _Reading:
    """What the threads share."""

    inventory: Inventory
    folder: Path
    progress: Progress
    released: Released | None
    md5: Callable[[], Md5]
    stop: Event

    def check(self, row: InventoryRow) -> CheckedFile | None:
        """Read a file; None when it was given up because the whole ends."""
        try:
            return self._check(row, self._advance)
        except _VerifyStoppedError:
            return None
        finally:
            self.progress.finish_object()

    def again(self, bad: CheckedFile) -> CheckedFile:
        """Read a file again that a pull has replaced meanwhile: its row comes a moment later than its bytes."""
        row = _pulled_anew(bad, self.inventory)
        return bad if row is None else self._check(row, self.progress.advance)

    def right(self, checked: Iterable[CheckedFile]) -> list[CheckedFile]:
        """Give the files that are right, and record them."""
        right = [item for item in checked if item.state is FileState.VERIFIED]
        self.inventory.mark_verified(item.row for item in right)
        return right

    def _advance(self, count: int) -> None:
        if self.stop.is_set():
            raise _VerifyStoppedError
        self.progress.advance(count)

    def _check(self, row: InventoryRow, on_bytes: Callable[[int], object]) -> CheckedFile:
        try:
            path = self.folder / safe_relative_path(row.key)
        except GalleryError as error:  # earlier releases of the platform took some keys that this one refuses
            return CheckedFile(row, FileState.UNREADABLE, "a key that can be stored", str(error))
        known = None if self.released is None else self.released.get(row.key)
        return check_file(path, row, released=known, md5=self.md5, on_bytes=on_bytes)


@dataclass
class _Tally:
    """What was found so far."""

    states: Counter[FileState] = field(default_factory=Counter)
    bytes: int = 0
    bad: list[CheckedFile] = field(default_factory=list)
    unverified: int = 0
    as_released: int = 0
    not_as_released: list[str] = field(default_factory=list)

    def add(self, checked: Iterable[CheckedFile]) -> None:
        for item in checked:
            self.states[item.state] += 1
            if item.state is not FileState.VERIFIED:
                self.bad.append(item)
                continue
            self.bytes += item.row.size
            self.unverified += item.row.verification is Verification.UNVERIFIED
            self.as_released += item.agrees_with_release is True
            if item.agrees_with_release is False:
                self.not_as_released.append(item.row.key)

    def report(self, seconds: float) -> VerifyReport:
        return VerifyReport(
            states=dict(self.states),
            bytes=self.bytes,
            bad=tuple(sorted(self.bad, key=lambda item: item.row.key)),
            unverified=self.unverified,
            as_released=self.as_released,
            not_as_released=tuple(sorted(self.not_as_released)),
            seconds=seconds,
        )

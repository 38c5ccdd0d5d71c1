"""One file that is held, read again: whether its bytes are those that were pulled.

Belongs here: the hashes that a row asks for, and the verdict on a file. Does not belong here: many files and what is
done about bad ones (``verify``).
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from cpjump_assets.gallery.reference.released import ReleasedFile
from cpjump_assets.gallery.transfer.etag import MIB, Etag, EtagCheck, Md5, Verification, likely_part_sizes, plain_md5
from cpjump_assets.gallery.transfer.inventory import InventoryRow, utc_text


class FileState(StrEnum):
    """What was found in place of a file that is held."""

    VERIFIED = "verified"
    ALTERED = "altered"
    TRUNCATED = "truncated"
    MISSING = "missing"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file that was read again.

    Attributes
    ----------
    row
        Its row; of a verified file, with what was found out.
    state
        The verdict.
    expected, found
        Of a bad file: what its row promises, and what is there.
    agrees_with_release
        Whether the sha256 is the released one; None where no file of this size was released.
    """

    row: InventoryRow
    state: FileState
    expected: str = ""
    found: str = ""
    agrees_with_release: bool | None = None

    def __str__(self) -> str:
        """Say it in one line."""
        what = f"{self.row.key} is {self.state}"
        return what if self.state is FileState.VERIFIED else f"{what}: expected {self.expected}, found {self.found}"


def check_file(
    path: Path,
    row: InventoryRow,
    *,
    released: ReleasedFile | None = None,
    md5: Callable[[], Md5] = plain_md5,
    on_bytes: Callable[[int], object] = lambda count: None,
) -> CheckedFile:
    """Read a file and compare it with its row: by the ETag where that proved the bytes, else by the sha256.

    Parameters
    ----------
    released
        The file as it was released; its sum can prove what the ETag cannot.
    md5
        Begins an MD5.
    on_bytes
        Told of bytes as they are read.

    Returns
    -------
    CheckedFile
        A file that is not there, or cannot be read, is a verdict and no error.
    """
    hashes = _Hashes(row, released, md5)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return CheckedFile(row, FileState.UNREADABLE, "a file", "something else of this name")
        if status.st_size != row.size:
            state = FileState.TRUNCATED if status.st_size < row.size else FileState.ALTERED
            return CheckedFile(row, state, f"{row.size:,} bytes", f"{status.st_size:,}")
        for chunk in _chunks(path):
            hashes.update(chunk)
            on_bytes(len(chunk))
    except FileNotFoundError:
        return CheckedFile(row, FileState.MISSING, f"{row.size:,} bytes", "no file")
    except OSError as error:
        return CheckedFile(row, FileState.UNREADABLE, f"{row.size:,} bytes", error.strerror or str(error))
    return hashes.verdict(status.st_mtime_ns)


class _Hashes:
    """The sums of a body that a row and a release can be compared by."""

    def __init__(self, row: InventoryRow, released: ReleasedFile | None, md5: Callable[[], Md5]) -> None:
        self._row = row
        self._released = released if released is not None and released.size == row.size else None
        etag = Etag.parse(row.etag) if row.verification in (Verification.MD5, Verification.MULTIPART) else None
        sizes = (row.part_size,) if row.part_size else likely_part_sizes(row.size, etag.parts) if etag else ()
        self._etag = EtagCheck(etag, sizes, md5=md5) if etag is not None and (sizes or not etag.parts) else None
        self._sha256 = hashlib.sha256() if self._etag is None or self._released else None

    def update(self, chunk: memoryview) -> None:
        for running in (self._etag, self._sha256):
            if running is not None:
                running.update(chunk)

    def verdict(self, mtime_ns: int) -> CheckedFile:
        sha256 = None if self._sha256 is None else self._sha256.hexdigest()
        agrees = None if self._released is None else sha256 == self._released.sha256
        if self._etag is not None:
            expected, found = f"ETag {self._row.etag}", ", ".join(self._etag.found().values())
            is_right = self._etag.matches()
        else:
            # Without an ETag to go by, the sum of the day of the pull is all there is.
            expected, found = f"sha256 {self._row.sha256}", str(sha256)
            is_right = self._row.sha256 in (None, sha256)
        if not is_right:
            return CheckedFile(self._row, FileState.ALTERED, expected, found, agrees)
        return CheckedFile(self._verified(sha256, mtime_ns, agrees), FileState.VERIFIED, agrees_with_release=agrees)

    def _verified(self, sha256: str | None, mtime_ns: int, agrees: bool | None) -> InventoryRow:
        row = self._row
        proved = row.verification is Verification.UNVERIFIED and agrees
        return replace(
            row,
            verification=Verification.RELEASE if proved else row.verification,
            part_size=row.part_size or self._part_size(),
            sha256=sha256 or row.sha256,
            verified_at=utc_text(datetime.now(UTC)),
            mtime_ns=mtime_ns,
        )

    def _part_size(self) -> int | None:
        found = {} if self._etag is None else self._etag.found()
        return next((size for size, text in found.items() if text == self._row.etag), None)


def _chunks(path: Path) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(MIB))
    with path.open("rb", buffering=0) as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while count := file.readinto(buffer):
            yield buffer[:count]

"""Sums of the released files: what the paper's repository says of profiles and image sets, without holding them.

Belongs here: finding the released size and sha256 of a gallery object. Does not belong here: hashing what is held
(``transfer.check``), the reference tables themselves (``tables``). The repository keeps large files in Git LFS: in
their place lie pointers, texts of three lines with the sha256 and the size. Files have versions, in the repository and
in the gallery, and a sum tells something only of a file with the released size; what differs is a finding, not an
error.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.reference.transports import Transport
from cpjump_assets.science.errors import BadTableError

TABLE = "lfs_pointers_2021.csv"
"""A table of all pointers of the release of 2021: one request, where single pointers take one each."""

_COLUMNS = ("path", "size_bytes", "sha256")
_RELEASED_FOLDERS = ("profiles/", "load_data_csv/")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-.*\n)*oid sha256:(?P<sha256>[0-9a-f]{64})\n"
    rb"size (?P<size>[0-9]{1,18})\n?"
)
_REQUESTS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class ReleasedFile:
    """A file as it was released.

    Attributes
    ----------
    size
        Bytes.
    sha256
        64 hexadecimal digits.
    """

    size: int
    sha256: str


class Released(Protocol):
    """Tells what was released, by gallery key: a ``Release``, or a dictionary of what is known."""

    def get(self, key: str, /) -> ReleasedFile | None:
        """Give the released file, if any."""


@dataclass(frozen=True)
class Release:
    """The released files, as a reference root tells them.

    Attributes
    ----------
    transport
        Reads files of the reference root.
    gallery
        Root of the gallery, whose keys are asked for.
    """

    transport: Transport
    gallery: GalleryRoot

    def get(self, key: str) -> ReleasedFile | None:
        """Give what was released under the same name as a gallery object; None where nothing is known.

        Raises
        ------
        GalleryError
            If the reference root cannot be read.
        BadTableError
            If its table of pointers is not what it must be.
        """
        path = self._path(key)
        if path is None:
            return None
        if self._table is not None:
            return self._table.get(path)
        content = self.transport.read(path)
        return None if content is None else read_pointer(content)

    def files(self, keys: Iterable[str]) -> dict[str, ReleasedFile]:
        """Give what was released of some gallery objects, by key; raises as ``get``."""
        wanted = [key for key in keys if self._path(key) is not None]
        _ = self._table  # read once, before threads ask for it
        with ThreadPoolExecutor(_REQUESTS_AT_ONCE, thread_name_prefix="release") as pool:
            found = zip(wanted, pool.map(self.get, wanted), strict=True)
            return {key: released for key, released in found if released is not None}

    def _path(self, key: str) -> str | None:
        """Give the path in the repository, which lies below ``workspace`` in the gallery."""
        workspace = self.gallery.key("workspace") + "/"
        path = key.removeprefix(workspace)
        return path if path != key and path.startswith(_RELEASED_FOLDERS) else None

    @cached_property
    def _table(self) -> Mapping[str, ReleasedFile] | None:
        content = self.transport.read(TABLE)
        return None if content is None else read_pointer_table(content)


def read_pointer(content: bytes) -> ReleasedFile | None:
    """Read a Git LFS pointer; None when the content is something else, such as the file itself."""
    match = _POINTER.fullmatch(content)
    return None if match is None else ReleasedFile(size=int(match["size"]), sha256=match["sha256"].decode())


def read_pointer_table(content: bytes) -> dict[str, ReleasedFile]:
    """Read the table of pointers, by path.

    Raises
    ------
    BadTableError
        If it lacks a column, or a row has no size or sum; the message names the line.
    """
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig", errors="replace"), newline=""))
    missing = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        raise BadTableError(f"{TABLE}: columns {', '.join(missing)} are missing; found: {rows.fieldnames}")
    released: dict[str, ReleasedFile] = {}
    for row in rows:
        size, sha256 = row["size_bytes"] or "", row["sha256"] or ""
        if not size.isdecimal() or not _SHA256.fullmatch(sha256):
            raise BadTableError(
                f"{TABLE}, line {rows.line_num}: expected a number of bytes and a sha256, found {size!r} and {sha256!r}"
            )
        released[row["path"]] = ReleasedFile(int(size), sha256)
    return released

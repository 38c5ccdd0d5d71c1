"""What is good in the file of a large object that is not complete: the record that outlives the process.

Belongs here: the side file, and when it may be believed. Does not belong here: fetching ranges (``ranges``), where the
side file lies (``storage.atomic``).

A record is believed only if it was written for this very version of the object, for ranges and parts of these sizes,
and for this very file, by its inode and size. All else begins anew: a wrong byte would cost the whole object.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cpjump_assets.storage.atomic import atomic_path

_VERSION = 1
_DIGEST_BYTES = 16


@dataclass(frozen=True)
class RangePlan:
    """How one version of an object is cut into ranges.

    Attributes
    ----------
    key, etag, size
        The version.
    range_size
        Bytes of each range but the last.
    part_size
        Bytes of a part of the upload, of which each range has whole ones; None where sums of parts are of no use.
    """

    key: str
    etag: str
    size: int
    range_size: int
    part_size: int | None

    def __len__(self) -> int:
        """Count the ranges."""
        return -(-self.size // self.range_size)

    def span(self, number: int) -> tuple[int, int]:
        """Give the first byte of a range, and its end (exclusive)."""
        start = number * self.range_size
        return start, min(start + self.range_size, self.size)

    def length(self, number: int) -> int:
        """Count the bytes of a range."""
        start, stop = self.span(number)
        return stop - start

    def sums(self, number: int, done: int) -> int:
        """Count the sums of parts that ``done`` bytes of a range have: one each that is complete."""
        if self.part_size is None:
            return 0
        return -(-done // self.part_size) if done == self.length(number) else done // self.part_size


class Done(NamedTuple):
    """How far a range has come.

    Attributes
    ----------
    size
        Bytes from its beginning on.
    sums
        MD5 of each complete part in them.
    """

    size: int
    sums: tuple[bytes, ...]


@dataclass
class RangeRecord:
    """How far each range has come.

    Attributes
    ----------
    plan
        The ranges.
    inode
        Of the file that the ranges are in.
    path
        The side file.
    done
        By number; what no thread has begun is not there.
    """

    plan: RangePlan
    inode: int
    path: Path
    done: dict[int, Done] = field(default_factory=dict)

    @classmethod
    def found(cls, path: Path, plan: RangePlan, file: int) -> "RangeRecord | None":
        """Read the side file; None unless it tells of this plan and of this file.

        Parameters
        ----------
        file
            Descriptor of the file with the ranges.
        """
        record = cls(plan, os.fstat(file).st_ino, path)
        try:
            told = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        if os.fstat(file).st_size != plan.size or not isinstance(told, dict):
            return None
        ranges = told.pop("ranges", None)
        if told != record._head() or not isinstance(ranges, dict):
            return None
        try:
            record.done = {int(number): _done(plan, int(number), *entry) for number, entry in ranges.items()}
        except (TypeError, ValueError):
            return None
        return record

    @property
    def size(self) -> int:
        """Bytes that are done, over all ranges."""
        return sum(done.size for done in self.done.values())

    def so_far(self, number: int) -> Done:
        """Tell how far a range has come."""
        return self.done.get(number, Done(0, ()))

    def missing(self) -> list[int]:
        """Give the numbers of the ranges that are not complete."""
        return [number for number in range(len(self.plan)) if self.so_far(number).size < self.plan.length(number)]

    def digests(self) -> Iterator[bytes]:
        """Give the sums of all parts, in order; all ranges are complete."""
        for number in range(len(self.plan)):
            yield from self.done[number].sums

    def write(self, file: int) -> None:
        """Put the record on the disk, and before it the bytes that it tells of.

        Raises
        ------
        OSError, StoreError
            If either cannot be written; then the former record stays.
        """
        ranges = {str(number): [done.size, [part.hex() for part in done.sums]] for number, done in self.done.items()}
        os.fsync(file)
        with atomic_path(self.path) as part:
            part.write_text(json.dumps(self._head() | {"ranges": ranges}))

    def _head(self) -> dict[str, Any]:
        return {"version": _VERSION, "inode": self.inode, **asdict(self.plan)}


def _done(plan: RangePlan, number: int, size: Any, sums: Any) -> Done:
    if not (isinstance(size, int) and 0 <= number < len(plan) and 0 < size <= plan.length(number)):
        raise ValueError(f"{size} bytes of range {number} cannot be")
    digests = tuple(bytes.fromhex(text) for text in sums)
    if len(digests) != plan.sums(number, size) or any(len(digest) != _DIGEST_BYTES for digest in digests):
        raise ValueError(f"{sums} are not the sums of {size} bytes")
    return Done(size, digests)

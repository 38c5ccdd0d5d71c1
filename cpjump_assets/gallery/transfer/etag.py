"""ETags, recomputed while bytes stream by: the proof that a body is what the listing promised.

Belongs here: what an ETag says, the hashes that answer it, and how sure the answer is. Does not belong here: requests
(``download``). S3 gives no checksum with objects as old as CPJUMP1's, and no client notices a flipped bit of the right
length; the ETag is all there is to hold on to.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Protocol

MIB = 1024**2
COMMON_PART_SIZES = tuple(n * MIB for n in (5, 8, 10, 15, 16, 32, 50, 64, 100, 128, 256, 512, 1024))
"""Part sizes that upload tools use by default: 8 MiB is that of the AWS command line, 5 and 16 those of SDKs."""

_ETAG = re.compile(r"([0-9a-f]{32})(?:-([1-9][0-9]{0,4}))?")


class Verification(StrEnum):
    """How the bytes of a stored object were proved to be those of the gallery."""

    MD5 = "etag-md5"
    MULTIPART = "etag-multipart"
    RELEASE = "release-sha256"
    UNVERIFIED = "unverified"


@dataclass(frozen=True)
class Etag:
    """An ETag that was made from MD5 sums.

    Attributes
    ----------
    text
        The ETag as listed, without quotes.
    parts
        Number of parts of a multipart upload, whose ETag is ``md5(md5 of each part)-parts``; 0 when the ETag is the MD5
        of the whole body.
    """

    text: str
    parts: int

    @classmethod
    def parse(cls, text: str) -> "Etag | None":
        """Read an ETag; None when it does not have the form of MD5 sums, as on some other S3 servers."""
        match = _ETAG.fullmatch(text)
        return None if match is None else cls(text=text, parts=int(match[2] or 0))


def could_be_part_size(part_size: int, *, size: int, parts: int) -> bool:
    """Tell whether ``size`` bytes fall into ``parts`` parts when each but the last has ``part_size`` bytes."""
    return part_size > 0 and -(-size // part_size) == parts


def likely_part_sizes(size: int, parts: int) -> tuple[int, ...]:
    """Give the common part sizes, in bytes, that cut ``size`` bytes into ``parts`` parts.

    A single part is the whole body. The number of parts bounds the part size so closely that at most three remain; for
    a 23 GB database it is one.
    """
    if parts == 1:
        return (max(size, 1),)
    return tuple(part_size for part_size in COMMON_PART_SIZES if could_be_part_size(part_size, size=size, parts=parts))


class Md5(Protocol):
    """A running MD5, as ``hashlib`` has it."""

    def update(self, chunk: bytes | memoryview, /) -> None:
        """Take the next bytes."""

    def digest(self) -> bytes:
        """Give the 16 bytes of the sum."""


plain_md5: Callable[[], Md5] = partial(hashlib.md5, usedforsecurity=False)
"""Begins the MD5 of one body, by one core: 0.7 to 0.8 GB/s. ``md5_lanes`` has one that several bodies share."""


class EtagCheck:
    """Hashes a body as it streams by and tells whether it answers to an ETag.

    Parameters
    ----------
    etag
        The ETag to answer to; None when it says nothing about the body.
    part_sizes
        Part sizes to try for a multipart ETag, in bytes; each costs one MD5 over the body.
    md5
        Begins an MD5.
    """

    def __init__(
        self, etag: Etag | None, part_sizes: Sequence[int] = (), *, md5: Callable[[], Md5] = plain_md5
    ) -> None:
        self._etag = etag
        self._whole = md5() if etag is not None and not etag.parts else None
        self._cut = {size: PartSums(size, md5=md5) for size in part_sizes} if etag is not None and etag.parts else {}

    def update(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes of the body."""
        if self._whole is not None:
            self._whole.update(chunk)
        for sums in self._cut.values():
            sums.update(chunk)

    def found(self) -> dict[int | None, str]:
        """Give the ETags that the bytes so far could have: by part size tried, and None for that of no parts."""
        whole = {} if self._whole is None else {None: self._whole.digest().hex()}
        return whole | {size: multipart_etag(sums.digests()) for size, sums in self._cut.items()}

    def matches(self) -> bool:
        """Tell whether the bytes so far answer to the ETag."""
        return self._etag is not None and self._etag.text in self.found().values()


class PartSums:
    """The MD5 of each part of a body that streams by.

    Parameters
    ----------
    part_size
        Bytes of each part but the last.
    md5
        Begins an MD5.
    known
        The sums of parts that came before; the next bytes begin a new part.
    """

    def __init__(self, part_size: int, *, md5: Callable[[], Md5] = plain_md5, known: Iterable[bytes] = ()) -> None:
        self._part_size = part_size
        self._md5 = md5
        self._closed = list(known)
        self._open = md5()
        self._room = part_size

    def update(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes of the body."""
        rest = memoryview(chunk)
        while rest:
            taken, rest = rest[: self._room], rest[self._room :]
            self._open.update(taken)
            self._room -= len(taken)
            if self._room == 0:
                self._closed.append(self._open.digest())
                self._open, self._room = self._md5(), self._part_size

    def complete(self) -> tuple[bytes, ...]:
        """Give the sums of the parts so far that are complete; another thread may ask."""
        return tuple(self._closed)

    def digests(self) -> tuple[bytes, ...]:
        """Give the sums of the parts so far, the last of which may not be complete."""
        # A body that ends on a part boundary has no further part; an empty body has one, empty part.
        has_open_part = self._room < self._part_size or not self._closed
        return (*self._closed, self._open.digest()) if has_open_part else tuple(self._closed)


def multipart_etag(digests: Iterable[bytes]) -> str:
    """Give the ETag of an upload whose parts have these MD5 sums."""
    sums = tuple(digests)
    return f"{hashlib.md5(b''.join(sums), usedforsecurity=False).hexdigest()}-{len(sums)}"


def object_version(etag: str, size: int) -> str:
    """Give what changes when the content of an object does: ETag and size."""
    return f"{etag}-{size}"

"""ETags: how S3 derives them from content, and how a request compares them.

Belongs here: the MD5 of one upload, the MD5 of part MD5s, and the conditions ``If-Match`` and ``If-None-Match``. Does
not belong here: which file an ETag is of, and its caching (``objects``).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MEBIBYTE = 1 << 20
_CHUNK = MEBIBYTE


@dataclass(frozen=True)
class UploadRule:
    """How objects were uploaded, which decides their ETags; the defaults are those of the AWS CLI and boto3.

    Parameters
    ----------
    multipart_threshold
        Bytes from which on an object was uploaded in parts.
    part_size
        Bytes of every part but the last.
    """

    multipart_threshold: int = 8 * MEBIBYTE
    part_size: int = 8 * MEBIBYTE

    def __post_init__(self) -> None:
        """Refuse sizes that no upload can have."""
        if self.multipart_threshold < 1 or self.part_size < 1:
            raise ValueError(f"threshold and part size are at least 1 byte, not {self}")

    def part_count(self, size: int) -> int:
        """Count the parts of an object of ``size`` bytes; 0 if it was uploaded in one piece."""
        return -(-size // self.part_size) if size >= self.multipart_threshold else 0

    def etag(self, file: BinaryIO, size: int) -> str:
        """Compute the ETag, without quotes, of the ``size`` bytes of a file read from its current position.

        Returns
        -------
        MD5 of the content, or for an upload in N parts the MD5 of the N MD5s, ``-N``.
        """
        parts = self.part_count(size)
        if not parts:
            return _md5(file, size).hexdigest()
        digests = b"".join(_md5(file, self.part_size).digest() for _ in range(parts))
        return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{parts}"


def _md5(file: BinaryIO, size: int) -> "hashlib._Hash":
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in _chunks(file, size):
        digest.update(chunk)
    return digest


def _chunks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Read up to ``size`` bytes, at most one chunk of them in memory."""
    while size > 0 and (chunk := file.read(min(size, _CHUNK))):
        size -= len(chunk)
        yield chunk


def condition_names(header: str, etag: str) -> bool:
    """Tell whether ``If-Match`` or ``If-None-Match`` names an ETag.

    Parameters
    ----------
    header
        ``*``, or ETags separated by commas; S3 takes them with and without quotes.
    etag
        The object's, without quotes.
    """
    named = (entry.strip().removeprefix("W/").strip('"') for entry in header.split(","))
    return header.strip() == "*" or etag in named

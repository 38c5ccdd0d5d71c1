"""Digests of files, by which the platform knows contents.

Belongs here: hashing a file. Does not belong here: what follows from a digest (``store``, ``s3_objects``).
"""

import hashlib
from functools import lru_cache
from pathlib import Path

from cpjump_assets.storage.file_state import FileState


def file_digest(path: Path) -> str:
    """Give the sha256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_as_it_lies(path: Path) -> str:
    """Give the sha256 of a file, which is read once for each state in which it lies on disk."""
    return _digest_of(path, FileState.of(path.stat()))


@lru_cache(maxsize=4096)
def _digest_of(path: Path, _state: FileState) -> str:
    return file_digest(path)

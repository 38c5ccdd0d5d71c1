"""Atomic files: a reader sees the old file or the new one, never half of either.

Belongs here: the one way in which the platform puts a file in place. Does not belong here: what is in the file.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cpjump_assets.science.errors import StoreError


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Give a path to write to; put it in place of ``final`` when the block ends without an error.

    The bytes are on the disk (fsync) before the rename, and the rename is on the disk before the block returns. When
    the block raises, the partial file is removed and ``final`` stays as it was. The partial name is unique, so two
    writers of one file never tear it: the last rename wins.

    Raises
    ------
    StoreError
        If the folder or the file cannot be written (no permission, disk full, read-only).
    """
    part = final.with_name(f"{final.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield part
        _flush(part)
        part.replace(final)
        _flush(final.parent)
    except OSError as error:
        raise StoreError(f"cannot write {final.name} in {final.parent}: {error.strerror or error}") from error
    finally:
        if part.exists():
            part.unlink()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Atomic files: a reader sees the old file or the new one, never half of either.

Belongs here: the one way in which the platform puts a file in place. Does not belong here: what is in the file.
"""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cpjump_assets.science.errors import StoreError

_SUFFIX = ".part"


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Give a path to write to; put it in place of ``final`` when the block ends without an error.

    The bytes are on the disk (fsync) before the rename, and the rename is on the disk before the block returns. When
    the block raises, the partial file is removed and ``final`` stays as it was. The partial name is unique, so two
    writers of one file never tear it: the last rename wins. The partial file is locked while the block runs, so that
    ``sweep_abandoned`` can tell it from what a killed process left.

    Raises
    ------
    StoreError
        If the folder or the file cannot be written (no permission, disk full, read-only).
    """
    part = final.with_name(f"{final.name}.{uuid.uuid4().hex[:8]}{_SUFFIX}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield part
            _flush(part)
            part.replace(final)
        _flush(final.parent)
    except OSError as error:
        raise StoreError(f"cannot write {final.name} in {final.parent}: {error.strerror or error}") from error
    finally:
        if part.exists():
            part.unlink()


def sweep_abandoned(folder: Path) -> list[Path]:
    """Remove the partial files that killed processes left below a folder, and give their paths.

    A file that somebody is writing is locked, and stays.
    """
    swept = []
    for part in sorted(folder.rglob(f"*{_SUFFIX}")):
        try:
            with part.open("rb") as left:
                fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.unlink()
        except (BlockingIOError, FileNotFoundError):
            continue  # it is being written, or was put in place just now
        swept.append(part)
    return swept


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

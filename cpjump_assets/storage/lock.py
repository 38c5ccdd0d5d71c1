"""One writer at a time.

Belongs here: the locks that keep apart two refreshes of one store, and two processes that make one Dagster home. Does
not belong here: what is written.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cpjump_assets.science.errors import StoreError


class BusyError(StoreError):
    """Somebody else is at work on the store."""


@contextmanager
def exclusive(path: Path, *, busy: str) -> Iterator[None]:
    """Hold a lock file while the block runs.

    The system lets go of the lock when the process ends, however it ends; so a lock that is held has a living holder.

    Parameters
    ----------
    path
        The lock file; it is made where it is not there, and stays.
    busy
        What to say when somebody else holds the lock.

    Raises
    ------
    BusyError
        If somebody else holds it.
    StoreError
        If the file cannot be made.
    """
    with _opened(path) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(busy) from error
        yield


def is_locked(path: Path) -> bool:
    """Tell whether somebody holds a lock file.

    Raises
    ------
    StoreError
        If the file cannot be made.
    """
    with _opened(path) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Hold a lock file while the block runs, as ``exclusive``; who finds it held waits.

    Raises
    ------
    StoreError
        If the file cannot be made.
    """
    with _opened(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"cannot write {path.name} in {path.parent}: {error.strerror or error}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)

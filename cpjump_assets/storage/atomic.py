"""Atomic files: a reader sees the old file or the new one, never half of either.

Belongs here: the one way in which the platform puts a file in place. Does not belong here: what is in the file.
"""

import errno
import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
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
    with atomic_file(final) as file:
        yield Path(file.name)


@contextmanager
def atomic_file(final: Path) -> Iterator[FileIO]:
    """Give a file to write to and read from, unbuffered; as ``atomic_path`` in all else."""
    part = final.with_name(f"{final.name}.{uuid.uuid4().hex[:8]}{_SUFFIX}")
    try:
        with _new(part) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield file
                os.fsync(file.fileno())
                part.replace(final)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        _flush(final.parent)
    except OSError as error:
        raise StoreError(f"cannot write {final.name} in {final.parent}: {error.strerror or error}") from error


@contextmanager
def resumable_file(final: Path) -> Iterator[FileIO]:
    """Give a file to write to and read from, unbuffered, with what a former writer left in it.

    It is put in place of ``final`` as by ``atomic_file``. When the block raises, or its process is killed, the partial
    file stays for the next writer if there is a side file (``side_file``) that tells what is good in it; without one it
    is removed. It is locked while the block runs.

    Raises
    ------
    StoreError
        If somebody else is writing it, or if it cannot be written.
    """
    part, side = final.with_name(f"{final.name}{_SUFFIX}"), side_file(final)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with _locked(part) as file:
            try:
                yield file
                os.fsync(file.fileno())
                side.unlink(missing_ok=True)
                part.replace(final)
            except BaseException:
                if not side.exists():
                    part.unlink(missing_ok=True)
                raise
        _flush(final.parent)
    except BlockingIOError as error:
        raise StoreError(f"cannot write {final.name} in {final.parent}: another process is writing it") from error
    except OSError as error:
        raise StoreError(f"cannot write {final.name} in {final.parent}: {error.strerror or error}") from error


def side_file(final: Path) -> Path:
    """Give the path of the file that tells how far a resumable file has come; its writer makes and reads it."""
    return final.with_name(f"{final.name}{_SUFFIX}.json")


def _new(part: Path) -> FileIO:
    """Make a file, and its folder if there is none: of many files in a folder only the first one looks."""
    try:
        return part.open("x+b", buffering=0)
    except FileNotFoundError:
        part.parent.mkdir(parents=True, exist_ok=True)
        return part.open("x+b", buffering=0)


def _locked(part: Path) -> FileIO:
    while True:
        file = FileIO(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if part.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return file
        except FileNotFoundError:
            pass  # its writer put it in place between the two lines: what is locked is the finished file
        except BaseException:
            file.close()
            raise
        file.close()


def sweep_abandoned(folder: Path) -> list[Path]:
    """Remove the partial files that killed processes left below a folder, and give their paths.

    A file that somebody is writing is locked, and stays; so does one that the next writer can resume.
    """
    swept = []
    for part in sorted(folder.rglob(f"*{_SUFFIX}")):
        if part.with_name(f"{part.name}.json").exists():
            continue
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

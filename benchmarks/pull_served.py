"""Objects to pull, the server that has them, and whether what was written is what was served.

Belongs here: random content, a loopback server in a process of its own, comparing files byte by byte. Does not belong
here: who pulls (``pull_clients``), and how long that takes (``pull_runs``).
"""

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks.pull_python import BUCKET
from cpjump_assets.simulate.s3.ranges import span_of_range
from cpjump_assets.simulate.s3.server import S3Server

_CHUNK = 1 << 20
_MEMORY = Path("/dev/shm")
_FOLDERS = 4
"""Plates that the listed keys are spread over."""


@dataclass(frozen=True)
class Sizes:
    """How much is pulled and listed; megabytes are millions of bytes.

    Attributes
    ----------
    small, small_mb
        Number of small objects, and the megabytes of each: an image of the gallery has 2.
    large, large_mb
        The same for large ones: a file of profiles or of illumination functions.
    one_mb
        Megabytes of the one object that is pulled alone, killed and resumed.
    keys
        Keys listed.
    """

    small: int = 500
    small_mb: float = 2
    large: int = 20
    large_mb: float = 50
    one_mb: float = 1_000
    keys: int = 100_000


class Server:
    """A loopback S3 server over a folder, in a process of its own: no client shares its interpreter.

    Parameters
    ----------
    root
        The folder with the bucket.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._here, there = multiprocessing.Pipe()
        spawn = multiprocessing.get_context("spawn")
        self._process = spawn.Process(target=_serve, args=(str(root), there), name="s3-server", daemon=True)

    def __enter__(self) -> "Server":
        """Start; the endpoint is known then."""
        (self.root / BUCKET).mkdir(parents=True, exist_ok=True)
        self._process.start()
        self.endpoint: str = self._here.recv()
        return self

    def __exit__(self, *error: object) -> None:
        """End the process."""
        self._here.send("end")
        self._process.join()

    def bytes_asked(self, key: str) -> int:
        """Count the bytes of an object that requests have asked for since the last call."""
        self._here.send("asked")
        size = (self.root / BUCKET / key).stat().st_size
        return sum(_bytes_asked(header, size) for asked, header in self._here.recv() if asked == key)


def _serve(root: str, parent: Connection) -> None:
    with S3Server(root) as server:
        parent.send(server.endpoint)
        seen = 0
        while parent.recv() == "asked":
            requests = server.requests
            new = [each for each in requests[seen:] if each.method == "GET" and each.key and each.status]
            parent.send([(each.key, each.range) for each in new])
            seen = len(requests)


def _bytes_asked(header: str, size: int) -> int:
    span = span_of_range(header, size) if header else None
    return size if span is None else span.stop - span.start


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a folder in memory, where the system has such, so that no disk is measured."""
    with tempfile.TemporaryDirectory(prefix="pull-", dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@contextmanager
def served(root: Path, prefix: str, count: int, megabytes: float) -> Iterator[Path]:
    """Write ``count`` objects of random bytes below a prefix, and remove them in the end; give their folder."""
    folder = root / BUCKET / prefix
    folder.mkdir(parents=True)
    generator = np.random.default_rng([count, round(megabytes * 1e6)])
    for number in range(count):
        with (folder / f"{number:04d}.bin").open("wb") as file:
            _write_random(file, round(megabytes * 1e6), generator)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _write_random(file, size: int, generator: np.random.Generator) -> None:
    for start in range(0, size, _CHUNK):
        file.write(generator.bytes(min(_CHUNK, size - start)))


@contextmanager
def listed(root: Path, prefix: str, count: int) -> Iterator[list[str]]:
    """Put objects of a few bytes below a prefix, named as the images of some plates; give their keys, in order."""
    folder = root / BUCKET / prefix
    keys = []
    for plate in range(_FOLDERS):
        images = folder / f"BR00{116_991 + plate}__2020-11-05T19_51_35-Measurement1" / "Images"
        images.mkdir(parents=True)
        first = images / _image(0)
        first.write_bytes(b"an image")
        keys.append(first)
        for number in range(1, count // _FOLDERS):
            keys.append(images / _image(number))
            os.link(first, keys[-1])  # 400 MB of pages less than as many files
    try:
        yield sorted(path.relative_to(root / BUCKET).as_posix() for path in keys)
    finally:
        shutil.rmtree(folder)


def _image(number: int) -> str:
    number, channel = divmod(number, 8)
    number, site = divmod(number, 16)
    row, column = divmod(number, 24)
    return f"r{row + 1:02d}c{column + 1:02d}f{site + 1:02d}p01-ch{channel + 1}sk1fk1fl1.tiff"


def same_files(written: Path, expected: Path) -> bool:
    """Say whether all objects of ``expected`` are in ``written``, byte for byte; other files do not matter."""
    return all(_same(written / path.relative_to(expected), path) for path in expected.rglob("*") if path.is_file())


def _same(written: Path, expected: Path) -> bool:
    if not written.is_file() or written.stat().st_size != expected.stat().st_size:
        return False
    with written.open("rb") as one, expected.open("rb") as other:
        return all(one.read(_CHUNK) == chunk for chunk in iter(lambda: other.read(_CHUNK), b""))

"""Bytes of one object on their way into a file, going on where they stopped.

Belongs here: the loop from a body into a file and the hashes, and what a download is conducted by. Does not belong
here: which bytes (``download``, ``ranges``), what the hashes say (``proof``), which faults there are (``answer``).
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Protocol

from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.transfer.body import BodyFaultError, RetryPolicy
from cpjump_assets.gallery.transfer.etag import MIB
from cpjump_assets.gallery.transfer.reader import ObjectReader

CHUNK_SIZE = MIB


class PullStoppedError(Exception):
    """The download was given up because the whole pull ends."""


@dataclass(frozen=True)
class Conduct:
    """What a download is conducted by.

    Attributes
    ----------
    retry
        Patience with broken bodies.
    stop
        When it is set, the download ends at the next chunk or wait.
    on_bytes
        Told of bytes as they come, and with a negative number of those that are thrown away.
    on_retry
        Told of each fault after which there is another try.
    """

    retry: RetryPolicy
    stop: Event
    on_bytes: Callable[[int], object]
    on_retry: Callable[[BodyFaultError], object]


class Hash(Protocol):
    """Takes the bytes that come, in order."""

    def update(self, chunk: memoryview, /) -> object:
        """Take the next bytes."""


@dataclass
class Stream:
    """The bytes ``position`` to ``stop`` of one version of an object, which go to the same place in a file.

    Attributes
    ----------
    wanted
        The version.
    position
        The next byte: a new try begins here.
    stop
        The end, exclusive.
    hashes
        Take the bytes that were written.
    """

    wanted: GalleryObject
    position: int
    stop: int
    hashes: tuple[Hash, ...]

    def run(self, reader: ObjectReader, file: int, conduct: Conduct) -> None:
        """Read what is missing, in one request.

        Parameters
        ----------
        file
            Descriptor to write to.

        Raises
        ------
        BodyFaultError, ObjectChangedError, GalleryError
            As ``reader.ObjectReader``; what came before is written, and ``position`` behind it.
        PullStoppedError
            If ``conduct.stop`` was set.
        OSError
            If the file cannot be written.
        """
        if conduct.stop.is_set():
            raise PullStoppedError(self.wanted.key)
        stop = None if self.stop == self.wanted.size else self.stop
        opened = reader.open(self.wanted.key, etag=self.wanted.etag, start=self.position, stop=stop)
        with closing(opened) as body, _buffer() as buffer:
            if body.size != self.wanted.size:
                raise BodyFaultError(f"expected {self.wanted.size} bytes, the server has {body.size}")
            while self.position < self.stop:
                if conduct.stop.is_set():
                    raise PullStoppedError(self.wanted.key)
                chunk = buffer[: body.readinto(buffer[: self.stop - self.position])]
                _write(file, chunk, self.position)
                for running in self.hashes:
                    running.update(chunk)
                self.position += len(chunk)
                conduct.on_bytes(len(chunk))


def read_again(file: int, start: int, stop: int, taker: Hash, conduct: Conduct) -> None:
    """Read the bytes ``start`` to ``stop`` (exclusive) of a file into a hash.

    Raises
    ------
    PullStoppedError
        If ``conduct.stop`` was set.
    OSError
        If the file cannot be read.
    """
    with _buffer() as buffer:
        while start < stop and (count := os.preadv(file, [buffer[: stop - start]], start)):
            if conduct.stop.is_set():
                raise PullStoppedError
            taker.update(buffer[:count])
            start += count


def _write(file: int, chunk: memoryview, position: int) -> None:
    while chunk:  # a disk that becomes full takes a part, and tells so at the next byte
        written = os.pwrite(file, chunk, position)
        chunk, position = chunk[written:], position + written


_free_buffers: deque[bytearray] = deque()


@contextmanager
def _buffer() -> Iterator[memoryview]:
    """Lend a buffer of one chunk; there are as many as were ever in use at once, so as many as open bodies."""
    try:
        buffer = _free_buffers.pop()
    except IndexError:
        buffer = bytearray(CHUNK_SIZE)
    try:
        yield memoryview(buffer)
    finally:
        _free_buffers.append(buffer)

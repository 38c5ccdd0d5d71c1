"""What goes over the wire in answer to a request: a status, headers, and a body as a list of steps.

Belongs here: the steps (bytes, a slice of a file, a pause, hanging up) and how a body is measured, cut and read.
Because a body is data, a fault is a function from one answer to another. Does not belong here: which answer a request
gets (``service``), or how steps are sent (``server``).
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True)
class FileSlice:
    """The bytes ``start`` to ``stop`` (exclusive) of an open file."""

    file: BinaryIO
    start: int
    stop: int

    def __len__(self) -> int:
        """Count the bytes."""
        return self.stop - self.start


@dataclass(frozen=True)
class Pause:
    """Nothing is sent for a while."""

    seconds: float


@dataclass(frozen=True)
class HangUp:
    """The connection ends here: with a TCP reset (``abruptly``), or closed in good order."""

    abruptly: bool


Content = bytes | FileSlice
Step = Content | Pause | HangUp


@dataclass(frozen=True)
class Answer:
    """One answer, not sent yet.

    Parameters
    ----------
    status
        HTTP status.
    headers
        Headers in the order of sending, ``Content-Length`` included.
    body
        Steps after the headers; left out by the server for HEAD.
    before
        Steps before the first byte.
    """

    status: int
    headers: Mapping[str, str]
    body: tuple[Step, ...] = ()
    before: tuple[Pause | HangUp, ...] = ()


def body_length(steps: Iterable[Step]) -> int:
    """Count the bytes that a body sends."""
    return sum(len(step) for step in steps if isinstance(step, bytes | FileSlice))


def cut_body(steps: Iterable[Step], position: int) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Cut a body in two at a byte position.

    Returns
    -------
    The steps that send the first ``position`` bytes, and those that send the rest; a pause or an end at the cut goes
    with the rest.
    """
    head: list[Step] = []
    tail: list[Step] = []
    for step in steps:
        room = position - body_length(head)
        if room <= 0:
            tail.append(step)
        elif isinstance(step, Pause | HangUp) or len(step) <= room:
            head.append(step)
        elif isinstance(step, FileSlice):
            head.append(FileSlice(step.file, step.start, step.start + room))
            tail.append(FileSlice(step.file, step.start + room, step.stop))
        else:
            head.append(step[:room])
            tail.append(step[room:])
    return tuple(head), tuple(tail)


def read_body(steps: Iterable[Step]) -> bytes:
    """Read all bytes that a body sends into memory."""
    return b"".join(_read(step) for step in steps if isinstance(step, bytes | FileSlice))


def _read(content: Content) -> bytes:
    if isinstance(content, bytes):
        return content
    # pread leaves the file position alone, which the thread that hashes the file may be using
    read = os.pread(content.file.fileno(), len(content), content.start)
    if len(read) != len(content):
        raise OSError(f"{content.file.name} shrank while it was served: {len(read)} of {len(content)} bytes")
    return read

"""The body of an answer, read up to what its headers promised.

Belongs here: leaving out bytes that nobody asked for, counting those that come, and what a broken body is. Does not
belong here: where the bytes come from (``http_reader``, ``boto_reader``), what the headers say (``answer``).
"""

import time
from collections.abc import Callable
from http.client import HTTPException

from botocore.exceptions import BotoCoreError
from urllib3.exceptions import HTTPError

from cpjump_assets.gallery.transfer.answer import Promise
from cpjump_assets.gallery.transfer.body import BodyFaultError
from cpjump_assets.gallery.transfer.etag import MIB

_SLOW_PIECE, _FAST_PIECE = 128 * 1024, MIB
"""Bytes that are read at a time, and that a body which stalls or is reset loses: small pieces take 20 % longer."""
_FAST = MIB
"""Bytes a second from which on a body is fast: what it loses comes again within a second."""


class PromisedBody:
    """The bytes that were promised; see ``reader.ObjectBody``.

    Parameters
    ----------
    promise
        What is going to come.
    read
        Reads the next bytes that come into a buffer, and gives their number; 0 when no more come.
    let_go
        Called once, when the body is closed, with whether all promised bytes were read.
    """

    def __init__(self, promise: Promise, read: Callable[[memoryview], int], let_go: Callable[[bool], object]) -> None:
        self.etag = promise.etag
        self.size = promise.size
        self._skip = promise.skip
        self._left = promise.length
        self._piece_size = _SLOW_PIECE
        self._read = read
        self._let_go: Callable[[bool], object] | None = let_go

    def readinto(self, buffer: memoryview) -> int:
        """Read the next bytes; see ``reader.ObjectBody``."""
        while self._skip:
            self._skip -= self._piece(buffer[: self._skip])
        wanted = buffer[: self._left]
        count = 0
        while count < len(wanted):
            try:
                count += self._piece(wanted[count:])
            except BodyFaultError:
                if not count:
                    raise
                break  # what came is given first; the next call meets the fault again
            if self._piece_size == _SLOW_PIECE:
                break  # so that a slow body can be stopped, and is seen to go on
        self._left -= count
        return count

    def close(self) -> None:
        """Let go of the connection."""
        if self._let_go is not None:
            let_go, self._let_go = self._let_go, None
            let_go(self._left == 0)

    def _piece(self, buffer: memoryview) -> int:
        began = time.monotonic()
        try:
            count = self._read(buffer[: self._piece_size])
        except (OSError, HTTPException, BotoCoreError, HTTPError) as error:
            raise BodyFaultError(f"the body broke off ({type(error).__name__})") from error
        if count == 0:
            raise BodyFaultError("the body broke off (it ended early)")
        is_fast = count > _FAST * (time.monotonic() - began)
        self._piece_size = _FAST_PIECE if is_fast else _SLOW_PIECE
        return count

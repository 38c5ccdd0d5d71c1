"""Small objects: one request each, hashed while the body streams by.

Belongs here: the hashes that a body needs. Does not belong here: the loop that reads and writes (``stream``), tries
(``task``).
"""

import hashlib
from collections.abc import Mapping
from io import FileIO
from typing import NamedTuple

from cpjump_assets.gallery.transfer.etag import EtagCheck
from cpjump_assets.gallery.transfer.md5_lanes import md5
from cpjump_assets.gallery.transfer.proof import PartSizes
from cpjump_assets.gallery.transfer.stream import Stream
from cpjump_assets.gallery.transfer.task import Task


class _Body(NamedTuple):
    """A body under way, with the hashes of the bytes so far."""

    sizes: PartSizes
    check: EtagCheck
    sha256: "hashlib._Hash | None"
    stream: Stream


class WholeTask(Task):
    """An object that is received in one piece, from where it stopped after each fault."""

    _body: _Body | None = None

    def sha256(self, file: FileIO) -> str:
        """Give the sum of the bytes in the file; of those that nothing else can prove it was made while they came."""
        if self._body is not None and self._body.sha256 is not None:
            return self._body.sha256.hexdigest()
        return super().sha256(file)

    def _receive(self, file: FileIO) -> PartSizes:
        body = self._body = self._body or self._begin()
        self.resumed_bytes += body.stream.position
        body.stream.run(self._reader, file.fileno(), self._conduct)
        return body.sizes

    def _begin(self) -> _Body:
        sizes = self._part_sizes()
        check = EtagCheck(sizes.etag, sizes.candidates, md5=md5)
        sha256 = hashlib.sha256() if self._want_sha256 or sizes.etag is None else None
        hashes = (check,) if sha256 is None else (check, sha256)
        return _Body(sizes, check, sha256, Stream(self.wanted, 0, self.wanted.size, hashes))

    def _found(self, file: FileIO) -> Mapping[int | None, str]:
        return {} if self._body is None else self._body.check.found()

    def _throw_away(self, file: FileIO) -> None:
        if self._body is not None:
            self._conduct.on_bytes(-self._body.stream.position)
            self._body = None
        file.truncate(0)

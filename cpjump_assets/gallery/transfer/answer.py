"""What is asked of an object, and what the answer's status and headers promise of its body.

Belongs here: the headers of a request, and the judgement of an answer: the bytes that come, a fault that is worth
another try, another version, or an error. Does not belong here: connections and bodies (``http_reader``,
``boto_reader``), which share this judgement, so that it makes no difference which of them asked.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from cpjump_assets.gallery.failures import clear_errors, endpoint_name, status
from cpjump_assets.gallery.transfer.body import BodyFaultError
from cpjump_assets.science.errors import GalleryError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_PASSING_CODES = frozenset({"RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable"})


class ObjectChangedError(Exception):
    """The server has another version of the object than the one that was asked for."""


@dataclass(frozen=True)
class ObjectRequest:
    """A request for bytes of one version of an object.

    Attributes
    ----------
    client
        Names the endpoint in messages.
    bucket, key
        The object.
    etag
        Of the version, without quotes; empty on servers that give none.
    start, stop
        The bytes from ``start`` on, to ``stop`` (exclusive) or the end.
    """

    client: "S3Client"
    bucket: str
    key: str
    etag: str
    start: int = 0
    stop: int | None = None

    @property
    def what(self) -> str:
        """The object's address, for messages."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def condition(self) -> str | None:
        """The header If-Match; None for an ETag that no header can carry, which is compared with the answer's alone."""
        can_be_sent = self.etag and self.etag.isascii() and self.etag.isprintable() and '"' not in self.etag
        return f'"{self.etag}"' if can_be_sent else None

    @property
    def range(self) -> str | None:
        """The header Range; None for a whole object."""
        if self.start == 0 and self.stop is None:
            return None
        return f"bytes={self.start}-{'' if self.stop is None else self.stop - 1}"

    def refused(self, error: ClientError) -> Exception:
        """Give the exception that a refusal amounts to.

        Returns
        -------
        Exception
            ``ObjectChangedError``, ``BodyFaultError`` where another try may help, or else the ``GalleryError`` of
            ``failures.clear_errors``.
        """
        # A range that cannot be satisfied is what a shorter version looks like on a server without If-Match.
        if status(error) in (412, 416):
            return ObjectChangedError(self.what)
        answer = error.response["Error"]
        if status(error) in _PASSING_STATUSES or answer.get("Code") in _PASSING_CODES:
            return BodyFaultError(f"{endpoint_name(self.client)} answered {answer.get('Code')} {answer.get('Message')}")
        try:
            with clear_errors(self.client, self.what):
                raise error
        except GalleryError as clear:
            return clear

    def not_s3(self) -> GalleryError:
        """Give the error for an answer that no S3 server sends, such as the login page of a hotel."""
        return GalleryError(
            f"{self.what} cannot be read: {endpoint_name(self.client)} does not answer as an S3 server does"
        )


@dataclass(frozen=True)
class Promise:
    """The bytes that an answer is going to send.

    Attributes
    ----------
    etag
        Of the version, without quotes.
    size
        Bytes of the whole object.
    skip
        Bytes that come before those asked for: a server that ignores Range begins at the beginning.
    length
        Bytes asked for.
    """

    etag: str
    size: int
    skip: int
    length: int

    @classmethod
    def of(cls, request: ObjectRequest, status_code: int, headers: Mapping[str, str]) -> "Promise":
        """Read an answer that is no refusal.

        A range is told by Content-Range, whether it comes with 206 or with 200, as from some servers; without it the
        body is the whole object, asked for or not.

        Parameters
        ----------
        headers
            By names in lower case.

        Raises
        ------
        ObjectChangedError
            If the answer is about another version: not every server knows If-Match.
        BodyFaultError
            If other bytes come than those asked for.
        GalleryError
            If it is not the answer of an S3 server.
        """
        etag = headers.get("etag", "").removeprefix("W/").strip('"')
        length = headers.get("content-length", "")
        if status_code not in (200, 206) or not length.isdecimal() or ("etag" not in headers and request.etag):
            raise request.not_s3()
        if etag != request.etag:
            if headers.get("content-type", "").startswith("text/html"):
                raise request.not_s3()
            raise ObjectChangedError(request.what)
        first, end, size = _span(headers.get("content-range"), int(length))
        stop = size if request.stop is None else min(request.stop, size)
        if not first <= request.start <= stop <= end:
            raise BodyFaultError(f"asked for bytes {request.start} to {stop}, {first} to {end} of {size} come")
        return cls(etag=etag, size=size, skip=request.start - first, length=stop - request.start)


def _span(content_range: str | None, length: int) -> tuple[int, int, int]:
    """Give the first byte that comes, the end (exclusive), and the size of the whole object."""
    if content_range is None:
        return 0, length, length
    match = _CONTENT_RANGE.fullmatch(content_range.strip())
    if match is None or int(match[2]) - int(match[1]) + 1 != length:
        raise BodyFaultError(f"{length} bytes come, which Content-Range says are {content_range!r}")
    return int(match[1]), int(match[2]) + 1, int(match[3])

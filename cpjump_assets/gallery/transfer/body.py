"""Bodies of S3 answers: streaming them, and trying again when one breaks.

Belongs here: which faults of a body are worth another try and how long to wait; small objects read whole. Does not
belong here: files and the full proof of a body (``download``). botocore tries requests again, but never bodies: one
that is truncated, stalled or reset half-way comes to the caller.
"""

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody
from urllib3.exceptions import HTTPError

from cpjump_assets.gallery.failures import clear_errors, status
from cpjump_assets.gallery.transfer.etag import MIB, Etag, EtagCheck
from cpjump_assets.science.errors import GalleryError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

CHUNK_SIZE = MIB
T = TypeVar("T")


class BodyFaultError(Exception):
    """A body broke off, or is not what its ETag promised: worth another try."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often a body is tried and how long is waited in between.

    Attributes
    ----------
    attempts
        Tries in all.
    first_wait, longest_wait
        Seconds: the wait before the second try is drawn from half of ``first_wait`` to all of it, and the range doubles
        with each further try until it ends at ``longest_wait``.
    seed
        Seed of the draw; with the key of the object it fixes the waits, and keeps objects that failed together apart.
    """

    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 8.0
    seed: int = 0

    def waits(self, key: str) -> Iterator[float]:
        """Give the seconds to wait before each try of ``key``; none before the first."""
        yield 0.0
        generator = np.random.default_rng([self.seed, zlib.crc32(key.encode())])
        for retry in range(self.attempts - 1):
            longest = min(self.first_wait * 2**retry, self.longest_wait)
            yield generator.uniform(longest / 2, longest)


def try_repeatedly(
    attempt: Callable[[], T],
    key: str,
    retry: RetryPolicy,
    *,
    wait: Callable[[float], object] = time.sleep,
    on_retry: Callable[[BodyFaultError], object] = lambda fault: None,
) -> tuple[T, int]:
    """Call ``attempt`` until it ends without a ``BodyFaultError``.

    Parameters
    ----------
    wait
        Called with the seconds to wait before a try.
    on_retry
        Told of each fault after which there is another try.

    Returns
    -------
    tuple
        What ``attempt`` gave, and how many tries were needed besides the first.

    Raises
    ------
    GalleryError
        If no try succeeds, with the key and the last fault.
    """
    fault: BodyFaultError | None = None
    for retries, pause in enumerate(retry.waits(key)):
        if fault is not None:
            on_retry(fault)
        wait(pause)
        try:
            return attempt(), retries
        except BodyFaultError as error:
            fault = error
    raise GalleryError(f"{key} could not be read in {retry.attempts} tries: {fault}") from fault


def chunks(body: StreamingBody) -> Iterator[bytes]:
    """Stream a body in pieces of 1 MiB.

    Raises
    ------
    BodyFaultError
        If the body ends early, stalls, is reset, or fails a checksum that the server sent along.
    """
    try:
        yield from body.iter_chunks(CHUNK_SIZE)
    except (BotoCoreError, HTTPError, OSError) as error:
        raise BodyFaultError(f"the body broke off ({type(error).__name__})") from error


def read_object(client: "S3Client", bucket: str, key: str, retry: RetryPolicy | None = None) -> bytes | None:
    """Read a small object whole; None when there is no such object.

    Raises
    ------
    GalleryError
        If the object cannot be read, or its bytes do not answer to its ETag.
    """

    def attempt() -> bytes | None:
        with clear_errors(client, f"s3://{bucket}/{key}"):
            try:
                answer = client.get_object(Bucket=bucket, Key=key)
            except ClientError as error:
                # Not every server says NoSuchKey; but a missing bucket is a wrong address, not a missing object.
                if status(error) == 404 and error.response["Error"].get("Code") != "NoSuchBucket":
                    return None
                raise
        with closing(answer["Body"]) as body:
            content = b"".join(chunks(body))
        _require_md5(content, answer["ETag"].strip('"'))
        return content

    return try_repeatedly(attempt, key, retry or RetryPolicy())[0]


def _require_md5(content: bytes, etag_text: str) -> None:
    etag = Etag.parse(etag_text)
    if etag is None or etag.parts:
        return
    check = EtagCheck(etag)
    check.update(content)
    if not check.matches():
        raise BodyFaultError(f"expected ETag {etag_text}, the bytes give {', '.join(check.found().values())}")

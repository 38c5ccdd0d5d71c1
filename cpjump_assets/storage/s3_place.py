"""A place in S3 where the platform writes: bucket, prefix, endpoint, and what a failed request there means.

Belongs here: the client of the store, whose credentials come by the usual AWS chain, and errors in a user's words. Does
not belong here: what is written (``s3_objects``, ``lease``), the gallery, which is read without an account
(``gallery.client``).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cpjump_assets.science.errors import StoreError
from cpjump_assets.storage.loopback import is_loopback

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_s3.client import S3Client

CONNECTIONS = 16
"""Requests at once, where many objects are wanted."""
_DEFAULT_REGION = "us-east-1"
_ADVICE = {
    401: "; check the AWS credentials",
    403: "; the account needs s3:ListBucket, GetObject, PutObject and DeleteObject there, and the right credentials",
    404: "; is the bucket in CPJUMP_STORE right?",
}


@dataclass(frozen=True)
class S3Place:
    """A prefix of a bucket; it can be sent to other processes, each of which makes its own client.

    Attributes
    ----------
    bucket
        Name of the bucket.
    prefix
        Key segments joined by ``/``, without one at either end; empty for the whole bucket.
    endpoint
        Address of an S3 server; None is AWS.
    """

    bucket: str
    prefix: str
    endpoint: str | None = None

    @classmethod
    def parse(cls, url: str, endpoint: str | None = None) -> "S3Place":
        """Read an address ``s3://bucket/prefix`` that ``settings`` has checked."""
        parts = urlsplit(url)
        return cls(parts.netloc, parts.path.strip("/"), endpoint)

    def __str__(self) -> str:
        """Spell the place as an address."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def below(self, folder: str) -> "S3Place":
        """Give a place below this one; an empty ``folder`` is this place."""
        return replace(self, prefix=self.key(folder))

    def key(self, name: str) -> str:
        """Give the key of what is called ``name`` here."""
        return "/".join(part for part in (self.prefix, name) if part)

    @property
    def client(self) -> "S3Client":
        """The client of this process, which threads share."""
        return _client(self.endpoint, os.getpid())

    @contextmanager
    def clear_errors(self, what: str) -> Iterator[None]:
        """Turn a failed request into one clear error, such as "splits/a.parquet cannot be written to s3://...".

        Raises
        ------
        StoreError
            If the server cannot be reached, refuses the request, or there are no credentials.
        """
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError
        from urllib3.exceptions import HTTPError

        where = f"{what} {self} ({self.endpoint or 'AWS'}, CPJUMP_STORE)"
        try:
            yield
        except ClientError as error:
            answer, code = error.response["Error"], status_of(error)
            told = f"{answer.get('Code')} {answer.get('Message')}".strip()
            raise StoreError(f"{where}: the server answered {told}{_ADVICE.get(code, '')}") from error
        except (BotoCoreError, Boto3Error, HTTPError) as error:
            raise StoreError(f"{where}: {_told_by(error)}") from error


def status_of(error: "ClientError") -> int:
    """Give the HTTP status of a refused request."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def is_absent(error: "ClientError") -> bool:
    """Tell whether a request was refused because there is no such object; a missing bucket is another matter."""
    return status_of(error) == 404 and error.response["Error"].get("Code") != "NoSuchBucket"


def _told_by(error: Exception) -> str:
    from botocore.exceptions import CredentialRetrievalError, NoCredentialsError

    if isinstance(error, NoCredentialsError | CredentialRetrievalError):
        return "no AWS credentials were found; they come by the usual AWS chain (variables, files, roles)"
    return f"no whole answer: {type(error).__name__}"


@lru_cache(maxsize=16)
def _client(endpoint: str | None, _process: int) -> "S3Client":
    """Make a client; one costs 0.25 s, and must not be shared with a forked process."""
    import boto3.session
    from botocore.config import Config

    session = boto3.session.Session()
    settings: dict[str, Any] = {
        "region_name": session.region_name or _DEFAULT_REGION,
        "max_pool_connections": 2 * CONNECTIONS,
        "retries": {"mode": "standard", "total_max_attempts": 5},
        "connect_timeout": 10,
        "read_timeout": 60,
        "s3": {"addressing_style": "path" if endpoint else "auto"},
        # Sums that boto3 adds of itself come as trailers, which many servers besides AWS do not understand.
        "request_checksum_calculation": "when_required",
        # Every content is compared with its sha256 here, and some servers repeat a sum that they never compared.
        "response_checksum_validation": "when_required",
        "ignore_configured_endpoint_urls": True,
        "user_agent_extra": "cpjump-assets",
    }
    if is_loopback(endpoint):
        settings["proxies"] = {}
    return session.client("s3", endpoint_url=endpoint, config=Config(**settings))

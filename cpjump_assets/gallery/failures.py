"""What a failed S3 request means to the user.

Belongs here: the translation of botocore's exceptions into one clear ``GalleryError``. Does not belong here: trying
again (``client`` for requests, ``download`` for bodies).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError
from botocore.parsers import ResponseParserError

from cpjump_assets.science.errors import GalleryError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_MEANING = {
    403: "is not readable without an account",
    404: "does not exist",
}


class AbsentObjectError(GalleryError):
    """An object that was listed is not there any more: a finding about the gallery, where other failures are not."""


@contextmanager
def clear_errors(client: "S3Client", what: str) -> Iterator[None]:
    """Turn a failed request for ``what`` into one clear error.

    Raises
    ------
    GalleryError
        If the endpoint cannot be reached, does not speak S3, or refuses the request. It names ``what``, the endpoint
        and the setting that leads there. An ``AbsentObjectError`` if the bucket is there, and the object is not.
    """
    endpoint = endpoint_name(client)
    try:
        yield
    except ClientError as error:
        answer = error.response["Error"]
        reason = _MEANING.get(status(error), "cannot be read")
        # Not every server says NoSuchKey; but a missing bucket is a wrong address, not a missing object.
        absent = status(error) == 404 and answer.get("Code") != "NoSuchBucket"
        raise (AbsentObjectError if absent else GalleryError)(
            f"{what} {reason}: {endpoint} answered {answer.get('Code')} {answer.get('Message')}"
        ) from error
    except (ConnectionError, HTTPClientError) as error:
        raise GalleryError(f"{what} cannot be read: no answer from {endpoint}: {type(error).__name__}") from error
    except ResponseParserError as error:
        raise GalleryError(f"{what} cannot be read: {endpoint} does not answer as an S3 server does") from error


def endpoint_name(client: "S3Client") -> str:
    """Name the endpoint of a client and the setting that leads there, for messages."""
    return f"{without_credentials(client.meta.endpoint_url)} (CPJUMP_S3_ENDPOINT; AWS when that is not set)"


def status(error: ClientError) -> int:
    """Give the HTTP status of a refused request."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def without_credentials(url: str) -> str:
    """Give an address without user, password and query, fit for messages and logs."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

"""Objects over boto3: the way to read through a proxy.

Belongs here: the translation between boto3's answers and a reader's. Does not belong here: what an answer means
(``answer``), the fast way without a proxy (``http_reader``).
"""

from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError
from botocore.parsers import ResponseParserError
from botocore.response import StreamingBody

from cpjump_assets.gallery.failures import endpoint_name
from cpjump_assets.gallery.transfer.answer import ObjectRequest, Promise
from cpjump_assets.gallery.transfer.body import BodyFaultError
from cpjump_assets.gallery.transfer.promised_body import PromisedBody

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


class BotoReader:
    """Reads objects by ``get_object``; see ``reader.ObjectReader``."""

    def __init__(self, client: "S3Client", bucket: str, *, connections: int) -> None:
        self.connections = connections
        self._client = client
        self._bucket = bucket
        self._slots = BoundedSemaphore(connections)

    def open(self, key: str, *, etag: str, start: int = 0, stop: int | None = None) -> PromisedBody:
        """Ask for bytes of an object; see ``reader.ObjectReader``."""
        request = ObjectRequest(self._client, self._bucket, key, etag, start, stop)
        self._slots.acquire()
        try:
            answer = self._ask(request)
            metadata = answer["ResponseMetadata"]
            try:
                promise = Promise.of(request, metadata["HTTPStatusCode"], metadata["HTTPHeaders"])
            except BaseException:
                answer["Body"].close()
                raise
        except BaseException:
            self._slots.release()
            raise
        body = answer["Body"]
        return PromisedBody(promise, body.readinto, lambda _: self._let_go(body))

    def close(self) -> None:
        """Do nothing: the client keeps its connections."""

    def abort(self) -> None:
        """Do nothing: bodies end at the next bytes that come, or when none have come for the read timeout."""

    def _let_go(self, body: StreamingBody) -> None:
        body.close()
        self._slots.release()

    def _ask(self, request: ObjectRequest) -> Any:
        more = {"IfMatch": request.condition, "Range": request.range}
        given = {name: value for name, value in more.items() if value is not None}
        try:
            return self._client.get_object(Bucket=request.bucket, Key=request.key, **given)  # type: ignore[arg-type]
        except ClientError as error:
            raise request.refused(error) from error
        except (ConnectionError, HTTPClientError) as error:
            reason = f"no answer from {endpoint_name(self._client)}: {type(error).__name__}"
            raise BodyFaultError(reason) from error
        except ResponseParserError as error:
            raise request.not_s3() from error

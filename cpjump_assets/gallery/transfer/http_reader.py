"""Objects over plain HTTP: the fast way to read what needs no signature.

Belongs here: connections, which are kept and used again, requests, and bodies that are read straight into the caller's
buffer. Does not belong here: what an answer means (``answer``), trying again (``body``).
"""

import socket
import ssl
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from weakref import WeakSet

from botocore.exceptions import ClientError
from botocore.parsers import create_parser

from cpjump_assets.gallery.client import USER_AGENT, trust_store
from cpjump_assets.gallery.failures import endpoint_name, without_credentials
from cpjump_assets.gallery.transfer.answer import ObjectRequest, Promise
from cpjump_assets.gallery.transfer.body import BodyFaultError
from cpjump_assets.gallery.transfer.promised_body import PromisedBody
from cpjump_assets.science.errors import GalleryError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_ERROR_BYTES = 64 * 1024


@dataclass(frozen=True)
class _Address:
    """Where a bucket is: the scheme, host and port to connect to, and the path that keys are joined to."""

    secure: bool
    host: str
    port: int | None
    path: str

    @classmethod
    def of(cls, client: "S3Client", bucket: str) -> "_Address":
        # boto3 itself says whether the bucket goes into the host's name or into the path.
        url = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}))
        return cls(url.scheme == "https", url.hostname or "", url.port, url.path.removesuffix("k"))

    def target(self, key: str) -> str:
        return self.path + quote(key, safe="/~")


class HttpReader:
    """Reads objects over ``http.client``; see ``reader.ObjectReader``.

    Parameters
    ----------
    client
        Gives endpoint, timeouts and trust store, so that both ways to ask agree.
    bucket
        The bucket.
    connections
        Bodies that may be open at once.
    """

    def __init__(self, client: "S3Client", bucket: str, *, connections: int) -> None:
        self.connections = connections
        self._client = client
        self._bucket = bucket
        self._address = _Address.of(client, bucket)
        self._tls = ssl.create_default_context(cafile=trust_store()) if self._address.secure else None
        self._slots = BoundedSemaphore(connections)
        self._idle: deque[HTTPConnection] = deque()  # its append and pop are atomic
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._is_over = False
        self._lock = Lock()  # of these two

    def open(self, key: str, *, etag: str, start: int = 0, stop: int | None = None) -> PromisedBody:
        """Ask for bytes of an object; see ``reader.ObjectReader``."""
        request = ObjectRequest(self._client, self._bucket, key, etag, start, stop)
        self._slots.acquire()
        try:
            connection, response = self._ask(request)
            try:
                promise = self._promise(request, response)
            except BaseException:
                connection.close()
                raise
        except BaseException:
            self._slots.release()
            raise
        return PromisedBody(
            promise, response.readinto, lambda complete: self._let_go(connection, response, complete=complete)
        )

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def abort(self) -> None:
        """Break off what is under way, and ask for nothing more; see ``reader.ObjectReader``."""
        with self._lock:
            self._is_over = True
            under_way = list(self._sockets)
        for each in under_way:
            with suppress(OSError):  # it is closed already
                # Not the method of TLS sockets, which would take what is still encrypted for the body.
                socket.socket.shutdown(each, socket.SHUT_RDWR)

    def _ask(self, request: ObjectRequest) -> tuple[HTTPConnection, HTTPResponse]:
        kept = self._kept()
        if kept is not None:
            # The server may have closed it meanwhile, which shows only when it is used: no fault of the answer.
            with suppress(ConnectionError, HTTPException):
                return kept, self._send(kept, request)
        fresh = self._connect(request)
        try:
            return fresh, self._send(fresh, request)
        except (ConnectionError, HTTPException) as error:
            raise self._no_answer(error) from error

    def _kept(self) -> HTTPConnection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _connect(self, request: ObjectRequest) -> HTTPConnection:
        config: Any = self._client.meta.config
        address = self._address
        connection = (
            HTTPConnection(address.host, address.port, timeout=config.connect_timeout)
            if self._tls is None
            else HTTPSConnection(address.host, address.port, timeout=config.connect_timeout, context=self._tls)
        )
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            raise GalleryError(
                f"{request.what} cannot be read: the certificate of {endpoint_name(self._client)} is not trusted "
                f"(AWS_CA_BUNDLE may name another trust store): {error.verify_message}"
            ) from error
        except OSError as error:
            raise self._no_answer(error) from error
        connection.sock.settimeout(config.read_timeout)
        with self._lock:
            self._sockets.add(connection.sock)
            is_over = self._is_over
        if is_over:
            connection.close()
            raise BodyFaultError("no more is asked for")
        return connection

    def _send(self, connection: HTTPConnection, request: ObjectRequest) -> HTTPResponse:
        headers = {"User-Agent": USER_AGENT, "If-Match": request.condition, "Range": request.range}
        sent = {name: value for name, value in headers.items() if value is not None}
        try:
            connection.request("GET", self._address.target(request.key), headers=sent)
            return connection.getresponse()
        except (ConnectionError, HTTPException):
            connection.close()
            raise
        except OSError as error:
            connection.close()
            raise self._no_answer(error) from error

    def _promise(self, request: ObjectRequest, response: HTTPResponse) -> Promise:
        headers = {name.lower(): value for name, value in response.headers.items()}
        if response.status < 300:
            return Promise.of(request, response.status, headers)
        try:
            body = response.read(_ERROR_BYTES)
        except (OSError, HTTPException) as error:
            raise self._no_answer(error) from error
        raise request.refused(self._refusal(response.status, headers, body))

    def _refusal(self, status: int, headers: dict[str, str], body: bytes) -> ClientError:
        # Read as botocore does: a refusal that is not in S3's XML is known by its status alone.
        shape: Any = self._client.meta.service_model.operation_model("GetObject").output_shape
        answer = create_parser("rest-xml").parse({"status_code": status, "headers": headers, "body": body}, shape)
        if "location" in headers:
            answer["Error"]["Message"] += f", and leads to {without_credentials(headers['location'])}"
        return ClientError(answer, "GetObject")

    def _let_go(self, connection: HTTPConnection, response: HTTPResponse, *, complete: bool) -> None:
        # Bytes that nobody asked for may still be under way, from a server that ignores Range.
        if complete and (response.isclosed() or response.length == 0) and not response.will_close:
            response.close()
            self._idle.append(connection)
        else:
            connection.close()
        self._slots.release()

    def _no_answer(self, error: Exception) -> BodyFaultError:
        return BodyFaultError(f"no answer from {endpoint_name(self._client)}: {type(error).__name__}")

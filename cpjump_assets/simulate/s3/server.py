"""The loopback server: S3 over HTTP/1.1 on 127.0.0.1.

Belongs here: sockets, threads and the sending of answers, and the command that serves a folder. Does not belong here:
what is answered (``service``), or what goes wrong (``faults``).

Run as ``python -m cpjump_assets.simulate.s3.server ROOT --port N`` it serves ``ROOT/<bucket>/<key>`` until Ctrl-C.
"""

import argparse
import os
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any

from cpjump_assets.science.errors import CpjumpError, GalleryError
from cpjump_assets.simulate.s3.answers import Answer, FileSlice, HangUp, Pause, Step
from cpjump_assets.simulate.s3.errors import S3Error
from cpjump_assets.simulate.s3.etags import UploadRule
from cpjump_assets.simulate.s3.faults import FaultPlan
from cpjump_assets.simulate.s3.service import RecordedRequest, S3Service
from cpjump_assets.simulate.s3.xml_answers import error_answer

HOST = "127.0.0.1"
_IDLE_SECONDS = 300
_RESET = struct.pack("ii", 1, 0)  # linger for 0 seconds: closing sends RST instead of FIN


class S3Server:
    """A running S3 server over a folder, for tests, the demo and benchmarks.

    Parameters
    ----------
    root
        The folder: ``<root>/<bucket>/<key>``.
    port
        0 for any free one.
    faults
        What goes wrong; none by default. ``server.faults`` may be replaced while the server runs.
    upload
        From which size on objects count as uploaded in parts, which shows in their ETags.
    kept_requests
        So many requests are remembered, the latest.

    Raises
    ------
    GalleryError
        On starting, if the root is no folder or the port is taken.

    Examples
    --------
    >>> with S3Server(root, faults=FaultPlan(FaultRule(SlowDown(), times=2))) as server:  # doctest: +SKIP
    ...     client = boto3.client("s3", endpoint_url=server.endpoint, config=Config(signature_version=UNSIGNED))
    """

    def __init__(
        self,
        root: Path | str,
        *,
        port: int = 0,
        faults: FaultPlan | None = None,
        upload: UploadRule | None = None,
        kept_requests: int = 10_000,
    ):
        self._root = Path(root)
        self._port = port
        self._service = S3Service(
            self._root, faults=faults or FaultPlan(), upload=upload or UploadRule(), kept_requests=kept_requests
        )
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        """The URL that clients take as their endpoint; known once the server has started, kept when it is closed."""
        return f"http://{HOST}:{self._port}"

    @property
    def faults(self) -> FaultPlan:
        """What goes wrong, from the next request on."""
        return self._service.faults

    @faults.setter
    def faults(self, plan: FaultPlan) -> None:
        self._service.faults = plan

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The latest requests, in the order in which their answers began."""
        return self._service.requests

    def start(self) -> None:
        """Bind to the port and serve in threads of its own; returns when requests can come."""
        if not self._root.is_dir():
            raise GalleryError(f"the folder to serve, {self._root}, is no folder")
        try:
            self._listener = _Listener((HOST, self._port), self._service)
        except (OSError, OverflowError) as error:
            raise GalleryError(f"cannot serve {self._root} on {HOST}:{self._port}: {error}") from error
        self._port = self._listener.server_address[1]
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(0.05,), name="s3-server", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Hang up on all clients, and end all threads and sockets; a server that is not running stays so."""
        if self._listener is None or self._thread is None:
            return
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()
        self._listener.hang_up()
        self._listener = self._thread = None

    def __enter__(self) -> "S3Server":
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


class _Listener(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Accepts connections, each in a thread of its own that ends with the listener.

    Not ``http.server.ThreadingHTTPServer``: it asks the resolver for the host's name, which takes seconds where there
    is none, and leaves its threads behind.
    """

    allow_reuse_address = True
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], service: S3Service):
        self.service = service
        self.closing = threading.Event()
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread that ``hang_up`` knows of, from before it runs."""
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), name="s3-connection", daemon=True
        )
        with self._lock:
            self._connections[thread] = request
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                del self._connections[threading.current_thread()]

    def hang_up(self) -> None:
        """End all connections and wait for their threads; to be called when no new ones can come."""
        self.closing.set()
        with self._lock:
            connections = dict(self._connections)
        for connection in connections.values():
            with suppress(OSError):  # it has ended by itself meanwhile
                connection.shutdown(socket.SHUT_RDWR)
        for thread in connections:
            thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback of an error, unless it is a client that has gone away, which is its right."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Reads requests from one connection and sends the answers."""

    server: _Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes: Nagle would hold the second back by 40 ms
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        """Answer any method."""
        self._skip_body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.service.answering(self.command, self.path, headers) as answer:
            self._send(answer)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - the names that http.server calls

    def handle_expect_100(self) -> bool:
        """Never ask for a body: no request that has one is granted."""
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what http.server itself refuses, such as an unknown method or a bad request line, in S3's XML."""
        error = S3Error("MethodNotAllowed") if code == 501 else S3Error("InvalidRequest", message)
        self.close_connection = True
        self.request_version = self.protocol_version  # http.server sends no headers as long as it knows no version
        self._send(error_answer(error, resource="", request_id=""))

    def version_string(self) -> str:
        """Name the server in its headers."""
        return "cpjump-simulated-gallery"

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: requests are recorded by the service."""

    def _skip_body(self) -> None:
        """Read the body of a request off the connection, or else the next request would begin within it."""
        length = self.headers.get("Content-Length", "0")
        readable = length.isdecimal() and len(length) < 19
        if not readable or "Expect" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            return
        remaining = int(length)
        while remaining > 0 and (chunk := self.rfile.read(min(remaining, 1 << 16))):
            remaining -= len(chunk)

    def _send(self, answer: Answer) -> None:
        """Play the steps of an answer until its end, or until it hangs up."""
        if not self._play(answer.before):
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self._play(answer.body)

    def _play(self, steps: Iterable[Step]) -> bool:
        """Do the steps in turn; False if the connection is over."""
        for step in steps:
            match step:
                case bytes():
                    self.wfile.write(step)
                case FileSlice():
                    self._send_slice(step)
                case Pause():
                    if self.server.closing.wait(step.seconds):
                        self.close_connection = True
                        return False
                case HangUp():
                    self._hang_up(step)
                    return False
        return True

    def _send_slice(self, piece: FileSlice) -> None:
        if not len(piece):
            return  # sendfile takes 0 bytes for a mistake
        sent = self.connection.sendfile(piece.file, piece.start, len(piece))
        if sent != len(piece):
            raise ConnectionAbortedError(f"{piece.file.name} shrank while it was sent")

    def _hang_up(self, step: HangUp) -> None:
        self.close_connection = True
        if step.abruptly:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            os.close(self.connection.detach())  # at once: socketserver would shut down first, which sends FIN


def main() -> None:
    """Serve a folder until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m cpjump_assets.simulate.s3.server",
        description="Serve a folder over S3, read-only and anonymous, on 127.0.0.1 until Ctrl-C.",
    )
    parser.add_argument("root", type=Path, help="folder to serve: ROOT/<bucket>/<key>")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any free one)")
    arguments = parser.parse_args()
    try:
        with S3Server(arguments.root, port=arguments.port) as server:
            print(f"{arguments.root} is served at {server.endpoint}", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        return
    except CpjumpError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()

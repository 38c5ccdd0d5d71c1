"""Servers and galleries that the tests of the gallery share."""

import uuid
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import botocore.endpoint
import pytest
import urllib3

from cpjump_assets.gallery.client import gallery_client
from cpjump_assets.gallery.listing import GalleryObject, list_objects
from cpjump_assets.gallery.transfer import body
from cpjump_assets.gallery.transfer.body import RetryPolicy
from cpjump_assets.gallery.transfer.inventory import Inventory, InventoryRow
from cpjump_assets.gallery.transfer.pull import pull_objects
from cpjump_assets.gallery.transfer.report import PullReport
from cpjump_assets.simulate.s3.faults import FaultPlan, FaultRule
from cpjump_assets.simulate.s3.server import S3Server


class Served:
    """A bucket of its own on the loopback server, and a store to pull it into."""

    def __init__(self, server: S3Server, client: Any, folder: Path, store: Path) -> None:
        self.server = server
        self.client = client
        self.bucket = folder.name
        self.folder = folder
        self.store = store

    def put(self, key: str, content: bytes) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(content)
        part.replace(path)

    def listed(self, prefix: str = "") -> tuple[GalleryObject, ...]:
        return list_objects(self.client, self.bucket, prefix)

    def fail(self, *rules: FaultRule) -> None:
        self.server.faults = FaultPlan(*rules)

    def pull(self, objects=None, *, retry: RetryPolicy | None = None, connections: int = 2, **more: Any) -> PullReport:
        objects = self.listed() if objects is None else objects
        with Inventory(self.store) as inventory:
            return pull_objects(
                self.client,
                self.bucket,
                objects,
                destination=self.store,
                inventory=inventory,
                connections=connections,
                retry=retry or RetryPolicy(first_wait=0.001),
                **more,
            )

    def row(self, key: str) -> InventoryRow | None:
        with Inventory(self.store) as inventory:
            return inventory.rows([key]).get(key)

    def requests(self, method: str = "GET") -> list[str]:
        """Keys of the requests for objects so far."""
        found = [request for request in self.server.requests if request.bucket == self.bucket]
        return [request.key for request in found if request.method == method and request.key]

    def files(self) -> set[str]:
        """What lies in the store, beside the inventory."""
        found = {str(path.relative_to(self.store)) for path in self.store.rglob("*") if path.is_file()}
        return {name for name in found if not name.startswith("inventory.sqlite")}


class LoopbackGallery(NamedTuple):
    folder: Path
    server: S3Server
    client: Any
    impatient: Any


@pytest.fixture(scope="session")
def loopback_gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackGallery]:
    """Give one server and two clients: the impatient one gives up what stalls for a second. A client costs 0.25 s."""
    folder = tmp_path_factory.mktemp("served")
    with S3Server(folder) as server:
        clients = (gallery_client(server.endpoint, connections=8, read_timeout=seconds) for seconds in (30.0, 1.0))
        yield LoopbackGallery(folder, server, *clients)


@pytest.fixture
def served(loopback_gallery: LoopbackGallery, tmp_path: Path) -> Iterator[Served]:
    """Give an empty bucket without faults."""
    folder = loopback_gallery.folder / f"gallery-{uuid.uuid4().hex[:12]}"
    folder.mkdir()
    yield Served(loopback_gallery.server, loopback_gallery.client, folder, tmp_path / "store" / "gallery")
    loopback_gallery.server.faults = FaultPlan()


@pytest.fixture
def impatient(loopback_gallery: LoopbackGallery, served: Served) -> None:
    """Let the client give up what stalls for a second; any other waits, because a busy machine stalls by itself."""
    served.client = loopback_gallery.impatient


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let botocore try requests again, and us bodies, without waiting in between."""

    class Clock:
        @staticmethod
        def sleep(seconds: float) -> None:
            assert seconds >= 0

    monkeypatch.setattr(botocore.endpoint, "time", Clock)
    monkeypatch.setattr(body, "RetryPolicy", partial(RetryPolicy, first_wait=0.001))


class MotoServer(NamedTuple):
    """Another implementation of S3, with a client that may write to it."""

    endpoint: str
    admin: Any


@pytest.fixture
def moto_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MotoServer]:
    """Give an empty moto server."""
    from boto3.session import Session
    from moto.server import ThreadedMotoServer

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "admin")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "admin")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    admin = Session().client("s3", region_name="us-east-1", endpoint_url=endpoint)
    yield MotoServer(endpoint, admin)
    urllib3.request("POST", f"{endpoint}/moto-api/reset")
    server.stop()


@pytest.fixture
def web_server() -> Iterator[Callable[[dict[str, tuple[int, dict[str, str], bytes]]], str]]:
    """Give a function that serves answers (status, headers, body) by path on loopback, and gives the address."""
    servers: list[ThreadingHTTPServer] = []

    def serve(answers: dict[str, tuple[int, dict[str, str], bytes]]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, body = answers.get(self.path.partition("?")[0], answers.get("*", (404, {}, b"none")))
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()

"""Stores in S3 that tests write to: servers that others wrote, with an empty bucket each.

moto knows conditional writes and keeps no checksums; rclone ignores conditions, repeats a checksum that it was told
without having looked at it, and keeps objects as files that a test can damage.
"""

import logging
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from cpjump_assets.storage.s3_place import S3Place
from cpjump_assets_tests.processes import free_port, process, wait_until

BUCKET = "cpjump-store"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key-of-the-test", "AWS_SECRET_ACCESS_KEY": "secret-of-the-test"}


@dataclass(frozen=True)
class StoreServer:
    """A running server."""

    endpoint: str

    def place(self, prefix: str) -> S3Place:
        return S3Place(BUCKET, prefix, self.endpoint)

    def url(self, prefix: str) -> str:
        return str(self.place(prefix))

    def keys(self, prefix: str = "") -> list[str]:
        """Give all keys of the bucket that begin so."""
        pages = self.place("").client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def read(self, key: str) -> bytes:
        return self.place("").client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def put(self, key: str, content: bytes) -> None:
        self.place("").client.put_object(Bucket=BUCKET, Key=key, Body=content)


@contextmanager
def moto_store() -> Iterator[StoreServer]:
    """Run moto with an empty bucket; the credentials are in the environment meanwhile."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        with patch.dict("os.environ", CREDENTIALS):
            yield _with_bucket(StoreServer(f"http://{host}:{port}"))
    finally:
        server.stop()


@contextmanager
def rclone_store(folder: Path, *options: str) -> Iterator[StoreServer]:
    """Run rclone over an empty folder; skips where it is not installed."""
    program = shutil.which("rclone", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("rclone is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [program, "serve", "s3", str(folder), "--addr", f"127.0.0.1:{port}", "--config", ""]
    command += ["--log-level", "ERROR", *options]
    with process(command), patch.dict("os.environ", CREDENTIALS):
        server = StoreServer(f"http://127.0.0.1:{port}")
        wait_until(lambda: _answers(server), "rclone answers", every=0.05)
        yield _with_bucket(server)


def _answers(server: StoreServer) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(server.endpoint.rpartition(":")[2]))) == 0


def _with_bucket(server: StoreServer) -> StoreServer:
    server.place("").client.create_bucket(Bucket=BUCKET)
    return server

"""Servers that the tests of a store in S3 share; each test has a prefix of its own."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpjump_assets.storage.s3_place import S3Place
from cpjump_assets_tests.stores import StoreServer, moto_store, rclone_store


@pytest.fixture(scope="module")
def moto() -> Iterator[StoreServer]:
    with moto_store() as server:
        yield server


@pytest.fixture(scope="module")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    with rclone_store(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture
def server(request: pytest.FixtureRequest) -> StoreServer:
    """Give moto, or the server that a test names (``both_servers``)."""
    return request.getfixturevalue(getattr(request, "param", "moto"))


@pytest.fixture
def place(server: StoreServer) -> S3Place:
    return server.place(f"test-{uuid.uuid4().hex[:8]}/store")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"

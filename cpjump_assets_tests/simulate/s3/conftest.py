"""Fixtures for the tests of the loopback S3 server."""

import http.client
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from cpjump_assets.simulate.s3.server import S3Server


class RawAnswer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


@pytest.fixture(scope="session")
def boto3_session() -> boto3.Session:
    """Give one session: it reads the description of S3 once, which costs more than a request."""
    return boto3.Session(region_name="us-east-1")


@pytest.fixture
def anonymous_client(boto3_session: boto3.Session) -> Iterator[Callable[..., Any]]:
    """Give a function that makes an unsigned boto3 client of an endpoint, without retries unless asked for."""
    clients = []

    def make(endpoint: str, *, attempts: int = 1, read_timeout: float = 10) -> Any:
        config = Config(
            signature_version=UNSIGNED,
            s3={"addressing_style": "path"},
            connect_timeout=10,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
        )
        client = boto3_session.client("s3", endpoint_url=endpoint, config=config)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def raw_request() -> Callable[..., RawAnswer]:
    """Give a function that sends one request as it is spelled, on a connection of its own."""

    def send(endpoint: str, method: str, target: str, headers: Mapping[str, str] | None = None) -> RawAnswer:
        connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=10)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            lowered = {name.lower(): value for name, value in response.getheaders()}
            return RawAnswer(response.status, lowered, response.read())
        finally:
            connection.close()

    return send


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """Give the folder of an empty bucket, ``gallery``."""
    folder = tmp_path / "served" / "gallery"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def server(bucket: Path) -> Iterator[S3Server]:
    """Give a running server over the bucket."""
    with S3Server(bucket.parent) as running:
        yield running

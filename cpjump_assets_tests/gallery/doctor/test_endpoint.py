"""Endpoints that do not serve the gallery: the rung that broke, and what to do, in each case."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cpjump_assets.gallery.client import gallery_client
from cpjump_assets.gallery.doctor.endpoint import clock_finding, examine_endpoint
from cpjump_assets.gallery.doctor.findings import Finding, Status
from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.simulate.s3.faults import FaultPlan, FaultRule, SlowDown
from cpjump_assets.simulate.s3.requests import LIST_OBJECTS

ROOT = GalleryRoot("cellpainting-gallery", "cpg0000-jump-pilot/source_4")
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def _look(endpoint: str, root: GalleryRoot = ROOT, *, seconds: float = 5.0) -> dict[str, Finding]:
    client = gallery_client(endpoint, connect_timeout=seconds, read_timeout=seconds, attempts=1)
    found = examine_endpoint(Gallery(root, client, 1))
    assert found.usable == all(row.status is Status.OK for row in found.findings)
    return {row.what: row for row in found.findings}


def _broken(rows: dict[str, Finding]) -> Finding:
    """Give the rung that broke; those before it hold, those after it are not looked at."""
    statuses = [row.status for row in rows.values()]
    place = statuses.index(Status.ERROR)
    assert set(statuses[:place]) <= {Status.OK}
    assert set(statuses[place + 1 :]) == {Status.SKIPPED}
    return list(rows.values())[place]


def test_a_gallery_that_is_there_holds_on_every_rung(patient):
    root = GalleryRoot(patient.bucket.name, ROOT.prefix)
    rows = _look(patient.server.endpoint, root)
    assert list(rows) == [
        "host name",
        "connection",
        "S3",
        "bucket",
        "anonymous listing",
        "prefix",
        "clock",
        "kind of gallery",
    ]
    (patient.bucket / ROOT.marker_key).unlink()
    assert "taken for the public gallery" in _look(patient.server.endpoint, root)["kind of gallery"].found


def test_a_host_that_does_not_exist():
    broken = _broken(_look("http://no-such-host.invalid:9"))
    assert (broken.what, broken.found) == ("host name", "no host of the name no-such-host.invalid:9")
    assert broken.advice.startswith("check name and network")


def test_a_port_where_nothing_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    broken = _broken(_look(f"http://127.0.0.1:{port}"))
    assert (broken.what, broken.found) == ("connection", f"127.0.0.1:{port}: connection refused")
    assert "start the server there, or set CPJUMP_S3_ENDPOINT" in broken.advice


def test_a_server_that_never_answers():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        broken = _broken(_look(f"http://127.0.0.1:{silent.getsockname()[1]}", seconds=0.2))
    assert broken.what == "connection"
    assert broken.found.endswith("accepts a connection and gives no answer")


def test_a_proxy_that_does_not_answer(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    broken = _broken(_look("http://mirror.invalid"))
    assert broken.what == "connection"
    assert "NO_PROXY" in broken.advice


@pytest.mark.parametrize(
    ("status", "page"),
    [
        (200, b"<!DOCTYPE html><html><body>Log in</body></html>"),
        (200, b"<html><br><p>Log in"),
        (200, b"{}"),
        (200, b""),
        (302, b"<html>moved"),
        (403, b"<html>forbidden"),
        (404, b"not found"),
    ],
)
def test_a_web_server_is_no_s3_server(web_server, no_waits, status, page):
    address = web_server({"*": (status, {"Content-Type": "text/html"}, page)})
    broken = _broken(_look(address))
    assert (broken.what, broken.found) == ("S3", f"{address[7:]} does not answer as an S3 server does")
    assert "log in" in broken.advice


def test_a_busy_server_is_not_taken_for_a_wrong_one(patient):
    patient.server.faults = FaultPlan(FaultRule(SlowDown(), operations=frozenset({LIST_OBJECTS})))
    broken = _broken(_look(patient.server.endpoint))
    assert broken.what == "S3"
    assert broken.advice == "run `cpjump doctor` again later"


def test_a_bucket_that_is_not_there(patient):
    broken = _broken(_look(patient.server.endpoint, GalleryRoot("nowhere", ROOT.prefix)))
    assert broken.what == "bucket"
    assert broken.found.startswith("no bucket nowhere on 127.0.0.1")
    assert broken.advice.startswith("set CPJUMP_GALLERY to a bucket of this server")


def test_a_prefix_that_is_empty(patient):
    broken = _broken(_look(patient.server.endpoint, GalleryRoot(patient.bucket.name, "cpg0000-jump-pilot/source_5")))
    assert broken.what == "prefix"
    assert broken.found == f"nothing below s3://{patient.bucket.name}/cpg0000-jump-pilot/source_5"
    assert "CPJUMP_GALLERY" in broken.advice


def test_a_bucket_that_is_private(web_server):
    refused = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    broken = _broken(_look(web_server({"*": (403, {"Content-Type": "application/xml"}, refused)})))
    assert (broken.what, broken.found) == ("anonymous listing", "refused without an account (AccessDenied)")
    assert broken.advice.startswith("set CPJUMP_GALLERY to a bucket that anyone may list")


def test_a_bucket_that_can_be_listed_and_not_read(moto_server):
    root = GalleryRoot("listed", "pilot")
    moto_server.admin.create_bucket(Bucket=root.bucket)  # moto lets anyone list it nevertheless
    moto_server.admin.put_object(Bucket=root.bucket, Key=root.marker_key, Body=b"x")
    client = gallery_client(moto_server.endpoint, attempts=1)
    *rungs, kind = examine_endpoint(Gallery(root, client, 1)).findings
    assert {row.status for row in rungs} == {Status.OK}
    assert (kind.what, kind.status) == ("kind of gallery", Status.ERROR)
    assert kind.advice.startswith("objects must be readable without an account, not only listed")


class _Silent(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Give a function that serves TLS with a certificate of its own making, and gives the address."""
    servers: list[ThreadingHTTPServer] = []

    def serve(*, name: str = "localhost", days: tuple[int, int] = (-1, 1)) -> tuple[str, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        start, end = (datetime.now(UTC) + timedelta(days=day) for day in days)
        builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, start, end)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        chain, alone = tmp_path / "chain.pem", tmp_path / "certificate.pem"
        chain.write_bytes(pem + private)
        alone.write_bytes(pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        server = _QuietServer(("127.0.0.1", 0), _Silent)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return f"https://localhost:{server.server_address[1]}", alone

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that do not trust the certificate."""


def test_certificates_of_nobody_of_another_host_and_of_another_time(tls_server, monkeypatch):
    address, _ = tls_server()
    broken = _broken(_look(address))
    assert broken.what == "TLS"
    assert "AWS_CA_BUNDLE" in broken.advice

    for serve, said in (
        ({"name": "other.invalid"}, "take the name that the certificate is for"),
        ({"days": (-9, -2)}, "set the clock of this machine"),
        ({"days": (2, 9)}, "set the clock of this machine"),
    ):
        address, trusted = tls_server(**serve)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(trusted))
        broken = _broken(_look(address))
        assert broken.what == "TLS"
        assert broken.advice.startswith(said), serve


def test_https_where_http_is_spoken(patient):
    broken = _broken(_look(patient.server.endpoint.replace("http:", "https:")))
    assert broken.what == "TLS"
    assert broken.advice == f"set CPJUMP_S3_ENDPOINT to {patient.server.endpoint}"


@pytest.mark.parametrize(
    ("date", "status", "found"),
    [
        ("Sat, 21 Nov 2026 12:04:00 GMT", Status.OK, "agrees"),
        ("Sat, 21 Nov 2026 12:20:00 GMT", Status.WARNING, "20 minutes behind"),
        ("Sat, 21 Nov 2026 09:00:00 GMT", Status.WARNING, "180 minutes ahead of"),
        ("yesterday", Status.OK, "does not tell"),
        (None, Status.OK, "does not tell"),
    ],
)
def test_the_clock_is_compared_with_the_servers(date, status, found):
    row = clock_finding(date, now=NOW)
    assert (row.status, found in row.found) == (status, True)
    assert ("set the clock" in row.advice) == (status is Status.WARNING)

import datetime
import hashlib
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpjump_assets.gallery.client import gallery_client
from cpjump_assets.gallery.failures import AbsentObjectError
from cpjump_assets.gallery.transfer import promised_body
from cpjump_assets.gallery.transfer.answer import ObjectChangedError
from cpjump_assets.gallery.transfer.body import BodyFaultError
from cpjump_assets.gallery.transfer.boto_reader import BotoReader
from cpjump_assets.gallery.transfer.etag import MIB
from cpjump_assets.gallery.transfer.http_reader import HttpReader
from cpjump_assets.gallery.transfer.reader import ObjectReader, object_reader
from cpjump_assets.science.errors import GalleryError
from cpjump_assets.simulate.s3.faults import (
    ConnectionReset,
    FaultRule,
    HtmlPage,
    IgnoredHeader,
    Latency,
    Refusal,
    StalledBody,
    TruncatedBody,
)
from cpjump_assets.simulate.s3.server import S3Server

KEY = "pilot/a b+c%2B é~'!(1).csv"
CONTENT = np.random.default_rng(0).bytes(700_000)
ETAG = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture(params=[HttpReader, BotoReader])
def reader(request, served) -> ObjectReader:
    """Each of the two ways to read, with one object to read."""
    served.put(KEY, CONTENT)
    with closing(request.param(served.client, served.bucket, connections=2)) as made:
        yield made


def _read(reader: ObjectReader, key: str = KEY, *, etag: str = ETAG, buffer: int = 100_000, **span: int) -> bytes:
    content = b""
    with closing(reader.open(key, etag=etag, **span)) as body:
        room = memoryview(bytearray(buffer))
        while count := body.readinto(room):
            content += room[:count]
    return content


def test_an_object_is_read_whole_and_tells_its_version(reader):
    assert _read(reader) == CONTENT
    with closing(reader.open(KEY, etag=ETAG, start=5, stop=9)) as body:
        assert (body.etag, body.size) == (ETAG, len(CONTENT))


@given(data=st.data(), ignored=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_range_is_read_also_from_a_server_that_sends_the_whole_object(reader, served, data, ignored):
    start = data.draw(st.integers(0, len(CONTENT) - 1))
    stop = data.draw(st.none() | st.integers(start + 1, len(CONTENT) + 10))
    served.fail(*[FaultRule(IgnoredHeader("range"))] * ignored)
    assert _read(reader, start=start, stop=stop) == CONTENT[start:stop]
    assert _read(reader) == CONTENT, "the next answer is not confused with the rest of the one before"


def test_an_empty_object_is_read(reader, served):
    served.put("empty", b"")
    assert _read(reader, "empty", etag=hashlib.md5(b"").hexdigest()) == b""
    assert _read(reader) == CONTENT


def test_another_version_is_told_also_by_a_server_that_does_not_know_if_match(reader, served):
    with pytest.raises(ObjectChangedError):
        reader.open(KEY, etag="0" * 32)
    served.fail(FaultRule(IgnoredHeader("if-match")))
    with pytest.raises(ObjectChangedError):
        reader.open(KEY, etag="0" * 32)
    assert served.requests() == [KEY, KEY]
    assert _read(reader) == CONTENT


@pytest.mark.parametrize("etag", ['with "quotes"', "ünicode", "line\nbreak", "\u4e2d\u6587"])
def test_an_etag_that_no_header_can_carry_is_compared_all_the_same(reader, etag):
    with pytest.raises(ObjectChangedError):
        reader.open(KEY, etag=etag)


def test_a_range_behind_the_end_means_another_version(reader):
    with pytest.raises(ObjectChangedError):
        reader.open(KEY, etag=ETAG, start=len(CONTENT) + 1)


def test_an_object_that_is_gone_is_told_from_a_bucket_that_never_was(reader, served):
    with pytest.raises(AbsentObjectError, match=f"s3://{served.bucket}/gone does not exist: http.*NoSuchKey"):
        reader.open("gone", etag=ETAG)
    with pytest.raises(GalleryError, match=r"does not exist: http.*NoSuchBucket") as caught:
        type(reader)(served.client, "no-such-bucket", connections=1).open(KEY, etag=ETAG)
    assert not isinstance(caught.value, AbsentObjectError)


@pytest.mark.parametrize("code", ["SlowDown", "InternalError"])
def test_a_server_that_is_busy_is_worth_another_try(reader, served, no_waits, code):
    served.fail(FaultRule(Refusal(code)))
    with pytest.raises(BodyFaultError, match=rf"http://127.*CPJUMP_S3_ENDPOINT.* answered {code} "):
        reader.open(KEY, etag=ETAG)


def test_no_permission_is_not_worth_another_try(reader, served):
    served.fail(FaultRule(Refusal("AccessDenied")))
    with pytest.raises(GalleryError, match=r"is not readable without an account: http.* answered AccessDenied"):
        reader.open(KEY, etag=ETAG)


def test_the_login_page_of_a_hotel_is_not_an_object(reader, served):
    served.fail(FaultRule(HtmlPage()))
    with pytest.raises(GalleryError, match="does not answer as an S3 server does"):
        reader.open(KEY, etag=ETAG)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("fault", "may_be_lost"), [(TruncatedBody(share=0.5), 0), (StalledBody(seconds=9, share=0.5), MIB)], ids=repr
)
def test_what_came_before_a_body_broke_off_is_given(reader, served, fault, may_be_lost):
    long = CONTENT * 6
    served.put("long", long)
    etag = hashlib.md5(long).hexdigest()
    served.fail(FaultRule(fault))
    content = b""
    with closing(reader.open("long", etag=etag)) as body:
        room = memoryview(bytearray(len(long)))
        with pytest.raises(BodyFaultError, match="the body broke off"):
            while count := body.readinto(room):
                content += room[:count]
    assert long.startswith(content)
    assert len(long) // 2 - may_be_lost <= len(content) <= len(long) // 2
    served.fail()
    assert _read(reader, "long", etag=etag) == long


def test_a_slow_body_is_given_in_small_pieces(reader, monkeypatch):
    monkeypatch.setattr(promised_body, "_FAST", float("inf"))
    with closing(reader.open(KEY, etag=ETAG)) as body:
        room = memoryview(bytearray(len(CONTENT)))
        assert 0 < body.readinto(room) <= 128 * 1024
    assert _read(reader) == CONTENT


@pytest.mark.usefixtures("impatient")
def test_a_server_that_does_not_answer_is_a_fault_on_a_fresh_connection_and_on_one_that_was_kept(served):
    served.put(KEY, CONTENT)
    with closing(HttpReader(served.client, served.bucket, connections=1)) as reader:
        served.fail(FaultRule(Latency(5), times=1), FaultRule(Latency(5), after=2))
        with pytest.raises(BodyFaultError, match=r"no answer from .*: TimeoutError"):
            reader.open(KEY, etag=ETAG)
        assert _read(reader) == CONTENT
        with pytest.raises(BodyFaultError, match=r"no answer from .*: TimeoutError"):
            reader.open(KEY, etag=ETAG)


@pytest.mark.parametrize("fault", [ConnectionReset(), Refusal("AccessDenied"), Refusal("SlowDown"), HtmlPage()])
def test_a_failed_request_gives_its_place_back(reader, served, no_waits, fault):
    served.fail(FaultRule(fault))
    for _ in range(reader.connections + 1):
        with pytest.raises((BodyFaultError, GalleryError)):
            reader.open(KEY, etag=ETAG)
    served.fail()
    with closing(reader.open(KEY, etag=ETAG)), closing(reader.open(KEY, etag=ETAG)):
        pass


def test_no_more_bodies_are_open_than_there_are_connections(reader):
    opened = threading.Event()

    def open_third() -> bytes:
        with closing(reader.open(KEY, etag=ETAG)) as body:
            opened.set()
            return bytes(body.size)

    with ThreadPoolExecutor(1) as pool:
        first, second = reader.open(KEY, etag=ETAG), reader.open(KEY, etag=ETAG)
        third = pool.submit(open_third)
        assert not opened.wait(0.1)
        first.close()
        first.close()  # once more gives no place away
        assert opened.wait(5)
        third.result(5)
        second.close()


def test_connections_are_used_again_and_one_that_the_server_closed_is_no_fault(served):
    served.put(KEY, CONTENT)
    with S3Server(served.folder.parent) as server:
        reader = HttpReader(gallery_client(server.endpoint), served.bucket, connections=4)
        assert [_read(reader) for _ in range(3)] == [CONTENT] * 3
        assert len(reader._idle) == 1
        port = int(server.endpoint.rpartition(":")[2])
    with S3Server(served.folder.parent, port=port):
        assert _read(reader) == CONTENT
    reader.close()
    assert not reader._idle


def test_a_connection_with_bytes_that_nobody_read_is_not_used_again(served):
    served.put(KEY, CONTENT)
    with closing(HttpReader(served.client, served.bucket, connections=1)) as reader:
        reader.open(KEY, etag=ETAG).close()
        assert not reader._idle
        served.fail(FaultRule(IgnoredHeader("range")))
        assert _read(reader, start=0, stop=10) == CONTENT[:10]
        assert not reader._idle


_ANSWERS = [
    (206, {"Content-Range": "bytes 2-5/9"}, b"cdef", None),
    (200, {"Content-Range": "bytes 2-5/9"}, b"cdef", None),  # as rclone answers
    (206, {"Content-Range": "bytes 0-5/9"}, b"abcdef", None),  # more than was asked for
    (206, {"Content-Range": "bytes 3-5/9"}, b"def", BodyFaultError),
    (206, {"Content-Range": "bytes 2-4/9"}, b"cde", BodyFaultError),
    (206, {"Content-Range": "bytes 2-5/9"}, b"cdefg", BodyFaultError),
    (206, {"Content-Range": "bytes */9"}, b"cdef", BodyFaultError),
    (204, {}, b"", GalleryError),
    (301, {"Location": "http://user:secret@elsewhere/"}, b"", GalleryError),
    (302, {"Location": "http://login/"}, b"<html>", GalleryError),
    (307, {"Location": "http://elsewhere/"}, b"", GalleryError),
    (429, {}, b"<html>slow down</html>", BodyFaultError),
    (503, {}, b"", BodyFaultError),
    (400, {}, b"<Error><Code>RequestTimeout</Code><Message>idle</Message></Error>", BodyFaultError),
    (412, {}, b"", ObjectChangedError),
    (200, {"ETag": '"other"', "Content-Type": "text/html; charset=utf-8"}, b"<html>", GalleryError),
]


def test_every_answer_to_a_range_is_understood(web_server):
    answers = {
        f"/bucket/{number}": (status, {"ETag": '"v1"'} | headers, body)
        for number, (status, headers, body, _) in enumerate(_ANSWERS)
    }
    with closing(HttpReader(gallery_client(web_server(answers)), "bucket", connections=1)) as reader:
        for number, (status, headers, _, expected) in enumerate(_ANSWERS):
            if expected is None:
                assert _read(reader, str(number), etag="v1", start=2, stop=6) == b"cdef"
                continue
            with pytest.raises(Exception) as caught:
                _read(reader, str(number), etag="v1", start=2, stop=6)
            assert type(caught.value) is expected, (status, headers)
            assert "secret" not in str(caught.value)
            assert ("leads to http://" in str(caught.value)) is (300 < status < 400)


def test_an_answer_without_a_length_is_not_s3s(web_server):
    endpoint = web_server({"*": (200, {"ETag": '"v1"', "Content-Length": "many"}, b"")})
    with (
        closing(HttpReader(gallery_client(endpoint), "bucket", connections=1)) as reader,
        pytest.raises(GalleryError, match="does not answer as an S3 server does"),
    ):
        reader.open(KEY, etag="v1")


def test_an_endpoint_that_is_down_is_named(served):
    with (
        closing(HttpReader(gallery_client("http://127.0.0.1:9"), served.bucket, connections=1)) as reader,
        pytest.raises(BodyFaultError, match=r"no answer from http://127.0.0.1:9 \(CPJUMP_S3_ENDPOINT.*Refused"),
    ):
        reader.open(KEY, etag=ETAG)


def test_buckets_are_addressed_as_boto3_does():
    aws = HttpReader(gallery_client(), "cellpainting-gallery", connections=1)._address
    assert (aws.secure, aws.host, aws.target("a b/c+d~")) == (
        True,
        "cellpainting-gallery.s3.amazonaws.com",
        "/a%20b/c%2Bd~",
    )
    own = HttpReader(gallery_client("http://[::1]:9/s3"), "gallery", connections=1)._address
    assert (own.secure, own.host, own.port, own.target("k")) == (False, "::1", 9, "/s3/gallery/k")


@pytest.fixture
def no_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_what_can_be_reached_directly_is_read_over_plain_http(served, no_proxy, monkeypatch):
    assert isinstance(object_reader(served.client, served.bucket, connections=1), HttpReader)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert isinstance(object_reader(served.client, served.bucket, connections=1), HttpReader)  # loopback


def test_through_a_proxy_it_is_read_by_boto3(web_server, no_proxy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", web_server({"*": (200, {"ETag": f'"{ETAG}"'}, CONTENT)}))
    client = gallery_client("http://s3.example.invalid")
    with closing(object_reader(client, "bucket", connections=1)) as reader:
        assert isinstance(reader, BotoReader)
        assert _read(reader) == CONTENT


@pytest.fixture
def https_server(tmp_path):
    """A server with a certificate that nobody has signed but itself; the endpoint and the certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin.replace(year=2120))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("ETag", f'"{ETAG}"')
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"https://localhost:{server.server_address[1]}", path
    server.shutdown()
    server.server_close()


def test_https_is_read_when_the_certificate_is_trusted_and_refused_otherwise(https_server, monkeypatch, no_proxy):
    endpoint, certificate = https_server
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    with (
        closing(HttpReader(gallery_client(endpoint), "bucket", connections=1)) as reader,
        pytest.raises(GalleryError, match=rf"the certificate of {endpoint} .* is not trusted \(AWS_CA_BUNDLE"),
    ):
        reader.open(KEY, etag=ETAG)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with closing(HttpReader(gallery_client(endpoint), "bucket", connections=1)) as reader:
        assert _read(reader) == CONTENT
        assert _read(reader) == CONTENT


@pytest.fixture
def http_reader(served) -> Iterator[HttpReader]:
    served.put(KEY, CONTENT)
    with closing(HttpReader(served.client, served.bucket, connections=2)) as made:
        yield made


@pytest.mark.parametrize("fault", [StalledBody(seconds=60, share=0.2), Latency(seconds=60)], ids=["body", "answer"])
def test_what_is_under_way_can_be_broken_off_and_nothing_more_is_asked_for_then(http_reader, served, fault):
    assert _read(http_reader) == CONTENT  # so that a connection is kept
    served.fail(FaultRule(fault))
    asked = len(served.requests())
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        reading = pool.submit(_read, http_reader)
        while len(served.requests()) == asked:
            time.sleep(0.002)
        http_reader.abort()
        with pytest.raises(BodyFaultError):
            reading.result()
    assert time.monotonic() - began < 25  # the client gives up after thirty
    with pytest.raises(BodyFaultError, match="no more is asked for"):
        http_reader.open(KEY, etag=ETAG)
    assert len(served.requests()) == asked + 1


def test_it_reads_from_another_implementation_of_s3(moto_server):
    moto_server.admin.create_bucket(Bucket="gallery", ACL="public-read")
    moto_server.admin.put_object(Bucket="gallery", Key=KEY, Body=CONTENT, ACL="public-read")
    moto_server.admin.create_bucket(Bucket="private")
    moto_server.admin.put_object(Bucket="private", Key=KEY, Body=CONTENT)
    client = gallery_client(moto_server.endpoint)
    with closing(HttpReader(client, "gallery", connections=1)) as reader:
        assert _read(reader) == CONTENT
        assert _read(reader, start=10, stop=20) == CONTENT[10:20]
        with pytest.raises(ObjectChangedError):
            reader.open(KEY, etag="0" * 32)
        with pytest.raises(AbsentObjectError):
            reader.open("gone", etag=ETAG)
    with pytest.raises(GalleryError, match="is not readable without an account"):
        HttpReader(client, "private", connections=1).open(KEY, etag=ETAG)

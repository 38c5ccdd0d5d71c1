"""The server as a peer on the wire: connections, clients that misbehave, its start and its end."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from botocore.exceptions import ClientError

from cpjump_assets.science.errors import GalleryError
from cpjump_assets.simulate.s3.etags import MEBIBYTE, UploadRule
from cpjump_assets.simulate.s3.server import S3Server


def exchange(endpoint, data):
    """Send bytes as they are; give the status of the first answer and all that comes until the server hangs up."""
    with socket.create_connection((urlsplit(endpoint).hostname, urlsplit(endpoint).port), timeout=5) as connection:
        connection.sendall(data)
        received = b""
        while chunk := connection.recv(1 << 16):
            received += chunk
    return int(received.split()[1]), received


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /gallery HTTP/x\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET relative HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET http://elsewhere/gallery HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"PROPFIND /gallery HTTP/1.1\r\n\r\n", 405),
        (b"GET /gallery/" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 400),
        (b"PUT /gallery/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 403),
        (b"PUT /gallery/a HTTP/1.1\r\nContent-Length: many\r\n\r\n", 403),
        (b"PUT /gallery/a HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", 403),
    ],
)
def test_a_request_that_cannot_be_granted_is_answered_in_xml(server, data, status):
    found, received = exchange(server.endpoint, data)
    assert found == status
    assert b"<Error><Code>" in received


def test_one_connection_serves_many_requests_also_after_a_refused_upload(bucket, server):
    (bucket / "a").write_bytes(b"content")
    body = b"GET /not-a-request HTTP/1.1\r\n\r\n"
    upload = b"PUT /gallery/a HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    download = b"GET /gallery/a HTTP/1.1\r\n\r\n"
    last = b"HEAD /gallery/a HTTP/1.1\r\nConnection: close\r\n\r\n"
    _, received = exchange(server.endpoint, upload + download * 2 + last)
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"403", b"200", b"200", b"200"]
    assert received.count(b"content") == 2
    assert [record.method for record in server.requests] == ["PUT", "GET", "GET", "HEAD"]


def test_uploads_with_boto3_are_denied_and_change_nothing(bucket, server, anonymous_client):
    (bucket / "a").write_bytes(b"content")
    client = anonymous_client(server.endpoint)
    for call in (
        lambda: client.put_object(Bucket="gallery", Key="a", Body=b"x" * 3 * MEBIBYTE),
        lambda: client.delete_object(Bucket="gallery", Key="a"),
        lambda: client.create_bucket(Bucket="other"),
        lambda: client.create_multipart_upload(Bucket="gallery", Key="a"),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            call()
    assert (bucket / "a").read_bytes() == b"content"
    assert [path.name for path in bucket.parent.iterdir()] == ["gallery"]


def test_requests_are_recorded(bucket, server, anonymous_client):
    (bucket / "a b").write_bytes(b"0123456789")
    assert server.requests == ()
    client = anonymous_client(server.endpoint)
    client.get_object(Bucket="gallery", Key="a b", Range="bytes=2-4")
    client.list_objects_v2(Bucket="gallery", Prefix="a")
    with pytest.raises(ClientError):
        client.head_object(Bucket="gallery", Key="nothing")
    assert [(record.method, record.key, record.range, record.status) for record in server.requests] == [
        ("GET", "a b", "bytes=2-4", 206),
        ("GET", "", "", 200),
        ("HEAD", "nothing", "", 404),
    ]
    assert server.requests[1].query["prefix"] == "a"
    assert {record.bucket for record in server.requests} == {"gallery"}


def test_only_the_latest_requests_are_kept(bucket, raw_request):
    with S3Server(bucket.parent, kept_requests=3) as server:
        for name in "abcde":
            raw_request(server.endpoint, "GET", f"/gallery/{name}")
        assert [record.key for record in server.requests] == ["c", "d", "e"]


def test_many_clients_at_once_get_what_they_asked_for(bucket, server, anonymous_client):
    contents = {f"{number:02}": os.urandom(300_000) for number in range(32)}
    for name, content in contents.items():
        (bucket / name).write_bytes(content)
    client = anonymous_client(server.endpoint)

    def fetch(name):
        return client.get_object(Bucket="gallery", Key=name)["Body"].read() == contents[name]

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(fetch, [*contents] * 4))
    assert len(server.requests) == 128


def test_closing_ends_all_threads_and_sockets_with_clients_still_connected(bucket):
    (bucket / "a").write_bytes(bytes(50 * MEBIBYTE))
    process = psutil.Process()
    threads, files = threading.active_count(), process.num_fds()
    server = S3Server(bucket.parent)
    with server:
        address = urlsplit(server.endpoint).hostname, urlsplit(server.endpoint).port
        idle = socket.create_connection(address)
        busy = socket.create_connection(address)
        busy.sendall(b"GET /gallery/a HTTP/1.1\r\n\r\n")  # and never reads
        busy.recv(1)
        started = time.monotonic()
    assert time.monotonic() - started < 60
    assert idle.recv(1) == b""
    idle.close()
    busy.close()
    assert (threading.active_count(), process.num_fds()) == (threads, files)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    server.close()  # again is no error
    with server:  # on the port that it had
        assert server.endpoint.endswith(str(address[1]))


def test_a_client_that_goes_away_makes_no_noise(bucket, server, raw_request, capfd):
    (bucket / "a").write_bytes(bytes(50 * MEBIBYTE))
    with socket.create_connection((urlsplit(server.endpoint).hostname, urlsplit(server.endpoint).port)) as connection:
        connection.sendall(b"GET /gallery/a HTTP/1.1\r\n\r\n")
        connection.recv(10)
    assert raw_request(server.endpoint, "HEAD", "/gallery/a").status == 200
    server.close()
    assert capfd.readouterr() == ("", "")


def test_a_mistake_of_the_server_itself_is_not_hidden(bucket, server, raw_request, capfd, monkeypatch):
    monkeypatch.setattr(UploadRule, "etag", lambda *arguments: 1 / 0)
    (bucket / "a").write_bytes(b"")
    with pytest.raises(ConnectionError):
        raw_request(server.endpoint, "GET", "/gallery/a")
    server.close()
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_folder_that_is_not_there_cannot_be_served(tmp_path):
    with (
        pytest.raises(GalleryError, match=r"the folder to serve, .*nothing, is no folder"),
        S3Server(tmp_path / "nothing"),
    ):
        pass


@pytest.mark.parametrize("port", ["taken", 70_000])
def test_a_port_that_cannot_be_had_is_named(bucket, server, port):
    port = urlsplit(server.endpoint).port if port == "taken" else port
    with (
        pytest.raises(GalleryError, match=f"cannot serve .* on 127.0.0.1:{port}: "),
        S3Server(bucket.parent, port=port),
    ):
        pass


def run_command(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "cpjump_assets.simulate.s3.server", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def test_the_command_serves_until_it_is_interrupted(bucket, raw_request):
    (bucket / "a").write_bytes(b"content")
    with run_command(str(bucket.parent), "--port", "0") as command:
        line = command.stdout.readline().split()
        assert raw_request(line[-1], "GET", "/gallery/a").body == b"content"
        command.send_signal(signal.SIGINT)
        try:
            output, errors = command.communicate(timeout=5)
        finally:
            command.kill()  # one that was not interrupted would be waited for without end
    assert (command.returncode, output, errors) == (0, "", "")


def test_the_command_says_in_one_line_what_it_cannot_serve(tmp_path):
    with run_command(str(tmp_path / "nothing")) as command:
        output, errors = command.communicate(timeout=10)
    assert (command.returncode, output) == (1, "")
    assert errors == f"the folder to serve, {tmp_path}/nothing, is no folder\n"


def test_an_empty_object_leaves_the_connection_in_use(bucket, server, capfd):
    (bucket / "empty").write_bytes(b"")
    (bucket / "full").write_bytes(b"full")
    asked = "GET /gallery/empty HTTP/1.1\r\n\r\nGET /gallery/full HTTP/1.1\r\nConnection: close\r\n\r\n"
    _, received = exchange(server.endpoint, asked.encode())
    assert received.count(b"HTTP/1.1 200") == 2
    assert received.endswith(b"\r\n\r\nfull")
    assert capfd.readouterr().err == ""

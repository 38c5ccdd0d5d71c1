import hashlib
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import wait
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cpjump_assets.gallery.client import gallery_client
from cpjump_assets.gallery.listing import list_objects
from cpjump_assets.gallery.transfer import download as download_module
from cpjump_assets.gallery.transfer import pull as pull_module
from cpjump_assets.gallery.transfer.body import RetryPolicy
from cpjump_assets.gallery.transfer.etag import MIB, Verification
from cpjump_assets.gallery.transfer.inventory import Inventory
from cpjump_assets.gallery.transfer.pull import pull_objects
from cpjump_assets.science.errors import GalleryError, StoreError
from cpjump_assets.simulate.s3.faults import (
    ChangedObject,
    ConnectionReset,
    FaultRule,
    FlippedBit,
    SlowDown,
    StalledBody,
    TruncatedBody,
    invert_last_byte,
)

KEY = "pilot/source_4/workspace/profiles/batch/plate/plate.csv.gz"
CONTENT = np.random.default_rng(0).bytes(300_000)
LARGE = np.random.default_rng(1).bytes(9 * MIB)  # the server cuts it into parts of 8 MiB
IMPATIENT = RetryPolicy(attempts=2, first_wait=0.001)


@pytest.fixture
def holding(served):
    """A store that holds the first version of an object whose second version is now listed."""
    served.put(KEY, b"first version")
    served.pull()
    served.put(KEY, CONTENT)
    return served


def _assert_old_file_stays(served) -> None:
    assert (served.store / KEY).read_bytes() == b"first version"
    assert served.row(KEY).sha256 == hashlib.sha256(b"first version").hexdigest()
    assert served.files() == {KEY}


def test_an_object_comes_below_its_key_with_its_row(served):
    served.put(KEY, CONTENT)
    (listed,) = served.listed()
    report = served.pull([listed])
    assert (served.store / KEY).read_bytes() == CONTENT
    assert served.files() == {KEY}
    row = served.row(KEY)
    assert report.pulled == (row,)
    assert (row.size, row.etag) == (len(CONTENT), hashlib.md5(CONTENT).hexdigest())
    assert row.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert row.verification is Verification.MD5
    assert row.last_modified == listed.last_modified.isoformat()
    assert (report.bytes, report.skipped, report.retries, report.changed, report.unverified) == (
        len(CONTENT),
        0,
        0,
        (),
        (),
    )


def test_an_empty_object_is_an_object(served):
    served.put(KEY, b"")
    served.pull()
    assert (served.store / KEY).read_bytes() == b""


def test_many_objects_with_more_than_are_queued_at_once(served):
    contents = {f"p/{number:03d}": bytes([number]) * number for number in range(60)}
    for key, content in contents.items():
        served.put(key, content)
    report = served.pull(connections=3)
    assert [row.key for row in report.pulled] == sorted(contents)
    assert {key: (served.store / key).read_bytes() for key in contents} == contents
    assert report.bytes == sum(map(len, contents.values()))


def test_what_is_held_is_skipped_without_a_request(served):
    for key in ("a", "b", "c"):
        served.put(key, key.encode())
    listed = served.listed()
    served.pull(listed)
    sent = len(served.server.requests)
    report = served.pull(listed)
    assert len(served.server.requests) == sent
    assert (report.pulled, report.skipped) == ((), 3)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"short")])
def test_a_file_that_is_lost_or_cut_is_pulled_again(served, damage):
    served.put(KEY, CONTENT)
    served.pull()
    damage(served.store / KEY)
    assert len(served.pull().pulled) == 1
    assert (served.store / KEY).read_bytes() == CONTENT


def test_only_what_changed_upstream_is_pulled_again_even_at_the_same_size(served):
    served.put("a", b"same")
    served.put("b", b"old!")
    served.pull()
    served.put("b", b"new!")
    report = served.pull()
    assert [row.key for row in report.pulled] == ["b"]
    assert report.skipped == 1
    assert (served.store / "b").read_bytes() == b"new!"


@pytest.mark.parametrize(
    "fault", [FlippedBit(), TruncatedBody(), TruncatedBody(share=0), StalledBody(seconds=5), ConnectionReset()]
)
def test_a_damaged_body_is_caught_and_fetched_again(holding, fault):
    holding.fail(FaultRule(fault, times=2))
    report = holding.pull()
    assert (holding.store / KEY).read_bytes() == CONTENT
    # botocore itself asks again when a connection ends before the answer begins.
    assert report.retries == (0 if isinstance(fault, ConnectionReset) else 2)
    assert report.unverified == ()


@pytest.mark.parametrize("fault", [FlippedBit(), TruncatedBody(), StalledBody(seconds=5)])
def test_a_body_that_stays_damaged_is_refused_and_the_old_file_stays(holding, fault):
    holding.fail(FaultRule(fault))
    with pytest.raises(GalleryError, match=f"^{KEY} could not be read in 2 tries: "):
        holding.pull(retry=IMPATIENT)
    assert len(holding.requests()) == 1 + 2
    _assert_old_file_stays(holding)


def test_a_mismatch_names_key_expected_and_found(holding):
    holding.fail(FaultRule(FlippedBit()))
    middle = len(CONTENT) // 2
    flipped = CONTENT[:middle] + bytes([CONTENT[middle] ^ 1]) + CONTENT[middle + 1 :]
    with pytest.raises(GalleryError) as caught:
        holding.pull(retry=IMPATIENT)
    expected, found = hashlib.md5(CONTENT).hexdigest(), hashlib.md5(flipped).hexdigest()
    assert str(caught.value).endswith(f"expected ETag {expected}, the bytes give {found}")
    assert KEY in str(caught.value)


def test_an_object_that_changes_after_the_listing_is_taken_in_its_new_version_and_reported(served):
    served.put(KEY, CONTENT)
    listed = served.listed()
    served.fail(FaultRule(ChangedObject()))
    report = served.pull(listed)
    changed = invert_last_byte(CONTENT)
    assert (served.store / KEY).read_bytes() == changed
    assert report.changed == (KEY,)
    assert served.row(KEY).etag == hashlib.md5(changed).hexdigest() != listed[0].etag
    assert served.row(KEY).last_modified != listed[0].last_modified.isoformat()
    assert served.pull().skipped == 1


def test_a_server_that_does_not_know_if_match_cannot_pass_off_another_version(served, monkeypatch):
    served.put(KEY, CONTENT)
    (listed,) = served.listed()
    stale = replace(listed, etag="0" * 32)
    get_object = served.client.get_object
    monkeypatch.setattr(served.client, "get_object", lambda IfMatch, **rest: get_object(**rest))
    report = served.pull([stale])
    assert report.changed == (KEY,)
    assert served.row(KEY).etag == listed.etag


def test_an_object_that_never_stops_changing_is_given_up(holding, monkeypatch):
    def ever_newer(self) -> None:
        self.wanted = replace(self.wanted, etag=hashlib.md5(self.wanted.etag.encode()).hexdigest())

    monkeypatch.setattr(download_module._Task, "_look_again", ever_newer)
    stale = [replace(item, etag="0" * 32) for item in holding.listed()]
    with pytest.raises(GalleryError, match=f"{KEY} could not be read in 2 tries: the object changed"):
        holding.pull(stale, retry=IMPATIENT)
    _assert_old_file_stays(holding)


def test_an_object_that_is_gone_is_named_and_the_old_file_stays(holding):
    listed = holding.listed()
    (holding.folder / KEY).unlink()
    with pytest.raises(GalleryError, match=f"{KEY} does not exist: .*NoSuchKey"):
        holding.pull(listed)
    assert len(holding.requests()) == 1 + 1
    _assert_old_file_stays(holding)


def test_a_server_that_stays_busy_is_named(holding, no_waits):
    holding.fail(FaultRule(SlowDown()))
    with pytest.raises(GalleryError, match=f"{KEY} cannot be read: http://127.0.0.1:.* answered SlowDown"):
        holding.pull()
    _assert_old_file_stays(holding)


def test_an_unreachable_endpoint_is_named(holding, no_waits):
    listed = holding.listed()
    holding.client = gallery_client("http://127.0.0.1:9")
    with pytest.raises(
        GalleryError, match=rf"{KEY} cannot be read: no answer from http://127.0.0.1:9 \(CPJUMP_S3_ENDPOINT"
    ):
        holding.pull(listed)
    _assert_old_file_stays(holding)


def test_one_failure_ends_the_pull_and_what_is_complete_stays_recorded(served):
    for number in range(40):
        served.put(f"p/{number:02d}", CONTENT)
    listed = served.listed()
    served.fail(FaultRule(FlippedBit(), keys="p/03"))
    with pytest.raises(GalleryError, match="p/03"):
        served.pull(listed, connections=1, retry=IMPATIENT)
    assert {"p/00", "p/01", "p/02"} <= served.files() < {f"p/{number:02d}" for number in range(40)}
    served.fail()
    report = served.pull(listed)
    assert report.skipped >= 3
    assert report.skipped + len(report.pulled) == 40


def test_what_ended_together_with_a_failure_is_recorded(served, monkeypatch):
    for key in ("a", "b", "c"):
        served.put(key, CONTENT)
    listed = served.listed()
    (served.folder / "b").unlink()
    monkeypatch.setattr(pull_module, "wait", lambda running, return_when: wait(running))
    with pytest.raises(GalleryError, match="/b does not exist"):
        served.pull(listed)
    assert served.row("a") is not None
    assert served.row("c") is not None


def test_after_a_failure_the_downloads_under_way_are_given_up(served):
    served.put("slow", LARGE)
    served.put("missing", b"")
    listed = served.listed()
    (served.folder / "missing").unlink()
    served.fail(FaultRule(StalledBody(seconds=0.5), keys="slow"))
    with pytest.raises(GalleryError, match="/missing does not exist"):
        served.pull(listed)
    assert sorted(served.requests()) == ["missing", "slow"]
    assert served.files() == set()


def test_a_key_that_would_leave_the_store_stops_the_pull_before_it_begins(served, tmp_path):
    served.put("good", CONTENT)
    (good,) = served.listed()
    with pytest.raises(GalleryError, match=r"'\.\./\.\./escaped' cannot be stored"):
        served.pull([good, replace(good, key="../../escaped")])
    assert served.requests() == []
    assert not (tmp_path / "escaped").exists()


def test_a_folder_that_cannot_be_written_is_named(served):
    served.put("a/b", CONTENT)
    served.store.mkdir(parents=True)
    (served.store / "a").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write b in .*/store/gallery/a: "):
        served.pull()
    assert (served.store / "a").read_text() == "in the way"


def test_a_full_disk_is_no_reason_to_ask_again_and_leaves_nothing_behind(holding):
    import resource

    held = len(holding.requests())
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limit[1]))
        with pytest.raises(StoreError, match="File too large"):
            holding.pull()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert len(holding.requests()) == held + 1
    _assert_old_file_stays(holding)


def test_a_multipart_object_is_proved(served):
    served.put(KEY, LARGE)
    (listed,) = served.listed()
    assert listed.etag.endswith("-2")
    assert served.pull([listed]).pulled[0].verification is Verification.MULTIPART
    assert (served.store / KEY).read_bytes() == LARGE


@pytest.mark.parametrize("server_knows_parts", [True, False])
def test_a_flipped_bit_in_a_multipart_object_is_caught(served, monkeypatch, server_knows_parts):
    if not server_knows_parts:
        _forget_parts(served, monkeypatch)
    served.put(KEY, LARGE)
    listed = served.listed()
    served.fail(FaultRule(FlippedBit(), times=1))
    report = served.pull(listed)
    assert (served.store / KEY).read_bytes() == LARGE
    assert report.retries == 1
    assert report.pulled[0].verification is Verification.MULTIPART


def _odd_multipart_etag(content: bytes, part_size: int) -> str:
    parts = [content[start : start + part_size] for start in range(0, len(content), part_size)]
    return f"{hashlib.md5(b''.join(hashlib.md5(part).digest() for part in parts)).hexdigest()}-{len(parts)}"


def _forget_parts(served, monkeypatch) -> None:
    head_object = served.client.head_object
    monkeypatch.setattr(served.client, "head_object", lambda PartNumber=None, **rest: head_object(**rest))


def _pose_as(served, monkeypatch, etag: str) -> None:
    """Let the server give an object another ETag, as if it had been uploaded in other parts."""
    get_object = served.client.get_object
    monkeypatch.setattr(served.client, "get_object", lambda IfMatch, **rest: {**get_object(**rest), "ETag": IfMatch})


def test_an_odd_part_size_is_told_by_the_server(served, monkeypatch):
    served.put(KEY, CONTENT)
    etag = _odd_multipart_etag(CONTENT, 123_457)
    _pose_as(served, monkeypatch, etag)
    monkeypatch.setattr(served.client, "head_object", lambda **_: {"ContentLength": 123_457})
    report = served.pull([replace(served.listed()[0], etag=etag)])
    assert report.pulled[0].verification is Verification.MULTIPART
    assert report.retries == 0


def test_an_odd_part_size_that_nobody_tells_is_taken_when_the_same_bytes_come_twice(served, monkeypatch):
    served.put(KEY, CONTENT)
    etag = _odd_multipart_etag(CONTENT, 123_457)
    _forget_parts(served, monkeypatch)
    _pose_as(served, monkeypatch, etag)
    served.fail(FaultRule(FlippedBit(), times=1))
    report = served.pull([replace(served.listed()[0], etag=etag)])
    assert (served.store / KEY).read_bytes() == CONTENT
    assert report.retries == 2  # one damaged body, and two that agree
    assert report.unverified == (KEY,)


@pytest.mark.parametrize("status", [400, 501])
def test_a_server_that_refuses_to_speak_of_parts_is_no_obstacle(served, monkeypatch, status):
    from botocore.exceptions import ClientError

    def refuse(**_):
        raise ClientError({"Error": {"Code": "X"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "HeadObject")

    monkeypatch.setattr(served.client, "head_object", refuse)
    served.put(KEY, LARGE)
    assert served.pull().pulled[0].verification is Verification.MULTIPART


def test_an_etag_that_says_nothing_is_reported_as_unverified(served, monkeypatch):
    served.put(KEY, CONTENT)
    _pose_as(served, monkeypatch, "made-of-the-time-and-the-size")
    report = served.pull([replace(served.listed()[0], etag="made-of-the-time-and-the-size")])
    assert report.unverified == (KEY,)
    assert served.row(KEY).sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_a_stopped_download_ends_within_a_chunk_and_leaves_nothing(served):
    served.put(KEY, LARGE)
    stop = threading.Event()
    stop.set()
    with pytest.raises(download_module.PullStoppedError):
        download_module.download(
            served.client, served.bucket, served.listed()[0], served.store / KEY, retry=IMPATIENT, stop=stop
        )
    assert served.files() == set()


_PULL_IN_ANOTHER_PROCESS = """
import pathlib, sys
from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.gallery.listing import list_objects
bucket, endpoint, store = sys.argv[1:]
gallery = Gallery.connect(f"s3://{bucket}", endpoint=endpoint, connections=2)
gallery.pull(list_objects(gallery.client, bucket, "p/"), pathlib.Path(store))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_pull_that_is_ended_from_outside_can_go_on(served, how):
    keys = {f"p/{number:02d}" for number in range(20)}
    for key in keys:
        served.put(key, CONTENT)
    served.fail(FaultRule(StalledBody(seconds=0.1)))  # slow enough to be ended half-way
    arguments = [sys.executable, "-c", _PULL_IN_ANOTHER_PROCESS, served.bucket, served.server.endpoint, served.store]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        while not served.requests():
            time.sleep(0.002)
        process.send_signal(how)
        _, errors = process.communicate(timeout=10)
    unfinished = {name for name in served.files() if name.endswith(".part")}
    complete = served.files() - unfinished
    assert complete < keys
    assert all((served.store / name).read_bytes() == CONTENT for name in complete)
    if how == signal.SIGINT:
        assert "KeyboardInterrupt" in errors
        assert not unfinished
    served.fail()
    report = served.pull()
    assert len(report.pulled) + report.skipped == len(keys)
    assert served.files() == keys | unfinished


def test_a_file_without_a_row_is_pulled_again(served, monkeypatch):
    served.put(KEY, CONTENT)

    def fail(self, rows) -> None:
        raise StoreError("the disk went away")

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="the disk went away"):
        patch.setattr(Inventory, "record", fail)
        served.pull()
    assert served.row(KEY) is None
    assert len(served.pull().pulled) == 1


def test_it_pulls_from_another_implementation_of_s3(moto_server, tmp_path):
    moto_server.admin.create_bucket(Bucket="gallery", ACL="public-read")
    moto_server.admin.put_object(Bucket="gallery", Key="p/a b+c%2B.csv", Body=CONTENT, ACL="public-read")
    upload = moto_server.admin.create_multipart_upload(Bucket="gallery", Key="p/large", ACL="public-read")["UploadId"]
    parts = [LARGE[: 7 * MIB], LARGE[7 * MIB :]]  # no common part size
    etags = [
        moto_server.admin.upload_part(Bucket="gallery", Key="p/large", UploadId=upload, PartNumber=number, Body=part)[
            "ETag"
        ]
        for number, part in enumerate(parts, start=1)
    ]
    done = {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, start=1)]}
    moto_server.admin.complete_multipart_upload(Bucket="gallery", Key="p/large", UploadId=upload, MultipartUpload=done)
    client = gallery_client(moto_server.endpoint)
    with Inventory(tmp_path) as inventory:
        report = pull_objects(
            client,
            "gallery",
            list_objects(client, "gallery", "p/"),
            destination=tmp_path,
            inventory=inventory,
            connections=2,
        )
    assert [row.verification for row in report.pulled] == [Verification.MD5, Verification.MULTIPART]
    assert (tmp_path / "p" / "large").read_bytes() == LARGE
    assert (tmp_path / "p" / "a b+c%2B.csv").read_bytes() == CONTENT

import fcntl
import hashlib
import json
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpjump_assets.gallery.client import gallery_client
from cpjump_assets.gallery.listing import GalleryObject, list_objects
from cpjump_assets.gallery.transfer import download as download_module
from cpjump_assets.gallery.transfer import ranges as ranges_module
from cpjump_assets.gallery.transfer import resume as resume_module
from cpjump_assets.gallery.transfer.body import RetryPolicy
from cpjump_assets.gallery.transfer.download import Download, download
from cpjump_assets.gallery.transfer.etag import MIB, Etag, Verification
from cpjump_assets.gallery.transfer.proof import PartSizes
from cpjump_assets.gallery.transfer.ranges import range_plan
from cpjump_assets.gallery.transfer.reader import object_reader
from cpjump_assets.gallery.transfer.resume import Done, RangePlan, RangeRecord
from cpjump_assets.gallery.transfer.stream import PullStoppedError
from cpjump_assets.science.errors import GalleryError, StoreError
from cpjump_assets.simulate.s3.etags import UploadRule
from cpjump_assets.simulate.s3.faults import (
    ChangedObject,
    FaultPlan,
    FaultRule,
    FlippedBit,
    IgnoredHeader,
    StalledBody,
    TruncatedBody,
    invert_last_byte,
)
from cpjump_assets.simulate.s3.server import S3Server
from cpjump_assets.storage.atomic import sweep_abandoned

KEY = "backend/plate.sqlite"
PART = 64 * 1024
RANGE = 2 * PART
CONTENT = np.random.default_rng(0).bytes(9 * RANGE + PART + 1234)
RANGES = [f"bytes={start}-{min(start + RANGE, len(CONTENT)) - 1}" for start in range(0, len(CONTENT), RANGE)]
RANGES[-1] = RANGES[-1].partition("-")[0] + "-"  # the last one goes to the end

Fetch = Callable[..., Download]


class Large:
    """A server with one object that counts as large, and a place to download it to."""

    def __init__(self, server: S3Server, client: Any, folder: Path, final: Path, proof: Verification) -> None:
        self.server = server
        self.client = client
        self.folder = folder
        self.bucket = folder.name
        self.final = final
        self.proof = proof
        self.part = final.with_name(f"{final.name}.part")
        self.side = final.with_name(f"{final.name}.part.json")

    def put(self, content: bytes) -> None:
        path = self.folder / KEY
        path.parent.mkdir(exist_ok=True)
        part = path.with_name("new.part")
        part.write_bytes(content)
        part.replace(path)

    def fail(self, *rules: FaultRule) -> None:
        self.server.faults = FaultPlan(*rules)

    def listed(self) -> GalleryObject:
        (item,) = list_objects(self.client, self.bucket, "")
        return item

    def fetch(self, listed: GalleryObject | None = None, *, connections: int = 2, **more: Any) -> Download:
        reader = object_reader(self.client, self.bucket, connections=connections)
        conduct = {"retry": RetryPolicy(attempts=3, first_wait=0.001), "stop": threading.Event()} | more
        try:
            return download(reader, self.client, self.bucket, listed or self.listed(), self.final, **conduct)
        finally:
            reader.close()

    def asked(self) -> list[str]:
        """The ranges of the requests so far."""
        found = [request for request in self.server.requests if request.bucket == self.bucket and request.key]
        return [request.range for request in found if request.method == "GET"]

    def files(self) -> set[str]:
        return {path.name for path in self.final.parent.iterdir()}

    def interrupt(self, *, done: int, share: float = 0.0) -> None:
        """Leave behind what a download leaves that ends when some ranges are complete, and a share of the next."""
        self.fail(FaultRule(TruncatedBody(share), after=done))
        with pytest.raises(GalleryError, match="could not be read in 3 tries"):
            self.fetch(connections=1)
        self.fail()
        assert self.files() == {self.part.name, self.side.name}


@pytest.fixture(scope="module", params=[UploadRule(PART, PART), UploadRule(1 << 30, PART)], ids=["parts", "whole"])
def server(request, tmp_path_factory):
    """A server whose objects were uploaded in parts, or in one piece; its folder, a client, and the proof to expect."""
    folder = tmp_path_factory.mktemp("served")
    proof = Verification.MULTIPART if request.param.part_count(len(CONTENT)) else Verification.MD5
    with S3Server(folder, upload=request.param) as running:
        yield running, folder, gallery_client(running.endpoint), proof


@pytest.fixture
def large(server, tmp_path, monkeypatch):
    """An object of ten ranges."""
    monkeypatch.setattr(download_module, "LARGE_SIZE", MIB)
    monkeypatch.setattr(ranges_module, "_SMALLEST_RANGE", RANGE)
    running, folder, client, proof = server
    bucket = folder / f"gallery-{uuid.uuid4().hex[:12]}"
    bucket.mkdir()
    (tmp_path / "store").mkdir()
    made = Large(running, client, bucket, tmp_path / "store" / "plate.sqlite", proof)
    made.put(CONTENT)
    yield made
    made.fail()


def _assert_right(large: Large, content: bytes = CONTENT) -> None:
    assert large.final.read_bytes() == content
    assert large.files() == {large.final.name}


@given(size=st.integers(64 * MIB, 10**12), part_size=st.integers(5 * MIB, 5 * 1024 * MIB), told=st.booleans())
def test_ranges_cover_the_object_in_whole_parts(size, part_size, told):
    parts = -(-size // part_size)
    etag = f"{'0' * 32}-{parts}"
    sizes = PartSizes(Etag(etag, parts), (part_size,) if told else (part_size, part_size + 1), told=told)
    plan = range_plan(GalleryObject("k", size, etag, None), sizes)
    first, last = plan.span(0), plan.span(len(plan) - 1)
    assert (first[0], last[1]) == (0, size)
    assert last[0] < size
    assert plan.part_size == (part_size if told and part_size <= 64 * MIB else None)
    assert 4 * MIB < plan.range_size <= 64 * MIB
    if plan.part_size is not None:
        assert plan.range_size % plan.part_size == 0
        whole_range, last_range = plan.sums(0, plan.length(0)), plan.sums(len(plan) - 1, plan.length(len(plan) - 1))
        assert whole_range * (len(plan) - 1) + last_range == parts
        assert plan.sums(0, part_size - 1) == (part_size - 1 == plan.length(0))


def test_an_object_comes_in_ranges_each_asked_for_once(large):
    came = []
    done = large.fetch(on_bytes=came.append)
    _assert_right(large)
    assert sorted(large.asked()) == sorted(RANGES)
    assert done.verification is large.proof
    assert done.part_size == (PART if large.proof is Verification.MULTIPART else None)
    assert (done.sha256, done.retries, done.resumed_bytes, done.changed) == (None, 0, 0, False)
    assert sum(came) == len(CONTENT)


def test_the_former_file_stays_until_the_new_one_is_proved(large):
    large.final.write_bytes(b"former")
    large.fail(FaultRule(FlippedBit()))
    with pytest.raises(GalleryError, match=r"plate\.sqlite could not be read in 3 tries: expected ETag"):
        large.fetch()
    assert large.final.read_bytes() == b"former"
    assert large.files() == {large.final.name}, "what is proved wrong is not resumed"
    large.fail()
    large.fetch()
    _assert_right(large)


def test_a_range_that_breaks_off_is_taken_up_where_it_stopped(large):
    large.fail(FaultRule(TruncatedBody(share=0.5), after=3, times=1))
    done = large.fetch(connections=1)
    _assert_right(large)
    assert large.asked()[3:6] == [RANGES[3], f"bytes={3 * RANGE + RANGE // 2}-{4 * RANGE - 1}", RANGES[4]]
    assert (done.retries, done.resumed_bytes) == (1, RANGE // 2)


def test_a_flipped_bit_is_caught_and_all_begins_anew(large):
    large.fail(FaultRule(FlippedBit(), after=5, times=1))
    came = []
    done = large.fetch(on_bytes=came.append)
    _assert_right(large)
    assert (done.retries, done.verification) == (1, large.proof)
    assert len(large.asked()) == 2 * len(RANGES)
    assert sum(came) == len(CONTENT)


@pytest.mark.parametrize("want_sha256", [False, True])
def test_what_an_earlier_download_completed_is_not_asked_for_again(large, want_sha256):
    large.interrupt(done=4)
    before = len(large.asked())
    came = []
    done = large.fetch(on_bytes=came.append, want_sha256=want_sha256)
    _assert_right(large)
    assert sorted(large.asked()[before:]) == sorted(RANGES[4:])
    assert (done.resumed_bytes, done.verification) == (4 * RANGE, large.proof)
    assert done.sha256 == (hashlib.sha256(CONTENT).hexdigest() if want_sha256 else None)
    assert sum(came) == len(CONTENT)


def test_a_range_that_an_earlier_download_left_half_way_is_taken_up_where_it_stopped(large):
    large.interrupt(done=4, share=0.7)
    before = len(large.asked())
    done = large.fetch()
    _assert_right(large)
    first = min(large.asked()[before:], key=lambda asked: int(re.search(r"\d+", asked)[0]))
    start = int(re.search(r"\d+", first)[0])
    assert 4 * RANGE + 0.95 * RANGE < start < 5 * RANGE  # of what was missing, 0.7 came in each of three tries
    assert done.resumed_bytes == start
    assert (done.verification, done.retries) == (large.proof, 0)


def test_nothing_is_recorded_before_its_bytes_are_on_the_disk(large, monkeypatch):
    def refuse(file: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(resume_module.os, "fsync", refuse)
    with pytest.raises(StoreError, match=r"cannot write plate\.sqlite in .*: Input/output error"):
        large.fetch()
    assert large.files() == set()


def test_it_is_recorded_while_ranges_come_so_that_a_kill_loses_little(large, monkeypatch):
    monkeypatch.setattr(ranges_module, "_LOOK_EVERY", 0.01)
    large.fail(FaultRule(StalledBody(seconds=0.3)))
    seen = set()
    large.fetch(on_bytes=lambda count: seen.add(large.side.read_text() if large.side.exists() else ""))
    _assert_right(large)
    assert len(seen - {""}) > 1  # it grows; how often it is seen to grow says how busy the machine is


def test_a_download_that_is_stopped_keeps_what_is_done(large):
    stop = threading.Event()
    came = []

    def count(size: int) -> None:
        came.append(size)
        if sum(came) > 5 * RANGE:
            stop.set()

    with pytest.raises(PullStoppedError):
        large.fetch(stop=stop, on_bytes=count)
    assert large.files() == {large.part.name, large.side.name}
    assert large.fetch().resumed_bytes >= RANGE
    _assert_right(large)


def test_a_download_that_is_stopped_before_it_begins_leaves_nothing(large):
    stop = threading.Event()
    stop.set()
    with pytest.raises(PullStoppedError):
        large.fetch(stop=stop)
    assert (large.asked(), large.files()) == ([], set())


def _edit(large: Large, **changes: Any) -> None:
    told = json.loads(large.side.read_text())
    large.side.write_text(json.dumps(told | changes))


def _recreate(path: Path) -> None:
    content = path.read_bytes()
    path.rename(path.with_name("keeps the inode"))
    path.write_bytes(content)
    path.with_name("keeps the inode").unlink()


SUMS = ["0" * 32] * 2

DOUBTS: dict[str, Callable[[Large], object]] = {
    "another version of the object": lambda large: _edit(large, etag="0" * 32),
    "another key": lambda large: _edit(large, key="backend/other.sqlite"),
    "another size": lambda large: _edit(large, size=len(CONTENT) + 1),
    "other ranges": lambda large: _edit(large, range_size=RANGE + PART),
    "other parts": lambda large: _edit(large, part_size=PART + 1),
    "another release": lambda large: _edit(large, version=0),
    "a range that there is not": lambda large: _edit(large, ranges={"99": [PART, SUMS[:1]]}),
    "a negative range": lambda large: _edit(large, ranges={"-1": [PART, SUMS[:1]]}),
    "a range without a number": lambda large: _edit(large, ranges={"first": [PART, SUMS[:1]]}),
    "a range with too many bytes": lambda large: _edit(large, ranges={"0": [RANGE + 1, SUMS]}),
    "a range with fewer than no bytes": lambda large: _edit(large, ranges={"0": [-1, []]}),
    "a range with a number of bytes that is none": lambda large: _edit(large, ranges={"0": ["many", SUMS]}),
    "too many sums": lambda large: _edit(large, ranges={"0": [RANGE, SUMS * 2]}),
    "too many sums for its bytes": lambda large: _edit(large, ranges={"0": [PART - 1, SUMS[:1]]}),
    "sums that are none": lambda large: _edit(large, ranges={"0": [RANGE, ["cafe", "affe"]]}),
    "sums that are numbers": lambda large: _edit(large, ranges={"0": [RANGE, [1, 2]]}),
    "a range without sums": lambda large: _edit(large, ranges={"0": [RANGE]}),
    "a range that is a number": lambda large: _edit(large, ranges={"0": 7}),
    "ranges that are none": lambda large: _edit(large, ranges=7),
    "no JSON": lambda large: large.side.write_bytes(b'{"version": 1'),
    "no text": lambda large: large.side.write_bytes(b"\xff\xfe\x00"),
    "a list": lambda large: large.side.write_text("[]"),
    "an empty side file": lambda large: large.side.write_bytes(b""),
    "no side file": lambda large: large.side.unlink(),
    "a file that was cut": lambda large: large.part.open("r+b").truncate(len(CONTENT) - 1),
    "a file that was lengthened": lambda large: large.part.open("r+b").truncate(len(CONTENT) + 1),
    "a file that was replaced": lambda large: _recreate(large.part),
    "a file that is gone": lambda large: large.part.unlink(),
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_what_cannot_be_believed_is_asked_for_again(large, doubt):
    large.interrupt(done=4)
    DOUBTS[doubt](large)
    before = len(large.asked())
    done = large.fetch()
    _assert_right(large)
    assert sorted(large.asked()[before:]) == sorted(RANGES)
    assert (done.resumed_bytes, done.retries) == (0, 0)


def test_sums_or_bytes_that_were_tampered_with_do_not_pass(large):
    large.interrupt(done=4)
    with large.part.open("r+b") as file:
        file.write(b"\0" * PART)
    told = json.loads(large.side.read_text())
    size, sums = told["ranges"]["0"]
    _edit(large, ranges=told["ranges"] | {"0": [size, SUMS[: len(sums)]]})
    assert large.fetch().retries == 1
    _assert_right(large)


@pytest.mark.parametrize("known", [True, False])
def test_an_object_that_changed_since_it_was_interrupted_begins_anew(large, known):
    large.interrupt(done=4)
    former = large.listed()
    large.put(invert_last_byte(CONTENT))
    done = large.fetch(None if known else former)
    _assert_right(large, invert_last_byte(CONTENT))
    assert done.changed is not known


def test_an_object_that_changes_under_way_is_not_mixed_of_two_versions(large):
    listed = large.listed()
    large.fail(FaultRule(ChangedObject(), after=5))
    came = []
    done = large.fetch(listed, on_bytes=came.append)
    _assert_right(large, invert_last_byte(CONTENT))
    assert (done.changed, done.verification) == (True, large.proof)
    assert sum(came) == len(CONTENT)


def test_a_server_without_ranges_and_conditions_is_survived(large):
    large.fail(FaultRule(IgnoredHeader("range")), FaultRule(IgnoredHeader("if-match")))
    assert large.fetch().verification is large.proof
    _assert_right(large)


def test_a_full_disk_is_found_before_a_byte_is_asked_for(large):
    listed = large.listed()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(CONTENT) - 1, limit[1]))
        with pytest.raises(StoreError, match=r"cannot write plate\.sqlite in .*: File too large"):
            large.fetch(listed)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (large.asked(), large.files()) == ([], set())


def test_a_disk_that_cannot_take_room_ahead_is_no_obstacle(large, monkeypatch):
    def refuse(file: int, start: int, size: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(ranges_module.os, "posix_fallocate", refuse)
    large.fetch()
    _assert_right(large)


def test_a_folder_where_the_file_must_go_is_found_before_a_byte_is_asked_for(large):
    large.final.mkdir()
    with pytest.raises(StoreError, match=r"cannot write plate\.sqlite in .*: Is a directory"):
        large.fetch()
    assert (large.asked(), large.files()) == ([], {large.final.name})


def test_two_never_write_one_file(large):
    large.interrupt(done=4)
    before = large.part.read_bytes()
    with large.part.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match=r"cannot write plate\.sqlite .*: another process is writing it"):
            large.fetch()
    assert large.part.read_bytes() == before
    assert large.fetch().resumed_bytes == 4 * RANGE
    _assert_right(large)


def test_a_record_tells_what_it_was_told(tmp_path):
    plan = RangePlan("k", "e-5", 50, 20, 10)
    with (tmp_path / "file").open("wb") as file:
        file.truncate(50)
        assert RangeRecord.found(tmp_path / "side", plan, file.fileno()) is None
        record = RangeRecord(plan, (tmp_path / "file").stat().st_ino, tmp_path / "side")
        one, two, three = (number * 16 for number in (b"1", b"2", b"3"))
        record.done = {2: Done(10, (three,)), 0: Done(15, (one,))}
        record.write(file.fileno())
        found = RangeRecord.found(tmp_path / "side", plan, file.fileno())
        assert found == record
        assert (found.missing(), found.size, found.so_far(1)) == ([0, 1], 25, Done(0, ()))
        found.done |= {0: Done(20, (one, two)), 1: Done(20, (three, two))}
        assert found.missing() == []
        assert list(found.digests()) == [one, two, three, two, three]


_DOWNLOAD_IN_ANOTHER_PROCESS = """
import json, pathlib, resource, sys, threading
from cpjump_assets.gallery.client import gallery_client
from cpjump_assets.gallery.listing import list_objects
from cpjump_assets.gallery.transfer.body import RetryPolicy
from cpjump_assets.gallery.transfer.download import download
from cpjump_assets.gallery.transfer.reader import object_reader
endpoint, final = sys.argv[1:]
client = gallery_client(endpoint)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
done = download(
    object_reader(client, "gallery", connections=4), client, "gallery", *list_objects(client, "gallery", ""),
    pathlib.Path(final), retry=RetryPolicy(), stop=threading.Event(),
)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps([done.resumed_bytes, done.verification, grown]))
"""


def _recorded(side: Path) -> int:
    return sum(size for size, _ in json.loads(side.read_text())["ranges"].values())


def test_a_process_that_is_killed_leaves_what_the_next_one_goes_on_from(tmp_path):
    size = 120 * MIB + 4321
    content = np.random.default_rng(7).bytes(size)
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "large").write_bytes(content)
    final = tmp_path / "store" / "large"
    side = tmp_path / "store" / "large.part.json"
    with S3Server(tmp_path) as server:
        arguments = [sys.executable, "-c", _DOWNLOAD_IN_ANOTHER_PROCESS, server.endpoint, str(final)]
        server.faults = FaultPlan(FaultRule(StalledBody(seconds=60), after=6))
        with subprocess.Popen(arguments) as process:
            while not (side.exists() and _recorded(side) > 40 * MIB):
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        assert not final.exists()
        kept = _recorded(side)
        before = len(server.requests)

        server.faults = FaultPlan()
        second = subprocess.run(arguments, capture_output=True, text=True, check=True)
        resumed, verification, grown = json.loads(second.stdout)
        asked = [request.range for request in server.requests[before:] if request.key and request.method == "GET"]

    assert final.read_bytes() == content
    sweep_abandoned(final.parent)  # the record that was being written when the first one was killed
    assert [path.name for path in final.parent.iterdir()] == ["large"]
    assert verification == Verification.MULTIPART
    assert resumed == kept
    spans = [re.fullmatch(r"bytes=(\d+)-(\d*)", text).groups() for text in asked]
    assert sum(int(last or size - 1) + 1 - int(first) for first, last in spans) == size - resumed < size
    assert grown < 110 * 1024, f"{grown} KiB: the object is not held in memory"

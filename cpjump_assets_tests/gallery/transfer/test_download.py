import hashlib
import re
import resource
import signal
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from cpjump_assets.gallery.failures import AbsentObjectError
from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.transfer.body import RetryPolicy
from cpjump_assets.gallery.transfer.boto_reader import BotoReader
from cpjump_assets.gallery.transfer.download import Download, download
from cpjump_assets.gallery.transfer.etag import MIB, Verification
from cpjump_assets.gallery.transfer.http_reader import HttpReader
from cpjump_assets.gallery.transfer.stream import PullStoppedError
from cpjump_assets.science.errors import GalleryError, StoreError
from cpjump_assets.simulate.s3.faults import (
    ChangedObject,
    ConnectionReset,
    FaultRule,
    FlippedBit,
    IgnoredHeader,
    OtherEtag,
    SlowDown,
    StalledBody,
    TruncatedBody,
    WrongLength,
    invert_last_byte,
)

KEY = "pilot/source_4/workspace/profiles/batch/plate/plate.csv.gz"
CONTENT = np.random.default_rng(0).bytes(300_000)
PARTED = np.random.default_rng(1).bytes(9 * MIB)  # the server cuts it into parts of 8 MiB
IMPATIENT = RetryPolicy(attempts=2, first_wait=0.001)

Fetch = Callable[..., Download]


@pytest.fixture(params=[HttpReader, BotoReader])
def fetch(request, served) -> Fetch:
    """A function that downloads an object to its place in the store, by each of the two readers."""
    reader = request.param(served.client, served.bucket, connections=2)

    def run(listed: GalleryObject | None = None, **more: Any) -> Download:
        listed = served.listed()[0] if listed is None else listed
        conduct = {"retry": RetryPolicy(first_wait=0.001), "stop": threading.Event()} | more
        return download(reader, served.client, served.bucket, listed, served.store / listed.key, **conduct)

    with closing(reader):
        yield run


@pytest.fixture
def holding(served):
    """A store that holds the first version of an object whose second version is now listed."""
    path = served.store / KEY
    path.parent.mkdir(parents=True)
    path.write_bytes(b"first version")
    served.put(KEY, CONTENT)
    return served


def _assert_old_file_stays(served) -> None:
    assert (served.store / KEY).read_bytes() == b"first version"
    assert served.files() == {KEY}


def _ranges(served) -> list[str]:
    asked = [request for request in served.server.requests if request.bucket == served.bucket and request.key]
    return [request.range for request in asked if request.method == "GET"]


def test_an_object_is_put_in_place_proved_by_its_etag(holding, fetch):
    (listed,) = holding.listed()
    came = []
    done = fetch(on_bytes=came.append)
    mtime_ns = (holding.store / KEY).stat().st_mtime_ns
    assert done == Download(listed, Verification.MD5, None, None, 0, 0, changed=False, mtime_ns=mtime_ns)
    assert (holding.store / KEY).read_bytes() == CONTENT
    assert holding.files() == {KEY}
    assert sum(came) == len(CONTENT)
    assert _ranges(holding) == [""]


def test_an_empty_object_is_an_object(served, fetch):
    served.put(KEY, b"")
    assert fetch().verification is Verification.MD5
    assert (served.store / KEY).read_bytes() == b""


def test_a_multipart_object_is_proved_by_its_parts(served, fetch):
    served.put(KEY, PARTED)
    done = fetch()
    assert (done.verification, done.part_size, done.sha256) == (Verification.MULTIPART, 8 * MIB, None)
    assert (served.store / KEY).read_bytes() == PARTED


def test_the_sha256_is_there_when_it_is_asked_for(served, fetch):
    served.put(KEY, CONTENT)
    done = fetch(want_sha256=True)
    assert (done.verification, done.sha256) == (Verification.MD5, hashlib.sha256(CONTENT).hexdigest())


def test_an_etag_that_says_nothing_leaves_the_bytes_unverified_with_their_sha256(served, fetch):
    served.put(KEY, CONTENT)
    served.fail(FaultRule(OtherEtag()))
    done = fetch()
    assert (done.verification, done.sha256) == (Verification.UNVERIFIED, hashlib.sha256(CONTENT).hexdigest())
    assert done.retries == 0


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", [TruncatedBody(share=0.6), StalledBody(seconds=5, share=0.6)], ids=repr)
def test_a_body_that_breaks_off_is_taken_up_where_it_stopped(served, fetch, fault):
    served.put(KEY, PARTED)
    served.fail(FaultRule(fault, times=2))
    came, retried = [], []
    done = fetch(on_bytes=came.append, on_retry=lambda fault: retried.append(str(fault)))
    assert (served.store / KEY).read_bytes() == PARTED
    first, second, third = _ranges(served)
    starts = [int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) for asked in (second, third)]
    assert first == ""
    shares = [start / len(PARTED) for start in starts]
    if isinstance(fault, TruncatedBody):
        assert shares == pytest.approx([0.6, 0.84])
    else:  # what stalls may lose the megabyte that was being read
        assert 0.6 - 0.12 < shares[0] <= 0.6
        assert shares[0] + 0.6 * (1 - shares[0]) - 0.12 < shares[1] <= 0.84
    assert done.resumed_bytes == sum(starts)
    assert (done.retries, len(retried)) == (2, 2)
    assert all("the body broke off" in why for why in retried)
    assert min(came) > 0
    assert sum(came) == len(PARTED)


def test_a_body_that_breaks_off_is_taken_up_also_from_a_server_without_ranges(served, fetch):
    served.put(KEY, CONTENT)
    served.fail(FaultRule(TruncatedBody(), times=1), FaultRule(IgnoredHeader("range")))
    assert fetch().resumed_bytes > 0
    assert (served.store / KEY).read_bytes() == CONTENT


@pytest.mark.parametrize("server_knows_parts", [True, False])
@pytest.mark.parametrize("content", [CONTENT, PARTED], ids=["whole", "parts"])
def test_a_flipped_bit_is_caught_and_the_next_try_begins_anew(served, fetch, monkeypatch, content, server_knows_parts):
    if not server_knows_parts:
        _forget_parts(served, monkeypatch)
    served.put(KEY, content)
    served.fail(FaultRule(FlippedBit(), times=1))
    came = []
    done = fetch(on_bytes=came.append)
    assert (served.store / KEY).read_bytes() == content
    assert done.verification is (Verification.MD5 if content is CONTENT else Verification.MULTIPART)
    assert (done.retries, done.resumed_bytes) == (1, 0)
    assert _ranges(served) == ["", ""]
    assert sum(came) == len(content)
    assert min(came) == -len(content)


@pytest.mark.parametrize("fault", [ConnectionReset(), SlowDown(), WrongLength(0.5), WrongLength(1.5)], ids=repr)
def test_a_request_that_fails_is_tried_again(served, fetch, no_waits, fault):
    served.put(KEY, CONTENT)
    served.fail(FaultRule(fault, times=2))
    fetch()
    assert (served.store / KEY).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (FlippedBit(), "expected ETag [0-9a-f]{32}, the bytes give [0-9a-f]{32}"),
        (TruncatedBody(share=0), "the body broke off"),
        (WrongLength(1.5), "expected 300000 bytes, the server has 450000"),
        (SlowDown(), "answered SlowDown"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_body_that_never_comes_right_is_given_up_and_the_old_file_stays(holding, fetch, no_waits, fault, said):
    holding.fail(FaultRule(fault))
    came = []
    with pytest.raises(GalleryError, match=f"^{KEY} could not be read in 2 tries: .*{said}"):
        fetch(retry=IMPATIENT, on_bytes=came.append)
    _assert_old_file_stays(holding)
    assert sum(came) == 0


def test_an_object_that_changed_is_taken_in_its_new_version(served, fetch):
    served.put(KEY, CONTENT)
    (listed,) = served.listed()
    served.fail(FaultRule(ChangedObject()))
    done = fetch(listed)
    changed = invert_last_byte(CONTENT)
    assert (served.store / KEY).read_bytes() == changed
    assert (done.changed, done.retries) == (True, 1)
    assert done.object.etag == hashlib.md5(changed).hexdigest() != listed.etag
    assert done.object.last_modified > listed.last_modified


def test_an_object_that_changes_between_two_tries_is_not_mixed_of_two_versions(served, fetch):
    served.put(KEY, PARTED)
    (listed,) = served.listed()
    served.fail(FaultRule(TruncatedBody(), times=1), FaultRule(ChangedObject(), after=1))
    came = []
    done = fetch(listed, on_bytes=came.append)
    assert (served.store / KEY).read_bytes() == invert_last_byte(PARTED)
    assert (done.changed, done.verification) == (True, Verification.MULTIPART)
    assert sum(came) == len(PARTED)


def test_an_object_that_becomes_shorter_leaves_nothing_of_the_longer_one(served, fetch):
    served.put(KEY, CONTENT)
    (listed,) = served.listed()
    served.fail(
        FaultRule(TruncatedBody(), times=1),
        FaultRule(ChangedObject(lambda content: content[:1000]), after=1),
        FaultRule(IgnoredHeader("if-match")),
    )
    fetch(listed)
    assert (served.store / KEY).read_bytes() == CONTENT[:1000]


def test_a_server_that_does_not_know_if_match_cannot_pass_off_another_version(served, fetch):
    served.put(KEY, CONTENT)
    (listed,) = served.listed()
    served.fail(FaultRule(IgnoredHeader("if-match")))
    done = fetch(replace(listed, etag="0" * 32))
    assert (done.changed, done.object) == (True, listed)


def test_an_object_that_never_stops_changing_is_given_up(holding, fetch):
    (listed,) = holding.listed()
    versions = iter(range(100))
    holding.fail(FaultRule(ChangedObject(lambda content: next(versions).to_bytes() + content)))
    with pytest.raises(GalleryError, match=f"{KEY} could not be read in 2 tries: the object changed"):
        fetch(listed, retry=IMPATIENT)
    _assert_old_file_stays(holding)


def test_an_object_that_is_gone_is_told_by_its_own_error_and_the_old_file_stays(holding, fetch):
    (listed,) = holding.listed()
    (holding.folder / KEY).unlink()
    with pytest.raises(AbsentObjectError, match=f"{KEY} does not exist: .*NoSuchKey"):
        fetch(listed)
    assert len(holding.requests()) == 1
    _assert_old_file_stays(holding)


def _odd_multipart_etag(content: bytes, part_size: int) -> str:
    parts = [content[start : start + part_size] for start in range(0, len(content), part_size)]
    return f"{hashlib.md5(b''.join(hashlib.md5(part).digest() for part in parts)).hexdigest()}-{len(parts)}"


def _forget_parts(served, monkeypatch) -> None:
    head_object = served.client.head_object
    monkeypatch.setattr(served.client, "head_object", lambda PartNumber=None, **rest: head_object(**rest))


def test_an_odd_part_size_is_told_by_the_server(served, fetch, monkeypatch):
    served.put(KEY, CONTENT)
    served.fail(FaultRule(OtherEtag(_odd_multipart_etag(CONTENT, 123_457))))
    monkeypatch.setattr(served.client, "head_object", lambda **_: {"ContentLength": 123_457})
    done = fetch()
    assert (done.verification, done.part_size, done.retries) == (Verification.MULTIPART, 123_457, 0)


def test_an_odd_part_size_that_nobody_tells_is_taken_when_the_same_bytes_come_twice(served, fetch, monkeypatch):
    served.put(KEY, CONTENT)
    _forget_parts(served, monkeypatch)
    served.fail(FaultRule(OtherEtag(_odd_multipart_etag(CONTENT, 123_457))), FaultRule(FlippedBit(), times=1))
    done = fetch()
    assert (served.store / KEY).read_bytes() == CONTENT
    assert done.retries == 2  # one damaged body, and two that agree
    assert (done.verification, done.part_size) == (Verification.UNVERIFIED, None)
    assert done.sha256 == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("status", [400, 501])
def test_a_server_that_refuses_to_speak_of_parts_is_no_obstacle(served, fetch, monkeypatch, status):
    def refuse(**_):
        raise ClientError({"Error": {"Code": "X"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "HeadObject")

    monkeypatch.setattr(served.client, "head_object", refuse)
    served.put(KEY, PARTED)
    assert fetch().verification is Verification.MULTIPART


def test_a_folder_where_the_file_must_go_is_named(served, fetch):
    served.put(KEY, CONTENT)
    (served.store / KEY).mkdir(parents=True)
    with pytest.raises(StoreError, match=r"cannot write plate\.csv\.gz in .*: Is a directory"):
        fetch()
    assert served.files() == set()


def test_a_file_where_the_folder_must_be_is_named(served, fetch):
    served.put("a/b", CONTENT)
    served.store.mkdir(parents=True)
    (served.store / "a").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write b in .*/store/gallery/a: "):
        fetch()
    assert (served.store / "a").read_text() == "in the way"


def test_a_full_disk_is_no_reason_to_ask_again_and_leaves_nothing_behind(holding, fetch):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limit[1]))
        with pytest.raises(StoreError, match=r"cannot write plate\.csv\.gz in .*: File too large"):
            fetch()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert len(holding.requests()) == 1
    _assert_old_file_stays(holding)


def test_a_download_that_is_stopped_asks_for_nothing_and_leaves_nothing(served, fetch):
    served.put(KEY, PARTED)
    (listed,) = served.listed()
    stop = threading.Event()
    stop.set()
    with pytest.raises(PullStoppedError):
        fetch(listed, stop=stop)
    assert (served.requests(), served.files()) == ([], set())


def test_a_download_that_is_stopped_under_way_ends_within_a_chunk(served, fetch):
    served.put(KEY, PARTED)
    stop = threading.Event()
    came = []
    with pytest.raises(PullStoppedError):
        fetch(stop=stop, on_bytes=lambda count: (came.append(count), stop.set()))
    assert came == [MIB]
    assert served.files() == set()

"""Pulls in which nothing goes wrong: what comes, what is skipped, what is recorded and reported."""

import hashlib
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cpjump_assets.gallery.reference.released import ReleasedFile
from cpjump_assets.gallery.transfer import pull as pull_module
from cpjump_assets.gallery.transfer.etag import Verification
from cpjump_assets.gallery.transfer.inventory import Inventory
from cpjump_assets.science.errors import GalleryError, StoreError
from cpjump_assets.simulate.s3.answers import Answer
from cpjump_assets.simulate.s3.faults import (
    ChangedObject,
    Fault,
    FaultRule,
    FlippedBit,
    OtherEtag,
    invert_last_byte,
)
from cpjump_assets.simulate.s3.requests import S3Request

KEY = "pilot/source_4/workspace/profiles/batch/plate/plate.csv.gz"
CONTENT = np.random.default_rng(0).bytes(300_000)


class Meeting(Fault):
    """Answers once so many requests are there, and notes how many there ever were at once."""

    def __init__(self, expected: int) -> None:
        self.meeting = threading.Barrier(expected)
        self.lock = threading.Lock()
        self.present = self.most = 0

    def change_answer(self, answer: Answer, request: S3Request) -> Answer:
        with self.lock:
            self.present += 1
            self.most = max(self.most, self.present)
        self.meeting.wait(60)
        with self.lock:
            self.present -= 1
        return answer


class Listener:
    """Notes what a pull tells."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.told: list[tuple] = []
        self.came = 0
        self.ended = 0

    def begin(self, objects: int, size: int) -> None:
        self.told.append(("begin", objects, size))

    def advance(self, count: int) -> None:
        with self.lock:
            self.came += count

    def finish_object(self) -> None:
        with self.lock:
            self.ended += 1

    def retry(self, key: str, why: str) -> None:
        self.told.append(("retry", key, why))

    def end(self) -> None:
        self.told.append(("end",))


def test_an_object_comes_below_its_key_with_its_row(served):
    served.put(KEY, CONTENT)
    (listed,) = served.listed()
    report = served.pull([listed])
    assert (served.store / KEY).read_bytes() == CONTENT
    assert served.files() == {KEY}
    row = served.row(KEY)
    assert report.pulled == (row,)
    assert (row.size, row.etag) == (len(CONTENT), hashlib.md5(CONTENT).hexdigest())
    assert row.verification is Verification.MD5
    assert row.last_modified == listed.last_modified.isoformat()
    assert row.mtime_ns == (served.store / KEY).stat().st_mtime_ns
    assert row.pulled_at == row.verified_at
    assert report.sums() | {"seconds": 0, "megabytes_per_second": 0} == {
        "objects": 1,
        "bytes": len(CONTENT),
        "seconds": 0,
        "megabytes_per_second": 0,
        "held": 0,
        "retries": 0,
        "resumed_bytes": 0,
        "unverified": 0,
        "as_released": 0,
        "not_as_released": 0,
        "changed": 0,
        "absent": 0,
        "failed": 0,
    }
    assert report.megabytes_per_second == pytest.approx(len(CONTENT) / report.seconds / 1e6)


def test_an_empty_object_is_an_object(served):
    served.put(KEY, b"")
    served.pull()
    assert (served.store / KEY).read_bytes() == b""


def test_many_objects_come_and_rows_are_recorded_while_others_are_under_way(served, monkeypatch):
    monkeypatch.setattr(pull_module, "_RECORD_EVERY", 0.001)
    contents = {f"p/{number:03d}": bytes([number]) * number for number in range(60)}
    for key, content in contents.items():
        served.put(key, content)
    batches = []
    record = Inventory.record
    monkeypatch.setattr(Inventory, "record", lambda self, rows: (batches.append(rows), record(self, rows)))
    report = served.pull(connections=3)
    assert [row.key for row in report.pulled] == sorted(contents)
    assert {key: (served.store / key).read_bytes() for key in contents} == contents
    assert report.bytes == sum(map(len, contents.values()))
    assert len(batches) > 1
    assert sorted(row.key for rows in batches for row in rows) == sorted(contents)


def test_objects_come_side_by_side_but_no_more_than_there_are_connections(served):
    for number in range(8):
        served.put(f"p/{number}", b"x")
    listed = served.listed()
    meeting = Meeting(4)
    served.fail(FaultRule(meeting))
    assert len(served.pull(listed, connections=4).pulled) == 8
    assert meeting.most == 4


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


def test_an_object_that_is_gone_after_the_listing_is_a_finding_and_the_old_file_stays(served):
    served.put(KEY, b"first version")
    served.put("other", b"1")
    served.pull()
    served.put(KEY, CONTENT)
    served.put("other", b"2")
    listed = served.listed()
    (served.folder / KEY).unlink()
    report = served.pull(listed)
    assert report.absent == (KEY,)
    assert [row.key for row in report.pulled] == ["other"]
    assert (served.store / KEY).read_bytes() == b"first version"
    assert served.row(KEY).size == len(b"first version")


def test_an_etag_that_says_nothing_is_reported_as_unverified(served):
    served.put(KEY, CONTENT)
    served.fail(FaultRule(OtherEtag()))
    report = served.pull()
    assert report.unverified == (KEY,)
    assert report.sums()["unverified"] == 1
    assert served.row(KEY).sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_a_released_sum_proves_what_the_etag_cannot(served):
    served.put(KEY, CONTENT)
    served.fail(FaultRule(OtherEtag()))
    released = {KEY: ReleasedFile(len(CONTENT), hashlib.sha256(CONTENT).hexdigest())}
    report = served.pull(released=released)
    assert (report.as_released, report.not_as_released, report.unverified) == (1, (), ())
    assert served.row(KEY).verification is Verification.RELEASE


def test_what_differs_from_the_release_is_a_finding_and_another_size_says_nothing(served):
    for key in ("same", "differs", "other size", "never released"):
        served.put(key, CONTENT)
    right = hashlib.sha256(CONTENT).hexdigest()
    released = {
        "same": ReleasedFile(len(CONTENT), right),
        "differs": ReleasedFile(len(CONTENT), "0" * 64),
        "other size": ReleasedFile(len(CONTENT) + 1, "0" * 64),
    }
    report = served.pull(released=released)
    assert (report.as_released, report.not_as_released) == (1, ("differs",))
    assert {row.verification for row in report.pulled} == {Verification.MD5}
    assert [served.row(key).sha256 for key in ("same", "differs", "other size")] == [right, right, None]
    assert report.findings()["not_as_released_keys"] == ("differs",)


def test_a_pull_tells_how_it_goes(served):
    contents = {f"p/{number}": bytes(number * 1_000) for number in range(1, 5)}
    for key, content in contents.items():
        served.put(key, content)
    listed = served.listed()
    served.fail(FaultRule(FlippedBit(), keys="p/3", times=1))
    listener = Listener()
    served.pull(listed, progress=listener)
    assert listener.told[0] == ("begin", 4, 10_000)
    assert listener.told[-1] == ("end",)
    ((_, key, why),) = [told for told in listener.told if told[0] == "retry"]
    assert key == "p/3"
    assert why.startswith("expected ETag")
    assert (listener.came, listener.ended) == (10_000, 4)


def test_a_budget_is_kept_before_anything_is_asked_for(served):
    for key in ("a", "b"):
        served.put(key, bytes(1_000))
    listed = served.listed()
    listener = Listener()
    with pytest.raises(GalleryError, match=r"2 objects, 2\.00 kB, more than the budget of 1\.99 kB"):
        served.pull(listed, budget=1_994, progress=listener)
    assert served.requests() == []
    assert listener.told == []
    assert len(served.pull(listed, budget=2_000).pulled) == 2


def test_a_key_that_would_leave_the_store_stops_the_pull_before_it_begins(served, tmp_path):
    served.put("good", CONTENT)
    (good,) = served.listed()
    with pytest.raises(GalleryError, match=r"'\.\./\.\./escaped' cannot be stored"):
        served.pull([good, replace(good, key="../../escaped")])
    assert served.requests() == []
    assert not (tmp_path / "escaped").exists()


def test_a_file_without_a_row_is_pulled_again(served, monkeypatch):
    served.put(KEY, CONTENT)

    def fail(self, rows) -> None:
        raise StoreError("the disk went away")

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="the disk went away"):
        patch.setattr(Inventory, "record", fail)
        served.pull()
    assert served.row(KEY) is None
    assert len(served.pull().pulled) == 1

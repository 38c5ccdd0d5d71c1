"""Pulls in which objects fail for good, or the disk or the endpoint does: what goes on, what ends, what is said."""

import hashlib
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from cpjump_assets.gallery.client import gallery_client
from cpjump_assets.gallery.transfer import download
from cpjump_assets.gallery.transfer.body import RetryPolicy
from cpjump_assets.gallery.transfer.inventory import is_kept_in
from cpjump_assets.gallery.transfer.report import NAMED_FAILURES, IncompletePullError
from cpjump_assets.science.errors import GalleryError, StoreError
from cpjump_assets.simulate.s3.faults import (
    FaultRule,
    FlippedBit,
    HtmlPage,
    Refusal,
    SlowDown,
    StalledBody,
    TruncatedBody,
)
from cpjump_assets.storage.atomic import resumable_file

KEY = "pilot/source_4/workspace/profiles/batch/plate/plate.csv.gz"
CONTENT = np.random.default_rng(0).bytes(300_000)
NOBODY = 65_534
IMPATIENT = RetryPolicy(attempts=2, first_wait=0.001)


@pytest.fixture
def holding(served):
    """A store that holds the first version of an object whose second version is now listed."""
    served.put(KEY, b"first version")
    served.pull()
    served.put(KEY, CONTENT)
    return served


@pytest.fixture
def forty(served):
    """A bucket with 40 objects."""
    for number in range(40):
        served.put(f"p/{number:02d}", bytes([number]) * 100)
    return served


def _assert_old_file_stays(served) -> None:
    assert (served.store / KEY).read_bytes() == b"first version"
    assert served.row(KEY).etag == hashlib.md5(b"first version").hexdigest()
    assert served.files() == {KEY}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", [FlippedBit(), TruncatedBody(share=0), StalledBody(seconds=5, share=0)])
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


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (SlowDown(), "could not be read in 2 tries: .* answered SlowDown"),
        (Refusal("InternalError"), "could not be read in 2 tries: .* answered InternalError"),
        (Refusal("AccessDenied"), "is not readable without an account: .* answered AccessDenied"),
        (HtmlPage(), "cannot be read: .* does not answer as an S3 server does"),
    ],
)
def test_a_server_that_refuses_is_named_with_its_reason(holding, fault, said):
    holding.fail(FaultRule(fault))
    with pytest.raises(GalleryError, match=f"{KEY} {said}") as caught:
        holding.pull(retry=IMPATIENT)
    assert "\n" not in str(caught.value)
    _assert_old_file_stays(holding)


def test_an_unreachable_endpoint_is_named(holding):
    listed = holding.listed()
    holding.client = gallery_client("http://127.0.0.1:9")
    with pytest.raises(GalleryError, match=rf"{KEY} .*: no answer from http://127.0.0.1:9 \(CPJUMP_S3_ENDPOINT"):
        holding.pull(listed)
    _assert_old_file_stays(holding)


def test_one_object_that_fails_does_not_stop_the_others(forty):
    listed = forty.listed()
    forty.fail(FaultRule(FlippedBit(), keys="p/03"))
    with pytest.raises(IncompletePullError, match=r"^p/03 could not be read in 2 tries: expected ETag") as caught:
        forty.pull(listed, retry=IMPATIENT)
    report = caught.value.report
    assert [item.key for item in report.failed] == ["p/03"]
    assert report.findings()["failures"] == {"p/03": str(caught.value)}
    assert len(report.pulled) == 39
    assert forty.files() == {item.key for item in listed} - {"p/03"}
    forty.fail()
    again = forty.pull(listed)
    assert (again.skipped, [row.key for row in again.pulled]) == (39, ["p/03"])


def test_all_that_failed_are_counted_and_the_first_are_named_with_their_reasons(forty):
    listed = forty.listed()
    # 15 fail, one does not, and so on: never 16 one after another.
    forty.fail(*(FaultRule(Refusal("AccessDenied"), keys=f"p/{n:02d}") for n in range(40) if n % 8))
    with pytest.raises(IncompletePullError) as caught:
        forty.pull(listed, connections=1)
    said = str(caught.value)
    assert said.startswith("35 objects could not be pulled, the other 5 are in place: s3://")
    assert not caught.value.given_up
    assert said.count("is not readable without an account") == NAMED_FAILURES
    assert "p/01 is not readable" in said
    assert said.endswith("; and 15 more")
    assert "\n" not in said


def test_where_one_after_another_fails_the_pull_is_given_up(forty):
    listed = forty.listed()
    forty.fail(FaultRule(Refusal("AccessDenied")))
    with pytest.raises(
        IncompletePullError,
        match=r"^the pull was given up when 16 objects had failed one after another: .*; and 13 more$",
    ) as caught:
        forty.pull(listed, connections=1)
    assert caught.value.given_up
    assert len(forty.requests()) == 16


def test_an_endpoint_that_goes_down_half_way_ends_the_pull_and_what_came_stays(forty):
    listed = forty.listed()
    forty.fail(*(FaultRule(Refusal("AccessDenied"), keys=f"p/{n:02d}") for n in range(10, 40)))
    with pytest.raises(IncompletePullError, match="given up") as caught:
        forty.pull(listed, connections=1)
    assert len(caught.value.report.pulled) == 10
    forty.fail()
    assert forty.pull(listed).skipped == 10


def test_many_that_are_gone_are_no_reason_to_give_up(forty):
    listed = forty.listed()
    for path in sorted((forty.folder / "p").iterdir())[:30]:
        path.unlink()
    report = forty.pull(listed)
    assert (len(report.absent), len(report.pulled)) == (30, 10)
    assert report.findings()["absent_keys"] == tuple(f"p/{n:02d}" for n in range(30))


def test_a_key_whose_folder_is_a_file_fails_alone(served):
    for key in ("a/b", "c"):
        served.put(key, CONTENT)
    served.store.mkdir(parents=True)
    (served.store / "a").write_text("in the way")
    with pytest.raises(IncompletePullError, match=r"cannot write b in .*/store/gallery/a: ") as caught:
        served.pull(connections=1)
    assert [row.key for row in caught.value.report.pulled] == ["c"]
    assert (served.store / "a").read_text() == "in the way"


def test_a_large_object_that_another_process_is_writing_fails_alone(served, monkeypatch):
    monkeypatch.setattr(download, "LARGE_SIZE", 1)
    for key in ("a", "b"):
        served.put(key, CONTENT)
    with (
        resumable_file(served.store / "a"),
        pytest.raises(IncompletePullError, match=r"^cannot write a in .*: another process is writing it$") as caught,
    ):
        served.pull(connections=1)
    assert [row.key for row in caught.value.report.pulled] == ["b"]


@contextmanager
def _as_nobody() -> Iterator[None]:
    """Run without the rights of the superuser, who may write anywhere; the loopback server loses them as well."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_without_permission_ends_the_pull_at_once(served):
    for number in range(40):
        served.put(f"a/{number:02d}", CONTENT)
    listed = served.listed()
    with tempfile.TemporaryDirectory() as place:  # the folders of pytest are the superuser's alone
        served.store = Path(place)
        if os.geteuid() == 0:
            os.chown(place, NOBODY, NOBODY)
        (served.store / "a").mkdir(mode=0o500)
        with _as_nobody(), pytest.raises(StoreError, match=r"^cannot write 0[01] in .*/a: Permission denied$"):
            served.pull(listed)
        assert served.requests() == []
        assert served.files() == set()


def test_a_store_without_permission_is_named(served):
    served.put("a/b", CONTENT)
    listed = served.listed()
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o555)
        served.store = Path(place) / "gallery"
        with _as_nobody(), pytest.raises(StoreError, match=rf"^cannot make {served.store}: Permission denied$"):
            served.pull(listed)


def test_a_full_disk_ends_the_pull_and_leaves_nothing_behind(holding):
    import resource

    for number in range(40):
        holding.put(f"z/{number:02d}", CONTENT)
    listed = holding.listed()
    held = len(holding.requests())
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limit[1]))
        with pytest.raises(StoreError, match="File too large"):
            holding.pull(listed, connections=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert len(holding.requests()) == held + 1
    _assert_old_file_stays(holding)


def test_a_store_that_may_not_be_looked_into_is_named():
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "gallery"
        folder.mkdir()
        assert not is_kept_in(folder)
        folder.chmod(0)
        with _as_nobody(), pytest.raises(StoreError, match=rf"^cannot look at {folder}/inventory.sqlite: Permission"):
            is_kept_in(folder)
        folder.chmod(0o700)

"""The lease keeps a second holder out on any machine, and runs out when its holder is dead."""

import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError

from cpjump_assets.science.errors import StoreError
from cpjump_assets.storage.lease import _Lease, holder_of, is_over, lease
from cpjump_assets.storage.lock import exclusive
from cpjump_assets.storage.s3_place import S3Place
from cpjump_assets_tests.stores import BUCKET, StoreServer

NAME = "refresh.lease"
BUSY = "another refresh is at work"


def _holder() -> str:
    return uuid.uuid4().hex


@pytest.mark.parametrize("server", ["moto", "rclone"], indirect=True)
def test_a_second_holder_is_refused_and_comes_in_afterwards(place: S3Place) -> None:
    with lease(place, NAME, holder=_holder(), busy=BUSY) as require:
        require()
        with pytest.raises(StoreError, match=r"another refresh is at work \(s3://.*its lease ends in \d+ s"):
            lease(place, NAME, holder=_holder(), busy=BUSY).__enter__()
        require()
    with lease(place, NAME, holder=_holder(), busy="not given back") as require:
        require()


def test_a_lease_is_renewed_while_the_block_runs(place: S3Place) -> None:
    with lease(place, NAME, holder=_holder(), busy=BUSY, seconds=6) as require:
        time.sleep(7)
        require()
        with pytest.raises(StoreError, match="its lease ends in"):
            lease(place, NAME, holder=_holder(), busy=BUSY).__enter__()


_HOLD = """
import sys, time
from cpjump_assets.storage.lease import lease
from cpjump_assets.storage.s3_place import S3Place
with lease(S3Place(*sys.argv[1:4]), "refresh.lease", holder=sys.argv[4], busy="busy", seconds=float(sys.argv[5])):
    print("held", flush=True)
    time.sleep(600)
"""


def _killed_holder(place: S3Place, *, holder: str, seconds: float) -> None:
    arguments = [place.bucket, place.prefix, str(place.endpoint), holder, str(seconds)]
    process = subprocess.Popen([sys.executable, "-c", _HOLD, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_lease_of_a_dead_holder_runs_out(place: S3Place) -> None:
    _killed_holder(place, holder=_holder(), seconds=4)
    with pytest.raises(StoreError, match=BUSY):
        lease(place, NAME, holder=_holder(), busy=BUSY).__enter__()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with lease(place, NAME, holder=_holder(), busy=BUSY) as require:
                require()
                return
        except StoreError:
            time.sleep(0.5)
    pytest.fail("the lease of a dead holder never ended")


def test_a_lease_is_over_when_it_was_given_back_or_long_after_its_holder_died(place: S3Place) -> None:
    assert is_over(place, NAME, since=900)
    with lease(place, NAME, holder=_holder(), busy=BUSY):
        assert not is_over(place, NAME, since=0)
    assert is_over(place, NAME, since=900)
    _killed_holder(place, holder=_holder(), seconds=1)
    time.sleep(3)
    assert is_over(place, NAME, since=0.5)
    assert not is_over(place, NAME, since=900)


def test_whoever_has_the_lock_of_the_dead_holder_takes_its_lease_at_once(place: S3Place, tmp_path: Path) -> None:
    lock = tmp_path / "refresh.lock"
    with exclusive(lock, busy=""):
        _killed_holder(place, holder=holder_of(lock), seconds=3600)
        with lease(place, NAME, holder=holder_of(lock), busy=BUSY) as require:
            require()
    with exclusive(tmp_path / "other.lock", busy=""):
        assert holder_of(tmp_path / "other.lock") != holder_of(lock)
    assert holder_of(lock) == holder_of(lock)


def test_a_holder_whose_lease_was_taken_knows(place: S3Place, server: StoreServer) -> None:
    with (
        pytest.raises(StoreError, match="was lost"),
        lease(place, NAME, holder=_holder(), busy="", seconds=2) as require,
    ):
        require()
        server.place("").client.delete_object(Bucket=BUCKET, Key=place.key(NAME))
        with lease(place, NAME, holder=_holder(), busy="", seconds=60) as theirs:
            time.sleep(3)
            theirs()
            require()


def test_of_two_who_come_at_once_one_is_refused(moto: StoreServer, monkeypatch: pytest.MonkeyPatch) -> None:
    place = moto.place(f"test-{uuid.uuid4().hex}")
    get = place.client.get_object
    taken = lease(place, NAME, holder=_holder(), busy=BUSY)

    def overtaken(**asked: object) -> object:
        monkeypatch.undo()  # the other one comes between the look and the write
        answer = None
        try:
            answer = get(**asked)
        finally:
            taken.__enter__()
        return answer

    monkeypatch.setattr(place.client, "get_object", overtaken)
    with pytest.raises(StoreError, match="it began just now"):
        lease(place, NAME, holder=_holder(), busy=BUSY).__enter__()
    taken.__exit__(None, None, None)


def test_a_renewal_whose_answer_was_lost_counts_from_when_it_was_written(
    moto: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = moto.place(f"test-{uuid.uuid4().hex}")
    held = _Lease(place, NAME, _holder(), 5)
    held.take(BUSY)
    put = place.client.put_object

    def lost(**asked: object) -> None:
        put(**asked)
        raise EndpointConnectionError(endpoint_url="lost")

    with monkeypatch.context() as patched:
        patched.setattr(place.client, "put_object", lost)
        with pytest.raises(StoreError, match="no whole answer"):
            held._write({"IfMatch": held._etag})
    time.sleep(5.1)
    held._write({"IfMatch": held._etag})  # refused, as the lost one is there: to anybody else its time is over
    with pytest.raises(StoreError, match="was lost"):
        held.require()
    held._write({"IfMatch": held._etag})
    held.require()


def test_what_is_no_lease_is_named(place: S3Place, server: StoreServer) -> None:
    for content in (b"", b"[]", b"{}"):
        server.put(place.key(NAME), content)
        with pytest.raises(StoreError, match=r"refresh\.lease in s3://.* is no lease of this platform"):
            lease(place, NAME, holder=_holder(), busy=BUSY).__enter__()

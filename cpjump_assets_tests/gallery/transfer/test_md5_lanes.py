import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpjump_assets.gallery.transfer import md5_lanes
from cpjump_assets.gallery.transfer.etag import MIB
from cpjump_assets.gallery.transfer.md5_lanes import BLOCK, LANES, Md5Lanes

BYTES = np.random.default_rng(0).bytes(3 * MIB)
LENGTHS = st.one_of(
    st.integers(0, 4 * BLOCK),
    st.builds(lambda blocks, more: blocks * BLOCK + more, st.integers(1, 3000), st.integers(-9, 9)),
)


@pytest.fixture
def lanes(monkeypatch) -> Md5Lanes:
    """A place where every body is hashed together with others."""
    monkeypatch.setattr(md5_lanes, "_CROWD", 0.0)
    return Md5Lanes()


def _digest(lanes: Md5Lanes, content: bytes, chunk: int) -> bytes:
    running = lanes.md5()
    for start in range(0, len(content), chunk):
        running.update(memoryview(content)[start : start + chunk])
    return running.digest()


def _hash_side_by_side(lanes: Md5Lanes, contents: list[bytes], chunk: int) -> list[bytes]:
    together = Barrier(len(contents))

    def work(content: bytes) -> bytes:
        together.wait()
        return _digest(lanes, content, chunk)

    with ThreadPoolExecutor(len(contents)) as pool:
        return list(pool.map(work, contents))


_EVERY_BODY = Md5Lanes()


@given(start=st.integers(0, 1000), length=LENGTHS, chunk=st.sampled_from([1, 7, 63, 64, 65, 4096, 70_000, MIB]))
@settings(max_examples=150, deadline=None)
def test_one_body_has_the_sum_that_hashlib_gives_however_it_is_cut(start, length, chunk):
    content = BYTES[start : start + min(length, 300 * chunk)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(md5_lanes, "_CROWD", 0.0)
        running = _EVERY_BODY.md5()
        for place in range(0, len(content), chunk):
            running.update(content[place : place + chunk])
            if chunk > BLOCK:  # a sum in between changes nothing
                assert running.digest() == hashlib.md5(content[: place + chunk]).digest()
    assert running.digest() == hashlib.md5(content).digest()


@given(lengths=st.lists(LENGTHS, min_size=2, max_size=2 * LANES + 3), shift=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_bodies_of_all_lengths_side_by_side_never_mix(lengths, shift):
    contents = [BYTES[shift + place : shift + place + length] for place, length in enumerate(lengths)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(md5_lanes, "_CROWD", 0.0)
        patch.setattr(md5_lanes, "_ALONE", 0)  # even the last block of each body is shared
        patch.setattr(md5_lanes, "_PATIENCE", 0.001)
        found = _hash_side_by_side(_EVERY_BODY, contents, 100_000)
    assert found == [hashlib.md5(content).digest() for content in contents]


def test_more_threads_than_lanes_all_come_to_an_end(lanes):
    contents = [BYTES[place : place + MIB + 64 * 1024 * (place % 3)] for place in range(3 * LANES)]
    found = _hash_side_by_side(lanes, contents, 256 * 1024)
    assert found == [hashlib.md5(content).digest() for content in contents]


def test_sixteen_chunks_that_wait_are_hashed_in_one_go(lanes, monkeypatch):
    lanes.md5()  # compiles
    batches = []
    run = lanes._run
    monkeypatch.setattr(lanes, "_run", lambda jobs: (batches.append(len(jobs)), run(jobs)))
    monkeypatch.setattr(md5_lanes, "_BATCH", LANES)
    monkeypatch.setattr(lanes, "_enough", lambda: LANES)
    monkeypatch.setattr(md5_lanes, "_PATIENCE", 30.0)
    bodies = [lanes.md5() for _ in range(LANES)]
    with ThreadPoolExecutor(LANES) as pool:
        list(pool.map(lambda body: body.update(BYTES[:MIB]), bodies))
    assert batches == [LANES]


def test_a_lone_body_waits_for_nobody(lanes, monkeypatch):
    monkeypatch.setattr(md5_lanes, "_PATIENCE", 120.0)
    started = time.monotonic()
    assert _digest(lanes, BYTES, 256 * 1024) == hashlib.md5(BYTES).digest()
    assert time.monotonic() - started < 120


def test_bodies_that_nobody_feeds_are_not_waited_for_longer_than_patience(lanes):
    idle = [lanes.md5() for _ in range(LANES)]
    started = time.monotonic()
    assert _digest(lanes, BYTES, MIB) == hashlib.md5(BYTES).digest()
    assert time.monotonic() - started < 60
    assert len(idle) == LANES


def test_only_a_crowd_is_hashed_together(monkeypatch):
    lanes = Md5Lanes()
    assert isinstance(lanes.md5(), md5_lanes._OwnMd5)
    for _ in range(100):  # one thread, one chunk after another
        with lanes.counted():
            pass
    assert isinstance(lanes.md5(), md5_lanes._OwnMd5)
    with ExitStack() as crowd:
        for _ in range(16):
            crowd.enter_context(lanes.counted())
    assert isinstance(lanes.md5(), md5_lanes._SharedMd5)
    for _ in range(100):
        with lanes.counted():
            pass
    assert isinstance(lanes.md5(), md5_lanes._OwnMd5)


def test_nobody_is_counted_when_all_is_over(lanes):
    _hash_side_by_side(lanes, [BYTES] * 5, MIB)
    assert lanes._hashing == 0
    assert lanes._waiting == []
    assert len(lanes._bodies) == 0


def test_a_kernel_that_fails_fails_for_all_that_it_was_hashing_and_for_no_other(lanes, monkeypatch):
    contents = [BYTES[place : place + MIB] for place in range(6)]
    _digest(lanes, BYTES, MIB)
    kernel = lanes._kernel

    def fail(*_: int) -> None:
        raise OSError("no such instruction")

    lanes._kernel = fail
    monkeypatch.setattr(md5_lanes, "_PATIENCE", 30.0)
    monkeypatch.setattr(lanes, "_enough", lambda: len(contents))
    bodies = [lanes.md5() for _ in contents]
    with ThreadPoolExecutor(len(contents)) as pool:
        running = [pool.submit(body.update, content) for body, content in zip(bodies, contents, strict=True)]
        errors = [future.exception(timeout=20) for future in running]
    led = [error for error in errors if isinstance(error, OSError)]
    followed = [error for error in errors if isinstance(error, RuntimeError) and error.__cause__ in led]
    assert (len(led), len(followed)) == (1, len(contents) - 1)
    lanes._kernel = kernel
    assert _hash_side_by_side(lanes, contents, MIB) == [hashlib.md5(content).digest() for content in contents]


def test_a_leader_that_is_interrupted_hands_over(lanes, monkeypatch):
    contents = [BYTES[place : place + MIB] for place in range(5)]
    _digest(lanes, BYTES, MIB)
    wait_for = lanes._enough_came.wait_for
    interrupts = [KeyboardInterrupt, SystemExit]

    def interrupted(predicate, timeout):
        wait_for(lambda: len(lanes._waiting) == len(contents) - (2 - len(interrupts)), 20)
        if interrupts:
            raise interrupts.pop()
        return wait_for(predicate, timeout)

    monkeypatch.setattr(lanes._enough_came, "wait_for", interrupted)
    monkeypatch.setattr(lanes, "_enough", lambda: 1)
    bodies = [lanes.md5() for _ in contents]

    def work(body, content) -> bytes | None:
        try:
            body.update(content)
        except (KeyboardInterrupt, SystemExit):
            return None
        return body.digest()

    with ThreadPoolExecutor(len(contents)) as pool:
        running = [pool.submit(work, body, content) for body, content in zip(bodies, contents, strict=True)]
        found = [future.result(timeout=30) for future in running]
    assert found.count(None) == 2
    expected = [hashlib.md5(content).digest() for content in contents]
    assert all(digest in (None, right) for digest, right in zip(found, expected, strict=True))
    assert lanes._waiting == []


def test_a_follower_that_is_interrupted_takes_its_chunk_back(lanes):
    _digest(lanes, BYTES, MIB)
    state = md5_lanes._START.copy()
    leader = md5_lanes._Job(state, np.frombuffer(BYTES[:MIB], dtype=np.uint8))
    follower = md5_lanes._Job(state.copy(), np.frombuffer(BYTES[MIB : 2 * MIB], dtype=np.uint8))
    assert lanes._leads(leader)
    assert not lanes._leads(follower)
    lanes._withdraw(follower)
    assert lanes._waiting == [leader]
    assert leader._turn.locked()
    late = md5_lanes._Job(state.copy(), follower.chunk)
    lanes._leads(late)
    lanes._withdraw(leader)
    assert not late._turn.locked(), "the next one leads"
    assert lanes._waiting == [late]


def test_the_kernel_is_compiled_once_for_all_threads(monkeypatch):
    from cpjump_assets.gallery.transfer import md5_kernel

    compiled = []
    kernel = md5_kernel.md5_kernel()
    monkeypatch.setattr(md5_kernel, "md5_kernel", lambda: (compiled.append(None), time.sleep(0.05), kernel)[-1])
    monkeypatch.setattr(md5_lanes, "_CROWD", 0.0)
    lanes = Md5Lanes()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: lanes.md5(), range(8)))
    assert len(compiled) == 1


def test_read_only_and_offset_buffers_are_taken(lanes):
    body = lanes.md5()
    body.update(memoryview(BYTES)[3 : MIB + 5])
    body.update(bytearray(BYTES[MIB + 5 : 2 * MIB]))
    assert body.digest() == hashlib.md5(BYTES[3 : 2 * MIB]).digest()


def test_nobody_waits_for_a_body_that_has_its_sum_or_has_not_begun(lanes, monkeypatch):
    monkeypatch.setattr(md5_lanes, "_PATIENCE", 120.0)
    chunk = bytes(2 * md5_lanes._ALONE)
    idle = [lanes.md5() for _ in range(20)]
    ended = [lanes.md5() for _ in range(20)]
    for body in ended:
        body.update(b"few")
        body.digest()
    began = time.monotonic()
    alone = lanes.md5()
    alone.update(chunk)
    assert alone.digest() == hashlib.md5(chunk).digest()
    assert time.monotonic() - began < 120
    assert len(idle) == 20  # they are still there

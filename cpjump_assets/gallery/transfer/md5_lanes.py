"""MD5 of many bodies that come at the same time, hashed together.

Belongs here: who waits for whom, and when that is worth it. Does not belong here: the arithmetic (``md5_kernel``), what
the sums are for (``etag``).

Threads that have a chunk to hash meet here. The first one leads: it waits for a moment until enough others have brought
theirs, hashes all of them in one go, and wakes the others. A batch of eight chunks costs a quarter of what eight times
``hashlib`` does. Whether it is worth it shows in how many threads hash at once: where the network is the slow part, or
one object comes alone, hardly two ever do, and each body has ``hashlib`` to itself.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Lock
from typing import TYPE_CHECKING
from weakref import WeakSet

import numpy as np

from cpjump_assets.gallery.transfer.etag import Md5

if TYPE_CHECKING:
    from cpjump_assets.gallery.transfer.md5_kernel import Kernel

LANES = 16
"""Messages that the kernel takes at once."""
BLOCK = 64
"""Bytes that MD5 takes at a time."""

_START = np.array([0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476], dtype="<u4")
"""The state before the first block (RFC 1321, section 3.3)."""
_CROWD = 3.0
"""Threads that hash at once, on average, from which on a new body is hashed together with others."""
_CROWD_MEMORY = 16
"""Chunks over which that average is taken."""
_BATCH = 10
"""Chunks that a leader waits for, at most."""
_PATIENCE = 0.010
"""Seconds that it waits for them; the kernel takes 2.6 ms."""
_ALONE = 64 * 1024
"""Up to so many bytes are not worth a meeting."""


class Md5Lanes:
    """A place where threads hash together. One serves the whole process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._enough_came = Condition(self._lock)  # only the leader waits for it
        self._waiting: list[_Job] = []  # the first one leads
        self._bodies: WeakSet[_SharedMd5] = WeakSet()
        self._hashing = 0
        self._crowd = 0.0
        self._kernel: Kernel | None = None
        self._compiling = Lock()

    def md5(self) -> Md5:
        """Begin the MD5 of a body: hashed together with others, if that pays at the moment, or else on its own."""
        if self._crowd < _CROWD:
            return _OwnMd5(self)
        if self._kernel is None:
            self._compile()
        return _SharedMd5(self)

    def begin(self, body: "_SharedMd5") -> None:
        """Count on a body, whose next chunk others may wait for."""
        with self._lock:
            self._bodies.add(body)

    def end(self, body: "_SharedMd5") -> None:
        """Count on it no longer: it has its sum."""
        with self._lock:
            self._bodies.discard(body)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a thread that hashes a chunk, by whichever way."""
        with self._lock:
            self._hashing += 1
            self._crowd += (self._hashing - self._crowd) / _CROWD_MEMORY
        try:
            yield
        finally:
            with self._lock:
                self._hashing -= 1

    def absorb(self, state: np.ndarray, chunk: np.ndarray) -> None:
        """Advance the state of a body over a chunk of whole blocks, together with what other threads bring meanwhile.

        Raises
        ------
        RuntimeError
            If the kernel failed; the states of all bodies that it was hashing are lost then.
        """
        job = _Job(state, chunk)
        if len(chunk) <= _ALONE:
            self._run([job])
            return
        try:
            if not self._leads(job):
                job.wait()
            if not job.is_over:
                self._lead()
        except BaseException:
            self._withdraw(job)
            raise
        if job.fault is not None:
            raise RuntimeError("the MD5 of a chunk could not be computed") from job.fault

    def _leads(self, job: "_Job") -> bool:
        """Queue a job, and tell whether its thread leads."""
        with self._lock:
            self._waiting.append(job)
            if len(self._waiting) >= self._enough():
                self._enough_came.notify()
            return self._waiting[0] is job

    def _enough(self) -> int:
        # Three of four bodies that are hashed here: the others are on the network or on the disk.
        return max(1, min(_BATCH, len(self._bodies) * 3 // 4))

    def _lead(self) -> None:
        batch: list[_Job] = []
        fault: BaseException | None = None
        try:
            with self._lock:
                self._enough_came.wait_for(lambda: len(self._waiting) >= self._enough(), _PATIENCE)
                batch = self._waiting[:LANES]
                self._leave(batch)
            self._run(batch)
        except BaseException as error:
            fault = error
            raise
        finally:
            for job in batch:
                job.end(fault)

    def _leave(self, jobs: "list[_Job]") -> None:
        """Take jobs out of the queue, and let the first of the others lead; the lock is held."""
        leader = self._waiting[0]
        self._waiting = [job for job in self._waiting if job not in jobs]
        if self._waiting and self._waiting[0] is not leader:
            self._waiting[0].wake()

    def _withdraw(self, job: "_Job") -> None:
        """Take back a job whose thread was interrupted, or wait while it is hashed: its chunk must stay until then."""
        with self._lock:
            is_queued = job in self._waiting
            if is_queued:
                self._leave([job])
        if not is_queued and not job.is_over:
            job.wait()

    def _run(self, jobs: "list[_Job]") -> None:
        """Hash chunks together; the shorter ones end earlier, and their lanes repeat the longest one's work in vain."""
        assert self._kernel is not None
        jobs = sorted(jobs, key=lambda job: len(job.chunk))
        lanes = jobs + [jobs[-1]] * (LANES - len(jobs))
        states = np.stack([job.state for job in lanes], axis=1)
        places = np.array([job.chunk.ctypes.data for job in lanes], dtype=np.uintp)
        done = 0
        for lane, job in enumerate(jobs):
            step = len(job.chunk) - done
            if step:
                self._kernel(states.ctypes.data, places.ctypes.data, step // BLOCK)
                places += np.uintp(step)
                done += step
            job.state[:] = states[:, lane]
            places[lane] = places[-1]

    def _compile(self) -> None:
        # Those that come meanwhile wait: hashing beside it, they would take longer than all of them do after it. It
        # costs 0.1 s and 70 MB of memory to import and use LLVM, which few objects are not worth.
        with self._compiling:
            if self._kernel is None:
                from cpjump_assets.gallery.transfer.md5_kernel import md5_kernel

                self._kernel = md5_kernel()


md5 = Md5Lanes().md5
"""Begins the MD5 of a body that threads of this process may hash together with others."""


@dataclass(eq=False)
class _Job:
    """A chunk to hash, whose thread waits for its turn: to lead, or to go on.

    Attributes
    ----------
    state
        Of the body, which is advanced.
    chunk
        Whole blocks, as bytes.
    """

    state: np.ndarray
    chunk: np.ndarray
    is_over: bool = False
    fault: BaseException | None = None
    # Locked until somebody wakes the thread. An Event would wake it twice, the second time for the Event's own lock.
    _turn: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        """Begin to wait."""
        self._turn.acquire()

    def wait(self) -> None:
        """Wait to be woken, once for each time."""
        self._turn.acquire()

    def wake(self) -> None:
        """Let the thread lead, or go on."""
        self._turn.release()

    def end(self, fault: BaseException | None) -> None:
        """Let the thread go on."""
        self.fault, self.is_over = fault, True
        self.wake()


class _OwnMd5:
    """The MD5 of one body by ``hashlib``, counted as hashing."""

    def __init__(self, lanes: Md5Lanes) -> None:
        self._lanes = lanes
        self._md5 = hashlib.md5(usedforsecurity=False)

    def update(self, chunk: bytes | memoryview, /) -> None:
        """Take the next bytes."""
        with self._lanes.counted():
            self._md5.update(chunk)

    def digest(self) -> bytes:
        """Give the sum of the bytes so far."""
        return self._md5.digest()


class _SharedMd5:
    """The MD5 of one body by the kernel."""

    def __init__(self, lanes: Md5Lanes) -> None:
        self._lanes = lanes
        self._state = _START.copy()
        self._length = 0
        self._rest = b""

    def update(self, chunk: bytes | memoryview, /) -> None:
        """Take the next bytes."""
        self._lanes.begin(self)
        fresh = memoryview(chunk).cast("B")
        self._length += len(fresh)
        if self._rest:
            missing = BLOCK - len(self._rest)
            self._rest, fresh = self._rest + bytes(fresh[:missing]), fresh[missing:]
            if len(self._rest) < BLOCK:
                return
            self._absorb(self._state, self._rest)
        whole = len(fresh) - len(fresh) % BLOCK
        self._rest = bytes(fresh[whole:])
        if whole:
            self._absorb(self._state, fresh[:whole])

    def digest(self) -> bytes:
        """Give the sum of the bytes so far."""
        state = self._state.copy()
        zeros = bytes(-(self._length + 9) % BLOCK)
        bits = (8 * self._length) % 2**64
        self._absorb(state, self._rest + b"\x80" + zeros + bits.to_bytes(8, "little"))
        self._lanes.end(self)
        return state.tobytes()

    def _absorb(self, state: np.ndarray, blocks: bytes | memoryview) -> None:
        with self._lanes.counted():
            self._lanes.absorb(state, np.frombuffer(blocks, dtype=np.uint8))

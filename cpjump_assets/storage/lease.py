"""One writer at a time, on a store that several machines share.

Belongs here: a lease, which is an object of the store that its holder renews and that runs out when the holder is dead.
Does not belong here: the lock of one machine (``lock``), what is written.

The object is only ever written on the condition that it is as it was seen last (``If-None-Match``, ``If-Match``), so
of two takers one is refused. Its age is told by the server's clock alone. A server that ignores such conditions lets
both in; so each taker reads it again, and the one that was overwritten goes. Tables stay whole in any case: a lease
keeps two refreshes from doing the same work twice.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

from botocore.exceptions import ClientError

from cpjump_assets.science.errors import StoreError
from cpjump_assets.storage.lock import BusyError
from cpjump_assets.storage.s3_place import S3Place, is_absent, status_of

LEASE_SECONDS = 60.0
"""Time after which a lease that nobody renews is over."""
_RENEWALS = 4
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine is suspended, as the server's clock does, where the system has such a clock."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def holder_of(lock_file: Path) -> str:
    """Give a name for whoever holds the lock of a file of this machine (``lock.exclusive``).

    While the lock is held, a lease of the same name has a dead holder: it held this very lock before. The name tells
    file systems and machines apart, and nothing of either.
    """
    status = lock_file.stat()
    system = _BOOT.read_text().strip() if _BOOT.exists() else uuid.uuid4().hex
    return hashlib.sha256(f"{system} {status.st_dev} {status.st_ino}".encode()).hexdigest()[:32]


@contextmanager
def lease(
    place: S3Place, name: str, *, holder: str, busy: str, seconds: float = LEASE_SECONDS
) -> Iterator[Callable[[], None]]:
    """Hold a lease while the block runs.

    Parameters
    ----------
    place, name
        Where the lease lies.
    holder
        Who takes it; one that the same holder has left behind is taken over at once.
    busy
        What to say when somebody else holds it.
    seconds
        Time after which it is over when it was not renewed.

    Yields
    ------
    callable
        Raises ``StoreError`` if the lease was lost: the store was out of reach, or the process slept, for too long.

    Raises
    ------
    BusyError
        If somebody else holds it.
    StoreError
        If the store cannot be written.
    """
    held = _Lease(place, name, holder, seconds)
    held.take(busy)
    renewing = Thread(target=held.renew, name="lease", daemon=True)
    renewing.start()
    try:
        yield held.require
    finally:
        held.stop.set()
        renewing.join()
        held.release()


def is_over(place: S3Place, name: str, *, since: float) -> bool:
    """Tell whether nobody has held a lease for so many seconds, or its last holder gave it back.

    Raises
    ------
    StoreError
        If the store cannot be asked, or what is there is no lease.
    """
    seen = _look(place, name)
    return seen is None or seen.content["released"] or seen.left < -since


@dataclass(frozen=True)
class _Seen:
    """A lease as it was read."""

    etag: str
    content: Mapping[str, Any]
    age: float

    @property
    def left(self) -> float:
        """Seconds until it is over; none of one that was given back."""
        return 0.0 if self.content["released"] else self.content["seconds"] - self.age


def _now() -> float:
    return time.clock_gettime(_CLOCK)


class _TakenError(Exception):
    """Somebody else has the lease."""


class _Lease:
    """What the block and the renewing thread share."""

    def __init__(self, place: S3Place, name: str, holder: str, seconds: float) -> None:
        self._place, self._name, self._holder, self._seconds = place, name, holder, seconds
        self._turn = uuid.uuid4().hex
        self._etag = ""
        self._good_until = 0.0
        self._lost = False
        self.stop = Event()

    def take(self, busy: str) -> None:
        """Become the holder, or raise ``BusyError``."""
        seen = _look(self._place, self._name)
        if seen is not None and seen.left > 0 and seen.content["holder"] != self._holder:
            raise BusyError(f"{busy} ({self._place}); its lease ends in {seen.left:.0f} s unless it is renewed")
        try:
            self._write({"IfNoneMatch": "*"} if seen is None else {"IfMatch": seen.etag})
        except _TakenError as error:
            raise BusyError(f"{busy} ({self._place}): it began just now") from error

    def renew(self) -> None:
        """Write the lease again and again, until it is stopped or lost."""
        while not self.stop.wait(self._seconds / _RENEWALS):
            try:
                self._write({"IfMatch": self._etag})
            except _TakenError:
                self._lost = True
                return
            except StoreError:
                continue  # out of reach for now; ``require`` knows when that has lasted too long

    def require(self) -> None:
        """Raise ``StoreError`` if the lease was lost."""
        if self._lost or _now() > self._good_until:
            raise StoreError(
                f"the lease on {self._place} was lost, so another refresh may be at work there: what is stored is "
                "whole, and the next refresh goes on from there"
            )

    def release(self) -> None:
        """Give the lease back, unless it is somebody else's by now."""
        with suppress(_TakenError, StoreError):  # out of reach: it runs out by itself
            self._write({"IfMatch": self._etag}, released=True)

    def _write(self, condition: Mapping[str, Any], *, released: bool = False) -> None:
        began = _now()
        content = {"holder": self._holder, "turn": self._turn, "seconds": self._seconds, "released": released}
        body = json.dumps(content | {"written": uuid.uuid4().hex}).encode()  # so that each renewal has its own ETag
        with self._place.clear_errors(f"{self._name} cannot be written to"):
            try:
                self._place.client.put_object(
                    Bucket=self._place.bucket, Key=self._place.key(self._name), Body=body, **condition
                )
            except ClientError as error:
                # Refused; or the answer to a first try was lost, and it is there. What is there tells.
                if status_of(error) not in (409, 412) and not is_absent(error):
                    raise
        seen = _look(self._place, self._name)
        if seen is None or seen.content["turn"] != self._turn:
            raise _TakenError
        # Not always what was sent just now: a former renewal may be there of which the answer was lost.
        self._etag, self._good_until = seen.etag, began + seen.left


def _look(place: S3Place, name: str) -> _Seen | None:
    with place.clear_errors(f"{name} cannot be looked up in"):
        try:
            answer = place.client.get_object(Bucket=place.bucket, Key=place.key(name))
            body = answer["Body"].read()
        except ClientError as error:
            if is_absent(error):
                return None
            raise
    content = _parsed(body)
    if content is None:
        raise StoreError(f"{name} in {place} is no lease of this platform: remove it")
    moment = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    return _Seen(answer["ETag"], content, (moment - answer["LastModified"]) / timedelta(seconds=1))


def _parsed(body: bytes) -> Mapping[str, Any] | None:
    """Read a lease; None of what is none."""
    try:
        content = json.loads(body)
        is_lease = {"holder", "turn", "seconds", "released"} <= content.keys() and content["seconds"] >= 0
    except (ValueError, TypeError, AttributeError):
        return None
    return content if is_lease else None

"""Faults of a server, switched on for chosen requests: what clients of the real gallery must survive.

Belongs here: one small class for each kind of fault, and the plan that says which request it hits. Does not belong
here: anything of the server, which asks the plan and sends what the fault made of the answer.

A new kind of fault is a frozen dataclass with one of the methods of ``Fault``.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from cpjump_assets.simulate.s3.answers import Answer, HangUp, Pause, body_length, cut_body, read_body
from cpjump_assets.simulate.s3.errors import S3Error
from cpjump_assets.simulate.s3.objects import StoredObject
from cpjump_assets.simulate.s3.requests import EVERY_OPERATION, GET_OBJECT, S3Request
from cpjump_assets.simulate.s3.xml_answers import error_answer


class Fault:
    """What goes wrong; each kind overrides one of the methods."""

    def change_request(self, request: S3Request) -> S3Request:
        """Give the request as the server understands it."""
        return request

    def change_object(self, stored: StoredObject) -> StoredObject:
        """Give the object that the server has, before conditions and ranges are looked at."""
        return stored

    def change_answer(self, answer: Answer, request: S3Request) -> Answer:
        """Give the answer that the server sends."""
        return answer


@dataclass(frozen=True)
class Refusal(Fault):
    """An error of S3: by default 500 with the code ``InternalError``; any of ``errors.STATUS_AND_MESSAGE``."""

    code: str = "InternalError"

    def change_answer(self, answer: Answer, request: S3Request) -> Answer:
        """Answer with the error instead."""
        refused = error_answer(S3Error(self.code), resource=request.path, request_id=request.request_id)
        return replace(refused, before=answer.before)


@dataclass(frozen=True)
class SlowDown(Refusal):
    """503 with the code ``SlowDown``: too many requests."""

    code: str = "SlowDown"


@dataclass(frozen=True)
class HtmlPage(Fault):
    """A page for people comes with status 200, as from a proxy that wants a login."""

    page: bytes = b"<!DOCTYPE html><html><body>Please sign in</body></html>"

    def change_answer(self, answer: Answer, request: S3Request) -> Answer:
        """Answer with the page instead."""
        headers = {"Content-Type": "text/html", "Content-Length": str(len(self.page))}
        return Answer(200, headers, (self.page,), answer.before)


@dataclass(frozen=True)
class IgnoredHeader(Fault):
    """The server does not know a header, as some do not know ``Range`` or ``If-Match``."""

    name: str = "range"

    def change_request(self, request: S3Request) -> S3Request:
        """Leave the header out."""
        return replace(request, headers={name: value for name, value in request.headers.items() if name != self.name})


@dataclass(frozen=True)
class ConnectionReset(Fault):
    """The connection is reset before the first byte."""

    def change_answer(self, answer: Answer, request: S3Request) -> Answer:
        """Hang up first."""
        return replace(answer, before=(*answer.before, HangUp(abruptly=True)))


@dataclass(frozen=True)
class TruncatedBody(Fault):
    """The connection is closed in good order after a share of the body; the headers promise all of it."""

    share: float = 0.5

    def change_answer(self, answer: Answer, request: S3Request) -> Answer:
        """Leave out the rest."""
        sent, _ = cut_body(answer.body, int(self.share * body_length(answer.body)))
        return replace(answer, body=(*sent, HangUp(abruptly=False)))


@dataclass(frozen=True)
class WrongLength(Fault):
    """The headers promise a share of the body, or more than all of it; then the connection is closed in good order."""

    share: float = 0.5

    def change_answer(self, answer: Answer, request: S3Request) -> Answer:
        """Promise another length."""
        promised = str(int(self.share * body_length(answer.body)))
        return replace(
            answer,
            headers={**answer.headers, "Content-Length": promised},
            body=(*answer.body, HangUp(abruptly=False)),
        )


@dataclass(frozen=True)
class StalledBody(Fault):
    """Nothing comes for some seconds after a share of the body; then the rest does."""

    seconds: float
    share: float = 0.5

    def change_answer(self, answer: Answer, request: S3Request) -> Answer:
        """Pause within the body."""
        sent, rest = cut_body(answer.body, int(self.share * body_length(answer.body)))
        return replace(answer, body=(*sent, Pause(self.seconds), *rest))


@dataclass(frozen=True)
class FlippedBit(Fault):
    """One bit of the byte in the middle of the body is flipped; length and headers are as ever."""

    def change_answer(self, answer: Answer, request: S3Request) -> Answer:
        """Flip the bit; an empty body has none."""
        before, rest = cut_body(answer.body, body_length(answer.body) // 2)
        victim, after = cut_body(rest, 1)
        flipped = bytes(byte ^ 1 for byte in read_body(victim))
        return replace(answer, body=(*before, flipped, *after))


@dataclass(frozen=True)
class Latency(Fault):
    """The first byte comes late."""

    seconds: float

    def change_answer(self, answer: Answer, request: S3Request) -> Answer:
        """Pause first."""
        return replace(answer, before=(Pause(self.seconds), *answer.before))


def invert_last_byte(content: bytes) -> bytes:
    """Make content of the same length that differs: a change that a comparison of sizes misses."""
    return content[:-1] + bytes(byte ^ 0xFF for byte in content[-1:])


@dataclass(frozen=True)
class ChangedObject(Fault):
    """The object has another content and ETag, for downloads, HEAD and listings alike; the file on disk stays."""

    edit: Callable[[bytes], bytes] = invert_last_byte

    def change_object(self, stored: StoredObject) -> StoredObject:
        """Give the next version."""
        return stored.with_content(self.edit(stored.read()))


@dataclass(frozen=True)
class OtherEtag(Fault):
    """The object has an ETag that was made in another way, for downloads, HEAD and listings alike."""

    etag: str = "made-of-the-time-and-the-size"

    def change_object(self, stored: StoredObject) -> StoredObject:
        """Give the object under the other ETag."""
        return replace(stored, etag=self.etag)


@dataclass(frozen=True)
class FaultRule:
    """Which requests a fault hits. For each key by itself, so that the order in which threads ask makes no difference.

    Parameters
    ----------
    fault
        What goes wrong.
    keys
        Shell pattern of keys (``*`` matches slashes too); of a listing it is the prefix that is matched.
    after
        So many requests for a key pass first.
    times
        So many requests for a key may be hit then; None for all of them.
    probability
        The chance of each of these, drawn from the seed of the plan.
    operations
        Names as in boto3's ``operation_model``: ``GetObject``, ``HeadObject``, ``ListObjectsV2``, ``HeadBucket``.
    """

    fault: Fault
    keys: str = "*"
    after: int = 0
    times: int | None = None
    probability: float = 1.0
    operations: frozenset[str] = frozenset({GET_OBJECT})

    def __post_init__(self) -> None:
        """Refuse a rule that could never hit, or means something else than it says."""
        unknown = self.operations - EVERY_OPERATION
        if unknown or not self.operations:
            raise ValueError(f"operations are some of {sorted(EVERY_OPERATION)}, not {sorted(self.operations)}")
        if self.after < 0 or (self.times is not None and self.times < 1) or not 0 < self.probability <= 1:
            raise ValueError(f"after >= 0, times >= 1 and 0 < probability <= 1 are needed, not {self}")

    def covers(self, operation: str, key: str, ordinal: int) -> bool:
        """Tell whether a request, the ``ordinal``-th for its key from 0, may be hit; chance decides then."""
        last = float("inf") if self.times is None else self.after + self.times
        return operation in self.operations and self.after <= ordinal < last and fnmatchcase(key, self.keys)


class FaultPlan:
    """The rules of a server, and how many requests each has seen. Safe to use from many threads.

    Parameters
    ----------
    *rules
        Applied in this order; several may hit one request.
    seed
        Of the draws. The same seed, rules and number of requests for a key give the same faults.

    Examples
    --------
    >>> twice = FaultRule(SlowDown(), "*/BR00116991.csv.gz", times=2)
    >>> plan = FaultPlan(twice, FaultRule(FlippedBit(), probability=0.01), seed=7)
    """

    def __init__(self, *rules: FaultRule, seed: int = 0):
        self.rules = rules
        self.seed = seed
        self._seen: Counter[tuple[int, str, str]] = Counter()
        self._lock = threading.Lock()

    def draw(self, request: S3Request) -> tuple[Fault, ...]:
        """Count a request and give the faults that hit it."""
        with self._lock:
            hits = self._hits(request.operation, request.bucket, request.subject)
            for number, rule in enumerate(self.rules):
                if request.operation in rule.operations:
                    self._seen[number, request.bucket, request.subject] += 1
            return hits

    def standing(self, bucket: str, key: str) -> tuple[Fault, ...]:
        """Give the faults that the next download of a key would meet, without counting: what HEAD and listings see."""
        with self._lock:
            return self._hits(GET_OBJECT, bucket, key)

    def _hits(self, operation: str, bucket: str, key: str) -> tuple[Fault, ...]:
        return tuple(
            rule.fault
            for number, rule in enumerate(self.rules)
            if rule.covers(operation, key, ordinal := self._seen[number, bucket, key])
            and random.Random(f"{self.seed}/{number}/{bucket}/{key}/{ordinal}").random() < rule.probability
        )

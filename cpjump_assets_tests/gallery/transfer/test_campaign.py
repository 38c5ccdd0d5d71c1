"""The fault campaign: many pulls from a server at which everything goes wrong, with processes killed half-way.

After each pull, every file in the store must be a version of its object that the server once had, whole; and when the
faults end, one pull must bring all that is missing. ``pytest -s`` prints the figures.
"""

import hashlib
import multiprocessing
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import botocore.endpoint
import pytest

from cpjump_assets.gallery.client import gallery_client
from cpjump_assets.gallery.listing import list_objects
from cpjump_assets.gallery.transfer import download, ranges
from cpjump_assets.gallery.transfer.amounts import bytes_text
from cpjump_assets.gallery.transfer.body import RetryPolicy
from cpjump_assets.gallery.transfer.inventory import Inventory
from cpjump_assets.gallery.transfer.pull import pull_objects
from cpjump_assets.gallery.transfer.report import IncompletePullError, PullReport
from cpjump_assets.science.errors import GalleryError
from cpjump_assets.simulate.s3.etags import UploadRule
from cpjump_assets.simulate.s3.faults import (
    ChangedObject,
    ConnectionReset,
    Fault,
    FaultPlan,
    FaultRule,
    FlippedBit,
    HtmlPage,
    IgnoredHeader,
    Latency,
    OtherEtag,
    Refusal,
    SlowDown,
    StalledBody,
    TruncatedBody,
    WrongLength,
    invert_last_byte,
)
from cpjump_assets.simulate.s3.requests import GET_OBJECT, HEAD_OBJECT, LIST_OBJECTS
from cpjump_assets.simulate.s3.server import S3Server

SEED = 20_201_104
PULLS, KILL_EVERY = 500, 50
KIB = 1024
BUCKET = "campaign"
# As in the gallery, but 1,000 times smaller: objects of one piece, of several parts, and so large that they are ranged.
PART_SIZE, LARGE_SIZE, RANGE_SIZE = 32 * KIB, 128 * KIB, 32 * KIB
SIZES = (0, 1, 700, 5_000, 20_000, 40_000, 90_000, 200_000, 300_000)
OBJECTS, CHANGED_EACH_TIME, CONNECTIONS = 24, 5, 4
READ_TIMEOUT, STALL = 0.25, 0.6


class Kind(NamedTuple):
    """A kind of fault, and where it may happen."""

    fault: Fault
    operations: tuple[str, ...] = (GET_OBJECT, HEAD_OBJECT, LIST_OBJECTS)

    def rule(self, chance: random.Random, keys: list[str]) -> FaultRule:
        """Let it happen to some requests."""
        some = chance.sample(self.operations, chance.randint(1, len(self.operations)))
        common = {"fault": self.fault, "operations": frozenset(some)}
        if isinstance(self.fault, StalledBody):
            return FaultRule(**common, keys=chance.choice(["p?/", *keys]), times=1)  # a stall takes its time
        return FaultRule(**common, times=chance.choice((1, 2, 5, None)), probability=chance.uniform(0.1, 0.7))


_BODIES = (GET_OBJECT, LIST_OBJECTS)
FAULTS = (
    Kind(SlowDown()),
    Kind(Refusal("InternalError")),
    Kind(Refusal("AccessDenied")),
    Kind(Refusal("NoSuchKey"), (GET_OBJECT, HEAD_OBJECT)),
    Kind(HtmlPage()),
    Kind(ConnectionReset()),
    Kind(TruncatedBody(share=0), _BODIES),
    Kind(TruncatedBody(share=0.6), _BODIES),
    Kind(StalledBody(STALL), _BODIES),
    Kind(WrongLength(0.5)),
    Kind(WrongLength(1.5)),
    Kind(FlippedBit(), _BODIES),
    Kind(IgnoredHeader("range"), (GET_OBJECT,)),
    Kind(IgnoredHeader("if-match"), (GET_OBJECT,)),
    Kind(ChangedObject(), (GET_OBJECT,)),
    Kind(OtherEtag(), (GET_OBJECT,)),
    Kind(Latency(0.005)),
)


def _treat_small_as_large() -> None:
    """Let objects of some kilobytes be treated as those of gigabytes are, in this process."""
    download.LARGE_SIZE = LARGE_SIZE
    ranges._SMALLEST_RANGE = ranges._LARGEST_RANGE = RANGE_SIZE
    botocore.endpoint.time = _NoWaits


class _NoWaits:
    """Stands in for ``time`` where botocore waits before it asks again."""

    sleep = staticmethod(lambda seconds: None)


def _connect(endpoint: str) -> Any:
    return gallery_client(endpoint, connections=CONNECTIONS, read_timeout=READ_TIMEOUT, attempts=2)


def _pull(client: Any, store: Path, prefix: str = "") -> PullReport:
    listed = list_objects(client, BUCKET, prefix)
    with Inventory(store) as inventory:
        return pull_objects(
            client,
            BUCKET,
            listed,
            destination=store,
            inventory=inventory,
            connections=CONNECTIONS,
            retry=RetryPolicy(attempts=4, first_wait=0.001),
        )


def _pull_in_a_process(endpoint: str, store: Path) -> None:
    _treat_small_as_large()
    with suppress(GalleryError):
        _pull(_connect(endpoint), store)


def _md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@dataclass
class Campaign:
    """A bucket whose objects change, a server that fails, and a store that is pulled into."""

    server: S3Server
    folder: Path
    store: Path
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))
    versions: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    counts: Counter[str] = field(default_factory=Counter)

    def put(self, key: str, size: int) -> None:
        """Write a new version of an object; the server may show it with another last byte."""
        content = self.chance.randbytes(size)
        self.versions[key] |= {_md5(content), _md5(invert_last_byte(content))}
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(content)
        part.replace(path)

    def change_objects(self, count: int) -> None:
        """Write some objects anew."""
        for key in self.chance.sample(sorted(self.versions), count):
            self.put(key, self.chance.choice(SIZES))

    def spoil(self, number: int) -> None:
        """Let some kinds of faults happen, by chance."""
        kinds = self.chance.sample(FAULTS, self.chance.randint(1, 4))
        if any(isinstance(kind.fault, OtherEtag) for kind in kinds):
            # Of an ETag that says nothing no client can tell wrong bytes of the right number.
            kinds = [kind for kind in kinds if not isinstance(kind.fault, FlippedBit | ChangedObject)]
        drawn = (kind.rule(self.chance, sorted(self.versions)) for kind in kinds)
        self.server.faults = FaultPlan(*drawn, seed=number)

    def pull(self, client: Any) -> None:
        """Pull all or a part, and count what came of it."""
        prefix = self.chance.choice(("", "p0/", "p1/", "p2/", "p3/"))
        try:
            report = _pull(client, self.store, prefix)
        except IncompletePullError as error:
            report = error.report
            self.counts["pulls with failed objects"] += 1
        except GalleryError:
            self.counts["listings that failed"] += 1
            return
        for name, value in report.sums().items():
            self.counts[name] += int(value)

    def pull_and_kill(self, context: Any) -> None:
        """Pull in a process of its own, and kill it after a number of requests that is left to chance."""
        self.server.faults = FaultPlan(FaultRule(TruncatedBody(0.6), probability=0.3), FaultRule(Latency(0.02)))
        asked = len(self.server.requests)
        process = context.Process(target=_pull_in_a_process, args=(self.server.endpoint, self.store))
        process.start()
        until = asked + self.chance.randint(2, 2 * OBJECTS)
        while len(self.server.requests) < until and process.is_alive():
            time.sleep(0.001)
        process.kill()
        process.join()
        self.counts["killed while pulling"] += process.exitcode == -signal.SIGKILL

    def kinds_met(self) -> Counter[str]:
        """Count the requests that met each kind of fault."""
        return Counter(fault for request in self.server.requests for fault in request.faults)

    def wrong_files(self) -> list[str]:
        """Give the files that are no version of their object."""
        return [key for key, path in self.files() if _md5(path.read_bytes()) not in self.versions[key]]

    def files(self) -> Iterator[tuple[str, Path]]:
        """Give what lies in the store under its own name, by key."""
        for path in sorted(self.store.rglob("*")):
            key = path.relative_to(self.store).as_posix()
            if path.is_file() and not key.startswith("inventory.sqlite") and ".part" not in path.suffixes:
                yield key, path


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Campaign]:
    """Give a bucket of a few dozen objects, in which parts and ranges are small."""
    folder = tmp_path / "served" / BUCKET
    folder.mkdir(parents=True)
    for module, name in ((download, "LARGE_SIZE"), (ranges, "_SMALLEST_RANGE"), (ranges, "_LARGEST_RANGE")):
        monkeypatch.setattr(module, name, getattr(module, name))  # so that it is what it was when the test is over
    monkeypatch.setattr(botocore.endpoint, "time", botocore.endpoint.time)
    _treat_small_as_large()
    upload = UploadRule(multipart_threshold=2 * PART_SIZE, part_size=PART_SIZE)
    with S3Server(folder.parent, upload=upload, kept_requests=1_000_000) as server:
        made = Campaign(server, folder, tmp_path / "store")
        for number in range(OBJECTS):
            made.put(f"p{number % 4}/r{number:02d} c+%é.tiff", SIZES[number % len(SIZES)])
        yield made


def _print(campaign: Campaign, unfinished: list[Path], *, seconds: float) -> None:
    counts, requests = campaign.counts, campaign.server.requests
    kinds = ", ".join(f"{name} {count:,}" for name, count in sorted(campaign.kinds_met().items()))
    resumed, killed = bytes_text(counts["resumed_bytes"]), counts["killed while pulling"]
    print(
        f"\n{PULLS} pulls in {seconds:.0f} s: {counts['objects']:,} objects, {bytes_text(counts['bytes'])}, "
        f"{counts['retries']:,} retries, {resumed} resumed; 0 files wrong or half\n"
        f"{killed} processes killed, {len(unfinished)} unfinished files left; {counts['failed']:,} objects failed in "
        f"{counts['pulls with failed objects']} pulls, {counts['listings that failed']} listings failed\n"
        f"{counts['absent']:,} absent, {counts['changed']:,} changed, {counts['unverified']:,} unverified\n"
        f"{sum(bool(request.faults) for request in requests):,} of {len(requests):,} requests met a fault: {kinds}"
    )


def test_nothing_wrong_or_half_is_ever_in_place_and_everything_comes_in_the_end(campaign: Campaign) -> None:
    started = time.monotonic()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    client = _connect(campaign.server.endpoint)
    for number in range(1, PULLS + 1):
        if number % KILL_EVERY:
            campaign.change_objects(CHANGED_EACH_TIME)
            campaign.spoil(number)
            campaign.pull(client)
        else:
            campaign.change_objects(OBJECTS)
            campaign.pull_and_kill(context)
        assert campaign.wrong_files() == []
    campaign.server.faults = FaultPlan()
    unfinished = [path for path in campaign.store.rglob("*") if ".part" in path.suffixes]
    last = _pull(client, campaign.store)
    assert (last.failed, last.absent, last.unverified) == ((), (), ())
    held = {key: path.read_bytes() for key, path in campaign.files()}
    assert held == {key: (campaign.folder / key).read_bytes() for key in campaign.versions}
    _print(campaign, unfinished, seconds=time.monotonic() - started)
    assert campaign.counts["killed while pulling"] == PULLS // KILL_EVERY
    assert campaign.counts["resumed_bytes"] > 0
    assert len(campaign.kinds_met()) == len({type(kind.fault) for kind in FAULTS})

"""Which runs may be forgotten, and which must stay because something is still told by them.

Belongs here: the decision, pure: records in, runs out. Does not belong here: reading the records, deleting
(``pruning``).

Dagster keeps no state of an asset beside its events: whether a plate was made, whether it is stale, and what automation
requests are all read from them, and a run takes its events along. So a run stays, however old, that holds

- the latest materialization or observation of a partition: without it, the partition looks as if it was never made;
- the event with which the latest data version came, and the one before it, of another version: a sensor asks which
  version there was when it last looked, and the same version observed a year later must not look like a change;
- what a latest materialization was made from, and for an asset over all plates the state of all of them at that moment:
  where there is nothing of that moment to compare with, a plate is stale, and automation makes it again;
- the latest attempt to make a partition, and the latest evaluation of a check in each partition;
- the last end of each kind: SQLite gives the number of a deleted last event to the next one, and who reads on from a
  number (sensors, automation) would miss it.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter


class Need(StrEnum):
    """Why an old run stays, as a person reads it."""

    UNFINISHED = "not finished"
    BACKFILL = "of a backfill that goes on"
    LATEST = "latest materialization or observation of an asset or partition"
    VERSION = "since when an asset or partition has its data version"
    SOURCE = "what a latest materialization was made from"
    ATTEMPT = "latest attempt to make an asset or partition"
    CHECK = "latest evaluation of a check"
    NEWEST = "last run that ended so"


@dataclass(frozen=True)
class AssetEvent:
    """A materialization or an observation.

    Attributes
    ----------
    asset, partition
        Of what; partition is None where the asset has none.
    kind
        Materialization or observation.
    storage_id
        Number of the event, which rises with time.
    run_id
        The run that it belongs to.
    version
        Data version; None where none was recorded.
    made_from
        Number of the latest event of each upstream asset when this one was made, by asset; None where it had none.
    """

    asset: str
    partition: str | None
    kind: str
    storage_id: int
    run_id: str
    version: str | None = None
    made_from: Mapping[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class PrunePlan:
    """What is to be done about the runs.

    Attributes
    ----------
    deleted
        Runs to delete, oldest first.
    kept
        Number of old runs that stay, by the first reason that applies.
    young
        Number of runs that are not old enough.
    """

    deleted: tuple[str, ...]
    kept: Mapping[Need, int]
    young: int


def plan_pruning(ended: Mapping[str, float], needs: Mapping[Need, Collection[str]], *, before: float) -> PrunePlan:
    """Decide about every run.

    Parameters
    ----------
    ended
        When each run ended or, where it has not, last changed; seconds since 1970 in UTC.
    needs
        The runs that must stay, by reason.
    before
        Runs that ended earlier are old.
    """
    old = sorted((run for run, moment in ended.items() if moment < before), key=lambda run: (ended[run], run))
    reasons = {run: next((need for need in Need if run in needs.get(need, ())), None) for run in old}
    counts = Counter(reasons.values())
    return PrunePlan(
        deleted=tuple(run for run, reason in reasons.items() if reason is None),
        kept={need: counts[need] for need in Need if counts[need]},
        young=len(ended) - len(old),
    )


def runs_of_state(events: Iterable[AssetEvent]) -> dict[Need, set[str]]:
    """Give the runs that hold the latest state of all assets and what it is compared with, by reason.

    Parameters
    ----------
    events
        All materializations and observations that are on record.
    """
    history = _History(events)
    latest = [series[-1] for series in history.series()]
    return {
        Need.LATEST: {event.run_id for event in latest},
        Need.VERSION: {event.run_id for series in history.series() for event in _change_of_version(series)},
        Need.SOURCE: {source.run_id for event in latest for source in history.sources(event)},
    }


def _change_of_version(series: Sequence[AssetEvent]) -> Sequence[AssetEvent]:
    """Give the event since which the data version is what it is now, and the one before it."""
    first = len(series) - 1
    while first > 0 and series[first - 1].version == series[-1].version:
        first -= 1
    return series[max(first - 1, 0) : first + 1]


class _History:
    """The events of each partition in their order, by asset."""

    def __init__(self, events: Iterable[AssetEvent]) -> None:
        by_asset: dict[str, dict[tuple[str | None, str], list[AssetEvent]]] = defaultdict(lambda: defaultdict(list))
        for event in sorted(events, key=attrgetter("storage_id")):
            by_asset[event.asset][event.partition, event.kind].append(event)
        self._by_asset = by_asset

    def series(self) -> Iterable[Sequence[AssetEvent]]:
        """Give the events of each partition and kind, in their order."""
        return (series for of_asset in self._by_asset.values() for series in of_asset.values())

    def sources(self, event: AssetEvent) -> Iterable[AssetEvent]:
        """Give the events that were the latest of what an event was made from, when it was made.

        Of an upstream asset that has the event's partition too, that partition; of others, all.
        """
        for asset, moment in event.made_from.items():
            upstream = self._by_asset.get(asset, {})
            of_same = {key: series for key, series in upstream.items() if key[0] == event.partition}
            for series in (of_same or upstream).values():
                seen = bisect_right(series, moment or 0, key=attrgetter("storage_id"))
                if seen:
                    yield series[seen - 1]

"""What a pruned history tells is what the whole one told."""

from bisect import bisect_right
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from cpjump_assets.orchestration.needed_runs import AssetEvent, Need, plan_pruning, runs_of_state

DAY = 86_400.0


def test_only_old_runs_that_nobody_needs_are_deleted_oldest_first() -> None:
    ended = {"young": 10 * DAY, "second": 2 * DAY, "first": DAY, "needed": 0.0, "open": 0.0}
    needs = {Need.CHECK: {"needed", "young"}, Need.UNFINISHED: {"open"}, Need.LATEST: {"needed"}}
    plan = plan_pruning(ended, needs, before=5 * DAY)
    assert plan.deleted == ("first", "second")
    assert plan.kept == {Need.UNFINISHED: 1, Need.LATEST: 1}
    assert plan.young == 1


def test_a_run_that_ended_at_the_moment_itself_is_not_old() -> None:
    assert plan_pruning({"run": DAY}, {}, before=DAY).deleted == ()


def test_an_asset_over_all_plates_needs_the_state_of_each_when_it_was_made() -> None:
    plates = [
        AssetEvent("plate", partition, "made", number, f"run {number}", version=str(number))
        for number, partition in enumerate(["a", "b", "a", "b", "a", "a", "a"], start=1)
    ]
    batch = AssetEvent("batch", None, "made", 9, "batch", made_from={"plate": 3})
    assert runs_of_state([*plates, batch])[Need.SOURCE] == {"run 3", "run 2"}
    of_one = AssetEvent("table", "b", "made", 9, "table", made_from={"plate": 3, "never made": 5, "unknown": None})
    assert runs_of_state([*plates, of_one])[Need.SOURCE] == {"run 2"}


def test_events_of_both_kinds_are_kept_apart() -> None:
    events = [AssetEvent("plate", "a", "made", 1, "made"), AssetEvent("plate", "a", "observed", 2, "observed")]
    assert runs_of_state(events)[Need.LATEST] == {"made", "observed"}


@st.composite
def observed_source(draw: st.DrawFn) -> list[AssetEvent]:
    """Draw what some looks at a source of two plates found, and a table that was made from it now and then."""
    events: list[AssetEvent] = []
    seen: dict[str, int] = {}
    for week in range(draw(st.integers(1, 12))):
        for partition in draw(st.sets(st.sampled_from("ab"), min_size=1)):
            number, version = len(events) + 1, draw(st.sampled_from("xyz"))
            events.append(AssetEvent("source", partition, "observed", number, f"look {week}", version))
            seen[partition] = number
        for partition in draw(st.sets(st.sampled_from(sorted(seen)))):
            number, inputs = len(events) + 1, {"source": seen[partition]}
            events.append(AssetEvent("table", partition, "made", number, f"make {week}", made_from=inputs))
    return events


def _of(events: Sequence[AssetEvent], asset: str, partition: str) -> list[AssetEvent]:
    return [event for event in events if (event.asset, event.partition) == (asset, partition)]


def _has_changed_since(events: Sequence[AssetEvent], partition: str, moment: int) -> bool:
    """Tell as Dagster does whether the source has another version than it had at a moment."""
    series = _of(events, "source", partition)
    seen = bisect_right([event.storage_id for event in series], moment)
    then = series[seen - 1].version if seen else None
    return seen < len(series) and series[-1].version != then


@settings(max_examples=150, deadline=None)
@given(observed_source())
def test_neither_staleness_nor_a_change_since_the_last_version_depends_on_what_was_pruned(
    events: list[AssetEvent],
) -> None:
    needs = runs_of_state(events)
    kept_runs = set().union(*needs.values())
    kept = [event for event in events if event.run_id in kept_runs]
    assert set().union(*runs_of_state(kept).values()) == kept_runs
    for partition in {event.partition for event in events}:
        for table in _of(events, "table", partition)[-1:]:
            assert table in kept
            (moment,) = table.made_from.values()
            assert _has_changed_since(kept, partition, moment) == _has_changed_since(events, partition, moment)
        series = _of(events, "source", partition)
        versions = [event.version for event in series]
        others = [place for place, version in enumerate(versions) if version != versions[-1]]
        first = series[others[-1]].storage_id if others else series[0].storage_id
        for moment in range(first, len(events) + 1):
            assert _has_changed_since(kept, partition, moment) == _has_changed_since(events, partition, moment)

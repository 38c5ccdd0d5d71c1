"""Overdue assets are found once, and again when they were made."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.test_utils import freeze_time

from cpjump_assets_tests.orchestration.alerting.trials import UI, Listener

KEY = dg.AssetKey("table")


def _becomes(instance: dg.DagsterInstance, state: FreshnessState) -> None:
    """Record what the freshness daemon records."""
    change = FreshnessStateChange(
        key=KEY,
        previous_state=FreshnessState.UNKNOWN,
        new_state=state,
        state_change_timestamp=datetime.now(UTC).timestamp(),
    )
    instance._report_runless_asset_event(change)


def test_an_overdue_asset_is_told_once_and_its_end(listener: Listener, instance: dg.DagsterInstance) -> None:
    with freeze_time(datetime.now(UTC) - timedelta(days=9)):
        instance.report_runless_asset_event(dg.AssetMaterialization(KEY))
    _becomes(instance, FreshnessState.PASS)
    assert listener.told() == []
    _becomes(instance, FreshnessState.FAIL)
    (event,) = listener.look()
    assert (event.state, event.subject.key) == ("failed", "asset:table")
    assert dict(event.numbers)["age"] == "9.0 days"
    assert event.link == f"{UI}/assets/table"
    assert listener.told() == []
    _becomes(instance, FreshnessState.PASS)
    assert listener.told() == ["recovered asset:table"]
    _becomes(instance, FreshnessState.FAIL)
    assert listener.told() == ["failed asset:table"]


@pytest.mark.parametrize("state", [FreshnessState.UNKNOWN, FreshnessState.PASS, FreshnessState.WARN])
def test_what_is_not_overdue_is_not_told(
    listener: Listener, instance: dg.DagsterInstance, state: FreshnessState
) -> None:
    _becomes(instance, state)
    assert listener.told() == []

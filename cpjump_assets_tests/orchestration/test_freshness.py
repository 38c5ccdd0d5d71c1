"""Scores and manifests that were not made for too long are overdue; nothing else ever is."""

import asyncio
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.definitions.freshness_evaluator import TimeWindowFreshnessPolicyEvaluator
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import freeze_time
from dagster._time import get_current_datetime

from cpjump_assets.build import build_defs
from cpjump_assets.settings import Settings
from cpjump_assets_tests.orchestration.lab import Lab

WATCHED = {"split_manifest", "overall_scores", "benchmark_scores"}


def test_scores_and_manifests_have_a_policy_of_as_many_days_as_the_setting_says() -> None:
    graph = build_defs(Settings(fresh_days=3)).resolve_asset_graph()
    policies = {node.key.to_user_string(): node.freshness_policy for node in graph.asset_nodes if node.freshness_policy}
    assert set(policies) == WATCHED
    assert set(policies.values()) == {dg.FreshnessPolicy.time_window(fail_window=timedelta(days=3))}


def test_the_daemon_of_the_projects_instance_evaluates_them(refreshed_lab: Lab) -> None:
    with refreshed_lab.instance() as instance:
        assert instance.freshness_enabled


@pytest.mark.parametrize("name", sorted(WATCHED))
@pytest.mark.parametrize(("days", "state"), [(2.9, FreshnessState.PASS), (3.1, FreshnessState.FAIL)])
def test_a_refreshed_asset_becomes_overdue(refreshed_lab: Lab, name: str, days: float, state: FreshnessState) -> None:
    node = build_defs(Settings(fresh_days=3)).resolve_asset_graph().get(dg.AssetKey(name))
    with refreshed_lab.instance() as instance:
        made = instance.get_latest_materialization_event(node.key)
        elapsed = timedelta(seconds=get_current_datetime().timestamp() - made.timestamp)
        with freeze_time(get_current_datetime() - elapsed + timedelta(days=days)):
            evaluating = TimeWindowFreshnessPolicyEvaluator().evaluate_freshness(LoadingContextForTest(instance), node)
            assert asyncio.run(evaluating) is state

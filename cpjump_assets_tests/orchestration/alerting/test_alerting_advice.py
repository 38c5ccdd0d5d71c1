"""Every check and job of the platform has its advice."""

import dagster as dg
import pytest

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.alerting import advice
from cpjump_assets.settings import Settings

_NO_ADVICE = advice.of_check(dg.AssetCheckKey(dg.AssetKey("unknown"), "unknown"))


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_defs(Settings())


def test_every_check_has_advice_of_its_own(definitions: dg.Definitions) -> None:
    keys = definitions.resolve_asset_graph().asset_check_keys
    assert len(keys) > 50
    assert [key for key in keys if advice.of_check(key) == _NO_ADVICE] == []


def test_a_promise_and_a_rule_that_is_none_are_told_apart() -> None:
    asset = tables.SPLIT_MANIFEST.asset_key
    promise, rule, schema = (
        advice.of_check(dg.AssetCheckKey(asset, name)) for name in ("promise_target", "target", "split_manifest_schema")
    )
    assert "must not be used" in promise
    assert "nothing is stopped" in rule
    assert "job `verify`" in schema


def test_the_table_names_nothing_that_is_not_there(definitions: dg.Definitions) -> None:
    checks = {key.name for key in definitions.resolve_asset_graph().asset_check_keys}
    jobs = {job.name for job in definitions.resolve_all_job_defs()}
    assert set(advice._BY_CHECK) <= checks
    assert set(advice._BY_JOB) <= jobs

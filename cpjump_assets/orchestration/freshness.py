"""Freshness: which assets must not grow old, and how old is too old.

Belongs here: the policies. Does not belong here: telling somebody (``alerting``), making the asset again (``refresh``,
``automation``).

An asset is overdue when it was not made for ``CPJUMP_FRESH_DAYS``, changed or not: a refresh makes these assets every
time, so one that is overdue says that the refresh does not run, or does not get there. The web UI shows it.
"""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from cpjump_assets.orchestration import tables

WATCHED = (tables.SPLIT_MANIFEST, tables.OVERALL_SCORES, tables.BENCHMARK_SCORES)
"""What users take away: if these are fresh, so is everything that they are made from."""


def with_freshness(
    assets: Sequence[dg.AssetsDefinition | dg.SourceAsset], *, days: int
) -> list[dg.AssetsDefinition | dg.SourceAsset]:
    """Give the assets, those in ``WATCHED`` with a policy.

    Parameters
    ----------
    assets
        All assets.
    days
        Days after which one that was not made again is overdue.
    """
    policy = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=days))
    watched = {asset.asset_key for asset in WATCHED}

    def watch(spec: dg.AssetSpec) -> dg.AssetSpec:
        return dg.apply_freshness_policy(spec, policy) if spec.key in watched else spec

    return [
        asset.map_asset_specs(watch) if isinstance(asset, dg.AssetsDefinition) and watched & asset.keys else asset
        for asset in assets
    ]

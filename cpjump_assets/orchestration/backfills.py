"""Backfills of plates from the web UI, and runs that automation asks for: how many plates a run takes.

Belongs here: the policy of ``CPJUMP_PLATES_PER_RUN``. Does not belong here: how a run loops over its plates
(``recording``), how a refresh cuts its own runs (``refresh``).

A run launcher that gives each run a machine of its own spreads a backfill by this, without any other change.
"""

from collections.abc import Sequence

import dagster as dg

from cpjump_assets.orchestration.partitions import plates


def with_plates_per_run(
    assets: Sequence[dg.AssetsDefinition | dg.SourceAsset], *, plates_per_run: int | None
) -> list[dg.AssetsDefinition | dg.SourceAsset]:
    """Give the assets, those of plates with at most so many of them in one run.

    Parameters
    ----------
    assets
        All assets; those of plates take all plates in one run.
    plates_per_run
        Largest number of plates in one run of a backfill; None leaves them all in one.
    """
    if plates_per_run is None:
        return list(assets)
    policy = dg.BackfillPolicy.multi_run(max_partitions_per_run=plates_per_run)
    return [
        asset.with_attributes(backfill_policy=policy)
        if isinstance(asset, dg.AssetsDefinition) and asset.partitions_def == plates
        else asset
        for asset in assets
    ]

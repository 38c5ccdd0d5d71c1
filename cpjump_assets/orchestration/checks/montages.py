"""Checks of the montages: the files that the lists of all plates name.

Belongs here: reading what is stored again. Does not belong here: drawing (``figures``).
"""

from collections.abc import Callable
from typing import Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.assets.montages import altered_montages
from cpjump_assets.orchestration.display import counts
from cpjump_assets.orchestration.partitions import PLATE_KEYS
from cpjump_assets.orchestration.resources import Platform

_SHOWN = 50


@dg.asset_check(
    asset=tables.MONTAGES.asset_key,
    description="Every montage that is listed lies in the store as it was drawn.",
)
def montages_as_drawn(platform: Platform) -> dg.AssetCheckResult:
    """Compare the digests of the files of all plates with the lists."""
    store = platform.store
    stored = tables.MONTAGES.stored(store, PLATE_KEYS)
    files = sum(store.describe(tables.MONTAGES.key(plate)).rows for plate in stored)
    odd = [name for plate in stored for name in altered_montages(store, plate)]
    return dg.AssetCheckResult(
        passed=not odd,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            **counts({"plates": len(stored), "files": files, "altered or absent": len(odd)}),
            "which": ", ".join(odd[:_SHOWN]) or "none",
        },
    )


checks: list[Callable[..., Any]] = [montages_as_drawn]

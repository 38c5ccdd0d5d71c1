"""The check that our profiles are those that the gallery publishes, over all plates that were compared.

Belongs here: reading the stored comparisons and showing what they come to. Does not belong here: comparing
(``science.reproduction``), pulling (``assets.reproduction``).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.display import counts, markdown_table, narrow
from cpjump_assets.orchestration.partitions import PLATE_KEYS
from cpjump_assets.orchestration.resources import Platform

if TYPE_CHECKING:
    import pandas as pd

_WARN = dg.AssetCheckSeverity.WARN
_SHOWN = {
    "level": "level",
    "plates": "plates",
    "reproduced": "reproduced",
    "values": "values",
    "different": "different",
    "worst share equal": "worst_share_equal",
    "of plate": "worst_plate",
    "wells on one side": "one_side_wells",
    "features on one side": "one_side_features",
    "withheld": "withheld",
}
_SHOWN_LARGEST = {
    "level": "level",
    "largest": "largest_difference",
    "plate, well, feature": "largest_at",
    "largest relative": "largest_relative_difference",
}
_SHOWN_ONE_SIDED = {
    "plate": "Metadata_Plate",
    "level": "level",
    "only ours": "examples_only_ours",
    "only published": "examples_only_published",
}
_MOST = 20
"""Rows of a table that the UI shows."""


@dg.asset_check(
    asset=tables.PROFILE_REPRODUCTION.asset_key,
    description=(
        "Where the gallery publishes a level of a plate's profiles, ours has the same wells and features, and at least "
        "99.9 % of its values are the same at five significant digits. Features that a few wells lack are withheld by "
        "our selection on purpose, and counted. Sphered files are compared and shown but do not decide: those of the "
        "gallery were made by another method than its profiles."
    ),
)
def reproduces_published_profiles(platform: Platform) -> dg.AssetCheckResult:
    """Sum up the stored comparisons."""
    from cpjump_assets.science.levels import MADE_OTHERWISE
    from cpjump_assets.science.reproduction import summarize_reproduction

    table = _stored_comparisons(platform)
    if table.empty:
        nothing = "nothing to compare: no published file is held of a level that was made here"
        return dg.AssetCheckResult(passed=True, severity=_WARN, metadata={"levels": nothing})
    differing = table[~table["reproduces"] & ~table["level"].isin(MADE_OTHERWISE)]
    summary = summarize_reproduction(table)
    largest = summary.dropna(subset="largest_at")
    unexplained = table["features_only_ours"] + table["features_only_published"] - table["features_withheld"]
    one_sided = table[unexplained > 0].head(_MOST)
    return dg.AssetCheckResult(
        passed=differing.empty,
        severity=_WARN,
        metadata={
            **counts(
                {
                    "plates": table["Metadata_Plate"].nunique(),
                    "levels compared": len(table),
                    "levels reproduced": table["reproduces"].sum(),
                    "levels that should be and are not": len(differing),
                }
            ),
            "by level": markdown_table(narrow(summary, _SHOWN)),
            "largest differences": markdown_table(narrow(largest, _SHOWN_LARGEST)) if len(largest) else "none",
            "features on one side only": (
                markdown_table(narrow(one_sided, _SHOWN_ONE_SIDED)) if len(one_sided) else "none but withheld ones"
            ),
        },
    )


def _stored_comparisons(platform: Platform) -> "pd.DataFrame":
    """Read the comparisons of all plates."""
    import pandas as pd

    from cpjump_assets.science.reproduction import reproduction_table

    store = platform.store
    keys = list(map(tables.PROFILE_REPRODUCTION.key, tables.PROFILE_REPRODUCTION.stored(store, PLATE_KEYS)))
    none = reproduction_table([], tables.PROFILE_REPRODUCTION.name)
    return pd.concat([none, *map(store.read, keys)], ignore_index=True)


checks: list[Callable[..., Any]] = [reproduces_published_profiles]

"""Checks of the profiles of all stored plates of the main batch at once.

Belongs here: completeness of plates, missing values, selected features. Does not belong here: how they are counted
(``science.quality``).
"""

from collections.abc import Callable
from typing import Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.display import counts, markdown_table
from cpjump_assets.orchestration.partitions import MAIN_PLATE_KEYS
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.orchestration.tables import StoredAsset

_ERROR, _WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


@dg.asset_check(
    asset=tables.AGGREGATED_PROFILES.asset_key,
    description="Every plate of the main batch has been pulled. One that the gallery lacks is a finding, no failure.",
)
def main_plates_pulled(platform: Platform) -> dg.AssetCheckResult:
    """Count the plates of the main batch that are not in the store."""
    stored = set(tables.AGGREGATED_PROFILES.stored(platform.store, MAIN_PLATE_KEYS))
    missing = [key for key in MAIN_PLATE_KEYS if key not in stored]
    return dg.AssetCheckResult(
        passed=not missing,
        severity=_WARN,
        metadata={"plates": len(MAIN_PLATE_KEYS), "missing": len(missing), "which": ", ".join(missing) or "none"},
    )


@dg.asset_check(
    asset=tables.AGGREGATED_PROFILES.asset_key,
    description="All plates have the same features, in the same order; otherwise the batch cannot be put together.",
)
def same_features_on_every_plate(platform: Platform) -> dg.AssetCheckResult:
    """Compare the columns of the stored plates."""
    from cpjump_assets.science.quality import odd_features

    store = platform.store
    plates = _stored(store, tables.AGGREGATED_PROFILES)
    odd = odd_features({key: store.open_profiles(tables.AGGREGATED_PROFILES.key(key)).features for key in plates})
    return dg.AssetCheckResult(
        passed=odd.empty,
        severity=_ERROR,
        metadata={**counts({"plates": len(plates), "odd plates": len(odd)}), "which": markdown_table(odd)},
    )


@dg.asset_check(
    asset=tables.FEATURE_SELECTION.asset_key,
    description="No feature that the published rules keep is dropped because some well lacks its value.",
)
def no_feature_lost_to_missing_values(platform: Platform) -> dg.AssetCheckResult:
    """Count the features that only the rule for remaining NaN drops."""
    selection = platform.store.read(tables.FEATURE_SELECTION.key())
    lost = selection[selection["dropped_by"] == "remaining_nan"]
    return dg.AssetCheckResult(
        passed=lost.empty,
        severity=_WARN,
        metadata={
            **counts({"features": len(selection), "kept": selection["kept"].sum(), "lost": len(lost)}),
            "which": markdown_table(lost[["feature", "n_missing", "n_plates_missing"]].head(20)),
        },
    )


@dg.asset_check(
    asset=tables.ANNOTATED_PROFILES.asset_key,
    description="Every well of a plate has a profile. Real plates are short of wells in places; the wells are counted.",
)
def plates_complete(platform: Platform) -> dg.AssetCheckResult:
    """Count the wells without a profile, by plate."""
    from cpjump_assets.science.quality import short_plates

    store = platform.store
    rows = {
        key: store.describe(tables.ANNOTATED_PROFILES.key(key)).rows
        for key in _stored(store, tables.ANNOTATED_PROFILES)
    }
    table = short_plates(rows)
    return dg.AssetCheckResult(
        passed=table.empty,
        severity=_WARN,
        metadata={**counts({"plates": len(rows), "plates short of wells": len(table)}), "which": markdown_table(table)},
    )


@dg.asset_check(
    asset=tables.NORMALIZED_PROFILES.asset_key,
    description="No feature lacks values. Features without spread in the negative controls, or with NaN, are counted.",
)
def features_without_values(platform: Platform) -> dg.AssetCheckResult:
    """Count the features that lack values, by plate; they never reach a score (see feature_selection)."""
    from cpjump_assets.science.quality import incomplete_features

    store = platform.store
    keys = _stored(store, tables.NORMALIZED_PROFILES)
    table = incomplete_features(store.open_profiles(tables.NORMALIZED_PROFILES.key(key)) for key in keys)
    return dg.AssetCheckResult(
        passed=table.empty,
        severity=_WARN,
        metadata={
            **counts({"plates": len(keys), "features that lack values somewhere": table["feature"].nunique()}),
            "by plate": markdown_table(
                table.groupby("plate", as_index=False).size().rename(columns={"size": "features"})
            ),
        },
    )


@dg.asset_check(
    asset=tables.SELECTED_PROFILES.asset_key,
    description="Every selected feature of every well is a finite number, and no well comes twice.",
    blocking=True,
)
def selected_profiles_finite(platform: Platform) -> dg.AssetCheckResult:
    """Look at the stored matrix."""
    from cpjump_assets.science.quality import count_unusable

    unusable = count_unusable(platform.store.read_profiles(tables.SELECTED_PROFILES.key()))
    return dg.AssetCheckResult(passed=not any(unusable.values()), severity=_ERROR, metadata=counts(unusable))


def _stored(store: Any, asset: StoredAsset) -> list[str]:
    return asset.stored(store, MAIN_PLATE_KEYS)


checks: list[Callable[..., Any]] = [
    main_plates_pulled,
    same_features_on_every_plate,
    no_feature_lost_to_missing_values,
    plates_complete,
    features_without_values,
    selected_profiles_finite,
]

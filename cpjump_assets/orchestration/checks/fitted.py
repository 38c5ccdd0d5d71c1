"""Checks of fitted profiles: that a fit on train saw nothing else, and that sphered values are numbers.

Belongs here: reading stored tables again and turning findings into check results. Does not belong here: the proof
(``science.train_proof``), the fits (``science.train_fit``).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.display import counts
from cpjump_assets.orchestration.partitions import MAIN_PLATE_KEYS, strategies
from cpjump_assets.orchestration.recording import recorded_versions
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.orchestration.tables import StoredAsset

if TYPE_CHECKING:
    from cpjump_assets.science.train_proof import SelectionProof, SpheringProof, WellProof
    from cpjump_assets.storage.store import Store, StoredProfiles

_ERROR = dg.AssetCheckSeverity.ERROR
_NAME = "fitted_on_train_only"


@dg.asset_check(
    asset=tables.SPHERIZED_PROFILES.asset_key,
    description="Every sphered value of every well is a finite number, and no well comes twice.",
    blocking=True,
)
def spherized_profiles_finite(platform: Platform) -> dg.AssetCheckResult:
    """Look at the stored matrix."""
    from cpjump_assets.science.quality import count_unusable

    unusable = count_unusable(platform.store.read_profiles(tables.SPHERIZED_PROFILES.key()))
    return dg.AssetCheckResult(passed=not any(unusable.values()), severity=_ERROR, metadata=counts(unusable))


@dg.asset_check(
    asset=tables.TRAIN_FEATURE_SELECTION.asset_key,
    name=_NAME,
    description=(
        "Features were selected over the train wells of the stored manifest and no other well: the wells on record are "
        "these, the counts of values and the correlations of the stored table are what these wells give, and its "
        "verdicts are what the rules say of them."
    ),
    blocking=True,
    partitions_def=strategies,
)
def selection_fitted_on_train_only(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
    """Compute again from the train wells what tells whether another one was seen."""
    from cpjump_assets.science.train_proof import prove_selection

    store, strategy = platform.store, context.partition_key

    def prove() -> "SelectionProof":
        return prove_selection(
            _stored_plates(store),
            store.read(tables.SPLIT_MANIFEST.key(strategy)),
            store.read(tables.TRAIN_FIT_WELLS.key(strategy)),
            store.read(tables.TRAIN_FEATURE_SELECTION.key(strategy)),
            platform.preset.selection,
        )

    return _verdict(context, store, (tables.TRAIN_FIT_WELLS, tables.TRAIN_FEATURE_SELECTION), prove)


@dg.asset_check(
    asset=tables.TRAIN_SPHERIZED_PROFILES.asset_key,
    name=_NAME,
    description=(
        "The whitening was fitted on negative controls of plates that hold train wells and on no other well: the wells "
        "on record are these, and the stored profiles are what the stored selected ones give, fitted on these wells."
    ),
    blocking=True,
    partitions_def=strategies,
)
def sphering_fitted_on_train_only(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
    """Sphere the profiles again by the wells that may be seen, and compare."""
    from cpjump_assets.science.train_proof import prove_sphering

    store, strategy = platform.store, context.partition_key
    involved = (tables.TRAIN_FIT_WELLS, tables.TRAIN_SELECTED_PROFILES, tables.TRAIN_SPHERIZED_PROFILES)

    def prove() -> "SpheringProof":
        return prove_sphering(
            store.read(tables.SPLIT_MANIFEST.key(strategy)),
            store.read(tables.TRAIN_FIT_WELLS.key(strategy)),
            selected=store.read_profiles(tables.TRAIN_SELECTED_PROFILES.key(strategy)),
            sphered=store.read_profiles(tables.TRAIN_SPHERIZED_PROFILES.key(strategy)),
            config=platform.preset.spherize,
        )

    return _verdict(context, store, involved, prove)


def _verdict(
    context: dg.AssetCheckExecutionContext,
    store: "Store",
    involved: tuple[StoredAsset, ...],
    prove: "Callable[[], SelectionProof | SpheringProof]",
) -> dg.AssetCheckResult:
    """Show a proof; a stored file that is not the recorded one fails, whatever is in it."""
    from cpjump_assets.science.errors import CpjumpError

    altered = [asset.name for asset in involved if _is_altered(context, store, asset)]
    try:
        proof = prove()
    except CpjumpError as error:
        return dg.AssetCheckResult(passed=False, severity=_ERROR, metadata={"problem": str(error)})
    fields = proof._asdict()
    numbers = {name.replace("_", " "): value for name, value in fields.items() if isinstance(value, int)}
    return dg.AssetCheckResult(
        passed=proof.holds and not altered,
        severity=_ERROR,
        metadata={
            **_well_counts(proof.wells),
            **counts(numbers),
            "largest difference": proof.largest_difference,
            "altered since recorded": ", ".join(altered) or "none",
        },
    )


def _well_counts(wells: "WellProof") -> dict[str, dg.MetadataValue]:
    return counts(
        {
            "wells seen": wells.seen,
            "validate or test wells seen": wells.held_out,
            "wells seen that may not be": wells.not_allowed,
            "wells not seen that should be": wells.left_out,
        }
    )


def _is_altered(context: dg.AssetCheckExecutionContext, store: "Store", asset: StoredAsset) -> bool:
    strategy = context.partition_key
    recorded = recorded_versions(context.instance, asset, [strategy]).get(strategy)
    return recorded not in (None, store.describe(asset.key(strategy)).digest)


def _stored_plates(store: "Store") -> list["StoredProfiles"]:
    asset = tables.NORMALIZED_PROFILES
    return [store.open_profiles(asset.key(plate)) for plate in asset.stored(store, MAIN_PLATE_KEYS)]


checks: list[Callable[..., Any]] = [
    spherized_profiles_finite,
    selection_fitted_on_train_only,
    sphering_fitted_on_train_only,
]

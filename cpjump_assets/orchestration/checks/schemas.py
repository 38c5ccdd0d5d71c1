"""Checks that each stored table keeps to its schema.

Belongs here: which table has which schema. Does not belong here: what a schema says (``science``).
"""

from typing import TYPE_CHECKING

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.partitions import PLATE_KEYS, strategies
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.orchestration.tables import StoredAsset
from cpjump_assets.science.comparison import PUBLISHED_COMPARISON
from cpjump_assets.science.directionality import DIRECTIONAL_PAIRS, DIRECTIONALITY
from cpjump_assets.science.feature_selection import FEATURE_SELECTION
from cpjump_assets.science.image_index import IMAGE_INDEX
from cpjump_assets.science.image_montages import MONTAGES
from cpjump_assets.science.image_quality import IMAGE_QUALITY
from cpjump_assets.science.image_table import IMAGES
from cpjump_assets.science.known_issues import KNOWN_ISSUES
from cpjump_assets.science.plate_quality import PLATE_QUALITY
from cpjump_assets.science.schemas import (
    EXPERIMENT_METADATA,
    FIGURE_FILES,
    LEAKAGE_AUDIT,
    PERTURBATIONS,
    SPLIT_MANIFEST,
    WELLS,
)
from cpjump_assets.science.score_tables import CLASSES, PERCENT_SCORES, SCORES, with_strategy
from cpjump_assets.science.train_fit import TRAIN_FIT_WELLS

if TYPE_CHECKING:
    from cpjump_assets.science.schemas import TableSchema


def schema_check(
    asset: StoredAsset, schema: "TableSchema", partitions_def: dg.PartitionsDefinition | None = None
) -> dg.AssetChecksDefinition:
    """Make the check that a stored table keeps to its schema; it blocks what depends on the table."""

    @dg.asset_check(
        asset=asset.asset_key,
        name=f"{asset.name}_schema",
        description=f"Each row is {schema.row_is}: columns, types, allowed values and a key without repeats.",
        blocking=True,
        partitions_def=partitions_def,
    )
    def check(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
        from cpjump_assets.science.errors import BadTableError

        key = asset.key(context.partition_key if partitions_def else None)
        frame = platform.store.read(key)
        try:
            schema.check(frame, str(key))
        except BadTableError as error:
            return dg.AssetCheckResult(passed=False, metadata={"problem": str(error)})
        return dg.AssetCheckResult(passed=True, metadata={"rows": len(frame), "columns checked": len(schema.columns)})

    return check


def plates_schema_check(asset: StoredAsset, schema: "TableSchema") -> dg.AssetChecksDefinition:
    """Make the check that the stored tables of all plates keep to their schema; it blocks what depends on them.

    A check of each plate would not run in a range of plates, so that one looks at all of them.
    """

    @dg.asset_check(
        asset=asset.asset_key,
        name=f"{asset.name}_schema",
        description=f"Each row is {schema.row_is}: columns, types, allowed values and a key without repeats.",
        blocking=True,
    )
    def check(platform: Platform) -> dg.AssetCheckResult:
        from cpjump_assets.science.errors import BadTableError

        store = platform.store
        keys = list(map(asset.key, asset.stored(store, PLATE_KEYS)))
        problems = []
        for key in keys:
            try:
                schema.check(store.read(key), str(key))
            except BadTableError as error:
                problems.append(str(error))
        return dg.AssetCheckResult(
            passed=not problems,
            metadata={
                "plates": len(keys),
                "columns checked": len(schema.columns),
                **({"problem": "; ".join(problems)} if problems else {}),
            },
        )

    return check


_SCHEMAS: list[tuple[StoredAsset, "TableSchema", dg.PartitionsDefinition | None]] = [
    (tables.EXPERIMENT_METADATA, EXPERIMENT_METADATA, None),
    (tables.PERTURBATIONS, PERTURBATIONS, None),
    (tables.WELLS, WELLS, None),
    (tables.KNOWN_ISSUES, KNOWN_ISSUES, None),
    (tables.SPLIT_MANIFEST, SPLIT_MANIFEST, strategies),
    (tables.LEAKAGE_AUDIT, LEAKAGE_AUDIT, strategies),
    (tables.FEATURE_SELECTION, FEATURE_SELECTION, None),
    (tables.PLATE_QUALITY, PLATE_QUALITY, None),
    (tables.TRAIN_FIT_WELLS, TRAIN_FIT_WELLS, strategies),
    (tables.TRAIN_FEATURE_SELECTION, FEATURE_SELECTION, strategies),
    (tables.OVERALL_CLASSES, CLASSES, None),
    (tables.OVERALL_SCORES, SCORES, None),
    (tables.BENCHMARK_CLASSES, with_strategy(CLASSES), strategies),
    (tables.BENCHMARK_SCORES, with_strategy(SCORES), strategies),
    (tables.OVERALL_PERCENT_SCORES, PERCENT_SCORES, None),
    (tables.OVERALL_DIRECTIONALITY, DIRECTIONALITY, None),
    (tables.OVERALL_DIRECTIONAL_PAIRS, DIRECTIONAL_PAIRS, None),
    (tables.BENCHMARK_PERCENT_SCORES, with_strategy(PERCENT_SCORES), strategies),
    (tables.BENCHMARK_DIRECTIONALITY, with_strategy(DIRECTIONALITY), strategies),
    (tables.PUBLISHED_COMPARISON, PUBLISHED_COMPARISON, None),
    (tables.BENCHMARK_FIGURES, FIGURE_FILES, None),
]

_SCHEMAS_OF_PLATES: list[tuple[StoredAsset, "TableSchema"]] = [
    (tables.IMAGE_INDEX, IMAGE_INDEX),
    (tables.IMAGES, IMAGES),
    (tables.IMAGE_QUALITY, IMAGE_QUALITY),
    (tables.MONTAGES, MONTAGES),
]

checks = [
    *(schema_check(asset, schema, partitions_def) for asset, schema, partitions_def in _SCHEMAS),
    *(plates_schema_check(asset, schema) for asset, schema in _SCHEMAS_OF_PLATES),
]

"""Asset checks: what every stored table must be, and what each strategy promises.

Belongs here: reading a stored table again and turning findings into check results. Does not belong here: the rules
themselves (``science.leakage``, ``science.schemas``).

Checks of the strategies are partitioned and their runs take one strategy at a time, because Dagster 1.13 records a
partitioned check of a range run without its partition. Checks of the plates look at all stored plates of the main
batch at once.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.display import counts, markdown_table
from cpjump_assets.orchestration.partitions import MAIN_PLATE_KEYS, strategies
from cpjump_assets.orchestration.recording import recorded_versions
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.orchestration.tables import StoredAsset
from cpjump_assets.science.comparison import PUBLISHED_COMPARISON
from cpjump_assets.science.directionality import DIRECTIONAL_PAIRS, DIRECTIONALITY
from cpjump_assets.science.feature_selection import FEATURE_SELECTION
from cpjump_assets.science.leakage import AUDIT_RULES, BLOCKING_RULES
from cpjump_assets.science.leakage_rules import PROMISES
from cpjump_assets.science.percent_scores import PERCENT_SCORES
from cpjump_assets.science.schemas import (
    EXPERIMENT_METADATA,
    FIGURE_FILES,
    LEAKAGE_AUDIT,
    PERTURBATIONS,
    SPLIT_MANIFEST,
    WELLS,
)
from cpjump_assets.science.score_tables import CLASSES, SCORES, with_strategy

if TYPE_CHECKING:
    import pandas as pd

    from cpjump_assets.science.leakage import Violation
    from cpjump_assets.science.schemas import TableSchema
    from cpjump_assets.storage.store import Store

_ERROR, _WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


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


_PROMISED_SOMEWHERE = frozenset.union(*PROMISES.values())
_PROMISED_EVERYWHERE = frozenset.intersection(*PROMISES.values())
_PROMISED = [rule for rule in AUDIT_RULES if rule.name in _PROMISED_SOMEWHERE]
_WARNED_OF = [rule for rule in AUDIT_RULES if rule.name not in _PROMISED_EVERYWHERE]


def promise_check(rule: str) -> str:
    """Name the check that turns red when a strategy breaks its promise of this rule, or the table rule of this name."""
    return f"promise_{rule}" if rule in _PROMISED_SOMEWHERE else rule


def _manifest_check(name: str, description: str, *, blocking: bool) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name,
        asset=tables.SPLIT_MANIFEST.asset_key,
        description=description,
        blocking=blocking,
        partitions_def=strategies,
    )


@dg.multi_asset_check(
    name="manifest_promises",
    can_subset=True,
    specs=[
        *(
            _manifest_check(
                promise_check(rule.name),
                f"No group crosses subsets, where the strategy promises that. A group is {rule.description}.",
                blocking=True,
            )
            for rule in _PROMISED
        ),
        *(_manifest_check(name, f"{name.replace('_', ' ').capitalize()}.", blocking=True) for name in BLOCKING_RULES),
    ],
)
def manifest_promises(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[dg.AssetCheckResult]:
    """Hold the manifest against its promises as it lies in the store, so that a file altered there is caught too."""
    from cpjump_assets.science.leakage import violations

    strategy = context.partition_key
    broken = {violation.rule: violation for violation in violations(*_manifest_and_wells(platform, strategy), strategy)}
    rules = (*(rule.name for rule in _PROMISED), *BLOCKING_RULES)
    for rule in (rule for rule in rules if _is_asked(context, promise_check(rule))):
        promised = rule in PROMISES[strategy] or rule in BLOCKING_RULES
        violation = broken.get(rule)
        yield dg.AssetCheckResult(
            check_name=promise_check(rule),
            passed=violation is None,
            severity=_ERROR,
            metadata={"promised": promised, **({} if violation is None else violation_metadata(violation))},
        )


@dg.asset_check(
    asset=tables.SPLIT_MANIFEST.asset_key,
    description="The stored file is the one that was recorded when the manifest was made: nobody altered it since.",
    blocking=True,
    partitions_def=strategies,
)
def manifest_as_recorded(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
    """Compare the digest of the file with the data version on record."""
    altered = is_altered(context.instance, platform.store, context.partition_key)
    return dg.AssetCheckResult(passed=not altered, severity=_ERROR)


@dg.asset_check(
    asset=tables.SPLIT_MANIFEST.asset_key,
    description=(
        "The manifest agrees with the example split that the authors released. The gene-compound example took the "
        "targets in the order of a file, not of their radix: only 68 of its 160 targets agree."
    ),
    partitions_def=strategies,
)
def agrees_with_released_example(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
    """Lay the manifest beside the released example, where the reference root has it."""
    from cpjump_assets.gallery.metadata import load_released_example
    from cpjump_assets.science.foreign_manifests import released_agreement

    strategy = context.partition_key
    released = load_released_example(platform.reference, strategy)
    if released is None:
        return dg.AssetCheckResult(passed=True, severity=_WARN, metadata={"compared": False})
    found = released_agreement(*_manifest_and_wells(platform, strategy), released, strategy=strategy).iloc[0]
    return dg.AssetCheckResult(
        passed=bool(found["groups_crossing"] == 0),
        severity=_WARN,
        metadata={"compared": True, **counts({name: found[name] for name in ("groups", "groups_crossing")})},
    )


def is_altered(instance: dg.DagsterInstance, store: "Store", strategy: str) -> bool:
    """Tell whether the stored manifest differs from the recorded one; an instance without a record cannot tell."""
    recorded = recorded_versions(instance, tables.SPLIT_MANIFEST, [strategy]).get(strategy)
    return recorded not in (None, store.describe(tables.SPLIT_MANIFEST.key(strategy)).digest)


def violation_metadata(violation: "Violation") -> dict[str, Any]:
    """Show a broken rule: how many groups there are, how many break it, and up to 20 of the wells."""
    return {
        **counts({"groups": violation.groups, "groups crossing": violation.groups_crossing}),
        "wells": markdown_table(violation.wells),
    }


@dg.multi_asset_check(
    name="manifest_leakage",
    can_subset=True,
    specs=[
        _manifest_check(
            rule.name, f"No group crosses subsets, promised or not. A group is {rule.description}.", blocking=False
        )
        for rule in _WARNED_OF
    ],
)
def manifest_leakage(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[dg.AssetCheckResult]:
    """Warn of every rule that the stored manifest breaks, promised or not, with counts."""
    from cpjump_assets.science.leakage import audit, leaking_wells_by_rule

    strategy = context.partition_key
    manifest, layout, reagents = _manifest_and_wells(platform, strategy)
    table = audit(manifest, layout, reagents, strategy=strategy).set_index("rule")
    named_wells = leaking_wells_by_rule(manifest, layout, reagents)
    for rule in (rule.name for rule in _WARNED_OF if _is_asked(context, rule.name)):
        row = table.loc[rule]
        holds = row["groups_crossing"] == 0
        named = {} if holds else {"wells": markdown_table(named_wells[rule])}
        numbers = counts({name: row[name] for name in ("groups", "groups_crossing", "wells_crossing")})
        yield dg.AssetCheckResult(check_name=rule, passed=bool(holds), severity=_WARN, metadata={**numbers, **named})


def _is_asked(context: dg.AssetCheckExecutionContext, check: str) -> bool:
    """Tell whether a check takes part in the run; in the web UI each can be run alone."""
    return dg.AssetCheckKey(tables.SPLIT_MANIFEST.asset_key, check) in context.selected_asset_check_keys


def _manifest_and_wells(platform: Platform, strategy: str) -> tuple["pd.DataFrame", "pd.DataFrame", "pd.DataFrame"]:
    store = platform.store
    return (
        store.read(tables.SPLIT_MANIFEST.key(strategy)),
        store.read(tables.WELLS.key()),
        store.read(tables.PERTURBATIONS.key()),
    )


@dg.asset_check(
    asset=tables.AGGREGATED_PROFILES.asset_key,
    description="Every plate of the main batch has been pulled. One that the gallery lacks is a finding, no failure.",
)
def main_plates_pulled(platform: Platform) -> dg.AssetCheckResult:
    """Count the plates of the main batch that are not in the store."""
    missing = [key for key in MAIN_PLATE_KEYS if not platform.store.exists(tables.AGGREGATED_PROFILES.key(key))]
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
    odd = odd_features({key: store.describe(tables.AGGREGATED_PROFILES.key(key)).columns for key in plates})
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
    missing = {
        key: store.missing_values(tables.NORMALIZED_PROFILES.key(key))
        for key in _stored(store, tables.NORMALIZED_PROFILES)
    }
    table = incomplete_features(missing)
    return dg.AssetCheckResult(
        passed=table.empty,
        severity=_WARN,
        metadata={
            **counts({"plates": len(missing), "features that lack values somewhere": table["feature"].nunique()}),
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

    unusable = count_unusable(platform.store.read(tables.SELECTED_PROFILES.key()))
    return dg.AssetCheckResult(passed=not any(unusable.values()), severity=_ERROR, metadata=counts(unusable))


@dg.asset_check(
    asset=tables.PUBLISHED_COMPARISON.asset_key,
    description=(
        "Ours reproduces every published figure that it is compared with. Simulated data are not compared, and the "
        "check passes with these words."
    ),
)
def published_figures_reproduced(platform: Platform) -> dg.AssetCheckResult:
    """Count the published figures that ours does not reproduce, by statistic."""
    from cpjump_assets.science.comparison import coverage

    found = coverage(platform.store.read(tables.PUBLISHED_COMPARISON.key()))
    numbers = found.drop(columns="statistic").sum()
    words = "compared" if numbers["n_compared"] else "not compared"
    return dg.AssetCheckResult(
        passed=bool(numbers["n_differing"] == 0),
        severity=_WARN,
        metadata={"figures": words, **counts(numbers), "by statistic": markdown_table(found)},
    )


@dg.asset_check(
    asset=tables.BENCHMARK_FIGURES.asset_key,
    description="Every figure that is listed lies in the store, as PNG and SVG, as it was drawn.",
)
def figures_as_drawn(platform: Platform) -> dg.AssetCheckResult:
    """Compare the digests of the files with the list."""
    store = platform.store
    listed = store.read(tables.BENCHMARK_FIGURES.key())
    digests = {row[kind]: row[f"{kind}_sha256"] for row in listed.to_dict("records") for kind in ("png", "svg")}
    odd = [name for name, digest in digests.items() if store.file_digest(name) != digest]
    return dg.AssetCheckResult(
        passed=not odd, severity=_ERROR, metadata={"files": len(digests), "which": ", ".join(odd) or "none"}
    )


def _stored(store: Any, asset: StoredAsset) -> list[str]:
    return [key for key in MAIN_PLATE_KEYS if store.exists(asset.key(key))]


_SCHEMAS: list[tuple[StoredAsset, "TableSchema", dg.PartitionsDefinition | None]] = [
    (tables.EXPERIMENT_METADATA, EXPERIMENT_METADATA, None),
    (tables.PERTURBATIONS, PERTURBATIONS, None),
    (tables.WELLS, WELLS, None),
    (tables.SPLIT_MANIFEST, SPLIT_MANIFEST, strategies),
    (tables.LEAKAGE_AUDIT, LEAKAGE_AUDIT, strategies),
    (tables.FEATURE_SELECTION, FEATURE_SELECTION, None),
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

all_checks: list[Callable[..., Any]] = [
    *(schema_check(asset, schema, partitions_def) for asset, schema, partitions_def in _SCHEMAS),
    manifest_promises,
    manifest_leakage,
    manifest_as_recorded,
    agrees_with_released_example,
    main_plates_pulled,
    same_features_on_every_plate,
    no_feature_lost_to_missing_values,
    plates_complete,
    features_without_values,
    selected_profiles_finite,
    published_figures_reproduced,
    figures_as_drawn,
]

"""The benchmark: classes and scores, on all wells and on the subsets of each split strategy.

Belongs here: loading profiles and manifests, calling science, storing. Does not belong here: what a score means.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.assets.profiles import selected_profiles
from cpjump_assets.orchestration.assets.splits import sound_manifest, split_manifest
from cpjump_assets.orchestration.display import markdown_table, picture
from cpjump_assets.orchestration.partitions import strategies
from cpjump_assets.orchestration.recording import Made, keep_table
from cpjump_assets.orchestration.resources import Platform

if TYPE_CHECKING:
    import pandas as pd

    from cpjump_assets.storage.store import Provenance

_COMMON: dict[str, Any] = {"group_name": "benchmark", "owners": ["team:cpjump"], "kinds": {"numpy", "parquet"}}


def _spec(asset: tables.StoredAsset, description: str, *deps: Any) -> dg.AssetSpec:
    return dg.AssetSpec(
        asset.name, description=description, deps=deps, code_version=asset.code_version, skippable=False, **_COMMON
    )


@dg.multi_asset(
    name="overall",
    specs=[
        _spec(
            tables.OVERALL_CLASSES,
            "A row is a perturbation in one condition, on all wells: its mAP, p, q, and whether it is retrieved.",
            selected_profiles,
        ),
        _spec(
            tables.OVERALL_SCORES,
            "A row is a task and condition, on all wells: fraction retrieved with its interval, mean mAP, and counts.",
            dg.AssetKey(tables.OVERALL_CLASSES.name),
        ),
    ],
)
def overall(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[dg.MaterializeResult]:
    """Score all wells of the primary plates."""
    from cpjump_assets.science.detection import EVERY_WELL

    inputs = tables.inputs_of(platform.store, tables.SELECTED_PROFILES.key())
    yield from _score(
        context.instance,
        platform,
        tables.provenance_from(tables.OVERALL_CLASSES.code_version, inputs),
        subset_names=[EVERY_WELL],
    )


@dg.multi_asset(
    name="benchmark",
    partitions_def=strategies,
    specs=[
        _spec(
            tables.BENCHMARK_CLASSES,
            "A row is a perturbation in one condition and subset: its mAP, p, q, and whether it is retrieved.",
            selected_profiles,
            split_manifest,
        ),
        _spec(
            tables.BENCHMARK_SCORES,
            "A row is a task, condition and subset: fraction retrieved with its interval, mean mAP, and counts.\n\n"
            "A subset without a class to score says so instead of giving a number.",
            dg.AssetKey(tables.BENCHMARK_CLASSES.name),
        ),
    ],
)
def benchmark(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[dg.MaterializeResult]:
    """Score each subset of a strategy, with the negative controls of its plates as background."""
    from cpjump_assets.science.strategies import SUBSETS

    strategy = context.partition_key
    inputs = tables.inputs_of(platform.store, tables.SELECTED_PROFILES.key(), tables.SPLIT_MANIFEST.key(strategy))
    yield from _score(
        context.instance,
        platform,
        tables.provenance_from(tables.BENCHMARK_CLASSES.code_version, inputs),
        subset_names=SUBSETS,
        strategy=strategy,
    )


def _score(
    instance: dg.DagsterInstance,
    platform: Platform,
    provenance: "Provenance",
    *,
    subset_names: Sequence[str],
    strategy: str | None = None,
) -> Iterator[dg.MaterializeResult]:
    """Score and store classes and scores, of all wells or of the subsets of a strategy."""
    from cpjump_assets.figures.scores import fraction_retrieved_figure
    from cpjump_assets.science.detection import detect, scores
    from cpjump_assets.science.features import Profiles
    from cpjump_assets.science.score_tables import CLASSES, SCORES, with_strategy
    from cpjump_assets.science.subsets import subset_of_wells

    store = platform.store
    profiles = Profiles.from_frame(store.read(tables.SELECTED_PROFILES.key()))
    subsets = (
        None if strategy is None else subset_of_wells(profiles.metadata, sound_manifest(instance, store, strategy))
    )
    detection = detect(profiles.metadata, profiles.matrix, subsets=subsets, features=profiles.features)
    classes, table = (
        _with_strategy(frame, strategy) for frame in (detection.classes, scores(detection, subsets=subset_names))
    )
    of_classes, of_scores, schema_of = (
        (tables.OVERALL_CLASSES, tables.OVERALL_SCORES, lambda schema: schema)
        if strategy is None
        else (tables.BENCHMARK_CLASSES, tables.BENCHMARK_SCORES, with_strategy)
    )
    kept = keep_table(store, of_classes, Made(classes), provenance, partition=strategy, schema=schema_of(CLASSES))
    yield kept._replace(asset_key=of_classes.asset_key)
    shown = {
        "scores": markdown_table(table[_SHOWN_COLUMNS]),
        "figure": picture(fraction_retrieved_figure(table), "fraction retrieved of each condition"),
    }
    from_classes = tables.inputs_of(store, of_classes.key(strategy))
    provenance_of_scores = tables.provenance_from(of_scores.code_version, from_classes)
    kept = keep_table(
        store, of_scores, Made(table, shown), provenance_of_scores, partition=strategy, schema=schema_of(SCORES)
    )
    yield kept._replace(asset_key=of_scores.asset_key)


_SHOWN_COLUMNS = [
    "subset",
    "Metadata_experiment_type",
    "Metadata_cell_line",
    "Metadata_timepoint",
    "n_wells",
    "n_classes",
    "n_retrieved",
    "n_undecided",
    "fraction_retrieved",
    "fraction_retrieved_low",
    "fraction_retrieved_high",
    "mean_average_precision",
    "note",
]


def _with_strategy(frame: "pd.DataFrame", strategy: str | None) -> "pd.DataFrame":
    if strategy is None:
        return frame
    named = frame.copy()
    named.insert(0, "split_strategy", strategy)
    return named


@dg.asset(
    **_COMMON,
    deps=[dg.AssetKey(tables.OVERALL_SCORES.name)],
    code_version=tables.PUBLISHED_COMPARISON.code_version,
)
def published_comparison(platform: Platform) -> dg.MaterializeResult:
    """A row is a published figure beside ours: difference, tolerance and verdict.

    On a simulated gallery it compares nothing, and says so.
    """
    from cpjump_assets.gallery.gallery import PUBLIC_ORIGIN
    from cpjump_assets.published.tables import fractions_retrieved
    from cpjump_assets.science.comparison import compare_with_published
    from cpjump_assets.science.score_tables import PUBLISHED_COMPARISON

    store = platform.store
    inputs = tables.inputs_of(store, tables.OVERALL_SCORES.key())
    provenance = tables.provenance_from(tables.PUBLISHED_COMPARISON.code_version, inputs)
    table = compare_with_published(
        fractions_retrieved(), store.read(tables.OVERALL_SCORES.key()), simulated=provenance.origin != PUBLIC_ORIGIN
    )
    shown = {"comparison": markdown_table(table.drop(columns="source"))}
    return keep_table(store, tables.PUBLISHED_COMPARISON, Made(table, shown), provenance, schema=PUBLISHED_COMPARISON)

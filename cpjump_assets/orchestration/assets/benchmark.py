"""The benchmark: every score, on all wells and on the subsets of each split strategy.

Belongs here: loading profiles and manifests, calling science, storing. Does not belong here: what a score means, the
published figures and the pictures (``reports``).

Each score comes twice: ``overall_*`` on all wells, ``benchmark_*`` for each subset of a strategy. Both are made by the
same code; ``_Scope`` says which it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.assets.metadata import perturbations
from cpjump_assets.orchestration.assets.profiles import plate_selected_profiles, selected_profiles, stored_plates
from cpjump_assets.orchestration.assets.splits import sound_manifest, split_manifest
from cpjump_assets.orchestration.automation import INPUT_CHANGED, INPUT_CHANGED_AND_BATCH_MADE
from cpjump_assets.orchestration.display import markdown_table, narrow, picture
from cpjump_assets.orchestration.partitions import main_batch, strategies
from cpjump_assets.orchestration.recording import Made, keep_table
from cpjump_assets.orchestration.resources import Platform

if TYPE_CHECKING:
    import pandas as pd

    from cpjump_assets.science.features import Profiles
    from cpjump_assets.science.schemas import TableSchema
    from cpjump_assets.storage.store import Provenance, Store, StoredTable, TableKey

COMMON: dict[str, Any] = {
    "group_name": "benchmark",
    "owners": ["team:cpjump"],
    "kinds": {"numpy", "parquet"},
    "automation_condition": INPUT_CHANGED,
}

_OF_SUBSET = "\n\nA subset with fewer than 5 classes, samples or pairs to score says so instead of giving a number."


@dataclass(frozen=True)
class _Scope:
    """Which wells are scored: all of them, or those of each subset of a strategy."""

    instance: dg.DagsterInstance
    store: "Store"
    strategy: str | None = None

    @classmethod
    def of(cls, context: dg.AssetExecutionContext, platform: Platform) -> "_Scope":
        """Give the scope of a run: a strategy where it has a partition."""
        return cls(context.instance, platform.store, context.partition_key if context.has_partition_key else None)

    def inputs(self, *keys: "TableKey") -> dict[str, "StoredTable"]:
        """Describe the tables that a score is made from, the manifest among them."""
        manifest = [] if self.strategy is None else [tables.SPLIT_MANIFEST.key(self.strategy)]
        return tables.inputs_of(self.store, *keys, *manifest)

    def options(self, profiles: "Profiles") -> dict[str, Any]:
        """Give what every score is told beside the profiles."""
        from cpjump_assets.science.strategies import SUBSETS
        from cpjump_assets.science.subsets import subset_of_wells

        if self.strategy is None:
            return {"features": profiles.features}
        manifest = sound_manifest(self.instance, self.store, self.strategy)
        subsets = subset_of_wells(profiles.metadata, manifest)
        return {"features": profiles.features, "subsets": subsets, "subset_names": SUBSETS}

    def keep(
        self,
        asset: tables.StoredAsset,
        frame: "pd.DataFrame",
        schema: "TableSchema",
        provenance: "Provenance",
        shown: Mapping[str, Any],
    ) -> dg.MaterializeResult:
        """Store a table of scores; that of a strategy names it in its first column."""
        from cpjump_assets.science.score_tables import with_strategy

        if self.strategy is not None:
            schema = with_strategy(schema)
            frame = frame.assign(split_strategy=self.strategy)[schema.column_names]
        kept = keep_table(self.store, asset, Made(frame, shown), provenance, partition=self.strategy, schema=schema)
        return kept._replace(asset_key=asset.asset_key)


def _spec(asset: tables.StoredAsset, description: str, *deps: Any) -> dg.AssetSpec:
    return dg.AssetSpec(
        asset.name, description=description, deps=deps, code_version=asset.code_version, skippable=False, **COMMON
    )


@dg.multi_asset(
    name="overall",
    specs=[
        _spec(
            tables.OVERALL_CLASSES,
            "A row is a perturbation or target of one task and condition, on all wells: mAP, p, q, and the call.\n\n"
            "Six tasks, by both published rules, on all wells and on the inner ones.",
            selected_profiles,
            perturbations,
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
    yield from _score(_Scope.of(context, platform), tables.OVERALL_CLASSES, tables.OVERALL_SCORES)


@dg.multi_asset(
    name="benchmark",
    partitions_def=strategies,
    specs=[
        _spec(
            tables.BENCHMARK_CLASSES,
            "A row is a perturbation or target of one task, condition and subset: mAP, p, q, and the call.\n\n"
            "Six tasks, by both published rules, on all wells of the subset and on the inner ones.",
            selected_profiles,
            perturbations,
            split_manifest,
        ),
        _spec(
            tables.BENCHMARK_SCORES,
            "A row is a task, condition and subset: fraction retrieved with its interval, mean mAP, and counts."
            + _OF_SUBSET,
            dg.AssetKey(tables.BENCHMARK_CLASSES.name),
        ),
    ],
)
def benchmark(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[dg.MaterializeResult]:
    """Score each subset of a strategy, with the negative controls of its plates as background."""
    yield from _score(_Scope.of(context, platform), tables.BENCHMARK_CLASSES, tables.BENCHMARK_SCORES)


def _score(
    scope: _Scope, of_classes: tables.StoredAsset, of_scores: tables.StoredAsset
) -> Iterator[dg.MaterializeResult]:
    """Score and store classes and scores."""
    from cpjump_assets.science.rules import RETRIEVAL_RULES, score_by_every_rule
    from cpjump_assets.science.score_tables import CLASSES, SCORES

    inputs = scope.inputs(tables.SELECTED_PROFILES.key(), tables.PERTURBATIONS.key())
    provenance = tables.provenance_from(of_classes.code_version, inputs, configuration=RETRIEVAL_RULES)
    profiles = _profiles_with_targets(scope.store)
    found = score_by_every_rule(profiles.metadata, profiles.matrix, **scope.options(profiles))
    yield scope.keep(of_classes, found.classes, CLASSES, provenance, {})

    from_classes = tables.inputs_of(scope.store, of_classes.key(scope.strategy))
    provenance = tables.provenance_from(of_scores.code_version, from_classes)
    yield scope.keep(of_scores, found.scores, SCORES, provenance, _score_display(found.scores))


def _profiles_with_targets(store: "Store") -> "Profiles":
    """Read the selected profiles, with the genes that each reagent acts on."""
    from dataclasses import replace

    from cpjump_assets.science.target_lists import with_target_lists

    profiles = store.read_profiles(tables.SELECTED_PROFILES.key())
    reagents = store.read(tables.PERTURBATIONS.key())
    return replace(profiles, metadata=with_target_lists(profiles.metadata, reagents))


def _score_display(scores: "pd.DataFrame") -> dict[str, Any]:
    from cpjump_assets.figures.canvas import to_png
    from cpjump_assets.figures.scores import fraction_retrieved_figure
    from cpjump_assets.science.rules import PAPER_RULE, rows_of

    of_rule = rows_of(scores, **PAPER_RULE)
    figure = to_png(fraction_retrieved_figure(of_rule))
    return {
        "shown": f"mode {PAPER_RULE['metric_mode']} on all wells: {len(of_rule)} of the {len(scores)} rows",
        "scores": markdown_table(narrow(of_rule, _SHOWN_SCORES)),
        "figure": picture(figure, "fraction retrieved of each condition"),
    }


_CONDITION = ("Metadata_experiment_type", "Metadata_cell_line", "Metadata_timepoint")
_REFERENCE = ("reference_experiment_type", "reference_timepoint")
_SHOWN_SCORES = {
    "subset": "subset",
    "task": "task",
    "condition, h": _CONDITION,
    "searched, h": _REFERENCE,
    "fraction": "fraction_retrieved",
    "low": "fraction_retrieved_low",
    "high": "fraction_retrieved_high",
    "retrieved": "n_retrieved",
    "of classes": "n_classes",
    "undecided": "n_undecided",
    "mean mAP": "mean_average_precision",
    "note": "note",
}


_PLATE_SELECTED = dg.AssetDep(plate_selected_profiles, partition_mapping=main_batch)


@dg.asset(**COMMON, deps=[_PLATE_SELECTED], code_version=tables.OVERALL_PERCENT_SCORES.code_version)
def overall_percent_scores(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is a score of 2021, on all wells: Percent Replicating of a condition, or Percent Matching of a pair."""
    return _score_percents(_Scope.of(context, platform), tables.OVERALL_PERCENT_SCORES)


@dg.asset(
    **{**COMMON, "automation_condition": INPUT_CHANGED_AND_BATCH_MADE},
    partitions_def=strategies,
    deps=[_PLATE_SELECTED, split_manifest],
    description="A row is a score of 2021, of one condition or pair of conditions, and subset." + _OF_SUBSET,
    code_version=tables.BENCHMARK_PERCENT_SCORES.code_version,
)
def benchmark_percent_scores(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """Score each subset of a strategy as in 2021."""
    return _score_percents(_Scope.of(context, platform), tables.BENCHMARK_PERCENT_SCORES)


def _score_percents(scope: _Scope, asset: tables.StoredAsset) -> dg.MaterializeResult:
    from cpjump_assets.science.plate_stack import stack_selected
    from cpjump_assets.science.rules import PERCENT_RULES, percents_by_every_rule, rows_of
    from cpjump_assets.science.score_tables import PERCENT_SCORES
    from cpjump_assets.science.tasks import EVERY_WELL

    # Of every normalized plate: one whose features were never selected is an error, not a score on fewer plates.
    keys = [tables.PLATE_SELECTED_PROFILES.key(plate) for plate in stored_plates(scope.store)]
    provenance = tables.provenance_from(asset.code_version, scope.inputs(*keys), configuration=PERCENT_RULES)
    profiles, kept = stack_selected(map(scope.store.read_profiles, keys))
    scores = percents_by_every_rule(profiles.metadata, profiles.matrix, kept=kept, **scope.options(profiles))
    shown = {"scores on all wells": markdown_table(narrow(rows_of(scores, wells=EVERY_WELL), _SHOWN_PERCENTS))}
    return scope.keep(asset, scores, PERCENT_SCORES, provenance, shown)


_SHOWN_PERCENTS = {
    "subset": "subset",
    "metric": "metric",
    "condition, h": _CONDITION,
    "compared with, h": _REFERENCE,
    "percent": "percent",
    "low": "percent_low",
    "high": "percent_high",
    "above": "n_above",
    "of units": "n_units",
    "null_95": "null_95",
    "note": "note",
}


@dg.multi_asset(
    name="overall_directions",
    specs=[
        _spec(
            tables.OVERALL_DIRECTIONAL_PAIRS,
            "A row is a pair of consensus profiles of one gene and two modalities: signed cosine, and its rank.",
            selected_profiles,
            perturbations,
        ),
        _spec(
            tables.OVERALL_DIRECTIONALITY,
            "A row is a test in one cell line, on all wells: whether pairs of one gene are alike or opposite.\n\n"
            "ORF against CRISPR also as published by mistake, in rows of their own.",
            dg.AssetKey(tables.OVERALL_DIRECTIONAL_PAIRS.name),
        ),
    ],
)
def overall_directions(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[dg.MaterializeResult]:
    """Pair all consensus profiles of one gene, and test their signs."""
    from cpjump_assets.science.directionality import DIRECTIONAL_PAIRS, DIRECTIONALITY, strongest_pairs
    from cpjump_assets.science.rules import directions_by_every_rule, rows_of
    from cpjump_assets.science.tasks import EVERY_WELL

    scope = _Scope.of(context, platform)
    pairs, directions = tables.OVERALL_DIRECTIONAL_PAIRS, tables.OVERALL_DIRECTIONALITY
    inputs = scope.inputs(tables.SELECTED_PROFILES.key(), tables.PERTURBATIONS.key())
    profiles = _profiles_with_targets(scope.store)
    found = directions_by_every_rule(profiles.metadata, profiles.matrix, **scope.options(profiles))
    strongest = strongest_pairs(rows_of(found.pairs, wells=EVERY_WELL))
    shown = {"strongest pairs of compounds and genes": markdown_table(narrow(strongest, _SHOWN_PAIRS))}
    provenance = tables.provenance_from(pairs.code_version, inputs)
    yield scope.keep(pairs, found.pairs, DIRECTIONAL_PAIRS, provenance, shown)

    provenance = tables.provenance_from(directions.code_version, tables.inputs_of(scope.store, pairs.key()))
    yield scope.keep(directions, found.scores, DIRECTIONALITY, provenance, _direction_display(found.scores))


@dg.asset(
    **COMMON,
    partitions_def=strategies,
    deps=[selected_profiles, perturbations, split_manifest],
    description="A row is a test in one cell line and subset: whether pairs of one gene are alike or opposite."
    + _OF_SUBSET,
    code_version=tables.BENCHMARK_DIRECTIONALITY.code_version,
)
def benchmark_directionality(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """Test the signs of pairs in each subset of a strategy."""
    from cpjump_assets.science.directionality import DIRECTIONALITY
    from cpjump_assets.science.rules import directions_by_every_rule

    scope, asset = _Scope.of(context, platform), tables.BENCHMARK_DIRECTIONALITY
    inputs = scope.inputs(tables.SELECTED_PROFILES.key(), tables.PERTURBATIONS.key())
    profiles = _profiles_with_targets(scope.store)
    found = directions_by_every_rule(profiles.metadata, profiles.matrix, **scope.options(profiles))
    provenance = tables.provenance_from(asset.code_version, inputs)
    return scope.keep(asset, found.scores, DIRECTIONALITY, provenance, _direction_display(found.scores))


def _direction_display(scores: "pd.DataFrame") -> dict[str, Any]:
    from cpjump_assets.science.rules import rows_of
    from cpjump_assets.science.tasks import EVERY_WELL

    return {"tests on all wells": markdown_table(narrow(rows_of(scores, wells=EVERY_WELL), _SHOWN_TESTS))}


_SHOWN_TESTS = {
    "subset": "subset",
    "pairs": ("query_experiment_type", "reference_experiment_type"),
    "variant": "variant",
    "cell line": "Metadata_cell_line",
    "odds ratio": "odds_ratio",
    "low": "odds_low",
    "high": "odds_high",
    "Fisher's p": "fisher_p",
    "below t5": "n_below",
    "above t95": "n_above",
    "of pairs": "n_pairs",
    "t5": "t5",
    "t95": "t95",
    "note": "note",
}
_SHOWN_PAIRS = {
    "cell line": "Metadata_cell_line",
    "direction": "direction",
    "rank": "rank",
    "compound, h": ("query_name", "query_timepoint"),
    "gene reagents, h": ("reference_experiment_type", "reference_gene", "reference_timepoint"),
    "cosine": "cosine",
}

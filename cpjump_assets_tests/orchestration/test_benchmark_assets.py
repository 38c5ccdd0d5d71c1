"""The benchmark through Dagster: which rows the tables hold, what they are made from, and what a subset cannot say."""

from itertools import product

import pandas as pd
import pytest

from cpjump_assets.orchestration import tables
from cpjump_assets.science.benchmark import score_benchmark
from cpjump_assets.science.class_scores import METRIC_MODES, MetricConfig
from cpjump_assets.science.features import is_feature
from cpjump_assets.science.rules import rows_of
from cpjump_assets.science.strategies import GENE_COMPOUND, REPRESENTATION, STRATEGIES, SUBSETS
from cpjump_assets.science.tasks import TASKS, WELL_SELECTIONS
from cpjump_assets_tests.orchestration.lab import LAB_PLATES, Lab

RULES = set(product(METRIC_MODES, WELL_SELECTIONS))
NUMBERS = ["fraction_retrieved", "fraction_retrieved_low", "fraction_retrieved_high", "mean_average_precision"]


def _rules(table: pd.DataFrame) -> set[tuple[str, str]]:
    return set(table[["metric_mode", "wells"]].itertuples(index=False, name=None))


@pytest.mark.parametrize("asset", [tables.OVERALL_CLASSES, tables.OVERALL_SCORES], ids=lambda asset: asset.name)
def test_every_task_is_there_by_every_rule(refreshed_lab: Lab, asset: tables.StoredAsset) -> None:
    table = refreshed_lab.store.read(asset.key())
    assert set(table["subset"]) == {"all"}
    assert {task: _rules(own) for task, own in table.groupby("task")} == dict.fromkeys(TASKS, RULES)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_subset_is_there_by_every_rule_also_an_empty_one(refreshed_lab: Lab, strategy: str) -> None:
    scores = refreshed_lab.store.read(tables.BENCHMARK_SCORES.key(strategy))
    assert set(scores["split_strategy"]) == {strategy}
    found = {key: _rules(own) for key, own in scores.groupby(["subset", "task"])}
    assert found == dict.fromkeys(product(SUBSETS, TASKS), RULES)


def test_detection_counts_are_those_of_the_design(refreshed_lab: Lab) -> None:
    scores = refreshed_lab.store.read(tables.OVERALL_SCORES.key())
    detection = rows_of(scores, task="detection", metric_mode="paper_2024")
    counts = detection.set_index(["wells", "Metadata_experiment_type"])["n_classes"].to_dict()
    assert {kind: counts["all", kind] for kind in ("Compound", "CRISPR", "ORF")} == {
        "Compound": 306,
        "CRISPR": 305,
        "ORF": 160,
    }
    assert all(0 < counts["inner", kind] < counts["all", kind] for kind in ("Compound", "CRISPR", "ORF"))


def test_matching_is_scored_and_finds_the_planted_targets(refreshed_lab: Lab) -> None:
    scores = refreshed_lab.store.read(tables.OVERALL_SCORES.key())
    matching = rows_of(scores, metric_mode="paper_2024", wells="all").set_index("task")
    for task in ("sister_compounds", "sister_guides", "gene_compound"):
        assert matching.loc[task, "n_classes"] > 5
        assert matching.loc[task, "n_retrieved"] > 0
    assert matching.loc["gene_compound", "reference_experiment_type"] == "CRISPR"


def test_the_genes_of_matching_come_from_the_perturbations(refreshed_lab: Lab) -> None:
    store = refreshed_lab.store
    reagents = store.read(tables.PERTURBATIONS.key()).set_index("Metadata_broad_sample")["Metadata_target_list"]
    classes = rows_of(store.read(tables.OVERALL_CLASSES.key()), metric_mode="paper_2024", wells="all")
    detected = classes[(classes["task"] == "detection") & classes["retrieved"]]
    compounds = detected.loc[detected["Metadata_experiment_type"] == "Compound", "Metadata_broad_sample"]
    genes = {gene for names in reagents[compounds].dropna() for gene in names.split("|")}
    asked = set(classes.loc[classes["task"] == "sister_compounds", "class_name"])
    assert len(asked) > 50
    assert asked == genes
    key = str(tables.PERTURBATIONS.key())
    for asset in (tables.OVERALL_CLASSES, tables.OVERALL_DIRECTIONAL_PAIRS):
        assert store.describe(asset.key()).provenance.inputs[key] == store.describe(tables.PERTURBATIONS.key()).digest


def test_the_stored_scores_are_what_the_science_gives(refreshed_lab: Lab) -> None:
    store = refreshed_lab.store
    profiles = store.read_profiles(tables.SELECTED_PROFILES.key())
    rule = MetricConfig(metric_mode="copairs", wells="inner")
    found = score_benchmark(profiles.metadata, profiles.matrix, config=rule, tasks=("detection",)).scores
    stored = rows_of(store.read(tables.OVERALL_SCORES.key()), task="detection", **rule.rule())
    key = ["Metadata_experiment_type", "Metadata_cell_line"]
    pd.testing.assert_frame_equal(
        stored.sort_values(key)[NUMBERS].reset_index(drop=True), found.sort_values(key)[NUMBERS].reset_index(drop=True)
    )


@pytest.mark.parametrize(
    ("asset", "number"),
    [
        (tables.BENCHMARK_SCORES, "fraction_retrieved"),
        (tables.BENCHMARK_PERCENT_SCORES, "percent"),
        (tables.BENCHMARK_DIRECTIONALITY, "odds_ratio"),
    ],
    ids=["retrieval", "percent", "directionality"],
)
def test_a_subset_that_cannot_be_scored_says_so(refreshed_lab: Lab, asset: tables.StoredAsset, number: str) -> None:
    table = refreshed_lab.store.read(asset.key(REPRESENTATION))
    assert set(table["subset"]) == set(SUBSETS)
    silent = table[table[number].isna()]
    assert len(silent) > 0
    assert silent["note"].notna().all()


def test_the_subset_without_wells_has_notes_and_no_number(refreshed_lab: Lab) -> None:
    scores = refreshed_lab.store.read(tables.BENCHMARK_SCORES.key(REPRESENTATION))
    # Compounds validate and test in this strategy; of the lab's plates none is of the early time.
    validate = rows_of(scores, subset="validate", task="detection")
    assert validate[NUMBERS].isna().all(axis=None)
    assert set(validate["note"]) == {"no well of this condition is in the subset"}
    test = rows_of(scores, subset="test", task="detection", Metadata_experiment_type="Compound")
    assert test["fraction_retrieved"].notna().all()


def test_percent_scores_compare_what_the_plates_of_a_condition_keep(refreshed_lab: Lab) -> None:
    store = refreshed_lab.store
    kept = {
        plate.barcode: {
            name
            for name in store.open_profiles(tables.PLATE_SELECTED_PROFILES.key(str(plate))).features
            if is_feature(name)
        }
        for plate in LAB_PLATES
    }
    assert len(set(map(frozenset, kept.values()))) > 1
    plates = store.read(tables.EXPERIMENT_METADATA.key()).set_index("Metadata_Plate")
    plates = plates[~plates.index.duplicated()].loc[list(kept), "Metadata_experiment_type"]
    of_type = {kind: set.intersection(*(kept[plate] for plate in own.index)) for kind, own in plates.groupby(plates)}
    percents = rows_of(store.read(tables.OVERALL_PERCENT_SCORES.key()), wells="all")
    assert set(percents["metric"]) == {"percent_replicating", "percent_matching"}
    for row in percents.itertuples(index=False):
        shared = of_type[row.Metadata_experiment_type] & of_type[row.reference_experiment_type]
        assert row.n_features == len(shared)
        assert 0 < row.percent < 100


def test_directions_and_their_pairs_agree(refreshed_lab: Lab) -> None:
    store = refreshed_lab.store
    tests = rows_of(store.read(tables.OVERALL_DIRECTIONALITY.key()), variant="corrected")
    pairs = store.read(tables.OVERALL_DIRECTIONAL_PAIRS.key())
    kinds = ["wells", "comparison", "Metadata_cell_line", "query_experiment_type", "reference_experiment_type"]
    counted = pairs.groupby(kinds).size()
    tested = tests.set_index(kinds)["n_pairs"]
    assert counted.to_dict() == tested[tested > 0].to_dict()
    assert set(counted.index.get_level_values("wells")) == set(WELL_SELECTIONS)


SHOWN = [
    (tables.OVERALL_SCORES, "scores", "fraction"),
    (tables.OVERALL_PERCENT_SCORES, "scores on all wells", "percent"),
    (tables.OVERALL_DIRECTIONALITY, "tests on all wells", "odds ratio"),
    (tables.PUBLISHED_COMPARISON, "comparison", "verdict"),
]
READABLE = 105
"""Characters that the dialog of the web UI shows of a table in a window of 1,600 pixels; the rest takes scrolling."""


@pytest.mark.parametrize(("asset", "name", "number"), SHOWN, ids=[asset.name for asset, _, _ in SHOWN])
def test_the_number_of_a_score_is_in_sight_in_the_web_ui(
    refreshed_lab: Lab, asset: tables.StoredAsset, name: str, number: str
) -> None:
    (record, *_) = refreshed_lab.materializations(asset)
    lines = record.asset_materialization.metadata[name].value.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:])]
    until = rows[0].index(number) + 1
    widths = [max(map(len, column)) + 2 for column in zip(*(row[:until] for row in rows), strict=True)]
    assert len(rows) > 1
    assert sum(widths) <= READABLE


def test_a_configuration_is_an_input_of_what_it_changes(refreshed_lab: Lab) -> None:
    store = refreshed_lab.store
    assert "MetricConfig" in store.describe(tables.OVERALL_CLASSES.key()).provenance.inputs
    assert "MetricConfig" in store.describe(tables.BENCHMARK_CLASSES.key(GENE_COMPOUND)).provenance.inputs
    assert "PercentConfig" in store.describe(tables.OVERALL_PERCENT_SCORES.key()).provenance.inputs
    plate = tables.PLATE_SELECTED_PROFILES.key(str(LAB_PLATES[0]))
    assert "SelectionConfig" in store.describe(plate).provenance.inputs


def test_percent_scores_are_never_of_a_part_of_the_plates(lab: Lab) -> None:
    missing = tables.PLATE_SELECTED_PROFILES.key(str(LAB_PLATES[1]))
    lab.store.remove(missing)
    before = lab.digests()
    finished = lab.run("batch", assets=["overall_percent_scores"])
    assert not finished.success
    assert f"table {missing} is not in the store" in " ".join(finished.errors)
    assert "materialize plate_selected_profiles first" in " ".join(finished.errors)
    assert lab.digests() == before

"""The whole benchmark on the real layout: its cells and classes, and what is retrieved without effects."""

import numpy as np
import pytest

from cpjump_assets.science.benchmark import score_benchmark
from cpjump_assets.science.class_scores import METRIC_MODES, MetricConfig
from cpjump_assets.science.score_tables import CLASSES, SCORES
from cpjump_assets.science.tasks import (
    CONDITION,
    DETECTION,
    GENE_COMPOUND,
    ORF_DIFFERENT_WELL,
    ORF_SAME_WELL,
    REFERENCE,
    SISTER_COMPOUNDS,
    SISTER_GUIDES,
)
from cpjump_assets_tests.science.helpers_plates import is_treated, real_layout, target_effects


@pytest.fixture(scope="module")
def layout(reference_root):
    return real_layout(reference_root)


@pytest.fixture(scope="module")
def all_found(layout):
    """Give the benchmark on the real layout with effects so strong that everything is detected."""
    return score_benchmark(layout, target_effects(layout, own=20.0, shared=4.0, n_features=24))


def n_classes(answers, task):
    return answers.scores.loc[answers.scores["task"] == task, "n_classes"].tolist()


def test_real_layout_has_the_published_cells_and_classes(layout, all_found):
    CLASSES.check(all_found.classes, "classes")
    SCORES.check(all_found.scores, "scores")
    cells = all_found.scores["task"].value_counts().to_dict()
    orf_cells = {ORF_SAME_WELL: 4, ORF_DIFFERENT_WELL: 4}
    assert cells == {DETECTION: 12, SISTER_COMPOUNDS: 4, SISTER_GUIDES: 4, GENE_COMPOUND: 16, **orf_cells}
    detection = all_found.scores[all_found.scores["task"] == DETECTION]
    per_type = detection.groupby("Metadata_experiment_type")["n_classes"].unique().map(list).to_dict()
    assert per_type == {"Compound": [306], "CRISPR": [305], "ORF": [160]}
    assert detection["n_profiles"].sum() == 12_729
    assert detection["n_negative_controls"].sum() == 2_450
    assert (detection["fraction_retrieved"] == 1.0).all()
    assert all_found.scores["note"].isna().all()
    assert (all_found.scores["n_undecided"] == 0).all()


def test_gene_compound_cells_are_listed_under_the_condition_of_the_compound(all_found):
    cells = all_found.scores[all_found.scores["task"] == GENE_COMPOUND]
    assert set(cells["Metadata_experiment_type"]) == {"Compound"}
    key = ["Metadata_cell_line", "Metadata_timepoint", "reference_experiment_type", "reference_timepoint"]
    assert set(cells[key].itertuples(index=False, name=None)) == {
        (line, hours, kind, reference)
        for line in ("A549", "U2OS")
        for hours in (24, 48)
        for kind, times in (("CRISPR", (96, 144)), ("ORF", (48, 96)))
        for reference in times
    }
    others = all_found.scores[all_found.scores["task"] != GENE_COMPOUND]
    for name in REFERENCE:
        assert (others[name] == others[name.replace("reference", "Metadata")]).all()


def test_classes_of_orfs_on_the_real_layout_are_samples_at_wells_and_samples_in_two_wells(layout, all_found):
    orfs = layout[layout["Metadata_experiment_type"].eq("ORF") & is_treated(layout)]
    at_wells = orfs.groupby([*CONDITION, "Metadata_broad_sample", "Metadata_Well"]).size()
    assert n_classes(all_found, ORF_SAME_WELL) == (at_wells > 1).groupby(CONDITION).sum().tolist()
    in_two = orfs.groupby([*CONDITION, "Metadata_broad_sample"])["Metadata_Well"].nunique() > 1
    assert n_classes(all_found, ORF_DIFFERENT_WELL) == in_two.groupby(CONDITION).sum().tolist()
    assert min(n_classes(all_found, ORF_SAME_WELL)) > 300
    assert min(n_classes(all_found, ORF_DIFFERENT_WELL)) == 160


def test_classes_of_matching_on_the_real_layout_are_genes_that_two_reagents_share(layout, all_found):
    """Counted from the target lists alone, where everything is detected."""
    reagents = layout[is_treated(layout)].drop_duplicates("Metadata_broad_sample").dropna(subset="Metadata_target_list")
    lists = reagents.assign(gene=reagents["Metadata_target_list"].str.split("|")).explode("gene")
    genes = {kind: own["gene"].value_counts() for kind, own in lists.groupby("Metadata_experiment_type")}
    assert n_classes(all_found, SISTER_COMPOUNDS) == [(genes["Compound"] > 1).sum()] * 4
    assert n_classes(all_found, SISTER_GUIDES) == [(genes["CRISPR"] > 1).sum()] * 4
    cells = all_found.scores[all_found.scores["task"] == GENE_COMPOUND]
    for kind in ("CRISPR", "ORF"):
        shared = set(genes["Compound"].index) & set(genes[kind].index)
        own = cells[cells["reference_experiment_type"] == kind]
        assert (own["n_classes"] == len(shared)).all()
        assert len(own) == 8
        assert (own["n_classes_without_positives"] == len(genes[kind]) - len(shared)).all()


@pytest.mark.parametrize("mode", METRIC_MODES)
def test_without_effects_next_to_nothing_is_retrieved_on_the_real_layout(layout, mode):
    """Twelve families, each with a call in one case of twenty or fewer: more than four have a chance of 1e-4."""
    X = np.random.default_rng(10).normal(size=(len(layout), 16))
    scores = score_benchmark(layout, X, config=MetricConfig(metric_mode=mode), tasks=[DETECTION]).scores
    assert (scores["n_retrieved"] > 0).sum() <= 4
    assert scores["fraction_retrieved"].max() < 0.02

"""The typed figures, held against the authors' tables row by row, and against their own arithmetic."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cpjump_assets.published
from cpjump_assets.published.tables import published_figures
from cpjump_assets.science.comparison import (
    CLASSES,
    CLASSES_TOLERANCE,
    FRACTION_RETRIEVED,
    FRACTION_TOLERANCE,
    ODDS_RATIO,
    ODDS_RATIO_TOLERANCE,
    PRINTED_DIGITS,
    PUBLISHED_FIGURES,
)

_CONDITION = [
    "Metadata_experiment_type",
    "Metadata_cell_line",
    "Metadata_timepoint_code",
    "reference_experiment_type",
    "reference_timepoint_code",
]
_FIGURE = ["figure", "task", "statistic", *_CONDITION, "release"]
_WORDS = {"compound": "Compound", "crispr": "CRISPR", "orf": "ORF", "short": "low", "long": "high"}
_HOURS = {"Compound": {24: "low", 48: "high"}, "CRISPR": {96: "low", 144: "high"}, "ORF": {48: "low", 96: "high"}}
_FILE = Path(cpjump_assets.published.__file__).with_name("published_figures.csv")


@pytest.fixture(scope="module")
def figures():
    return published_figures()


def _as_dict(figures):
    return figures.set_index(["task", *_CONDITION])["published"].to_dict()


def test_the_typed_file_is_read_as_it_is_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    figures = published_figures()
    PUBLISHED_FIGURES.check(figures, "published_figures")
    assert figures.columns.tolist() == PUBLISHED_FIGURES.column_names
    assert len(figures) == len(_FILE.read_text("utf-8").splitlines()) - 1


def test_every_figure_of_the_papers_is_there_once_a_run(figures):
    conditions = figures.drop_duplicates(_FIGURE).groupby(["figure", "task", "release"]).size()
    assert conditions.to_dict() == {
        ("2021 Fig. 1", "percent_replicating", 2021): 12,
        ("2021 Fig. 1", "percent_replicating", 2022): 12,
        ("2021 Fig. 2", "percent_matching", 2021): 16,
        ("2021 Fig. 2", "percent_matching", 2022): 16,
        ("4a", "detection", 2024): 12,
        ("4b", "sister_compounds", 2024): 4,
        ("4b", "sister_guides", 2024): 4,
        ("4c", "gene_compound", 2024): 16,
        ("5a", "directionality", 2024): 2,
        ("5b", "directionality", 2024): 4,
        ("S2", "detection", 2024): 12,
        ("S2", "gene_compound", 2024): 16,
        ("S2", "sister_compounds", 2024): 4,
        ("S2", "sister_guides", 2024): 4,
    }


def test_numbers_are_typed_with_the_digits_of_their_statistic():
    typed = pd.read_csv(_FILE, dtype="str")
    digits = typed["published"].str.partition(".")[2].str.len()
    assert (digits == typed["statistic"].map(PRINTED_DIGITS)).all()


def test_every_row_says_where_the_number_stands(figures):
    assert figures["source"].str.match(r"Chandrasekaran et al\. (2021, NeurIPS|2024, Nature Methods)").all()
    printed = figures["source"].str.extract(r"(Fig\.|Supplementary Table|repository:)")[0]
    assert printed.notna().all()
    assert (printed[figures["run"].isin(["tables", "notebook"])] == "repository:").all()


def test_fractions_are_those_of_the_authors_tables(figures, published_root):
    authors = pd.read_csv(published_root / "fraction_retrieved_2024.csv").replace(_WORDS)
    sisters = authors["query_modality"].map({"Compound": "sister_compounds", "CRISPR": "sister_guides"})
    tasks = authors["task"].map({"replicability": "detection", "gene_compound_matching": "gene_compound"})
    expected = pd.DataFrame(
        {
            "task": tasks.fillna(sisters),
            "Metadata_experiment_type": authors["query_modality"],
            "Metadata_cell_line": authors["cell_line"],
            "Metadata_timepoint_code": authors["query_time"],
            "reference_experiment_type": authors["reference_modality"].fillna(authors["query_modality"]),
            "reference_timepoint_code": authors["reference_time"].fillna(authors["query_time"]),
            "published": authors["fraction_retrieved"],
        }
    )
    typed = figures[(figures["statistic"] == FRACTION_RETRIEVED) & (figures["run"] != "notebook")]
    assert len(typed) == 36
    assert _as_dict(typed) == _as_dict(expected)


def test_fractions_of_the_other_run_are_the_three_that_differ(figures):
    other = figures[(figures["statistic"] == FRACTION_RETRIEVED) & (figures["run"] == "notebook")]
    assert _as_dict(other) == {
        ("detection", "Compound", "A549", "low", "Compound", "low"): 0.761,
        ("detection", "Compound", "U2OS", "high", "Compound", "high"): 0.660,
        ("gene_compound", "Compound", "A549", "low", "CRISPR", "low"): 0.015,
    }


@pytest.mark.parametrize("release", [2021, 2022])
def test_percents_are_those_of_the_authors_tables(figures, published_root, release):
    authors = pd.read_csv(published_root / "percent_replicating_matching.csv")
    authors = authors[authors["release"] == release]
    queries = authors["query_modality"].replace(_WORDS)
    references = authors["reference_modality"].replace(_WORDS).fillna(queries)
    hours = authors["reference_hours"].fillna(authors["query_hours"])
    expected = pd.DataFrame(
        {
            "task": authors["metric"],
            "Metadata_experiment_type": queries,
            "Metadata_cell_line": authors["cell_line"],
            "Metadata_timepoint_code": [_HOURS[of][at] for of, at in zip(queries, authors["query_hours"], strict=True)],
            "reference_experiment_type": references,
            "reference_timepoint_code": [_HOURS[of][at] for of, at in zip(references, hours, strict=True)],
            "published": authors["percent"],
        }
    )
    typed = figures[figures["task"].str.startswith("percent") & (figures["release"] == release)]
    assert len(typed) == 28
    assert _as_dict(typed) == _as_dict(expected)


def test_runs_of_one_release_differ_by_no_more_than_the_tolerance(figures):
    published = figures.groupby(_FIGURE)["published"]
    spread = (published.max() - published.min()).round(3).groupby("statistic").max()
    assert spread.to_dict() == {
        CLASSES: CLASSES_TOLERANCE,
        FRACTION_RETRIEVED: 0.007,
        ODDS_RATIO: 0,
        "percent matching": 0,
        "percent replicating": 0,
    }
    assert spread[FRACTION_RETRIEVED] <= FRACTION_TOLERANCE


def test_class_counts_of_the_supplement_in_the_order_in_which_it_names_them(figures):
    """Long before short times, of the query and then of the reference; A549 before U2OS."""
    table = figures[(figures["figure"] == "S2") & (figures["run"] != "notebook")].sort_values(
        ["Metadata_timepoint_code", "reference_timepoint_code", "Metadata_cell_line"]
    )
    listed = table.groupby(["task", "reference_experiment_type"])["published"].agg(list).to_dict()
    assert listed == {
        ("detection", "Compound"): [306] * 4,
        ("detection", "CRISPR"): [305] * 4,
        ("detection", "ORF"): [160] * 4,
        ("gene_compound", "CRISPR"): [134, 92, 135, 115, 128, 102, 130, 125],
        ("gene_compound", "ORF"): [8, 29, 8, 53, 8, 30, 8, 58],
        ("sister_compounds", "Compound"): [402, 285, 315, 300],
        ("sister_guides", "CRISPR"): [73, 42, 73, 73],
    }


def test_fractions_are_whole_numbers_of_the_classes_of_one_of_the_runs(figures):
    """Each count belongs to its condition: with that of another, most fractions would be of no whole number."""
    at = ["task", *_CONDITION]
    pairs = figures[figures["statistic"] == FRACTION_RETRIEVED].merge(
        figures[figures["statistic"] == CLASSES], on=at, suffixes=("_fraction", "_classes")
    )
    retrieved = (pairs["published_fraction"] * pairs["published_classes"]).round()
    pairs["whole"] = (retrieved / pairs["published_classes"]).round(3) == pairs["published_fraction"]
    whole = pairs.groupby([*at, "published_fraction"])["whole"].any()
    assert len(whole) == 39
    # 71 of 283 and 72 of 287 would give .251: a run of which no count is known.
    of_another_run = ("sister_compounds", "Compound", "U2OS", "high", "Compound", "high", 0.251)
    assert whole.index[~whole].tolist() == [of_another_run]


def test_the_tolerance_of_odds_ratios_is_what_five_lost_pairs_can_do(figures):
    """Counts beyond the thresholds, of 1,864 = 466 x 4 pairs, that give the four published ratios."""
    counts = {
        ("A549", "CRISPR"): (79, 154),
        ("A549", "ORF"): (71, 149),
        ("U2OS", "CRISPR"): (69, 182),
        ("U2OS", "ORF"): (70, 174),
    }
    ratios = figures[figures["figure"] == "5b"].set_index(["Metadata_cell_line", "reference_experiment_type"])
    rng = np.random.default_rng(0)
    drift = {}
    for of, (below, above) in counts.items():
        assert round(_odds_ratio(1864, below, above), 2) == ratios.loc[of, "published"]
        groups = [round(below / 4), round(above / 4)]
        lost = rng.multivariate_hypergeometric([*groups, 466 - sum(groups)], 5, size=4000)
        left = 4 * (np.array(groups) - lost[:, :2])
        moved = _odds_ratio(4 * 461, left[:, 0], left[:, 1]) - _odds_ratio(1864, *(4 * np.array(groups)))
        drift[of] = np.quantile(np.abs(moved), 0.95)
    assert min(drift.values()) > 0.1
    assert max(drift.values()) < ODDS_RATIO_TOLERANCE


def _odds_ratio(n, below, above):
    return (n - below) * above / (below * (n - above))

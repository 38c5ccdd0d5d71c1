"""The typed table of published figures, and ours laid beside it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cpjump_assets.published
from cpjump_assets.science.comparison import TOLERANCE, compare_with_published
from cpjump_assets.science.score_tables import PUBLISHED_COMPARISON

_WORDS = {"compound": "Compound", "crispr": "CRISPR", "orf": "ORF", "short": "low", "long": "high"}
_CONDITION = ["Metadata_experiment_type", "Metadata_cell_line", "Metadata_timepoint_code"]


@pytest.fixture
def published():
    return pd.read_csv(Path(cpjump_assets.published.__file__).with_name("fraction_retrieved.csv"))


def _scores(published, change=0.0):
    """Give scores of ours: the figures of the authors' tables, changed a little, by two rules and two subsets."""
    ours = published[published["run"] != "notebook"][["task", *_CONDITION, "fraction_retrieved"]].assign(
        subset="all", metric_mode="paper_2024", p_convention="add_one N=100000", wells="all"
    )
    ours["fraction_retrieved"] += change
    others = [ours.assign(fraction_retrieved=0.5, **{name: "other"}) for name in ("subset", "metric_mode", "wells")]
    return pd.concat([*others, ours, ours.assign(p_convention="strict")], ignore_index=True)


def test_all_twelve_conditions_are_typed_and_two_of_them_twice(published):
    assert len(published) == 14
    per_condition = published.groupby(_CONDITION)["run"].agg(sorted)
    assert len(per_condition) == 12
    twice = per_condition[per_condition.map(len) == 2]
    assert twice.index.tolist() == [("Compound", "A549", "low"), ("Compound", "U2OS", "high")]
    assert twice.map(tuple).unique().tolist() == [("notebook", "tables")]
    assert set(per_condition[per_condition.map(len) == 1].map(tuple)) == {("both",)}


def test_typed_figures_are_those_of_the_authors_tables(published, published_root):
    authors = pd.read_csv(published_root / "fraction_retrieved_2024.csv").query("task == 'replicability'")
    keys = zip(*(authors[name].replace(_WORDS) for name in ("query_modality", "cell_line", "query_time")), strict=True)
    expected = dict(zip(keys, authors["fraction_retrieved"], strict=True))
    ours = published[published["run"] != "notebook"].set_index(_CONDITION)["fraction_retrieved"]
    assert ours.to_dict() == expected


def test_equal_figures_reproduce_and_the_other_run_is_within_tolerance(published):
    table = compare_with_published(published, _scores(published), simulated=False)
    PUBLISHED_COMPARISON.check(table, "published_comparison")
    assert table.columns.tolist() == PUBLISHED_COMPARISON.column_names
    assert table["verdict"].eq("reproduces").all()
    assert table.loc[table["run"] != "notebook", "difference"].eq(0).all()
    assert table.loc[table["run"] == "notebook", "difference"].tolist() == [0.004, 0.003]


@pytest.mark.parametrize(
    ("change", "verdict"), [(0.009, "reproduces"), (0.0094, "reproduces"), (-0.009, "reproduces"), (0.01, "differs")]
)
def test_differences_are_taken_at_three_digits(published, change, verdict):
    table = compare_with_published(published, _scores(published, change), simulated=False)
    assert set(table.loc[table["run"] == "both", "verdict"]) == {verdict}
    assert (table["tolerance"] == TOLERANCE).all()


def test_simulated_profiles_are_never_compared(published):
    table = compare_with_published(published, _scores(published), simulated=True)
    PUBLISHED_COMPARISON.check(table, "published_comparison")
    assert len(table) == 14
    assert table[["ours", "difference"]].isna().all(axis=None)
    assert table["published"].notna().all()
    assert set(table["verdict"]) == {"not compared: simulated data"}


def test_a_condition_without_a_score_of_ours_says_so(published):
    scores = _scores(published)
    scores.loc[scores["Metadata_experiment_type"] == "ORF", "fraction_retrieved"] = np.nan
    scores = scores[scores["Metadata_experiment_type"] != "CRISPR"]
    verdicts = compare_with_published(published, scores, simulated=False).set_index("Metadata_experiment_type")[
        "verdict"
    ]
    assert set(verdicts[["ORF", "CRISPR"]]) == {"not compared: no score of ours"}
    assert set(verdicts["Compound"]) == {"reproduces"}

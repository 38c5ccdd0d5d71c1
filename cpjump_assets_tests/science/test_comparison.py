"""Scores of ours laid beside the published figures, from tables of which the answer is known."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.published.tables import published_figures
from cpjump_assets.science.comparison import (
    PRINTED_DIGITS,
    PUBLISHED_COMPARISON,
    STATISTICS,
    compare_with_published,
    coverage,
)
from cpjump_assets.science.score_tables import PERCENT_SCORES, SCORES
from cpjump_assets.science.tasks import METRICS

_TYPE_AND_LINE = ["Metadata_experiment_type", "Metadata_cell_line"]
_CONDITION = [*_TYPE_AND_LINE, "Metadata_timepoint_code", "reference_experiment_type", "reference_timepoint_code"]
_OTHER_RUNS = ["notebook"]
_OF_ALL_WELLS = {"subset": "all", "wells": "all"}
_BY_RULE = _OF_ALL_WELLS | {"metric_mode": "paper_2024", "p_convention": "add_one N=100000", "q_threshold": 0.05}


@pytest.fixture(scope="module")
def published():
    return published_figures()


def _with_others(ours, value_columns, *changes):
    """Add rows of another mode, subset, ... with numbers that would differ if they were taken."""
    wrong = [ours.assign(**change, **dict.fromkeys(value_columns, 7)) for change in changes]
    return pd.concat([*wrong[::2], ours, *wrong[1::2]], ignore_index=True)


def _scores(published, change):
    retrieval = published[published["statistic"].isin(["fraction retrieved", "classes"])]
    ours = retrieval.pivot_table("published", ["task", *_CONDITION], "statistic").reset_index()
    ours = ours.rename(columns={"fraction retrieved": "fraction_retrieved", "classes": "n_classes"})
    ours["fraction_retrieved"] = (ours["fraction_retrieved"] + change.get("fraction retrieved", 0.0)).clip(lower=0.0)
    ours["n_classes"] = ours["n_classes"].astype("int64") + change.get("classes", 0)
    return _with_others(
        ours.assign(**_BY_RULE),
        ["fraction_retrieved", "n_classes"],
        {"metric_mode": "copairs"},
        {"p_convention": "strict"},
        {"p_convention": "monte_carlo N=100000 seed=0"},
        {"subset": "test"},
        {"wells": "inner"},
    )


def _percents(published, change):
    of_2022 = published[(published["release"] == 2022)]
    ours = of_2022.rename(columns={"task": "metric", "published": "percent"}).assign(**_OF_ALL_WELLS)
    ours["percent"] += ours["statistic"].map(change).fillna(0.0)
    ours = ours[["metric", *_CONDITION, "percent", *_OF_ALL_WELLS]]
    return _with_others(ours, ["percent"], {"subset": "train"}, {"wells": "inner"})


def _directions(published, change):
    of_odds = published[published["statistic"] == "odds ratio"]
    ours = of_odds.rename(columns={"Metadata_experiment_type": "query_experiment_type", "published": "odds_ratio"})
    ours["odds_ratio"] += change.get("odds ratio", 0.0)
    ours = ours[["query_experiment_type", "Metadata_cell_line", "reference_experiment_type", "odds_ratio"]]
    of_orfs = ours["query_experiment_type"] == "ORF"
    ours = ours.assign(
        comparison=np.where(of_orfs, "orf_crispr", "compound_gene"),
        variant=np.where(of_orfs, "published_table", "corrected"),
        **_OF_ALL_WELLS,
    )
    others = _with_others(
        ours, ["odds_ratio"], {"subset": "test"}, {"wells": "inner"}, {"variant": "published_thresholds"}
    )
    as_it_should_be = ours[of_orfs].assign(variant="corrected", odds_ratio=1.0)
    return pd.concat([others, as_it_should_be], ignore_index=True)


def _ours(published, **change):
    """Give scores, percents and directions that are the published ones, changed by statistic, among others.

    Where runs of the authors differ, the retrieval scores are those of the tables and of the supplement.
    """
    change = {name.replace("_", " "): by for name, by in change.items()}
    of_one_run = published[~published["run"].isin(_OTHER_RUNS)]
    return _scores(of_one_run, change), _percents(published, change), _directions(published, change)


def _single(table):
    """Give the rows that have one run only, of a release that ours was made of."""
    return table[~table["run"].isin(["notebook", "tables", "supplement"]) & (table["release"] != 2021)]


def test_columns_and_tasks_here_are_those_of_our_tables(published):
    scores, percents, _ = _ours(published)
    assert set(scores.columns) <= set(SCORES.column_names)
    assert set(percents.columns) <= set(PERCENT_SCORES.column_names)
    assert set(published["task"]) >= set(METRICS)


def test_equal_figures_reproduce_and_another_run_is_within_tolerance(published):
    table = compare_with_published(published, *_ours(published), simulated=False)
    PUBLISHED_COMPARISON.check(table, "published_comparison")
    assert table.columns.tolist() == PUBLISHED_COMPARISON.column_names
    assert len(table) == len(published)
    assert table["ours"].notna().all()
    of_ours = ~table["run"].isin(_OTHER_RUNS) & (table["release"] != 2021)
    assert table.loc[of_ours, "difference"].eq(0).all()
    other = table[table["run"].isin(_OTHER_RUNS)]
    assert sorted(other.loc[other["statistic"] == "fraction retrieved", "difference"]) == [-0.007, 0.003, 0.004]
    assert sorted(other.loc[other["statistic"] == "classes", "difference"]) == [-2, -1, -1, 1, 1, 1, 1]
    assert table.loc[table["release"] == 2024, "verdict"].eq("reproduces").all()


def test_each_release_is_compared_with_the_same_percent_of_ours(published):
    table = compare_with_published(published, *_ours(published), simulated=False)
    at = table[
        (table["task"] == "percent_replicating")
        & (table["Metadata_experiment_type"] == "Compound")
        & (table["Metadata_cell_line"] == "A549")
        & (table["Metadata_timepoint_code"] == "high")
    ].set_index("release")
    assert at["published"].to_dict() == {2021: 97.1, 2022: 85.0}
    assert at["ours"].to_dict() == {2021: 85.0, 2022: 85.0}
    assert at["difference"].to_dict() == {2021: -12.1, 2022: 0.0}
    assert at["verdict"].to_dict() == {2021: "differs", 2022: "reproduces"}


@pytest.mark.parametrize(
    ("statistic", "change", "difference", "verdict"),
    [
        ("fraction retrieved", 0.009, 0.009, "reproduces"),
        ("fraction retrieved", 0.0094, 0.009, "reproduces"),
        ("fraction retrieved", -0.009, -0.009, "reproduces"),
        ("fraction retrieved", 0.01, 0.01, "differs"),
        ("odds ratio", -0.204, -0.2, "reproduces"),
        ("odds ratio", 0.21, 0.21, "differs"),
        ("percent replicating", 3.04, 3.0, "reproduces"),
        ("percent replicating", -3.1, -3.1, "differs"),
        ("percent matching", 3.04, 3.0, "reproduces"),
        ("percent matching", 3.1, 3.1, "differs"),
    ],
)
def test_differences_are_taken_at_the_digits_printed(published, statistic, change, difference, verdict):
    ours = _ours(published, **{statistic.replace(" ", "_"): change})
    table = _single(compare_with_published(published, *ours, simulated=False))
    table = table[table["published"] > 0.02]  # below, less would be less than nothing
    changed = table["statistic"] == statistic
    assert set(table.loc[changed, "difference"]) == {difference}
    assert set(table.loc[changed, "verdict"]) == {verdict}
    assert set(table.loc[~changed, "verdict"]) == {"reproduces"}


@pytest.mark.parametrize(("change", "verdict"), [(2, "reproduces"), (-2, "reproduces"), (3, "differs")])
def test_class_counts_are_exact_in_detection_and_may_move_in_matching(published, change, verdict):
    table = _single(compare_with_published(published, *_ours(published, classes=change), simulated=False))
    counts = table[table["statistic"] == "classes"]
    in_detection = counts["task"] == "detection"
    assert set(counts.loc[in_detection, "verdict"]) == {"differs"}
    assert set(counts.loc[~in_detection, "verdict"]) == {verdict}
    assert set(counts.loc[in_detection, "tolerance"]) == {0}


def test_simulated_profiles_are_never_compared(published):
    table = compare_with_published(published, *_ours(published), simulated=True)
    PUBLISHED_COMPARISON.check(table, "published_comparison")
    assert len(table) == len(published)
    assert table[["ours", "difference"]].isna().all(axis=None)
    assert table["published"].notna().all()
    assert set(table["verdict"]) == {"not compared: simulated data"}


def test_a_condition_without_a_score_of_ours_says_so(published):
    scores, percents, directions = _ours(published)
    scores = scores[scores["Metadata_experiment_type"] != "CRISPR"]
    scores.loc[scores["task"] == "sister_compounds", ["fraction_retrieved", "n_classes"]] = (np.nan, 0)
    percents = percents[percents["metric"] != "percent_matching"]
    directions.loc[directions["Metadata_cell_line"] == "U2OS", "odds_ratio"] = np.nan
    table = compare_with_published(published, scores, percents, directions, simulated=False)
    PUBLISHED_COMPARISON.check(table, "published_comparison")
    retrieval = table["figure"].str.match("4|S2")
    unanswered = (
        (retrieval & (table["Metadata_experiment_type"] == "CRISPR"))
        | (table["task"].isin(["sister_compounds", "percent_matching"]))
        | ((table["task"] == "directionality") & (table["Metadata_cell_line"] == "U2OS"))
    )
    assert set(table.loc[unanswered, "verdict"]) == {"not compared: no score of ours"}
    assert table.loc[unanswered, "ours"].isna().all()
    assert set(table.loc[~unanswered, "verdict"]) <= {"reproduces", "differs"}


def test_tables_without_a_row_leave_every_figure_unanswered(published):
    ours = (table.iloc[:0] for table in _ours(published))
    table = compare_with_published(published, *ours, simulated=False)
    assert set(table["verdict"]) == {"not compared: no score of ours"}
    assert table["difference"].isna().all()


def test_the_order_of_rows_says_nothing(published):
    ours = _ours(published)
    expected = compare_with_published(published, *ours, simulated=False)
    shuffled = (table.sample(frac=1.0, random_state=3, ignore_index=True) for table in ours)
    found = compare_with_published(published.sample(frac=1.0, random_state=4), *shuffled, simulated=False)
    pd.testing.assert_frame_equal(found, expected)


def test_coverage_counts_the_verdicts_of_each_statistic(published):
    scores, percents, directions = _ours(published, odds_ratio=1.0, classes=-1)
    percents = percents[percents["metric"] == "percent_replicating"]
    counts = coverage(compare_with_published(published, scores, percents, directions, simulated=False))
    assert counts["statistic"].tolist() == list(STATISTICS)
    numbers = counts.set_index("statistic").T.to_dict("list")
    assert numbers["fraction retrieved"] == [39, 39, 39, 0]
    # One less than the supplement: 12 counts of detection differ, and the one that another run had greater by 2.
    assert numbers["classes"] == [43, 43, 30, 13]
    assert numbers["odds ratio"] == [6, 6, 0, 6]
    assert numbers["percent matching"] == [32, 0, 0, 0]
    assert numbers["percent replicating"][:2] == [24, 24]
    assert counts["n_compared"].tolist() == (counts["n_reproduced"] + counts["n_differing"]).tolist()


def test_coverage_of_simulated_data_compares_nothing(published):
    counts = coverage(compare_with_published(published, *_ours(published), simulated=True))
    assert counts["n_published"].sum() == len(published)
    assert counts[["n_compared", "n_reproduced", "n_differing"]].eq(0).all(axis=None)


def test_every_statistic_has_its_digits():
    assert set(PRINTED_DIGITS) == set(STATISTICS)

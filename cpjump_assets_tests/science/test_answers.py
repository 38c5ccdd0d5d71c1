"""Score rows: counts, intervals and notes, on questions whose answers can be written down."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.answers import Answers, answer
from cpjump_assets.science.class_scores import METRIC_MODES, MetricConfig, call_classes
from cpjump_assets.science.intervals import FEWEST_CLASSES, binomial_interval, bootstrap_interval
from cpjump_assets.science.retrieval import NO_CLASS
from cpjump_assets.science.score_tables import CLASSES, SCORES
from cpjump_assets_tests.science.helpers_scores import make_questions, random_ranks

RULE = MetricConfig()
PERFECT, POOR = ([1, 2, 3], 67), ([40, 50, 60], 67)
LONELY, UNOPPOSED = ([], 64), ([1, 2], 2)
"""Queries without a positive and without a negative."""
NUMBERS = ["fraction_retrieved", "mean_average_precision"]
NUMBERS += [f"{name}_{end}" for name in NUMBERS for end in ("low", "high")]


def _cell(n_perfect, n_poor, **others):
    """Give classes of two queries, some of which are retrieved and some not."""
    return (
        {f"good {i}": [PERFECT, PERFECT] for i in range(n_perfect)}
        | {f"poor {i}": [POOR, POOR] for i in range(n_poor)}
        | others
    )


def _random_cell(seed, n_classes=9):
    """Give classes of three queries, the first half of them good, and two queries without a class."""
    ranks = random_ranks(np.random.default_rng(seed), 3 * n_classes + 2, 3, 67)
    ranks[: 3 * n_classes // 2] = random_ranks(np.random.default_rng(seed), 3 * n_classes // 2, 3, 6)
    queries = [(list(one), 67) for one in ranks]
    return {f"class {i}": queries[3 * i : 3 * i + 3] for i in range(n_classes)} | {None: queries[-2:]}


def test_a_score_counts_what_it_is_made_of():
    cell = _cell(3, 2, lonely=[LONELY], unopposed=[UNOPPOSED, UNOPPOSED], half=[PERFECT, UNOPPOSED])
    (row,) = answer(make_questions([cell | {None: [PERFECT]}]), RULE).scores.to_dict("records")
    assert (row["n_profiles"], row["n_negative_controls"], row["same_well_share"]) == (16, 7, 0.5)
    assert row["n_queries"] == 15
    assert (row["n_classes"], row["n_classes_without_positives"]) == (6, 1)
    assert (row["n_retrieved"], row["n_undecided"]) == (4, 0)
    assert row["fraction_retrieved"] == pytest.approx(4 / 6)
    assert (row["fraction_retrieved_low"], row["fraction_retrieved_high"]) == binomial_interval(4, 6)
    poor = (1 / 40 + 2 / 50 + 3 / 60) / 3
    means = np.array([1, 1, 1, poor, poor, 1])
    assert row["mean_average_precision"] == pytest.approx(means.mean())
    low_and_high = (row["mean_average_precision_low"], row["mean_average_precision_high"])
    np.testing.assert_allclose(low_and_high, bootstrap_interval(means, seed=0), rtol=1e-12)
    assert row["note"] == "3 queries have no score: they have a positive but no negative"


def test_a_cell_of_which_all_is_scored_has_no_note():
    scores = answer(make_questions([_cell(3, 2)]), RULE).scores
    assert scores["note"].isna().all()
    assert scores[NUMBERS].notna().all(axis=None)
    assert scores["note"].dtype == "str"


def test_queries_without_positive_need_no_note_where_other_classes_are_enough():
    scores = answer(make_questions([_cell(3, 2, lonely=[LONELY, LONELY])]), RULE).scores
    assert (scores["n_classes"].item(), scores["n_classes_without_positives"].item()) == (5, 1)
    assert scores["note"].isna().all()


@pytest.mark.parametrize("n_scored", range(FEWEST_CLASSES + 1))
def test_few_classes_get_a_note_and_no_number(n_scored):
    cell = _cell(n_scored, 0, lonely=[LONELY], unopposed=[UNOPPOSED])
    (row,) = answer(make_questions([cell]), RULE).scores.to_dict("records")
    assert (row["n_classes"], row["n_retrieved"]) == (n_scored, n_scored)
    if n_scored < FEWEST_CLASSES:
        assert np.isnan([row[name] for name in NUMBERS]).all()
        expected = f"{n_scored} of {n_scored + 2} classes have a positive pair and a negative, at least 5 must"
        assert row["note"] == expected
    else:
        assert row["fraction_retrieved"] == 1.0
        assert row["note"] == "1 queries have no score: they have a positive but no negative"


def test_a_cell_where_nothing_is_asked_says_so():
    scores = answer(make_questions([{}, _cell(3, 2), {None: [PERFECT]}]), RULE).scores
    assert scores["note"].tolist() == ["nobody is here", np.nan, "nobody is here"]
    assert scores["n_queries"].tolist() == [0, 10, 0]
    assert scores[NUMBERS].isna().all(axis=1).tolist() == [True, False, True]


def test_questions_that_all_ask_nothing():
    found = answer(make_questions([{}, {}]), RULE)
    assert (len(found.queries), len(found.classes), len(found.scores)) == (0, 0, 2)
    SCORES.check(found.scores, "scores")
    CLASSES.check(found.classes, "classes")


@pytest.mark.parametrize("mode", METRIC_MODES)
@pytest.mark.parametrize("p_convention", ["add_one", "strict", "monte_carlo"])
def test_tables_keep_to_their_schemas_and_name_their_rule(mode, p_convention):
    config = MetricConfig(metric_mode=mode, p_convention=p_convention, null_size=1_000, wells="inner")
    found = answer(make_questions([_random_cell(1), {}, _cell(0, 3)]), config)
    for schema, table in ((CLASSES, found.classes), (SCORES, found.scores)):
        pd.testing.assert_frame_equal(table, schema.normalise(table, schema.name))
        assert set(table["metric_mode"]) == {mode}
        assert set(table["p_convention"]) == {config.p_label}
        assert set(table["wells"]) == {"inner"}


@pytest.mark.parametrize("mode", METRIC_MODES)
def test_class_rows_are_the_calls_of_the_classes(mode):
    config = MetricConfig(metric_mode=mode)
    questions = make_questions([_random_cell(1), _random_cell(2, n_classes=6)])
    table = answer(questions, config).classes
    asked = np.flatnonzero(questions.members != NO_CLASS)
    lists, members = questions.lists.take(asked), questions.members[asked]
    _, calls = call_classes(lists, members=members, families=questions.families, config=config)
    assert table["class_name"].tolist() == [f"class {i}" for i in [*range(9), *range(6)]]
    assert table["subset"].tolist() == ["subset 0"] * 9 + ["subset 1"] * 6
    assert (table["n_queries"] == 3).all()
    np.testing.assert_array_equal(table["n_queries_scored"], calls.n_scored)
    np.testing.assert_array_equal(table["mean_average_precision"], calls.mean_average_precision)
    np.testing.assert_array_equal(table[["p_value", "p_low", "p_high"]].T, list(vars(calls.p).values()))
    np.testing.assert_array_equal(table["q_value"], calls.calls.q_value)
    np.testing.assert_array_equal(table["retrieved"], calls.calls.significant)
    assert 0 < table["retrieved"].sum() < len(table)


def test_queries_without_class_keep_their_average_precision_but_have_no_p():
    cell = _random_cell(1, n_classes=5)
    without = {name: queries for name, queries in cell.items() if name is not None}
    found, fewer = answer(make_questions([cell]), RULE), answer(make_questions([without]), RULE)
    queries = found.queries
    assert queries["Metadata_Well"].tolist() == [f"query {i}" for i in range(17)]
    assert queries["average_precision"].notna().all()
    assert queries["p_value"].isna().tolist() == [False] * 15 + [True] * 2
    assert queries[["p_low", "p_high"]].isna().sum().tolist() == [2, 2]
    pd.testing.assert_frame_equal(found.classes, fewer.classes)
    same = [name for name in SCORES.column_names if name != "n_profiles"]
    pd.testing.assert_frame_equal(found.scores[same], fewer.scores[same])


def test_queries_that_cannot_be_scored_have_neither_average_precision_nor_p():
    queries = answer(make_questions([_cell(5, 0, odd=[LONELY, UNOPPOSED])]), RULE).queries
    assert queries[["average_precision", "p_value"]].isna().sum().tolist() == [2, 2]
    assert queries["n_positives"].tolist()[-2:] == [0, 2]
    assert queries["n_negatives"].tolist()[-2:] == [64, 0]


def test_mode_copairs_gives_queries_no_p():
    found = answer(make_questions([_random_cell(1)]), MetricConfig(metric_mode="copairs"))
    assert found.queries[["p_value", "p_low", "p_high"]].isna().all(axis=None)
    assert found.queries["average_precision"].notna().all()
    assert found.classes["p_value"].notna().all()


def test_a_cell_has_the_same_answer_alone_and_in_company():
    cells = [_random_cell(1), _cell(1, 1), _random_cell(2, n_classes=6), {}]
    together = answer(make_questions(cells), RULE)
    for number, cell in enumerate(cells):
        alone = answer(make_questions([cell]), RULE)
        for name in ("classes", "scores"):
            table = getattr(together, name)
            own = table[table["subset"] == f"subset {number}"].drop(columns="subset").reset_index(drop=True)
            pd.testing.assert_frame_equal(own, getattr(alone, name).drop(columns="subset"), check_exact=True)


def test_the_seed_moves_the_interval_of_the_mean_alone():
    questions = make_questions([_random_cell(1)])
    one, two = (answer(questions, MetricConfig(seed=seed)).scores for seed in (0, 1))
    different = [name for name in one if not one[name].equals(two[name])]
    assert set(different) == {"mean_average_precision_low", "mean_average_precision_high"}


def test_an_open_call_is_counted():
    queries = {f"class {i}": [([2, 5, 9, 14, 23, 29, 37], 71)] for i in range(5)}
    questions = make_questions([queries])
    p = answer(questions, MetricConfig(q_threshold=1e-9)).classes[["p_low", "p_high"]].iloc[0]
    for _ in range(2):  # the second time between the ends on the finer grid
        found = answer(questions, MetricConfig(q_threshold=p.mean()))
        p = found.classes[["p_low", "p_high"]].iloc[0]
    assert found.classes["undecided"].all()
    assert found.scores["n_undecided"].item() == 5


def test_answers_of_several_tasks_are_put_below_each_other():
    parts = [
        answer(make_questions([_random_cell(1), {}], task="detection"), RULE),
        answer(make_questions([{}], task="orf_same_well"), RULE),
        answer(make_questions([_cell(3, 2)], task="sister_guides"), RULE),
    ]
    found = Answers.concatenate(parts)
    for name in ("queries", "classes", "scores"):
        expected = pd.concat([getattr(part, name) for part in parts], ignore_index=True)
        pd.testing.assert_frame_equal(getattr(found, name), expected)
    assert found.scores["task"].tolist() == ["detection", "detection", "orf_same_well", "sister_guides"]
    CLASSES.check(found.classes, "classes")
    SCORES.check(found.scores, "scores")

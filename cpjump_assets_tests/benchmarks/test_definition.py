import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from benchmarks import peers
from benchmarks.agreement import ROUNDING, arbiter, same_queries
from benchmarks.definition import Condition, MatchingCell, matching_cells, single_precision_score
from cpjump_assets.science.tasks import CONDITION, GENE_COMPOUND, SISTER_COMPOUNDS, SISTER_GUIDES


def cell_of(task, labels, kinds=None, n_features=12):
    n = len(labels)
    items = pd.DataFrame(
        {
            "Metadata_broad_sample": [f"item {i}" for i in range(n)],
            "Metadata_experiment_type": kinds or ["Compound"] * n,
            "Metadata_target": [own[0] for own in labels],
            "labels": labels,
        }
    )
    return MatchingCell(task, "Compound A549 24 h", items, np.random.default_rng(n).standard_normal((n, n_features)))


def test_who_shares_another_label_is_neither_positive_nor_negative():
    cell = cell_of(SISTER_COMPOUNDS, [["A", "B"], ["A"], ["B"], ["C"], ["A", "C"]])
    positives, negatives = cell.sides_of(0, "A")
    assert positives.tolist() == [1, 4] and negatives.tolist() == [3]


def test_between_modalities_only_the_other_one_is_looked_at():
    kinds = ["Compound", "Compound", "CRISPR", "CRISPR"]
    positives, negatives = cell_of(GENE_COMPOUND, [["A"], ["A"], ["A"], ["B"]], kinds).sides_of(0, "A")
    assert positives.tolist() == [2] and negatives.tolist() == [3]


def layout_of(*reagents):
    rows = [
        (kind, "A549", hours, "low", sample, targets.split("|")[0], targets)
        for kind, hours, sample, targets in reagents
        for _ in range(2)
    ]
    names = ["Metadata_broad_sample", "Metadata_target", "Metadata_target_list"]
    return pd.DataFrame(rows, columns=[*CONDITION, *names])


def test_cells_hold_what_was_detected_and_genes_that_are_there():
    layout = layout_of(
        ("Compound", 24, "cpd 1", "A|B|Z"),
        ("Compound", 24, "cpd 2", "Z"),
        ("Compound", 24, "cpd 3", "A"),
        ("CRISPR", 96, "guide 1", "A"),
        ("CRISPR", 96, "guide 2", "A"),
        ("CRISPR", 96, "guide 3", "B"),
    )
    X = np.arange(len(layout) * 3.0).reshape(-1, 3)
    detected = layout[layout["Metadata_broad_sample"] != "cpd 3"]
    cells = {cell.task: cell for cell in matching_cells(layout, X, detected)}
    assert cells[SISTER_COMPOUNDS].items["labels"].tolist() == [["A", "B", "Z"], ["Z"]]
    assert cells[SISTER_GUIDES].items["Metadata_broad_sample"].tolist() == ["guide 1", "guide 2"]
    assert cells[GENE_COMPOUND].items["labels"].tolist() == [["A", "B"], ["A"], ["A"], ["B"]]
    assert cells[GENE_COMPOUND].cell == "Compound A549 24 h x CRISPR A549 96 h"
    np.testing.assert_allclose(cells[SISTER_COMPOUNDS].X, [X[:2].mean(axis=0), X[2:4].mean(axis=0)])


def test_a_condition_is_read_as_it_is_written():
    condition = Condition("CRISPR", "U2OS", 144)
    assert Condition.parse(str(condition)) == condition


@pytest.mark.parametrize("absolute", [False, True])
def test_a_single_query_is_scored_as_scikit_learn_does(absolute):
    X = np.random.default_rng(0).standard_normal((30, 6))
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    cosines = unit[1:] @ unit[0]
    expected = average_precision_score(np.arange(29) < 5, np.abs(cosines) if absolute else cosines)
    assert single_precision_score(X[0], X[1:6], X[6:], absolute=absolute) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "cell",
    [
        cell_of(SISTER_COMPOUNDS, [["A", "B"], ["A"], ["B"], ["C"], ["A", "C"], ["D"], ["E"]]),
        cell_of(SISTER_GUIDES, [["A"], ["A"], ["B"], ["B"], ["C"], ["C"]]),
        cell_of(GENE_COMPOUND, [["A", "B"], ["A"], ["C"], ["A"], ["B"], ["C"]], ["Compound"] * 3 + ["CRISPR"] * 3),
    ],
    ids=lambda cell: cell.task,
)
def test_copairs_is_asked_what_the_definition_says(cell):
    theirs = peers.precisions(peers.matching_calls([cell]))
    judge = arbiter(pd.DataFrame(), np.empty((0, 0)), [cell])
    assert len(theirs) >= 6
    for query, row in theirs.iterrows():
        _, _, item, label = query
        positives, negatives = cell.sides_of(int(item.removeprefix("item ")), label)
        assert (row["n_positives"], row["n_negatives"]) == (len(positives), len(negatives))
        assert judge(query) == pytest.approx(row["average_precision"], abs=ROUNDING)


def queries(precision, n_negatives=9):
    index = pd.MultiIndex.from_tuples([("task", "cell", "item", "label")], names=["task", "cell", "item", "label"])
    return pd.DataFrame({"n_positives": 1, "n_negatives": n_negatives, "average_precision": precision}, index=index)


def test_queries_agree_if_equal_or_if_rounding_explains_the_difference():
    never, explains = (lambda query: 0.0), (lambda query: 0.25)
    assert same_queries(queries(0.5), queries(0.5), never)
    assert not same_queries(queries(0.5), queries(0.25), never)
    assert same_queries(queries(0.5), queries(0.25), explains)
    assert not same_queries(queries(0.5), queries(0.5, n_negatives=8), explains)
    assert not same_queries(queries(0.5), queries(0.5).iloc[:0], explains)

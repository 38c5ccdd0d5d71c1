"""Ranks and average precision, against a sorted list, scikit-learn and copairs."""

from itertools import chain

import numpy as np
import pandas as pd
import pytest
from copairs.map import average_precision as copairs_average_precision
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score

from cpjump_assets.science.retrieval import NO_CLASS, RankLists, positive_ranks, rank_against_controls
from cpjump_assets.science.similarity import TIE, unit_rows


def _ranks_of_sorted_list(positives, negatives):
    """Sort the whole list, positives before negatives of the same similarity, and look the positives up."""
    listed = sorted([(-value, 0) for value in positives] + [(-value, 1) for value in negatives])
    return [rank for rank, (_, is_negative) in enumerate(listed, start=1) if not is_negative]


_similarities = st.integers(-3, 3).map(float)


@settings(deadline=None, max_examples=200)
@given(st.data(), st.integers(1, 6), st.integers(1, 6), st.integers(0, 8))
def test_ranks_equal_those_of_the_sorted_list_with_ties(data, n_queries, n_positives, n_negatives):
    """Few distinct values, so that most lists have ties; both ways of counting, few and many positives, come up."""
    positives = data.draw(arrays(float, (n_queries, n_positives), elements=_similarities))
    negatives = data.draw(arrays(float, (n_queries, n_negatives), elements=_similarities))
    expected = [_ranks_of_sorted_list(*query) for query in zip(positives, negatives, strict=True)]
    np.testing.assert_array_equal(positive_ranks(positives, negatives), expected)


def test_similarities_closer_than_a_tie_favour_the_positive():
    positives = np.array([[0.5], [0.5]])
    negatives = np.array([[0.5 + TIE / 2], [0.5 + 2 * TIE]])
    np.testing.assert_array_equal(positive_ranks(positives, negatives), [[1], [2]])


@pytest.mark.parametrize(("n_queries", "n_positives"), [(40, 3), (5, 60)])
def test_average_precision_equals_scikit_learn(n_queries, n_positives):
    rng = np.random.default_rng(4)
    positives, negatives = rng.normal(0.5, 1, (n_queries, n_positives)), rng.normal(size=(n_queries, 64))
    lists = RankLists(
        positive_ranks(positives, negatives).ravel(), np.full(n_queries, n_positives), np.full(n_queries, 64)
    )
    truth = np.r_[np.ones(n_positives), np.zeros(64)]
    expected = [average_precision_score(truth, np.r_[query]) for query in np.hstack([positives, negatives])]
    np.testing.assert_allclose(lists.average_precision(), expected, rtol=1e-14)


def _small_experiment(seed=5):
    """Three plates, classes of 2 to 5 wells over them, two control samples, one of them many wells."""
    rng = np.random.default_rng(seed)
    samples = ["a"] * 2 + ["b"] * 3 + ["c"] * 5 + ["d"] * 4 + ["alone"] + ["DMSO"] * 12 + ["mock"] * 4
    frame = pd.DataFrame({"sample": samples, "plate": rng.permutation(np.resize(list("pqr"), len(samples)))})
    frame["is_control"] = frame["sample"].isin(["DMSO", "mock"])
    return frame.sample(frac=1, random_state=seed, ignore_index=True), rng.normal(size=(len(frame), 8))


def _rank(frame, X):
    return rank_against_controls(
        unit_rows(X),
        classes=pd.factorize(frame["sample"])[0],
        plates=pd.factorize(frame["plate"])[0],
        is_control=frame["is_control"].to_numpy(),
    )


@pytest.mark.parametrize("seed", range(5, 10))
def test_lists_equal_those_of_copairs_for_treated_and_control_wells(seed):
    frame, X = _small_experiment(seed)
    found = _rank(frame, X)
    peer = copairs_average_precision(frame, X, ["sample"], [], ["plate"], ["is_control"], progress_bar=False)
    np.testing.assert_array_equal(found.n_positives, peer["n_pos_pairs"])
    np.testing.assert_array_equal(found.n_total, peer["n_total_pairs"])
    expected = peer["average_precision"].where(peer["n_pos_pairs"] > 0)
    assert expected.notna().sum() == len(frame) - 1
    np.testing.assert_allclose(found.average_precision(), expected, rtol=0, atol=2.3e-16)


def test_copies_of_one_profile_stand_before_negatives():
    frame, X = _small_experiment()
    found = _rank(frame, np.ones_like(X))
    expected = np.where(frame["sample"] == "alone", np.nan, 1.0)
    np.testing.assert_array_equal(found.average_precision(), expected)


def test_wells_without_class_or_without_negatives_have_no_score():
    unit = unit_rows(np.random.default_rng(6).normal(size=(8, 4)))
    found = rank_against_controls(
        unit,
        classes=np.array([0, 0, 1, 1, 2, NO_CLASS, NO_CLASS, NO_CLASS]),
        plates=np.array([0, 1, 0, 1, 0, 0, 0, 0]),
        is_control=np.array([False] * 5 + [True] * 3),
    )
    np.testing.assert_array_equal(found.n_positives, [1, 1, 1, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(found.n_negatives, [3, 0, 3, 0, 3, 3, 3, 3])
    np.testing.assert_array_equal(found.scored, [True, False, True, False, False, False, False, False])
    assert np.isnan(found.average_precision()).tolist() == (~found.scored).tolist()


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_lists_can_be_taken_apart_and_put_together(sizes, random):
    n_positives = np.array(sizes)
    ranks = [sorted(random.sample(range(1, 30), size)) for size in sizes]
    lists = RankLists(np.array(list(chain(*ranks)), dtype=int), n_positives, np.full(len(sizes), 30) - n_positives)
    order = np.array(random.sample(range(len(sizes)), len(sizes)))
    taken = lists.take(order)
    parts = RankLists.concatenate([taken.take(np.array([i])) for i in range(len(order))])
    assert parts.ranks.tolist() == taken.ranks.tolist() == list(chain(*(ranks[i] for i in order)))
    np.testing.assert_array_equal(parts.average_precision(), lists.average_precision()[order])
    for queries, matrix in lists.by_size():
        assert matrix.tolist() == [ranks[query] for query in queries]

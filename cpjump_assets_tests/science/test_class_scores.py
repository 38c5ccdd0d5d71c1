"""Classes from their members' p, the finer look at open calls, and the interval of a fraction."""

import numpy as np
import pytest
from scipy.stats import binom, false_discovery_control, gmean

from cpjump_assets.science.class_scores import MetricConfig, binomial_interval, call_classes, score_of_classes
from cpjump_assets.science.null_distribution import tail_probability
from cpjump_assets.science.retrieval import RankLists

RULE = MetricConfig()


def _lists(ranks, length):
    ranks = np.array(ranks)
    return RankLists(ranks.ravel(), np.full(len(ranks), ranks.shape[1]), np.full(len(ranks), length - ranks.shape[1]))


def test_class_p_is_the_geometric_mean_and_q_is_corrected_within_its_family():
    rng = np.random.default_rng(1)
    ranks = np.sort(np.argsort(rng.random((60, 67)), axis=1)[:, :3] + 1, axis=1)
    members = rng.permutation(np.repeat(np.arange(12), 5))
    families = np.array([0, 1] * 6)
    lists = _lists(ranks, 67)
    p, classes = call_classes(lists, members=members, families=families, config=RULE)
    expected = np.array([gmean(p.value[members == one]) for one in range(12)])
    np.testing.assert_allclose(classes.p.value, expected, rtol=1e-12)
    np.testing.assert_allclose(
        classes.mean_average_precision, [lists.average_precision()[members == one].mean() for one in range(12)]
    )
    for family in (0, 1):
        own = families == family
        np.testing.assert_allclose(classes.calls.q_value[own], false_discovery_control(expected[own]), rtol=1e-12)
    np.testing.assert_array_equal(p.value, (1 + 1e5 * tail_probability(lists).value) / (1 + 1e5))


def test_members_without_a_score_do_not_count():
    lists = RankLists(np.array([1, 1, 5]), np.array([1, 1, 1, 0]), np.array([9, 0, 9, 9]))
    p, classes = call_classes(lists, members=np.array([0, 0, 1, 2]), families=np.zeros(3, dtype=int), config=RULE)
    assert np.isnan(p.value).tolist() == [False, True, False, True]
    assert classes.n_members.tolist() == [2, 1, 1]
    assert classes.n_scored.tolist() == [1, 1, 0]
    assert classes.p.value[0] == pytest.approx(1 / (1 + 1e5))
    assert np.isnan([classes.p.value[2], classes.mean_average_precision[2], classes.calls.q_value[2]]).all()
    assert classes.calls.significant.tolist() == [True, False, False]


def test_perfect_lists_have_the_least_p_of_the_convention():
    lists = _lists([[1, 2, 3], [1, 2, 3], [9, 30, 60]], 67)
    members, families = np.array([0, 0, 1]), np.zeros(2, dtype=int)
    added = call_classes(lists, members=members, families=families, config=RULE)[1]
    assert added.p.value[0] == pytest.approx(1 / (1 + 1e5))
    strict = call_classes(lists, members=members, families=families, config=MetricConfig(p_convention="strict"))[1]
    assert strict.p.value[0] == 0.0
    assert strict.p.value[1] == pytest.approx(added.p.value[1], rel=1e-4)


def _hinge():
    """One list of (7, 71) with its coarse and its fine interval of p; q of a class alone is its p."""
    lists = _lists([[2, 5, 9, 14, 23, 29, 37]], 71)
    ends = [
        [(1 + 1e5 * float(end[0])) / (1 + 1e5) for end in (tail.low, tail.value, tail.high)]
        for tail in (tail_probability(lists), tail_probability(lists, refined=True))
    ]
    return lists, *ends


def _call_at(lists, threshold):
    one = np.zeros(1, dtype=int)
    p, classes = call_classes(lists, members=one, families=one, config=MetricConfig(q_threshold=threshold))
    return p, classes.calls


def test_a_call_that_the_coarse_interval_leaves_open_is_decided_on_the_finer_grid():
    lists, (low, _, high), (fine_low, fine_value, fine_high) = _hinge()
    assert low < fine_low < fine_high < high
    for threshold, retrieved in (((low + fine_low) / 2, False), ((fine_high + high) / 2, True)):
        p, calls = _call_at(lists, threshold)
        assert p.value[0] == pytest.approx(fine_value, rel=1e-12)
        assert (calls.significant[0], calls.undecided[0]) == (retrieved, False)


def test_a_call_that_the_finer_interval_leaves_open_is_undecided():
    lists, _, (fine_low, _, fine_high) = _hinge()
    _, calls = _call_at(lists, (fine_low + fine_high) / 2)
    assert calls.undecided[0]


def test_a_call_that_is_not_open_is_not_looked_at_twice():
    lists, (_, value, high), _ = _hinge()
    p, calls = _call_at(lists, high * 1.01)
    assert p.value[0] == pytest.approx(value, rel=1e-12)
    assert (calls.significant[0], calls.undecided[0]) == (True, False)


def test_interval_is_what_a_bootstrap_over_classes_gives():
    drawn = np.random.default_rng(2).choice(np.r_[np.ones(74), np.zeros(86)], size=(20_000, 160)).mean(axis=1)
    expected = np.quantile(drawn, [0.025, 0.975])
    np.testing.assert_allclose(binomial_interval(74, 160), expected, atol=1 / 160)
    for n_retrieved, n_classes in ((1, 3), (5, 5), (0, 7), (300, 306), (153, 306)):
        exact = binom.ppf([0.025, 0.975], n_classes, n_retrieved / n_classes) / n_classes
        np.testing.assert_allclose(binomial_interval(n_retrieved, n_classes), exact)


def test_score_counts_only_classes_with_a_scored_well():
    classes = {
        "n_wells": np.array([4, 4, 1, 2]),
        "n_wells_scored": np.array([4, 3, 0, 0]),
        "mean_average_precision": np.array([0.5, 0.1, np.nan, np.nan]),
        "retrieved": np.array([True, False, False, False]),
        "undecided": np.array([False, True, False, False]),
    }
    score = score_of_classes(classes)
    assert (score["n_classes"], score["n_classes_without_positives"]) == (2, 1)
    assert (score["n_retrieved"], score["n_undecided"], score["fraction_retrieved"]) == (1, 1, 0.5)
    assert score["mean_average_precision"] == pytest.approx(0.3)
    nothing = score_of_classes({name: values[2:] for name, values in classes.items()})
    assert nothing["n_classes"] == 0
    assert np.isnan([nothing["fraction_retrieved"], nothing["fraction_retrieved_low"]]).all()

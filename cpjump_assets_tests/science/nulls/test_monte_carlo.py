"""Drawn p: against computed p, within the error of so many draws; and the same whatever else is drawn."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy.stats import kstest

from cpjump_assets.science.nulls.class_null import class_tail_probability
from cpjump_assets.science.nulls.drawn_lists import count_drawn_above, drawn_sums, share_interval
from cpjump_assets.science.nulls.monte_carlo import drawn_class_tail_probability, drawn_tail_probability
from cpjump_assets.science.nulls.null_distribution import tail_probability
from cpjump_assets.science.nulls.tail_enumeration import every_sum
from cpjump_assets.science.retrieval import RankLists

NULL_SIZE = 20_000


def _random_lists(rng, configurations, *, strength=0.0):
    parts = []
    for n_positives, length in configurations:
        keys = rng.random(length) * np.arange(1, length + 1) ** strength
        ranks = np.sort(np.argsort(keys)[:n_positives]) + 1
        parts.append(RankLists(ranks, np.array([n_positives]), np.array([length - n_positives])))
    return RankLists.concatenate(parts)


def _z(drawn, computed):
    return (drawn - computed) / np.sqrt(np.maximum(computed * (1 - computed), 1 / NULL_SIZE) / NULL_SIZE)


@pytest.mark.parametrize("key", [(1, 5), (2, 6), (3, 7), (5, 7), (6, 7)])
def test_every_set_of_ranks_is_equally_likely(key):
    """Chi-square over sums, many of which are met by one set alone; most positives are drawn by what is left out."""
    drawn = np.concatenate(list(drawn_sums(key, 30_000, seed=1)))
    expected = Counter(np.round(every_sum(*key), 9))
    found = Counter(np.round(drawn, 9))
    assert found.keys() == expected.keys()
    n_sets = math.comb(key[1], key[0])
    chi_square = sum((found[s] - 30_000 * n / n_sets) ** 2 / (30_000 * n / n_sets) for s, n in expected.items())
    freedom = len(expected) - 1
    assert chi_square < freedom + 4 * math.sqrt(2 * freedom) + 4


def test_drawn_tails_agree_with_computed_ones():
    rng = np.random.default_rng(2)
    configurations = [(1, 50), (2, 66), (3, 67), (3, 140), (4, 60), (7, 71), (12, 80)]
    lists = _random_lists(rng, [configurations[i] for i in rng.integers(0, 7, 400)], strength=0.4)
    drawn, computed = drawn_tail_probability(lists, null_size=NULL_SIZE, seed=0).value, tail_probability(lists).value
    assert np.abs(_z(drawn, computed)).max() < 4.5
    np.testing.assert_array_equal(drawn, np.rint(drawn * NULL_SIZE) / NULL_SIZE)


def test_drawn_class_tails_agree_with_computed_ones():
    rng = np.random.default_rng(3)
    configurations = [(1, 60), (1, 65), (2, 66), (3, 67), (7, 71), (4, 53)]
    sizes = rng.integers(1, 5, 200)
    lists = _random_lists(rng, [configurations[i] for i in rng.integers(0, 6, sizes.sum())], strength=0.3)
    members = np.repeat(np.arange(200), sizes)
    drawn = drawn_class_tail_probability(lists, members, 200, null_size=NULL_SIZE, seed=0).value
    z = _z(drawn, class_tail_probability(lists, members, 200).value)
    assert np.abs(z).max() < 4.5
    assert np.sqrt(np.mean(z**2)) < 1.6


@pytest.mark.parametrize("key", [(3, 67), (7, 71), (40, 300)])
def test_p_is_uniform_under_the_null(key):
    lists = _random_lists(np.random.default_rng(4), [key] * 2000)
    drawn = drawn_tail_probability(lists, null_size=NULL_SIZE, seed=5).value
    assert kstest(drawn, "uniform").pvalue > 1e-3
    assert kstest(tail_probability(lists).value, "uniform").pvalue > 1e-3


def test_a_draw_depends_on_seed_and_configuration_alone():
    rng = np.random.default_rng(6)
    configurations = [(1, 60), (3, 67), (7, 71), (2, 66), (1, 60), (3, 67)]
    lists, members = _random_lists(rng, configurations), np.array([0, 0, 1, 1, 2, 3])
    order = rng.permutation(6)
    options = {"null_size": 9_000, "seed": 3}
    whole = drawn_tail_probability(lists, **options)
    np.testing.assert_array_equal(drawn_tail_probability(lists.take(order), **options).value, whole.value[order])
    alone = [drawn_tail_probability(lists.take(np.array([query])), **options).value[0] for query in range(6)]
    np.testing.assert_array_equal(alone, whole.value)
    classes = drawn_class_tail_probability(lists, members, 4, **options)
    again = drawn_class_tail_probability(lists.take(order), members[order], 4, **options)
    np.testing.assert_array_equal(classes.value, again.value)
    np.testing.assert_array_equal(classes.value[2:], whole.value[4:])
    pair = drawn_class_tail_probability(lists.take(np.array([2, 3])), np.array([0, 0]), 1, **options)
    assert pair.value[0] == classes.value[1]
    assert (drawn_tail_probability(lists, null_size=9_000, seed=4).value != whole.value).any()


def test_more_draws_begin_with_the_fewer():
    few, many = (np.concatenate(list(drawn_sums((3, 67), n_lists, seed=1))) for n_lists in (8_192, 20_000))
    np.testing.assert_array_equal(few, many[:8_192])
    bars = np.array([0.4, 0.1, 0.4])
    assert count_drawn_above(bars, (3, 67), 20_000, seed=1).tolist() == [int((many > bar).sum()) for bar in bars]


def test_interval_of_a_share():
    value, low, high = share_interval(np.array([0, 5, 1000]), 1000)
    np.testing.assert_array_equal(value, [0, 0.005, 1])
    assert (low[0], high[2]) == (0, 1)
    # The chance of none in 1,000, and of five or fewer or more, at the ends of the interval.
    assert (1 - high[0]) ** 1000 == pytest.approx(5e-5, rel=1e-6)
    at_most = sum(math.comb(1000, n) * high[1] ** n * (1 - high[1]) ** (1000 - n) for n in range(6))
    assert at_most == pytest.approx(5e-5, rel=1e-6)


def test_lists_without_positives_or_negatives_have_no_p():
    lists = RankLists(np.array([1, 2, 3]), np.array([0, 2, 1]), np.array([10, 0, 10]))
    found = drawn_tail_probability(lists, null_size=100, seed=0)
    np.testing.assert_array_equal(np.isnan(found.value), [True, True, False])
    classes = drawn_class_tail_probability(lists, np.array([0, 0, 1]), 3, null_size=100, seed=0)
    np.testing.assert_array_equal(np.isnan(classes.value), [True, False, True])

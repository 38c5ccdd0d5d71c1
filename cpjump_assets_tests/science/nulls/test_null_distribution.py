"""Tails of the null: every method against exact integers, and against random lists of copairs."""

import itertools
import math

import numpy as np
import pytest
from copairs.compute import random_ap
from hypothesis import given, settings
from hypothesis import strategies as st

from cpjump_assets.science.nulls.class_null import class_tail_probability
from cpjump_assets.science.nulls.null_distribution import METHODS, p_value, tail_probability
from cpjump_assets.science.retrieval import RankLists

NULL_SIZE = 100_000


def _lists(ranks, length):
    ranks = np.sort(np.atleast_2d(ranks), axis=1)
    n_queries, n_positives = ranks.shape
    return RankLists(ranks.ravel(), np.full(n_queries, n_positives), np.full(n_queries, length - n_positives))


def _random_ranks(rng, n_queries, n_positives, length):
    """Half of the lists at random, half with low ranks, where decisions are made."""
    keys = rng.random((n_queries, length))
    keys[::2] *= np.arange(1, length + 1) ** 1.5
    return np.sort(np.argsort(keys, axis=1)[:, :n_positives] + 1, axis=1)


def _every_set(n_positives, length):
    sets = itertools.combinations(range(1, length + 1), n_positives)
    return np.fromiter(itertools.chain.from_iterable(sets), dtype=np.int64).reshape(-1, n_positives)


def _exact_tails(ranks, length):
    """Count, with integers alone, the sets of ranks with a greater sum of j / rank: sums times lcm(1..length)."""
    n_positives = ranks.shape[1]
    multiple = math.lcm(*range(1, length + 1))
    assert n_positives * multiple < 2**62
    sums = np.sort(((multiple // _every_set(n_positives, length)) * np.arange(1, n_positives + 1)).sum(axis=1))
    observed = ((multiple // ranks) * np.arange(1, n_positives + 1)).sum(axis=1)
    return (len(sums) - np.searchsorted(sums, observed, side="right")) / len(sums)


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(1, 3), st.integers(4, 30))
def test_up_to_three_positives_are_exact(data, n_positives, length):
    ranks = data.draw(
        st.lists(
            st.lists(st.integers(1, length), min_size=n_positives, max_size=n_positives, unique=True),
            min_size=1,
            max_size=8,
        )
    )
    lists = _lists(ranks, length)
    found = tail_probability(lists)
    expected = _exact_tails(lists.ranks.reshape(-1, n_positives), length)
    np.testing.assert_array_equal(found.value, expected)
    np.testing.assert_array_equal(found.low, expected)
    np.testing.assert_array_equal(found.high, expected)


def test_every_list_of_a_configuration_is_exact_ties_included():
    """All 4,960 lists of (3, 32) at once: many sums are met by several sets, and none may count as greater."""
    ranks = np.array(list(itertools.combinations(range(1, 33), 3)))
    expected = _exact_tails(ranks, 32)
    assert len(np.unique(expected)) < len(expected)
    np.testing.assert_array_equal(tail_probability(_lists(ranks, 32)).value, expected)


def _cross_multiplied_tail(ranks, length):
    """Compare fractions of integers by multiplying across: exact for lists too long for one common multiple."""
    sets = np.array(np.triu_indices(length, 1)).T + 1
    if len(ranks) == 3:
        sets = np.array(list(itertools.combinations(range(1, length + 1), 3)))
    terms = range(1, len(ranks) + 1)
    denominators = sets.prod(axis=1)
    numerators = sum(j * denominators // sets[:, j - 1] for j in terms)
    own_denominator = math.prod(ranks)
    own_numerator = sum(j * own_denominator // rank for j, rank in zip(terms, ranks, strict=True))
    return np.mean(numerators * own_denominator > own_numerator * denominators)


@pytest.mark.parametrize(
    ("length", "n_positives", "method"),
    [
        (67, 3, "enumeration"),
        (72, 3, "enumeration"),
        (73, 3, "last rank"),
        (130, 3, "last rank"),
        (77, 2, "enumeration"),
        (78, 2, "last rank"),
        (3000, 2, "last rank"),
    ],
)
def test_long_lists_are_exact(length, n_positives, method):
    ranks = _random_ranks(np.random.default_rng(7), 8, n_positives, length)
    ranks[0] = np.arange(1, n_positives + 1)
    ranks[1] = np.arange(length - n_positives, length) + 1
    found = tail_probability(_lists(ranks, length))
    assert {METHODS[index] for index in found.method} == {method}
    expected = [_cross_multiplied_tail([int(rank) for rank in row], length) for row in ranks]
    np.testing.assert_array_equal(found.value, expected)
    assert found.value[0] == 0.0
    np.testing.assert_array_equal(found.low, found.high)


@pytest.mark.parametrize(("n_positives", "length"), [(4, 38), (5, 30), (6, 26), (7, 23), (11, 20), (37, 40)])
def test_four_and_more_positives_in_short_lists_are_exact(n_positives, length):
    ranks = _random_ranks(np.random.default_rng(15), 1000, n_positives, length)
    found = tail_probability(_lists(ranks, length))
    assert {METHODS[index] for index in found.method} == {"enumeration"}
    np.testing.assert_array_equal(found.value, _exact_tails(ranks, length))


@pytest.mark.parametrize(("n_positives", "length"), [(5, 38), (6, 30), (7, 25), (11, 22)])
@pytest.mark.parametrize("refined", [False, True])
def test_rank_program_holds_its_interval_and_errs_by_less_than_a_thousandth(n_positives, length, refined):
    """Some 500,000 sets each, the hardest case: of all lists, from the best to the worst."""
    rng = np.random.default_rng(8)
    ranks = np.vstack([_random_ranks(rng, 5000, n_positives, length), np.arange(1, n_positives + 1)])
    ranks = np.vstack([ranks, length + 1 - ranks[:2000, ::-1]])
    found, truth = tail_probability(_lists(ranks, length), refined=refined), _exact_tails(ranks, length)
    assert (found.low <= truth).all()
    assert (truth <= found.high).all()
    assert (found.low <= found.value).all()
    assert (found.value <= found.high).all()
    few = found.method == METHODS.index("enumeration")
    assert 100 < np.count_nonzero(few) < len(ranks) / 2
    assert truth[few].max() * math.comb(length, n_positives) < 20_000
    np.testing.assert_array_equal(found.value[few], truth[few])
    np.testing.assert_array_equal(found.low[few], found.high[few])
    assert np.abs(found.value[~few] / truth[~few] - 1).max() < 7e-4
    p, low, high = (p_value(tail, convention="add_one", null_size=NULL_SIZE) for tail in (truth, found.low, found.high))
    assert ((high - low) / p).max() < 3e-3


def test_refining_narrows_the_interval():
    ranks = _random_ranks(np.random.default_rng(14), 200, 7, 71)
    lists = _lists(ranks, 71)
    coarse, fine = tail_probability(lists), tail_probability(lists, refined=True)
    assert (fine.high - fine.low).sum() < (coarse.high - coarse.low).sum() / 5
    assert (np.maximum(coarse.low, fine.low) <= np.minimum(coarse.high, fine.high)).all()


@settings(deadline=None, max_examples=40)
@given(st.data(), st.integers(4, 6), st.integers(8, 16))
def test_four_to_six_positives_are_exact_for_any_list(data, n_positives, length):
    ranks = data.draw(st.lists(st.integers(1, length), min_size=n_positives, max_size=n_positives, unique=True))
    ranks = np.sort(np.array([ranks]), axis=1)
    found = tail_probability(_lists(ranks, length))
    assert found.value[0] == found.low[0] == found.high[0] == _exact_tails(ranks, length)[0]


def test_many_positives_in_a_long_list_agree_with_random_lists():
    rng = np.random.default_rng(9)
    draws, n_positives, length = 20_000, 30, 700
    null = np.sort(rng.random((draws, length), dtype=np.float32).argpartition(n_positives, axis=1)[:, :n_positives]) + 1
    sums = (np.arange(1, n_positives + 1) / null).sum(axis=1)
    observed = null[np.argsort(sums)[[draws // 2, -draws // 10, -draws // 100]]]
    found = tail_probability(_lists(observed, length))
    drawn = np.array([(sums > own).mean() for own in (np.arange(1, n_positives + 1) / observed).sum(axis=1)])
    z = (drawn - found.value) / np.sqrt(found.value * (1 - found.value) / draws)
    assert np.abs(z).max() < 4
    assert ((found.high - found.low) / found.value).max() < 0.03


def test_the_worst_list_has_a_tail_of_no_more_than_one():
    """Counts of (30, 300) are rounded, and all but one of them may add up to more than all there are."""
    worst = np.arange(271, 301)
    found = tail_probability(_lists(np.vstack([worst, [11, *worst[1:]]]), 300))
    assert {METHODS[index] for index in found.method} == {"rank program"}
    assert ((found.low <= found.value) & (found.value <= found.high) & (found.high <= 1)).all()


@pytest.mark.parametrize(("n_positives", "length"), [(1, 65), (3, 67), (2, 66), (7, 71), (6, 56)])
def test_p_agrees_with_the_random_lists_of_copairs(n_positives, length):
    drawn = random_ap(NULL_SIZE, n_positives, length, seed=10).astype(np.float64)
    ranks = _random_ranks(np.random.default_rng(11), 40, n_positives, length)
    found = tail_probability(_lists(ranks, length)).value
    # copairs keeps its null in single precision: an own atom lies within 1e-6 of the observed value.
    average_precision = (np.arange(1, n_positives + 1) / ranks).mean(axis=1)
    estimate = np.array([(drawn > own + 1e-6).mean() for own in average_precision])
    spread = np.sqrt(np.maximum(found * (1 - found), 1 / NULL_SIZE) / NULL_SIZE)
    assert np.abs((estimate - found) / spread).max() < 4.5


def test_a_result_does_not_depend_on_what_else_is_asked():
    rng = np.random.default_rng(12)
    configurations = [(1, 50), (3, 67), (3, 140), (4, 60), (7, 71), (5, 40), (12, 80), (30, 120), (7, 71), (120, 300)]
    parts = [_lists(_random_ranks(rng, 2, *configuration), configuration[1]) for configuration in configurations]
    together = RankLists.concatenate(parts)
    shuffled = rng.permutation(len(together))
    whole, again = tail_probability(together), tail_probability(together.take(shuffled))
    alone = [tail_probability(together.take(np.array([query]))) for query in range(len(together))]
    for name in ("value", "low", "high", "method"):
        np.testing.assert_array_equal(getattr(whole, name)[shuffled], getattr(again, name))
        np.testing.assert_array_equal(getattr(whole, name), np.concatenate([getattr(one, name) for one in alone]))


@pytest.mark.parametrize(("n_positives", "length"), [(60, 20_000), (150, 1_000), (700, 1_200)])
def test_what_is_out_of_reach_is_drawn_with_an_interval(n_positives, length):
    """Normal approximation as the other witness; the interval of a p of 1 / 2 is narrow, that of 0 is not empty."""
    rng = np.random.default_rng(16)
    drawn = np.sort(rng.permuted(np.tile(np.arange(1, length + 1), (300, 1)), axis=1)[:, :n_positives], axis=1)
    sums = (np.arange(1, n_positives + 1) / drawn).sum(axis=1)
    order = np.argsort(sums)
    found = tail_probability(_lists(np.vstack([drawn[order[[30, 150, 270]]], np.arange(1, n_positives + 1)]), length))
    assert {METHODS[index] for index in found.method} == {"drawn lists"}
    assert (np.abs(found.value[:3] - [0.9, 0.5, 0.1]) < 0.1).all()
    assert ((found.low <= found.value) & (found.value <= found.high)).all()
    assert (found.high - found.low).max() < 0.05
    assert found.value[3] == found.low[3] == 0 < found.high[3]


def test_means_of_lists_lie_between_the_tails_of_lists():
    """Up to three positives, long lists: a mean of two sums is beaten by what beats the greater, not the less."""
    lists = _lists(_random_ranks(np.random.default_rng(17), 40, 3, 140), 140)
    single, mean = tail_probability(lists).value, class_tail_probability(lists, np.repeat(np.arange(20), 2), 20).value
    assert (single.reshape(-1, 2).min(axis=1) <= mean).all()
    assert (mean <= single.reshape(-1, 2).max(axis=1)).all()


def test_lists_without_positives_or_negatives_have_no_p():
    lists = RankLists(np.array([1, 2, 3]), np.array([0, 2, 1]), np.array([10, 0, 10]))
    found = tail_probability(lists)
    np.testing.assert_array_equal(np.isnan(found.value), [True, True, False])
    assert [METHODS[index] for index in found.method] == ["none", "none", "closed form"]
    assert found.value[2] == 2 / 11


def test_conventions():
    tail = np.array([0.0, 1e-5, 0.5, 1.0, np.nan])
    added = p_value(tail, convention="add_one", null_size=NULL_SIZE)
    np.testing.assert_allclose(added, [1 / 100_001, 2 / 100_001, 50_001 / 100_001, 1.0, np.nan])
    np.testing.assert_array_equal(p_value(tail, convention="strict", null_size=NULL_SIZE), tail)

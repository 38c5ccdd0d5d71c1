"""Sets of ranks listed and counted, against going through all of them."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpjump_assets.science.nulls.tail_enumeration import count_by_last_rank, every_sum, sum_of_ranks, sums_above


def _every_set(n_positives, length):
    return np.array(list(itertools.combinations(range(1, length + 1), n_positives)))


@pytest.mark.parametrize("key", [(1, 9), (2, 12), (3, 12), (6, 11), (9, 10), (5, 5)])
def test_every_sum_is_listed_once_in_the_order_of_the_last_rank(key):
    sets = _every_set(*key)
    found = every_sum(*key)
    np.testing.assert_allclose(np.sort(found), np.sort((np.arange(1, key[0] + 1) / sets).sum(axis=1)), rtol=1e-14)
    for last in range(key[0], key[1]):
        shorter = np.sort(every_sum(key[0], last))
        np.testing.assert_array_equal(np.sort(found[: math.comb(last, key[0])]), shorter)


def test_nearly_all_ranks_do_not_blow_up():
    """C(302, 150) sets of 150 ranks could be the first of 300; only those that leave room for the others are made."""
    assert len(every_sum(300, 302)) == math.comb(302, 2)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5), st.integers(5, 14), st.floats(0, 1))
def test_greatest_sums_are_those_of_all(n_positives, length, place):
    sums = np.sort(every_sum(n_positives, length))
    bar = float(sums[int(place * (len(sums) - 1))]) + 1e-13
    np.testing.assert_allclose(np.sort(sums_above(n_positives, length, bar)), sums[sums > bar], rtol=1e-14)


@settings(deadline=None, max_examples=40)
@given(st.data(), st.sampled_from([2, 3]), st.integers(4, 16))
def test_last_rank_counts_exactly(data, n_positives, length):
    own = data.draw(st.lists(st.integers(1, length), min_size=n_positives, max_size=n_positives, unique=True))
    own = np.sort(np.array([own]))

    def exact(ranks):
        return sum(Fraction(j, int(rank)) for j, rank in enumerate(ranks, start=1))

    expected = sum(exact(ranks) > exact(own[0]) for ranks in _every_set(n_positives, length))
    for ranks in (own, None):
        np.testing.assert_array_equal(count_by_last_rank(sum_of_ranks(own), (n_positives, length), ranks), [expected])


def test_ties_of_long_lists_are_decided_by_integers():
    """In lists of 400, sums of three ranks differ by less than floats can tell; here all of them are within 1e-9."""
    length, rng = 400, np.random.default_rng(1)
    own = np.sort(rng.choice(np.arange(150, length + 1), (20, 3)) + np.array([[-2, -1, 0]]), axis=1)
    own = own[(np.diff(own, axis=1) > 0).all(axis=1)]
    found = count_by_last_rank(sum_of_ranks(own), (3, length), own)
    a, b = (index + 1 for index in np.triu_indices(length - 1, 1))
    for ranks, count in zip(own.tolist(), found, strict=True):
        q = math.prod(ranks)
        p = sum(j * q // rank for j, rank in enumerate(ranks, start=1))
        # 3 / c > lacking / (q a b), in integers, gives the greatest c for each choice of the first two ranks.
        lacking = p * a * b - q * (b + 2 * a)
        furthest = np.where(lacking > 0, np.minimum((3 * q * a * b - 1) // np.maximum(lacking, 1), length), length)
        assert count == np.maximum(furthest - b, 0).sum()

"""Consensus profiles: against numpy's median of each group."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cpjump_assets.science.consensus import consensus

values = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6), st.just(np.nan), st.just(-0.0))


def medians(X, groups, n_groups):
    """Give the median of each group from the definition."""
    X = X.astype(np.float64)
    return np.array(
        [np.median(X[groups == g], axis=0) if (groups == g).any() else [np.nan] * X.shape[1] for g in range(n_groups)]
    )


@settings(max_examples=200, deadline=None)
@given(data=st.data(), n_rows=st.integers(1, 40), n_groups=st.integers(1, 6), dtype=st.sampled_from(["f4", "f8"]))
def test_consensus_is_the_median_of_each_group(data, n_rows, n_groups, dtype):
    X = data.draw(arrays(np.float64, (n_rows, 3), elements=values)).astype(dtype)
    groups = data.draw(arrays(np.int64, n_rows, elements=st.integers(-1, n_groups - 1)))
    before = X.copy()
    found = consensus(X, groups, n_groups)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, medians(X, groups, n_groups))
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_every_group_size_from_1_to_20(dtype):
    sizes = np.arange(1, 21)
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(20), sizes))
    X = rng.normal(size=(len(groups), 50)).astype(dtype)
    np.testing.assert_array_equal(consensus(X, groups, 20), medians(X, groups, 20))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 11, 12, 13, 14])
def test_one_nan_makes_that_feature_of_its_group_nan(size):
    groups = np.repeat([0, 1], size)
    for place in range(size):
        X = np.random.default_rng(1).normal(size=(2 * size, 4))
        X[place, 2] = np.nan
        found = consensus(X, groups, 2)
        assert np.argwhere(np.isnan(found)).tolist() == [[0, 2]]


def test_negative_groups_are_left_out_and_a_group_without_profiles_is_nan():
    X = np.array([[1.0, 2.0], [np.nan, np.inf], [3.0, 6.0], [5.0, 7.0]])
    found = consensus(X, np.array([2, -1, 2, 0]), 4)
    np.testing.assert_array_equal(found, [[5.0, 7.0], [np.nan, np.nan], [2.0, 4.0], [np.nan, np.nan]])


def test_no_profile_takes_part():
    assert np.isnan(consensus(np.ones((3, 2)), np.full(3, -1), 2)).all()
    assert consensus(np.ones((3, 2)), np.full(3, -1), 0).shape == (0, 2)


def test_the_order_of_the_profiles_changes_no_bit():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(30), rng.integers(1, 16, size=30))
    X = rng.normal(size=(len(groups), 20))
    order = rng.permutation(len(groups))
    assert consensus(X, groups, 30).tobytes() == consensus(X[order], groups[order], 30).tobytes()

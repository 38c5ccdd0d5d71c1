"""Correlations and their medians, against numpy's correlation matrix block by block."""

import numpy as np
import pytest

from cpjump_assets.science.correlations import Groups, median_pairs, medians_between, medians_within, standard_rows
from cpjump_assets.science.errors import ProfileError

CODES = np.array([2, 0, 1, 1, 2, 0, 2, 3, 0, 0])


def _drawn(seed=0, shape=(10, 7)):
    return np.random.default_rng(seed).normal(loc=3.0, size=shape)


def test_products_of_standard_rows_are_pearson_correlations():
    X = _drawn()
    rows, columns = np.array([7, 2, 2, 5]), np.array([6, 0, 3, 4])
    standard = standard_rows(X, rows, columns=columns)
    np.testing.assert_allclose(standard @ standard.T, np.corrcoef(X[np.ix_(rows, columns)]), rtol=0, atol=1e-14)
    assert np.array_equal(X, _drawn())


def test_medians_within_groups():
    X = _drawn()
    found = medians_within(standard_rows(X, np.arange(10)), Groups.of(CODES))
    every = np.corrcoef(X)
    for group in range(3):
        own = np.flatnonzero(group == CODES)
        pairs = [every[i, j] for i in own for j in own if i < j]
        assert found[group] == pytest.approx(np.median(pairs), abs=1e-14)
    assert np.isnan(found[3])


def test_median_pairs_of_any_sets():
    X = _drawn()
    found = median_pairs(standard_rows(X, np.arange(10)), np.array([[0, 1, 2, 9], [4, 3, 8, 5]]))
    for median, members in zip(found, ([0, 1, 2, 9], [4, 3, 8, 5]), strict=True):
        assert median == pytest.approx(np.median(np.corrcoef(X[members])[np.triu_indices(4, 1)]), abs=1e-14)


def test_medians_between_groups_of_many_sizes():
    left, right = _drawn(1), _drawn(2, (6, 7))
    left_codes, right_codes = CODES, np.array([1, 0, 1, 1, 0, 2])
    correlations = standard_rows(left, np.arange(10)) @ standard_rows(right, np.arange(6)).T
    pairs = np.array([[i, j] for i in range(4) for j in range(3)] + [[2, 1]])
    found = medians_between(correlations, Groups.of(left_codes), Groups.of(right_codes), pairs)
    for median, (i, j) in zip(found, pairs, strict=True):
        rows, columns = left[left_codes == i], right[right_codes == j]
        block = np.corrcoef(rows, columns)[: len(rows), len(rows) :]
        assert median == pytest.approx(np.median(block), abs=1e-14)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_refused_with_its_feature_alone(value):
    X = _drawn()
    X[4, 5] = value
    message = rf"row 4: feature Cells_5 is {value}, and 0 other features"
    with pytest.raises(ProfileError, match=message):
        standard_rows(X, np.arange(10), columns=np.array([3, 5]), features=[f"Cells_{i}" for i in range(7)])
    standard_rows(X, np.arange(10), columns=np.array([3, 4]))  # the feature takes no part


@pytest.mark.parametrize("value", [0.0, 0.1, -7e5])
def test_a_constant_profile_has_no_correlation(value):
    X = _drawn()
    X[3] = value
    with pytest.raises(ProfileError, match=f"well 3: every feature is {value:g}; a Pearson correlation needs"):
        standard_rows(X, np.arange(2, 6), describe_row="well {}".format)

"""Unit rows and their products, against scikit-learn; what is refused; copies of a profile tie."""

import tracemalloc

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.similarity import TIE, unit_rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_of_unit_rows_are_cosines(dtype):
    X = np.random.default_rng(1).normal(size=(30, 12)).astype(dtype)
    unit = unit_rows(X)
    assert unit.dtype == np.float64
    np.testing.assert_allclose(unit @ unit.T, cosine_similarity(X.astype(np.float64)), atol=1e-15)


@pytest.mark.parametrize("rows", [None, np.array([1, 0]), np.array([1])])
def test_input_is_left_alone_and_rows_come_in_the_order_asked_for(rows):
    X = np.array([[3.0, 4.0], [0.0, 2.0]])
    unit = unit_rows(X, rows)
    assert X.tolist() == [[3.0, 4.0], [0.0, 2.0]]
    expected = [[0.6, 0.8], [0.0, 1.0]]
    assert unit.tolist() == [expected[row] for row in (range(2) if rows is None else rows)]


def test_not_finite_features_are_named():
    X = np.ones((4, 3))
    X[2, 1], X[3, 0] = np.nan, np.inf
    with pytest.raises(ProfileError, match=r"plate P1, well B02: feature Nuclei_Texture is nan.*2 of 4 profiles"):
        unit_rows(X, features=["a", "Nuclei_Texture", "c"], describe_row=lambda row: f"plate P1, well B0{row}")
    with pytest.raises(ProfileError, match=r"row 3: feature 0 is inf.*1 of 2 profiles"):
        unit_rows(X, np.array([1, 3]))
    with pytest.raises(ProfileError, match=r"row 0: feature 0 is -inf"):
        unit_rows(np.array([[-np.inf, 1.0]]))


def test_profiles_that_are_not_taken_may_be_broken():
    X = np.array([[np.nan, 1.0], [3.0, 4.0], [0.0, 0.0]])
    assert unit_rows(X, np.array([1])).tolist() == [[0.6, 0.8]]


def test_profiles_without_direction_are_refused():
    with pytest.raises(ProfileError, match="row 1: every feature is 0"):
        unit_rows(np.array([[1.0, 0.0], [0.0, 0.0]]))
    with pytest.raises(ProfileError, match="too large or too small"):
        unit_rows(np.array([[1e200, 1e200]]))
    with pytest.raises(ProfileError, match="too large or too small"):
        unit_rows(np.array([[1e-200, 1e-200]]))


@pytest.mark.parametrize("n_features", [2, 601, 5792])
def test_copies_of_a_profile_tie_whatever_blas_does(n_features):
    """The same two profiles meet in products of many shapes, as group or plate sizes differ."""
    rng = np.random.default_rng(3)
    query, other = unit_rows(rng.normal(size=(2, n_features)) + 0.1)
    exact = float(np.sum(query.astype(np.longdouble) * other))
    for n_queries, n_others in ((1, 1), (3, 7), (64, 64), (5, 130)):
        products = np.tile(query, (n_queries, 1)) @ np.tile(other, (n_others, 1)).T
        assert np.abs(products - exact).max() < TIE / 100
    grouped = np.tile(query, (6, 4, 1)) @ np.tile(other, (6, 4, 1)).transpose(0, 2, 1)
    assert np.abs(grouped - exact).max() < TIE / 100


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_no_second_copy_of_the_profiles_is_made(dtype, order):
    X = np.ones((20_000, 60), dtype=dtype, order=order)
    rows = np.arange(len(X))
    tracemalloc.start()
    try:
        unit = unit_rows(X, rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert unit.nbytes <= peak < 1.15 * unit.nbytes

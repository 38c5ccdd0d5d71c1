"""Correlated features: r as numpy and pandas give it, the choice as pycytominer makes it."""

import numpy as np
import pandas as pd
import pytest
from pycytominer.operations import correlation_threshold

from cpjump_assets.science import feature_correlation
from cpjump_assets.science.feature_correlation import correlated_partners, correlation_matrix


def correlated(rng: np.random.Generator, n: int, p: int) -> np.ndarray:
    """Draw features around a few shared directions, so that many pairs lie on both sides of 0.9."""
    shared = rng.normal(size=(n, max(p // 5, 2)))
    weights = rng.choice([-2.5, 1.0, 1.8, 2.5, 4.0], size=p)
    return shared[:, rng.integers(0, shared.shape[1], p)] * weights + rng.normal(size=(n, p)) + rng.normal(size=p)


def with_gaps(rng: np.random.Generator, X: np.ndarray) -> np.ndarray:
    """Take out single values, whole stretches of rows, and put some infinities in."""
    n, p = X.shape
    X = X.copy()
    X[:, ::3] = np.where(rng.random((n, len(range(0, p, 3)))) < 0.1, np.nan, X[:, ::3])
    X[: n // 3, 4] = np.nan
    X[n // 5 :, 5] = np.nan
    X[rng.integers(0, n, 3), 7] = np.inf
    X[rng.integers(0, n, 3), 7] = -np.inf
    return X


@pytest.fixture(params=["one block", "many blocks"])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "many blocks":
        monkeypatch.setattr(feature_correlation, "ROW_BLOCK", 7)
        monkeypatch.setattr(feature_correlation, "FEATURE_BLOCK", 3)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_r_without_gaps_is_numpys(dtype: str) -> None:
    X = correlated(np.random.default_rng(1), 60, 20).astype(dtype)
    np.testing.assert_allclose(correlation_matrix(X), np.corrcoef(X.astype(float), rowvar=False), atol=1e-13)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("seed", range(5))
def test_r_with_gaps_is_pandas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = with_gaps(rng, correlated(rng, 60, 20))
    r = correlation_matrix(X)
    np.testing.assert_allclose(r, pd.DataFrame(X).corr().to_numpy(), atol=1e-12)
    np.testing.assert_array_equal(r, r.T)


def test_no_rows_give_no_r() -> None:
    assert np.isnan(correlation_matrix(np.empty((0, 3)))).all()


@pytest.mark.filterwarnings("error")
def test_r_is_missing_where_a_pair_does_not_vary_on_its_common_rows() -> None:
    X = np.random.default_rng(2).normal(size=(40, 8))
    X[:, 0] = 0.1  # constant
    X[:, 1] = np.nan
    X[1:, 2] = np.nan  # one value
    X[:30, 3] = np.nan
    X[30:, 4] = 0.1  # constant where feature 3 has values
    X[:31, 5] = np.nan
    X[31:, 6] = np.nan  # no row in common with feature 5
    r = correlation_matrix(X)
    expected = pd.DataFrame(X).corr().to_numpy()
    np.testing.assert_array_equal(np.isnan(r), np.isnan(expected))
    assert np.isnan(r[3, 4])
    assert np.isnan(r[5, 6])
    assert np.isnan(r[:3]).all()
    np.testing.assert_allclose(r, expected, atol=1e-12)


def test_an_outlier_outside_the_common_rows_does_not_blur_r() -> None:
    # An epsilon of 1e-18 makes values of 1e17; beside them a product of standardized values has no digit left.
    rng = np.random.default_rng(3)
    X = correlated(rng, 200, 10)
    X[0, 1], X[:5, 2] = 1e17, np.nan
    X[3, 4], X[3, 5] = -1e17, np.nan
    expected = np.corrcoef(X[5:, 1], X[5:, 2])[0, 1]
    assert abs(expected) > 0.01
    r = correlation_matrix(X)
    np.testing.assert_allclose(r[[1, 2], [2, 1]], expected, atol=1e-12)
    np.testing.assert_allclose(r, pd.DataFrame(X).corr().to_numpy(), atol=1e-9)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_the_features_that_go_are_pycytominers(seed: int, gaps: bool) -> None:
    rng = np.random.default_rng(seed)
    X = correlated(rng, 50, 40)
    X = with_gaps(rng, X) if gaps else X
    names = [f"Cells_F{i}" for i in range(40)]
    expected = correlation_threshold(pd.DataFrame(X, columns=names), features=names, threshold=0.9)
    found = correlated_partners(X, 0.9)
    assert {names[i] for i in np.flatnonzero(found.partner >= 0)} == set(expected)
    assert 0 < len(expected) < 40


def test_the_partner_is_the_closest_one_of_lower_rank() -> None:
    X = correlated(np.random.default_rng(4), 50, 40)
    r = np.corrcoef(X, rowvar=False)
    sums = np.abs(r).sum(axis=0)
    found = correlated_partners(X, 0.9)
    for i, partner in enumerate(found.partner):
        eligible = [j for j in range(40) if r[i, j] > 0.9 and sums[j] < sums[i]]
        assert partner == (max(eligible, key=lambda j: r[i, j]) if eligible else -1)
        assert np.isnan(found.r[i]) if partner < 0 else found.r[i] == pytest.approx(r[i, partner])


def test_an_opposite_feature_stays() -> None:
    x = np.random.default_rng(5).normal(size=(30, 1))
    noise = np.random.default_rng(6).normal(size=(30, 1))
    found = correlated_partners(np.hstack([x, -x, noise]), 0.9)
    assert found.partner.tolist() == [-1, -1, -1]


def test_of_features_equal_but_for_their_unit_the_first_stays_wherever_they_stand() -> None:
    rng = np.random.default_rng(7)
    base = rng.normal(size=(300, 40))
    places = rng.permutation(120)
    X = np.hstack([base, 3.7 * base + 1.0, 0.01 * base - 7.0])[:, places]
    expected = [next((j for j in range(i) if places[j] % 40 == places[i] % 40), -1) for i in range(120)]
    assert np.abs(correlation_matrix(X)).max() <= 1.0
    found = correlated_partners(X, 0.9)
    assert found.partner.tolist() == expected
    order = rng.permutation(300)
    assert correlated_partners(X[order], 0.9).partner.tolist() == expected


def test_r_at_the_threshold_is_not_above_it() -> None:
    X = np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    assert correlated_partners(X, 0.600001).partner.tolist() == [-1, -1]
    assert correlated_partners(X, 0.599999).partner.tolist() == [-1, 0]

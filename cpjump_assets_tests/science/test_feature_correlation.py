"""Correlated features: r as numpy and pandas give it, the choice as pycytominer and a literal definition make it.

All is asked of plates that are read in pieces; what float32 leaves in doubt is planted, and decided as in float64.
"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycytominer.operations import correlation_threshold

from cpjump_assets.science import feature_correlation, feature_gaps, feature_measures, feature_products, plate_stream
from cpjump_assets.science.feature_correlation import R_ERROR, SUM_ERROR, correlated_partners, exact_correlations
from cpjump_assets.science.feature_measures import measure_features
from cpjump_assets.science.feature_products import columns_of, products_of_all
from cpjump_assets.science.plate_stream import stream_of
from cpjump_assets_tests.science.helpers_selection import batch_of, cut, literal_partners, literal_r

UNEQUAL = (0.15, 0.35, 0.5)


def columns(X, *, shares=(1.0,), visible=None):
    """Lay X out as plates with these shares of its rows."""
    bounds = np.round(np.cumsum(shares) * len(X)).astype(int)
    stream = stream_of(cut(batch_of(X, wells=10), np.diff(bounds, prepend=0)))
    seen = np.ones(X.shape[1], dtype=bool) if visible is None else visible
    return columns_of(stream, measure_features(stream), seen)


def partners(X, threshold=0.9, *, shares=UNEQUAL, visible=None):
    own = columns(X, shares=shares)
    seen = np.ones(X.shape[1], dtype=bool) if visible is None else visible
    return correlated_partners(own.stream, own.measures, threshold, seen)


def correlation_matrix(X, *, shares=UNEQUAL):
    """Give r of all pairs by the path that computes in float64, in the order of the file."""
    own = columns(X, shares=shares)
    r = np.full((X.shape[1], X.shape[1]), np.nan)
    r[np.ix_(own.features, own.features)] = exact_correlations(own, np.arange(len(own)))
    varies = ~own.measures.constant
    r[varies, varies] = 1.0
    return r


def correlated(rng, n, p):
    """Draw features around a few shared directions, so that many pairs lie on both sides of 0.9."""
    shared = rng.normal(size=(n, max(p // 5, 2)))
    weights = rng.choice([-2.5, 1.0, 1.8, 2.5, 4.0], size=p)
    return shared[:, rng.integers(0, shared.shape[1], p)] * weights + rng.normal(size=(n, p)) + rng.normal(size=p)


def with_gaps(rng, X):
    """Take out single values, whole stretches of rows, and put some infinities in."""
    n, p = X.shape
    X = X.copy()
    X[:, ::3] = np.where(rng.random((n, len(range(0, p, 3)))) < 0.1, np.nan, X[:, ::3])
    X[: n // 3, 4] = np.nan
    X[n // 5 :, 5] = np.nan
    X[rng.integers(0, n, 3), 7] = np.inf
    X[rng.integers(0, n, 3), 7] = -np.inf
    return X


def orthonormal(n, k, seed=1):
    """Draw k columns of mean 0 and norm 1 that are orthogonal to each other."""
    Q = np.linalg.qr(np.column_stack([np.ones(n), np.random.default_rng(seed).normal(size=(n, k))]))[0]
    return Q[:, 1:]


@pytest.fixture(params=["one block", "many blocks"])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "many blocks":
        monkeypatch.setattr(plate_stream, "PIECE_WELLS", 11)
        monkeypatch.setattr(plate_stream, "BLOCK_BYTES", 6000)
        monkeypatch.setattr(feature_measures, "SLICE_VALUES", 150)
        monkeypatch.setattr(feature_products, "PIECE_WELLS", 11)
        monkeypatch.setattr(feature_products, "FEATURE_BLOCK", 3)
        monkeypatch.setattr(feature_correlation, "COLUMN_BLOCK", 3)
        for module in (feature_products, feature_gaps):
            monkeypatch.setattr(module, "PAIR_BLOCK", 5)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_r_without_gaps_is_numpys(dtype: str) -> None:
    X = correlated(np.random.default_rng(1), 60, 20).astype(dtype)
    np.testing.assert_allclose(correlation_matrix(X), np.corrcoef(X.astype(float), rowvar=False), atol=1e-13)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("seed", range(4))
def test_r_with_gaps_is_pandas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = with_gaps(rng, correlated(rng, 60, 20))
    r = correlation_matrix(X)
    np.testing.assert_allclose(r, pd.DataFrame(X).corr().to_numpy(), atol=1e-12)
    np.testing.assert_allclose(r, r.T, atol=1e-14)


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
    expected = literal_r(X)
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
@pytest.mark.parametrize("seed", range(4))
def test_the_features_that_go_are_pycytominers(seed: int, gaps: bool) -> None:
    rng = np.random.default_rng(seed)
    X = correlated(rng, 50, 40)
    X = with_gaps(rng, X) if gaps else X
    names = [f"Cells_F{i}" for i in range(40)]
    expected = correlation_threshold(pd.DataFrame(X, columns=names), features=names, threshold=0.9)
    found = partners(X)
    assert {names[i] for i in np.flatnonzero(found.partner >= 0)} == set(expected)
    assert 0 < len(expected) < 40


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    gaps=st.booleans(),
    threshold=st.sampled_from([0.5, 0.8, 0.9]),
    shares=st.sampled_from([(1.0,), UNEQUAL, (0.1,) * 10]),
)
def test_partners_are_those_of_the_literal_definition(seed, gaps, threshold, shares) -> None:
    rng = np.random.default_rng(seed)
    X = correlated(rng, 60, 25)
    X[:, [3, 8]] = X[:, [20, 4]]  # copies
    X = with_gaps(rng, X) if gaps else X
    found = partners(X, threshold, shares=shares)
    expected, r = literal_partners(X, threshold)
    assert found.partner.tolist() == expected
    dropped = np.flatnonzero(found.partner >= 0)
    np.testing.assert_allclose(found.r[dropped], r[dropped, found.partner[dropped]], atol=1e-12)
    assert np.isnan(np.delete(found.r, dropped)).all()


def test_only_visible_features_are_ranked_and_named() -> None:
    rng = np.random.default_rng(4)
    X = with_gaps(rng, correlated(rng, 50, 40))
    seen = rng.random(40) < 0.7
    found = partners(X, visible=seen)
    expected, _ = literal_partners(X[:, seen])
    places = np.append(np.flatnonzero(seen), -1)
    assert found.partner[seen].tolist() == places[expected].tolist()
    assert (found.partner[~seen] == -1).all()
    assert np.isnan(found.r[~seen]).all()
    assert literal_partners(X)[0] != found.partner.tolist()


@pytest.mark.parametrize("n_seen", [0, 1])
def test_one_feature_or_none_has_no_partner(n_seen: int) -> None:
    found = partners(correlated(np.random.default_rng(5), 50, 10), visible=np.arange(10) < n_seen)
    assert (found.partner == -1).all()


def test_an_opposite_feature_stays() -> None:
    x = np.random.default_rng(5).normal(size=(30, 1))
    noise = np.random.default_rng(6).normal(size=(30, 1))
    assert partners(np.hstack([x, -x, noise])).partner.tolist() == [-1, -1, -1]


@pytest.mark.parametrize("gaps", [False, True])
def test_of_features_equal_but_for_their_unit_the_first_stays_wherever_they_stand(gaps: bool) -> None:
    rng = np.random.default_rng(7)
    base = rng.normal(size=(300, 40))
    base[::7, ::4] = np.nan if gaps else base[::7, ::4]
    places = rng.permutation(120)
    X = np.hstack([base, 3.7 * base + 1.0, 0.01 * base - 7.0])[:, places]
    expected = [next((j for j in range(i) if places[j] % 40 == places[i] % 40), -1) for i in range(120)]
    found = partners(X)
    assert found.partner.tolist() == expected
    assert np.nanmax(found.r) <= 1.0
    order = rng.permutation(300)
    assert partners(X[order]).partner.tolist() == expected


def test_r_at_the_threshold_is_not_above_it() -> None:
    X = np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    assert partners(X, 0.600001).partner.tolist() == [-1, -1]
    assert partners(X, 0.599999).partner.tolist() == [-1, 0]


@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_pairs_near_the_threshold_are_decided_as_in_float64(dtype: str, gap: bool) -> None:
    offsets = np.array([sign * 10.0**-k for k in range(4, 13) for sign in (1, -1)])
    Q = orthonormal(400, 2 * offsets.size)
    x, y = Q[:, : offsets.size], Q[:, offsets.size :]
    r = 0.9 + offsets
    X = np.stack([x, r * x + np.sqrt(1 - r**2) * y], axis=2).reshape(400, -1)
    if gap:
        # Wells with other values that only the partners have: r is over the other wells.
        X = np.vstack([X, np.random.default_rng(2).normal(size=(30, X.shape[1])) * 0.05])
        X[400:, ::2] = np.nan
    X = X.astype(dtype)
    found = partners(X)
    exact = literal_r(X)[np.arange(0, 36, 2), np.arange(1, 36, 2)]
    dropped = (found.partner >= 0).reshape(-1, 2).any(axis=1)
    np.testing.assert_array_equal(dropped, exact > 0.9)
    if dtype == "float64":
        np.testing.assert_array_equal(dropped, offsets > 0)
    assert 5 < dropped.sum() < 13


@pytest.mark.parametrize("gap", [False, True])
def test_sums_that_float32_cannot_tell_apart_decide_as_in_float64(gap: bool) -> None:
    # The first two of a group differ only in which of the other two they are near, and these differ by this little.
    offsets = np.array([sign * 10.0**-k for k in range(3, 8) for sign in (1, -1)])
    groups, n = offsets.size, 300
    Q = orthonormal(n, 5 * groups).T.reshape(groups, 5, n)
    parts = []
    for (a, b, c, u, v), offset in zip(Q, offsets, strict=True):
        left, right = a + 0.2 * b, a + 0.2 * c
        parts += [left, right, b + 0.5 * u, (1 + offset) * c + 0.5 * v]
    X = np.stack(parts, axis=1)
    if gap:
        X = np.vstack([X, np.full((20, X.shape[1]), np.nan)])
        X[n:, 2::4] = np.random.default_rng(3).normal(size=(20, groups))
    found = partners(X)
    expected, _ = literal_partners(X)
    assert found.partner.tolist() == expected
    pairs = found.partner.reshape(groups, 4)
    assert ((pairs[:, 0] >= 0) == (offsets < 0)).all()
    assert ((pairs[:, 1] >= 0) == (offsets > 0)).all()


def structured(kind, rng, n, p):
    """Draw features whose products round alike, over and over."""
    common = rng.normal(size=(n, 1))
    few = rng.random((n, 1)) < 0.01
    X = {
        "normal": lambda: rng.normal(size=(n, p)),
        "near copies": lambda: common + 0.1 * rng.normal(size=(n, p)),
        "two values": lambda: ((common > 0) ^ (rng.random((n, p)) < 0.02)) * 1.0,
        "rare event": lambda: (few | (rng.random((n, p)) < 0.002)) * 1.0,
        "one outlier": lambda: np.where(
            np.arange(n)[:, None] == 5, 1e6 * rng.choice([-1, 1], p), rng.normal(size=(n, p))
        ),
        "heavy tails": lambda: rng.standard_cauchy(size=(n, p)),
    }[kind]()
    return X.astype(np.float32)


@pytest.mark.parametrize("kind", ["normal", "near copies", "two values", "rare event", "one outlier", "heavy tails"])
@pytest.mark.parametrize("n", [384, 6000])
def test_float32_is_off_by_less_than_is_stated(kind: str, n: int) -> None:
    X = structured(kind, np.random.default_rng(1), n, 200)
    own = columns(X, shares=UNEQUAL)
    upper = np.triu(products_of_all(own), 1).astype(float)
    exact = np.corrcoef(X[:, own.features].astype(float), rowvar=False)
    assert np.abs(upper - np.triu(exact, 1)).max() < R_ERROR / 10
    sums, expected = np.abs(upper + upper.T).sum(axis=0), np.abs(exact).sum(axis=0) - 1
    assert (np.abs(sums - expected) < SUM_ERROR / 3 * (1 + expected)).all()


def test_products_of_wells_that_do_not_fill_a_block_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_products, "PIECE_WELLS", 50)
    X = correlated(np.random.default_rng(8), 130, 12)
    found = np.triu(products_of_all(columns(X, shares=(0.3, 0.3, 0.05, 0.35))), 1)
    np.testing.assert_allclose(found, np.triu(np.corrcoef(X, rowvar=False), 1), atol=1e-6)

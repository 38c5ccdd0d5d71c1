"""Variance explained by positions: scipy's analysis of variance, all permutations of a few wells, planted effects."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import f_oneway, false_discovery_control, mannwhitneyu

from cpjump_assets.science.position_effects import (
    comparable,
    edge_difference,
    products_of_wells,
    variance_explained,
)


def _explained(X, *groupings, **config):
    return variance_explained(products_of_wells(np.asarray(X, dtype=float)), list(groupings), **config)


def _epsilon(X, groups):
    """Take epsilon squared from scipy's F statistic of each feature, and its mean."""
    k, n = len(np.unique(groups)), len(groups)
    F = f_oneway(*(X[groups == group] for group in np.unique(groups))).statistic
    eta = F * (k - 1) / (F * (k - 1) + n - k)
    return (1 - (1 - eta) * (n - 1) / (n - k)).mean()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), p=st.integers(1, 20), k=st.integers(2, 5))
def test_shares_are_those_of_an_analysis_of_variance_of_each_feature(seed, p, k):
    rng = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(k), np.arange(k), rng.integers(k, size=10)])
    X = rng.normal(size=(len(groups), p)) * rng.lognormal(size=p) + groups[:, np.newaxis] * rng.normal(size=p)
    (found,) = _explained(X, groups, permutations=1)
    assert found.share == pytest.approx(_epsilon(X, groups), abs=1e-10)


def test_over_all_orders_of_the_wells_the_mean_share_is_0_and_p_is_the_share_of_orders():
    rng = np.random.default_rng(0)
    X, groups = rng.normal(size=(6, 3)), np.array([0, 0, 0, 1, 1, 2])
    shares = np.array([_epsilon(X[list(order)], groups) for order in permutations(range(6))])
    assert shares.mean() == pytest.approx(0.0, abs=1e-12)
    (found,) = _explained(X, groups, permutations=20_000)
    exact = (shares >= found.share - 1e-9).mean()
    assert found.p_value == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000))


def test_a_planted_row_effect_is_found_in_the_rows_and_nowhere_else():
    rng = np.random.default_rng(1)
    row, column = np.divmod(np.arange(64), 8)
    X = rng.normal(size=(64, 300)) + (row - 3.5)[:, np.newaxis] * 0.3 * rng.choice([-1, 1], size=300)
    of_row, of_column = _explained(X, row, column)
    planted = 0.3**2 * (row - 3.5).var()
    assert of_row.share == pytest.approx(planted / (1 + planted), abs=0.04)
    assert of_row.p_value == 0.001
    assert -0.06 < of_column.share < 0.01  # below 0, because the rows leave the columns less than their share by chance
    assert of_column.p_value > 0.05


def test_without_an_effect_shares_are_0_on_average_and_p_is_uniform():
    rng = np.random.default_rng(2)
    row, column = rng.integers(6, size=40), rng.integers(9, size=40)
    factors = rng.normal(size=(4, 60))  # features that vary together, so that their mean share varies
    found = [
        _explained(rng.normal(size=(40, 4)) @ factors + rng.normal(size=(40, 60)), row, column, permutations=99)
        for _ in range(150)
    ]
    shares, p = (np.array([[getattr(one, name) for one in pair] for pair in found]) for name in ("share", "p_value"))
    assert abs(shares.mean()) < 0.005
    assert 0.02 < (p <= 0.05).mean() < 0.09
    assert 0.42 < (p <= 0.5).mean() < 0.58


def test_scale_and_offset_of_a_feature_and_the_order_of_wells_make_no_difference():
    rng = np.random.default_rng(3)
    X, groups = rng.normal(size=(30, 12)), rng.integers(4, size=30)
    order = rng.permutation(30)
    (found,) = _explained(X, groups, permutations=9)
    (scaled,) = _explained(X * rng.uniform(0.1, 9, 12) - 5, groups, permutations=9)
    (shuffled,) = _explained(X[order], groups[order], permutations=9)
    assert scaled.share == pytest.approx(found.share, abs=1e-10)
    assert shuffled.share == pytest.approx(found.share, abs=1e-10)
    assert scaled.p_value == found.p_value


@pytest.mark.parametrize("groups", [np.zeros(6), np.arange(6)])
def test_one_group_or_only_single_wells_explain_nothing_that_could_be_measured(groups):
    (found,) = _explained(np.random.default_rng(0).normal(size=(6, 3)), groups)
    assert np.isnan([found.share, found.p_value]).all()


def test_orders_that_explain_as_much_count_against_the_one_seen():
    X = np.array([[0.0], [0.0], [1.0], [1.0]])
    (found,) = _explained(X, np.array([0, 0, 1, 1]), permutations=5_000)
    assert found.share == pytest.approx(1.0)
    assert found.p_value == pytest.approx(1 / 3, abs=0.03)


def test_permutations_in_several_pieces_are_the_same_test(monkeypatch):
    rng = np.random.default_rng(4)
    X, groups = rng.normal(size=(20, 5)), rng.integers(3, size=20)
    whole = _explained(X, groups, permutations=50)
    monkeypatch.setattr("cpjump_assets.science.position_effects._GATHERED", 20 * 20 * 7)
    assert _explained(X, groups, permutations=50) == whole


def test_only_features_that_vary_and_that_every_well_has_are_compared():
    X = np.array([[1, 2, 3, 5, 0.1], [1, np.nan, 3.5, 6, 0.1], [1, 2, 4, np.inf, 0.2]], dtype=np.float32)
    np.testing.assert_array_equal(comparable(X), X[:, [2, 4]].astype(float))
    assert comparable(X).dtype == np.float64
    assert comparable(X[:, :2]).shape == (3, 0)


def test_edge_differences_are_those_of_each_feature_by_itself():
    rng = np.random.default_rng(5)
    outer = np.arange(30) < 11
    X = rng.normal(size=(30, 40)).round(1)  # with ties
    X[outer, :15] += 2.0
    found = edge_difference(X, outer)
    d, p = [], []
    for a, b in zip(X[outer].T, X[~outer].T, strict=True):
        pooled = (((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / 28
        d.append(abs(a.mean() - b.mean()) / pooled**0.5)
        p.append(mannwhitneyu(a, b, method="asymptotic").pvalue)
    assert found.median == pytest.approx(np.median(d))
    assert found.significant == pytest.approx((false_discovery_control(p) < 0.05).mean())
    assert 0.3 < found.significant < 0.5


def test_without_a_difference_the_median_is_what_chance_gives_and_no_feature_differs():
    rng = np.random.default_rng(6)
    found = [edge_difference(rng.normal(size=(60, 200)), np.arange(60) < 15) for _ in range(20)]
    assert found[0].chance == pytest.approx(0.6745 * np.sqrt(1 / 15 + 1 / 45), abs=1e-4)
    assert np.mean([one.median for one in found]) == pytest.approx(found[0].chance, rel=0.03)
    assert np.mean([one.significant for one in found]) < 0.001

"""Intervals over classes: against bootstraps with many more draws, and against scipy."""

import numpy as np
import pytest
from scipy.stats import binom

from cpjump_assets.science.intervals import binomial_interval, bootstrap_interval


def test_interval_of_a_fraction_is_what_a_bootstrap_over_classes_gives():
    drawn = np.random.default_rng(2).choice(np.r_[np.ones(74), np.zeros(86)], size=(20_000, 160)).mean(axis=1)
    expected = np.quantile(drawn, [0.025, 0.975])
    np.testing.assert_allclose(binomial_interval(74, 160), expected, atol=1 / 160)
    for n_retrieved, n_classes in ((1, 3), (5, 5), (0, 7), (300, 306), (153, 306)):
        exact = binom.ppf([0.025, 0.975], n_classes, n_retrieved / n_classes) / n_classes
        np.testing.assert_allclose(binomial_interval(n_retrieved, n_classes), exact)


@pytest.mark.parametrize(("n", "n_drawn"), [(5, 40_000), (160, 20_000), (3_000, 3_000)])
def test_interval_of_a_mean_is_that_of_many_more_bootstraps(n, n_drawn):
    """Of 1,000 draws the ends are known to 0.085 standard errors of the mean; 3,000 values are drawn in parts."""
    values = np.random.default_rng(n).gamma(0.5, 1.0, size=n)
    drawn = np.random.default_rng(1).choice(values, size=(n_drawn, n)).mean(axis=1)
    found = bootstrap_interval(values, seed=0)
    np.testing.assert_allclose(found, np.quantile(drawn, [0.025, 0.975]), atol=0.3 * values.std() / np.sqrt(n))
    assert found[0] < values.mean() < found[1]


def test_draws_depend_on_the_seed_and_the_number_of_values_alone():
    values = np.random.default_rng(3).random(40)
    found = bootstrap_interval(values, seed=5)
    assert bootstrap_interval(values, seed=5) == found
    assert bootstrap_interval(values, seed=6) != found
    np.testing.assert_allclose(bootstrap_interval(3 * values + 2, seed=5), 3 * np.array(found) + 2, rtol=1e-12)
    assert bootstrap_interval(np.full(7, 0.25), seed=5) == (0.25, 0.25)

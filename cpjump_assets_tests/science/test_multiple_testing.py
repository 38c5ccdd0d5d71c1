"""Benjamini-Hochberg against scipy, and what an interval of p leaves open."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from cpjump_assets.science.multiple_testing import benjamini_hochberg, call

_p = st.floats(0.0, 1.0)


@given(st.lists(_p | st.sampled_from([0.0, 0.01, 0.01, 0.05, 1.0]), min_size=1, max_size=60))
def test_q_equals_scipy(p):
    np.testing.assert_allclose(benjamini_hochberg(np.array(p)), false_discovery_control(p), rtol=1e-15)


def test_missing_p_are_no_tests():
    p = np.array([0.01, np.nan, 0.04, np.nan])
    expected = false_discovery_control([0.01, 0.04])
    np.testing.assert_allclose(benjamini_hochberg(p), [expected[0], np.nan, expected[1], np.nan])
    assert np.isnan(benjamini_hochberg(np.full(3, np.nan))).all()


def test_families_are_corrected_apart():
    rng = np.random.default_rng(1)
    p, families = rng.random(40), rng.integers(0, 3, 40)
    found = benjamini_hochberg(p, families=families)
    for family in range(3):
        np.testing.assert_allclose(found[families == family], false_discovery_control(p[families == family]))


@given(st.lists(st.tuples(_p, _p, _p), min_size=1, max_size=20), st.sampled_from([0.01, 0.05, 0.5]))
def test_calls_that_are_decided_stand_for_any_p_in_the_intervals(triples, threshold):
    low, value, high = np.sort(np.array(triples), axis=1).T
    calls = call(value, low, high, threshold=threshold)
    for p in (low, value, high, np.where(np.arange(len(low)) % 2, low, high)):
        other = benjamini_hochberg(p) < threshold
        decided = ~calls.undecided
        np.testing.assert_array_equal(other[decided], calls.significant[decided])


@pytest.mark.parametrize(
    ("low", "value", "high", "significant", "undecided"),
    [(0.01, 0.02, 0.03, True, False), (0.04, 0.045, 0.06, True, True), (0.06, 0.06, 0.06, False, False)],
)
def test_one_test(low, value, high, significant, undecided):
    calls = call(*(np.array([p]) for p in (value, low, high)), threshold=0.05)
    assert (calls.significant[0], calls.undecided[0]) == (significant, undecided)


def test_the_threshold_itself_is_not_below():
    at = np.array([0.05])
    assert not call(at, at, at, threshold=0.05).significant[0]


def test_an_open_call_can_open_the_call_of_another():
    """With the second test significant, the first needs 0.05 only; without it, 0.025."""
    first, second = np.array([0.03, 0.049]), np.array([0.03, 0.051])
    calls = call(first, first, second, threshold=0.05)
    assert calls.undecided.tolist() == [True, True]


def test_an_open_call_opens_none_of_another_family():
    first, second = np.array([0.03, 0.049, 0.03, 0.02]), np.array([0.03, 0.051, 0.03, 0.02])
    calls = call(first, first, second, families=np.array([0, 0, 1, 1]), threshold=0.05)
    assert calls.undecided.tolist() == [True, True, False, False]
    assert calls.significant.all()


def test_missing_p_are_neither_called_nor_open():
    p = np.array([np.nan, 0.01])
    calls = call(p, p, p, threshold=0.05)
    assert calls.significant.tolist() == [False, True]
    assert not calls.undecided.any()
    assert np.isnan(calls.q_value[0])

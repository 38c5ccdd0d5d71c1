"""Counts above bars: against comparing everything with everything."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpjump_assets.science.counting import count_above_in_columns, count_above_in_rows, count_in_rows


@given(st.integers(0, 40), st.integers(1, 12), st.sampled_from([0, 1, 3, 16, 17, 40]), st.integers(0, 99))
@settings(max_examples=80)
def test_counts_are_those_of_every_comparison(n_values, n_rows, n_bars, seed):
    """Values of few levels are often equal to a bar, which is not above it."""
    rng = np.random.default_rng(seed)
    values, bars = rng.integers(0, 6, (n_rows, n_values)) / 5.0, rng.integers(0, 6, (n_rows, n_bars)) / 5.0
    expected = (values[:, np.newaxis, :] > bars[:, :, np.newaxis]).sum(axis=2)
    np.testing.assert_array_equal(count_above_in_rows(values, bars), expected)
    np.testing.assert_array_equal(count_above_in_columns(values.T, bars), expected)
    np.testing.assert_array_equal(count_above_in_columns(np.ascontiguousarray(values.T), bars), expected)


@pytest.mark.parametrize("n_values", [0, 1, 7, 8, 9, 255, 256, 70_000])
def test_true_values_are_counted_whatever_their_number(n_values):
    """Bits are padded to whole bytes, and sums of small integers could overflow."""
    chosen = np.ones((2, n_values), dtype=bool)
    chosen[1, ::2] = False
    np.testing.assert_array_equal(count_in_rows(chosen), [n_values, n_values // 2])
    values = chosen[:1].T.astype(float)
    np.testing.assert_array_equal(count_above_in_columns(values, np.array([[0.5]])), [[n_values]])

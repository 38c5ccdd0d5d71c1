"""Repeated values, counted for many rows at once and one by one."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cpjump_assets.science.value_frequencies import count_values

VALUES = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, 1.5, -2.0, 1e-30, 3e38])


def counted(row):
    """Count one row: most common, second most common, distinct."""
    counts = sorted(Counter(value + 0.0 for value in row.tolist() if value == value).values(), reverse=True)
    return (*(*counts, 0, 0)[:2], len(counts))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_counts_are_those_of_a_counter(dtype, data) -> None:
    shape = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 12)))
    X = data.draw(arrays(dtype, shape, elements=VALUES.map(np.dtype(dtype).type)))
    found = np.stack(count_values(np.sort(X, axis=1)), axis=1)
    assert [tuple(row) for row in found.tolist()] == [counted(row) for row in X]


def test_many_wells_with_rounded_values() -> None:
    rng = np.random.default_rng(1)
    X = np.round(rng.normal(size=(30, 4000)), 3).astype(np.float32)
    X[::4] = np.round(X[::4])
    X[::5, :700] = np.nan
    X[3] = 7.0
    found = np.stack(count_values(np.sort(X, axis=1)), axis=1)
    assert [tuple(row) for row in found.tolist()] == [counted(row) for row in X]
    assert found[:, 1].max() > 100

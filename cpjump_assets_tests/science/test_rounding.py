"""Rounding to significant digits, against the text that it stands for."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cpjump_assets.science.rounding import MOST_DIGITS, significant


def through_text(X: np.ndarray, digits: int) -> np.ndarray:
    return np.array([float(f"%.{digits}g" % x) for x in X.ravel()]).reshape(X.shape)


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    """Compare bit by bit, so that the signs of zeros count, NaN apart."""
    assert found.dtype == np.float64
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    present = ~np.isnan(expected)
    np.testing.assert_array_equal(found[present].view(np.int64), expected[present].view(np.int64))


AWKWARD = np.array(
    [
        *(0.123455, 1.00005, 123455, 12345.5, 12346.5, 2.5, 0.5, 99999.5, 99999.4, 999995, 9.99995e-5, 0.099999),
        *(10.0**power for power in range(-30, 31)),
        *(np.nextafter(10.0**power, side) for power in range(-30, 31) for side in (0, np.inf)),
        *(5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1.234565e-310, 1.234565e300, 1.234565e-30),
        *(0.0, -0.0, np.nan, np.inf, -np.inf),
    ]
)


@pytest.mark.parametrize("digits", range(1, MOST_DIGITS + 1))
def test_ties_powers_of_ten_and_extremes(digits: int) -> None:
    both = np.concatenate([AWKWARD, -AWKWARD])
    assert_same(significant(both, digits), through_text(both, digits))


@settings(max_examples=300, deadline=None)
@given(hnp.arrays(np.float64, st.integers(0, 12), elements=st.floats(width=64)), st.integers(1, MOST_DIGITS))
@example(np.array([0.123455, 99999.5]), 5)
def test_any_float64(X: np.ndarray, digits: int) -> None:
    assert_same(significant(X, digits), through_text(X, digits))


@settings(max_examples=200, deadline=None)
@given(hnp.arrays(np.float32, st.integers(0, 12), elements=st.floats(width=32)), st.integers(1, 7))
def test_any_float32(X: np.ndarray, digits: int) -> None:
    assert_same(significant(X, digits), through_text(X, digits))


@settings(max_examples=200, deadline=None)
@given(st.integers(-99_999_995, 99_999_995), st.integers(-12, 12))
def test_decimals_at_and_beside_ties(number: int, power: int) -> None:
    X = np.array([float(f"{number}e{power}"), number * 10.0**power, (number + 0.5) * 10.0**power])
    X = np.concatenate([X, np.nextafter(X, -np.inf), np.nextafter(X, np.inf)])
    for digits in (5, len(str(abs(number))), len(str(abs(number))) - 1 or 1):
        assert_same(significant(X, digits), through_text(X, digits))


@settings(max_examples=200, deadline=None)
@given(st.integers(10**14, 10**15 - 1), st.integers(-20, 20))
def test_ties_of_as_many_digits_as_can_be(number: int, power: int) -> None:
    X = np.array([float(f"{number}.5e{power}"), float(f"{number}e{power}")])
    X = np.concatenate([X, np.nextafter(X, 0), np.nextafter(X, np.inf)])
    assert_same(significant(X, MOST_DIGITS), through_text(X, MOST_DIGITS))


@pytest.mark.parametrize("digits", [1, 5, 6, 12, 15])
def test_many_numbers_of_all_magnitudes(digits: int) -> None:
    rng = np.random.default_rng(digits)
    X = rng.normal(size=200_000) * 10.0 ** rng.integers(-9, 10, 200_000)
    assert_same(significant(X, digits), through_text(X, digits))


@pytest.mark.parametrize("digits", [1, 5, 6])
def test_a_decimal_that_went_through_float32_is_restored(digits: int) -> None:
    rng = np.random.default_rng(0)
    texts = [f"%.{digits}g" % x for x in rng.normal(size=20_000) * 10.0 ** rng.integers(-8, 9, 20_000)]
    exact = np.array([float(text) for text in texts])
    assert not np.array_equal(exact.astype(np.float32), exact)
    assert_same(significant(exact.astype(np.float32), digits), exact)


@pytest.mark.parametrize(
    "view",
    [
        lambda X: X,
        lambda X: X.T,
        lambda X: X[::2, 1:],
        lambda X: X.T[3:, ::-1],
        lambda X: X[:0],
        lambda X: X[0],
        lambda X: X[2, 3],
    ],
)
def test_shape_and_memory_order_stay_and_the_input_too(view) -> None:
    X = np.random.default_rng(0).normal(size=(200, 300))  # more than one chunk
    kept, taken = X.copy(), view(X)
    found = significant(taken, 3)
    assert_same(found, through_text(np.asarray(taken), 3))
    assert found.flags.c_contiguous or found.flags.f_contiguous
    if np.ndim(taken) == 2 and taken.size:
        assert found.flags.f_contiguous == (abs(taken.strides[0]) < abs(taken.strides[1]))
    np.testing.assert_array_equal(X, kept)


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.float64, 5, elements=st.floats(-1e9, 1e9)), st.integers(1, 9))
def test_rounding_again_changes_nothing(X: np.ndarray, digits: int) -> None:
    once = significant(X, digits)
    assert_same(significant(once, digits), once)


@pytest.mark.parametrize("digits", [0, -1, MOST_DIGITS + 1])
def test_other_numbers_of_digits_are_refused(digits: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 15 significant digits can be kept, not {digits}"):
        significant(np.ones(2), digits)

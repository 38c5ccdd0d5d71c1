"""Rounding to significant digits, as text with that many digits rounds.

Belongs here: what writing a number with ``%.5g`` and reading it again does to it, without the text. The published
profiles went through such a text after every step. Does not belong here: which steps round (``normalize``,
``spherize``, by their configuration).
"""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

MOST_DIGITS = 15
"""With more, a number scaled to an integer does not fit into the 53 bits of a float64."""

_LARGEST_EXACT_POWER = 22
"""The largest power of ten that a float64 holds without error."""

_CHUNK = 1 << 14
"""Numbers at a time: all that is computed of them stays in the processor's cache."""

Float64Array = NDArray[np.float64]


def significant(X: ArrayLike, digits: int) -> Float64Array:
    """Round to significant digits: for each x exactly what parsing ``'%.{digits}g' % x`` gives.

    So a number that was read from such a text into float32 becomes the float64 that is nearest to the text again, as
    long as float32 holds the digits (six and fewer).

    A number is scaled to an integer of ``digits`` digits, rounded, and scaled back by an exact power of ten, which
    leaves a single rounding, as in a correct parser. Where that proves nothing, because the scaled number is a tie or
    the power of ten is not exact, the number goes through the text.

    Parameters
    ----------
    X
        Numbers, of any shape; NaN, infinite values and the sign of zero stay.
    digits
        1 to ``MOST_DIGITS``.

    Returns
    -------
    ndarray
        In the shape and the memory order of X, float64.

    Raises
    ------
    ValueError
        For another number of digits.
    """
    if not 1 <= digits <= MOST_DIGITS:
        raise ValueError(f"1 to {MOST_DIGITS} significant digits can be kept, not {digits}")
    rounded = np.array(X, dtype=np.float64, order="K")
    flat = rounded.ravel(order="K")  # a view: the copy above left no gaps
    for start in range(0, flat.size, _CHUNK):
        _round_in_place(flat[start : start + _CHUNK], digits)
    return rounded


def _round_in_place(x: Float64Array, digits: int) -> None:
    binade = x.view(np.int64) >> 52 & 0x7FF
    up, down = (scale.take(binade) for scale in _scales(digits))
    scaled = x * up
    scaled /= down
    # A decade may begin within a binade: from there on the number has one digit too many.
    decade = np.where(np.abs(scaled) >= 10.0**digits, 10.0, 1.0)
    scaled /= decade
    integer = np.rint(scaled)
    # A tie is a float64, so that scaling may have moved a number onto it but not across. NaN is no proof either.
    scaled -= integer
    proved = np.abs(scaled) < 0.5
    integer *= decade
    integer *= down
    integer /= up
    np.copyto(x, integer, where=proved)
    if not proved.all():
        for place in np.flatnonzero(~proved & np.isfinite(x) & (x != 0)):  # a matrix may hold many zeros
            x[place] = float(f"{x[place]:.{digits}g}")


@cache
def _scales(digits: int) -> tuple[Float64Array, Float64Array]:
    """Give, by the exponent bits of a float64, what to multiply with and divide by to get ``digits`` digits.

    One of the two is 1, the other a power of ten, so that the smallest number of the binade has ``digits`` digits; both
    are NaN where that power is not exact, which takes in zero, subnormal, infinite and missing numbers.
    """
    exponents = np.arange(1 << 11) - 1023
    powers = digits - 1 - np.floor(exponents * np.log10(2)).astype(int)
    exact = np.array([float(f"1e{power}") for power in range(_LARGEST_EXACT_POWER + 1)])
    up, down = (exact[sign.clip(0, _LARGEST_EXACT_POWER)] for sign in (powers, -powers))
    up[np.abs(powers) > _LARGEST_EXACT_POWER] = np.nan
    return up, down

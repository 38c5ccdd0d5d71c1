"""How alike two profiles are: the cosine of the angle between them.

Belongs here: unit rows, blocks of cosines made from them, and when two cosines are equal. Does not belong here: which
profiles are compared (tasks such as ``detection``), what a similarity is worth (``retrieval``).
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from cpjump_assets.science.arrays import Floats, Ints
from cpjump_assets.science.errors import ProfileError

TIE = 2.0**-40
"""Two cosines that differ by no more than this count as equal.

Unit rows of up to some 8,000 features give a cosine that is off by less than this, whatever order BLAS sums in; so
copies of one profile tie, on any machine and with any number of threads.
"""

MAX_MEMORY = 1_000_000_000
"""Bytes that the similarities of a score may take at a time, if nothing else is said."""

_COPIED_AT_A_TIME = 512
"""Profiles; as fast as all in one go, or faster."""


def unit_rows(
    X: npt.NDArray[np.floating],
    rows: Ints | None = None,
    *,
    features: Sequence[str] | None = None,
    describe_row: Callable[[int], str] = "row {}".format,
) -> Floats:
    """Scale rows to length 1, so that a product of two of them is their cosine.

    Parameters
    ----------
    X
        Profiles, shape (n_profiles, n_features), any float type; left as they are.
    rows
        The profiles to take, shape (n_rows,); all by default.
    features
        Names of the columns for the message of an error; their numbers by default.
    describe_row
        Names a row of ``X`` in the message of an error: its number in, words out.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_features)

    Raises
    ------
    ProfileError
        If a profile has a NaN or infinite feature, or no direction: all zeros have no cosine with anything, and any
        value given to it would be an invention. The message names the first such profile, its feature, and the number.
    """
    taken = np.arange(len(X)) if rows is None else rows
    unit = _copy(X, taken)
    with np.errstate(over="ignore", invalid="ignore"):
        length = np.sqrt(np.einsum("ij,ij->i", unit, unit))
    unusable = np.flatnonzero(~np.isfinite(length) | (length == 0.0))
    if unusable.size:
        first = int(unusable[0])
        raise ProfileError(
            f"{describe_row(int(taken[first]))}: {_name_problem(unit[first], features)}; cosines need finite profiles"
            f" that are not zero everywhere ({unusable.size} of {len(unit)} profiles here are unusable)"
        )
    unit /= length[:, np.newaxis]
    return unit


def _copy(X: npt.NDArray[np.floating], rows: Ints) -> Floats:
    """Take rows in double precision, a few at a time: in one go, single precision would be in memory twice."""
    copied = np.empty((len(rows), X.shape[1]))
    for first in range(0, len(rows), _COPIED_AT_A_TIME):
        block = slice(first, first + _COPIED_AT_A_TIME)
        copied[block] = X[rows[block]]
    return copied


def _name_problem(profile: Floats, features: Sequence[str] | None) -> str:
    """Say in words why a profile has no direction."""
    not_finite = np.flatnonzero(~np.isfinite(profile))
    if not_finite.size:
        first = int(not_finite[0])
        name = f"feature {features[first] if features is not None else first}"
        return f"{name} is {profile[first]}, and {not_finite.size - 1} other features of it are not finite"
    if not profile.any():
        return "every feature is 0"
    return "its values are too large or too small for a length in double precision"

"""From p-values to calls: Benjamini-Hochberg, and which calls an uncertain p leaves open.

Belongs here: corrections over a family of tests. Does not belong here: where p-values come from
(``null_distribution``), or what a family is (``class_scores``).
"""

from dataclasses import dataclass

import numpy as np

from cpjump_assets.science.arrays import Bools, Floats, Ints


@dataclass(frozen=True)
class Calls:
    """What a family of tests says, each array of shape (n_tests,).

    Attributes
    ----------
    q_value
        Corrected p, missing where p is.
    significant
        ``q_value`` below the threshold; False where it is missing.
    undecided
        Whether p, known only to lie in an interval, leaves the call open.
    """

    q_value: Floats
    significant: Bools
    undecided: Bools


def benjamini_hochberg(p_value: Floats, *, families: Ints | None = None) -> Floats:
    """Correct p-values by Benjamini and Hochberg (1995).

    The same numbers as ``scipy.stats.false_discovery_control``, without the half second that importing ``scipy.stats``
    takes, and with missing values left out of the family instead of refused.

    Parameters
    ----------
    p_value
        Shape (n_tests,); NaN is no test.
    families
        Code of the family of each test, shape (n_tests,); by default all are one family.

    Returns
    -------
    ndarray, shape (n_tests,)
        q, never above 1; NaN where p is.
    """
    q_value = np.full(p_value.shape, np.nan)
    family_of = np.zeros(p_value.shape, dtype=np.int64) if families is None else families
    for family in np.unique(family_of):
        tested = np.flatnonzero((family_of == family) & ~np.isnan(p_value))
        order = tested[np.argsort(p_value[tested], kind="stable")]
        scaled = p_value[order] * (len(order) / np.arange(1, len(order) + 1))
        q_value[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q_value


def call(p_value: Floats, p_low: Floats, p_high: Floats, *, families: Ints | None = None, threshold: float) -> Calls:
    """Call the tests whose q in their family is below ``threshold``.

    q rises with every p of the family. So a call that stands when all p are at their upper ends always stands, and one
    that falls when all are at their lower ends never does; what lies between is open.

    Parameters
    ----------
    p_value, p_low, p_high
        p-values and the intervals that contain them, shape (n_tests,); NaN is no test.
    families
        As in ``benjamini_hochberg``.
    threshold
        q must be strictly below it.
    """
    q_value, lowest, highest = (benjamini_hochberg(p, families=families) for p in (p_value, p_low, p_high))
    return Calls(q_value, q_value < threshold, (lowest < threshold) & ~(highest < threshold))

"""How often features repeat their values.

Belongs here: counting equal values in sorted rows, all rows at once. Does not belong here: the cut-offs of the variance
rule (``feature_selection``), sorting.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cpjump_assets.science.features import Matrix

Counts = NDArray[np.intp]


class ValueCounts(NamedTuple):
    """For each of b features: wells with its most common value, with its second most common one, distinct values.

    NaN is no value; infinite values are. A feature with fewer than two distinct values has no second one: 0 wells.
    """

    most: Counts
    second: Counts
    distinct: Counts


def count_values(ordered: Matrix) -> ValueCounts:
    """Count the repeats in each row of an array, (b, n), n > 0, whose rows are sorted, NaN last as numpy puts it."""
    b, n = ordered.shape
    begins = np.ones((b, n), dtype=bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=begins[:, 1:])
    gappy = np.flatnonzero(np.isnan(ordered[:, -1]))
    if gappy.size:
        # NaN is unequal to itself: of the NaN at the end of a row one run is made, and counted as none.
        begins[gappy, 1:] &= ~np.isnan(ordered[gappy, :-1])
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=b * n)
    first = np.searchsorted(starts, np.arange(b) * n)
    distinct = np.diff(first, append=starts.size)
    lengths[(first + distinct - 1)[gappy]] = 0
    most = np.maximum.reduceat(lengths, first)
    longest = np.flatnonzero(lengths == np.repeat(most, distinct))
    lengths[longest[np.searchsorted(longest, first)]] = 0
    second = np.maximum.reduceat(lengths, first)
    distinct[gappy] -= 1
    return ValueCounts(most, second, distinct)

"""Medians of the rows of a matrix, missing values left out.

Belongs here: the one way in which this package takes a median over wells or cells. Does not belong here: which wells or
cells (``normalize``, ``aggregate``).
"""

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]


def row_medians(values: Float64Array) -> tuple[Float64Array, NDArray[np.intp]]:
    """Sort each row in place; give the median of its numbers (NaN if it has none) and how many there are.

    Fast where rows are contiguous: numpy sorts them with SIMD and puts NaN last.
    """
    values.sort(axis=1)
    n = np.full(len(values), values.shape[1])
    gappy = np.isnan(values[:, -1])
    n[gappy] -= np.isnan(values[gappy]).sum(axis=1)
    rows = np.arange(len(values))
    median: Float64Array = (values[rows, (n - 1) // 2] + values[rows, n // 2]) / 2
    return median, n

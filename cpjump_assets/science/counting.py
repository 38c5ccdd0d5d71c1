"""Counting what exceeds a bar: the step of every ranking that touches each similarity.

Belongs here: counts per row or column of a block of similarities, the fastest way that numpy has. Does not belong here:
what the bars are (``retrieval``, ``label_ranks``, ``all_pairs``).
"""

import numpy as np
import numpy.typing as npt

from cpjump_assets.science.arrays import Bools, Ints

_FEW = 16
"""Up to so many bars, comparing a block with each of them in turn takes less time than sorting it."""

_Matrix = npt.NDArray[np.floating]


def count_above_in_rows(values: _Matrix, bars: _Matrix) -> Ints:
    """Count what in each row exceeds each of the row's bars.

    Parameters
    ----------
    values
        Shape (n_rows, n_values), in any order.
    bars
        Shape (n_rows, n_bars).

    Returns
    -------
    ndarray of int64, shape (n_rows, n_bars)
    """
    if bars.shape[1] > _FEW:
        return _count_above_by_sorting(values, bars)
    above = np.empty(bars.shape, dtype=np.int64)
    for j, bar in enumerate(bars.T):
        above[:, j] = count_in_rows(values > bar[:, np.newaxis])
    return above


def count_above_in_columns(values: _Matrix, bars: _Matrix) -> Ints:
    """Count what in each column of values, shape (n_values, n_columns), exceeds each of the column's bars.

    ``bars`` have shape (n_columns, n_bars), and so has the result.
    """
    if bars.shape[1] > _FEW:
        return _count_above_by_sorting(values.T, bars)
    above = np.empty(bars.shape, dtype=np.int64)
    for j, bar in enumerate(bars.T):
        above[:, j] = np.add.reduce((values > bar).view(np.uint8), axis=0, dtype=np.uint32)
    return above


def count_in_rows(chosen: Bools) -> Ints:
    """Count the true values of each row; eight at a time takes a fourth of the time of ``np.count_nonzero``."""
    return np.bitwise_count(np.packbits(chosen, axis=1)).sum(axis=1, dtype=np.int64)


def _count_above_by_sorting(values: _Matrix, bars: _Matrix) -> Ints:
    """Count what in each row exceeds each of the row's bars: for many bars."""
    rising = np.sort(values, axis=1)
    above = np.empty(bars.shape, dtype=np.int64)
    for row, bar in enumerate(bars):
        above[row] = rising.shape[1] - np.searchsorted(rising[row], bar, side="right")
    return above

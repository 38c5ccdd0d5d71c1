"""Sums of independent nulls on one grid: each is put on it without moving its mean, then they are convolved.

Belongs here: moving masses to a coarser grid, spectra, reading tails off a convolution with bounds. Does not belong
here: which nulls a class has and with what weights (``class_null``).

A mass between two cells is split over both so that its mean stays: an error of second order in the width of a cell,
where rounding to the nearest would leave one of first order. Every mass moves by less than one cell.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, rfft

from cpjump_assets.science.arrays import Floats
from cpjump_assets.science.nulls.rank_program import GridCounts, Tails

Spectrum = npt.NDArray[np.complex128]

_ON_GRID = 1e-6
"""A place so close to a cell, in cells, lies on it."""

_NOISE = 1e-10
"""More than float errors add to a tail or take from it: those of a Fourier transform there and back, some 1e-15, and of
second differences, 2e-11 at most on the finest grid."""


@dataclass(frozen=True)
class MeanGrid:
    """What nulls are put on.

    Attributes
    ----------
    cells
        Cells of a mean average precision from 0 to 1.
    length
        Length of transforms: more than the cells by at least one for each part that is summed, and one.
    merged
        Cells of a counted null that are merged beforehand, which saves half of the time.
    """

    cells: int
    length: int
    merged: int


@dataclass(frozen=True)
class CountedNull:
    """A counted null, ready to be put on other grids.

    Attributes
    ----------
    least
        First cell, in merged cells.
    per_unit
        Merged cells per unit of S.
    excess
        Entry i: mean of max(cell - least - i, 0); one more entry than there are cells, the last 0.
    """

    least: int
    per_unit: float
    excess: Floats

    @classmethod
    def of(cls, grid: GridCounts, merged: int) -> "CountedNull":
        """Merge cells, keeping the mean, and sum from the top, so that the small masses there keep their digits."""
        offset = grid.least % merged
        n_merged = -(-(offset + len(grid.counts)) // merged)
        counts = np.zeros(n_merged * merged)
        counts[offset : offset + len(grid.counts)] = grid.counts
        by_cell = counts.reshape(n_merged, merged)
        # By einsum rather than by a matrix product, whose last digit may depend on the number of threads.
        masses = np.append(np.einsum("ij->i", by_cell), 0.0)
        to_next = np.einsum("ij,j->i", by_cell, np.arange(merged) / merged)
        masses[:-1] -= to_next
        masses[1:] += to_next
        above = np.cumsum(masses[::-1])[:-1]
        excess = np.concatenate([np.cumsum(above)[::-1], [0.0]]) / grid.total
        return cls(grid.least // merged, grid.cells / merged, excess)

    def masses(self, scale: float) -> Floats:
        """Put it on a grid on which a unit of S is ``scale`` cells; returns the mass of each cell.

        A cell gets what its hat function (1 at the cell, 0 at the next) gives to every mass. That is the second
        difference of E max(S - t, 0), piecewise linear in t and known at its knots.
        """
        step = self.per_unit / scale
        n_cells = int(np.ceil((self.least + len(self.excess) - 1) / step - 1e-9)) + 1
        places = step * np.arange(-1, n_cells + 1) - self.least
        whole = np.clip(np.floor(places), 0, len(self.excess) - 2).astype(np.int64)
        part = np.minimum(places - whole, 1.0)
        at_places = self.excess[whole] * (1 - part) + self.excess[whole + 1] * part
        below = places < 0
        at_places[below] = self.excess[0] - places[below]
        return np.diff(at_places, 2) / step


def moved_cells(grid: GridCounts, scale: float, merged: int) -> float:
    """Bound how far a sum lies from where ``CountedNull.masses`` puts it: by counting, by merging, by splitting."""
    return (grid.reach() + merged * (merged > 1)) * scale / grid.cells + 1.0


def split_atoms(places: Floats) -> Floats:
    """Put equally likely atoms, at places in cells, on the grid; returns the mass of each cell."""
    below = np.floor(places + _ON_GRID * 1e-3).astype(np.int64)
    to_next = np.maximum(places - below, 0.0)
    n_cells = int(below.max()) + 2
    masses = np.bincount(below, weights=1 - to_next, minlength=n_cells)
    masses += np.bincount(below + 1, weights=to_next, minlength=n_cells)
    return masses / len(places)


def spectrum(masses: Floats, grid: MeanGrid) -> Spectrum:
    """Transform masses, padded with empty cells."""
    result: Any = rfft(masses, grid.length)
    return result


def tails_of_sum(product: Spectrum, places: Floats, *, grid: MeanGrid, reach: float) -> Tails:
    """Give the probability that a sum of independent parts is above each place, and bounds of it.

    A cell stands for half a cell on both sides of it, and the share of it above the place is counted; but on a cell,
    where the own atom of the place is, what is strictly above.

    Parameters
    ----------
    product
        Product of the spectra of the parts.
    places
        In cells, shape (n_queries,).
    grid
        The grid of the parts.
    reach
        Bound, in cells, of how far a sum lies from its true place.
    """
    nearest = np.rint(places)
    on_cell = np.abs(places - nearest) < _ON_GRID
    share = np.where(on_cell, 0.0, nearest + 0.5 - places)
    ends = np.stack([nearest + 1, nearest, np.ceil(places + reach), np.floor(places - reach) + 1])
    masses = irfft(product, grid.length)
    firsts = np.clip(ends, 0, grid.length).astype(np.int64)
    # One by one, so that the last digit of a tail does not depend on what other tails are asked.
    tails = np.array([masses[first:].sum() for first in firsts.ravel()]).reshape(firsts.shape)
    above, from_nearest, low, high = tails
    low, high = np.clip(low - _NOISE, 0.0, 1.0), np.clip(high + _NOISE, 0.0, 1.0)
    return Tails(np.clip((1 - share) * above + share * from_nearest, low, high), low, high)

"""Sums of products of standardized features over all wells, plate by plate.

Belongs here: standardizing some features of a stream, and their sums of products: of all pairs in float32, of all with
some in float64, of listed pairs in float64. Does not belong here: values that are missing (``feature_gaps``), which
features are compared and what follows (``feature_correlation``).

Standardized values have mean 0 and norm 1 over the wells that have one, and are 0 in the others. So the sum of products
of two features without gaps is their Pearson correlation.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import ssyrk

from cpjump_assets.science.feature_measures import FeatureMeasures, Float64Array, IntArray
from cpjump_assets.science.features import BoolArray, Matrix
from cpjump_assets.science.plate_stream import PIECE_WELLS, PlateStream

FEATURE_BLOCK = 256
"""Features standardized at a time: of 1,536 wells 3 MB in float64."""
PAIR_BLOCK = 1024
"""Pairs whose values are laid side by side at a time: of 384 wells 3 MB a side."""

Positions = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Columns:
    """The c features that are correlated, those without gaps first.

    Attributes
    ----------
    stream, measures
        All features.
    features
        (c,) their positions among all features; each varies.
    n_complete
        How many have a value in every well; the others, behind them, have gaps.
    """

    stream: PlateStream
    measures: FeatureMeasures
    features: Positions
    n_complete: int

    def __len__(self) -> int:
        """Count the features."""
        return len(self.features)

    @property
    def present(self) -> IntArray:
        """Count the wells of each piece with a value: (c, K)."""
        return self.measures.present[self.features]

    def read(self, wanted: BoolArray | None = None) -> Iterator[tuple[int, Matrix]]:
        """Read as ``PlateStream.read``, these features alone: (c, wells of the piece)."""
        everything = np.array_equal(self.features, np.arange(len(self.stream.features)))
        for position, values in self.stream.read(wanted):
            yield position, values if everything else values[self.features]

    def standardized(self, values: Matrix, which: Positions | slice = slice(None)) -> Float64Array:
        """Standardize values, (d, m), of some of the features, all by default."""
        features = self.features[which]
        Z: Float64Array = np.subtract(values, self.measures.mean[features, None], dtype=np.float64)
        Z *= (1.0 / self.measures.norm[features])[:, None]
        if self.measures.n_missing[features].any():
            Z[~np.isfinite(values)] = 0.0
        return Z


def columns_of(stream: PlateStream, measures: FeatureMeasures, visible: BoolArray) -> Columns:
    """Take the visible features, (p,), that vary."""
    compared = visible & ~measures.constant
    complete = measures.n_missing == 0
    features = np.concatenate([np.flatnonzero(compared & complete), np.flatnonzero(compared & ~complete)])
    return Columns(stream, measures, features, int((compared & complete).sum()))


def products_of_all(columns: Columns) -> NDArray[np.float32]:
    """Sum the products of all pairs in float32.

    One call of BLAS takes up to 1,536 wells of several pieces, 0.45 s for 5,792 features, where float64 takes twice as
    long and twice the memory. In each call a sum starts from 0, and is then added to what there is: that is how BLAS
    works through a matrix. So after N calls a sum is off by at most (1,536 + N + 2) 2**-24, whatever the values and the
    order of summation, because no part of it is above 1: below 1e-4 up to N = 139. Measured: 4e-7 for normal values,
    1e-5 at worst.

    Returns
    -------
    ndarray
        (c, c); in the upper triangle the sums, below it zeros, so that the system need not even provide that memory.
    """
    c = len(columns)
    total = np.zeros((c, c), dtype=np.float32, order="F")
    wells = np.empty((c, min(PIECE_WELLS, columns.stream.n_wells)), dtype=np.float32)
    filled = 0
    for _, values in columns.read():
        if filled + values.shape[1] > wells.shape[1]:
            total = _add_products(total, wells[:, :filled])
            filled = 0
        for part in blocks(c):
            wells[part, filled : filled + values.shape[1]] = columns.standardized(values[part], part)
        filled += values.shape[1]
    return _add_products(total, wells[:, :filled])


def blocks(c: int, width: int = FEATURE_BLOCK) -> Iterator[slice]:
    """Cut c features into blocks; those of the default width keep their standardized values in the cache."""
    return (slice(start, min(start + width, c)) for start in range(0, c, width))


def _add_products(total: NDArray[np.float32], wells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add the products of some wells, (c, m), in place."""
    added: NDArray[np.float32] = ssyrk(1.0, wells.T, beta=1.0, c=total, trans=1, overwrite_c=1)
    return added


def products_with(columns: Columns, some: Positions) -> Float64Array:
    """Sum the products of all c features with d of them in float64: (c, d)."""
    total = np.zeros((len(columns), len(some)))
    for _, values in columns.read():
        theirs = columns.standardized(values[some], some).T
        for part in blocks(len(columns)):
            total[part] += columns.standardized(values[part], part) @ theirs
    return total


class PairProducts(NamedTuple):
    """For each of some pairs the sum of their products, and of their squared differences."""

    r: Float64Array
    squared_distance: Float64Array


def products_of_pairs(columns: Columns, first: Positions, second: Positions) -> PairProducts:
    """Sum the products of listed pairs in float64."""
    used, places = np.unique(np.stack([first, second]), return_inverse=True)
    first, second = places.reshape(2, -1)
    r, squared_distance = np.zeros((2, len(first)))
    for _, values in columns.read():
        Z = columns.standardized(values[used], used)
        for start in range(0, len(first), PAIR_BLOCK):
            part = slice(start, start + PAIR_BLOCK)
            x, y = Z[first[part]], Z[second[part]]
            r[part] += np.einsum("ij,ij->i", x, y)
            x -= y
            squared_distance[part] += np.einsum("ij,ij->i", x, x)
    return PairProducts(r, squared_distance)

"""Correlation between features over wells, and which of two correlated features goes.

Belongs here: Pearson's r of every pair of features, over the wells where both have a value, and the choice of the 2024
configuration among correlated features. Does not belong here: the other selection rules (``feature_selection``), and
similarity between wells.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cpjump_assets.science.features import BoolArray, Matrix

ROW_BLOCK = 4096
"""Wells per step: standardized values of all wells at once would double the memory of a batch."""
FEATURE_BLOCK = 256
"""Rows of the correlation matrix per step of a scan; 12 MB at 5,792 features stay in the cache."""
ILL_CONDITIONED = 1e-6
"""Below this share of its variance left on the common wells, r of a pair is computed from the values themselves."""
DIGITS = 9
"""Values of r, and sums of |r|, that agree to this many digits are equal but for rounding: file order decides."""

Float64Array = NDArray[np.float64]


class CorrelatedPartner(NamedTuple):
    """For each of p features the partner for whose sake it is dropped, and their r; -1 and NaN if it stays."""

    partner: NDArray[np.intp]
    r: Float64Array


def correlated_partners(X: Matrix, threshold: float) -> CorrelatedPartner:
    """Find the features that are dropped because another one says nearly the same.

    Features are ranked by the sum of |r| with all features, the least correlated first, equal sums in file order. A
    feature is dropped when its r with a feature of lower rank is above the threshold, whether that one stays or not.
    r is signed: a pair with r = -0.95 is kept. Of several such partners the one with the largest r is named.

    Parameters
    ----------
    X
        (n, p); values that are not finite are missing, see ``correlation_matrix``.
    threshold
        0.9 in the 2024 configuration.
    """
    r = correlation_matrix(X)
    sums, first, second = _scan(r, threshold)
    rank = np.empty(len(sums), dtype=np.intp)
    rank[np.argsort(np.round(sums, DIGITS), kind="stable")] = np.arange(len(sums))
    partner = np.full(len(sums), -1, dtype=np.intp)
    largest = np.full(len(sums), np.nan)
    outranked = rank[second] < rank[first]
    first, second = first[outranked], second[outranked]
    # By feature, then falling r, then file order of the partner: the first entry of each feature is its partner.
    order = np.lexsort((second, -np.round(r[first, second], DIGITS), first))
    dropped, position = np.unique(first[order], return_index=True)
    partner[dropped] = second[order][position]
    largest[dropped] = r[dropped, partner[dropped]]
    return CorrelatedPartner(partner, largest)


def correlation_matrix(X: Matrix) -> Float64Array:
    """Compute Pearson's r of all pairs of columns, each over the rows where both are finite.

    Equal to ``numpy.corrcoef`` where nothing is missing, else to ``pandas.DataFrame.corr``, but for one thing: a column
    with one distinct value has NaN, never a quotient of rounding errors.

    Parameters
    ----------
    X
        (n, p), float32 or float64.

    Returns
    -------
    ndarray
        (p, p), symmetric, in [-1, 1], NaN where a pair has fewer than two common rows or one of the two does not vary
        on them.
    """
    columns = _standardization(X)
    products = (Z.T @ Z for Z in map(columns.standardized, _row_blocks(X)))
    r: Float64Array = next(products)
    for product in products:
        r += product
    for start in range(0, columns.gaps.size, FEATURE_BLOCK):
        gaps = columns.gaps[start : start + FEATURE_BLOCK]
        r[:, gaps] = _correlations_with_gaps(X, columns, gaps, r[:, gaps])
    if columns.gaps.size:
        r[columns.gaps, :] = r[:, columns.gaps].T
        r += r.T  # two columns with gaps were correlated twice, with different rounding
        r *= 0.5
    r[columns.constant, :] = np.nan
    r[:, columns.constant] = np.nan
    return np.clip(r, -1.0, 1.0, out=r)


def _scan(r: Float64Array, threshold: float) -> tuple[Float64Array, NDArray[np.intp], NDArray[np.intp]]:
    """Sum |r| for each feature, its own 1 included, and list the ordered pairs above the threshold."""
    sums = np.empty(len(r))
    pairs = [np.empty((0, 2), dtype=np.intp)]
    for start in range(0, len(r), FEATURE_BLOCK):
        rows = r[start : start + FEATURE_BLOCK]
        sums[start : start + FEATURE_BLOCK] = np.fmax(np.abs(rows), 0.0).sum(axis=1)
        pairs.append(np.argwhere(rows > threshold) + np.array([start, 0]))
    first, second = np.concatenate(pairs).T
    return sums, first, second


@dataclass(frozen=True, eq=False)
class _Standardization:
    """Mean and root sum of squares of each column over its finite values."""

    mean: Float64Array
    norm: Float64Array
    constant: BoolArray
    gaps: NDArray[np.intp]

    def standardized(self, rows: Matrix) -> Float64Array:
        """Centre to mean 0 and scale to unit norm over all rows; 0 where a value is missing or constant."""
        Z = np.subtract(rows, self.mean, dtype=np.float64)
        if self.gaps.size:
            Z[~np.isfinite(rows)] = 0.0
        Z /= self.norm
        return Z


def _standardization(X: Matrix) -> _Standardization:
    n, p = X.shape
    mean, norm = np.empty(p), np.empty(p)
    constant, has_gaps = np.empty(p, dtype=bool), np.empty(p, dtype=bool)
    for start in range(0, p, FEATURE_BLOCK):
        part = slice(start, start + FEATURE_BLOCK)
        values = np.array(X[:, part].T, dtype=np.float64, order="C")
        finite = np.isfinite(values)
        present = finite.sum(axis=1)
        lowest = np.min(values, axis=1, initial=np.inf, where=finite)
        highest = np.max(values, axis=1, initial=-np.inf, where=finite)
        mean[part] = np.sum(values, axis=1, where=finite) / np.maximum(present, 1)
        values -= mean[part, None]
        norm[part] = np.sqrt(np.sum(np.square(values, out=values), axis=1, where=finite))
        constant[part] = lowest >= highest
        has_gaps[part] = present < n
    # A constant column becomes 0 (its values divided by infinity): it disturbs no other, and gets its NaN at the end.
    norm[constant] = np.inf
    return _Standardization(mean, norm, constant, np.flatnonzero(has_gaps))


def _correlations_with_gaps(
    X: Matrix, columns: _Standardization, gaps: NDArray[np.intp], products: Float64Array
) -> Float64Array:
    """Correlate all p columns with d columns that have gaps, given the (p, d) sums of products of standardized values.

    Means and variances differ from pair to pair, because each pair has its own common rows: five more matrix products
    with the masks of present values give them for all pairs at once.
    """
    n, sum_x, sum_xx, sum_y, sum_yy = np.zeros((5, *products.shape))
    for rows in _row_blocks(X):
        Z, present = columns.standardized(rows), np.isfinite(rows).astype(np.float64)
        Y, Y_present = Z[:, gaps], present[:, gaps]
        n += present.T @ Y_present
        sum_x += Z.T @ Y_present
        sum_xx += np.square(Z).T @ Y_present
        sum_y += present.T @ Y
        sum_yy += present.T @ np.square(Y)
    with np.errstate(divide="ignore", invalid="ignore"):
        left_x, left_y = sum_xx - sum_x**2 / n, sum_yy - sum_y**2 / n
        r: Float64Array = (products - sum_x * sum_y / n) / np.sqrt(left_x * left_y)
    r[n < 2] = np.nan
    doubtful = (n >= 2) & ((left_x <= ILL_CONDITIONED * sum_xx) | (left_y <= ILL_CONDITIONED * sum_yy))
    doubtful &= ~columns.constant[:, None] & ~columns.constant[gaps]
    for i, j in np.argwhere(doubtful):
        r[i, j] = _correlation(X[:, i], X[:, gaps[j]])
    return r


def _correlation(x: Matrix, y: Matrix) -> float:
    """Correlate two columns over their common rows: slower than the products, but without their cancellation."""
    common = np.isfinite(x) & np.isfinite(y)
    pair = np.stack([x[common], y[common]]).astype(np.float64)
    if (pair.min(axis=1) == pair.max(axis=1)).any():
        return np.nan
    pair -= pair.mean(axis=1, keepdims=True)
    pair /= np.linalg.norm(pair, axis=1, keepdims=True)
    return float(pair[0] @ pair[1])


def _row_blocks(X: Matrix) -> Iterator[Matrix]:
    """Cut the rows into blocks; one block at least, if an empty one."""
    return (X[start : start + ROW_BLOCK] for start in range(0, max(len(X), 1), ROW_BLOCK))

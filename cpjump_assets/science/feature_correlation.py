"""Which of two correlated features goes.

Belongs here: the choice of the 2024 configuration among features whose Pearson correlation is above a threshold,
decided as if all were computed in float64. Does not belong here: the sums behind the correlations
(``feature_products``, ``feature_gaps``), the other selection rules (``feature_selection``).

All pairs are correlated in float32, twice as fast as in float64 and in half the memory. That tells nearly every pair
from the threshold, and nearly every two features by the sum of their correlations. What it leaves in doubt is computed
again in float64: pairs near the threshold, pairs that name a feature's partner, and the sums of the features of such a
pair where they are too near to tell. How far off float32 may be is stated at ``R_ERROR`` and ``SUM_ERROR``.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cpjump_assets.science.feature_gaps import correlations_of_pairs, correlations_with
from cpjump_assets.science.feature_measures import FeatureMeasures, Float64Array
from cpjump_assets.science.feature_products import (
    Columns,
    Positions,
    columns_of,
    products_of_all,
    products_of_pairs,
    products_with,
)
from cpjump_assets.science.features import BoolArray
from cpjump_assets.science.plate_stream import PlateStream

R_ERROR = 1e-4
"""No r from products in float32 is farther off, up to 200,000 wells: see ``products_of_all`` for the proof."""
SUM_ERROR = 5e-5
"""No sum of |r| from float32 is farther off than this share of it: half of what the proof leaves if every r were 1.
Measured: 6e-8 for normal values; 9e-6 at worst, where one well lies so far out that the others are lost beside it."""
DIGITS = 9
"""Values of r, and sums of |r|, that agree to this many digits are equal but for rounding: file order decides."""
COLUMN_BLOCK = 256
"""Features that are scanned, or computed again, at a time; 12 MB of 5,792 values in float64."""


class CorrelatedPartner(NamedTuple):
    """For each of p features the partner for whose sake it is dropped, and their r; -1 and NaN if it stays."""

    partner: Positions
    r: Float64Array


class _Pairs(NamedTuple):
    """Pairs of features whose r is above the threshold or may be, and what r may be off by."""

    first: Positions
    second: Positions
    r: Float64Array
    error: Float64Array


class _Overview(NamedTuple):
    """What the products in float32 tell: for each feature the sum of its |r| and what it may be off by, and pairs."""

    sums: Float64Array
    error: Float64Array
    pairs: _Pairs


def correlated_partners(
    stream: PlateStream, measures: FeatureMeasures, threshold: float, visible: BoolArray
) -> CorrelatedPartner:
    """Find the features that are dropped because another one says nearly the same.

    Features are ranked by the sum of |r| with all visible features, the least correlated first, equal sums in file
    order. A feature is dropped when its r with a feature of lower rank is above the threshold, whether that one stays
    or not. r is signed: a pair with r = -0.95 is kept. Of several such partners the one with the largest r is named.

    r is Pearson's, over the wells where both features are finite: that of ``numpy.corrcoef`` where nothing is missing,
    else that of ``pandas.DataFrame.corr``. A feature that does not vary has none.

    Parameters
    ----------
    stream
        n wells x p features.
    measures
        Of these.
    threshold
        0.9 in the 2024 configuration.
    visible
        (p,), the features that are compared.
    """
    partner, r = np.full(visible.size, -1), np.full(visible.size, np.nan)
    columns = columns_of(stream, measures, visible)
    if len(columns) < 2:
        return CorrelatedPartner(partner, r)
    found = _choose(columns, _overview(columns, threshold), threshold)
    partner[columns.features] = np.where(found.partner >= 0, columns.features[found.partner], -1)
    r[columns.features] = found.r
    return CorrelatedPartner(partner, r)


def exact_correlations(columns: Columns, some: Positions) -> Float64Array:
    """Correlate all c features with d of them in float64: (c, d), NaN where a pair has no r, and for itself."""
    r = products_with(columns, some)
    if columns.n_complete < len(columns):
        r = correlations_with(columns, some, r).r
    r[some, np.arange(len(some))] = np.nan
    return np.clip(r, -1.0, 1.0, out=r)


def _overview(columns: Columns, threshold: float) -> _Overview:
    """Correlate all pairs in float32: the features without gaps with each other, those with gaps with all."""
    products = products_of_all(columns)
    np.fill_diagonal(products, 0.0)
    parts = [_seen_without_gaps(columns, some, products, threshold) for some in _blocks(0, columns.n_complete)]
    parts += [_seen_with_gaps(columns, some, products, threshold) for some in _blocks(columns.n_complete, len(columns))]
    return _Overview(
        sums=np.sum([part.sums for part in parts], axis=0),
        error=np.sum([part.error for part in parts], axis=0) + SUM_ERROR,
        pairs=_Pairs(*map(np.concatenate, zip(*(part.pairs for part in parts), strict=True))),
    )


def _blocks(start: int, stop: int) -> Iterator[slice]:
    return (slice(first, min(first + COLUMN_BLOCK, stop)) for first in range(start, stop, COLUMN_BLOCK))


def _seen_without_gaps(columns: Columns, some: slice, products: NDArray[np.float32], threshold: float) -> _Overview:
    """Compare some features without gaps with themselves and those before them."""
    r = products.T[some, : some.stop]
    magnitude = np.abs(r)
    sums = np.zeros(len(columns))
    sums[some] += magnitude.sum(axis=1, dtype=np.float64)
    sums[: some.stop] += magnitude.sum(axis=0, dtype=np.float64)
    second, first = np.divmod(np.flatnonzero(r > threshold - R_ERROR), some.stop)
    pairs = _Pairs(first, some.start + second, r[second, first].astype(np.float64), np.full(first.size, R_ERROR))
    return _Overview(sums, SUM_ERROR * sums, pairs)


def _seen_with_gaps(columns: Columns, some: slice, products: NDArray[np.float32], threshold: float) -> _Overview:
    """Compare some features with gaps with all."""
    row, column = np.arange(len(columns))[:, None], np.arange(some.start, some.stop)
    own = products[np.minimum(row, column), np.maximum(row, column)].astype(np.float64)
    r, amplification = correlations_with(columns, column, own)
    r[row == column] = np.nan
    error = R_ERROR * amplification
    first, second = np.nonzero((r + error > threshold) & (row < column))
    pairs = _Pairs(first, column[second], r[first, second], error[first, second])
    sums, weight = np.zeros((2, len(columns)))
    for total, part in ((sums, np.nan_to_num(np.abs(r))), (weight, np.abs(own * amplification))):
        total[some] = part.sum(axis=0)
        total[: columns.n_complete] = part[: columns.n_complete].sum(axis=1)
    return _Overview(sums, SUM_ERROR * weight, pairs)


def _choose(columns: Columns, overview: _Overview, threshold: float) -> CorrelatedPartner:
    """Decide for each feature, computing again in float64 what the overview leaves in doubt."""
    sums, pairs, m = overview.sums, overview.pairs, len(overview.pairs.first)
    feature, other = np.concatenate([pairs.first, pairs.second]), np.concatenate([pairs.second, pairs.first])
    r, error = np.tile(pairs.r, 2), np.tile(pairs.error, 2)
    lead, doubt = sums[feature] - sums[other], overview.error[feature] + overview.error[other]
    surely = (lead > doubt) & (r - error > threshold)
    at_least = np.full(len(columns), -np.inf)
    np.maximum.at(at_least, feature[surely], (r - error)[surely])
    candidate = np.flatnonzero((lead >= -doubt) & (r + error >= at_least[feature]))

    asked, place = np.unique(candidate % m, return_inverse=True)
    exact_r, twins = _exact_pairs(columns, pairs.first[asked], pairs.second[asked])
    feature, other, r, twins = feature[candidate], other[candidate], exact_r[place], twins[place]
    above = r > threshold
    feature, other, r, twins = feature[above], other[above], r[above], twins[above]
    sums = _settled_sums(columns, overview, np.stack([feature, other])[:, ~twins])
    lead = np.where(twins, 0.0, sums[feature] - sums[other])
    tie = np.abs(lead) <= 10.0**-DIGITS
    outranked = np.where(tie, columns.features[other] < columns.features[feature], lead > 0)
    return _largest(columns, feature[outranked], other[outranked], r[outranked])


def _exact_pairs(columns: Columns, first: Positions, second: Positions) -> tuple[Float64Array, BoolArray]:
    """Correlate pairs in float64, and tell which are twins: so alike that their sums are equal but for rounding."""
    gaps = (first >= columns.n_complete) | (second >= columns.n_complete)
    r, twins = np.full(len(first), np.nan), np.zeros(len(first), dtype=bool)
    if gaps.any():
        r[gaps] = correlations_of_pairs(columns, first[gaps], second[gaps])
    if not gaps.all():
        r[~gaps], squared_distance = products_of_pairs(columns, first[~gaps], second[~gaps])
        # r with a third feature differs by the distance of the two at most.
        twins[~gaps] = len(columns) * np.sqrt(squared_distance) <= 10.0**-DIGITS
    return np.clip(r, -1.0, 1.0, out=r), twins


def _settled_sums(columns: Columns, overview: _Overview, pairs: Positions) -> Float64Array:
    """Give the sums with those in float64 that some pairs, (2, k), need to be told apart."""
    sums = overview.sums.copy()
    near = np.abs(np.subtract(*sums[pairs])) <= overview.error[pairs].sum(axis=0)
    in_doubt = np.unique(pairs[:, near])
    for block in _blocks(0, in_doubt.size):
        some = in_doubt[block]
        sums[some] = np.nansum(np.abs(exact_correlations(columns, some)), axis=0)
    return sums


def _largest(columns: Columns, feature: Positions, other: Positions, r: Float64Array) -> CorrelatedPartner:
    """Name of each feature's partners the one with the largest r, of equal ones the first in the file."""
    partner, largest = np.full(len(columns), -1), np.full(len(columns), np.nan)
    order = np.lexsort((columns.features[other], -np.round(r, DIGITS), feature))
    dropped, position = np.unique(feature[order], return_index=True)
    partner[dropped] = other[order][position]
    largest[dropped] = r[order][position]
    return CorrelatedPartner(partner, largest)

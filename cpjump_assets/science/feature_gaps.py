"""Correlations of features that lack values in some wells: each pair over the wells where both have one.

Belongs here: sums over the common wells of pairs, for many pairs at once, and a slower way for the pairs where these
sums cancel. Does not belong here: sums of products over all wells (``feature_products``).

Means and spreads differ from pair to pair, because each pair has its own common wells. A plate where a feature has all
its values adds its totals of that plate, known beforehand; one where it has none (no spread among the controls) adds
nothing; and where single values are missing, the products of the wells that lack some are taken off again.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cpjump_assets.science.feature_measures import Float64Array
from cpjump_assets.science.feature_products import PAIR_BLOCK, Columns, Positions, blocks
from cpjump_assets.science.features import BoolArray, Matrix

GAP_BLOCK = 2048
"""Features whose gaps are taken off at a time: smaller products cost more in BLAS's threads than in the work."""
ILL_CONDITIONED = 1e-6
"""Below this share of its variance left on the common wells, r of a pair is computed from the values themselves."""


class GapCorrelations(NamedTuple):
    """Pearson's r of all c features with d of them, and how precise it is.

    Attributes
    ----------
    r
        (c, d), NaN where a pair has fewer than two common wells or one of the two does not vary on them.
    amplification
        (c, d), how many times an error of the products counts in r: 1 where no value is missing, 0 where r comes from
        the values or is NaN.
    """

    r: Float64Array
    amplification: Float64Array


class _CommonSums(NamedTuple):
    """Sums over the common wells of c features x and d features y, standardized: each (c, d)."""

    n: Float64Array
    x: Float64Array
    xx: Float64Array
    y: Float64Array
    yy: Float64Array


def correlations_with(columns: Columns, some: Positions, products: Matrix) -> GapCorrelations:
    """Correlate all c features with d of them.

    Parameters
    ----------
    columns
        The c features.
    some
        (d,) positions among them.
    products
        (c, d) sums of products of the standardized values.
    """
    common = _common_sums(columns, some)
    with np.errstate(divide="ignore", invalid="ignore"):
        left_x, left_y = common.xx - common.x**2 / common.n, common.yy - common.y**2 / common.n
        amplification = 1.0 / np.sqrt(left_x * left_y)
        r = (products - common.x * common.y / common.n) * amplification
    known = common.n >= 2
    r[~known] = np.nan
    doubtful = known & ~((left_x > ILL_CONDITIONED) & (left_y > ILL_CONDITIONED))
    amplification[~known | doubtful] = 0.0
    first, second = np.nonzero(doubtful)
    if first.size:
        r[first, second] = correlations_of_pairs(columns, first, some[second])
    return GapCorrelations(r, amplification)


def _common_sums(columns: Columns, some: Positions) -> _CommonSums:
    present = columns.present.astype(np.float64)
    held = (present > 0).astype(np.float64)
    features = columns.features
    sums, squares = columns.measures.sums[features], columns.measures.squares[features]
    wells = np.array([piece.size for piece in columns.stream.pieces], dtype=np.float64)
    # Wells of a piece where both have a value: all, less those that lack x, less those that lack y, and both again.
    lacking = (wells - present) * held
    common = _CommonSums(
        n=(wells * held) @ held[some].T - lacking @ held[some].T - held @ lacking[some].T,
        x=sums @ held[some].T,
        xx=squares @ held[some].T,
        y=held @ sums[some].T,
        yy=held @ squares[some].T,
    )
    partial: BoolArray = np.any(lacking > 0, axis=0)
    for piece, values in columns.read(partial):
        _take_off(common, columns, some, values, np.flatnonzero(lacking[:, piece]))
    return common


def _take_off(common: _CommonSums, columns: Columns, some: Positions, values: Matrix, partial: Positions) -> None:
    """Correct the sums of a piece for the wells where features with some values, at ``partial``, lack one."""
    missing = ~np.isfinite(values[partial])
    wells = np.flatnonzero(missing.any(axis=0))
    among, place = np.nonzero(partial[:, None] == some)
    ours = missing[:, wells].astype(np.float64)
    theirs = ours[among].T
    common.n[np.ix_(partial, place)] += ours @ theirs
    for part in blocks(len(columns), GAP_BLOCK):
        Z = columns.standardized(values[part, wells], part)
        common.x[part, place] -= Z @ theirs
        common.xx[part, place] -= np.square(Z, out=Z) @ theirs
    Z = columns.standardized(values[np.ix_(some, wells)], some)
    common.y[partial] -= ours @ Z.T
    common.yy[partial] -= ours @ np.square(Z, out=Z).T


def correlations_of_pairs(columns: Columns, first: Positions, second: Positions) -> Float64Array:
    """Correlate listed pairs, each over its common wells, from the values: slower, but nothing cancels.

    Returns
    -------
    ndarray
        r of each pair, NaN where it has fewer than two common wells or one of the two does not vary on them.
    """
    pairs = np.stack([first, second])
    n, xy = np.zeros((2, len(first)))
    total, squares = np.zeros((2, *pairs.shape))
    lowest, highest = np.full(pairs.shape, np.inf), np.full(pairs.shape, -np.inf)
    for part, values, common in _side_by_side(columns, pairs):
        n[part] += common.sum(axis=1)
        total[:, part] += np.sum(values, axis=2, where=common)
        np.minimum(lowest[:, part], np.min(values, axis=2, initial=np.inf, where=common), out=lowest[:, part])
        np.maximum(highest[:, part], np.max(values, axis=2, initial=-np.inf, where=common), out=highest[:, part])
    mean = total / np.maximum(n, 1)
    for part, values, common in _side_by_side(columns, pairs):
        values -= mean[:, part, None]
        values[:, ~common] = 0.0
        squares[:, part] += np.einsum("spw,spw->sp", values, values)
        xy[part] += np.einsum("pw,pw->p", *values)
    varies = (lowest < highest).all(axis=0)
    norms = np.sqrt(squares[:, varies])
    r = np.full(len(first), np.nan)
    r[varies] = xy[varies] / norms[0] / norms[1]
    return r


def _side_by_side(columns: Columns, pairs: Positions) -> Iterator[tuple[slice, Float64Array, BoolArray]]:
    """Read the values of some pairs and of some wells at a time: (2, pairs, wells), and which wells they share."""
    for _, read in columns.read():
        for start in range(0, pairs.shape[1], PAIR_BLOCK):
            part = slice(start, min(start + PAIR_BLOCK, pairs.shape[1]))
            values = read[pairs[:, part]].astype(np.float64)
            common: BoolArray = np.all(np.isfinite(values), axis=0)
            yield part, values, common

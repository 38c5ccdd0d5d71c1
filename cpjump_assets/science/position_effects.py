"""Position effects: how much of what differs between wells goes with their place on the plate.

Belongs here: variance explained by row, column and edge, its permutation test, and the difference of outer and inner
wells. Does not belong here: which wells are asked (``plate_quality``), removing an effect, which nobody does here.

The variance explained is eta squared of a one-way analysis of variance, averaged over features. With each feature
centred and scaled to length 1, the mean over features needs only the n x n matrix K of products of wells: it is the
trace of P K, where P averages within the groups. So any permutation of the wells costs n^2 however many features there
are, and the test (PERMANOVA: McArdle and Anderson 2001) knows how the features correlate.

By chance alone eta squared is not 0 but (k - 1) / (n - 1) for k groups of n wells, exactly so if all orders of the
wells are equally likely. What is reported is therefore epsilon squared (Kelley 1935), also known as adjusted R squared:
1 - (1 - eta squared) (n - 1) / (n - k). Its mean over all orders of the wells is exactly 0. It may be negative, and is
for columns where rows explain much, because less than chance is left for them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cpjump_assets.science.arrays import Bools, Floats, Ints
from cpjump_assets.science.features import Matrix
from cpjump_assets.science.multiple_testing import benjamini_hochberg

N_PERMUTATIONS = 999
_SAME = 1e-9
"""Two permutations that differ by less explain the same share; only rounding sets them apart."""
_GATHERED = 2**22
"""Entries of permuted K at a time: 34 MB."""
_NORMAL_QUARTILE = 0.6744897501960817
"""Upper quartile of the normal distribution: the median absolute value of a standard normal number."""


@dataclass(frozen=True)
class VarianceExplained:
    """What a grouping of wells explains.

    Attributes
    ----------
    share
        Mean over features of epsilon squared; 0 is what chance gives. NaN where the grouping cannot explain anything:
        one group, or no two wells in one group.
    p_value
        Share of the permutations of the wells that explain as much, (1 + as many) / (1 + N).
    """

    share: float
    p_value: float


@dataclass(frozen=True)
class EdgeDifference:
    """How outer wells differ from inner ones.

    Attributes
    ----------
    median
        Median over features of the absolute standardized difference of means (Cohen's d, pooled standard deviation).
    chance
        The median that is expected without any difference, 0.674 sqrt(1/n_outer + 1/n_inner).
    significant
        Share of the features that differ at a false discovery rate of 5 % (Mann-Whitney, Benjamini-Hochberg).
    """

    median: float
    chance: float
    significant: float


def comparable(X: Matrix) -> Floats:
    """Take the features of X, (n, p), that every well has and that vary between them: (n, q), float64."""
    complete = np.isfinite(X).all(axis=0)
    values = X.T[complete].T.astype(np.float64)
    return values.T[(values != values[:1]).any(axis=0)].T


def products_of_wells(values: Floats) -> Floats:
    """Give K, (n, n): the mean over features of the products of two wells, each feature centred and of length 1.

    Parameters
    ----------
    values
        (n, q), q at least 1, as ``comparable`` gives them.
    """
    centred = values - values.mean(axis=0)
    centred /= np.sqrt(np.einsum("ij,ij->j", centred, centred))
    return centred @ centred.T / values.shape[1]


def variance_explained(
    K: Floats, groupings: list[npt.NDArray], *, permutations: int = N_PERMUTATIONS, seed: int = 0
) -> list[VarianceExplained]:
    """Say how much of the variance between wells each grouping explains, and whether chance would.

    Parameters
    ----------
    K
        (n, n), as ``products_of_wells`` gives it.
    groupings
        Each (n,): the row, say, that a well is in. The same permutations serve all.
    permutations, seed
        Of the test.
    """
    n = len(K)
    codes = [np.unique(grouping, return_inverse=True)[1] for grouping in groupings]
    same = np.stack([_same_group(code) for code in codes], axis=-1).reshape(n * n, -1)
    observed = K.ravel() @ same
    as_large = np.zeros(len(codes), dtype=np.int64)
    rng = np.random.default_rng(seed)
    at_a_time = max(1, _GATHERED // K.size)
    for start in range(0, permutations, at_a_time):
        orders = rng.permuted(np.tile(np.arange(n), (min(at_a_time, permutations - start), 1)), axis=1)
        permuted = K[orders[:, :, np.newaxis], orders[:, np.newaxis, :]].reshape(len(orders), -1)
        as_large += (permuted @ same >= observed - _SAME).sum(axis=0)
    results = []
    for code, eta, count in zip(codes, observed, as_large, strict=True):
        n_groups = int(code.max()) + 1
        if not 1 < n_groups < n:
            results.append(VarianceExplained(np.nan, np.nan))
            continue
        epsilon = 1.0 - (1.0 - eta) * (n - 1) / (n - n_groups)
        results.append(VarianceExplained(float(epsilon), float((1 + count) / (1 + permutations))))
    return results


def edge_difference(values: Floats, is_outer: Bools, *, threshold: float = 0.05) -> EdgeDifference:
    """Compare outer with inner wells, feature by feature.

    Parameters
    ----------
    values
        (n, q), q at least 1, as ``comparable`` gives them.
    is_outer
        (n,), True for at least two wells and False for at least two.
    threshold
        False discovery rate.
    """
    from scipy.stats import mannwhitneyu  # half a second to import

    outer, inner = values[is_outer], values[~is_outer]
    variance = (len(outer) - 1) * outer.var(axis=0, ddof=1) + (len(inner) - 1) * inner.var(axis=0, ddof=1)
    spread = np.sqrt(variance / (len(values) - 2))
    with np.errstate(divide="ignore"):
        d = np.abs(outer.mean(axis=0) - inner.mean(axis=0)) / spread
    p_value = mannwhitneyu(outer, inner, axis=0, method="asymptotic").pvalue
    return EdgeDifference(
        median=float(np.median(d)),
        chance=float(_NORMAL_QUARTILE * np.sqrt(1 / len(outer) + 1 / len(inner))),
        significant=float((benjamini_hochberg(p_value) < threshold).mean()),
    )


def _same_group(code: Ints) -> Floats:
    """Give P, (n, n): one over the size of the group where two wells are of one group, else 0."""
    return (code[:, np.newaxis] == code) / np.bincount(code)[code]

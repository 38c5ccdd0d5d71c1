"""Random lists: the sums of positives' ranks in lists of which every order is equally likely.

Belongs here: drawing, in blocks, and the interval of a share of draws. Does not belong here: when to draw and when to
compute (``monte_carlo``, ``null_distribution``).

Only the places of the positives are drawn. The generator of a configuration is seeded by the seed, its number of
positives and its length, so that its lists are the same whatever else is drawn, before or after.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from scipy.special import betaincinv

from cpjump_assets.science.arrays import Floats, Ints
from cpjump_assets.science.nulls.class_recipes import MEAN_TIE, Parts
from cpjump_assets.science.nulls.rank_program import Key
from cpjump_assets.science.nulls.tail_enumeration import atom_gap, sum_of_ranks

_LISTS_AT_A_TIME = 4_096
_RANKS_AT_A_TIME = 2**20
"""Bounds memory for long lists: 8 MB of ranks, of which a few copies are held."""

_FALLBACK_LISTS, _FALLBACK_RANKS = (100_000, 10_000, 1_000), 2**24
FALLBACK_SEED = 0
"""Seed of the lists that are drawn where nothing can be computed."""

_MISSED = 1e-4


def drawn_sums(key: Key, n_lists: int, *, seed: int) -> Iterator[Floats]:
    """Draw lists of a configuration and give their sums S, in blocks of one size for all configurations."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, *key]))
    in_part = max(1, _RANKS_AT_A_TIME // (key[0] if 2 * key[0] <= key[1] else key[1]))
    for start in range(0, n_lists, _LISTS_AT_A_TIME):
        stop = min(start + _LISTS_AT_A_TIME, n_lists)
        parts = [min(in_part, stop - first) for first in range(start, stop, in_part)]
        yield np.concatenate([sum_of_ranks(_draw(rng, key, size)) for size in parts])


def count_drawn_above(bars: Floats, key: Key, n_lists: int, *, seed: int) -> Ints:
    """Count the drawn sums above each bar, shape (n_queries,); equal ones, but for float error, are not above."""
    gap = atom_gap(key[0])
    rising, inverse = np.unique(bars, return_inverse=True)
    below = np.zeros(len(rising) + 1, dtype=np.int64)
    for sums in drawn_sums(key, n_lists, seed=seed):
        below += np.bincount(np.searchsorted(rising, sums - gap), minlength=len(below))
    return np.cumsum(below[::-1])[::-1][1:][inverse]


def count_drawn_means_above(
    recipes: Mapping[Parts, Floats], n_lists: int, *, seed: int
) -> Iterator[tuple[Parts, Ints]]:
    """Count, for each sum of independent configurations, the draws above each bar; ties are not above.

    Parameters
    ----------
    recipes
        Bars, shape (n_queries,), of each sum, which is given as its configurations and their weights.
    n_lists
        How many to draw of each configuration; each draw is used by all sums that contain it, as in copairs.
    seed
        See the module.
    """
    keys = sorted({key for recipe in recipes for key, _ in recipe})
    counts = {recipe: np.zeros(len(bars), dtype=np.int64) for recipe, bars in recipes.items()}
    for block in zip(*(drawn_sums(key, n_lists, seed=seed) for key in keys), strict=True):
        sums = dict(zip(keys, block, strict=True))
        for recipe, bars in recipes.items():
            means = np.sort(sum(weight * sums[key] for key, weight in recipe))
            counts[recipe] += len(means) - np.searchsorted(means, bars + MEAN_TIE, side="right")
    yield from counts.items()


def fallback_size(n_positives: int) -> int:
    """Say how many lists to draw where no method can compute: what takes a second or two, of a few sizes."""
    enough = (n_lists for n_lists in _FALLBACK_LISTS if n_lists * n_positives <= _FALLBACK_RANKS)
    return next(enough, _FALLBACK_LISTS[-1])


def share_interval(n_above: Ints, n_drawn: int) -> tuple[Floats, Floats, Floats]:
    """Give a share of draws, and the interval of Clopper and Pearson, which misses the truth once in 10,000 times."""
    low = betaincinv(np.maximum(n_above, 1), n_drawn - n_above + 1, _MISSED / 2)
    high = betaincinv(n_above + 1, np.maximum(n_drawn - n_above, 1), 1 - _MISSED / 2)
    return n_above / n_drawn, np.where(n_above == 0, 0.0, low), np.where(n_above == n_drawn, 1.0, high)


def _draw(rng: np.random.Generator, key: Key, n_lists: int) -> Ints:
    """Draw the ranks of the positives of so many lists, or, where these are most of a list, those of the others."""
    n_positives, length = key
    if 2 * n_positives <= length:
        return _draw_few(rng, n_positives, length, n_lists)
    is_positive = np.ones((n_lists, length), dtype=bool)
    np.put_along_axis(is_positive, _draw_few(rng, length - n_positives, length, n_lists) - 1, False, axis=1)
    return np.nonzero(is_positive)[1].reshape(n_lists, n_positives) + 1


def _draw_few(rng: np.random.Generator, size: int, length: int, n_lists: int) -> Ints:
    """Draw ranks with replacement until ``size`` of them differ, in each list: every set of ranks is equally likely."""
    ranks = np.sort(rng.integers(1, length + 1, size=(n_lists, size)), axis=1)
    open_lists = np.arange(n_lists)
    while open_lists.size:
        drawn = ranks[open_lists]
        again = np.zeros(drawn.shape, dtype=bool)
        again[:, 1:] = drawn[:, 1:] == drawn[:, :-1]
        drawn[again] = rng.integers(1, length + 1, size=np.count_nonzero(again))
        ranks[open_lists] = np.sort(drawn, axis=1)
        open_lists = open_lists[again.any(axis=1)]
    return ranks

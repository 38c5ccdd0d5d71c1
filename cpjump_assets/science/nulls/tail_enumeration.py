"""Sets of ranks by their sum S = sum of j / rank_j, one by one: all of them, or those with the greatest sums.

Belongs here: listing and counting sets exactly. Does not belong here: counting them on a grid (``rank_program``), when
to do which and what a p-value is (``null_distribution``).
"""

import math

import numpy as np

from cpjump_assets.science.arrays import Floats, Ints

LAST_RANK_LIMITS = {2: 40_000, 3: 1_000}
"""Longest list for ``count_by_last_rank``: its integers stay below k L^2k, 5e18 and 3e18, inside 64 bits."""

_NEAR_TIE = 1e-6
"""Where the last rank that ties lies so close to an integer, more than floats decides. They err by less than 1e-7."""

_SAFETY = 1e-9
"""Room for the float error of a sum where a bound on sums decides what is gone into."""


def atom_gap(n_positives: int) -> float:
    """Say how far apart sums must be to be different; equal ones, computed in floats, are closer.

    Sums of k <= 3 terms are fractions over products of k ranks, so two of them differ by at least L^-2k: 72^-6 = 7e-12
    for the longest lists of three that are enumerated. Of more terms nothing as strong is known, but a few hundred
    thousand sums, as many as are ever enumerated, agreed with integers wherever those could be had. Floats err by less
    than 1e-14 for up to ten terms, and by no more than k^2 times 3e-16 beyond.
    """
    return 1e-13 * max(1.0, n_positives / 10) ** 2


def sum_of_ranks(ranks: Ints) -> Floats:
    """Give S of each set, shape (n_sets,), adding the terms in the order in which ``every_sum`` does."""
    sums = np.zeros(len(ranks))
    for j, column in enumerate(ranks.T, start=1):
        sums += j / column
    return sums


def every_sum(n_positives: int, length: int) -> Floats:
    """Give S of every set of ranks: a set of j ranks is one of j - 1 ranks, all of them less, and a last one.

    Sets are in the order of their last rank, so that those with all ranks below r are the first C(r - 1, k).
    """
    sums = np.zeros(1)
    for j in range(1, n_positives + 1):
        lasts = range(j, length - n_positives + j + 1)
        sums = np.concatenate([sums[: math.comb(last - 1, j - 1)] + j / last for last in lasts])
    return sums


def sums_above(n_positives: int, length: int, bar: float) -> Floats:
    """Give the sums above ``bar``, in no order: for a bar so high that they are few.

    First ranks are kept while the best that can follow them, the very next ranks, is above the bar. So no more of them
    are ever held than there are sets in the result.
    """
    sums, latest = np.zeros(1), np.zeros(1, dtype=np.int64)
    for j in range(1, n_positives + 1):
        best, _ = _bounds(j, n_positives, length)
        furthest = j - 1 + np.searchsorted(-best, sums - bar)
        parents, latest = _expand(latest, furthest)
        sums = sums[parents] + j / latest
    return sums


def count_by_last_rank(observed: Floats, key: tuple[int, int], ranks: Ints | None) -> Ints:
    """Count the sets of two or three ranks with a greater sum than each observed one, shape (n_queries,).

    For each choice of the first ranks, the last one may stand anywhere before the rank at which it would tie. First
    ranks that are beaten whatever follows, or that beat whatever follows, are not gone into.

    Parameters
    ----------
    observed
        Sums, shape (n_queries,).
    key
        Number of positives, 2 or 3, and length of the list.
    ranks
        The ranks that have these sums, shape (n_queries, n_positives): ties are then decided by integers. None for
        sums of another origin: what is closer than ``atom_gap`` is a tie.
    """
    n_positives, length = key
    n_queries = len(observed)
    counts = np.zeros(n_queries, dtype=np.int64)
    queries, lacking = np.arange(n_queries), observed
    latest, earlier = np.zeros(n_queries, dtype=np.int64), np.zeros(n_queries, dtype=np.int64)
    for j in range(1, n_positives):
        # Ranks up to `surely` beat whatever follows, ranks after `furthest` are beaten: both to be on the safe side.
        best, worst = _bounds(j, n_positives, length)
        surely = np.maximum(j - 1 + np.searchsorted(-worst, -lacking - _SAFETY), latest)
        furthest = j - 1 + np.searchsorted(-best, -lacking + _SAFETY)
        n_beating = _combinations(length - latest, n_positives - j + 1) - _combinations(
            length - surely, n_positives - j + 1
        )
        np.add.at(counts, queries, n_beating)
        earlier = latest
        parents, latest = _expand(surely, furthest)
        queries, lacking, earlier = queries[parents], lacking[parents] - j / latest, earlier[parents]
    furthest = _last_ranks(lacking, (queries, earlier, latest), ranks, key)
    np.add.at(counts, queries, np.maximum(furthest - latest, 0))
    return counts


def _last_ranks(lacking: Floats, nodes: tuple[Ints, Ints, Ints], ranks: Ints | None, key: tuple[int, int]) -> Ints:
    """Give the greatest last rank that makes the sum greater, at most the length.

    ``nodes`` are the query and the first ranks of each choice; where floats come near a tie, they do not decide.
    """
    n_positives, length = key
    queries, earlier, latest = nodes
    ties = n_positives / np.maximum(lacking, n_positives / (length + 1))
    furthest = np.minimum(np.ceil(ties).astype(np.int64) - 1, length)
    nearest = np.rint(ties)
    close = np.flatnonzero((np.abs(ties - nearest) < _NEAR_TIE) & (nearest <= length))
    last = nearest[close].astype(np.int64)
    if ranks is None:
        greater = n_positives / last > lacking[close] + atom_gap(n_positives)
    else:
        chosen = np.column_stack([earlier[close], latest[close], last])[:, -n_positives:]
        (p, q), (own_p, own_q) = _fraction(chosen), _fraction(ranks[queries[close]])
        greater = p * own_q > own_p * q
    furthest[close] = np.where(greater, last, last - 1)
    return furthest


def _bounds(j: int, n_positives: int, length: int) -> tuple[Floats, Floats]:
    """Give, for each rank that the j-th positive may have, the greatest and the least that it and the next can add."""
    steps = np.arange(j, n_positives + 1)
    places = np.arange(j, length - n_positives + j + 1)
    best = (steps / (places[:, np.newaxis] + steps - j)).sum(axis=1)
    worst = j / places + (steps[1:] / (length - n_positives + steps[1:])).sum()
    return best, worst


def _combinations(n: Ints, k: int) -> Ints:
    """Count the sets of up to three of n ranks."""
    return {1: n, 2: n * (n - 1) // 2, 3: n * (n - 1) * (n - 2) // 6}[k]


def _fraction(ranks: Ints) -> tuple[Ints, Ints]:
    """Give S of each set as numerator and denominator."""
    denominator = ranks.prod(axis=1)
    return sum(j * (denominator // column) for j, column in enumerate(ranks.T, start=1)), denominator


def _expand(after: Ints, furthest: Ints) -> tuple[Ints, Ints]:
    """Give, for every set of ranks and every next rank after ``after`` up to ``furthest``, the set and the rank."""
    n_children = np.maximum(furthest - after, 0)
    parents = np.repeat(np.arange(len(after)), n_children)
    within = np.arange(len(parents)) - np.repeat(np.cumsum(n_children) - n_children, n_children)
    return parents, after[parents] + 1 + within

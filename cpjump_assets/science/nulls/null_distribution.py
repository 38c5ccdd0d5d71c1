"""How likely chance alone is to beat an average precision: computed, not drawn.

Belongs here: the distribution of average precision when every order of a list is equally likely, its tails, and the
conventions that make a p-value of a tail. Does not belong here: where the lists come from (``retrieval``), or what is
done with p over many tests (``multiple_testing``).

The null depends on the number of positives k and the length L of the list alone. Up to a factor k, average precision is
S = sum of j / rank_j over the positives, and P(S' > S) over all C(L, k) equally likely sets of ranks is found by

* closed form, k = 1;
* enumeration of every set, while there are at most 3,000 (k = 2), 60,000 (k = 3) or 300,000 of them (k >= 4);
* the last rank in closed form, k = 2 or 3 beyond: for each choice of the first ranks, floats and, where they tie,
  integers say how far down the last one may stand;
* a dynamic program over ranks on an integer grid of S, with bounds that always hold, k >= 4 beyond, or k = 2 and 3 in
  lists of more than 40,000 and 1,000 (``rank_program``);
* enumeration again where that program says that few sets are above: those are listed and counted;
* lists drawn at random, where even the program is out of reach (more than 100 positives, or some tens of them in lists
  of many thousands), with an interval that contains the truth in 9,999 of 10,000 cases.

All but the program and the drawn lists are exact. No stored state, and no random numbers but those of the last, which
are seeded by the configuration: a result depends on its own query alone.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cpjump_assets.science.arrays import Floats, Ints
from cpjump_assets.science.nulls.drawn_lists import FALLBACK_SEED, count_drawn_above, fallback_size, share_interval
from cpjump_assets.science.nulls.observed_sums import ObservedSums, sums_by_configuration
from cpjump_assets.science.nulls.rank_program import GridCounts, Key, Tails, count_sets, is_programmable
from cpjump_assets.science.nulls.tail_enumeration import (
    LAST_RANK_LIMITS,
    atom_gap,
    count_by_last_rank,
    every_sum,
    sums_above,
)
from cpjump_assets.science.retrieval import RankLists

PConvention = Literal["add_one", "strict"]
"""``add_one``: (1 + N P) / (1 + N), what the published estimate with N random lists gives on average, never below
1 / (1 + N). ``strict``: P itself, 0 for a perfect list, which makes a geometric mean 0."""

METHODS = ("none", "closed form", "enumeration", "last rank", "rank program", "drawn lists", "convolution")
"""How a probability was found; ``convolution`` is of classes alone (``class_null``)."""
NONE, CLOSED_FORM, ENUMERATION, LAST_RANK, RANK_PROGRAM, DRAWN_LISTS, CONVOLUTION = range(len(METHODS))

ENUMERATION_LIMIT = 300_000
_SORTED_LIMITS = {2: 3_000, 3: 60_000}
"""Sets of 2 or 3 ranks that are listed and sorted; beyond, counting by the last rank is faster, and as exact."""

HEAD_LIMIT = 20_000
"""Sets that are listed where no more of them can be greater than a query of the rank program."""

_LAST_RANK_BLOCK = 2**21
"""Choices of first ranks that are gone into at a time, at most: some 100 MB."""


@dataclass(frozen=True)
class TailProbability:
    """P(null > observed) of each query, shape (n_queries,); NaN where a query is not scored.

    Attributes
    ----------
    value, low, high
        The probability, and an interval that contains the true one; all equal where the method is exact.
    method
        Index into ``METHODS``.
    """

    value: Floats
    low: Floats
    high: Floats
    method: Ints

    @classmethod
    def empty(cls, n_queries: int) -> "TailProbability":
        """Give room for so many queries, none of which is scored."""
        value, low, high = (np.full(n_queries, np.nan) for _ in range(3))
        return cls(value, low, high, np.full(n_queries, NONE))

    def put(self, queries: Ints, tails: Tails, method: Ints | int) -> None:
        """Fill in some queries."""
        self.value[queries], self.low[queries], self.high[queries] = tails
        self.method[queries] = method


def tail_probability(lists: RankLists, *, refined: bool = False) -> TailProbability:
    """Give the probability that a random order of each list has a strictly greater average precision.

    Parameters
    ----------
    lists
        Ranks of the positives of each query.
    refined
        Use the finer grid of the dynamic program: for the few queries on which a decision hangs.

    Returns
    -------
    TailProbability
        The same for a query whatever other queries are asked with it.
    """
    result = TailProbability.empty(len(lists))
    scored = np.flatnonzero(lists.scored)
    programmed = {}
    for observed in sums_by_configuration(lists, np.arange(len(lists)), scored):
        if choose_method(observed.key) == RANK_PROGRAM:
            programmed[observed.key] = observed
        else:
            result.put(observed.queries, *tails_without_program(observed))
    for grid in count_sets(programmed, refined=refined):
        observed = programmed[grid.key]
        result.put(observed.queries, *tails_by_program(observed, grid))
    return result


def p_value(tail: Floats, *, convention: PConvention, null_size: int) -> Floats:
    """Make p-values of tail probabilities.

    Parameters
    ----------
    tail
        P(null > observed), any shape.
    convention
        See ``PConvention``.
    null_size
        N of ``add_one``: the number of random lists of the estimate that it is the expectation of.
    """
    if convention == "strict":
        return tail
    return (1.0 + null_size * tail) / (1.0 + null_size)


def choose_method(key: Key) -> int:
    """Say how the tails of a configuration are found, as an index into ``METHODS``."""
    n_positives, length = key
    if n_positives == 1:
        return CLOSED_FORM
    n_sets = math.comb(length, n_positives)
    if n_sets > _SORTED_LIMITS.get(n_positives, n_sets) and length <= LAST_RANK_LIMITS[n_positives]:
        return LAST_RANK
    if n_sets <= ENUMERATION_LIMIT:
        return ENUMERATION
    return RANK_PROGRAM if is_programmable(key) else DRAWN_LISTS


def tails_without_program(observed: ObservedSums) -> tuple[Tails, int]:
    """Give the tails of a configuration that ``choose_method`` gives to another method than the rank program."""
    method = choose_method(observed.key)
    if method == DRAWN_LISTS:
        return _drawn(observed), method
    share = _COUNTERS[method](observed) / math.comb(observed.key[1], observed.key[0])
    return Tails(share, share, share), method


def tails_by_program(observed: ObservedSums, grid: GridCounts) -> tuple[Tails, Ints]:
    """Give the tails of a configuration of the rank program, and how each was found.

    Where no more than ``HEAD_LIMIT`` sets can be greater, those are listed and counted: there a few sets, which the
    grid may put on the wrong side, are much of the tail.
    """
    sums = observed.sums()
    tails = grid.tails(sums, observed.cells(grid))
    method = np.full(len(sums), RANK_PROGRAM)
    n_sets = math.comb(observed.key[1], observed.key[0])
    head = np.flatnonzero(tails.high * n_sets <= HEAD_LIMIT)
    if head.size:
        gap = atom_gap(observed.key[0])
        # One bar for all: the sums above the lowest are those above each of the others, and more.
        above = np.sort(sums_above(*observed.key, float(sums[head].min()) + gap))
        exact = (len(above) - np.searchsorted(above, sums[head] + gap, side="right")) / n_sets
        for ends in tails:
            ends[head] = exact
        method[head] = ENUMERATION
    return tails, method


def _by_closed_form(observed: ObservedSums) -> Floats:
    """One positive: count the ranks that are better; a mean of sums may lie between two of them."""
    length = observed.key[1]
    bars = observed.sums() + atom_gap(1)
    return np.minimum(np.ceil(1 / np.maximum(bars, 1 / (length + 1))) - 1, length)


def _by_enumeration(observed: ObservedSums) -> Floats:
    """Count the sets with a greater sum among all of them."""
    sums = np.sort(every_sum(*observed.key))
    n_not_above = np.searchsorted(sums, observed.sums() + atom_gap(observed.key[0]), side="right")
    return (len(sums) - n_not_above).astype(np.float64)


def _by_last_rank(observed: ObservedSums) -> Floats:
    """Two or three positives in a long list; single lists are told apart by integers, means of several by floats."""
    counts = np.empty(len(observed.queries))
    is_single = observed.n_lists == 1
    for single in np.unique(is_single):
        queries = np.flatnonzero(is_single == single)
        asked = observed.take(queries)
        counts[queries] = _count_by_last_rank(asked.sums(), observed.key, asked.ranks if single else None)
    return counts


def _count_by_last_rank(sums: Floats, key: Key, ranks: Ints | None) -> Ints:
    """Count once for each distinct query, in blocks that bound memory."""
    n_positives, length = key
    identity = sums if ranks is None else ranks @ (length + 1) ** np.arange(n_positives)
    _, first, inverse = np.unique(identity, return_index=True, return_inverse=True)
    block = max(1, _LAST_RANK_BLOCK // math.comb(length, n_positives - 1))
    blocks = [first[start : start + block] for start in range(0, len(first), block)]
    counts = [count_by_last_rank(sums[chosen], key, None if ranks is None else ranks[chosen]) for chosen in blocks]
    return np.concatenate(counts)[inverse]


def _drawn(observed: ObservedSums) -> Tails:
    """Give the share of random lists that are above, as an estimate, and the interval of that estimate."""
    n_lists = fallback_size(observed.key[0])
    return Tails(
        *share_interval(count_drawn_above(observed.sums(), observed.key, n_lists, seed=FALLBACK_SEED), n_lists)
    )


_COUNTERS = {CLOSED_FORM: _by_closed_form, ENUMERATION: _by_enumeration, LAST_RANK: _by_last_rank}

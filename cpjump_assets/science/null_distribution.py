"""How likely chance alone is to beat an average precision: computed, not drawn.

Belongs here: the distribution of average precision when every order of a list is equally likely, its tails, and the
conventions that make a p-value of a tail. Does not belong here: where the lists come from (``retrieval``), or what is
done with p over many tests (``multiple_testing``).

The null depends on the number of positives k and the length L of the list alone. Up to a factor k, average precision is
S = sum of j / rank_j over the positives, and P(S' > S) over all C(L, k) equally likely sets of ranks is found by

* closed form, k = 1;
* enumeration of every set, k = 2 or 3 while there are at most 300,000 of them;
* the last rank in closed form, k = 2 or 3 beyond: for each choice of the first ranks, integers say how far down the
  last one may stand;
* a dynamic program over ranks on an integer grid of S, k >= 4, with bounds that always hold (``rank_program``).

The first three are exact. No random numbers, no stored state: a result depends on its own query alone.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cpjump_assets.science.arrays import Floats, Ints
from cpjump_assets.science.rank_program import Configuration, count_greater
from cpjump_assets.science.retrieval import RankLists

PConvention = Literal["add_one", "strict"]
"""``add_one``: (1 + N P) / (1 + N), what the published estimate with N random lists gives on average, never below
1 / (1 + N). ``strict``: P itself, 0 for a perfect list, which makes a geometric mean 0."""

METHODS = ("none", "closed form", "enumeration", "last rank", "rank program")
_NONE, _CLOSED_FORM, _ENUMERATION, _LAST_RANK, _RANK_PROGRAM = range(len(METHODS))

ENUMERATION_LIMIT = 300_000
LAST_RANK_LIMIT = 1_000
"""Longest list for the last rank in closed form: its integers stay below 3 L^5 = 3e15, far inside 64 bits."""

_ATOM_GAP = 1e-13
"""Sums that differ, differ by more; equal ones, computed in floats, by less.

Sums of k <= 3 terms are fractions over products of k ranks, so two of them differ by at least L^-2k. Where enumeration
is used that is 122^-6 = 3e-13 (k = 3) or 775^-4 = 3e-12 (k = 2); three additions in floats err by less than 2e-15.
"""


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

    def replaced(self, queries: Ints, others: "TailProbability") -> "TailProbability":
        """Give a copy in which ``queries`` have the probabilities of ``others``."""
        copies = {name: values.copy() for name, values in vars(self).items()}
        for name, copy in copies.items():
            copy[queries] = getattr(others, name)
        return TailProbability(**copies)


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
    value, low, high = (np.full(len(lists), np.nan) for _ in range(3))
    method = np.full(len(lists), _NONE, dtype=np.int64)
    programmed = []
    for queries, ranks in lists.by_size():
        n_total = lists.n_total[queries]
        for length in np.unique(n_total[lists.scored[queries]]):
            here = n_total == length
            how = _choose_method(ranks.shape[1], int(length))
            method[queries[here]] = how
            if how == _RANK_PROGRAM:
                programmed.append(Configuration(queries[here], ranks[here], int(length)))
            else:
                value[queries[here]] = _EXACT[how](ranks[here], int(length))
    exact = ~np.isnan(value)
    low[exact] = high[exact] = value[exact]
    for configuration, tails in count_greater(programmed, refined=refined):
        value[configuration.queries], low[configuration.queries], high[configuration.queries] = tails
    return TailProbability(value, low, high, method)


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


def _choose_method(n_positives: int, length: int) -> int:
    if n_positives == 1:
        return _CLOSED_FORM
    if n_positives <= 3 and math.comb(length, n_positives) <= ENUMERATION_LIMIT:
        return _ENUMERATION
    if n_positives <= 3 and length <= LAST_RANK_LIMIT:
        return _LAST_RANK
    return _RANK_PROGRAM


def _closed_form(ranks: Ints, length: int) -> Floats:
    """One positive: every rank is equally likely, and rank - 1 of them are better."""
    return (ranks[:, 0] - 1) / length


def _enumerated(ranks: Ints, length: int) -> Floats:
    """Two or three positives: count the sets with a greater sum among all of them."""
    sums = _all_sums(ranks.shape[1], length)
    sums.sort()
    observed = (np.arange(1, ranks.shape[1] + 1) / ranks).sum(axis=1)
    return (len(sums) - np.searchsorted(sums, observed + _ATOM_GAP, side="right")) / len(sums)


def _all_sums(n_positives: int, length: int) -> Floats:
    """Give S of every set of ranks: a set of j ranks is one of j - 1 ranks, all of them less, and a last one.

    Sets are kept in the order of their last rank, so that those with all ranks below r are the first C(r - 1, j).
    """
    sums = np.zeros(1)
    for j in range(1, n_positives + 1):
        lasts = range(j, length + 1)
        sums = np.concatenate([sums[: math.comb(last - 1, j - 1)] + j / last for last in lasts])
    return sums


def _last_rank(ranks: Ints, length: int) -> Floats:
    """Two or three positives in a long list: count the last ranks that give a greater sum, in integers.

    With observed sum P / Q, and D = P / Q minus the part of the first ranks, the last rank r gives more while
    k / r > D: for all r if D <= 0, else for the r below k / D.
    """
    n_positives = ranks.shape[1]
    distinct, queries = np.unique(ranks, axis=0, return_inverse=True)
    first, numerator, denominator = _first_ranks(n_positives, length)
    counts = np.empty(len(distinct))
    for row, observed in enumerate(distinct):
        q = int(np.prod(observed))
        p = sum((j + 1) * q // int(rank) for j, rank in enumerate(observed))
        lacking = p * denominator - q * numerator
        furthest = (n_positives * q * denominator - 1) // np.maximum(lacking, 1)
        furthest = np.where(lacking > 0, np.minimum(furthest, length), length)
        counts[row] = np.maximum(furthest - first, 0).sum()
    return counts[queries.ravel()] / math.comb(length, n_positives)


def _first_ranks(n_positives: int, length: int) -> tuple[Ints, Ints, Ints]:
    """Give, for every choice of all ranks but the last, the greatest rank and the part of S as a fraction."""
    if n_positives == 2:
        first = np.arange(1, length)
        return first, np.ones_like(first), first
    a, b = (index + 1 for index in np.triu_indices(length - 1, 1))
    return b, b + 2 * a, a * b


_EXACT = {_CLOSED_FORM: _closed_form, _ENUMERATION: _enumerated, _LAST_RANK: _last_rank}

"""Where the positives of a query stand in its list by falling similarity, and the average precision of that list.

Belongs here: ranks of positives, kept as ranks because average precision, its exact null and any finer look at a tie
all follow from them; and the average precision. Does not belong here: who is a positive or a negative of whom (a task,
such as ``detection``), what is to be expected by chance (``null_distribution``).

Ties: a positive stands before the negatives of equal similarity, as in copairs; equal means closer than
``similarity.TIE``. copairs rounds similarities to single precision first, so what is closer than 6e-8 may tie there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cpjump_assets.science.arrays import Bools, Floats, Ints
from cpjump_assets.science.similarity import TIE, cosines_within_groups

_ROWS_AT_A_TIME = 256
"""Profiles copied at a time to be compared within their classes; few enough to stay in the cache."""

NO_CLASS = -1
"""Class code of a profile that asks nothing and is nobody's positive."""


@dataclass(frozen=True)
class RankLists:
    """The ranks, from 1, of every query's positives among its positives and negatives together.

    Attributes
    ----------
    ranks : ndarray, shape (sum of n_positives,)
        Rising within a query, one query after the other.
    n_positives, n_negatives : ndarray, shape (n_queries,)
    """

    ranks: Ints
    n_positives: Ints
    n_negatives: Ints

    def __len__(self) -> int:
        """Count the queries."""
        return len(self.n_positives)

    @property
    def n_total(self) -> Ints:
        """Length of each query's list."""
        return self.n_positives + self.n_negatives

    @property
    def scored(self) -> Bools:
        """Whether a query has a positive and a negative; without either there is nothing to retrieve or to confuse."""
        return (self.n_positives > 0) & (self.n_negatives > 0)

    def by_size(self) -> Iterator[tuple[Ints, Ints]]:
        """Give (queries, their ranks as a matrix of shape (n_queries, n_positives)) for each number of positives."""
        starts = _starts(self.n_positives)
        for size in np.unique(self.n_positives[self.n_positives > 0]):
            queries = np.flatnonzero(self.n_positives == size)
            yield queries, self.ranks[starts[queries, np.newaxis] + np.arange(size)]

    def average_precision(self) -> Floats:
        """Give the mean over positives of j / rank of the j-th, shape (n_queries,); NaN where a query is not scored."""
        precision = np.full(len(self), np.nan)
        for queries, ranks in self.by_size():
            precision[queries] = (np.arange(1, ranks.shape[1] + 1) / ranks).mean(axis=1)
        precision[~self.scored] = np.nan
        return precision

    def take(self, queries: Ints) -> "RankLists":
        """Give the lists of some queries, in the order asked for."""
        sizes = self.n_positives[queries]
        within = np.arange(sizes.sum()) - np.repeat(_starts(sizes), sizes)
        picked = np.repeat(_starts(self.n_positives)[queries], sizes) + within
        return RankLists(self.ranks[picked], sizes, self.n_negatives[queries])

    @classmethod
    def concatenate(cls, parts: Sequence["RankLists"]) -> "RankLists":
        """Put the queries of several parts one after the other."""
        return cls(
            np.concatenate([part.ranks for part in parts]),
            np.concatenate([part.n_positives for part in parts]),
            np.concatenate([part.n_negatives for part in parts]),
        )


def positive_ranks(positives: Floats, negatives: Floats) -> Ints:
    """Rank each query's positives among its positives and negatives, by falling similarity.

    The j-th most similar positive has rank j + the number of negatives strictly above it, so that nothing but the
    positives is ever sorted and no table of pairs is made.

    Parameters
    ----------
    positives
        Similarities, shape (n_queries, n_positives), in any order.
    negatives
        Similarities, shape (n_queries, n_negatives), in any order.

    Returns
    -------
    ndarray, shape (n_queries, n_positives)
        Rising ranks from 1.
    """
    falling = -np.sort(-positives, axis=1)
    n_queries, n_positives = falling.shape
    count_above = _count_above_by_positive if n_positives < n_queries else _count_above_by_query
    return np.arange(1, n_positives + 1) + count_above(negatives, falling + TIE)


def _count_above_by_positive(negatives: Floats, bars: Floats) -> Ints:
    """Count negatives strictly above each bar, one bar of every query at a time: for a few positives."""
    above = np.empty(bars.shape, dtype=np.int64)
    for j, bar in enumerate(bars.T):
        above[:, j] = np.count_nonzero(negatives > bar[:, np.newaxis], axis=1)
    return above


def _count_above_by_query(negatives: Floats, bars: Floats) -> Ints:
    """Count negatives strictly above each bar, one query at a time: 10 times as fast for 255 positives of 64 wells."""
    rising = np.sort(negatives, axis=1)
    above = np.empty(bars.shape, dtype=np.int64)
    for query, bar in enumerate(bars):
        above[query] = rising.shape[1] - np.searchsorted(rising[query], bar, side="right")
    return above


def rank_against_controls(unit: Floats, *, classes: Ints, plates: Ints, is_control: Bools) -> RankLists:
    """Rank, for every profile, the other profiles of its class against the other side of its plate.

    The positives of a profile are all others of its class, on any plate; the negatives of a treated profile are the
    control profiles of its own plate, and those of a control profile the treated ones.

    Parameters
    ----------
    unit
        Unit rows, shape (n_profiles, n_features).
    classes, plates
        Codes, shape (n_profiles,); class ``NO_CLASS`` has no positives.
    is_control
        Which side of the plate a profile is on, shape (n_profiles,).

    Returns
    -------
    RankLists
        One query per profile, in order.
    """
    positives, n_positives = _positives_in_class(unit, classes)
    starts = _starts(n_positives)
    ranks = np.empty(len(positives), dtype=np.int64)
    n_negatives = np.zeros(len(unit), dtype=np.int64)
    for plate in np.unique(plates):
        on_plate = plates == plate
        treated, controls = np.flatnonzero(on_plate & ~is_control), np.flatnonzero(on_plate & is_control)
        cosines = unit[treated] @ unit[controls].T
        for queries, negatives in ((treated, cosines), (controls, cosines.T)):
            n_negatives[queries] = negatives.shape[1]
            for size in np.unique(n_positives[queries]):
                chosen = np.flatnonzero(n_positives[queries] == size)
                places = starts[queries[chosen], np.newaxis] + np.arange(size)
                ranks[places] = positive_ranks(positives[places], negatives[chosen])
    return RankLists(ranks, n_positives, n_negatives)


def _positives_in_class(unit: Floats, classes: Ints) -> tuple[Floats, Ints]:
    """Give the cosines of each profile with the rest of its class, one profile after the other, and their numbers."""
    in_class = classes != NO_CLASS
    sizes = np.bincount(classes[in_class])
    n_positives = np.zeros(len(unit), dtype=np.int64)
    n_positives[in_class] = sizes[classes[in_class]] - 1
    starts = _starts(n_positives)
    positives = np.empty(n_positives.sum())
    for size in np.unique(n_positives[n_positives > 0]) + 1:
        of_size = np.flatnonzero(n_positives == size - 1)
        groups = of_size[np.argsort(classes[of_size], kind="stable")].reshape(-1, size)
        n_groups = max(1, _ROWS_AT_A_TIME // size)
        for first in range(0, len(groups), n_groups):
            members = groups[first : first + n_groups]
            places = starts[members][:, :, np.newaxis] + np.arange(size - 1)
            positives[places] = cosines_within_groups(unit[members])
    return positives, n_positives


def _starts(sizes: Ints) -> Ints:
    """Say where each segment begins when segments of these sizes follow one another."""
    return np.cumsum(sizes) - sizes

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
from cpjump_assets.science.counting import count_above_in_rows
from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.similarity import TIE

_ROWS_AT_A_TIME = 256
"""Profiles copied at a time to be compared within their classes; few enough to stay in the cache."""
_BYTES_PER_COSINE = 24
"""A cosine, and what comparing it takes at a time."""
_BYTES_PER_POSITIVE = 32
"""A positive's bar and rank, and what counting the negatives above it takes at a time."""

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
        picked = np.arange(sizes.sum())
        picked += np.repeat(_starts(self.n_positives)[queries] - _starts(sizes), sizes)
        return RankLists(self.ranks[picked], sizes, self.n_negatives[queries])

    @classmethod
    def concatenate(cls, parts: Sequence["RankLists"]) -> "RankLists":
        """Put the queries of several parts one after the other."""
        return cls(
            np.concatenate([part.ranks for part in parts]),
            np.concatenate([part.n_positives for part in parts]),
            np.concatenate([part.n_negatives for part in parts]),
        )


def rank_against_controls(
    unit: Floats, *, classes: Ints, apart: Ints, plates: Ints, is_control: Bools, max_memory: int
) -> RankLists:
    """Rank, for every profile, the other profiles of its class against the other side of its plate.

    The positives of a profile are the others of its class, on any plate; the negatives of a treated profile are the
    control profiles of its own plate, and those of a control profile the treated ones. The j-th most similar positive
    has rank j + the number of negatives strictly above it, so that nothing but the positives is ever sorted and no
    table of pairs is made.

    Parameters
    ----------
    unit
        Unit rows, shape (n_profiles, n_features).
    classes, plates
        Codes, shape (n_profiles,); class ``NO_CLASS`` has no positives.
    apart
        Codes, shape (n_profiles,): profiles of one code are no positives of each other. Codes that all differ leave
        out nothing but the profile itself.
    is_control
        Which side of the plate a profile is on, shape (n_profiles,).
    max_memory
        Bytes that similarities may take at a time.

    Returns
    -------
    RankLists
        One query per profile, in order.

    Raises
    ------
    ProfileError
        If the ranks of all positives, which are the result, would take more than ``max_memory``.
    """
    bars, n_positives = _bars(unit, classes, apart, max_memory)
    starts = _starts(n_positives)
    above = np.zeros(len(bars), dtype=np.int64)
    spare = max_memory - bars.nbytes - above.nbytes
    n_negatives = np.zeros(len(unit), dtype=np.int64)

    def count(queries: Ints, cosines: Floats) -> None:
        n_negatives[queries] += cosines.shape[1]
        for size in np.unique(n_positives[queries]):
            chosen = np.flatnonzero(n_positives[queries] == size)
            places = starts[queries[chosen], np.newaxis] + np.arange(size)
            above[places] += count_above_in_rows(cosines[chosen], bars[places])

    for plate in np.unique(plates):
        on_plate = plates == plate
        treated, controls = np.flatnonzero(on_plate & ~is_control), np.flatnonzero(on_plate & is_control)
        row_bytes = _BYTES_PER_COSINE * len(controls) + _BYTES_PER_POSITIVE * int(n_positives[treated].max(initial=0))
        for block in _blocks(treated, row_bytes=row_bytes, max_memory=spare):
            cosines = unit[block] @ unit[controls].T
            count(block, cosines)
            count(controls, cosines.T)
    above -= np.repeat(starts, n_positives)
    above += np.arange(1, len(bars) + 1)
    return RankLists(above, n_positives, n_negatives)


def _bars(unit: Floats, classes: Ints, apart: Ints, max_memory: int) -> tuple[Floats, Ints]:
    """Give what a negative must exceed to stand before each positive of each profile, falling, and their numbers.

    A profile's bars follow those of the profile before it.
    """
    in_class = np.flatnonzero(classes != NO_CLASS)
    sizes = np.bincount(classes[in_class])
    n_positives = np.zeros(len(unit), dtype=np.int64)
    n_alike = count_alike(classes[in_class], apart[in_class])
    n_positives[in_class] = sizes[classes[in_class]] - n_alike
    refuse_too_many(int(n_positives.sum()), _BYTES_PER_POSITIVE, max_memory)
    starts = _starts(n_positives)
    bars = np.empty(n_positives.sum())
    spare = max_memory - bars.nbytes
    by_class = in_class[np.argsort(classes[in_class], kind="stable")]
    first_of = _starts(sizes)
    for size in np.unique(sizes[sizes > 1]):
        members = by_class[first_of[sizes == size, np.newaxis] + np.arange(size)]
        for groups, asking in _group_blocks(members, spare):
            cosines = unit[asking] @ unit[groups].transpose(0, 2, 1)
            cosines[apart[asking][:, :, np.newaxis] == apart[groups][:, np.newaxis, :]] = -np.inf
            cosines *= -1.0
            cosines.sort(axis=2)
            np.subtract(TIE, cosines, out=cosines)  # in place: for a large class each copy is as large as all ranks
            listed = np.arange(size) < n_positives[asking][:, :, np.newaxis]
            places = (starts[asking][:, :, np.newaxis] + np.arange(size))[listed]
            bars[places] = cosines[listed]
    return bars, n_positives


def count_alike(classes: Ints, apart: Ints) -> Ints:
    """Count for each profile those of its class that share its code of ``apart``, itself too."""
    _, pairs, counts = np.unique(classes * (apart.max(initial=0) + 1) + apart, return_inverse=True, return_counts=True)
    return counts[pairs]


def refuse_too_many(n_pairs: int, bytes_per_pair: int, max_memory: int) -> None:
    """Refuse to rank more pairs of positives than memory allows: their ranks are the result, and cannot be cut up.

    Raises
    ------
    ProfileError
        With their number and what they need.
    """
    needed = n_pairs * bytes_per_pair
    if needed > max_memory:
        raise ProfileError(
            f"{n_pairs:,} pairs of positives are to be ranked; their ranks need {needed / 1e9:.1f} GB and max_memory is"
            f" {max_memory / 1e9:.1f} GB: classes this large say little, or more memory must be allowed"
        )


def _group_blocks(members: Ints, max_memory: int) -> Iterator[tuple[Ints, Ints]]:
    """Give (classes, their asking members) so that the copies and cosines of each stay in the cache, or in memory."""
    n_groups, size = members.shape
    at_a_time = max(1, _ROWS_AT_A_TIME // size)
    for first in range(0, n_groups, at_a_time):
        groups = members[first : first + at_a_time]
        for part in _blocks(np.arange(size), row_bytes=_BYTES_PER_COSINE * groups.size, max_memory=max_memory):
            yield groups, groups[:, part]


def _blocks(items: Ints, *, row_bytes: int, max_memory: int) -> Iterator[Ints]:
    """Cut items, each of which needs so many bytes, into blocks that fit."""
    at_a_time = max(1, max_memory // max(row_bytes, 1))
    return (items[first : first + at_a_time] for first in range(0, len(items), at_a_time))


def _starts(sizes: Ints) -> Ints:
    """Say where each segment begins when segments of these sizes follow one another."""
    return np.cumsum(sizes) - sizes

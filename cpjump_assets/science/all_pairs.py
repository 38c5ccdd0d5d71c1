"""Every profile against all others: ranks of the others of its class among all profiles of other classes.

Belongs here: comparing n profiles with n profiles in bounded memory, where the negatives are not the controls of a
plate but everything else, as in a screen without controls or for an embedding of any other origin. Does not belong
here: the tasks of the benchmark (``detection``, ``matching``), average precision (``retrieval``) and p (``nulls``).

Of the n x n cosines only the tiles on and above the diagonal are computed, and each is counted in both directions: the
product of a tile takes some five times as long as counting in it. Nothing is kept of a tile but counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cpjump_assets.science.arrays import Ints
from cpjump_assets.science.counting import count_above_in_columns, count_above_in_rows
from cpjump_assets.science.retrieval import NO_CLASS, RankLists, refuse_too_many
from cpjump_assets.science.similarity import TIE

SINGLE_TIE = 2.0**-20
"""Two cosines in single precision that differ by no more than this count as equal.

The greatest error that was seen, with up to 20,000 features and cosines up to 1, is 6e-7. So copies of one profile tie;
a negative that is closer than this to a positive stands behind it, which double precision may see otherwise.
"""

_TILE = 512
"""Profiles along a side of a tile at most: its cosines stay in the cache while they are counted."""

_Matrix = npt.NDArray[np.floating]


@dataclass(frozen=True)
class _Queries:
    """Profiles with equally many positives, one class after the other, in the sorted order from ``first`` on.

    Attributes
    ----------
    bars
        What the cosine of a negative must exceed to stand before each positive, shape (n, n_positives), falling.
    above
        How many negatives did so far, same shape.
    """

    first: int
    bars: _Matrix
    above: Ints

    def count_in_rows(self, cosines: _Matrix, first: int) -> None:
        """Count in cosines of the profiles from ``first`` on, a row each, with some other profiles."""
        own, within = self._overlap(first, len(cosines))
        self.above[own] += count_above_in_rows(cosines[within], self.bars[own])

    def count_in_columns(self, cosines: _Matrix, first: int) -> None:
        """Count in cosines of some other profiles with the profiles from ``first`` on, a column each."""
        own, within = self._overlap(first, cosines.shape[1])
        self.above[own] += count_above_in_columns(cosines[:, within], self.bars[own])

    def _overlap(self, first: int, n: int) -> tuple[slice, slice]:
        """Say which of these profiles the n from ``first`` on are, and which of those n they are."""
        start, end = (min(max(end, self.first), self.first + len(self.bars)) for end in (first, first + n))
        return slice(start - self.first, end - self.first), slice(start - first, end - first)


def rank_against_all(unit: _Matrix, classes: Ints, *, max_memory: int = 10**9) -> RankLists:
    """Rank, for every profile, the others of its class among all profiles that are not of its class.

    Parameters
    ----------
    unit
        Unit rows, shape (n_profiles, n_features), float32 or float64: products are made in the precision that is given.
        Single precision takes half the time; ``SINGLE_TIE`` says what it cannot tell apart.
    classes
        Codes, shape (n_profiles,), any integers from 0. Profiles of ``NO_CLASS`` have no positives and are negatives of
        every other.
    max_memory
        Bytes that similarities, and copies of profiles that are made for them, may take at a time, beside ``unit`` and
        what is returned.

    Returns
    -------
    RankLists
        One query per profile, in order. They do not depend on the order of the profiles or on ``max_memory``, but for
        cosines that differ by about the tie.

    Raises
    ------
    ProfileError
        If the ranks of all positives, which are the result, would take more than ``max_memory``.

    Notes
    -----
    Time grows with the square of n_profiles; 20,000 x 600 take 3 s in single precision and 6 s in double on one core.
    """
    order, codes, sizes = _sort_by_class(classes)
    refuse_too_many(int((sizes - 1).sum()), 2 * np.dtype(np.int64).itemsize, max_memory)
    tie = SINGLE_TIE if unit.dtype == np.float32 else TIE
    queries = [
        _Queries(
            first, bars := _falling_positives(unit, members, max_memory) + tie, np.zeros(bars.shape, dtype=np.int64)
        )
        for first, members in _classes_of_a_size(order, sizes)
    ]
    side = _tile_side(unit, max_memory)
    for left in range(0, len(order), side):
        rows = unit[order[left : left + side]]
        for right in range(left, len(order), side):
            columns = unit[order[right : right + side]]
            cosines = rows @ columns.T
            _leave_out_own_class(cosines, codes[left : left + side], codes[right : right + side])
            for asking in queries:
                asking.count_in_rows(cosines, left)
                if right > left:
                    asking.count_in_columns(cosines, right)
    return _rank_lists(queries, order, sizes)


def _sort_by_class(classes: Ints) -> tuple[Ints, Ints, Ints]:
    """Sort profiles by the size of their class, then by class.

    Returns
    -------
    order
        The profiles in this order.
    codes
        Class of each profile in this order, rising; profiles of no class are each one of their own.
    sizes
        Size of the class of each profile in this order.
    """
    own = np.where(classes == NO_CLASS, classes.max(initial=0) + 1 + np.arange(len(classes)), classes)
    _, member_of, counts = np.unique(own, return_inverse=True, return_counts=True)
    order = np.lexsort((member_of, counts[member_of]))
    member_of = member_of[order]
    codes = np.cumsum(np.diff(member_of, prepend=member_of[:1]) != 0)
    return order, codes, counts[member_of]


def _classes_of_a_size(order: Ints, sizes: Ints) -> Iterator[tuple[int, Ints]]:
    """Give, for each size of classes above 1, where they begin and their members, shape (n_classes, size)."""
    for size in np.unique(sizes[sizes > 1]):
        first, end = np.searchsorted(sizes, (size, size + 1))
        yield int(first), order[first:end].reshape(-1, size)


def _falling_positives(unit: _Matrix, members: Ints, max_memory: int) -> _Matrix:
    """Give the cosines of every member with the others of its class, falling, shape (n_members, size - 1)."""
    n_classes, size = members.shape
    positives = np.empty((n_classes, size, size - 1), dtype=unit.dtype)
    bytes_of_class = size * (size + unit.shape[1]) * unit.itemsize
    at_a_time = max(1, min(max_memory // bytes_of_class, _TILE // size))
    for first in range(0, n_classes, at_a_time):
        own = unit[members[first : first + at_a_time]]
        cosines = own @ own.transpose(0, 2, 1)
        cosines[:, np.arange(size), np.arange(size)] = -np.inf
        cosines.sort(axis=2)
        positives[first : first + at_a_time] = cosines[:, :, :0:-1]
    return positives.reshape(n_classes * size, size - 1)


def _tile_side(unit: _Matrix, max_memory: int) -> int:
    """Give the greatest side of a tile that fits, with the profiles on both sides, a sorted copy and a comparison."""
    copies, cosines = 2 * unit.shape[1] * unit.itemsize, 2 * unit.itemsize + 1
    side = (np.sqrt(copies**2 + 4 * cosines * max_memory) - copies) / (2 * cosines)
    return max(1, min(_TILE, int(side)))


def _leave_out_own_class(cosines: _Matrix, rows: Ints, columns: Ints) -> None:
    """Let no cosine of two profiles of one class exceed anything; codes rise, and the columns' are not less."""
    if rows[-1] >= columns[0]:
        cosines[rows[:, np.newaxis] == columns] = -np.inf


def _rank_lists(queries: list[_Queries], order: Ints, sizes: Ints) -> RankLists:
    """Put the ranks of all profiles in the order in which the profiles were given."""
    n_positives, n_negatives = np.empty_like(sizes), np.empty_like(sizes)
    n_positives[order], n_negatives[order] = sizes - 1, len(sizes) - sizes
    starts = np.cumsum(n_positives) - n_positives
    ranks = np.empty(n_positives.sum(), dtype=np.int64)
    for asked in queries:
        asking = order[asked.first : asked.first + len(asked.above)]
        places = np.arange(asked.above.shape[1])
        ranks[starts[asking, np.newaxis] + places] = asked.above + places + 1
    return RankLists(ranks, n_positives, n_negatives)

"""What is asked of the null of one configuration: the sums S = sum of j / rank_j of lists, or their means.

Belongs here: grouping lists by configuration and adding up their ranks, the same whatever order they come in. Does not
belong here: how likely chance is to beat a sum (``null_distribution``, ``rank_program``).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cpjump_assets.science.arrays import Floats, Ints
from cpjump_assets.science.nulls.rank_program import GridCounts, Key
from cpjump_assets.science.nulls.tail_enumeration import sum_of_ranks
from cpjump_assets.science.retrieval import RankLists


@dataclass(frozen=True)
class ObservedSums:
    """Questions to one configuration: how likely is a null sum greater than the mean of the sums of some lists.

    Attributes
    ----------
    key
        Number of positives and length of the list.
    queries
        What the caller knows the questions by, shape (n_queries,).
    ranks
        Ranks of the positives of all lists, rising, shape (n_lists, n_positives).
    query_of
        Position in ``queries`` of each list, rising, each at least once, shape (n_lists,).
    """

    key: Key
    queries: Ints
    ranks: Ints
    query_of: Ints

    @property
    def n_lists(self) -> Ints:
        """Count the lists of each query."""
        return np.bincount(self.query_of, minlength=len(self.queries))

    def sums(self) -> Floats:
        """Give the mean sum of each query."""
        return self._mean(sum_of_ranks(self.ranks))

    def cells(self, grid: GridCounts) -> Ints:
        """Give the cell of each query on a grid; a null sum is greater when its cell is higher."""
        return np.floor(self._mean(grid.on_grid(self.ranks).astype(np.float64)) + 1e-6).astype(np.int64)

    def take(self, queries: Ints) -> "ObservedSums":
        """Give some of the queries, in rising order."""
        asked = np.isin(self.query_of, queries)
        return ObservedSums(
            self.key, self.queries[queries], self.ranks[asked], np.searchsorted(queries, self.query_of[asked])
        )

    def _mean(self, values: Floats) -> Floats:
        return np.bincount(self.query_of, weights=values, minlength=len(self.queries)) / self.n_lists


def sums_by_configuration(lists: RankLists, query_of: Ints, asked: Ints) -> Iterator[ObservedSums]:
    """Group lists by configuration; every query must have lists of one configuration alone.

    Parameters
    ----------
    lists
        All lists.
    query_of
        Query of each list, shape (n_lists,).
    asked
        The lists that are asked about, as positions.

    Yields
    ------
    ObservedSums
        In rising order of number of positives, then length.
    """
    wanted = np.zeros(len(lists), dtype=bool)
    wanted[asked] = True
    for positions, ranks in lists.by_size():
        kept = wanted[positions]
        positions, ranks = positions[kept], ranks[kept]
        # One order whatever the caller's: floats add up differently in another.
        order = np.lexsort((sum_of_ranks(ranks), query_of[positions], lists.n_total[positions]))
        positions, ranks = positions[order], ranks[order]
        lengths = lists.n_total[positions]
        for length in np.unique(lengths):
            here = slice(*np.searchsorted(lengths, [length, length + 1]))
            queries, inverse = np.unique(query_of[positions[here]], return_inverse=True)
            yield ObservedSums((ranks.shape[1], int(length)), queries, ranks[here], inverse)

"""The null of average precision by a dynamic program over ranks, with an interval that always contains the truth.

Belongs here: counting, on an integer grid, the sets of ranks by their sum S = sum of j / rank_j. Does not belong here:
which lists need it, closed forms and enumeration, p-values (``null_distribution``).

Going down a list, ``counts[j]`` holds how many sets of j of the ranks so far have a sum in each cell. At the next rank,
``counts[j - 1]`` shifted by j / rank is added. After rank L, ``counts[k]`` is the null of k positives among L, so one
pass serves every configuration on the way. An observed list is put on the same grid, and its tail is the number of sets
in higher cells. Rounding moves a sum by at most k / 2 cells, which bounds the tail from both sides.

Measured on some 500,000 sets (5 of 40, 6 of 30, 7 of 25, where all sums are known): of p above 0.005 no error was above
0.0011 times p, of p below none above 4 sets; in 99 of 100 lists it is below 0.0003 times p. Longer lists err less.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from cpjump_assets.science.arrays import Floats, Ints

_Integers = TypeVar("_Integers", int, Ints)
_Counts = npt.NDArray[Any]
"""Non-negative whole numbers, in uint32 or float64."""

# Up to so many positives: cells per unit of S, and cells once a call hangs on it. 55,440 is twice the least common
# multiple of 1 to 12, 360,360 that of 1 to 15: the extreme sums, of low ranks, fall on the grid without rounding.
_GRIDS = ((10, 55_440, 360_360), (40, 5_040, 27_720), (100, 840, 5_040))
_LARGEST_GRIDS = (120, 840)

_EXACT_IN_FLOAT = 2**53
_FLOAT_SLACK = 1e-9
"""Counts above 2^53 are rounded: adding positive floats over ranks and cells errs by less than this, relatively."""


class Tails(NamedTuple):
    """Share of all sets of ranks with a greater sum than each query, and bounds of it, shape (n_queries,)."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Configuration:
    """Queries with a number of positives and a length of the list in common.

    Attributes
    ----------
    queries
        What the caller knows them by, shape (n_queries,).
    ranks
        Ranks of their positives, rising, shape (n_queries, n_positives).
    length
        Positives and negatives together.
    """

    queries: Ints
    ranks: Ints
    length: int

    @property
    def key(self) -> tuple[int, int]:
        """Number of positives and length of the list."""
        return self.ranks.shape[1], self.length

    def thresholds(self, cells: int) -> tuple[Ints, Ints, Ints]:
        """Give the cells that a null sum must be above: by the grid, certainly greater, possibly greater."""
        j = np.arange(1, self.ranks.shape[1] + 1)
        on_grid = _to_cells(j, self.ranks, cells).sum(axis=1)
        exact = cells * (j / self.ranks).sum(axis=1)
        # A null sum lies within k / 2 cells of its cell; the last term is room for the float error of `exact`.
        reach = len(j) / 2 + 1e-6
        return on_grid, np.floor(exact + reach).astype(np.int64), np.floor(exact - reach).astype(np.int64)


def count_greater(
    configurations: Iterable[Configuration], *, refined: bool = False
) -> Iterator[tuple[Configuration, Tails]]:
    """Give the tails of the queries of each configuration; no two configurations may have the same key.

    Parameters
    ----------
    configurations
        What is asked.
    refined
        Use the finer grid: an interval some 6 times narrower, for as much more time and memory.
    """
    by_grid: dict[int, list[Configuration]] = {}
    for configuration in configurations:
        cells = _cells_per_unit(configuration.key[0], refined=refined)
        by_grid.setdefault(cells, []).append(configuration)
    for cells, members in by_grid.items():
        wanted = {member.key: member for member in members}
        thresholds = {key: member.thresholds(cells) for key, member in wanted.items()}
        largest = max(_largest_count(*key) for key in wanted)
        n_cells = _cells_needed(thresholds, cells, largest)
        for key, counts in _count_sets(set(wanted), cells, n_cells, largest):
            yield wanted[key], _read_tails(counts, thresholds[key], key, cells)


def _cells_per_unit(n_positives: int, *, refined: bool) -> int:
    coarse_and_fine = next((grids for most, *grids in _GRIDS if n_positives <= most), _LARGEST_GRIDS)
    return coarse_and_fine[refined]


def _largest_count(n_positives: int, length: int) -> int:
    """Bound every count on the way to a configuration: all sets of up to so many of the ranks."""
    return math.comb(length, min(n_positives, length // 2))


def _cells_needed(thresholds: dict[tuple[int, int], tuple[Ints, Ints, Ints]], cells: int, largest: int) -> int:
    """Say how many cells to keep: up to the highest threshold, as long as counts are exact integers.

    Sums beyond need no cells of their own, because the total is known. Rounded counts are all kept, so that a result
    does not depend, in its last digit, on what else is asked.
    """
    if largest > _EXACT_IN_FLOAT:
        return cells * max(n_positives for n_positives, _ in thresholds) + 1
    return 2 + max(int(above.max()) for triple in thresholds.values() for above in triple)


def _to_cells(j: _Integers, ranks: _Integers, cells: int) -> _Integers:
    """Round cells * j / rank to the nearest integer, halves up, without floats."""
    return (2 * cells * j + ranks) // (2 * ranks)


def _count_sets(
    wanted: set[tuple[int, int]], cells: int, n_cells: int, largest: int
) -> Iterator[tuple[tuple[int, int], _Counts]]:
    """Give for each wanted (k, L) the number of sets of ranks in every cell of S, cut after ``n_cells`` cells.

    The time goes into reading and writing these cells. In 32 bits, where the counts fit, it is half of that in 64, and
    passing over the empty cells below the least sum so far, that of the last ranks, saves another 40 %. Counts of more
    positives or longer lists than any wanted configuration may overflow on the way; nothing that is wanted reads them.
    """
    n_positives, length = (max(values) for values in zip(*wanted, strict=True))
    dtype = np.uint32 if largest < 2**32 else np.float64
    counts: list[_Counts] = [np.zeros(min(j * cells + 1, n_cells), dtype=dtype) for j in range(n_positives + 1)]
    least = [0] * (n_positives + 1)
    counts[0][0] = 1
    for rank in range(1, length + 1):
        for j in range(min(rank, n_positives), 0, -1):
            least[j] = least[j - 1] + _to_cells(j, rank, cells)
            moved = counts[j - 1][least[j - 1] : max(len(counts[j]) - least[j] + least[j - 1], 0)]
            counts[j][least[j] : least[j] + len(moved)] += moved
        for j in range(1, n_positives + 1):
            if (j, rank) in wanted:
                yield (j, rank), counts[j]


def _read_tails(counts: _Counts, thresholds: tuple[Ints, Ints, Ints], key: tuple[int, int], cells: int) -> Tails:
    """Give the share of sets above each threshold; sets that the program cut off are above all of them.

    The observed set itself is among those that are possibly greater, and is not.
    """
    n_positives, length = key
    total = math.comb(length, n_positives)
    from_top = np.zeros(len(counts) + 1)
    np.cumsum(counts[::-1], dtype=np.float64, out=from_top[1:])
    cut_off = total - from_top[-1] if len(counts) < n_positives * cells + 1 else 0.0
    last = len(counts) - 1
    greater, certainly, possibly = (cut_off + from_top[last - np.clip(above, -1, last)] for above in thresholds)
    slack = _FLOAT_SLACK if _largest_count(*key) > _EXACT_IN_FLOAT else 0.0
    low, high = certainly * (1 - slack), np.maximum(possibly - 1, greater) * (1 + slack)
    return Tails(greater / total, low / total, np.minimum(high / total, 1.0))

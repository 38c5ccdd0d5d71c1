"""The null of average precision by a dynamic program over ranks, with an interval that always contains the truth.

Belongs here: counting, on an integer grid, the sets of ranks by their sum S = sum of j / rank_j. Does not belong here:
which lists need it, sets one by one (``tail_enumeration``), p-values (``null_distribution``).

Two ways lead to the same whole numbers. Down the list, ``counts[j]`` holds how many sets of j of the ranks so far have
a sum in each cell, and at the next rank ``counts[j - 1]``, shifted by j / rank, is added. After rank L, ``counts[k]``
is the null of k positives among L, so one pass serves every configuration on the way. Up the list, ``counts[j]`` holds
how many ways there are to place the last k - j positives from here on. The low ranks, whose sums spread most, come
last, so one configuration costs a third or less, but each needs a pass of its own. The cheaper way is taken.

An observed list is put on the same grid, and its tail is the number of sets in higher cells. Rounding moves a sum by at
most k / 2 cells, which bounds the tail from both sides.

Measured where all sums are known (16 configurations, 4 of 56 to 10 of 26, 400,000 to 8 million sets, 20,000 lists each
from the best to the worst, tails of no more than 20,000 sets left to enumeration): the tail errs by at most 0.0007 of
itself, in 99 of 100 lists by less than 0.0002, and the interval of p is at most 0.0021 of it wide. For 4 to 10
positives in 71 to 217, it is at most 0.0016 wide, for 30 in 700, 0.017; it widens as lists grow, and for 100 in 3,000
it is 0.3.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cpjump_assets.science.arrays import Floats, Ints

Key = tuple[int, int]
"""Number of positives and length of the list: a configuration."""

_Counts = npt.NDArray[Any]
"""Non-negative whole numbers, in uint32, uint64 or float64."""

# Up to so many positives: cells per unit of S, and cells once a call hangs on it. 55,440 is twice the least common
# multiple of 1 to 12, 360,360 that of 1 to 15: the extreme sums, of low ranks, fall on the grid without rounding.
_GRIDS = ((6, 55_440, 360_360), (10, 27_720, 360_360), (20, 27_720, 110_880), (40, 5_040, 27_720), (100, 840, 5_040))

_FLOAT_SLACK = 1e-9
"""Counts in floats are rounded: adding positive ones over ranks and cells errs by less than this, relatively."""

_MOST_CELLS = 1e9
"""Cells that may be added for one configuration, half a second of work."""

_MOST_STEPS = 300_000
"""Shifts and additions for one configuration, each of which costs a microsecond however short it is."""

_FEW = 1_000
"""Cells that are asked for, up to which it is faster to sort them than to cumulate counts over all cells."""


class Tails(NamedTuple):
    """Share of all sets of ranks with a greater sum than each query, and bounds of it, shape (n_queries,)."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class GridCounts:
    """The sets of ranks of one configuration, counted by the cell of their sum.

    Attributes
    ----------
    key
        Number of positives k and length of the list.
    cells
        Cells per unit of S.
    least
        Cell of the first count; all below are empty.
    counts
        Sets in each cell, up to that of S = k.
    """

    key: Key
    cells: int
    least: int
    counts: _Counts

    @property
    def total(self) -> int:
        """Count all sets."""
        return math.comb(self.key[1], self.key[0])

    def on_grid(self, ranks: Ints) -> Ints:
        """Give the cell of each set of ranks, shape (n_sets,)."""
        return to_cells(np.arange(1, ranks.shape[1] + 1), ranks, self.cells).sum(axis=1)

    def reach(self) -> float:
        """Bound the distance, in cells, of a sum from its cell; the last term is room for the float error of a sum."""
        return self.key[0] / 2 + 1e-6

    def above(self, cells: Ints) -> Floats:
        """Count the sets in higher cells than each of ``cells``, any shape."""
        firsts = np.clip(cells + 1 - self.least, 0, len(self.counts))
        if self.counts.dtype == np.float64 or cells.size > _FEW:
            return self._from_cell[firsts].astype(np.float64)
        # Whole numbers may be added in any order: summing between the cells asked takes a tenth of cumulating over all.
        edges, places = np.unique(np.minimum(firsts, len(self.counts) - 1), return_inverse=True)
        between = np.add.reduceat(self.counts, edges, dtype=np.uint64)
        from_edge = np.cumsum(between[::-1])[::-1].astype(np.float64)
        return np.where(firsts < len(self.counts), from_edge[places.reshape(firsts.shape)], 0.0)

    @cached_property
    def _from_cell(self) -> _Counts:
        """Count the sets from each cell on."""
        dtype = np.float64 if self.counts.dtype == np.float64 else np.uint64
        from_cell = np.zeros(len(self.counts) + 1, dtype=dtype)
        np.cumsum(self.counts[::-1].astype(dtype), out=from_cell[-2::-1])
        return from_cell

    def tails(self, sums: Floats, cells: Ints) -> Tails:
        """Give the share of sets above each query, known by its sum and by its cell.

        Where the observed set is itself possibly greater by its cell, it is in the upper bound, as its equals are.
        """
        exact, reach = self.cells * sums, self.reach()
        certain, possible = (np.floor(exact + way * reach).astype(np.int64) for way in (1, -1))
        greater, certainly, possibly = self.above(np.stack([cells, certain, possible]))
        slack = _FLOAT_SLACK if self.counts.dtype == np.float64 else 0.0
        low = np.minimum(certainly, greater) * (1 - slack) / self.total
        high = np.minimum(np.maximum(possibly, greater) * (1 + slack) / self.total, 1.0)
        return Tails(np.minimum(greater / self.total, high), low, high)


def is_programmable(key: Key) -> bool:
    """Say whether a configuration can be counted within a few seconds and a few hundred megabytes.

    Those that cannot have more than 100 positives or, with some tens, lists of many thousands.
    """
    n_positives, length = key
    if n_positives > _GRIDS[-1][0]:
        return False
    steps = n_positives * length
    return steps <= _MOST_STEPS and _cells_per_unit(n_positives, refined=False) * _cost_up(key) <= _MOST_CELLS


def count_sets(keys: Iterable[Key], *, refined: bool = False) -> Iterator[GridCounts]:
    """Count the sets of ranks of each configuration.

    Parameters
    ----------
    keys
        Configurations, no two the same; each ``is_programmable``.
    refined
        Use the finer grid: an interval some 6 times narrower, for as much more time and memory.

    Yields
    ------
    GridCounts
        In no particular order. To be read before the next is asked for: the counts may change thereafter.
    """
    groups: dict[tuple[int, Any], set[Key]] = {}
    for key in keys:
        cells, dtype = _cells_per_unit(key[0], refined=refined), _narrowest(_largest_count(key))
        groups.setdefault((cells, dtype), set()).add(key)
    for (cells, dtype), members in groups.items():
        # Rounded counts depend on the way, and a result must not depend on what else is asked.
        if dtype is not np.float64 and _cost_down(members) < sum(map(_cost_up, members)):
            yield from _count_down(members, cells, dtype)
        else:
            yield from (_count_up(key, cells, dtype) for key in sorted(members))


def to_cells(j: Any, ranks: Any, cells: int) -> Any:
    """Round cells * j / rank to the nearest integer, halves up, without floats."""
    return (2 * cells * j + ranks) // (2 * ranks)


def _cells_per_unit(n_positives: int, *, refined: bool) -> int:
    coarse_and_fine = next(grids for most, *grids in _GRIDS if n_positives <= most)
    return coarse_and_fine[refined]


def _largest_count(key: Key) -> int:
    """Bound every count on the way to a configuration: all sets of up to so many of the ranks."""
    n_positives, length = key
    return math.comb(length, min(n_positives, length // 2))


def _narrowest(largest: int) -> Any:
    """Choose the type of counts. The time goes into reading and writing them, and half the bytes take half of it."""
    if largest < 2**32:
        return np.uint32
    return np.uint64 if largest < 2**64 else np.float64


def _cost_down(keys: set[Key]) -> float:
    """Estimate the cells that are added going down the list, in units of S."""
    return 0.8 * sum(n_positives * (n_positives + 1) / 2 for n_positives in _most_positives(keys))


def _most_positives(keys: set[Key]) -> list[int]:
    """Give, for each rank from 1, the most positives of the configurations that are at least so long."""
    n_positives = np.zeros(max(length for _, length in keys), dtype=np.int64)
    for most, length in keys:
        n_positives[length - 1] = max(n_positives[length - 1], most)
    result: list[int] = np.maximum.accumulate(n_positives[::-1])[::-1].tolist()
    return result


def _cost_up(key: Key) -> float:
    """Estimate the cells that are added going up the list, in units of S: at rank r they spread over k^3 / 3r."""
    n_positives, length = key
    return n_positives**3 / 3 * math.log(1 + length / n_positives)


def _count_down(wanted: set[Key], cells: int, dtype: Any) -> Iterator[GridCounts]:
    """Count for all wanted configurations in one pass from rank 1.

    Passing over the empty cells below the least sum so far, that of the last ranks, saves 40 %, and so does leaving out
    more positives than any wanted configuration of that length has.
    """
    n_positives = _most_positives(wanted)
    counts: list[_Counts] = [np.zeros(j * cells + 1, dtype=dtype) for j in range(n_positives[0] + 1)]
    least = [0] * (n_positives[0] + 1)
    counts[0][0] = 1
    for rank, most in enumerate(n_positives, start=1):
        for j in range(min(rank, most), 0, -1):
            least[j] = least[j - 1] + to_cells(j, rank, cells)
            moved = counts[j - 1][least[j - 1] :]
            counts[j][least[j] : least[j] + len(moved)] += moved
        for j in range(1, most + 1):
            if (j, rank) in wanted:
                yield GridCounts((j, rank), cells, least[j], counts[j][least[j] :])


def _count_up(key: Key, cells: int, dtype: Any) -> GridCounts:
    """Count for one configuration, from its last rank to the first.

    ``counts[j]`` begins at the cell ``least[j]`` of the last k - j positives at the last ranks, and is filled as far as
    ``filled[j]``: the last k - j positives at the next ranks from here on.
    """
    n_positives, length = key
    steps = range(n_positives + 1)
    least = [sum(to_cells(i, length - n_positives + i, cells) for i in range(j + 1, n_positives + 1)) for j in steps]
    counts = [np.zeros((n_positives - j) * cells + 1 - least[j], dtype=dtype) for j in steps]
    filled = [0] * n_positives + [1]
    counts[n_positives][0] = 1
    for rank in range(length, 0, -1):
        for j in range(max(0, n_positives - 1 - (length - rank)), min(n_positives, rank)):
            start = to_cells(j + 1, rank, cells) + least[j + 1] - least[j]
            filled[j] = start + filled[j + 1]
            counts[j][start : filled[j]] += counts[j + 1][: filled[j + 1]]
    return GridCounts(key, cells, least[0], counts[0])

"""How likely chance alone is to beat the mean average precision of a class, as copairs sees chance.

Belongs here: the null of a class out of the nulls of its members' configurations (number of positives, length of the
list). Does not belong here: the null of a single list (``null_distribution``), moving nulls between grids
(``regridding``), lists drawn at random (``monte_carlo``).

copairs draws one null average precision for each configuration and averages over members: members of one configuration
share their draw, so they are taken as perfectly dependent, and those of different configurations as independent. The
weight of a configuration is its share of the scored members. P(null mean > observed mean) is found by

* the tail of the one configuration at the mean, as for a single list (``null_distribution``);
* a direct sum, where all configurations but the largest have few sets of ranks together: for each of their values, the
  tail of the largest beyond what is lacking;
* a convolution beyond: all nulls are put on one grid of the mean, transformed and multiplied;
* lists drawn at random, where a configuration is out of reach of the rank program or there are more than 64 of them.

The first two are as exact as the tails they use; the convolution moves every sum by less than a few cells, which bounds
the tail from both sides. Sums that are equal but for float error are not greater.

Measured on the matching classes of the real layout (3,209 classes, 844 of them convolved): p differs from that of the
refined grid by at most 0.0015 of itself, in 99 of 100 classes by less than 0.00003; the interval of a convolved p is
1.4 % of it wide (median; most 5 %), refined 0.15 % (most 0.7 %).
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import lru_cache, partial, reduce

import numpy as np

from cpjump_assets.science.arrays import Floats, Ints
from cpjump_assets.science.nulls.class_recipes import MEAN_TIE, MixedClasses, Parts, n_sets, sort_out
from cpjump_assets.science.nulls.drawn_lists import (
    FALLBACK_SEED,
    count_drawn_means_above,
    fallback_size,
    share_interval,
)
from cpjump_assets.science.nulls.null_distribution import (
    CONVOLUTION,
    DRAWN_LISTS,
    ENUMERATION,
    RANK_PROGRAM,
    TailProbability,
    choose_method,
    tails_by_program,
    tails_without_program,
)
from cpjump_assets.science.nulls.observed_sums import ObservedSums, sums_by_configuration
from cpjump_assets.science.nulls.rank_program import GridCounts, Key, Tails, count_sets, is_programmable
from cpjump_assets.science.nulls.regridding import (
    CountedNull,
    MeanGrid,
    Spectrum,
    moved_cells,
    spectrum,
    split_atoms,
    tails_of_sum,
)
from cpjump_assets.science.nulls.tail_enumeration import every_sum
from cpjump_assets.science.retrieval import RankLists

_GRIDS = (MeanGrid(27_720, 28_160, merged=8), MeanGrid(262_080, 264_600, merged=1))
"""Coarse and refined. 27,720 is a multiple of the numbers up to 12, 262,080 of those up to 16 but 11, so that the means
of a few high precisions fall on the grid."""

_LISTED_LIMIT = 60_000
"""Sets of ranks of a configuration that are listed; where there are more they are counted on the grid."""

_DIRECT_LIMITS = (23_000, 300_000)
"""Coarse and refined: most values of all configurations but the largest for a direct sum."""

_MEAN_SLACK = 1e-14
"""Averaging tails in floats errs by less than this, relatively."""

_MOST_PARTS = 64
"""Configurations of one class that are convolved: each may move the mean by a cell."""

Share = tuple[Key, float]
"""A configuration and its weight: what a unit of its sum adds to the mean."""


def class_tail_probability(
    lists: RankLists, members: Ints, n_classes: int, *, refined: bool = False
) -> TailProbability:
    """Give the probability that the null mean average precision of each class is strictly greater than the observed.

    Parameters
    ----------
    lists
        The queries; those that are not scored are left out.
    members
        Class of each query, shape (n_queries,): 0 to n_classes - 1.
    n_classes
        Number of classes.
    refined
        Use finer grids and longer direct sums: for the few classes on which a decision hangs.

    Returns
    -------
    TailProbability
        One entry a class, NaN without scored members; the same whatever other classes are asked, in whatever order.
    """
    result = TailProbability.empty(n_classes)
    single, mixed = sort_out(lists, members, n_classes)
    alone = {}
    for observed in sums_by_configuration(lists, members, np.flatnonzero(lists.scored & single[members])):
        if choose_method(observed.key) == RANK_PROGRAM:
            alone[observed.key] = observed
        else:
            result.put(observed.queries, *tails_without_program(observed))
    nulls = _MixedNulls(mixed, refined=refined)
    # The coarse counts are fine enough to be convolved on the finer grid, and take a sixth of the time.
    to_read, to_convolve = nulls.keys_to_read | alone.keys(), nulls.keys_to_convolve
    passes = ((to_read, True), (to_convolve, False)) if refined else ((to_read | to_convolve, False),)
    for keys, fine in passes:
        for grid in count_sets(keys, refined=fine):
            if grid.key in to_read and fine == refined:
                for queries, tails, method in _read(grid, alone, nulls):
                    result.put(queries, tails, method)
            if grid.key in to_convolve and not fine:
                nulls.take_in(grid)
    for classes, tails, method in nulls.rest():
        result.put(classes.classes, tails, method)
    return result


def _read(
    grid: GridCounts, alone: dict[Key, ObservedSums], nulls: "_MixedNulls"
) -> Iterator[tuple[Ints, Tails, Ints | int]]:
    """Give the classes that need this grid and no other: those of its configuration, and direct sums."""
    if grid.key in alone:
        yield alone[grid.key].queries, *tails_by_program(alone[grid.key], grid)
    for classes, tails in nulls.read(grid):
        yield classes.classes, tails, RANK_PROGRAM


class _MixedNulls:
    """The nulls of classes of several configurations, given the grids of some one by one; lives for one call."""

    def __init__(self, mixed: list[MixedClasses], *, refined: bool) -> None:
        self._grid = _GRIDS[refined]
        self._direct: dict[Key, list[MixedClasses]] = defaultdict(list)
        self._convolved: list[MixedClasses] = []
        self._drawn: list[MixedClasses] = []
        for classes in mixed:
            if not all(_is_listed(key) or is_programmable(key) for key, _ in classes.parts):
                self._drawn.append(classes)
            elif classes.n_others <= _DIRECT_LIMITS[refined]:
                self._direct[classes.largest].append(classes)
            else:
                (self._convolved if len(classes.parts) <= _MOST_PARTS else self._drawn).append(classes)
        self._weights: dict[Key, set[float]] = defaultdict(set)
        for key, weight in {part for classes in self._convolved for part in classes.parts}:
            self._weights[key].add(weight)
        self._on_mean_grid: dict[Share, tuple[Floats, float]] = {}
        # The latest are enough, because classes come in the order of their configurations: at most 60 and 30 MB.
        n_listed = 60_000_000 // (8 * max(_LISTED_LIMIT, _DIRECT_LIMITS[refined]))
        n_spectra = 30_000_000 // (8 * self._grid.length)
        self._sums: Callable[[Key], Floats] = lru_cache(n_listed)(lambda key: np.sort(every_sum(*key)))
        self._spectrum: Callable[[Share], tuple[Spectrum, float]] = lru_cache(n_spectra)(self._transform)

    @property
    def keys_to_read(self) -> set[Key]:
        """The configurations whose grids are to be read."""
        return {key for key in self._direct if not _is_listed(key)}

    @property
    def keys_to_convolve(self) -> set[Key]:
        """The configurations whose grids are to be taken in."""
        return {key for key in self._weights if not _is_listed(key)}

    def read(self, grid: GridCounts) -> Iterator[tuple[MixedClasses, Tails]]:
        """Give the classes that are summed directly over tails of this grid."""
        for classes in self._direct.get(grid.key, ()):
            yield classes, _sum_directly(classes, self._sums, partial(_mean_above_on_grid, grid=grid))

    def take_in(self, grid: GridCounts) -> None:
        """Keep what convolutions need of this grid, which is little."""
        merged = self._grid.merged
        null = CountedNull.of(grid, merged)
        for weight in self._weights[grid.key]:
            scale = weight * self._grid.cells
            self._on_mean_grid[grid.key, weight] = null.masses(scale), moved_cells(grid, scale, merged)

    def rest(self) -> Iterator[tuple[MixedClasses, Tails, int]]:
        """Give the classes that need no grid, or several."""
        for key in sorted(filter(_is_listed, self._direct)):
            for classes in self._direct[key]:
                mean_tail = partial(_mean_above_listed, sums=self._sums(key))
                yield classes, _sum_directly(classes, self._sums, mean_tail), ENUMERATION
        for classes in self._convolved:
            spectra, reaches = zip(*map(self._spectrum, classes.parts), strict=True)
            product = reduce(np.multiply, spectra)
            places = self._grid.cells * classes.means
            yield classes, tails_of_sum(product, places, grid=self._grid, reach=sum(reaches) + 1e-6), CONVOLUTION
        yield from _draw(self._drawn)

    def _transform(self, share: Share) -> tuple[Spectrum, float]:
        """Give the spectrum of a configuration with a weight, and how far its sums are moved."""
        key, weight = share
        if _is_listed(key):
            masses, moved = split_atoms(self._grid.cells * weight * self._sums(key)), 1.0
        else:
            masses, moved = self._on_mean_grid[share]
        return spectrum(masses, self._grid), moved


def _is_listed(key: Key) -> bool:
    return n_sets(key) <= _LISTED_LIMIT


def _sum_directly(
    classes: MixedClasses, sums: Callable[[Key], Floats], mean_tail: Callable[[Floats], tuple[float, float, float]]
) -> Tails:
    """Average the tail of the largest configuration over all values of the others."""
    weights = dict(classes.parts)
    own = weights.pop(classes.largest)
    others = np.zeros(1)
    for key, weight in weights.items():
        others = (others[:, np.newaxis] + weight * sums(key)).ravel()
    # So that bars rise, and the places looked up one after the other lie close together.
    falling = -np.sort(-others)
    return Tails(*np.array([mean_tail((mean + MEAN_TIE - falling) / own) for mean in classes.means]).T)


def _mean_above_listed(bars: Floats, sums: Floats) -> tuple[float, float, float]:
    """Give the mean, over rising bars, of the share of rising sums above, and its bounds, which are the same."""
    # Bars below all sums and those that no sum is above, a third of them, need not be looked up.
    first, last = np.searchsorted(bars, sums[[0, -1]])
    n_above = int(last) * len(sums) - int(np.searchsorted(sums, bars[first:last], side="right").sum())
    share = n_above / (len(bars) * len(sums))
    return share, share, share


def _mean_above_on_grid(bars: Floats, grid: GridCounts) -> tuple[float, float, float]:
    """Give the mean, over bars, of the tail; a bar is the sum of no set, and stands in the cell that it falls in."""
    tails = grid.tails(bars, np.floor(grid.cells * bars + 0.5).astype(np.int64))
    value, low, high = (float(ends.mean()) for ends in tails)
    return value, low * (1 - _MEAN_SLACK), min(high * (1 + _MEAN_SLACK), 1.0)


def _draw(mixed: list[MixedClasses]) -> Iterator[tuple[MixedClasses, Tails, int]]:
    """Draw for classes that nothing else can be done for, each list once for all that draw as many."""
    by_size: dict[int, dict[Parts, MixedClasses]] = defaultdict(dict)
    for classes in mixed:
        by_size[fallback_size(sum(key[0] for key, _ in classes.parts))][classes.parts] = classes
    for n_lists, group in by_size.items():
        bars = {parts: classes.means for parts, classes in group.items()}
        for parts, n_above in count_drawn_means_above(bars, n_lists, seed=FALLBACK_SEED):
            yield group[parts], Tails(*share_interval(n_above, n_lists)), DRAWN_LISTS

"""Rank lists of items that carry one label or several.

Belongs here: matching on labels, where two items that share a label match on it, two that share none are negatives of
each other, and the rest are neither. Does not belong here: what items and labels are (``matching``), average precision
(``retrieval``).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cpjump_assets.science.arrays import Bools, Floats, Ints
from cpjump_assets.science.counting import count_in_rows
from cpjump_assets.science.retrieval import RankLists, refuse_too_many
from cpjump_assets.science.similarity import TIE

_BYTES_PER_COSINE = 32
"""A cosine, and what comparing it takes at a time."""
_BYTES_PER_PAIR = 72
"""A pair that shares a label: query and item, bar and rank, and what selecting and sorting them takes at a time."""
_CACHE = 8_000_000
"""Bytes of similarities that are worked on at a time, however much memory is allowed: what stays near the cache."""


@dataclass(frozen=True)
class Labelled:
    """Items with their labels.

    Attributes
    ----------
    items
        Number by which an item is known, shape (n_items,).
    unit
        Unit rows, shape (n_items, n_features).
    place, label
        The labels of the items: place of the item in ``items``, and code of the label, shape (n_labels,). Sorted by
        label and place, each pair once.
    """

    items: Ints
    unit: Floats
    place: Ints
    label: Ints

    def keep(self, labels: Bools) -> "Labelled":
        """Drop other labels, and the items that then have none."""
        kept, place = np.unique(self.place[labels], return_inverse=True)
        return Labelled(self.items[kept], self.unit[kept], place, self.label[labels])


def rank_by_label(asking: Labelled, searched: Labelled, *, absolute: bool, max_memory: int) -> RankLists:
    """Rank, for each label of each asking item, the searched items that carry it among those that share no label.

    Parameters
    ----------
    asking, searched
        Who asks and who is searched; may be the same. An item is no positive of itself.
    absolute
        Whether opposite profiles count as similar ones: the absolute cosine.
    max_memory
        Bytes that similarities may take at a time.

    Returns
    -------
    RankLists
        One query per label of ``asking``, in their order.

    Raises
    ------
    ProfileError
        If the pairs that share a label would take more than ``max_memory``.
    """
    query, found = _pairs_with_common_label(asking, searched, max_memory)
    spare = max_memory - len(query) * _BYTES_PER_PAIR
    row = asking.place[query]
    is_positive = asking.items[row] != searched.items[found]
    by_row = np.argsort(row, kind="stable")
    ends = np.searchsorted(row[by_row], np.arange(len(asking.items) + 1))
    above = np.empty(len(query), dtype=np.int64)
    n_negatives = np.empty(len(asking.items), dtype=np.int64)
    for block in _blocks(len(asking.items), _BYTES_PER_COSINE * len(searched.items), spare):
        similarity = asking.unit[block] @ searched.unit.T
        if absolute:
            np.abs(similarity, out=similarity)
        own = by_row[ends[block.start] : ends[block.stop]]
        bars = similarity[row[own] - block.start, found[own]] + TIE
        similarity[row[own] - block.start, found[own]] = -np.inf  # an item that shares a label is no negative
        n_negatives[block] = count_in_rows(similarity > -np.inf)
        above[own] = _count_above(similarity, row[own] - block.start, bars, spare)
    query, above = query[is_positive], above[is_positive]
    n_positives = np.bincount(query, minlength=len(asking.label))
    above = above[np.lexsort((above, query))]  # the more negatives stand above a positive, the later it comes
    within = np.arange(len(above)) - np.repeat(np.cumsum(n_positives) - n_positives, n_positives)
    return RankLists(above + within + 1, n_positives, n_negatives[asking.place])


def _pairs_with_common_label(asking: Labelled, searched: Labelled, max_memory: int) -> tuple[Ints, Ints]:
    """Give all pairs of a query (a label of ``asking``) and the place of an item that carries it, even itself."""
    first = np.searchsorted(searched.label, asking.label, side="left")
    n_found = np.searchsorted(searched.label, asking.label, side="right") - first
    refuse_too_many(int(n_found.sum()), _BYTES_PER_PAIR, max_memory)
    query = np.repeat(np.arange(len(asking.label)), n_found)
    within = np.arange(len(query)) - np.repeat(np.cumsum(n_found) - n_found, n_found)
    return query, searched.place[np.repeat(first, n_found) + within]


def _count_above(similarity: Floats, rows: Ints, bars: Floats, max_memory: int) -> Ints:
    """Count, for each bar, what in its row of similarities exceeds it."""
    above = np.empty(len(bars), dtype=np.int64)
    for block in _blocks(len(bars), _BYTES_PER_COSINE * similarity.shape[1], max_memory):
        above[block] = count_in_rows(similarity[rows[block]] > bars[block, np.newaxis])
    return above


def _blocks(n_rows: int, row_bytes: int, max_memory: int) -> Iterator[slice]:
    """Cut rows that each need so many bytes into blocks that fit."""
    at_a_time = max(1, min(max_memory, _CACHE) // max(row_bytes, 1))
    return (slice(first, min(first + at_a_time, n_rows)) for first in range(0, n_rows, at_a_time))

"""Whether ours and copairs found the same.

Belongs here: comparing average precisions and counts query by query, with the definition as arbiter where they differ.
Does not belong here: time and memory.

copairs rounds similarities to single precision before it ranks. A query whose average precision differs counts as equal
if that rounding alone, done to the query's own list, gives the value of copairs.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from benchmarks.definition import Condition, MatchingCell, condition_of, single_precision_score
from cpjump_assets.science.tasks import DETECTION, SISTER_GUIDES

ROUNDING = 4.5e-16
"""Two sums of the same terms in another order; the difference of average precisions that means equal ranks."""

Arbiter = Callable[[tuple[str, str, str, str]], float]
"""Gives the average precision of a query, rounded as copairs rounds, from its definition."""


def same_queries(own: pd.DataFrame, other: pd.DataFrame, arbiter: Arbiter) -> bool:
    """Say whether both scored the same queries on the same lists.

    Parameters
    ----------
    own, other
        Index ``QUERY``, in any order: n_positives, n_negatives, average_precision.
    arbiter
        Asked about queries whose average precisions differ.
    """
    if len(own) != len(other) or not own.index.is_unique or not own.index.isin(other.index).all():
        return False
    other = other.loc[own.index]
    counts_equal = (own[["n_positives", "n_negatives"]] == other[["n_positives", "n_negatives"]]).all(axis=None)
    differs = (own["average_precision"] - other["average_precision"]).abs() > ROUNDING
    return bool(counts_equal) and all(
        abs(arbiter(query) - value) <= ROUNDING for query, value in other.loc[differs, "average_precision"].items()
    )


def arbiter(layout: pd.DataFrame, X: np.ndarray, cells: Iterable[MatchingCell] = ()) -> Arbiter:
    """Make the arbiter of the wells of a layout, and of the perturbations of some cells."""
    by_name = {(cell.task, cell.cell): cell for cell in cells}

    def score(query: tuple[str, str, str, str]) -> float:
        task, cell, item, label = query
        if task == DETECTION:
            return _score_well(layout, X, condition_of(layout, Condition.parse(cell)), item)
        return _score_perturbation(by_name[task, cell], item, label)

    return score


def _score_well(layout: pd.DataFrame, X: np.ndarray, wells: pd.DataFrame, item: str) -> float:
    """Score a well of the detection task."""
    (row,) = wells.index[wells["Metadata_Plate"] + " " + wells["Metadata_Well"] == item]
    own = layout.loc[row]
    is_positive = (wells["Metadata_broad_sample"] == own["Metadata_broad_sample"]) & (wells.index != row)
    is_control = wells["Metadata_control_type"] == "negcon"
    is_negative = (wells["Metadata_Plate"] == own["Metadata_Plate"]) & (is_control != is_control[row])
    return single_precision_score(X[row], X[wells.index[is_positive]], X[wells.index[is_negative]], absolute=False)


def _score_perturbation(cell: MatchingCell, item: str, label: str) -> float:
    """Score a perturbation of a matching task."""
    (row,) = np.flatnonzero(cell.items["Metadata_broad_sample"] == item)
    positives, negatives = cell.sides_of(int(row), label)
    return single_precision_score(
        cell.X[row], cell.X[positives], cell.X[negatives], absolute=cell.task != SISTER_GUIDES
    )

"""What a task asks, ready to be answered: queries with their ranked positives, classes, and the cells to be scored.

Belongs here: the one form in which every retrieval task hands on what it found, so that p-values, calls and scores are
made for all tasks in one way. Does not belong here: who is compared with whom (``detection``, ``matching``), calls and
scores (``class_scores``, ``answers``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cpjump_assets.science.arrays import Ints
from cpjump_assets.science.retrieval import RankLists
from cpjump_assets.science.tasks import CONDITION, REFERENCE

CELL_KEY = ["subset", "task", *CONDITION, *REFERENCE]
"""What one score is about."""

Columns = Mapping[str, Any]
"""Columns of a table by their names: arrays of numpy or pandas."""


@dataclass(frozen=True)
class Questions:
    """Queries, their classes and their cells.

    Attributes
    ----------
    lists
        Ranks of the positives of each query.
    members
        Class of each query, shape (n_queries,): each class of ``classes`` at least once, or ``retrieval.NO_CLASS``.
    cell_of
        Cell of each query, shape (n_queries,).
    queries
        What the task knows a query by, columns of length n_queries.
    classes
        class_name, Metadata_broad_sample and Metadata_target, columns of length n_classes; the classes of a cell stand
        together.
    families
        Cell of each class, shape (n_classes,), rising.
    cells
        A row is a cell, which is what one score is about, and whose classes are corrected together: ``CELL_KEY``,
        n_profiles, n_negative_controls, same_well_share; ``nothing_asked`` says why a cell without queries has none.
    """

    lists: RankLists
    members: Ints
    cell_of: Ints
    queries: Columns
    classes: Columns
    families: Ints
    cells: pd.DataFrame

    def cell_columns(self, cells: Ints) -> dict[str, Any]:
        """Give the key of some cells as columns."""
        return {name: self.cells[name].array.take(cells) for name in CELL_KEY}

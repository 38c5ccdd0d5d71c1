"""The tasks read from their definition, one query at a time: what is handed to copairs, and the arbiter.

Belongs here: consensus profiles, labels and cells of the matching tasks; who is a positive and a negative of a query;
and its average precision as copairs rounds it. Does not belong here: the implementations that are compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from cpjump_assets.science.tasks import CONDITION, GENE_COMPOUND, SISTER_COMPOUNDS, SISTER_GUIDES

QUERY = ["task", "cell", "item", "label"]
"""Names a query in every table of the benchmarks: an item of a cell asks for others of its label."""
CLASS = ["task", "cell", "label"]


class Condition(NamedTuple):
    """Modality, cell line and time point in hours."""

    experiment_type: str
    cell_line: str
    timepoint: int

    def __str__(self) -> str:
        """Write the condition as it stands in the name of a cell."""
        return f"{self.experiment_type} {self.cell_line} {self.timepoint} h"

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Read what ``str`` wrote."""
        experiment_type, cell_line, hours, _ = text.split(" ")
        return cls(experiment_type, cell_line, int(hours))


_CONDITION = CONDITION[: len(Condition._fields)]


@dataclass(frozen=True)
class MatchingCell:
    """A matching task in one condition, or between two.

    Attributes
    ----------
    task, cell
        Its name, and the condition or the two conditions, ``query x reference``.
    items
        Metadata_broad_sample, Metadata_experiment_type, and ``labels``, a list of genes for each.
    X
        Their consensus profiles, shape (n_items, n_features).
    """

    task: str
    cell: str
    items: pd.DataFrame
    X: np.ndarray

    def sides_of(self, item: int, label: str) -> tuple[np.ndarray, np.ndarray]:
        """Give the positives and the negatives of an item that asks for others with a label.

        Both have the label: positive. Not one label in common: negative. Between modalities, only items of the other
        one are looked at.
        """
        labels, kind = self.items["labels"], self.items["Metadata_experiment_type"]
        allowed = np.arange(len(self.items)) != item
        if self.task == GENE_COMPOUND:
            allowed &= (kind != kind.iloc[item]).to_numpy()
        has_label = np.array([label in own for own in labels])
        is_disjoint = np.array([set(own).isdisjoint(labels.iloc[item]) for own in labels])
        return np.flatnonzero(allowed & has_label), np.flatnonzero(allowed & is_disjoint)


def condition_of(layout: pd.DataFrame, condition: Condition) -> pd.DataFrame:
    """Give the wells of a condition, with their own index."""
    return layout[(layout[_CONDITION] == list(condition)).all(axis=1)]


def conditions(layout: pd.DataFrame) -> list[Condition]:
    """List the conditions of a layout."""
    rows = layout[_CONDITION].drop_duplicates().sort_values(_CONDITION)
    return [Condition(*row) for row in rows.itertuples(index=False)]


def matching_cells(layout: pd.DataFrame, X: np.ndarray, detected: pd.DataFrame) -> Iterator[MatchingCell]:
    """Give every cell of the three matching tasks: 4 + 4 + 16 with the real layout.

    Parameters
    ----------
    layout, X
        Wells, index 0 to n - 1, and their profiles.
    detected
        The perturbations that take part: condition and Metadata_broad_sample.
    """
    consensus = {one: _consensus(layout, X, detected, one) for one in conditions(layout)}
    for condition, (items, values) in consensus.items():
        if condition.experiment_type == "Compound":
            yield MatchingCell(SISTER_COMPOUNDS, str(condition), items, values)
        elif condition.experiment_type == "CRISPR":
            has_sister = items["Metadata_target"].duplicated(keep=False).to_numpy()
            kept = items[has_sister].reset_index(drop=True)
            yield MatchingCell(SISTER_GUIDES, str(condition), kept, values[has_sister])
    for query, compounds in consensus.items():
        for reference, genes in consensus.items():
            is_cell = query.experiment_type == "Compound" != reference.experiment_type
            if is_cell and query.cell_line == reference.cell_line:
                yield _gene_compound(f"{query} x {reference}", compounds, genes)


def _consensus(
    layout: pd.DataFrame, X: np.ndarray, detected: pd.DataFrame, condition: Condition
) -> tuple[pd.DataFrame, np.ndarray]:
    """Give the perturbations of a condition that were detected, and the median profile of each."""
    chosen = condition_of(detected, condition)["Metadata_broad_sample"]
    wells = condition_of(layout, condition)
    wells = wells[wells["Metadata_broad_sample"].isin(chosen) & wells["Metadata_target_list"].notna()]
    medians = pd.DataFrame(X[wells.index]).groupby(wells["Metadata_broad_sample"].to_numpy()).median()
    columns = ["Metadata_broad_sample", "Metadata_experiment_type", "Metadata_target", "Metadata_target_list"]
    items = wells[columns].drop_duplicates("Metadata_broad_sample").sort_values("Metadata_broad_sample")
    items = items.assign(labels=[text.split("|") for text in items["Metadata_target_list"]]).reset_index(drop=True)
    return items, medians.loc[items["Metadata_broad_sample"]].to_numpy()


def _gene_compound(
    cell: str, compounds: tuple[pd.DataFrame, np.ndarray], genes: tuple[pd.DataFrame, np.ndarray]
) -> MatchingCell:
    """Put compounds and reagents of genes together; a compound keeps the targets that a reagent of the cell has."""
    items, values = compounds
    present = set(genes[0]["Metadata_target"])
    cut = [[label for label in labels if label in present] for labels in items["labels"]]
    kept = np.array([bool(labels) for labels in cut], dtype=bool)
    together = pd.concat([items.assign(labels=cut)[kept], genes[0]], ignore_index=True)
    return MatchingCell(GENE_COMPOUND, cell, together, np.concatenate([values[kept], genes[1]]))


def single_precision_score(query: np.ndarray, positives: np.ndarray, negatives: np.ndarray, *, absolute: bool) -> float:
    """Score one query from the definition, with similarities rounded as copairs rounds them before it ranks.

    Parameters
    ----------
    query
        Its profile, shape (n_features,).
    positives, negatives
        Profiles, shape (n, n_features).
    absolute
        Whether opposite profiles are alike.
    """
    listed = np.concatenate([positives, negatives])
    similarity = np.sum(
        query / np.linalg.norm(query) * (listed / np.linalg.norm(listed, axis=1)[:, np.newaxis]), axis=1
    )
    rounded = (np.abs(similarity) if absolute else similarity).astype(np.float32)
    order = np.argsort(1 - rounded, kind="stable")
    ranks = np.flatnonzero(order < len(positives)) + 1
    return float((np.arange(1, len(ranks) + 1) / ranks).mean())

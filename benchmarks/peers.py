"""copairs 0.5.5 on the tasks of the benchmark.

Belongs here: the call of copairs that realises each task, timed, and its answers as tables of queries and classes. Does
not belong here: who takes part (``definition``), which is not timed.

Times are those of copairs' own functions from arrays to calls; consensus profiles and lists of labels are made before
the clock starts.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.definition import CLASS, QUERY, MatchingCell, condition_of, conditions
from benchmarks.processes import processor_seconds
from cpjump_assets.science.tasks import DETECTION, GENE_COMPOUND, SISTER_GUIDES

NULL_SIZE = 100_000
SEED = 0
_QUIET = {"progress_bar": False}


class Answers(NamedTuple):
    """What an implementation answered.

    Attributes
    ----------
    queries
        Index ``QUERY``: n_positives, n_negatives, average_precision.
    classes
        Index ``CLASS``: mean_average_precision, p_value, q_value.
    """

    queries: pd.DataFrame
    classes: pd.DataFrame


@dataclass(frozen=True)
class Call:
    """Arguments of copairs for one task in one cell.

    ``item`` and ``label`` are the columns that name a query; with ``many_labels``, ``label`` holds lists.
    """

    task: str
    cell: str
    items: pd.DataFrame
    X: np.ndarray
    rule: dict[str, list[str]]
    distance: str
    item: str
    label: str
    many_labels: bool

    def average_precision(self) -> pd.DataFrame:
        """Score every query."""
        from copairs.map import average_precision, multilabel

        if self.many_labels:
            return multilabel.average_precision(
                self.items, self.X, **self.rule, multilabel_col=self.label, distance=self.distance, **_QUIET
            )
        return average_precision(self.items, self.X, **self.rule, distance=self.distance, **_QUIET)

    def classes(self, queries: pd.DataFrame, cache: Path) -> pd.DataFrame:
        """Give p and call of every class; negative controls are none."""
        from copairs.map import mean_average_precision

        return mean_average_precision(
            queries[~queries["negcon"]] if "negcon" in queries else queries,
            [self.label],
            null_size=NULL_SIZE,
            threshold=0.05,
            seed=SEED,
            max_workers=1,
            cache_dir=cache,
            **_QUIET,
        )

    def named(self, table: pd.DataFrame, **names: str) -> pd.DataFrame:
        """Add what the rows of a table are about, by the names of ``QUERY`` or ``CLASS``."""
        return table.assign(task=self.task, cell=self.cell, **{name: table[column] for name, column in names.items()})


def detection_calls(layout: pd.DataFrame, X: np.ndarray) -> Iterator[Call]:
    """Ask every well for the others of its sample in its condition, among the negative controls of its plate."""
    wells = layout.assign(
        negcon=layout["Metadata_control_type"] == "negcon",
        well=layout["Metadata_Plate"] + " " + layout["Metadata_Well"],
    )
    rule = {
        "pos_sameby": ["Metadata_broad_sample"],
        "pos_diffby": [],
        "neg_sameby": ["Metadata_Plate"],
        "neg_diffby": ["negcon"],
    }
    for condition in conditions(wells):
        own = condition_of(wells, condition)
        yield Call(
            DETECTION,
            str(condition),
            own,
            X[own.index],
            rule=rule,
            distance="cosine",
            item="well",
            label="Metadata_broad_sample",
            many_labels=False,
        )


def matching_calls(cells: Iterable[MatchingCell]) -> Iterator[Call]:
    """Ask every consensus profile for the others of each of its targets.

    For guides the target is one column of one gene; else items have several labels, are positives when they share the
    one that is asked for and negatives when they share none.
    """
    for cell in cells:
        is_guides = cell.task == SISTER_GUIDES
        label = "Metadata_target" if is_guides else "labels"
        modality = ["Metadata_experiment_type"] if cell.task == GENE_COMPOUND else []
        yield Call(
            cell.task,
            cell.cell,
            cell.items,
            cell.X,
            rule={"pos_sameby": [label], "pos_diffby": modality, "neg_sameby": [], "neg_diffby": [label, *modality]},
            distance="cosine" if is_guides else "abs_cosine",
            item="Metadata_broad_sample",
            label=label,
            many_labels=not is_guides,
        )


def answer(calls: Iterable[Call], cache: Path) -> tuple[float, Answers]:
    """Give the seconds and the answers of some calls; nulls that are not in the folder are drawn and put there."""
    import copairs.map  # noqa: F401 - imported before the clock starts

    seconds, queries, classes = 0.0, [], []
    for call in list(calls):
        start = processor_seconds()
        scored = call.average_precision()
        called = call.classes(scored, cache)
        seconds += processor_seconds() - start
        queries.append(call.named(scored, item=call.item, label=call.label))
        classes.append(call.named(called, label=call.label))
    table = pd.concat(classes).set_index(CLASS).rename(columns={"corrected_p_value": "q_value"})
    return seconds, Answers(_query_table(queries), table[["mean_average_precision", "p_value", "q_value"]])


def precisions(calls: Iterable[Call]) -> pd.DataFrame:
    """Give the average precisions of some calls alone."""
    return _query_table([call.named(call.average_precision(), item=call.item, label=call.label) for call in calls])


def random_precisions(sizes: Iterable[tuple[int, int]], cache: Path) -> dict[tuple[int, int], np.ndarray]:
    """Draw the random lists for all sizes, (n_positives, n_negatives), at once, and leave them for ``answer``.

    copairs seeds a null by its place in the call that first needs it, so that with a cache that calls share, two nulls
    can have one seed; of lists of one length, they are then drawn alike. A class that has both got p = .879 where
    independent draws give .901. Drawn in one call, each has a seed of its own, but for chance.

    Returns
    -------
    dict of ndarray, shape (NULL_SIZE,)
        The rising average precisions of each size.
    """
    from copairs.compute import get_null_dists

    known = sorted(set(sizes))
    configurations = np.array([(n_positives, n_positives + n_negatives) for n_positives, n_negatives in known])
    nulls = get_null_dists(configurations, NULL_SIZE, seed=SEED, cache_dir=cache, **_QUIET)
    return dict(zip(known, np.sort(nulls, axis=1), strict=True))


def _query_table(parts: list[pd.DataFrame]) -> pd.DataFrame:
    table = pd.concat(parts).set_index(QUERY).rename(columns={"n_pos_pairs": "n_positives"})
    table["n_negatives"] = table["n_total_pairs"] - table["n_positives"]
    return table[["n_positives", "n_negatives", "average_precision"]]

"""Our side of every measurement.

Belongs here: the call of the package for each workload, timed from arrays in memory to calls, and its answers by the
names that the answers of the peer have. Does not belong here: what the package does.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmarks.definition import CLASS, QUERY, Condition
from benchmarks.peers import Answers
from benchmarks.processes import median_run
from cpjump_assets.science.answers import Answers as Scored
from cpjump_assets.science.benchmark import score_benchmark
from cpjump_assets.science.class_scores import MetricConfig, MetricMode
from cpjump_assets.science.detection import detect
from cpjump_assets.science.matching import match
from cpjump_assets.science.tasks import CONDITION, DETECTION, GENE_COMPOUND, MATCHING_TASKS, REFERENCE

RUNS = 9
BOTH_HAVE = (DETECTION, *MATCHING_TASKS)
"""The tasks that copairs is asked, too: 12 + 4 + 4 + 16 cells."""
_QUERY_COLUMNS = ["n_positives", "n_negatives", "average_precision", "p_value"]


def detection(layout: pd.DataFrame, X: np.ndarray) -> tuple[float, Answers]:
    """Detect, by the rule of 2024."""
    seconds, found = median_run(lambda: detect(layout, X), RUNS)
    return seconds, named(found)


def matching(
    layout: pd.DataFrame, X: np.ndarray, detected: pd.DataFrame, tasks: Sequence[str]
) -> tuple[float, Answers]:
    """Match what was detected, by the rule of 2024; making consensus profiles is part of it."""
    seconds, found = median_run(lambda: match(layout, X, detected, tasks=tasks), RUNS)
    return seconds, named(found)


def everything(layout: pd.DataFrame, X: np.ndarray, mode: MetricMode) -> tuple[float, Answers]:
    """Detect, and match what was detected."""
    config = MetricConfig(metric_mode=mode)
    seconds, found = median_run(lambda: score_benchmark(layout, X, config=config, tasks=BOTH_HAVE), RUNS)
    return seconds, named(found)


def detected(classes: pd.DataFrame) -> pd.DataFrame:
    """Give the perturbations that were retrieved in detection, as ``match`` takes them."""
    return classes[(classes["task"] == DETECTION) & classes["retrieved"]]


def named(found: Scored) -> Answers:
    """Give classes and queries by the names of the benchmarks, without queries that cannot be scored."""
    queries = found.queries[found.queries["average_precision"].notna()]
    is_well = (queries["task"] == DETECTION).to_numpy()
    wells, perturbations = queries[is_well], queries[~is_well]
    parts = []
    if len(wells):
        place = wells["Metadata_Plate"] + " " + wells["Metadata_Well"]
        parts.append(wells.assign(item=place, label=wells["Metadata_broad_sample"]))
    if len(perturbations):
        parts.append(
            perturbations.assign(item=perturbations["Metadata_broad_sample"], label=perturbations["class_name"])
        )
    table = pd.concat(parts)
    return Answers(
        table.assign(cell=_cells(table)).set_index(QUERY)[_QUERY_COLUMNS],
        found.classes.assign(cell=_cells(found.classes), label=found.classes["class_name"]).set_index(CLASS),
    )


def _cells(table: pd.DataFrame) -> list[str]:
    """Name the cell of each row: a condition, or between modalities two."""
    keys = table[["task", *CONDITION[:3], *REFERENCE[:2]]].itertuples(index=False, name=None)
    return [
        str(Condition(kind, line, hours))
        + (f" x {Condition(other_kind, line, other_hours)}" if task == GENE_COMPOUND else "")
        for task, kind, line, hours, other_kind, other_hours in keys
    ]

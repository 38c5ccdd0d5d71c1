"""Every rule by which the platform scores: what stands in the benchmark tables.

Belongs here: the lists of rules, putting their tables together, and finding the rows of one again. Does not belong
here: any score (``benchmark``, ``percent_scores``, ``directionality``).
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from cpjump_assets.science.benchmark import score_benchmark
from cpjump_assets.science.class_scores import METRIC_MODES, MetricConfig
from cpjump_assets.science.directionality import DIRECTIONAL_PAIRS, DIRECTIONALITY, Directionality, directionality
from cpjump_assets.science.percent_scores import PercentConfig, percent_scores
from cpjump_assets.science.score_tables import CLASSES, PERCENT_SCORES, SCORES
from cpjump_assets.science.tasks import WELL_SELECTIONS

RETRIEVAL_RULES = tuple(
    MetricConfig(metric_mode=mode, wells=wells) for wells in WELL_SELECTIONS for mode in METRIC_MODES
)
"""Both published rules, on all wells and on the inner ones."""
PAPER_RULE = MetricConfig().rule()
"""The columns that name the rule of the 2024 paper on all wells: what is shown where one rule must do."""
PERCENT_RULES = tuple(PercentConfig(wells=wells) for wells in WELL_SELECTIONS)


class Retrieval(NamedTuple):
    """``CLASSES`` and ``SCORES`` of all tasks by every rule, sorted by key."""

    classes: pd.DataFrame
    scores: pd.DataFrame


def score_by_every_rule(metadata: pd.DataFrame, X: npt.NDArray[np.floating], **options: Any) -> Retrieval:
    """Score all tasks by every rule; options and errors are those of ``benchmark.score_benchmark``."""
    answers = [score_benchmark(metadata, X, config=rule, **options) for rule in RETRIEVAL_RULES]
    return Retrieval(
        CLASSES.normalise(pd.concat([answer.classes for answer in answers], ignore_index=True), CLASSES.name),
        SCORES.normalise(pd.concat([answer.scores for answer in answers], ignore_index=True), SCORES.name),
    )


def percents_by_every_rule(metadata: pd.DataFrame, X: npt.NDArray[np.floating], **options: Any) -> pd.DataFrame:
    """Give both percent scores by every rule; options and errors are those of ``percent_scores.percent_scores``."""
    tables = [percent_scores(metadata, X, config=rule, **options) for rule in PERCENT_RULES]
    return PERCENT_SCORES.normalise(pd.concat(tables, ignore_index=True), PERCENT_SCORES.name)


def directions_by_every_rule(metadata: pd.DataFrame, X: npt.NDArray[np.floating], **options: Any) -> Directionality:
    """Test directions on all wells and on the inner ones; options and errors are those of ``directionality``."""
    found = [directionality(metadata, X, wells=wells, **options) for wells in WELL_SELECTIONS]
    return Directionality(
        DIRECTIONALITY.normalise(pd.concat([part.scores for part in found], ignore_index=True), DIRECTIONALITY.name),
        DIRECTIONAL_PAIRS.normalise(
            pd.concat([part.pairs for part in found], ignore_index=True), DIRECTIONAL_PAIRS.name
        ),
    )


def rows_of(table: pd.DataFrame, **wanted: str | float) -> pd.DataFrame:
    """Give the rows that have the wanted value in each of the named columns."""
    return table[(table[list(wanted)] == list(wanted.values())).all(axis="columns")]

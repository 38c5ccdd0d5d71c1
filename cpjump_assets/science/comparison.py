"""Published figures beside ours.

Belongs here: which of our scores answers which published figure, and the verdict. Does not belong here: the published
numbers (``cpjump_assets.published``), how ours come about (``detection``), reading files.
"""

import numpy as np
import pandas as pd

from cpjump_assets.science.class_scores import MetricConfig
from cpjump_assets.science.detection import EVERY_WELL

TOLERANCE = 0.009
"""Greatest difference between two runs of the authors, whose nulls were drawn without a seed."""

_PRINTED_DIGITS = 3
_ASKED = ["task", "Metadata_experiment_type", "Metadata_cell_line", "Metadata_timepoint_code"]


def compare_with_published(published: pd.DataFrame, scores: pd.DataFrame, *, simulated: bool) -> pd.DataFrame:
    """Lay every published figure beside our score of the same task and condition.

    Parameters
    ----------
    published
        A row is a figure of one run of the authors: figure, task, condition, fraction_retrieved, release, run, source.
    scores
        Our scores on all wells. Only rows by the rule of the publication take part: mode ``paper_2024``, its p.
    simulated
        Whether the profiles behind ``scores`` are simulated. Then nothing is compared, and ``ours`` stays missing.

    Returns
    -------
    DataFrame
        One row per row of ``published``: figure, task, condition, release, run, published, ours, difference, tolerance,
        verdict, source. Differences are taken at the three digits that were printed. Sorted by figure, task, condition,
        run.
    """
    rule = MetricConfig()
    by_rule = (
        (scores["metric_mode"] == rule.metric_mode)
        & (scores["p_convention"] == rule.p_label)
        & (scores["subset"] == EVERY_WELL)
        & (scores["wells"] == EVERY_WELL)
    )
    answers = scores.loc[by_rule & (not simulated), [*_ASKED, "fraction_retrieved"]]
    table = published.rename(columns={"fraction_retrieved": "published"}).merge(
        answers.rename(columns={"fraction_retrieved": "ours"}), on=_ASKED, how="left", validate="many_to_one"
    )
    table["difference"] = (table["ours"] - table["published"]).round(_PRINTED_DIGITS)
    table["tolerance"] = TOLERANCE
    table["verdict"] = _verdicts(table["difference"], simulated=simulated)
    columns = ["figure", *_ASKED, "release", "run", "published", "ours", "difference", "tolerance", "verdict", "source"]
    return table[columns].sort_values(["figure", *_ASKED, "run"], ignore_index=True)


def _verdicts(difference: pd.Series, *, simulated: bool) -> pd.Series:
    """Say of each difference whether ours reproduces the figure."""
    missing = "not compared: simulated data" if simulated else "not compared: no score of ours"
    compared = np.where(difference.abs() <= TOLERANCE, "reproduces", "differs")
    return pd.Series(compared, index=difference.index, dtype="str").mask(difference.isna(), missing)

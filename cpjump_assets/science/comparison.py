"""Published figures beside ours.

Belongs here: what a published figure is, which of our scores answers it, how far apart the two may be, and the verdict.
Does not belong here: the published numbers (``cpjump_assets.published``), how ours come about (``benchmark``,
``percent_scores``, ``directionality``), reading files.
"""

import numpy as np
import pandas as pd

from cpjump_assets.science.rules import PAPER_RULE, rows_of
from cpjump_assets.science.schemas import CELL_LINES, EXPERIMENT_TYPES, TIMEPOINT_CODES, Column, TableSchema
from cpjump_assets.science.tasks import DETECTION, EVERY_WELL, TASKS

FRACTION_RETRIEVED = "fraction retrieved"
CLASSES = "classes"
ODDS_RATIO = "odds ratio"
PERCENT_REPLICATING = "percent replicating"
PERCENT_MATCHING = "percent matching"
STATISTICS = (FRACTION_RETRIEVED, CLASSES, ODDS_RATIO, PERCENT_REPLICATING, PERCENT_MATCHING)

DIRECTIONALITY = "directionality"
POOLED = "pooled"
"""Time point of a figure that takes the time points of a modality together."""

FRACTION_TOLERANCE = 0.009
"""Greatest difference between two runs of one release of the authors, whose nulls were drawn without a seed."""
CLASSES_TOLERANCE = 2.0
"""Greatest difference between two runs of the authors in matching, where only detected perturbations take part. What
is detected changes from run to run; the layout does not, so that in detection the count itself is asked for."""
ODDS_RATIO_TOLERANCE = 0.2
"""A guess of ours, for nothing published says: the authors' target lists give 466 same-target pairs of a compound and a
gene, those of another release 461. Leaving 5 of the 466 out at random, each with all its four pairs of time points,
moves each of the four published ratios by less than this in 95 % of draws."""
PERCENT_TOLERANCE = 3.0
"""In percentage points; a guess of ours: nulls were drawn without a seed, and only one run of each release is known."""

_TOLERANCES = {
    FRACTION_RETRIEVED: FRACTION_TOLERANCE,
    CLASSES: CLASSES_TOLERANCE,
    ODDS_RATIO: ODDS_RATIO_TOLERANCE,
    PERCENT_REPLICATING: PERCENT_TOLERANCE,
    PERCENT_MATCHING: PERCENT_TOLERANCE,
}
PRINTED_DIGITS = {FRACTION_RETRIEVED: 3, CLASSES: 0, ODDS_RATIO: 2, PERCENT_REPLICATING: 1, PERCENT_MATCHING: 1}
"""Digits behind the point that were printed, by statistic."""

REPRODUCES = "reproduces"
DIFFERS = "differs"
SIMULATED = "not compared: simulated data"
NO_SCORE = "not compared: no score of ours"
VERDICTS = (REPRODUCES, DIFFERS, SIMULATED, NO_SCORE)

_CONDITION = (
    Column("Metadata_experiment_type", "string", "modality", allowed=EXPERIMENT_TYPES),
    Column("Metadata_cell_line", "string", "cell line", allowed=CELL_LINES),
    Column(
        "Metadata_timepoint_code",
        "string",
        "low: the earlier of the modality's two times (the papers' short), high: the later (long), pooled: both",
        allowed=(*TIMEPOINT_CODES, POOLED),
    ),
    Column("reference_experiment_type", "string", "modality that is searched", allowed=EXPERIMENT_TYPES),
    Column("reference_timepoint_code", "string", "the same, of what is searched", allowed=(*TIMEPOINT_CODES, POOLED)),
)
_TASKS = (*TASKS, "percent_replicating", "percent_matching", DIRECTIONALITY)
_AT_LEAST_NOTHING = (0.0, float("inf"))
_FIGURE = (
    Column("figure", "string", "figure of the publication; S: supplementary table"),
    Column("task", "string", "what was asked of the profiles", allowed=_TASKS),
    Column("statistic", "string", "what the number is", allowed=STATISTICS),
    *_CONDITION,
    Column("release", "integer", "year of the publication or of the recomputed table"),
    Column("run", "string", "which run of the authors; two of their runs differ in places"),
    Column("published", "number", "as printed; fractions from 0 to 1, percent from 0 to 100", bounds=_AT_LEAST_NOTHING),
)
_SOURCE = Column("source", "string", "where the number stands")
_KEY = tuple(column.name for column in _FIGURE if column.name != "published")

PUBLISHED_FIGURES = TableSchema("published_figures", "a number that the authors printed", _KEY, (*_FIGURE, _SOURCE))

PUBLISHED_COMPARISON = TableSchema(
    "published_comparison",
    "a published figure beside ours",
    _KEY,
    (
        *_FIGURE,
        Column("ours", "number", "the same from here; missing where not compared", True, bounds=_AT_LEAST_NOTHING),
        Column("difference", "number", "ours - published, at the digits printed", nullable=True),
        Column("tolerance", "number", "greatest difference that still reproduces", bounds=_AT_LEAST_NOTHING),
        Column("verdict", "string", "whether ours reproduces the figure", allowed=VERDICTS),
        _SOURCE,
    ),
)

_ASKED = ["task", "statistic", *(column.name for column in _CONDITION)]

_AS_PUBLISHED = {"compound_gene": "corrected", "orf_crispr": "published_table"}
"""The variant of each comparison of directions that was published."""


def compare_with_published(
    published: pd.DataFrame,
    scores: pd.DataFrame,
    percents: pd.DataFrame,
    directions: pd.DataFrame,
    *,
    simulated: bool,
) -> pd.DataFrame:
    """Lay every published figure beside our score of the same task, statistic and condition.

    Parameters
    ----------
    published
        A row is a figure of one run of the authors, as ``PUBLISHED_FIGURES``.
    scores
        Our retrieval scores. Only rows by the rule of the publication take part: mode ``paper_2024`` with the default
        p, subset and wells ``all``.
    percents
        Our Percent Replicating and Percent Matching. Only rows of subset and wells ``all`` take part.
    directions
        Our directionality scores. Only rows of subset and wells ``all`` take part: compound-gene with thresholds of
        their own pairs (variant ``corrected``), ORF-CRISPR made as the authors made it (``published_table``).
    simulated
        Whether the profiles behind our scores are simulated. Then nothing is compared, and ``ours`` stays missing.

    Returns
    -------
    DataFrame
        One row per row of ``published``, as ``PUBLISHED_COMPARISON``, sorted by its key. Where two runs of the authors
        differ, ours stands beside both. The class counts of matching depend on which perturbations are detected, so
        that real profiles alone can reproduce them.
    """
    answers = pd.concat(
        [
            _retrieval(scores, FRACTION_RETRIEVED, "fraction_retrieved"),
            _retrieval(scores, CLASSES, "n_classes"),
            _percents(percents),
            _odds_ratios(directions),
        ],
        ignore_index=True,
    )
    answers = answers.iloc[:0] if simulated else answers
    table = published.merge(answers, on=_ASKED, how="left", validate="many_to_one")
    table["difference"] = _at_printed_digits(table["ours"] - table["published"], table["statistic"])
    table["tolerance"] = (
        table["statistic"].map(_TOLERANCES).mask((table["statistic"] == CLASSES) & (table["task"] == DETECTION), 0.0)
    )
    table["verdict"] = _verdicts(table["difference"], table["tolerance"], simulated=simulated)
    return PUBLISHED_COMPARISON.normalise(table, PUBLISHED_COMPARISON.name)


def coverage(comparison: pd.DataFrame) -> pd.DataFrame:
    """Count what became of the published figures of each statistic.

    Parameters
    ----------
    comparison
        As ``PUBLISHED_COMPARISON``.

    Returns
    -------
    DataFrame
        A row per statistic, in the order of ``STATISTICS``: statistic, n_published, n_compared, n_reproduced,
        n_differing.
    """
    verdict = comparison["verdict"]
    counts = {
        "n_published": verdict.notna(),
        "n_compared": verdict.isin([REPRODUCES, DIFFERS]),
        "n_reproduced": verdict == REPRODUCES,
        "n_differing": verdict == DIFFERS,
    }
    by_statistic = pd.DataFrame(counts).groupby(comparison["statistic"]).sum()
    return by_statistic.reindex(STATISTICS, fill_value=0).rename_axis("statistic").reset_index()


def _retrieval(scores: pd.DataFrame, statistic: str, column: str) -> pd.DataFrame:
    """Give one column of the scores by the published rule as answers; a score without classes answers nothing."""
    chosen = rows_of(scores, subset=EVERY_WELL, **PAPER_RULE)
    return _answers(chosen[chosen["n_classes"] > 0].assign(statistic=statistic), column)


def _percents(percents: pd.DataFrame) -> pd.DataFrame:
    chosen = rows_of(percents, subset=EVERY_WELL, wells=EVERY_WELL)
    return _answers(chosen.assign(task=chosen["metric"], statistic=chosen["metric"].str.replace("_", " ")), "percent")


def _odds_ratios(directions: pd.DataFrame) -> pd.DataFrame:
    everywhere = rows_of(directions, subset=EVERY_WELL, wells=EVERY_WELL)
    chosen = pd.concat(
        [rows_of(everywhere, comparison=comparison, variant=v) for comparison, v in _AS_PUBLISHED.items()]
    )
    named = chosen.rename(columns={"query_experiment_type": "Metadata_experiment_type"}).assign(
        task=DIRECTIONALITY, statistic=ODDS_RATIO, Metadata_timepoint_code=POOLED, reference_timepoint_code=POOLED
    )
    return _answers(named, "odds_ratio")


def _answers(named: pd.DataFrame, column: str) -> pd.DataFrame:
    return named[_ASKED].assign(ours=named[column].astype("float64"))


def _at_printed_digits(difference: pd.Series, statistic: pd.Series) -> pd.Series:
    scale = 10.0 ** statistic.map(PRINTED_DIGITS)
    return (difference * scale).round() / scale


def _verdicts(difference: pd.Series, tolerance: pd.Series, *, simulated: bool) -> pd.Series:
    """Say of each difference whether ours reproduces the figure."""
    compared = np.where(difference.abs() <= tolerance, REPRODUCES, DIFFERS)
    missing = SIMULATED if simulated else NO_SCORE
    return pd.Series(compared, index=difference.index, dtype="str").mask(difference.isna(), missing)

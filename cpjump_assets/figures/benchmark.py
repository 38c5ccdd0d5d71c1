"""The figures of the papers that the benchmark tables hold, by name.

Belongs here: which figure is made of which rows. Does not belong here: how one is drawn (``retrieval``,
``directionality``, ``percent``), where the files go (``orchestration``).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import pandas as pd
from matplotlib.figure import Figure

from cpjump_assets.figures.directionality import directionality_figure
from cpjump_assets.figures.percent import percent_figure
from cpjump_assets.figures.retrieval import retrieval_figure
from cpjump_assets.science import tasks
from cpjump_assets.science.directionality import COMPOUND_GENE, ORF_CRISPR
from cpjump_assets.science.rules import rows_of
from cpjump_assets.science.tasks import EVERY_WELL, PERCENT_MATCHING, PERCENT_REPLICATING


@dataclass(frozen=True)
class BenchmarkTables:
    """The tables that figures are made of, each with every rule that it holds.

    Attributes
    ----------
    classes, scores
        ``CLASSES`` and ``SCORES``.
    percents
        ``PERCENT_SCORES``.
    directions, pairs
        ``DIRECTIONALITY`` and ``DIRECTIONAL_PAIRS``.
    """

    classes: pd.DataFrame
    scores: pd.DataFrame
    percents: pd.DataFrame
    directions: pd.DataFrame
    pairs: pd.DataFrame


@dataclass(frozen=True)
class PaperFigure:
    """A figure of a paper.

    Attributes
    ----------
    title
        What it shows, in a line.
    draw
        Makes it of tables of one rule.
    """

    title: str
    draw: Callable[[BenchmarkTables], Figure]


def _retrieval(*of: str) -> Callable[[BenchmarkTables], Figure]:
    return lambda tables: retrieval_figure(tables.classes, tables.scores, *of)


def _directionality(comparison: str) -> Callable[[BenchmarkTables], Figure]:
    return lambda tables: directionality_figure(tables.pairs, tables.directions, comparison)


def _percent(metric: str) -> Callable[[BenchmarkTables], Figure]:
    return lambda tables: percent_figure(tables.percents, metric)


PAPER_FIGURES: dict[str, PaperFigure] = {
    "figure_4a": PaperFigure("perturbation detection", _retrieval(tasks.DETECTION)),
    "figure_4b": PaperFigure(
        "matching of sister compounds and sister guides", _retrieval(tasks.SISTER_COMPOUNDS, tasks.SISTER_GUIDES)
    ),
    "figure_4c": PaperFigure("matching of compounds and gene reagents", _retrieval(tasks.GENE_COMPOUND)),
    "extended_data_1": PaperFigure(
        "detection of ORFs in the same well position and in another one",
        _retrieval(tasks.ORF_SAME_WELL, tasks.ORF_DIFFERENT_WELL),
    ),
    "figure_5a": PaperFigure("directionality of ORF and CRISPR reagents of one gene", _directionality(ORF_CRISPR)),
    "figure_5b": PaperFigure(
        "directionality of compounds and gene reagents of one target", _directionality(COMPOUND_GENE)
    ),
    "percent_replicating": PaperFigure("Percent Replicating", _percent(PERCENT_REPLICATING)),
    "percent_matching": PaperFigure("Percent Matching", _percent(PERCENT_MATCHING)),
}
"""Fig. 4, Fig. 5 and Extended Data Fig. 1 of the 2024 paper, Fig. 1 and 2 of the 2021 paper, by the name of a file."""


def benchmark_figures(
    tables: BenchmarkTables,
    *,
    metric_mode: str = "paper_2024",
    wells: str = EVERY_WELL,
    subset: str = EVERY_WELL,
) -> dict[str, Figure]:
    """Draw every figure of the papers from the rows of one rule, by the name that ``PAPER_FIGURES`` gives it.

    Parameters
    ----------
    tables
        All rows, of any rules.
    metric_mode, wells, subset
        The rows to draw; only retrieval has a metric mode.

    Raises
    ------
    BadTableError
        If a table lacks such rows, or holds them for several conventions of p or strategies.
    """
    chosen = rows_of_rule(tables, metric_mode=metric_mode, wells=wells, subset=subset)
    return {name: figure.draw(chosen) for name, figure in PAPER_FIGURES.items()}


def rows_of_rule(
    tables: BenchmarkTables,
    *,
    metric_mode: str = "paper_2024",
    wells: str = EVERY_WELL,
    subset: str = EVERY_WELL,
) -> BenchmarkTables:
    """Choose the rows that a figure shows; parameters are those of ``benchmark_figures``."""
    rule = {"metric_mode": metric_mode, "wells": wells, "subset": subset}
    return BenchmarkTables(**{field.name: _rows_of(rule, getattr(tables, field.name)) for field in fields(tables)})


def _rows_of(rule: dict[str, str], table: pd.DataFrame) -> pd.DataFrame:
    """Choose the rows of a rule, by the columns that the table has."""
    return rows_of(table, **{column: value for column, value in rule.items() if column in table})

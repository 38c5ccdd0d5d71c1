"""How the scores of a demo look in a terminal: a few tables of 80 columns.

Belongs here: choosing the rows that a person asks for first, and laying them out. Does not belong here: what the
numbers are, the other tables of the command line (``terminal``).

Rows are those of the papers: mode paper_2024, all wells, and for directionality the corrected thresholds.
"""

from collections.abc import Callable
from typing import Any

import pandas as pd
from rich.table import Table

from cpjump_assets.figures.rows import TIME_WORDS
from cpjump_assets.science.directionality import CORRECTED
from cpjump_assets.science.rules import PAPER_RULE, rows_of
from cpjump_assets.science.schemas import CELL_LINES, TIMEPOINT_CODES
from cpjump_assets.science.tasks import (
    DETECTION,
    EVERY_WELL,
    GENE_COMPOUND,
    PERCENT_REPLICATING,
    SISTER_COMPOUNDS,
    SISTER_GUIDES,
)

_COLUMNS = [(line, code) for line in CELL_LINES for code in TIMEPOINT_CODES]
_NO_NUMBER = "-"
_LABELS = {SISTER_COMPOUNDS: "sister compounds", SISTER_GUIDES: "sister guides"}


def detection_table(scores: pd.DataFrame) -> Table:
    """Show each condition of perturbation detection with its counts and interval."""
    table = Table(title="Perturbation detection, all wells (simulated data)", title_justify="left")
    for name in ("condition", "classes", "retrieved", "fraction", "95 % interval", "mAP"):
        table.add_column(name, justify="left" if name == "condition" else "right", no_wrap=True)
    for row in rows_of(scores, task=DETECTION, **PAPER_RULE).itertuples(index=False):
        table.add_row(
            f"{row.Metadata_experiment_type} {row.Metadata_cell_line} {row.Metadata_timepoint} h",
            f"{row.n_classes}",
            f"{row.n_retrieved}",
            _number(row.fraction_retrieved, ".3f"),
            _interval(row.fraction_retrieved_low, row.fraction_retrieved_high, ".3f"),
            _number(row.mean_average_precision, ".3f"),
        )
    return table


def matching_table(scores: pd.DataFrame) -> Table:
    """Show the fraction retrieved of each matching task, and of how many targets, by cell line and time."""
    rows = [rows_of(scores, task=task, **PAPER_RULE) for task in (SISTER_COMPOUNDS, SISTER_GUIDES, GENE_COMPOUND)]
    return _by_condition(
        "Matching among what was detected: fraction retrieved (targets)",
        pd.concat(rows, ignore_index=True),
        label=lambda row: _LABELS.get(row.task) or f"compound x {_reference(row)}",
        cell=lambda row: f"{_number(row.fraction_retrieved, '.2f')} ({row.n_classes})",
    )


def percent_table(percents: pd.DataFrame) -> Table:
    """Show Percent Replicating and Percent Matching, by cell line and time."""
    return _by_condition(
        "Scores of 2021: percent above the 95th percentile of chance",
        rows_of(percents, wells=EVERY_WELL).sort_values("metric", ascending=False, kind="stable"),
        label=_percent_label,
        cell=lambda row: _number(row.percent, ".1f"),
    )


def direction_table(directions: pd.DataFrame) -> Table:
    """Show the odds of pairs of one gene to be alike rather than opposite, by cell line."""
    table = Table(title="Directionality: odds ratio (95 % interval)", title_justify="left")
    table.add_column("pairs of one gene", no_wrap=True)
    for line in CELL_LINES:
        table.add_column(line, justify="right", no_wrap=True)
    rows = rows_of(directions, wells=EVERY_WELL, variant=CORRECTED)
    kinds = ["query_experiment_type", "reference_experiment_type"]
    for (query, reference), own in rows.groupby(kinds, sort=False):
        cells = {row.Metadata_cell_line: _odds(row) for row in own.itertuples(index=False)}
        table.add_row(f"{query} with {reference}", *(cells.get(line, _NO_NUMBER) for line in CELL_LINES))
    return table


def _percent_label(row: Any) -> str:
    if row.metric == PERCENT_REPLICATING:
        return f"replicating {row.Metadata_experiment_type}"
    return f"matching {_reference(row)}"


def _odds(row: Any) -> str:
    if pd.isna(row.odds_ratio):
        return _NO_NUMBER
    return f"{row.odds_ratio:.2f} ({_interval(row.odds_low, row.odds_high, '.2f')})"


def _by_condition(title: str, rows: pd.DataFrame, *, label: Callable[[Any], str], cell: Callable[[Any], str]) -> Table:
    """Lay out a line for each label, with a column for each cell line and time of the queries."""
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for line, code in _COLUMNS:
        table.add_column(f"{line} {TIME_WORDS[code]}", justify="right", no_wrap=True)
    lines: dict[str, dict[tuple[str, str], str]] = {}
    for row in rows.itertuples(index=False):
        place = (row.Metadata_cell_line, row.Metadata_timepoint_code)
        lines.setdefault(label(row), {})[place] = cell(row)
    for name, cells in lines.items():
        table.add_row(name, *(cells.get(place, _NO_NUMBER) for place in _COLUMNS))
    return table


def _reference(row: Any) -> str:
    return f"{row.reference_experiment_type} {row.reference_timepoint} h"


def _number(value: float, form: str) -> str:
    return _NO_NUMBER if pd.isna(value) else format(value, form)


def _interval(low: float, high: float, form: str) -> str:
    return _NO_NUMBER if pd.isna(low) else f"{low:{form}}-{high:{form}}"

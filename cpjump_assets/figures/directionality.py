"""Figures of directionality: whether reagents of one target act alike or opposed, as in Fig. 5 of the 2024 paper.

Belongs here: box plots of the pairs with their thresholds and test. Does not belong here: computing either
(``science.directionality``).
"""

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cpjump_assets.figures.boxes import draw_box, write_reason
from cpjump_assets.figures.canvas import (
    CELL_LINE_COLOURS,
    LABEL_SIZE,
    LINE_GREY,
    MODALITY_COLOURS,
    NARROWEST,
    NUMBER_SIZE,
    add_legend,
    characters_in,
    new_figure,
    write_caption,
)
from cpjump_assets.figures.rows import SELECTION, in_order, one_rule, reason, require_rows, require_unique
from cpjump_assets.science.arrays import Floats
from cpjump_assets.science.directionality import CORRECTED

_BOX = ["Metadata_cell_line", "query_experiment_type", "reference_experiment_type"]
_SLOT = 1.9
"""Inches from box to box: a threshold's words stand beside the box."""
_CHARACTERS = characters_in(0.8 * _SLOT)
_ALPHA = 0.05
_SPAN = 0.44
"""How far a threshold reaches to either side of the middle of its box."""


def directionality_figure(pairs: pd.DataFrame, scores: pd.DataFrame, comparison: str) -> Figure:
    """Draw the signed cosines of same-target pairs, a box for each cell line and pair of modalities.

    Black bars are the 5th and 95th percentiles of pairs of different targets, with the share of same-target pairs
    beyond; Fisher's exact test on these shares stands above in words.

    Parameters
    ----------
    pairs, scores
        ``DIRECTIONAL_PAIRS`` and ``DIRECTIONALITY`` rows of one subset and selection of wells. Of the scores, the
        variant ``corrected`` is drawn.
    comparison
        orf_crispr (Fig. 5a, coloured by cell line) or compound_gene (Fig. 5b, coloured by the gene's modality).

    Raises
    ------
    BadTableError
        If the rows are of several rules, or there is no corrected score of the comparison.
    """
    drawn = (scores["comparison"] == comparison) & (scores["variant"] == CORRECTED)
    rows = in_order(require_rows(scores[drawn], f"comparison {comparison}, variant {CORRECTED}"), _BOX)
    pairs = pairs[pairs["comparison"] == comparison]
    rule = one_rule(SELECTION, rows, pairs)
    require_unique(rows, _BOX, "directionality scores")
    cosines = {key: of_key.to_numpy() for key, of_key in pairs.groupby(_BOX)["cosine"]}

    figure, ((panel,),) = new_figure(max(_SLOT * len(rows) + 0.8, NARROWEST), 4.2)
    for place, row in enumerate(rows.itertuples(index=False)):
        key = tuple(getattr(row, column) for column in _BOX)
        _draw(panel, place, cosines.get(key, np.empty(0)), row)
    panel.axhline(0, color=LINE_GREY, linestyle="--", linewidth=1, zorder=0)
    panel.set_xlim(-0.5, len(rows) - 0.5)
    panel.set_xticks(range(len(rows)), [_label(row) for row in rows.itertuples(index=False)], fontsize=NUMBER_SIZE)
    panel.set_ylim(-1.05, 1.5)
    panel.set_yticks(np.linspace(-1, 1, 5))
    panel.set_ylabel("cosine of pairs of one target", fontsize=LABEL_SIZE)
    threshold = Line2D([], [], color="black", label="5th and 95th percentile of pairs of different targets")
    add_legend(figure, [threshold])
    write_caption(figure, f"comparison {comparison}, variant {CORRECTED}, {rule}")
    return figure


def _draw(panel: Axes, place: int, cosines: Floats, row: Any) -> None:
    """Draw one box with its thresholds and its test, or why there is none."""
    if not len(cosines) or np.isnan(row.t5):
        write_reason(panel, place, 0.3, f"n/a: {reason(row.note)}", characters=_CHARACTERS)
        return
    draw_box(panel, place, cosines, _colour(row), width=0.24)
    panel.hlines([row.t5, row.t95], place - _SPAN, place + _SPAN, color="black", linewidth=0.9, zorder=3)
    beside = {"x": place + _SPAN, "ha": "right", "fontsize": NUMBER_SIZE}
    panel.text(y=row.t5 - 0.02, s=f"{100 * row.fraction_below:.1f} %\nbelow {row.t5:.2f}", va="top", **beside)
    panel.text(y=row.t95 + 0.02, s=f"{100 * row.fraction_above:.1f} %\nabove {row.t95:.2f}", va="bottom", **beside)
    panel.text(place, 1.06, _test_in_words(row), ha="center", va="bottom", fontsize=NUMBER_SIZE)


def _test_in_words(row: Any) -> str:
    """Say what Fisher's exact test found: how much more often pairs are beyond the upper threshold than the lower."""
    if np.isnan(row.odds_ratio):
        ratio = textwrap.wrap(reason(row.note), _CHARACTERS)
    else:
        ratio = [f"odds ratio {row.odds_ratio:.2f} ({row.odds_low:.2f} to {row.odds_high:.2f})"]
    side = "positive" if row.fraction_above > row.fraction_below else "negative"
    lean = f"more often {side}" if row.fisher_p < _ALPHA else "neither side more often"
    return "\n".join([*ratio, f"p = {row.fisher_p:.1g}", lean])


def _label(row: Any) -> str:
    kinds = f"{row.query_experiment_type} and {row.reference_experiment_type}"
    return f"{row.Metadata_cell_line}\n{kinds}\nn = {row.n_pairs:,}"


def _colour(row: Any) -> str:
    """Colour pairs with a compound by the modality of the gene reagent, others by cell line."""
    if row.query_experiment_type == "Compound":
        return MODALITY_COLOURS[row.reference_experiment_type]
    return CELL_LINE_COLOURS[row.Metadata_cell_line]

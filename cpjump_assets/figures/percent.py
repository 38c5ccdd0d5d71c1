"""Figures of Percent Replicating and Percent Matching, as in Fig. 1 and 2 of the 2021 paper.

Belongs here: bars of percent scores with their intervals. Does not belong here: computing them
(``science.percent_scores``).
"""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cpjump_assets.figures.bars import BAR_WIDTH, draw_bars, top_of_scale
from cpjump_assets.figures.canvas import (
    LABEL_SIZE,
    LINE_GREY,
    MODALITY_COLOURS,
    NARROWEST,
    NUMBER_SIZE,
    add_legend,
    new_figure,
    write_caption,
)
from cpjump_assets.figures.rows import SELECTION, in_order, one_rule, reference_words, require_rows, require_unique
from cpjump_assets.science.schemas import CELL_LINES
from cpjump_assets.science.tasks import CONDITION, REFERENCE

_BY_CHANCE = 5.0
"""Percent of a null above its own 95th percentile."""
_BAR = [*CONDITION, *REFERENCE]


def percent_figure(percents: pd.DataFrame, metric: str) -> Figure:
    """Draw a percent score as bars with their interval, a panel for each cell line, and what chance alone gives.

    Bars have the colour of the modality: in matching, of the gene reagents that compounds are compared with.

    Parameters
    ----------
    percents
        ``PERCENT_SCORES`` rows of one subset and selection of wells; rows of another metric are left out.
    metric
        percent_replicating (2021 Fig. 1) or percent_matching (2021 Fig. 2).

    Raises
    ------
    BadTableError
        If the rows are of several rules, or there is none of the metric.
    """
    rows = in_order(require_rows(percents[percents["metric"] == metric], f"metric {metric}"), _BAR)
    rule = one_rule(SELECTION, rows)
    require_unique(rows, _BAR, metric)
    names = rows["Metadata_experiment_type"] + " " + rows["Metadata_timepoint"].astype("str") + " h"
    colours = rows["reference_experiment_type"].map(MODALITY_COLOURS)
    rows = rows.assign(label=names + reference_words(rows), colour=colours)
    lines = [line for line in CELL_LINES if line in set(rows["Metadata_cell_line"])]
    of_line = [rows[rows["Metadata_cell_line"] == line] for line in lines]
    top = top_of_scale(rows[["percent", "percent_high"]], 100)

    width = max(BAR_WIDTH * sum(map(len, of_line)) + 1.6, NARROWEST)
    figure, panels = new_figure(width, 3.6, columns=len(lines))
    for panel, line, own in zip(panels[0], lines, of_line, strict=True):
        ends = {"percent": "value", "percent_low": "low", "percent_high": "high"}
        draw_bars(panel, own.rename(columns=ends), top=top, digits=1)
        panel.axhline(_BY_CHANCE, color=LINE_GREY, linestyle="--", linewidth=1)
        panel.set_title(line, fontsize=LABEL_SIZE)
        panel.set_xticks(range(len(own)), own["label"], rotation=90, fontsize=NUMBER_SIZE)
    panels[0, 0].set_ylabel(metric.replace("_", " "), fontsize=LABEL_SIZE)
    add_legend(figure, [Line2D([], [], color=LINE_GREY, linestyle="--", label="expected by chance: 5 %")])
    write_caption(figure, f"metric {metric}, {rule}")
    return figure

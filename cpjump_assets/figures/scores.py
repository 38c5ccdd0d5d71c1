"""Figures of score tables: the fraction retrieved with its interval.

Belongs here: bars of score rows, for every subset. Does not belong here: box plots of the classes (``retrieval``),
computing scores (``science.benchmark``).
"""

import pandas as pd
from matplotlib.figure import Figure

from cpjump_assets.figures.bars import BAR_WIDTH, draw_bars, top_of_scale
from cpjump_assets.figures.canvas import LABEL_SIZE, MODALITY_COLOURS, NARROWEST, NUMBER_SIZE, new_figure, write_caption
from cpjump_assets.figures.rows import SCORE_RULE, in_order, one_rule, reference_words, require_rows, require_unique
from cpjump_assets.science.strategies import SUBSETS
from cpjump_assets.science.tasks import CONDITION, DETECTION, REFERENCE

_BAR = [*CONDITION, *REFERENCE]
_RULE = [column for column in SCORE_RULE if column != "subset"]
_ENDS = {"fraction_retrieved": "value", "fraction_retrieved_low": "low", "fraction_retrieved_high": "high"}


def fraction_retrieved_figure(scores: pd.DataFrame, task: str = DETECTION) -> Figure:
    """Draw the fraction retrieved of each condition with its interval, a panel for each subset, after Fig. 4 (2024).

    Parameters
    ----------
    scores
        ``SCORES`` rows of one rule, of any subsets; rows of other tasks are left out. A row without a number is marked
        n/a with its note, because a missing score is a finding too.
    task
        What was asked: by default perturbation detection (Fig. 4a).

    Raises
    ------
    BadTableError
        If the rows are of several rules, or there is no score of the task.
    """
    rows = require_rows(scores[scores["task"] == task], f"task {task}")
    rule = one_rule(_RULE, rows)
    require_unique(rows, ["subset", *_BAR], "scores")
    present = set(rows["subset"])
    subsets = [subset for subset in SUBSETS if subset in present] or sorted(present)
    conditions = in_order(rows.drop_duplicates(_BAR)[_BAR], _BAR)
    conditions["colour"] = conditions["reference_experiment_type"].map(MODALITY_COLOURS)

    top = top_of_scale(rows[["fraction_retrieved", "fraction_retrieved_high"]], 1)
    size = max(BAR_WIDTH * len(conditions) + 1.4, NARROWEST), 1.7 * len(subsets) + 1.5
    figure, panels = new_figure(*size, rows=len(subsets))
    for subset, panel in zip(subsets, panels[:, 0], strict=True):
        bars = conditions.merge(rows[rows["subset"] == subset], on=_BAR, how="left").rename(columns=_ENDS)
        draw_bars(panel, bars, top=top, digits=3)
        panel.set_title(f"{subset} wells", loc="left", fontsize=LABEL_SIZE)
        panel.set_ylabel("fraction retrieved", fontsize=LABEL_SIZE)
    names = conditions["Metadata_experiment_type"] + " " + conditions["Metadata_cell_line"]
    hours = " " + conditions["Metadata_timepoint"].astype("str") + " h"
    labels = names + hours + reference_words(conditions)
    for panel in panels[:-1, 0]:
        panel.set_xticks(range(len(labels)), [""] * len(labels))
    panels[-1, 0].set_xticks(range(len(labels)), labels, rotation=90, fontsize=NUMBER_SIZE)
    write_caption(figure, f"task {task}, {rule}")
    return figure

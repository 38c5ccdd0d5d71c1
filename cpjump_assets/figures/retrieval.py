"""Figures of retrieval: average precision of the classes, as in Fig. 4 and Extended Data Fig. 1 of the 2024 paper.

Belongs here: box plots of class tables, with the fractions of score tables above. Does not belong here: computing
either (``science.benchmark``), bars of score tables alone (``scores``).
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpjump_assets.figures.boxes import box_handle, draw_box, write_reason
from cpjump_assets.figures.canvas import (
    DIFFERENT_WELL,
    LABEL_SIZE,
    NARROWEST,
    NUMBER_SIZE,
    SAME_WELL,
    add_legend,
    characters_in,
    new_figure,
    write_caption,
)
from cpjump_assets.figures.rows import SCORE_RULE, TIME_WORDS, one_rule, reason, require_rows, require_unique
from cpjump_assets.science.arrays import Floats
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.schemas import CELL_LINES, EXPERIMENT_TYPES, TIMEPOINT_CODES
from cpjump_assets.science.tasks import CONDITION, ORF_DIFFERENT_WELL, ORF_SAME_WELL, REFERENCE

_KEY = ["task", *CONDITION, *REFERENCE]
_WELLS = {ORF_SAME_WELL: "same well", ORF_DIFFERENT_WELL: "different well"}
_SLOT = 0.82
"""Inches from box to box: room for the longest label below, and for words in the place of a box."""


class _Slot(NamedTuple):
    """One place in every panel: what is asked there, whatever the cell line and the time of the query."""

    task: str
    modality: str
    reference: str
    reference_code: str
    """Empty within a modality, where queries search their own time point."""


def retrieval_figure(classes: pd.DataFrame, scores: pd.DataFrame, *tasks: str) -> Figure:
    """Draw mAP of the classes as box plots, a column of panels for each cell line and a row for each time point.

    Boxes are blue where query and retrieved mostly share their well position, red where they mostly do not, as in
    matching. The fraction retrieved stands above each box. A condition without one has no box, but the reason why.

    Parameters
    ----------
    classes, scores
        ``CLASSES`` and ``SCORES`` rows of one rule and subset; rows of other tasks are left out.
    tasks
        Whose boxes stand side by side.

    Raises
    ------
    BadTableError
        If the rows are of several rules, there is no score of a task, or a score is not of these classes.
    """
    rows = pd.concat([require_rows(scores[scores["task"] == task], f"task {task}") for task in tasks])
    classes = classes[classes["task"].isin(tasks)]
    rule = one_rule(SCORE_RULE, rows, classes)
    require_unique(rows, _KEY, "scores")
    precision = {key: of_key.dropna().to_numpy() for key, of_key in classes.groupby(_KEY)["mean_average_precision"]}
    top = max((values.max() for values in precision.values() if values.size), default=1.0)
    lines = [line for line in CELL_LINES if line in set(rows["Metadata_cell_line"])]
    codes = [code for code in TIMEPOINT_CODES if code in set(rows["Metadata_timepoint_code"])]
    slots = _slots(rows, tasks)

    width, height = max(_SLOT * len(slots) * len(lines) + 0.9, NARROWEST), 1.75 * len(codes) + 0.8
    figure, panels = new_figure(width, height, rows=len(codes), columns=len(lines))
    for (line, code), panel in zip(product(lines, codes), panels.T.flat, strict=True):
        own = rows[(rows["Metadata_cell_line"] == line) & (rows["Metadata_timepoint_code"] == code)]
        _draw_panel(panel, slots, {_slot(row): row for row in own.itertuples(index=False)}, precision, top)
    for panel, line in zip(panels[0], lines, strict=True):
        panel.set_title(line, fontsize=LABEL_SIZE)
    for panel, code in zip(panels[:, 0], codes, strict=True):
        panel.set_ylabel(f"{_time_words(rows, code)}\nmAP", fontsize=LABEL_SIZE)
    _add_legend(figure, rows)
    asked = "".join(f"task {task}, " for task in tasks)
    write_caption(figure, f"{asked}{rule}; above each box: fraction retrieved")
    return figure


def _slot(row: Any) -> _Slot:
    modality, reference = row.Metadata_experiment_type, row.reference_experiment_type
    return _Slot(row.task, modality, reference, "" if modality == reference else row.reference_timepoint_code)


def _slots(rows: pd.DataFrame, tasks: Sequence[str]) -> list[_Slot]:
    """Give the places of every panel, in the order of tasks, modalities and time points."""

    def order(slot: _Slot) -> tuple[int, ...]:
        modalities = (EXPERIMENT_TYPES.index(slot.modality), EXPERIMENT_TYPES.index(slot.reference))
        return (tasks.index(slot.task), *modalities, ("", *TIMEPOINT_CODES).index(slot.reference_code))

    return sorted({_slot(row) for row in rows.itertuples(index=False)}, key=order)


def _draw_panel(
    panel: Axes, slots: Sequence[_Slot], rows: Mapping[_Slot, Any], precision: Mapping[tuple, Floats], top: float
) -> None:
    """Draw the boxes of one cell line and time point; a condition that has no score row says so."""
    for place, slot in enumerate(slots):
        row = rows.get(slot)
        if row is not None and not np.isnan(row.fraction_retrieved):
            draw_box(panel, place, _values(precision, row), _colour(row.same_well_share), width=0.5)
            number = f"{row.fraction_retrieved:.3f}"
        else:
            why = "there is no score of this condition" if row is None else reason(row.note)
            write_reason(panel, place, 0.5 * top, why, characters=characters_in(0.9 * _SLOT))
            number = "n/a"
        panel.text(place, 1.07 * top, number, ha="center", va="bottom", fontsize=NUMBER_SIZE)
    panel.set_xlim(-0.55, len(slots) - 0.45)
    panel.set_ylim(-0.04 * top, 1.22 * top)
    labels = [_label(slot, rows.get(slot)) for slot in slots]
    panel.set_xticks(range(len(slots)), labels, fontsize=NUMBER_SIZE)


def _values(precision: Mapping[tuple, Floats], row: Any) -> Floats:
    """Give mAP of the classes behind a score, as many as it counts."""
    key = tuple(getattr(row, column) for column in _KEY)
    values = precision.get(key, np.empty(0))
    if len(values) != row.n_classes:
        condition = ", ".join(map(str, key))
        raise BadTableError(f"scores count {row.n_classes} classes for {condition}, but classes hold {len(values)}")
    return values


def _label(slot: _Slot, row: Any) -> str:
    """Name a box: what is searched, after how many hours, and how many classes are in it."""
    name = _WELLS.get(slot.task, slot.reference)
    if row is None:
        return f"{name}\n{TIME_WORDS.get(slot.reference_code, '')}"
    return f"{name}\n{row.reference_timepoint} h\nn = {row.n_classes}"


def _time_words(rows: pd.DataFrame, code: str) -> str:
    """Name a row of panels: by the one condition that asks, or if several do, by their common time point."""
    of_code = rows[rows["Metadata_timepoint_code"] == code]
    asking = of_code[["Metadata_experiment_type", "Metadata_timepoint"]].drop_duplicates()
    if len(asking) == 1:
        return f"{asking.iat[0, 0]} {asking.iat[0, 1]} h"
    return f"{TIME_WORDS[code]} time point"


def _colour(same_well_share: float) -> str:
    """Tell the colour of most positive pairs; matching has no share, because its profiles join many wells."""
    return SAME_WELL if same_well_share > 0.5 else DIFFERENT_WELL


def _add_legend(figure: Figure, rows: pd.DataFrame) -> None:
    drawn = {_colour(share) for share in rows.loc[rows["fraction_retrieved"].notna(), "same_well_share"]}
    words = {SAME_WELL: "mostly the same well position", DIFFERENT_WELL: "mostly different well positions"}
    handles = [box_handle(colour, words[colour]) for colour in words if colour in drawn]
    add_legend(figure, handles)

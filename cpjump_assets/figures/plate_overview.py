"""Overview of plates: the measures of quality of every plate of the batch side by side.

Belongs here: drawing ``PLATE_QUALITY`` with the findings. Does not belong here: the measures
(``science.plate_quality``), the thresholds (``science.plate_findings``), maps of single plates (``plate_maps``).
"""

import textwrap
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator

from cpjump_assets.figures.canvas import (
    LINE_GREY,
    MODALITY_COLOURS,
    MUTED,
    NUMBER_SIZE,
    SMALL_SIZE,
    VERDICT_COLOURS,
    characters_in,
    write_caption,
)
from cpjump_assets.figures.rows import in_order, require_rows
from cpjump_assets.science.plate_findings import SoundPlate
from cpjump_assets.science.quality import WELLS_OF_A_PLATE
from cpjump_assets.science.replicate_correlation import SAME_CONDITION

_LINE = 15 / 110
"""Inches between two lines: whole pixels, so that lines look alike and the file a fifth smaller."""
_HEADER, _CAPTION = 0.9, 0.5
_NAMES, _INDENT, _GAP = 1.95, 0.14, 0.18
_ANOMALIES, _FINDINGS = 0.72, 2.2
"""Inches: above and below the panels; names of plates to their left; words to their right."""
_FOUND, _BEHIND_FOUND = VERDICT_COLOURS["breach"], "#FCE6D8"
_RULE = "#E2E2E2"


@dataclass(frozen=True)
class _Measure:
    """A panel: the column of its dots, title, width in inches, the p that makes a dot hollow, and the unit's factor."""

    column: str
    title: str
    width: float
    p: str | None = None
    factor: float = 1.0
    is_count: bool = False


_MEASURES = (
    _Measure("profiled_wells", "profiled\nwells", 0.62, is_count=True),
    _Measure("cell_count_median", "cells in\na well", 0.75, is_count=True),
    _Measure("replicate_correlation", "replicate\ncorrelation", 1.0),
    _Measure("row_effect", "row effect,\n% of variance", 0.78, "row_p", 100.0),
    _Measure("column_effect", "column effect,\n% of variance", 0.78, "column_p", 100.0),
    _Measure("edge_effect", "edge effect,\n% of variance", 0.78, "edge_p", 100.0),
    _Measure("control_shift", "shift of the\ncontrols, MADs", 0.78),
    _Measure("zero_mad_features", "zero-MAD\nfeatures", 0.62, is_count=True),
)
_CAPTION_WORDS = (
    "Position effects: epsilon squared, mean over features, in the negative controls (in all wells where these do not"
    " cover the plate). Replicate correlation: median over reagents of the Pearson correlation with the other plates of"
    " the condition, on the selected features. Shift: median over features of the distance of the negative controls"
    " from those of the condition's other plates, which normalization takes away."
)


def plate_overview_figure(plates: pd.DataFrame, findings: pd.DataFrame, rules: SoundPlate | None = None) -> Figure:
    """Draw a line for each plate, below the name of its condition, and a panel for each measure.

    A hollow dot is an effect that chance explains. The grey line at a replicate correlation reaches from the median to
    the 95th percentile of its null. Plates with a finding stand out, and say what was found. Cells are shown where the
    profiles carry them.

    Parameters
    ----------
    plates
        ``PLATE_QUALITY``.
    findings
        What ``plate_findings`` gave for them.
    rules
        The rules of the findings; of them the p from which on an effect counts as chance.

    Raises
    ------
    NothingToDrawError
        If there is no plate.
    """
    chance = (rules or SoundPlate()).edge_p
    lines = _lines(require_rows(plates, "plates"))
    of_plates = lines[lines["is_plate"]]
    found = findings.groupby("Metadata_Plate")["finding"].agg(", ".join)
    measures = [m for m in _MEASURES if m.column != "cell_count_median" or plates[m.column].notna().any()]
    panels_width = sum(measure.width + _GAP for measure in measures)
    width, height = _NAMES + panels_width + _ANOMALIES + _FINDINGS, _HEADER + _LINE * len(lines) + _CAPTION
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    bottom, tall, down = _CAPTION / height, _LINE * len(lines) / height, (len(lines) - 0.5, -0.5)
    sheet = figure.add_axes((0, bottom, 1, tall), xlim=(0, width), ylim=down)
    sheet.set_axis_off()
    left = _NAMES
    for measure in measures:
        panel = figure.add_axes((left / width, bottom, measure.width / width, tall), ylim=down, facecolor="none")
        _draw_dots(panel, of_plates, measure, chance)
        left += measure.width + _GAP
    _write_lines(sheet, lines, found, anomalies=left, findings=left + _ANOMALIES)
    figure.legend(
        handles=_key(chance), loc="upper left", ncols=5, fontsize=NUMBER_SIZE, frameon=False, columnspacing=1.2
    )
    write_caption(figure, _CAPTION_WORDS)
    return figure


def _lines(plates: pd.DataFrame) -> pd.DataFrame:
    """Give the lines of the figure from top to bottom: each condition, then its plates; secondary arms come last."""
    modality_and_time, arm = SAME_CONDITION[1:4], SAME_CONDITION[4:]
    ordered = in_order(
        plates.assign(is_secondary=~plates["Metadata_is_primary"]),
        [*modality_and_time, "is_secondary", *arm, "Metadata_Plate"],
    )
    parts = []
    for _, members in ordered.groupby(SAME_CONDITION, sort=False):
        header = pd.DataFrame({"is_plate": [False], "label": [_condition_words(members.iloc[0])]})
        parts += [header, members.assign(is_plate=True, label=members["Metadata_Plate"])]
    lines = pd.concat(parts, ignore_index=True)
    return lines.assign(line=np.arange(len(lines)))


def _condition_words(plate: pd.Series) -> str:
    """Name a condition; what is as on the primary plates goes without saying."""
    words = f"{plate['Metadata_experiment_type']} {plate['Metadata_cell_line']} {plate['Metadata_timepoint']} h"
    if plate["Metadata_density"] != 100:
        words += f", density {plate['Metadata_density']} %"
    if plate["Metadata_antibiotics"] != "absent":
        words += f", {plate['Metadata_antibiotics']}"
    if plate["Metadata_experiment_type"] == "Compound" and plate["Metadata_cell_background"] != "Parental":
        words += f", {plate['Metadata_cell_background']}"
    return words


def _draw_dots(panel: Axes, plates: pd.DataFrame, measure: _Measure, chance: float) -> None:
    """Draw one measure of all plates."""
    colours = plates["Metadata_experiment_type"].map(MODALITY_COLOURS)
    values = plates[measure.column].astype(float) * measure.factor
    filled = colours
    if measure.p:
        filled = colours.mask(plates[measure.p] > chance, "white")
        panel.axvline(0, color=LINE_GREY, lw=0.8, zorder=1)
    if measure.column == "replicate_correlation":
        panel.hlines(plates["line"], plates["null_correlation"], plates["null_95"], color="#C4C4C4", lw=3, zorder=1)
    panel.scatter(values, plates["line"], s=15, facecolors=filled, edgecolors=colours, linewidths=0.9, zorder=3)
    panel.margins(x=0.12)
    panel.xaxis.set_major_locator(MaxNLocator(3, integer=measure.is_count, min_n_ticks=1))
    if measure.column == "profiled_wells":
        least = WELLS_OF_A_PLATE * (0.75 if values.min() >= 0.75 * WELLS_OF_A_PLATE else 0)
        panel.xaxis.set_major_locator(FixedLocator([least, WELLS_OF_A_PLATE]))
        margin = 0.12 * (WELLS_OF_A_PLATE - least)
        panel.set_xlim(least - margin, WELLS_OF_A_PLATE + margin)
    panel.set_title(measure.title, fontsize=NUMBER_SIZE, pad=6)
    panel.xaxis.tick_top()
    panel.tick_params(axis="x", labelsize=SMALL_SIZE, length=2, pad=1)
    panel.set_yticks([])
    panel.spines[["left", "right", "bottom"]].set_visible(False)


def _write_lines(sheet: Axes, lines: pd.DataFrame, found: pd.Series, *, anomalies: float, findings: float) -> None:
    """Write what each line is on the sheet behind the panels, and to their right, at these inches, what is noted."""
    width = sheet.get_xlim()[1]
    near, far = 0.08, width - 0.08
    for title, x in (("stain\nanomaly", anomalies), ("finding", findings)):
        sheet.text(x, -1.9, title, fontsize=NUMBER_SIZE, va="center")
    for line in lines.itertuples(index=False):
        if not line.is_plate:
            sheet.text(near, line.line, line.label, fontsize=NUMBER_SIZE, weight="bold", va="center")
            continue
        look = {"fontsize": SMALL_SIZE, "va": "center"}
        if line.Metadata_anomaly != "none":
            sheet.text(anomalies, line.line, line.Metadata_anomaly, color=MUTED, **look)
        if line.label in found.index:
            sheet.axhspan(
                line.line - 0.5, line.line + 0.5, near / width, far / width, color=_BEHIND_FOUND, lw=0, zorder=0
            )
            look["color"] = _FOUND
            words = textwrap.shorten(found[line.label], characters_in(far - findings), placeholder=" ...")
            sheet.text(findings, line.line, words, **look)
        sheet.plot([near, far], [line.line, line.line], color=_RULE, lw=0.5)
        sheet.text(near + _INDENT, line.line, line.label, **look)


def _key(chance: float) -> list[Line2D]:
    """Give the entries of the legend."""
    dot = {"ls": "", "marker": "o", "ms": 4}
    return [
        *(Line2D([], [], color=colour, label=modality, **dot) for modality, colour in MODALITY_COLOURS.items()),
        Line2D([], [], color=LINE_GREY, mfc="white", label=f"hollow: chance explains it (p > {chance:g})", **dot),
        Line2D([], [], color="#C4C4C4", lw=3, label="null of the replicate correlation: median to 95 %"),
    ]

"""Plate maps: the wells of one plate where they lie, coloured by a measure.

Belongs here: drawing ``WELL_QUALITY`` of one plate as heat maps. Does not belong here: the measures
(``science.well_quality``), figures of many plates (``plate_overview``).

Every map has its own scale: it shows the pattern on the plate, and does not compare plates. A figure is drawn for each
plate, so it must be cheap: everything is placed in inches on one panel, which takes 0.1 s where a panel for each map
and each colour bar, with ticks and a layout that matplotlib finds, takes 0.4 s.
"""

from dataclasses import dataclass

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from cpjump_assets.figures.canvas import LABEL_SIZE, MUTED, NUMBER_SIZE, SMALL_SIZE
from cpjump_assets.science.positions import EDGE, N_COLUMNS, N_ROWS, ROW_LETTERS

_CELL = 0.14
"""Inches a well is wide and high: the least at which all 24 column numbers can be read."""
_WIDTH, _HEIGHT = N_COLUMNS * _CELL, N_ROWS * _CELL
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.3, 0.72, 0.44, 0.1
"""Inches around a map: row letters; colour bar; title and column numbers; air."""
_HEADER, _KEY = 0.3, 0.3
_BAR_GAP, _BAR_WIDTH = 0.08, 0.1
_ARROW = 0.09
_BACKGROUND, _HATCH, _FRAME = "#EFEFEF", "#9A9A9A", "#606060"
_COLOURS = "viridis"
_CLIPPED = 99.0
"""Percentile at which a colour scale ends; wells above it have the last colour, and the bar an arrow."""


@dataclass(frozen=True)
class _Measure:
    """A map: the column that it shows, its title, and what the numbers beside the colour bar count."""

    column: str
    title: str
    unit: str
    is_count: bool = False


_MEASURES = (
    _Measure("cell_count", "cells", "cells in a well"),
    _Measure("median_abs_z", "profile magnitude", "median |z| of the features"),
    _Measure("missing_features", "missing values", "features that a well lacks", is_count=True),
)


def plate_maps_figure(wells: pd.DataFrame, title: str) -> Figure:
    """Draw the maps of one plate: cells, where they are known, profile magnitude and missing values.

    Wells without a profile are hatched, negative controls carry a white dot, and a line parts outer from inner wells.

    Parameters
    ----------
    wells
        ``WELL_QUALITY`` of one plate.
    title
        Which plate it is, and what is known of it.
    """
    measures = [m for m in _MEASURES if m.column != "cell_count" or wells[m.column].notna().any()]
    n_rows = -(-len(measures) // 2)
    has_free_place = len(measures) % 2 == 1
    step_right, step_down = _LEFT + _WIDTH + _RIGHT, _TOP + _HEIGHT + _BOTTOM
    width, height = 2 * step_right, _HEADER + n_rows * step_down + (0 if has_free_place else _KEY)
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    sheet = figure.add_axes((0, 0, 1, 1))
    sheet.set_axis_off()
    for place, measure in enumerate(measures):
        row, column = divmod(place, 2)
        _draw_map(
            sheet, column * step_right + _LEFT, height - _HEADER - (row + 1) * step_down + _BOTTOM, wells, measure
        )
    sheet.set(xlim=(0, width), ylim=(0, height))  # an image moves the limits
    sheet.text(0.08, height - 0.08, title, fontsize=LABEL_SIZE, va="top", weight="bold")
    below, in_free_place = {"loc": "lower left", "ncols": 3}, {"loc": "lower right", "borderaxespad": 6}
    sheet.legend(handles=_key(), fontsize=NUMBER_SIZE, frameon=False, **(in_free_place if has_free_place else below))
    return figure


def _draw_map(sheet: Axes, left: float, bottom: float, wells: pd.DataFrame, measure: _Measure) -> None:
    """Draw one measure with its lower left corner at this place, in inches."""
    top = bottom + _HEIGHT
    row, column = wells["Metadata_row"].to_numpy() - 1, wells["Metadata_column"].to_numpy() - 1
    values = np.full((N_ROWS, N_COLUMNS), np.nan)
    values[row, column] = wells[measure.column].to_numpy(dtype=float, na_value=np.nan)
    low, high = _ends(values, is_count=measure.is_count)
    _place(sheet, left, bottom, _WIDTH, _HEIGHT, fc=_BACKGROUND, ec=_HATCH, hatch="//////", lw=0, zorder=-1)
    _paint(sheet, values, left, bottom, _WIDTH, _HEIGHT, low, high)
    _place(sheet, left, bottom, _WIDTH, _HEIGHT, fill=False, ec=_FRAME, lw=0.6)
    margin = EDGE * _CELL
    inner = left + margin, bottom + margin, _WIDTH - 2 * margin, _HEIGHT - 2 * margin
    for colour, line_width in (("black", 1.6), ("white", 0.8)):  # seen on any colour, and on the hatching
        _place(sheet, *inner, fill=False, ec=colour, lw=line_width)
    control = (wells["Metadata_control_type"] == "negcon").to_numpy(dtype=bool) & wells["profiled"].to_numpy(dtype=bool)
    x, y = left + (column + 0.5) * _CELL, top - (row + 0.5) * _CELL
    sheet.plot(x[control], y[control], "o", ms=2.6, mfc="white", mec="black", mew=0.5)
    for number in range(N_COLUMNS):
        _write(sheet, left + (number + 0.5) * _CELL, top + 0.03, str(number + 1), ha="center", va="bottom")
    for number, letter in enumerate(ROW_LETTERS):
        _write(sheet, left - 0.06, top - (number + 0.5) * _CELL, letter, ha="center", va="center_baseline")
    sheet.text(left, top + 0.19, measure.title, fontsize=LABEL_SIZE)
    _draw_bar(
        sheet,
        left + _WIDTH + _BAR_GAP,
        bottom,
        (low, high),
        measure,
        clipped=bool(np.nanmax(values, initial=low) > high),
    )


def _draw_bar(
    sheet: Axes, left: float, bottom: float, ends: tuple[float, float], measure: _Measure, *, clipped: bool
) -> None:
    """Draw the colours of a map with their numbers; an arrow says that some wells lie above the last one."""
    low, high = ends
    length = _HEIGHT - _ARROW
    _paint(sheet, np.linspace(high, low, 128)[:, np.newaxis], left, bottom, _BAR_WIDTH, length, low, high)
    if clipped:
        corners = [
            (left, bottom + length),
            (left + _BAR_WIDTH, bottom + length),
            (left + _BAR_WIDTH / 2, bottom + _HEIGHT),
        ]
        sheet.fill(*zip(*corners, strict=True), fc=matplotlib.colormaps[_COLOURS](1.0), lw=0)
    numbers = MaxNLocator(5, integer=measure.is_count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    for number in numbers[(numbers >= low) & (numbers <= high)]:
        height = bottom + length * (number - low) / (high - low)
        sheet.plot([left + _BAR_WIDTH, left + _BAR_WIDTH + 0.03], [height, height], color=_FRAME, lw=0.6)
        _write(sheet, left + _BAR_WIDTH + 0.05, height, f"{number:,.4g}", ha="left", va="center_baseline")
    sheet.text(
        left + _BAR_WIDTH + 0.48,
        bottom + _HEIGHT / 2,
        measure.unit,
        rotation=90,
        ha="right",
        va="center",
        fontsize=NUMBER_SIZE,
    )


def _ends(values: npt.NDArray[np.float64], *, is_count: bool) -> tuple[float, float]:
    """Give the ends of a colour scale; counts begin at 0."""
    known = values[np.isfinite(values)]
    low = 0.0 if is_count or not known.size else float(known.min())
    high = float(np.percentile(known, _CLIPPED)) if known.size else low
    return low, high if high > low else low + 1.0


def _paint(
    sheet: Axes,
    values: npt.NDArray[np.float64],
    left: float,
    bottom: float,
    width: float,
    height: float,
    low: float,
    high: float,
) -> None:
    extent = (left, left + width, bottom, bottom + height)
    sheet.imshow(values, cmap=_COLOURS, vmin=low, vmax=high, extent=extent, aspect="auto", interpolation="nearest")


def _place(sheet: Axes, left: float, bottom: float, width: float, height: float, **look: object) -> None:
    sheet.add_patch(Rectangle((left, bottom), width, height, **look))


def _write(sheet: Axes, x: float, y: float, words: str, **alignment: str) -> None:
    sheet.text(x, y, words, fontsize=SMALL_SIZE, color=MUTED, **alignment)


def _key() -> list[Patch | Line2D]:
    """Give the entries of the legend."""
    return [
        Line2D([], [], ls="", marker="o", ms=4, mfc="white", mec="black", mew=0.6, label="negative control"),
        Patch(fc=_BACKGROUND, ec=_HATCH, hatch="//////", lw=0, label="no profile"),
        Patch(fc="none", ec="black", lw=0.8, label=f"inner wells, at least {EDGE} from the edge"),
    ]

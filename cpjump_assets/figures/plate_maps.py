"""Plate maps: the wells of one plate where they lie, coloured by a measure.

Belongs here: drawing ``WELL_QUALITY`` of one plate as heat maps. Does not belong here: the measures
(``science.well_quality``), how a plate is drawn (``plate_grid``), figures of many plates (``plate_overview``).

Every map has its own scale: it shows the pattern on the plate, and does not compare plates.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cpjump_assets.figures.canvas import LABEL_SIZE, NUMBER_SIZE
from cpjump_assets.figures.plate_grid import PlateGrid, Scale, draw_bar, end_sheet, new_sheet
from cpjump_assets.science.positions import EDGE, N_COLUMNS, N_ROWS

_CELL = 0.14
"""Inches a well is wide and high: the least at which all 24 column numbers can be read."""
_WIDTH, _HEIGHT = N_COLUMNS * _CELL, N_ROWS * _CELL
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.3, 0.72, 0.44, 0.1
"""Inches around a map: row letters; colour bar; title and column numbers; air."""
_HEADER, _KEY = 0.3, 0.3
_BAR_GAP = 0.08
_BACKGROUND, _HATCH = "#EFEFEF", "#9A9A9A"
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
    figure, sheet = new_sheet(width, height)
    for place, measure in enumerate(measures):
        row, column = divmod(place, 2)
        _draw_map(
            sheet, column * step_right + _LEFT, height - _HEADER - (row + 1) * step_down + _BOTTOM, wells, measure
        )
    end_sheet(figure, sheet)
    sheet.text(0.08, height - 0.08, title, fontsize=LABEL_SIZE, va="top", weight="bold")
    below, in_free_place = {"loc": "lower left", "ncols": 3}, {"loc": "lower right", "borderaxespad": 6}
    sheet.legend(handles=_key(), fontsize=NUMBER_SIZE, frameon=False, **(in_free_place if has_free_place else below))
    return figure


def _draw_map(sheet: Axes, left: float, bottom: float, wells: pd.DataFrame, measure: _Measure) -> None:
    """Draw one measure with its lower left corner at this place, in inches."""
    grid = PlateGrid(sheet, left, bottom, _CELL)
    row, column = wells["Metadata_row"].to_numpy() - 1, wells["Metadata_column"].to_numpy() - 1
    values = np.full((N_ROWS, N_COLUMNS), np.nan)
    values[row, column] = wells[measure.column].to_numpy(dtype=float, na_value=np.nan)
    scale = _scale(values, is_count=measure.is_count)
    grid.fill(fc=_BACKGROUND, ec=_HATCH, hatch="//////")
    grid.paint(values, scale)
    grid.frame()
    grid.part_inner_wells()
    control = (wells["Metadata_control_type"] == "negcon").to_numpy(dtype=bool) & wells["profiled"].to_numpy(dtype=bool)
    grid.mark(row[control], column[control], "o", ms=2.6, mfc="white", mec="black", mew=0.5)
    grid.name_wells()
    sheet.text(left, grid.top + 0.19, measure.title, fontsize=LABEL_SIZE)
    draw_bar(sheet, grid.right + _BAR_GAP, bottom, grid.height, scale, measure.unit)


def _scale(values: npt.NDArray[np.float64], *, is_count: bool) -> Scale:
    """Give the scale of a map; counts begin at 0."""
    known = values[np.isfinite(values)]
    low = 0.0 if is_count or not known.size else float(known.min())
    high = float(np.percentile(known, _CLIPPED)) if known.size else low
    high = high if high > low else low + 1.0
    return Scale(low, high, is_count=is_count, above=bool(known.max(initial=low) > high))


def _key() -> list[Patch | Line2D]:
    """Give the entries of the legend."""
    return [
        Line2D([], [], ls="", marker="o", ms=4, mfc="white", mec="black", mew=0.6, label="negative control"),
        Patch(fc=_BACKGROUND, ec=_HATCH, hatch="//////", lw=0, label="no profile"),
        Patch(fc="none", ec="black", lw=0.8, label=f"inner wells, at least {EDGE} from the edge"),
    ]

"""Maps of the images of one plate: focus, brightness and saturation of each channel, where the wells lie.

Belongs here: drawing ``IMAGE_QUALITY`` of one plate. Does not belong here: the measures (``imaging.quality``), the
thresholds (``science.image_quality``), how a plate is drawn (``plate_grid``).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cpjump_assets.figures.canvas import LABEL_SIZE, MUTED, NUMBER_SIZE, SMALL_SIZE
from cpjump_assets.figures.plate_grid import PlateGrid, Scale, draw_bar, end_sheet, new_sheet
from cpjump_assets.figures.rows import require_rows
from cpjump_assets.science.channels import CHANNELS
from cpjump_assets.science.image_quality import SoundImage
from cpjump_assets.science.image_selection import NEGATIVE_CONTROL
from cpjump_assets.science.image_table import HELD
from cpjump_assets.science.positions import N_COLUMNS, N_ROWS, POSITIONS

_CELL = 0.085
"""Inches a well is wide and high: a dot in it can be seen, and fifteen maps fit into one picture."""
_WIDTH, _HEIGHT = N_COLUMNS * _CELL, N_ROWS * _CELL
_NAMES, _LEFT, _RIGHT, _TOP, _BOTTOM = 0.3, 0.22, 0.74, 0.2, 0.1
"""Inches: channel names; around a map row letters, colour bar, column numbers and air."""
_HEADER, _FOOTER = 0.5, 0.55
_BAR_GAP = 0.06
_GREY, _LOST = "#D4D4D4", "black"
_NAMED_ROWS, _NAMED_COLUMNS = (0, 7, 15), (0, 5, 11, 17, 23)


@dataclass(frozen=True)
class _Measure:
    """A column of maps: what it shows, its title, unit, factor, and the scale of one channel."""

    column: str
    title: str
    unit: str
    scale: Callable[[pd.Series, SoundImage], Scale]
    factor: float = 1.0


def _of_focus(values: pd.Series, rules: SoundImage) -> Scale:
    """Give a scale of one width for all channels, so that small differences look small."""
    middle = float(values.median()) if values.notna().any() else 0.0
    return Scale(middle - rules.blur, middle + rules.blur, above=bool(values.max() > middle + rules.blur))


def _of_brightness(values: pd.Series, _rules: SoundImage) -> Scale:
    highest = float(values.max()) if values.notna().any() else 1.0
    return Scale(0.0, highest)


def _of_saturation(values: pd.Series, rules: SoundImage) -> Scale:
    """Give a scale that ends where an image counts as saturated, or at the most saturated one."""
    return Scale(0.0, max(100 * rules.saturated, float(values.max()) if values.notna().any() else 0.0))


_MEASURES = (
    _Measure("focus_slope", "focus: slope of the power spectrum", "log power / log frequency", _of_focus),
    _Measure("p99", "brightness: 99th percentile", "camera counts", _of_brightness),
    _Measure("maximum_share", "saturation: pixels at the maximum", "% of pixels", _of_saturation, 100.0),
)
_CAPTION = (
    "A well with several sites shows their median. Focus: each scale begins at the median of the channel less {blur:g},"
    " where an image\ncounts as blurred. Saturation counts above {saturated:g} %. Wells that are not in the selection"
    " are grey."
)


def image_quality_figure(quality: pd.DataFrame, title: str, rules: SoundImage | None = None) -> Figure:
    """Draw a row of maps for each channel: focus, brightness and saturation of its images.

    Negative controls carry a white dot, wells of which an image is absent or unusable a cross.

    Parameters
    ----------
    quality
        ``IMAGE_QUALITY`` of one plate.
    title
        Which plate it is, and what is known of it.
    rules
        The thresholds that the scales show.

    Raises
    ------
    NothingToDrawError
        If there is no image.
    """
    rules = rules or SoundImage()
    present = set(require_rows(quality, "images")["channel"])
    channels = [channel for channel in CHANNELS if channel in present]
    step_right, step_down = _LEFT + _WIDTH + _RIGHT, _TOP + _HEIGHT + _BOTTOM
    width, height = _NAMES + len(_MEASURES) * step_right, _HEADER + len(channels) * step_down + _FOOTER
    figure, sheet = new_sheet(width, height)
    for down, channel in enumerate(channels):
        images = quality[quality["channel"] == channel]
        bottom = height - _HEADER - (down + 1) * step_down + _BOTTOM
        for across, measure in enumerate(_MEASURES):
            left = _NAMES + across * step_right + _LEFT
            _draw_map(PlateGrid(sheet, left, bottom, _CELL), images, measure, rules)
        words = {"rotation": 90, "va": "center", "ha": "center", "fontsize": LABEL_SIZE, "weight": "bold"}
        sheet.text(0.18, bottom + _HEIGHT / 2, channel, **words)
    end_sheet(figure, sheet)
    _write_around(sheet, width, height, title, rules)
    return figure


def _draw_map(grid: PlateGrid, images: pd.DataFrame, measure: _Measure, rules: SoundImage) -> None:
    """Draw one measure of one channel."""
    of_wells = images.groupby("Metadata_Well")[measure.column].median() * measure.factor
    scale = measure.scale(of_wells, rules)
    row, column = _places(of_wells.index)
    values = np.full((N_ROWS, N_COLUMNS), np.nan)
    values[row, column] = of_wells.to_numpy(dtype=float, na_value=np.nan)
    grid.fill(fc=_GREY)
    grid.paint(values, scale)
    grid.frame()
    controls = images.loc[images["role"] == NEGATIVE_CONTROL, "Metadata_Well"].unique()
    grid.mark(*_places(controls), "o", ms=2.0, mfc="white", mec="black", mew=0.4)
    lost = images.loc[images["status"] != HELD, "Metadata_Well"].unique()
    grid.mark(*_places(lost), "x", ms=3.6, mec=_LOST, mew=1.2)
    grid.name_wells(_NAMED_ROWS, _NAMED_COLUMNS)
    draw_bar(grid.sheet, grid.right + _BAR_GAP, grid.bottom, grid.height, scale, measure.unit)


def _places(wells: pd.Index) -> tuple[np.ndarray, np.ndarray]:
    """Give row and column of wells, from 0."""
    positions = POSITIONS.loc[list(wells)]
    return positions["Metadata_row"].to_numpy() - 1, positions["Metadata_column"].to_numpy() - 1


def _write_around(sheet: Axes, width: float, height: float, title: str, rules: SoundImage) -> None:
    """Write title, names of the measures, key and caption."""
    sheet.text(0.08, height - 0.08, title, fontsize=LABEL_SIZE, va="top", weight="bold")
    for across, measure in enumerate(_MEASURES):
        left = _NAMES + across * (width - _NAMES) / len(_MEASURES) + _LEFT
        sheet.text(left, height - _HEADER, measure.title, fontsize=LABEL_SIZE, va="bottom")
    caption = _CAPTION.format(blur=rules.blur, saturated=100 * rules.saturated)
    sheet.text(0.08, 0.08, caption, fontsize=SMALL_SIZE, color=MUTED, va="bottom")
    key = [
        Line2D([], [], ls="", marker="o", ms=4, mfc="white", mec="black", mew=0.6, label="negative control"),
        Line2D([], [], ls="", marker="x", ms=4, mec=_LOST, mew=1.2, label="image absent or unusable"),
        Patch(fc=_GREY, lw=0, label="no image"),
    ]
    place = {"loc": "lower left", "bbox_to_anchor": (0.0, 0.3 / height), "borderaxespad": 0.2}
    sheet.legend(handles=key, fontsize=NUMBER_SIZE, frameon=False, ncols=len(key), **place)

"""Bars with an interval and their number above, and the words in place of a bar that has no number.

Belongs here: the bars of one panel. Does not belong here: which bars stand in which panel (``scores``, ``percent``).
"""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cpjump_assets.figures.canvas import MUTED, NUMBER_SIZE, SMALL_SIZE

BAR_WIDTH = 0.36
"""Inches from bar to bar: room for a number above, and for three lines of a reason."""
_REASON_LINES, _REASON_CHARACTERS = 3, 26
_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
"""Behind words that a line would cross."""


def top_of_scale(values: pd.DataFrame, whole: float) -> float:
    """Give the least fifth of the whole scale that holds all values; the whole where there is no value.

    Detection fills its scale; matching is little above chance, which a whole scale would hide.
    """
    greatest = values.max(axis=None)
    return whole if np.isnan(greatest) else whole * min(max(np.ceil(5 * greatest / whole), 1), 5) / 5


def draw_bars(panel: Axes, bars: pd.DataFrame, *, top: float, digits: int) -> None:
    """Draw a row of bars from 0 to at most ``top``, each with its number above its interval.

    Parameters
    ----------
    panel
        Where to draw; its scale of values ends above ``top``, so that the highest number has room.
    bars
        A row is a bar, in order: value, low, high, colour, and note, which says why a value is missing. A missing value
        is marked n/a, because that is a finding too.
    digits
        Decimals of the numbers.
    """
    value, low, high = (bars[name].to_numpy(dtype=float) for name in ("value", "low", "high"))
    scored = np.flatnonzero(~np.isnan(value))
    # A percentile interval need not hold the estimate; where it does not, there is nothing to draw on that side.
    spread = np.fmax([(value - low)[scored], (high - value)[scored]], 0)
    colours = bars["colour"].iloc[scored].tolist()
    panel.bar(scored, value[scored], color=colours, yerr=spread, ecolor=MUTED, error_kw={"linewidth": 1})
    for place, number in enumerate(value):
        if np.isnan(number):
            _write_missing(panel, place, 0.03 * top, bars["note"].iloc[place])
        else:
            height = np.fmax(number, high[place]) + 0.03 * top
            panel.text(place, height, f"{number:.{digits}f}", ha="center", fontsize=NUMBER_SIZE, bbox=_PAPER)
    panel.set_ylim(0, 1.18 * top)
    panel.set_yticks(np.linspace(0, top, 5))
    panel.set_xlim(-0.6, len(bars) - 0.4)


def _write_missing(panel: Axes, place: int, bottom: float, note: object) -> None:
    """Write n/a across, or where a note says why, upwards in the place of the bar."""
    if pd.isna(note):
        panel.text(place, bottom, "n/a", ha="center", fontsize=NUMBER_SIZE, color=MUTED)
        return
    words = textwrap.shorten(f"n/a: {note}", _REASON_LINES * _REASON_CHARACTERS, placeholder=" ...")
    lines = textwrap.wrap(words, _REASON_CHARACTERS)
    panel.text(
        place,
        bottom,
        "\n".join(lines),
        ha="center",
        va="bottom",
        rotation=90,
        fontsize=SMALL_SIZE,
        color=MUTED,
        bbox=_PAPER,
    )

"""Box plots as the 2024 paper draws them, and the words in place of a box that cannot be drawn.

Belongs here: one box at one place of a panel. Does not belong here: which boxes stand in which panel (``retrieval``,
``directionality``).
"""

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Patch

from cpjump_assets.figures.canvas import MUTED, SMALL_SIZE
from cpjump_assets.science.arrays import Floats

_LONGEST_REASON = 160


def draw_box(panel: Axes, place: float, values: Floats, colour: str, *, width: float) -> None:
    """Draw Q1, median and Q3 as a box and the values outside the whiskers as dots.

    Whiskers end at the last value within 1.5 times the distance of the quartiles. The dots are not in the paper's
    words, but a median near 0 with hundreds of classes says little without them.
    """
    panel.boxplot(
        [np.sort(values)],  # dots are drawn in this order, and equal tables shall give equal files
        positions=[place],
        widths=width,
        whis=1.5,
        patch_artist=True,
        manage_ticks=False,
        boxprops=_fill(colour),
        medianprops={"color": "black", "linewidth": 1.4},
        whiskerprops={"color": colour},
        capprops={"color": colour},
        flierprops={"marker": ".", "markersize": 3, "markerfacecolor": colour, "markeredgecolor": "none"},
    )


def box_handle(colour: str, label: str) -> Patch:
    """Give the entry of a legend that looks like a box of this colour."""
    return Patch(label=label, **_fill(colour))


def write_reason(panel: Axes, place: float, middle: float, reason: str, *, characters: int) -> None:
    """Write why there is no box where it would stand, in lines of so many characters."""
    lines = textwrap.wrap(textwrap.shorten(reason, _LONGEST_REASON, placeholder=" ..."), characters)
    panel.text(place, middle, "\n".join(lines), ha="center", va="center", fontsize=SMALL_SIZE, color=MUTED)


def _fill(colour: str) -> dict[str, Any]:
    return {"facecolor": to_rgba(colour, 0.55), "edgecolor": colour}

"""A plate on a sheet of paper: where each well lies, and what can be drawn on it.

Belongs here: placing, colouring and marking wells, their letters and numbers, the colour bar. Does not belong here:
which measures are shown (``plate_maps``, ``image_quality_maps``).

Figures with maps are drawn for each plate, so they must be cheap: everything is placed in inches on one panel, which
takes 0.1 s where a panel for each map and each colour bar, with ticks and a layout that matplotlib finds, takes 0.4 s.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from cpjump_assets.figures.canvas import MUTED, NUMBER_SIZE, SMALL_SIZE
from cpjump_assets.science.positions import EDGE, N_COLUMNS, N_ROWS, ROW_LETTERS

BAR_WIDTH = 0.1
_ARROW = 0.09
_FRAME = "#606060"
_COLOURS = "viridis"


@dataclass(frozen=True)
class Scale:
    """The numbers of a colour scale.

    Attributes
    ----------
    low, high
        Its ends.
    is_count
        Whether only whole numbers stand beside it.
    above
        Whether wells lie above ``high``: they have the last colour, and an arrow says so.
    """

    low: float
    high: float
    is_count: bool = False
    above: bool = False


def new_sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """Open a figure of this size, in inches, with one panel that is measured in inches from its lower left corner.

    An image moves the limits of a panel: ``end_sheet`` sets them when all is drawn.
    """
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    sheet = figure.add_axes((0, 0, 1, 1))
    sheet.set_axis_off()
    return figure, sheet


def end_sheet(figure: Figure, sheet: Axes) -> None:
    """Set the limits of the panel to the size of the figure."""
    width, height = figure.get_size_inches()
    sheet.set(xlim=(0, width), ylim=(0, height))


@dataclass(frozen=True)
class PlateGrid:
    """The wells of a plate on a sheet.

    Attributes
    ----------
    sheet
        The panel, measured in inches.
    left, bottom
        Lower left corner of the plate.
    cell
        Width and height of a well.
    """

    sheet: Axes
    left: float
    bottom: float
    cell: float

    @property
    def width(self) -> float:
        """Width of the plate."""
        return N_COLUMNS * self.cell

    @property
    def height(self) -> float:
        """Height of the plate."""
        return N_ROWS * self.cell

    @property
    def right(self) -> float:
        """Right edge of the plate."""
        return self.left + self.width

    @property
    def top(self) -> float:
        """Upper edge of the plate."""
        return self.bottom + self.height

    def fill(self, **look: object) -> None:
        """Draw the plate as one rectangle below the wells."""
        self._place(0, **look, lw=0, zorder=-1)

    def paint(self, values: npt.NDArray[np.float64], scale: Scale) -> None:
        """Colour the wells, shape (16, 24); one without a value stays as it is."""
        paint(self.sheet, values, (self.left, self.bottom), (self.width, self.height), scale)

    def frame(self) -> None:
        """Draw the edge of the plate."""
        self._place(0, fill=False, ec=_FRAME, lw=0.6)

    def part_inner_wells(self) -> None:
        """Draw the line that parts outer from inner wells."""
        for colour, line_width in (("black", 1.6), ("white", 0.8)):  # seen on any colour, and on hatching
            self._place(EDGE * self.cell, fill=False, ec=colour, lw=line_width)

    def mark(self, row: npt.ArrayLike, column: npt.ArrayLike, marker: str, **look: object) -> None:
        """Put a mark in the middle of wells; rows and columns count from 0."""
        x, y = self.left + (np.asarray(column) + 0.5) * self.cell, self.top - (np.asarray(row) + 0.5) * self.cell
        self.sheet.plot(x, y, marker, **look)

    def name_wells(self, rows: Iterable[int] = range(N_ROWS), columns: Iterable[int] = range(N_COLUMNS)) -> None:
        """Write numbers above the plate and letters to its left; rows and columns count from 0."""
        for number in columns:
            write(self.sheet, self.left + (number + 0.5) * self.cell, self.top + 0.03, str(number + 1), va="bottom")
        for number in rows:
            height = self.top - (number + 0.5) * self.cell
            write(self.sheet, self.left - 0.06, height, ROW_LETTERS[number], va="center_baseline")

    def _place(self, margin: float, **look: object) -> None:
        size = self.width - 2 * margin, self.height - 2 * margin
        self.sheet.add_patch(Rectangle((self.left + margin, self.bottom + margin), *size, **look))


def draw_bar(sheet: Axes, left: float, bottom: float, height: float, scale: Scale, unit: str) -> None:
    """Draw the colours of a scale with their numbers, and what they count, ``height`` inches high."""
    length = height - _ARROW
    paint(sheet, np.linspace(scale.high, scale.low, 128)[:, np.newaxis], (left, bottom), (BAR_WIDTH, length), scale)
    right = left + BAR_WIDTH
    if scale.above:
        corners = [(left, bottom + length), (right, bottom + length), (left + BAR_WIDTH / 2, bottom + height)]
        sheet.fill(*zip(*corners, strict=True), fc=matplotlib.colormaps[_COLOURS](1.0), lw=0)
    numbers = MaxNLocator(5, integer=scale.is_count, steps=[1, 2, 2.5, 5, 10]).tick_values(scale.low, scale.high)
    for number in numbers[(numbers >= scale.low) & (numbers <= scale.high)]:
        place = bottom + length * (number - scale.low) / (scale.high - scale.low)
        sheet.plot([right, right + 0.03], [place, place], color=_FRAME, lw=0.6)
        write(sheet, right + 0.05, place, f"{number:,.5g}", ha="left", va="center_baseline")
    words = {"rotation": 90, "ha": "right", "va": "center", "fontsize": NUMBER_SIZE}
    sheet.text(right + 0.48, bottom + height / 2, unit, **words)


def paint(
    sheet: Axes,
    values: npt.NDArray[np.float64],
    corner: tuple[float, float],
    size: tuple[float, float],
    scale: Scale,
) -> None:
    """Draw values as colours into the rectangle with this lower left corner and size, in inches."""
    (left, bottom), (width, height) = corner, size
    extent = (left, left + width, bottom, bottom + height)
    look = {"cmap": _COLOURS, "vmin": scale.low, "vmax": scale.high, "aspect": "auto", "interpolation": "nearest"}
    sheet.imshow(values, extent=extent, **look)


def write(sheet: Axes, x: float, y: float, words: str, **alignment: str) -> None:
    """Write in the smallest letters, centred unless ``alignment`` says otherwise."""
    sheet.text(x, y, words, fontsize=SMALL_SIZE, color=MUTED, **{"ha": "center", **alignment})

"""The common look of the figures, and how a figure becomes a file.

Belongs here: colours, sizes of text, the grid of panels, the line that says what is shown, rendering to bytes. Does not
belong here: any particular figure, or the marks in it (``bars``, ``boxes``).
"""

import io
import textwrap
from collections.abc import Sequence

import matplotlib
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

# Told apart without red or green receptors: of Okabe and Ito's palette those nearest to the papers', and Tol's red.
VERDICT_COLOURS = {"ok": "#009E73", "warning": "#E69F00", "breach": "#D55E00"}
MODALITY_COLOURS = {"Compound": "#0072B2", "CRISPR": "#E69F00", "ORF": "#009E73"}
CELL_LINE_COLOURS = {"A549": "#CC79A7", "U2OS": "#0072B2"}
SAME_WELL, DIFFERENT_WELL = "#0072B2", "#CC3311"
MUTED = "#404040"
"""Grey for what accompanies the data; dark enough to be read as text, and seen on top of a bar."""
LINE_GREY = "#808080"

LABEL_SIZE, NUMBER_SIZE, SMALL_SIZE = 8, 7, 6
"""Points: names of axes and panels; numbers and names of marks; what is read last."""
NARROWEST = 3.4
"""Inches: the width at which the longest entry of a legend is not cut off."""
_DPI = 110
_SMALL_CHARACTER = 0.048
"""Inches that a character of the smallest text takes on average, rounded up."""
_TWO_ENTRIES = 4.1
"""Inches: the width from which two entries of a legend stand side by side."""


def new_figure(width: float, height: float, *, rows: int = 1, columns: int = 1) -> tuple[Figure, npt.NDArray]:
    """Open a figure of this size, in inches, without global state.

    Returns
    -------
    figure, panels
        Panels of shape (rows, columns), all on one scale of values.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for panel in panels.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=LABEL_SIZE)
    return figure, panels


def add_legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Put a legend above all panels, where it covers nothing; none without an entry."""
    if handles:
        columns = 2 if figure.get_figwidth() >= _TWO_ENTRIES else 1
        figure.legend(handles=handles, loc="outside upper left", ncols=columns, fontsize=NUMBER_SIZE, frameon=False)


def write_caption(figure: Figure, words: str) -> None:
    """Write below a figure, in small letters, which rows it shows: a picture travels without its table."""
    lines = textwrap.wrap(words, characters_in(figure.get_figwidth() - 0.2))
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=SMALL_SIZE, color=MUTED)


def characters_in(inches: float) -> int:
    """Give the number of characters of the smallest text that fit into a width."""
    return max(int(inches / _SMALL_CHARACTER), 1)


def to_png(figure: Figure, *, colours: int = 64) -> bytes:
    """Render as PNG in 64 colours, a third of the bytes of full colour; equal figures give equal bytes.

    A figure with a continuous scale of colours needs up to 256.
    """
    _settle(figure)
    rendered, buffer = io.BytesIO(), io.BytesIO()
    figure.savefig(rendered, format="png", dpi=_DPI, pil_kwargs={"compress_level": 0})
    Image.open(rendered).convert("RGB").quantize(colours).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def to_svg(figure: Figure) -> bytes:
    """Render as SVG, without date or names of programs; equal figures give equal bytes.

    Words stay words, not outlines: they can be searched, read aloud and edited, and a figure takes half the bytes
    (18 to 78 kB against 58 to 116 kB). The layout is measured with DejaVu Sans, a wide font: where a reader lacks it,
    most others make words shorter.
    """
    _settle(figure)
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "cpjump", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(["Creator", "Date", "Format", "Type"]))
    return buffer.getvalue()


def _settle(figure: Figure) -> None:
    """Lay a figure out, once: every further layout starts from the last and moves by a fraction of a pixel.

    So both files of a figure have one layout, in whichever order they are made.
    """
    layout = figure.get_layout_engine()
    if isinstance(layout, ConstrainedLayoutEngine):
        layout.execute(figure)
        figure.set_layout_engine("none")

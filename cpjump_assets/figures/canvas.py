"""The common look of the figures, and how a figure becomes a file.

Belongs here: colours, fonts, rendering to bytes. Does not belong here: any particular figure.
"""

import io

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

# Okabe and Ito's palette: told apart with any kind of colour vision.
VERDICT_COLOURS = {"ok": "#009E73", "warning": "#E69F00", "breach": "#D55E00"}
MODALITY_COLOURS = {"Compound": "#0072B2", "CRISPR": "#009E73", "ORF": "#CC79A7"}
MUTED = "#404040"
"""Grey for what accompanies the data; dark enough to be read as text, and seen on top of a bar."""
_DPI = 110


def new_figure(width: float, height: float, *, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """Open a figure of this size, in inches, with panels below each other on common axes, and no global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(panels, sharex=True, sharey=True, squeeze=False)[:, 0])
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
    return figure, axes


def to_png(figure: Figure) -> bytes:
    """Render as PNG in 64 colours, a third of the bytes of full colour; equal figures give equal bytes."""
    rendered, buffer = io.BytesIO(), io.BytesIO()
    figure.savefig(rendered, format="png", dpi=_DPI)
    Image.open(rendered).convert("RGB").quantize(64).save(buffer, format="png", optimize=True)
    return buffer.getvalue()

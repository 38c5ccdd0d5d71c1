"""Reading a figure back as pixels: what colour is where, and whether something is cut off."""

import io

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from cpjump_assets.figures.canvas import to_png
from cpjump_assets.orchestration.display import LARGEST_PNG

_NEAR = 12
"""Greatest difference per channel that still is the colour: the palette of a figure is rounded."""


def pixels(figure: Figure) -> npt.NDArray[np.int16]:
    """Give a figure as pixels, shape (height, width, 3), proved to be a small PNG with nothing at its edge."""
    png = to_png(figure)
    assert len(png) < LARGEST_PNG
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        decoded = np.asarray(image.convert("RGB")).astype(np.int16)
    edge = np.concatenate([decoded[0], decoded[-1], decoded[:, 0], decoded[:, -1]])
    assert (edge == 255).all(), "something is cut off at the edge"
    return decoded


def where(picture: npt.NDArray[np.int16], *colours: str) -> npt.NDArray[np.bool_]:
    """Tell where a picture has one of the colours."""
    return np.any([np.abs(picture - np.multiply(to_rgb(c), 255)).max(axis=2) <= _NEAR for c in colours], axis=0)


def bands(filled: npt.NDArray[np.bool_]) -> list[slice]:
    """Give the stretches of True in a row of them."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], filled, [False]]).astype(int)))
    return [slice(start, stop) for start, stop in zip(steps[::2], steps[1::2], strict=True)]

"""What part of a field of view is shown, and how large: cutting, shrinking, and the scale that follows from both.

Belongs here: pixels in, fewer pixels out, and micrometres. Does not belong here: colours (``composite``), words and
bars (``figures.pixel_sheet``).
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from cpjump_assets.imaging.composite import Intensities

MICROMETRES_PER_PIXEL = 0.598
"""Of the images of CPJUMP1: 20x, 2 x 2 binning (2024 paper, Methods)."""


def side_in_pixels(shape: tuple[int, int], micrometres: float | None) -> int:
    """Give the side of the square that is shown of a field: a width in micrometres, or all that fits into the field.

    Parameters
    ----------
    shape
        Height and width of the field, in pixels.
    micrometres
        Width to show; None, or more than the field has, shows the largest square.
    """
    largest = min(shape)
    if micrometres is None:
        return largest
    return min(max(round(micrometres / MICROMETRES_PER_PIXEL), 1), largest)


def middle(pixels: Intensities, side: int) -> Intensities:
    """Cut the square in the middle of a field: always the same place, never one chosen by what is seen in it."""
    top, left = ((length - side) // 2 for length in pixels.shape)
    return pixels[top : top + side, left : left + side]


def resized(pixels: Intensities, side: int) -> npt.NDArray[np.float32]:
    """Shrink a square to ``side`` pixels, smoothed first so that no pattern appears that was not there.

    Intensities are averaged, not colours: a colour table with a bend, or the clipping of a display range, comes after.
    """
    image = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS))

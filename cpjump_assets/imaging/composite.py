"""Channels as people see them: a display range and a colour for each, and all of them laid over each other.

Belongs here: intensities in, colours out, by the rule of Fig. 1 of the 2024 paper. Does not belong here: reading files
(``tiff``), cutting and shrinking (``field``), pictures with words (``figures.montage``).

A range is the same for every image of a comparison, so that brighter on the screen means brighter under the microscope.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Intensities = npt.NDArray[Any]
"""Intensities, of shape (height, width) and any real type."""
Rgb = npt.NDArray[np.uint8]
"""Colours, of shape (height, width, 3)."""
Colours = tuple[tuple[int, int, int], ...]
"""Red, green and blue from the lower to the upper end of a display range, at equal distances."""


class DisplayRange(NamedTuple):
    """Intensities that are shown: up to ``low`` in the first colour of a channel, from ``high`` on in its last."""

    low: float
    high: float


PAPER_RANGES: Mapping[str, DisplayRange] = MappingProxyType(
    {
        "Mito": DisplayRange(1_078, 10_191),
        "AGP": DisplayRange(426, 22_225),
        "RNA": DisplayRange(360, 33_716),
        "ER": DisplayRange(238, 14_272),
        "DNA": DisplayRange(238, 20_508),
    }
)
"""Display ranges of Fig. 1 (2024 paper, Methods): one range a channel, linear, nothing else adjusted."""

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
GREY: Colours = (_BLACK, _WHITE)
PAPER_COLOURS: Mapping[str, Colours] = MappingProxyType(
    {
        "Mito": (_BLACK, (255, 0, 0)),
        "AGP": (_BLACK, (255, 128, 0), (255, 255, 0), _WHITE),
        "RNA": (_BLACK, (255, 255, 0)),
        "ER": (_BLACK, (0, 255, 0)),
        "DNA": (_BLACK, (0, 255, 255)),
    }
)
"""Colours of Fig. 1: red, Fiji's "Orange Hot" (straight lines through these four, to 4 of 255), yellow, green, cyan."""

CONTROL_PERCENTILES = (1.0, 99.8)
"""Ends of a range that is taken from a negative control: most of its background dark, its brightest debris clipped."""
_LEVELS = 256


def ranges_of(control: Mapping[str, Intensities]) -> dict[str, DisplayRange]:
    """Take the display ranges from the images of a negative control, for channels and plates that no paper gives them.

    They are meant for the control and for what is compared with it: a range for each side would hide the difference.

    Parameters
    ----------
    control
        Intensities of the negative control, by channel.

    Returns
    -------
    dict
        From the 1st to the 99.8th percentile of each channel.
    """
    ends = {name: np.percentile(pixels, CONTROL_PERCENTILES) for name, pixels in control.items()}
    return {name: DisplayRange(float(low), float(high)) for name, (low, high) in ends.items()}


def paint(pixels: Intensities, colours: Colours, shown: DisplayRange) -> Rgb:
    """Give an image the colours of its channel: linear from the lower to the upper end of the range, in 256 levels.

    Parameters
    ----------
    pixels
        Intensities, shape (height, width).
    colours
        Colours from dark to bright.
    shown
        The display range; an empty one, of a constant control, counts as one unit wide.
    """
    width = max(shown.high - shown.low, 1.0)
    share = (pixels.astype(np.float32) - np.float32(shown.low)) / np.float32(width)
    levels = np.rint(np.clip(share, 0, 1) * np.float32(_LEVELS - 1)).astype(np.uint8)
    return _table(colours)[levels]


def composite(
    channels: Mapping[str, Intensities],
    colours: Mapping[str, Colours] = PAPER_COLOURS,
    ranges: Mapping[str, DisplayRange] = PAPER_RANGES,
) -> Rgb:
    """Lay channels over each other: the greatest red, green and blue of all of them, as Fiji's "Composite (Max)".

    Parameters
    ----------
    channels
        Intensities by channel, all of one shape.
    colours, ranges
        By channel.

    Raises
    ------
    ValueError
        If there is no channel, or their shapes differ.
    """
    shapes = {pixels.shape for pixels in channels.values()}
    if len(shapes) != 1:
        raise ValueError(f"a composite needs channels of one shape, found {sorted(shapes)}")
    painted = [paint(pixels, colours[name], ranges[name]) for name, pixels in channels.items()]
    return np.maximum.reduce(painted)


def _table(colours: Colours) -> Rgb:
    """Give the colour of each level, shape (256, 3)."""
    places = np.linspace(0, _LEVELS - 1, len(colours))
    levels = np.arange(_LEVELS)
    table = [np.interp(levels, places, values) for values in zip(*colours, strict=True)]
    return np.rint(np.stack(table, axis=-1)).astype(np.uint8)

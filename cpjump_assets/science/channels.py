"""The channels of an image site, by meaning.

Belongs here: what ch1 to ch8 of the image files show, and the spellings by which tables and folders name it. Does not
belong here: file names (``gallery.images.file_names``), colours and display ranges (``imaging.composite``).
"""

from collections.abc import Mapping
from types import MappingProxyType

FLUORESCENCE = ("Mito", "AGP", "RNA", "ER", "DNA")
"""Stained channels, ch1 to ch5: mitochondria; actin, Golgi and plasma membrane; nucleoli; reticulum; nucleus."""
BRIGHTFIELD = ("HighZBF", "LowZBF", "Brightfield")
"""Unstained channels, ch6 to ch8: above, below and in the plane of focus."""
CHANNELS = (*FLUORESCENCE, *BRIGHTFIELD)
"""All eight, in the order of the numbers in file names: ch1 is the first.

Mito to DNA are told by the paper's repository and by a user who compared the microscope's index with ``load_data``; the
order of the three brightfield channels by one source only. So where ``load_data`` says what a file shows, it counts.
"""

# Illumination functions and later data sets call the two defocused planes by H and L.
_OTHER_SPELLINGS: Mapping[str, str] = MappingProxyType({"Brightfield_H": "HighZBF", "Brightfield_L": "LowZBF"})
_PREFIX = "Orig"


def channel_number(channel: str) -> int:
    """Give the number that the file names of CPJUMP1 carry for a channel; ``ValueError`` if there is no such one."""
    return CHANNELS.index(channel) + 1


def numbered_channel(number: int) -> str | None:
    """Give the channel that a number in a file name stands for; None for a number outside 1 to 8."""
    return CHANNELS[number - 1] if 1 <= number <= len(CHANNELS) else None


def named_channel(name: str) -> str | None:
    """Give the channel that a name means, as ``OrigMito``, ``Mito`` or ``OrigBrightfield_H``; None for any other."""
    bare = name.removeprefix(_PREFIX)
    channel = _OTHER_SPELLINGS.get(bare, bare)
    return channel if channel in CHANNELS else None

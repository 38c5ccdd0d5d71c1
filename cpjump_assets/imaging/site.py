"""The images of one site, by channel.

Belongs here: reading the channels of a site so that they can be laid over each other. Does not belong here: decoding
one file (``tiff``), where the files come from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cpjump_assets.imaging.tiff import Pixels, require_image
from cpjump_assets.science.errors import BadImageError


@dataclass(frozen=True)
class SiteImages:
    """The channels of a site that can be shown.

    Attributes
    ----------
    channels
        Pixels by channel, all of one shape.
    problems
        Why the other files cannot be shown, by channel.
    """

    channels: Mapping[str, Pixels]
    problems: Mapping[str, str] = field(default_factory=dict)


def read_site(paths: Mapping[str, Path]) -> SiteImages:
    """Read the channels of a site; a file that is no image, or of another shape than the first, is a problem.

    Parameters
    ----------
    paths
        File of each channel.

    Raises
    ------
    StoreError
        If a file cannot be read at all.
    """
    channels: dict[str, Pixels] = {}
    problems: dict[str, str] = {}
    for channel, path in paths.items():
        shape = next((pixels.shape for pixels in channels.values()), None)
        try:
            channels[channel] = require_image(path, shape=shape)
        except BadImageError as error:
            problems[channel] = str(error)
    return SiteImages(channels, problems)

"""The two real sites of the reference data: an aurora kinase inhibitor and DMSO, eight channels each."""

from functools import cache
from pathlib import Path

import numpy as np

from cpjump_assets.imaging.tiff import Pixels, read_tiff
from cpjump_assets.science.channels import CHANNELS, channel_number

TREATED, CONTROL = "AMG900", "DMSO"


@cache
def real_sites(reference_root: Path) -> dict[str, dict[str, Pixels]]:
    """Give the pixels of both sites, by folder and channel; not to be written to."""
    sites = {
        name: {channel: read_tiff(_file(reference_root, name, channel)) for channel in CHANNELS}
        for name in (TREATED, CONTROL)
    }
    for pixels in (pixels for site in sites.values() for pixels in site.values()):
        pixels.setflags(write=False)
    return sites


def simulated_site(seed: int, side: int = 96) -> dict[str, np.ndarray]:
    """Give a small site of noise, in all eight channels."""
    rng = np.random.default_rng(seed)
    return {channel: rng.integers(100, 30_000, (side, side)).astype(np.uint16) for channel in CHANNELS}


def _file(reference_root: Path, name: str, channel: str) -> Path:
    (path,) = (reference_root / "example_images" / name).glob(f"*-ch{channel_number(channel)}sk*.tiff")
    return path

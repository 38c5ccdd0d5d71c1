"""Drawn images: 16-bit LZW TIFFs of blobs that stand for cells.

Belongs here: pixels and how they are packed. Does not belong here: names and keys (``image_sets``), which wells have
images (``image_wells``), reading images, which is the platform's work.
"""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from cpjump_assets.science.channels import BRIGHTFIELD, CHANNELS
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.simulate.randomness import generator

_SIZE = 256
_PIXELS_PER_CM = 1e4 / 0.598  # 0.598 micrometres per pixel: 20x objective, binning 2
_N_CELLS, _FEWEST_CELLS = 40, 12
_SHARPNESS = 2.0
"""A cell is as bright as it gets over much of its area, and has an edge: the focus of images full of soft blobs would
depend on how many there are."""
# Radius of a cell in pixels, and background and peak of the intensity, per fluorescence channel.
_APPEARANCE = {
    "Mito": (9.0, 1000, 9000),
    "AGP": (12.0, 600, 16000),
    "RNA": (8.0, 600, 24000),
    "ER": (11.0, 400, 11000),
    "DNA": (5.0, 300, 16000),
}
_BRIGHTFIELD_LEVEL, _BRIGHTFIELD_DEPTH, _BRIGHTFIELD_RADIUS = 12000, 4000, 10.0
_NOISE, _STEP = 0.5, 32
"""Noise in roots of the intensity, and intensities are multiples of the step: so that LZW has something to pack.

With differences of neighbours packed (TIFF's predictor 2), an image takes 42 kB and 4 ms; it took 144 kB and 30 ms with
noise of 1 in steps of 1.
"""
_TIFF_PREDICTOR, _HORIZONTAL_DIFFERENCES = 317, 2


def site_images(
    seed: int, plate: PlateKey, well: str, site: int, *, strength: float, channels: Sequence[str] = CHANNELS
) -> dict[str, bytes]:
    """Draw one site; a strong effect leaves fewer and larger cells.

    Returns
    -------
    dict
        By channel the bytes of a TIFF, 256 x 256 pixels of 16 bits, LZW. The first channels come out the same whether
        further ones are asked for or not.
    """
    rng = generator(seed, "image", str(plate), well, str(site))
    n_cells = max(_FEWEST_CELLS, round(_N_CELLS * np.exp(-0.4 * strength)))
    growth = (_N_CELLS / n_cells) ** 0.25
    centres = rng.uniform(0, _SIZE, size=(n_cells, 2))
    brightness = rng.uniform(0.5, 1.0, n_cells)
    images = {}
    for channel in channels:
        if channel in BRIGHTFIELD:
            shadow = _blobs(centres, brightness, _BRIGHTFIELD_RADIUS * growth)
            level = _BRIGHTFIELD_LEVEL - _BRIGHTFIELD_DEPTH * shadow
        else:
            radius, background, peak = _APPEARANCE[channel]
            level = background + (peak - background) * _blobs(centres, brightness, radius * growth)
        noisy = level + _NOISE * np.sqrt(level) * rng.standard_normal(level.shape, dtype=np.float32)
        images[channel] = _tiff((np.clip(np.rint(noisy / _STEP) * _STEP, 0, 65535)).astype(np.uint16))
    return images


def _blobs(centres: np.ndarray, brightness: np.ndarray, radius: float) -> np.ndarray:
    """Draw one Gaussian blob per cell, cut off at 1."""
    pixels = np.arange(_SIZE)
    vertical, horizontal = np.exp(-((pixels - centres.T[:, :, np.newaxis]) ** 2) / (2 * radius**2))
    return np.minimum(_SHARPNESS * (brightness[:, np.newaxis] * vertical).T @ horizontal, 1.0)


def _tiff(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(
        buffer,
        format="TIFF",
        compression="tiff_lzw",
        tiffinfo={_TIFF_PREDICTOR: _HORIZONTAL_DIFFERENCES},
        resolution=_PIXELS_PER_CM,
        resolution_unit="cm",
    )
    return buffer.getvalue()

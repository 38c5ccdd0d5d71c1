"""Image sets and a few images: ``load_data.csv``, and 16-bit LZW TIFFs of drawn cells.

Belongs here: image file names and folders, the table that lists them, and the pixels. Does not belong here: reading
images, which is the platform's work.
"""

import io

import numpy as np
import pandas as pd
from PIL import Image

from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.science.plates import PLATES, PlateKey
from cpjump_assets.science.positions import POSITIONS
from cpjump_assets.simulate.feature_names import BRIGHTFIELD, CHANNELS
from cpjump_assets.simulate.randomness import generator

IMAGE_CHANNELS = (*CHANNELS, *BRIGHTFIELD)
"""Channels in the order of ``ch1`` to ``ch8`` of the file names."""
_LOAD_DATA_ORDER = ("Brightfield", "HighZBF", "LowZBF", "RNA", "Mito", "AGP", "ER", "DNA")
# Some plates were measured more than once, and the images of the bleaching batch carry another stack number.
_MEASUREMENTS = {"BR00116996": 3, "BR00117005": 2, "BR00117021": 2, "BR00118043": 2}
_BLEACHING_BATCH, _BLEACHING_STACK = "2020_12_08_CPJUMP1_Bleaching", 5

_SIZE = 256
_PIXELS_PER_CM = 1e4 / 0.598  # 0.598 micrometres per pixel: 20x objective, binning 2
_N_CELLS = 40
# Radius of a cell in pixels, and background and peak of the intensity, per fluorescence channel.
_APPEARANCE = {
    "Mito": (9.0, 1000, 9000),
    "AGP": (12.0, 600, 16000),
    "RNA": (8.0, 600, 24000),
    "ER": (11.0, 400, 11000),
    "DNA": (5.0, 300, 16000),
}
_BRIGHTFIELD_LEVEL, _BRIGHTFIELD_DEPTH, _BRIGHTFIELD_RADIUS = 12000, 4000, 10.0


def image_key(root: GalleryRoot, plate: PlateKey, well: str, site: int, channel: str) -> str:
    """Give the key of one image, ``.../<measurement>/Images/rRRcCCfFFp01-chNsk1fk1fl1.tiff``."""
    row, column = (POSITIONS[f"Metadata_{axis}"][well] for axis in ("row", "column"))
    return f"{_images_folder(root, plate)}/{_file_name(plate, row, column, site, channel)}"


def load_data(root: GalleryRoot, plate: PlateKey, n_sites: int) -> pd.DataFrame:
    """List the image sets of a plate: one row per well and site, with the address of the image of each channel.

    The real table lists every image; of a simulated gallery only a few of them exist.
    """
    folder = f"s3://{root.bucket}/{_images_folder(root, plate)}"
    rows = []
    for well, row, column in POSITIONS[["Metadata_row", "Metadata_column"]].itertuples(name=None):
        for site in range(1, n_sites + 1):
            urls = [f"{folder}/{_file_name(plate, row, column, site, channel)}" for channel in _LOAD_DATA_ORDER]
            rows.append((*urls, plate.barcode, well, site))
    urls = [f"URL_Orig{channel}" for channel in _LOAD_DATA_ORDER]
    return pd.DataFrame(rows, columns=[*urls, "Metadata_Plate", "Metadata_Well", "Metadata_Site"])


def site_images(seed: int, plate: PlateKey, well: str, site: int, *, strength: float) -> dict[str, bytes]:
    """Draw one site in all eight channels; a strong effect leaves fewer and larger cells.

    Returns
    -------
    dict
        By channel the bytes of a TIFF, 256 x 256 pixels of 16 bits, LZW.
    """
    rng = generator(seed, "image", str(plate), well, str(site))
    n_cells = max(4, round(_N_CELLS * np.exp(-0.4 * strength)))
    growth = (_N_CELLS / n_cells) ** 0.25
    centres = rng.uniform(0, _SIZE, size=(n_cells, 2))
    brightness = rng.uniform(0.5, 1.0, n_cells)
    images = {}
    for channel in IMAGE_CHANNELS:
        if channel in BRIGHTFIELD:
            shadow = _blobs(centres, brightness, _BRIGHTFIELD_RADIUS * growth)
            level = _BRIGHTFIELD_LEVEL - _BRIGHTFIELD_DEPTH * shadow
        else:
            radius, background, peak = _APPEARANCE[channel]
            level = background + (peak - background) * _blobs(centres, brightness, radius * growth)
        noisy = level + np.sqrt(level) * rng.normal(size=level.shape)
        images[channel] = _tiff(np.clip(np.rint(noisy), 0, 65535).astype(np.uint16))
    return images


def _images_folder(root: GalleryRoot, plate: PlateKey) -> str:
    """Give the folder of a plate's images; real plates carry the time of their measurement, invented here."""
    place = PLATES.index(plate)
    measured = f"{plate.batch[:10].replace('_', '-')}T{place % 24:02d}_{place % 60:02d}_00"
    measurement = f"{plate.barcode}__{measured}-Measurement{_MEASUREMENTS.get(plate.barcode, 1)}"
    return f"{root.images_prefix(plate.batch)}{measurement}/Images"


def _file_name(plate: PlateKey, row: int, column: int, site: int, channel: str) -> str:
    stack = _BLEACHING_STACK if plate.batch == _BLEACHING_BATCH else 1
    number = IMAGE_CHANNELS.index(channel) + 1
    return f"r{row:02d}c{column:02d}f{site:02d}p01-ch{number}sk{stack}fk1fl1.tiff"


def _blobs(centres: np.ndarray, brightness: np.ndarray, radius: float) -> np.ndarray:
    """Draw one Gaussian blob per cell; overlapping ones saturate at 1."""
    pixels = np.arange(_SIZE)
    profiles = np.exp(-((pixels - centres[:, :, np.newaxis]) ** 2) / (2 * radius**2))
    image = np.zeros((_SIZE, _SIZE))
    for weight, (vertical, horizontal) in zip(brightness, profiles, strict=True):
        image += weight * np.outer(vertical, horizontal)
    return np.minimum(image, 1.0)


def _tiff(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    image.save(buffer, format="TIFF", compression="tiff_lzw", resolution=_PIXELS_PER_CM, resolution_unit="cm")
    return buffer.getvalue()

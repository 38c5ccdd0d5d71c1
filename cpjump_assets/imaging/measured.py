"""The measures of the images of a plate: files in, table out.

Belongs here: reading each image that is held, and the table of what was measured. Does not belong here: any measure
(``quality``), what is made of them (``science.image_quality``).
"""

from pathlib import Path

import pandas as pd

from cpjump_assets.imaging.quality import ImageQuality, measure_image
from cpjump_assets.imaging.tiff import require_image
from cpjump_assets.science.image_quality import IMAGE_QUALITY, PERCENTILE_COLUMNS
from cpjump_assets.science.image_table import HELD


def measure_images(images: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Measure every image that is held; one at a time is in memory.

    Parameters
    ----------
    images
        ``IMAGES`` of a plate.
    folder
        The gallery folder of the store.

    Returns
    -------
    DataFrame
        ``IMAGE_QUALITY``, a row for each row of ``images``.

    Raises
    ------
    BadImageError, StoreError
        If a file is no longer the image that it was when it was opened.
    """
    held = images[images["status"] == HELD]
    shapes = held[["height", "width"]].astype(int).itertuples(index=False, name=None)
    measures = [
        _columns(measure_image(require_image(folder / path, shape=shape)))
        for path, shape in zip(held["path"], shapes, strict=True)
    ]
    table = images.join(pd.DataFrame(measures, index=held.index, columns=_MEASURES, dtype="float64"))
    return IMAGE_QUALITY.normalise(table[IMAGE_QUALITY.column_names], "the measures of the images")


_MEASURES = [*PERCENTILE_COLUMNS, "mean", "saturated_share", "maximum_share", "focus_slope"]


def _columns(quality: ImageQuality) -> tuple[float, ...]:
    return (
        *quality.percentiles,
        quality.mean,
        quality.saturated_share,
        quality.maximum_share,
        quality.focus_slope,
    )

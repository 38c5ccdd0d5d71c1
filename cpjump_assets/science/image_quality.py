"""Quality of images: the table of measures, and which images fall short of their like.

Belongs here: the schema and the thresholds. Does not belong here: measuring pixels (``imaging.quality``), drawing
(``figures.image_quality_maps``), leaving an image out, which nothing here does.
"""

from dataclasses import dataclass

import pandas as pd

from cpjump_assets.science.image_table import IMAGE_KEY, IMAGES, STATUS
from cpjump_assets.science.schemas import Column, TableSchema

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
PERCENTILE_COLUMNS = tuple(f"p{percentile:02d}" for percentile in PERCENTILES)

_COUNTS = (0, 65_535)
_FROM_IMAGES = ("channel_number", "Metadata_broad_sample", "role")

IMAGE_QUALITY = TableSchema(
    "image_quality",
    "an image of the plate's selection, with its measures where it is held",
    IMAGES.key,
    (
        *IMAGE_KEY,
        *(column for column in IMAGES.columns if column.name in _FROM_IMAGES),
        STATUS,
        *(
            Column(name, "number", f"intensity at percentile {percentile}", nullable=True, bounds=_COUNTS)
            for name, percentile in zip(PERCENTILE_COLUMNS, PERCENTILES, strict=True)
        ),
        Column("mean", "number", "mean intensity", nullable=True, bounds=_COUNTS),
        Column("saturated_share", "number", "share of pixels at 65,535", nullable=True, bounds=(0, 1)),
        Column(
            "maximum_share", "number", "share of pixels at the image's own greatest value", nullable=True, bounds=(0, 1)
        ),
        Column(
            "focus_slope",
            "number",
            "slope of the log power spectrum over the log frequency: the lower, the more blurred; compare images of "
            "one channel only",
            nullable=True,
        ),
    ),
)


@dataclass(frozen=True)
class SoundImage:
    """What is asked of an image.

    Attributes
    ----------
    blur
        The focus slope may lie so far below the median of the channel on the plate. On two real sites a blur with a
        sigma of 3 pixels (1.8 um) lowers it by 1.0 to 1.2; a drug that leaves large, sparse cells (AMG900) by 0.03 to
        0.28.
    saturated
        Greatest share of pixels at the greatest value. The brightest real image that was at hand, RNA, has 0.0003.
    """

    blur: float = 1.0
    saturated: float = 0.01


def blurred_images(quality: pd.DataFrame, rules: SoundImage | None = None) -> pd.DataFrame:
    """Give the images that are out of focus beside the others of their plate and channel.

    Parameters
    ----------
    quality
        ``IMAGE_QUALITY`` of one or several plates. An image without measures is no finding.
    rules
        The thresholds; by default those of ``SoundImage``.

    Returns
    -------
    DataFrame
        Key columns, ``focus_slope`` and ``bound``; the most blurred first.
    """
    of_channel = [quality[name] for name in ("Metadata_Batch", "Metadata_Plate", "channel")]
    bound = quality["focus_slope"].groupby(of_channel).transform("median") - (rules or SoundImage()).blur
    table = quality[[*IMAGE_QUALITY.key, "focus_slope"]].assign(bound=bound)
    blurred = table[table["focus_slope"] < table["bound"]]
    return blurred.sort_values(["focus_slope", *IMAGE_QUALITY.key], ignore_index=True)


def saturated_images(quality: pd.DataFrame, rules: SoundImage | None = None) -> pd.DataFrame:
    """Give the images of which too many pixels are at the greatest value, of the type or of the image itself.

    Parameters
    ----------
    quality, rules
        As for ``blurred_images``.

    Returns
    -------
    DataFrame
        Key columns, ``maximum_share`` and ``saturated_share``; the most saturated first.
    """
    bound = (rules or SoundImage()).saturated
    # The share at the image's own maximum is the other share where the image reaches 65,535.
    table = quality.loc[quality["maximum_share"] > bound, [*IMAGE_QUALITY.key, "maximum_share", "saturated_share"]]
    return table.sort_values(
        ["maximum_share", *IMAGE_QUALITY.key], ascending=[False] + [True] * len(IMAGE_QUALITY.key), ignore_index=True
    )

"""The image index of a plate: its listing, its image sets and its file names, put together.

Belongs here: what of a listing is an image, and the choice of the measurement. Does not belong here: joining the three
(``science.image_index``), requests (``measurements``).
"""

from dataclasses import dataclass

import pandas as pd

from cpjump_assets.gallery.images.file_names import file_name_table, looks_like_image
from cpjump_assets.gallery.images.load_data import ImageSets
from cpjump_assets.gallery.images.measurements import PlateImages, choose_measurement
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.science.errors import GalleryError
from cpjump_assets.science.image_index import reconcile_images
from cpjump_assets.science.schemas import STRING


@dataclass(frozen=True)
class PlateImageIndex:
    """The index of a plate, and what was left out of it.

    Attributes
    ----------
    table
        ``IMAGE_INDEX``.
    measurement
        The measurement folder that it was read from; None when the gallery has no images of the plate.
    other_files
        Files of the measurement that are no images, such as the microscope's ``Index.idx.xml``.
    other_measurements
        Files of other measurements of the plate.
    """

    table: pd.DataFrame
    measurement: str | None
    other_files: int
    other_measurements: int


def plate_image_index(root: GalleryRoot, images: PlateImages, sets: ImageSets | None) -> PlateImageIndex:
    """Make the image index of a plate.

    Parameters
    ----------
    root
        The gallery.
    images
        What it lists of the plate.
    sets
        The image sets of the plate; None when it has none: then the file names alone say what an image is.

    Raises
    ------
    GalleryError
        If the gallery has neither images nor image sets of the plate, or several measurements of which the image sets
        do not name one.
    """
    plate = images.plate
    if sets is None and not images.objects:
        raise GalleryError(f"{root} holds neither images nor image sets of plate {plate}")
    measurement = choose_measurement(plate, images.folders, () if sets is None else sets.measurements)
    prefix = f"{root.images_prefix(plate.batch)}{measurement}/"
    measured = [item for item in images.objects if item.key.startswith(prefix)]
    named = set() if sets is None else set(sets.images["key"])
    held = [item for item in measured if item.key in named or looks_like_image(item.key)]
    listed = pd.DataFrame(
        {
            "key": pd.Series([item.key for item in held], dtype=STRING),
            "size": pd.Series([item.size for item in held], dtype="int64"),
            "etag": pd.Series([item.etag for item in held], dtype=STRING),
        }
    )
    file_names = file_name_table(named.union(listed["key"]))
    return PlateImageIndex(
        table=reconcile_images(plate, listed, None if sets is None else sets.images, file_names),
        measurement=measurement,
        other_files=len(measured) - len(held),
        other_measurements=len(images.objects) - len(measured),
    )

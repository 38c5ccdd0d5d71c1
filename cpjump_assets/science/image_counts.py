"""How many images a plate should have, and how many it has.

Belongs here: the published counts as data, and the counts of an image index. Does not belong here: the index itself
(``image_index``), what is done about a plate that is short (nothing: it is named).
"""

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd

from cpjump_assets.science.channels import CHANNELS
from cpjump_assets.science.image_index import ABSENT, HELD, LISTED, UNLISTED, UNREADABLE
from cpjump_assets.science.plates import MAIN_BATCH, PlateKey
from cpjump_assets.science.positions import POSITIONS

COUNTS = (
    "in the gallery",
    "absent",
    "unlisted",
    "unreadable names",
    "other findings",
    "sites",
    "incomplete sites",
)
"""What is counted of a plate, see ``count_images``."""
COUNTED_COLUMNS = ["Metadata_Well", "Metadata_Site", "channel", "status", "reason"]
"""Columns of the index that counting takes."""

NOMINAL_SITES = 9
_SITES_OF_BATCH: Mapping[str, int] = MappingProxyType(
    {"2020_11_18_CPJUMP1_TimepointDay1": 4, "2020_11_19_TimepointDay4": 4}
)
_SITES_OF_PLATE: Mapping[PlateKey, int] = MappingProxyType(
    {PlateKey(MAIN_BATCH, f"BR00{number}"): 16 for number in (117015, 117016, 117017, 117019)}
    | {
        PlateKey("2020_12_08_CPJUMP1_Bleaching", f"BR00{number}{round_}"): 7
        for number in (116991, 116992)
        for round_ in "ABCDEF"
    }
)
"""Plates that were imaged with another number of sites than their batch.

Source: ``Number_of_images`` of the paper's ``experiment-metadata.tsv``, divided by 384 wells and eight channels. A
dozen plates are published with a few images fewer than that.
"""


def nominal_images(plate: PlateKey) -> int:
    """Give the images of a plate of which none was lost: 384 wells x sites x 8 channels."""
    sites = _SITES_OF_PLATE.get(plate, _SITES_OF_BATCH.get(plate.batch, NOMINAL_SITES))
    return len(POSITIONS) * sites * len(CHANNELS)


def expected_images(plate: PlateKey, experiment: pd.DataFrame | None = None) -> int:
    """Give the images that a plate is published with.

    Parameters
    ----------
    plate
        The plate acquisition.
    experiment
        ``EXPERIMENT_METADATA``; without it, or without the plate in it, the nominal count is given.
    """
    if experiment is not None:
        of_plate = (experiment["Metadata_Batch"] == plate.batch) & (experiment["Metadata_Plate"] == plate.barcode)
        if of_plate.any():
            return int(experiment.loc[of_plate, "Metadata_number_of_images"].iloc[0])
    return nominal_images(plate)


def count_images(index: pd.DataFrame) -> dict[str, int]:
    """Count the images of one plate.

    Parameters
    ----------
    index
        ``IMAGE_INDEX`` of the plate, or its ``COUNTED_COLUMNS``.

    Returns
    -------
    dict
        By ``COUNTS``: images that the gallery holds; images that are only named; of those that it holds the ones that
        are not named; files whose names cannot be read; other images with a reason; sites of wells that are known; and
        of these the ones that lack a channel that the plate has.
    """
    status = index["status"]
    held = status.isin(HELD)
    known = index[index["channel"].notna()]
    place = [known["Metadata_Well"], known["Metadata_Site"]]
    # A channel of a site may have several files, one a plane: one that is there is enough.
    channels = known["channel"].where(held[known.index]).groupby(place, observed=True).nunique()
    found = (
        held.sum(),
        (status == ABSENT).sum(),
        (status == UNLISTED).sum(),
        (status == UNREADABLE).sum(),
        (index["reason"].notna() & (status == LISTED)).sum(),
        len(channels),
        (channels < known["channel"].nunique()).sum(),
    )
    return dict(zip(COUNTS, map(int, found), strict=True))

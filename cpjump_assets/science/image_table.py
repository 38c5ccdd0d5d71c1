"""The pulled images of a plate, one row each, those that could not be had among them.

Belongs here: the schema, and what becomes of each image of a selection. Does not belong here: choosing images
(``image_selection``), pulling and opening files (``gallery``, ``imaging.tiff``).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from cpjump_assets.science.channels import CHANNELS
from cpjump_assets.science.image_selection import REASONS, ROLES
from cpjump_assets.science.schemas import WELLS, Column, TableSchema

HELD = "held"
ABSENT = "absent"
UNUSABLE = "unusable"
IMAGE_STATUSES = (HELD, ABSENT, UNUSABLE)

_POSITIVE = (1, float("inf"))
_OF_WELLS = {column.name: column for column in WELLS.columns}
IMAGE_KEY = (
    _OF_WELLS["Metadata_Batch"],
    _OF_WELLS["Metadata_Plate"],
    _OF_WELLS["Metadata_Well"],
    Column("Metadata_Site", "integer", "field of view in the well, from 1", bounds=_POSITIVE),
    Column("channel", "string", "what the image shows", allowed=CHANNELS),
)
"""The columns that say which image a row is of."""
STATUS = Column(
    "status",
    "string",
    "held: pulled, opened and fit to be measured; absent: the gallery does not have it; unusable: pulled as the "
    "gallery has it, and no image of the plate",
    allowed=IMAGE_STATUSES,
)

IMAGES = TableSchema(
    "images",
    "an image of the plate's selection, pulled or not to be had",
    tuple(column.name for column in IMAGE_KEY),
    (
        *IMAGE_KEY,
        Column("channel_number", "integer", "number of the channel in file names", bounds=(1, len(CHANNELS))),
        _OF_WELLS["Metadata_broad_sample"],
        _OF_WELLS["Metadata_control_type"],
        Column("role", "string", "what the well holds", allowed=ROLES),
        Column("chosen_by", "string", "why the well is part of the selection", allowed=REASONS),
        Column(
            "mAP",
            "number",
            "mean average precision of the reagent in the detection task; missing where scores did not choose it",
            nullable=True,
            bounds=(0, 1),
        ),
        Column("key", "string", "key of the object; missing when nothing names the image", nullable=True),
        Column("path", "string", "file below the gallery folder of the store; missing when absent", nullable=True),
        Column("size", "integer", "bytes of the file; missing when absent", nullable=True, bounds=(0, float("inf"))),
        Column("sha256", "string", "of the file; missing when absent", nullable=True),
        Column("height", "integer", "pixels; missing unless held", nullable=True, bounds=_POSITIVE),
        Column("width", "integer", "pixels; missing unless held", nullable=True, bounds=_POSITIVE),
        STATUS,
        Column("reason", "string", "why it is absent or unusable, or what is odd about its file", nullable=True),
    ),
)

GONE = "in the index, but no longer in the gallery"


class PulledFile(NamedTuple):
    """A file in the store, and what opening it showed.

    Attributes
    ----------
    path
        Below the gallery folder.
    size
        Bytes.
    sha256
        Of the file, as 64 hexadecimal digits.
    shape
        Height and width in pixels; None when it cannot be used.
    problem
        Why it cannot be used; None when it can.
    """

    path: str
    size: int
    sha256: str
    shape: tuple[int, int] | None
    problem: str | None


def image_table(files: pd.DataFrame, pulled: Mapping[str, PulledFile]) -> pd.DataFrame:
    """Say of each image of a selection what became of it.

    Parameters
    ----------
    files
        As ``ImageSelection.files`` gives them.
    pulled
        The files that are in the store, by key.

    Returns
    -------
    DataFrame
        ``IMAGES``.
    """
    rows = [
        (key, file.path, file.size, file.sha256, *(file.shape or (None, None)), file.problem)
        for key, file in pulled.items()
    ]
    found = pd.DataFrame(rows, columns=list(_TYPES)).astype(_TYPES)
    table = files.merge(found, on="key", how="left")
    is_pulled, is_bad = table["sha256"].notna(), table["problem"].notna()
    table["status"] = np.select([is_bad, is_pulled], [UNUSABLE, HELD], default=ABSENT)
    reason = table["reason"].mask(table["in_gallery"] & ~is_pulled, GONE)
    table["reason"] = reason.mask(is_bad, table["problem"])
    table = table.rename(columns={"mean_average_precision": "mAP"})[IMAGES.column_names]
    return IMAGES.normalise(table, "the images of the selection")


_TYPES = {
    "key": "str",
    "path": "str",
    "size": "Int64",
    "sha256": "str",
    "height": "Int64",
    "width": "Int64",
    "problem": "str",
}

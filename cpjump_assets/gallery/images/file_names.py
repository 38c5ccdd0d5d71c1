"""Names of image files, ``rRRcCCfFFpPP-chNskNfkNflN.tiff``, as the microscope writes them.

Belongs here: reading a name, and telling a file that should be an image from what lies beside it. Does not belong here:
which channel a number stands for (``science.channels``), where the files lie (``measurements``).
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from cpjump_assets.science.positions import N_COLUMNS, N_ROWS, well_name
from cpjump_assets.science.schemas import STRING

# Stack, time point and flim (sk, fk, fl) may have any number: the bleaching batch carries sk5. Of the others, a number
# of more than four digits is none that a microscope wrote.
_NUMBER = r"(\d{1,4})"
_NAME = re.compile(rf"r{_NUMBER}c{_NUMBER}f{_NUMBER}p{_NUMBER}-ch{_NUMBER}sk\d+fk\d+fl\d+\.tiff?", re.ASCII)
_IMAGE_ENDINGS = (".tif", ".tiff", ".png", ".jpg", ".jpeg")


class ImageName(NamedTuple):
    """What the name of an image file says.

    Attributes
    ----------
    row, column
        Of the well, from 1.
    site
        Field of view in the well.
    plane
        Plane of focus.
    channel_number
        What stands behind ``ch``.
    """

    row: int
    column: int
    site: int
    plane: int
    channel_number: int

    @property
    def well(self) -> str:
        """Name of the well."""
        return well_name(self.row, self.column)


def parse_image_name(name: str) -> ImageName | None:
    """Read the name of an image file; None if it is of another form, or of a well that a plate does not have.

    Parameters
    ----------
    name
        Without folders, such as ``r01c01f01p01-ch1sk1fk1fl1.tiff``.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    row, column, site, plane, channel_number = map(int, match.groups())
    if not (1 <= row <= N_ROWS and 1 <= column <= N_COLUMNS):
        return None
    return ImageName(row, column, site, plane, channel_number)


def looks_like_image(name: str) -> bool:
    """Tell whether a file is meant to be an image; the microscope's index and logs are not."""
    return name.lower().endswith(_IMAGE_ENDINGS)


def file_name_table(keys: Iterable[str]) -> pd.DataFrame:
    """Read the names of many files.

    Returns
    -------
    DataFrame
        Indexed by key: ``Metadata_Well``, ``Metadata_Site``, ``plane`` and ``channel_number``. Names that cannot be
        read have no row.
    """
    parsed = ((key, parse_image_name(key.rpartition("/")[2])) for key in keys)
    names = {key: name for key, name in parsed if name is not None}
    table = pd.DataFrame(list(names.values()), columns=list(ImageName._fields), index=pd.Index(names, dtype=STRING))
    wells = pd.Series([name.well for name in names.values()], index=table.index, dtype=STRING)
    columns = {"Metadata_Well": wells, "Metadata_Site": table["site"]}
    return pd.DataFrame(columns | {name: table[name] for name in ("plane", "channel_number")})

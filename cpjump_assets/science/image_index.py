"""The image index of a plate: what the gallery holds, beside what the plate's image sets name.

Belongs here: the table of image files, and joining a listing with image sets into it. Does not belong here: where the
two come from (``gallery.images``), how many images a plate should have (``image_counts``), which are worth pulling
(``image_selection``).

The two rarely agree in full: files that are named are lost, files that are there are named by nobody, and in other data
sets of the gallery two channels were found to name one file. So whatever differs is a row with a reason, and no error.
"""

import numpy as np
import pandas as pd

from cpjump_assets.science.channels import CHANNELS, channel_number
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.science.positions import POSITIONS
from cpjump_assets.science.schemas import STRING, WELLS, Column, TableSchema

LISTED = "listed"
ABSENT = "absent"
UNLISTED = "unlisted"
UNREADABLE = "unreadable name"
STATUSES = (LISTED, ABSENT, UNLISTED, UNREADABLE)
HELD = (LISTED, UNLISTED)
"""Status of the images that the gallery holds and that are known to be of some well, site and channel."""

_OF_PLATES = ("Metadata_Batch", "Metadata_Plate")
_POSITIVE = (0, float("inf"))
IMAGE_INDEX = TableSchema(
    "image_index",
    "an image file of a plate acquisition, in the gallery or only named",
    ("key",),
    (
        *(column for column in WELLS.columns if column.name in _OF_PLATES),
        Column("Metadata_Well", "string", "position on the plate, A01 to P24; missing if unknown", nullable=True),
        Column("Metadata_row", "integer", "row on the plate, 1 (A) to 16 (P)", nullable=True, bounds=(1, 16)),
        Column("Metadata_column", "integer", "column on the plate, 1 to 24", nullable=True, bounds=(1, 24)),
        Column("Metadata_Site", "integer", "field of view in the well, from 1", nullable=True, bounds=_POSITIVE),
        Column("channel", "string", "what the image shows", nullable=True, allowed=CHANNELS),
        Column("channel_number", "integer", "channel number in the file name", nullable=True, bounds=_POSITIVE),
        Column("plane", "integer", "plane of focus in the file name", nullable=True, bounds=_POSITIVE),
        Column("key", "string", "key of the object in the gallery's bucket"),
        Column("size", "integer", "bytes; missing when the gallery lacks it", nullable=True, bounds=_POSITIVE),
        Column("etag", "string", "ETag; missing when the gallery lacks it", nullable=True),
        Column(
            "status",
            "string",
            "listed: in the gallery and in the image sets; absent: only in the image sets; unlisted: only in the "
            "gallery; unreadable name: only in the gallery, and its name does not say what it is",
            allowed=STATUSES,
        ),
        Column("reason", "string", "what is wrong with it; missing when nothing is", nullable=True),
    ),
)

NOT_IN_GALLERY = "named by the image sets, not in the gallery"
NOT_NAMED = "in the gallery, not named by the image sets"
NO_IMAGE_SETS = "in the gallery; the plate has no image sets that could name it"
NAME_UNREADABLE = "its name does not say well, site and channel"
CHANNEL_UNKNOWN = "its channel number is none of the eight channels"
EMPTY_FILE = "an empty file"
_TEXTS = ("Metadata_Well", "channel", "also", "etag")


def reconcile_images(
    plate: PlateKey, listed: pd.DataFrame, named: pd.DataFrame | None, file_names: pd.DataFrame
) -> pd.DataFrame:
    """Join what the gallery lists of a plate with what its image sets name.

    Where both speak of a file, the image sets say well, site and channel: profiles were computed from what they say,
    and the number of a channel is a habit of one microscope. A difference from the file name is a reason. A file that
    is named for several channels shows the one whose number its name carries; for the others there is no image.

    Parameters
    ----------
    plate
        The plate acquisition.
    listed
        ``key``, ``size`` and ``etag`` of the image files in the gallery; a key once.
    named
        ``key``, ``Metadata_Well``, ``Metadata_Site`` and ``channel`` of each image of the image sets; None when the
        plate has none.
    file_names
        What the names of all these files say, indexed by key: ``Metadata_Well``, ``Metadata_Site``, ``plane`` and
        ``channel_number``; no row for a name that cannot be read.

    Returns
    -------
    DataFrame
        ``IMAGE_INDEX``.
    """
    sets = _no_image_sets() if named is None else _one_meaning_each(named, file_names)
    keys = pd.Index(listed["key"], dtype=STRING).union(sets.index)
    present, told, read = (_at(keys, source) for source in (listed.set_index("key"), sets, file_names))
    is_present, is_told = present["size"].notna(), told["channel"].notna()
    is_read = read["channel_number"].notna()
    table = pd.DataFrame(
        {
            "Metadata_Batch": plate.batch,
            "Metadata_Plate": plate.barcode,
            "Metadata_Well": told["Metadata_Well"].where(is_told, read["Metadata_Well"]),
            "Metadata_Site": told["Metadata_Site"].where(is_told, read["Metadata_Site"]),
            "channel": told["channel"].where(is_told, _channel_of(read["channel_number"])),
            "channel_number": read["channel_number"],
            "plane": read["plane"],
            "key": keys,
            "size": present["size"],
            "etag": present["etag"],
            "status": np.select(
                [is_present & is_told, is_told, is_read], [LISTED, ABSENT, UNLISTED], default=UNREADABLE
            ),
        },
        index=keys,
    )
    for column in ("Metadata_row", "Metadata_column"):
        table[column] = table["Metadata_Well"].map(POSITIONS[column])
    table["reason"] = _reasons(table, told, read, has_sets=named is not None)
    return IMAGE_INDEX.normalise(table.reset_index(drop=True), f"the image index of {plate}")


def _no_image_sets() -> pd.DataFrame:
    columns = ["Metadata_Well", "Metadata_Site", "channel", "also"]
    return pd.DataFrame(columns=columns, index=pd.Index([], dtype=STRING))


def _at(keys: pd.Index, source: pd.DataFrame) -> pd.DataFrame:
    """Give the rows of a source at all keys, with types that know missing values, even where it has no rows at all."""
    types = {column: STRING if column in _TEXTS else "float64" for column in source.columns}
    return source.astype(types).reindex(keys)


def _one_meaning_each(named: pd.DataFrame, file_names: pd.DataFrame) -> pd.DataFrame:
    """Give one row for each file that is named, by key; ``also`` tells what else it is named for."""
    sets = named.drop_duplicates()
    repeated = sets["key"].duplicated(keep=False)
    if not repeated.any():
        once = sets.set_index("key")
        return once.assign(also=pd.Series(index=once.index, dtype=STRING))
    number_of_name = sets["key"].map(file_names["channel_number"])
    sets = sets.assign(differs=number_of_name != _number_of(sets["channel"])).sort_values(
        ["key", "differs", "Metadata_Well", "Metadata_Site", "channel"]
    )
    first = ~sets["key"].duplicated()
    others = (_place(sets) + " " + sets["channel"])[~first].groupby(sets["key"][~first]).agg(", ".join)
    chosen = sets[first].drop(columns="differs").set_index("key")
    return chosen.assign(also=others.reindex(chosen.index).astype(STRING))


def _channel_of(numbers: pd.Series) -> pd.Series:
    return numbers.map(dict(enumerate(CHANNELS, start=1))).astype(STRING)


def _number_of(channels: pd.Series) -> pd.Series:
    return channels.map(channel_number, na_action="ignore")


def _reasons(table: pd.DataFrame, told: pd.DataFrame, read: pd.DataFrame, *, has_sets: bool) -> pd.Series:
    """Say of each file what is wrong with it; several things are joined by a semicolon."""
    name_read = read["channel_number"].notna()
    both = told["channel"].notna() & name_read
    other_place = both & (
        (told["Metadata_Well"] != read["Metadata_Well"]) | (told["Metadata_Site"] != read["Metadata_Site"])
    )
    other_channel = both & (_number_of(told["channel"]) != read["channel_number"])
    reasons = pd.Series("", index=table.index, dtype=STRING)
    for concerned, text in (
        (table["status"] == ABSENT, NOT_IN_GALLERY),
        (table["status"] == UNLISTED, NOT_NAMED if has_sets else NO_IMAGE_SETS),
        (~name_read, NAME_UNREADABLE),
        (name_read & table["channel"].isna(), CHANNEL_UNKNOWN),
        (table["size"] == 0, EMPTY_FILE),
        (other_place, "its name says " + _place(read[other_place])),
        (other_channel, "its name says ch" + _whole(read.loc[other_channel, "channel_number"])),
        (told["also"].notna(), "the image sets name it also as " + told["also"].dropna()),
    ):
        former = reasons[concerned]
        reasons[concerned] = former.where(former == "", former + "; ") + text
    return reasons.where(reasons != "")


def _place(rows: pd.DataFrame) -> pd.Series:
    return rows["Metadata_Well"] + " site " + _whole(rows["Metadata_Site"])


def _whole(numbers: pd.Series) -> pd.Series:
    return numbers.astype("int64").astype(STRING)

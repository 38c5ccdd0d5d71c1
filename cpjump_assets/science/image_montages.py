"""Which sites of a plate stand beside each other on a montage, and the table of montages that were drawn.

Belongs here: choosing among the images that are held, the schema. Does not belong here: which images are pulled
(``image_selection``), drawing (``figures.montage``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from cpjump_assets.science.channels import CHANNELS, FLUORESCENCE
from cpjump_assets.science.image_selection import NEGATIVE_CONTROL
from cpjump_assets.science.image_table import HELD
from cpjump_assets.science.schemas import WELLS, Column, TableSchema

_OF_WELLS = {column.name: column for column in WELLS.columns}
_POSITIVE = (1, float("inf"))
_SITE = ["Metadata_Well", "Metadata_Site"]

MONTAGES = TableSchema(
    "montages",
    "a montage: a perturbation beside a negative control of its plate",
    ("Metadata_Batch", "Metadata_Plate", "Metadata_broad_sample"),
    (
        *(_OF_WELLS[name] for name in ("Metadata_Batch", "Metadata_Plate", "Metadata_broad_sample")),
        *(_OF_WELLS[name] for name in ("Metadata_pert_iname", "Metadata_target", "Metadata_Well")),
        Column("Metadata_Site", "integer", "field of view in the well, from 1", bounds=_POSITIVE),
        Column("control_well", "string", "well of the negative control; missing if none was pulled", nullable=True),
        Column("control_site", "integer", "its field of view", nullable=True, bounds=_POSITIVE),
        Column("absent", "string", "images that are shown as absent, joined by |; missing if none", nullable=True),
        Column("file", "string", "PNG, by its path below the store"),
        Column("bytes", "integer", "size of the file", bounds=_POSITIVE),
        Column("sha256", "string", "of the file, as 64 hexadecimal digits"),
        Column("height", "integer", "pixels", bounds=_POSITIVE),
        Column("width", "integer", "pixels", bounds=_POSITIVE),
    ),
)


@dataclass(frozen=True)
class HeldImage:
    """A pulled image: its file below the gallery folder, and the digest that it had when it was opened."""

    path: str
    sha256: str


@dataclass(frozen=True)
class MontageSite:
    """A site that was chosen, and which of its images are held.

    Attributes
    ----------
    broad_sample
        What the well holds.
    well, site
        Where it is.
    images
        Held images by channel, in the order of channels.
    """

    broad_sample: str
    well: str
    site: int
    images: Mapping[str, HeldImage]

    @property
    def absent(self) -> tuple[str, ...]:
        """Give the stained channels of which there is no image."""
        return tuple(name for name in FLUORESCENCE if name not in self.images)


@dataclass(frozen=True)
class MontagePlan:
    """What stands on the montages of a plate.

    Attributes
    ----------
    perturbations
        One site of each reagent, in the order of wells.
    controls
        One site of each negative control well, in the order of wells.
    """

    perturbations: tuple[MontageSite, ...]
    controls: tuple[MontageSite, ...]

    @property
    def control(self) -> MontageSite | None:
        """Give the control of all montages: the first that lacks least, which is whole if any is; None without any."""
        return min(self.controls, key=lambda site: len(site.absent), default=None)


def plan_montages(images: pd.DataFrame) -> MontagePlan:
    """Choose the sites of the montages of a plate: the first site of each control well, and of one well a reagent.

    Parameters
    ----------
    images
        ``IMAGES`` of one plate.
    """
    is_control = images["role"] == NEGATIVE_CONTROL
    return MontagePlan(
        perturbations=_first_sites(images[~is_control], "Metadata_broad_sample"),
        controls=_first_sites(images[is_control], "Metadata_Well"),
    )


def _first_sites(images: pd.DataFrame, column: str) -> tuple[MontageSite, ...]:
    """Give the first site, by well and number, of each value of a column."""
    ordered = images.sort_values(_SITE, kind="stable")
    sites = ordered.drop_duplicates(_SITE).drop_duplicates(column)
    of_site = dict(list(ordered.groupby(_SITE)))
    return tuple(
        MontageSite(sample, well, int(number), _held(of_site[well, number]))
        for sample, well, number in sites[["Metadata_broad_sample", *_SITE]].itertuples(index=False, name=None)
    )


def _held(images: pd.DataFrame) -> dict[str, HeldImage]:
    held = images[images["status"] == HELD].set_index("channel")
    files = dict(zip(held.index, map(HeldImage, held["path"], held["sha256"]), strict=True))
    return {name: files[name] for name in CHANNELS if name in files}

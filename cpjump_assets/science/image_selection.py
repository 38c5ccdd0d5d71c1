"""Which images of a plate are worth pulling: a few wells, sites and channels of the 27,648 files that a plate has.

Belongs here: choosing wells by their scores, and finding the files of a selection in the index of the plate. Does not
belong here: the index itself (``image_index``), pulling (``gallery``), pixels (``imaging``).
"""

from dataclasses import asdict, dataclass
from typing import Final

import pandas as pd

from cpjump_assets.science.channels import FLUORESCENCE, channel_number
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.image_index import HELD
from cpjump_assets.science.plates import PLATE_COLUMNS, PlateKey
from cpjump_assets.science.rules import PAPER_RULE, rows_of
from cpjump_assets.science.tasks import DETECTION, EVERY_WELL

PERTURBATION: Final = "perturbation"
NEGATIVE_CONTROL: Final = "negative control"
POSITIVE_CONTROL: Final = "positive control"
ROLES = (PERTURBATION, NEGATIVE_CONTROL, POSITIVE_CONTROL)
"""What a well holds, as a reader of images puts it."""

BY_SCORE: Final = "detection mAP"
FIRST_POSITIVE_CONTROLS: Final = "first positive controls"
FIRST_NEGATIVE_CONTROLS: Final = "first negative controls"
REASONS = (BY_SCORE, FIRST_POSITIVE_CONTROLS, FIRST_NEGATIVE_CONTROLS)
"""Why a well is part of a selection."""

N_NEGATIVE_CONTROLS, N_PERTURBATIONS = 4, 8
FIRST_SITE = 1
"""The one site that every well has; plates have 4, 7, 9 or 16."""

_IMAGE = ["Metadata_Well", "Metadata_Site", "channel"]
_CONDITION = ["Metadata_experiment_type", "Metadata_cell_line", "Metadata_timepoint"]
_NOWHERE = "neither in the gallery nor in load_data"


@dataclass(frozen=True)
class ChosenWell:
    """A well of a selection, what it holds, and why it was chosen.

    Attributes
    ----------
    well
        Its position, A01 to P24.
    broad_sample
        The reagent.
    control_type
        Kind of control; None for a treatment.
    role
        One of ``ROLES``.
    chosen_by
        One of ``REASONS``.
    mean_average_precision
        Of the reagent in the detection task; None where scores did not choose it.
    """

    well: str
    broad_sample: str
    control_type: str | None
    role: str
    chosen_by: str
    mean_average_precision: float | None = None


@dataclass(frozen=True)
class ImageSelection:
    """The images of some wells, sites and channels of one plate.

    Attributes
    ----------
    plate
        The plate acquisition.
    wells
        By name, each once.
    sites
        Numbers of the sites of each well.
    channels
        Names out of ``channels.CHANNELS``.
    """

    plate: PlateKey
    wells: tuple[ChosenWell, ...]
    sites: tuple[int, ...] = (FIRST_SITE,)
    channels: tuple[str, ...] = FLUORESCENCE

    @property
    def chosen_by(self) -> str:
        """Say in words by what the wells were chosen, each reason with its number of wells."""
        reasons = pd.Series([well.chosen_by for well in self.wells], dtype="str").value_counts(sort=False)
        return ", ".join(f"{reason} ({count} wells)" for reason, count in reasons.sort_index().items())

    def files(self, index: pd.DataFrame) -> pd.DataFrame:
        """Find the file of each image.

        Parameters
        ----------
        index
            ``IMAGE_INDEX`` of the plate. Of several files of one image the one that the gallery holds counts, and of
            these the first plane: CPJUMP1 has one plane, later data sets have more.

        Returns
        -------
        DataFrame
            A row for each image, sorted: plate, well, site, channel and its number, the fields of ``ChosenWell``,
            ``key``, ``in_gallery``, and the ``reason`` why an image is not there or what is odd about its file.
        """
        wanted = pd.DataFrame([asdict(well) for well in self.wells]).rename(columns=_COLUMN_OF_FIELD)
        for column, values in (("Metadata_Site", self.sites), ("channel", self.channels)):
            wanted = wanted.merge(pd.DataFrame({column: list(values)}), how="cross")
        files = index.assign(in_gallery=index["status"].isin(HELD)).dropna(subset=_IMAGE)
        files = files.sort_values([*_IMAGE, "in_gallery", "plane", "key"], ascending=[True] * 3 + [False, True, True])
        files = files.drop_duplicates(_IMAGE)[[*_IMAGE, "key", "in_gallery", "reason"]]
        found = wanted.merge(files.astype({"Metadata_Site": "int64"}), on=_IMAGE, how="left", indicator="_from")
        nowhere = found["_from"] == "left_only"
        return found.assign(
            **dict(zip(PLATE_COLUMNS, self.plate, strict=True)),
            channel_number=found["channel"].map(channel_number),
            in_gallery=found["in_gallery"].eq(True),
            reason=found["reason"].mask(nowhere, _NOWHERE),
        ).sort_values(["Metadata_Well", "Metadata_Site", "channel_number"], ignore_index=True)


_COLUMN_OF_FIELD = {
    "well": "Metadata_Well",
    "broad_sample": "Metadata_broad_sample",
    "control_type": "Metadata_control_type",
}


def select_images(wells: pd.DataFrame, plate: PlateKey, classes: pd.DataFrame | None = None) -> ImageSelection:
    """Choose what is worth looking at: strong perturbations of a plate beside its negative controls.

    Of the plate's negative controls the first four wells; of the eight reagents on the plate with the highest mean
    average precision in the detection task of the plate's condition (2024, on all wells) the first well each, reagents
    of equal score by name. Without scores of that condition, the first eight positive controls by name.

    Parameters
    ----------
    wells
        The ``wells`` table, or the rows of it that concern this plate.
    plate
        The plate.
    classes
        ``overall_classes``; None where it was not made.

    Returns
    -------
    ImageSelection
        The first site in the five fluorescence channels.

    Raises
    ------
    BadTableError
        If ``wells`` has no well of the plate.
    """
    on_plate = _wells_of(wells, plate)
    first_wells = on_plate.drop_duplicates("Metadata_broad_sample").set_index("Metadata_broad_sample")
    controls = on_plate[on_plate["Metadata_control_type"] == "negcon"].head(N_NEGATIVE_CONTROLS)
    scores = _scores(classes, on_plate.iloc[0]) if classes is not None else pd.Series(dtype="float64")
    best = scores[scores.index.isin(first_wells.index)].head(N_PERTURBATIONS)
    if best.empty:
        is_positive = first_wells["Metadata_control_type"].str.startswith("poscon").fillna(False).astype(bool)
        reagents, reason = first_wells.index[is_positive].sort_values()[:N_PERTURBATIONS], FIRST_POSITIVE_CONTROLS
    else:
        reagents, reason = best.index, BY_SCORE
    chosen = first_wells.loc[reagents].reset_index()
    return ImageSelection(plate, _chosen({FIRST_NEGATIVE_CONTROLS: controls, reason: chosen}, best))


def _wells_of(wells: pd.DataFrame, plate: PlateKey) -> pd.DataFrame:
    on_plate = wells[(wells["Metadata_Batch"] == plate.batch) & (wells["Metadata_Plate"] == plate.barcode)]
    if on_plate.empty:
        raise BadTableError(f"the wells table has no well of plate {plate}")
    return on_plate.sort_values("Metadata_Well")


def _scores(classes: pd.DataFrame, condition: pd.Series) -> pd.Series:
    """Give the detection mAP of the reagents of a condition by the rule of the paper, highest first, then by name."""
    wanted = {name: condition[name] for name in _CONDITION}
    of_condition = rows_of(classes, **PAPER_RULE, subset=EVERY_WELL, task=DETECTION, **wanted)
    scores = of_condition.set_index("Metadata_broad_sample")["mean_average_precision"].dropna()
    return scores.sort_index().sort_values(ascending=False, kind="stable")


def _chosen(wells: dict[str, pd.DataFrame], scores: pd.Series) -> tuple[ChosenWell, ...]:
    """Describe the wells of a selection, each under the reason for which it was chosen."""
    chosen = [
        ChosenWell(
            well, sample, control, role_of(control), reason, float(scores[sample]) if reason == BY_SCORE else None
        )
        for reason, of_reason in wells.items()
        for well, sample, control in of_reason[["Metadata_Well", "Metadata_broad_sample", "Metadata_control_type"]]
        .astype(object)
        .where(of_reason.notna(), None)
        .itertuples(index=False, name=None)
    ]
    return tuple(sorted(chosen, key=lambda one: one.well))


def role_of(control_type: str | None) -> str:
    """Give what a well holds, one of ``ROLES``, by its kind of control; None is a treatment."""
    if control_type is None:
        return PERTURBATION
    return NEGATIVE_CONTROL if control_type == "negcon" else POSITIVE_CONTROL

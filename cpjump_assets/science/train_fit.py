"""Fits on the train subset alone: which wells each fit may see, and the profiles that come of it.

Belongs here: the record of the wells that are seen, feature selection and sphering on them, and their application to
the wells of all subsets. Does not belong here: how features are selected (``feature_selection``), how profiles are
sphered (``spherize``), the proof that nothing else was seen (``train_proof``).

What *train alone* means is different for the two fits.

* Feature selection sees exactly the wells whose subset is train.
* Sphering is fitted on negative controls, and the default control policy gives these to no subset. So it sees the
  negative controls of the plates that hold train wells. In ``cpjump1_official_representation`` whole plates are train,
  validate or test: a plate without any train well is not seen at all. In the other two strategies every plate holds
  wells of several subsets, and its negative controls are nobody's validate or test wells. Under a policy that does
  assign negative controls (``keep_all``) only those of the train subset are seen.

Normalization comes before both, plate by plate, to the negative controls of the plate itself: a plate's values depend
on no other well than its own and those controls. What the fits do not undo: where a plate holds several subsets, its
negative controls are part of the fit *and* the background against which validate and test wells are scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike

from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.feature_selection import SelectionConfig, select_features_over
from cpjump_assets.science.features import BoolArray, Matrix, Profiles, listed, plate_labels
from cpjump_assets.science.plate_values import PlateValues, SomeWells
from cpjump_assets.science.plates import WELL_COLUMNS
from cpjump_assets.science.schemas import Column, TableSchema
from cpjump_assets.science.spherize import Float64Array, SpherizeConfig, fit_spherize, sphere
from cpjump_assets.science.strategies import STRATEGIES, SUBSETS
from cpjump_assets.science.subsets import subset_of_wells

SELECTION, SPHERING = "feature_selection", "spherize"
TRAIN = "train"

TRAIN_FIT_WELLS = TableSchema(
    "train_fit_wells",
    "a well that a fit on the train subset sees",
    ("split_strategy", "fit", *WELL_COLUMNS),
    (
        Column("split_strategy", "string", "strategy whose train subset it is", allowed=STRATEGIES),
        Column("fit", "string", "what is fitted on it", allowed=(SELECTION, SPHERING)),
        Column("Metadata_Batch", "string", "batch of plates that were imaged together"),
        Column("Metadata_Plate", "string", "barcode of the plate"),
        Column("Metadata_Well", "string", "position on the plate, A01 to P24"),
        Column(
            "subset",
            "string",
            "train; missing for a negative control, which is in no subset",
            nullable=True,
            allowed=(TRAIN,),
        ),
    ),
)


def train_fit_wells(metadata: pd.DataFrame, manifest: pd.DataFrame, strategy: str) -> pd.DataFrame:
    """List the wells that each fit may see.

    Parameters
    ----------
    metadata
        The profiled wells of the main batch, with ``WELL_COLUMNS`` and ``Metadata_control_type``.
    manifest
        ``SPLIT_MANIFEST`` of the strategy.
    strategy
        Its name.

    Returns
    -------
    DataFrame
        ``TRAIN_FIT_WELLS``, sorted by its key.

    Raises
    ------
    ProfileError
        If no profiled well is in the train subset, or the sphering would see no negative control.
    """
    subsets = subset_of_wells(metadata, manifest)
    seen = _seen(metadata, subsets)
    impossible = _why_impossible(seen)
    if impossible is not None:
        raise ProfileError(impossible)
    parts = [
        metadata.loc[rows, WELL_COLUMNS].assign(split_strategy=strategy, fit=fit, subset=subsets[rows])
        for fit, rows in seen.items()
    ]
    return TRAIN_FIT_WELLS.normalise(pd.concat(parts), f"train fit wells {strategy}")


def why_no_train_fit(metadata: pd.DataFrame, manifest: pd.DataFrame) -> str | None:
    """Say why nothing can be fitted on the train wells of some plates alone; None if it can.

    A refresh of single plates may hold none: under ``cpjump1_official_representation`` compound plates do not train.
    """
    return _why_impossible(_seen(metadata, subset_of_wells(metadata, manifest)))


def _seen(metadata: pd.DataFrame, subsets: "pd.Series[str]") -> dict[str, BoolArray]:
    return {SELECTION: (subsets == TRAIN).to_numpy(dtype=bool), SPHERING: _seen_controls(metadata, subsets)}


def _why_impossible(seen: dict[str, BoolArray]) -> str | None:
    for fit, wells in ((SELECTION, "well is in the train subset"), (SPHERING, "negative control may be seen")):
        if not seen[fit].any():
            return f"{fit} cannot be fitted on train alone: of {len(seen[fit]):,} profiled wells no {wells}"
    return None


def _seen_controls(metadata: pd.DataFrame, subsets: "pd.Series[str]") -> BoolArray:
    negcon = metadata["Metadata_control_type"] == "negcon"
    plates = plate_labels(metadata)
    on_train_plate = plates.isin(plates[subsets == TRAIN])
    assigned = (negcon & subsets.notna()).any()
    seen: BoolArray = (negcon & ((subsets == TRAIN) if assigned else on_train_plate)).to_numpy(dtype=bool)
    return seen


def seen_by(fit: str, metadata: pd.DataFrame, fit_wells: pd.DataFrame) -> BoolArray:
    """Tell of each row of the metadata, (n,), whether the record has it among the wells of a fit."""
    recorded = pd.MultiIndex.from_frame(fit_wells.loc[fit_wells["fit"] == fit, WELL_COLUMNS])
    seen: BoolArray = pd.MultiIndex.from_frame(metadata[WELL_COLUMNS]).isin(recorded)
    return seen


def train_plates(plates: Sequence[PlateValues], fit_wells: pd.DataFrame) -> list[PlateValues]:
    """Give what feature selection sees of the plates: their train wells and nothing else.

    A plate without train wells is left out, so that its values are not even read.
    """
    seen = [(plate, seen_by(SELECTION, plate.metadata, fit_wells)) for plate in plates]
    return [SomeWells(plate, rows) for plate, rows in seen if rows.any()]


def select_on_train(plates: Sequence[PlateValues], fit_wells: pd.DataFrame, config: SelectionConfig) -> pd.DataFrame:
    """Select features over the train wells alone; a ``FEATURE_SELECTION`` table, see ``feature_selection``.

    Parameters
    ----------
    plates
        Normalized plates of the main batch, with wells of all kinds.
    fit_wells
        ``TRAIN_FIT_WELLS`` of one strategy.
    config
        The rules.
    """
    return select_features_over(train_plates(plates, fit_wells), config)


def take_selected(plates: Sequence[PlateValues], selection: pd.DataFrame, manifest: pd.DataFrame) -> Profiles:
    """Take the kept features of every well that the strategy assigns, and of the negative controls.

    A validate or test well, or a negative control, may lack a value that all train wells have: it stays missing.

    Parameters
    ----------
    plates
        Normalized plates of the main batch.
    selection
        ``FEATURE_SELECTION``, made by ``select_on_train``.
    manifest
        ``SPLIT_MANIFEST`` of the strategy.

    Returns
    -------
    Profiles
        Assigned wells and negative controls of primary plates, plate by plate in the order given, with a column
        ``Metadata_subset`` (missing for a negative control that is in no subset); float32, NaN where there is no value.

    Raises
    ------
    ProfileError
        If a plate lacks a kept feature.
    """
    kept = pd.Index(selection.loc[selection["kept"], "feature"])
    tables, blocks = [], []
    for plate in plates:
        subsets = subset_of_wells(plate.metadata, manifest)
        control = (plate.metadata["Metadata_control_type"] == "negcon") & plate.metadata["Metadata_is_primary"]
        rows = np.flatnonzero(subsets.notna() | control)
        if not rows.size:
            continue
        positions = pd.Index(plate.features).get_indexer(kept)
        if (positions < 0).any():
            label = plate_labels(plate.metadata).iloc[0]
            raise ProfileError(f"plate {label} lacks selected features: {listed(list(kept[positions < 0]))}")
        tables.append(plate.metadata.assign(Metadata_subset=subsets).iloc[rows])
        blocks.append(plate.values().T[np.ix_(positions, rows)].astype(np.float32))
    values = np.concatenate(blocks, axis=1)
    values[~np.isfinite(values)] = np.nan
    return Profiles(pd.concat(tables, ignore_index=True), values.T, tuple(kept))


def missing_by_subset(selected: Profiles) -> pd.DataFrame:
    """Count what wells lack, for each subset and for the negative controls that are in none.

    Returns
    -------
    DataFrame
        ``wells of`` (a subset, or ``no subset``), ``wells``, ``wells that lack a value``, ``values missing``.
    """
    lacking = np.isnan(selected.matrix).sum(axis=1)
    groups = selected.metadata["Metadata_subset"].fillna("no subset")
    counts = pd.DataFrame({"wells": 1, "wells that lack a value": lacking > 0, "values missing": lacking})
    order = [group for group in (*SUBSETS, "no subset") if group in set(groups)]
    return counts.groupby(groups.to_numpy()).sum().loc[order].rename_axis("wells of").reset_index()


@dataclass(frozen=True, eq=False)
class TrainSphered:
    """Profiles that were sphered by negative controls that belong to train.

    Attributes
    ----------
    profiles
        The wells that were given.
    n_reference
        Negative controls that were seen.
    n_reference_gaps
        Values that these lack; the mean of the others stands in.
    n_gaps
        Values that any well lacks; the centre stands in, which is 0 before the whitening.
    """

    profiles: Profiles
    n_reference: int
    n_reference_gaps: int
    n_gaps: int


def sphere_on_train(
    selected: Profiles, fit_wells: pd.DataFrame, config: SpherizeConfig, *, dtype: DTypeLike = np.float32
) -> TrainSphered:
    """Fit the whitening on the negative controls on record, and apply it to all wells.

    A missing value is taken as the centre of its feature, the mean of the negative controls that are seen: it says
    nothing of the well, where to leave it out would take away all values of the well. Such values are counted.

    Parameters
    ----------
    selected
        What ``take_selected`` gives.
    fit_wells
        ``TRAIN_FIT_WELLS`` of one strategy.
    config
        The whitening.
    dtype
        Of the result.

    Raises
    ------
    ProfileError
        If the whitening cannot be fitted, see ``fit_spherize``.
    """
    seen = seen_by(SPHERING, selected.metadata, fit_wells)
    reference = selected.matrix[seen]
    centre = _centre(reference)
    sphering = fit_spherize(_filled(reference, centre), config, features=selected.features)
    whole = selected.with_matrix(_filled(selected.matrix, centre))
    return TrainSphered(
        profiles=sphere(whole, sphering, config, dtype=dtype),
        n_reference=len(reference),
        n_reference_gaps=int(np.isnan(reference).sum()),
        n_gaps=int(np.isnan(selected.matrix).sum()),
    )


def _centre(reference: Matrix) -> Float64Array:
    """Average the values that there are; NaN for a feature that has none."""
    present = ~np.isnan(reference)
    with np.errstate(invalid="ignore"):
        centre: Float64Array = np.sum(reference, axis=0, where=present, dtype=np.float64) / present.sum(axis=0)
    return centre


def _filled(X: Matrix, centre: Float64Array) -> Float64Array:
    """Put the centre of a feature where a value is missing."""
    return np.where(np.isnan(X), centre, X)

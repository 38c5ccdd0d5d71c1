"""Quality plate by plate: how complete, how even, how like its replicates a plate of the batch is.

Belongs here: the measures of one plate, the measures that need the other plates of its condition, and the table of all
plates. Does not belong here: the statistics themselves (``position_effects``, ``replicate_correlation``), which
numbers are too bad (``plate_findings``), single wells (``well_quality``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cpjump_assets.science.arrays import Bools, Floats
from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.features import Matrix, Profiles
from cpjump_assets.science.normalize import MAD_TO_SIGMA, robust_scale
from cpjump_assets.science.plate_values import PlateValues
from cpjump_assets.science.position_effects import (
    comparable,
    edge_difference,
    products_of_wells,
    variance_explained,
)
from cpjump_assets.science.positions import N_COLUMNS, N_ROWS
from cpjump_assets.science.replicate_correlation import SAME_CONDITION, replicate_correlations
from cpjump_assets.science.schemas import EXPERIMENT_METADATA, Column, TableSchema
from cpjump_assets.science.well_quality import cell_counts

NEGATIVE_CONTROLS, ALL_WELLS = "negative controls", "all wells"
_FEWEST_ON_A_SIDE = 2
"""Outer, and inner, wells that a comparison of the two needs."""

_POSITION_MEASURES = (
    *(f"{place}_{measure}" for place in ("row", "column", "edge") for measure in ("effect", "p")),
    *("edge_difference", "edge_difference_chance", "edge_features"),
)
"""Missing where the wells cannot tell."""

_NOT_OF_THE_PLATE = ("Metadata_plate_map_name", "Metadata_times_imaged", "Metadata_number_of_images")
_DESCRIPTION = tuple(column for column in EXPERIMENT_METADATA.columns if column.name not in _NOT_OF_THE_PLATE)
_SHARE = (0.0, 1.0)


def _number(name: str, description: str, bounds: tuple[float, float] | None = None) -> Column:
    return Column(name, "number", description, nullable=True, bounds=bounds)


PLATE_QUALITY = TableSchema(
    "plate_quality",
    "a plate of the main batch",
    EXPERIMENT_METADATA.key,
    (
        *_DESCRIPTION,
        Column("profiled_wells", "integer", "wells that have a profile, of 384"),
        Column("negative_controls", "integer", "negative control wells that have a profile"),
        _number("cell_count_median", "median cells per profiled well; missing where the profiles do not carry it"),
        _number("cell_count_spread", "scaled MAD of the cells per well, as a share of their median"),
        Column("features", "integer", "features of the plate before any is dropped"),
        Column("zero_mad_features", "integer", "features without spread in the negative controls: no z-score exists"),
        Column("missing_features", "integer", "features that no well of the plate has a number for"),
        Column("nan_features", "integer", "features that are NaN in some wells and have a number in others"),
        Column("infinite_values", "integer", "infinite values before normalization"),
        _number("largest_abs_z", "largest absolute normalized value: how far the smallest MAD throws a well"),
        Column(
            "position_wells",
            "string",
            "wells that position effects are measured on: negative controls, if they cover the plate, else all",
            allowed=(NEGATIVE_CONTROLS, ALL_WELLS),
        ),
        Column("position_features", "integer", "features that vary between these wells and that all of them have"),
        _number("row_effect", "share of the variance that goes with the row: mean epsilon squared; 0 by chance"),
        _number("row_p", "permutation p of the row effect", _SHARE),
        _number("column_effect", "share of the variance that goes with the column; 0 by chance"),
        _number("column_p", "permutation p of the column effect", _SHARE),
        _number("edge_effect", "share of the variance that goes with being outer or inner; 0 by chance"),
        _number("edge_p", "permutation p of the edge effect", _SHARE),
        _number("edge_difference", "median over features of |outer - inner wells| in standard deviations"),
        _number("edge_difference_chance", "the median that chance alone gives for so many outer and inner wells"),
        _number(
            "edge_features", "share of the features that differ, outer against inner, at 5 % false discovery", _SHARE
        ),
        _number(
            "control_shift",
            "median over features of |negative controls - those of the condition's other plates|, in scaled MADs:"
            " what normalization takes away; some 0.15 by chance; missing for the only plate of a condition",
        ),
        Column("replicate_plates", "integer", "other plates of the condition", nullable=True),
        Column("replicate_reagents", "integer", "reagents that the plate shares with them", nullable=True),
        _number("replicate_correlation", "median over these reagents of the correlation with themselves on them"),
        _number("null_correlation", "the same with another reagent on the other plates"),
        _number("null_95", "95th percentile of the null over reagents"),
        _number("replicating", "share of the reagents above it; 0.05 by chance", _SHARE),
    ),
)


@dataclass(frozen=True, eq=False)
class PlateMeasures:
    """What is known of one plate by itself.

    Attributes
    ----------
    row
        Values of the columns of ``PLATE_QUALITY`` that need no other plate.
    centre, spread
        Median and scaled MAD of each feature over the negative controls, by feature, before normalization.
    """

    row: Mapping[str, Any]
    centre: pd.Series
    spread: pd.Series


def measure_plate(annotated: PlateValues, normalized: PlateValues) -> PlateMeasures:
    """Measure one plate.

    Parameters
    ----------
    annotated
        The plate before normalization.
    normalized
        The same wells and features, normalized to the plate's negative controls.

    Raises
    ------
    ProfileError
        If the two have different wells or features.
    """
    metadata = annotated.metadata
    _require_same_plate(annotated, normalized)
    controls = (metadata["Metadata_control_type"] == "negcon").to_numpy(dtype=bool)
    X, Z = annotated.values(), normalized.values()
    scale = robust_scale(np.where(np.isinf(X), np.nan, X) if np.isinf(X).any() else X, controls)
    row: dict[str, Any] = {
        **{column.name: metadata[column.name].iloc[0] for column in _DESCRIPTION},
        "profiled_wells": len(metadata),
        "negative_controls": int(controls.sum()),
        **_cells(metadata),
        **_values(X, Z, scale.n > 0),
        **_positions(Z, metadata, controls),
    }
    features = pd.Index(annotated.features)
    return PlateMeasures(row, pd.Series(scale.median, features), pd.Series(scale.mad, features))


def plate_quality(plates: Sequence[PlateMeasures], selected: Profiles) -> pd.DataFrame:
    """Put the plates of a batch side by side.

    Parameters
    ----------
    plates
        Each measured by itself, in any order.
    selected
        Normalized wells of these plates on the selected features, for the correlation of replicates.

    Returns
    -------
    DataFrame
        ``PLATE_QUALITY``, sorted by key.

    Raises
    ------
    ProfileError
        If there is no plate, or as ``replicate_correlations``.
    """
    if not plates:
        raise ProfileError("no plate to measure: at least one is needed")
    table = pd.DataFrame([plate.row for plate in plates])
    table["control_shift"] = _control_shifts(plates, table)
    table = table.merge(replicate_correlations(selected), on=list(PLATE_QUALITY.key), how="left")
    return PLATE_QUALITY.normalise(table, PLATE_QUALITY.name)


def _require_same_plate(annotated: PlateValues, normalized: PlateValues) -> None:
    wells = [list(profiles.metadata["Metadata_Well"]) for profiles in (annotated, normalized)]
    if wells[0] != wells[1] or annotated.features != normalized.features:
        first = annotated.metadata.iloc[0]
        raise ProfileError(
            f"plate {first['Metadata_Batch']}.{first['Metadata_Plate']} has other wells or features after normalization"
            f" ({len(wells[1])} wells, {len(normalized.features):,} features) than before"
            f" ({len(wells[0])}, {len(annotated.features):,}): normalize it again"
        )


def _cells(metadata: pd.DataFrame) -> dict[str, float]:
    counts = cell_counts(metadata)
    known = counts[~np.isnan(counts)]
    if not known.size:
        return {"cell_count_median": np.nan, "cell_count_spread": np.nan}
    median = float(np.median(known))
    mad = MAD_TO_SIGMA * float(np.median(np.abs(known - median)))
    return {"cell_count_median": median, "cell_count_spread": mad / median if median else np.nan}


def _values(X: Matrix, Z: Matrix, has_reference: Bools) -> dict[str, float]:
    """Count what is missing from a plate or out of proportion on it."""
    numbers, n_nan = np.isfinite(X).sum(axis=0), np.isnan(X).sum(axis=0)
    without_z = ~np.isfinite(Z).any(axis=0)
    return {
        "features": X.shape[1],
        "zero_mad_features": int((without_z & has_reference).sum()),
        "missing_features": int((numbers == 0).sum()),
        "nan_features": int(((n_nan > 0) & (numbers > 0)).sum()),
        "infinite_values": int(np.isinf(X).sum()),
        "largest_abs_z": float(np.fmax(np.fmax.reduce(Z, axis=None), -np.fmin.reduce(Z, axis=None))),
    }


def _positions(Z: Matrix, metadata: pd.DataFrame, controls: Bools) -> dict[str, Any]:
    """Measure position effects on the negative controls, or on all wells where these leave much of the plate out."""
    row, column, is_outer = (metadata[f"Metadata_{name}"].to_numpy() for name in ("row", "column", "is_outer"))
    covered = _cover_the_plate(row[controls], column[controls], is_outer[controls])
    asked = controls if covered else np.ones_like(controls)
    values = comparable(np.compress(asked, Z.T, axis=1).T)
    of_wells: dict[str, Any] = {
        **dict.fromkeys(_POSITION_MEASURES, np.nan),
        "position_wells": NEGATIVE_CONTROLS if covered else ALL_WELLS,
        "position_features": values.shape[1],
    }
    if not values.shape[1]:
        return of_wells
    groupings = {"row": row[asked], "column": column[asked], "edge": is_outer[asked]}
    explained = variance_explained(products_of_wells(values), list(groupings.values()))
    for name, found in zip(groupings, explained, strict=True):
        of_wells |= {f"{name}_effect": found.share, f"{name}_p": found.p_value}
    outer = is_outer[asked].astype(bool)
    if _FEWEST_ON_A_SIDE <= outer.sum() <= len(outer) - _FEWEST_ON_A_SIDE:
        edge = edge_difference(values, outer)
        of_wells |= {
            "edge_difference": edge.median,
            "edge_difference_chance": edge.chance,
            "edge_features": edge.significant,
        }
    return of_wells


def _cover_the_plate(row: Floats, column: Floats, is_outer: Bools) -> bool:
    """Tell whether wells lie in more than half of the rows and of the columns, and both outside and inside."""
    n_outer = int(is_outer.sum())
    return (
        len(np.unique(row)) > N_ROWS / 2
        and len(np.unique(column)) > N_COLUMNS / 2
        and _FEWEST_ON_A_SIDE <= n_outer <= len(is_outer) - _FEWEST_ON_A_SIDE
    )


def _control_shifts(plates: Sequence[PlateMeasures], table: pd.DataFrame) -> Floats:
    """Compare the negative controls of each plate with those of the other plates of its condition."""
    shifts = np.full(len(plates), np.nan)
    for members in table.groupby(SAME_CONDITION).indices.values():
        centres = pd.DataFrame([plates[member].centre for member in members]).to_numpy()
        spreads = pd.DataFrame([plates[member].spread for member in members]).median().to_numpy()
        for place, member in enumerate(members):
            others = np.delete(centres, place, axis=0)
            if len(others):
                difference = np.abs(centres[place] - np.median(others, axis=0))[spreads > 0] / spreads[spreads > 0]
                shifts[member] = np.nanmedian(difference)
    return shifts

"""Quality well by well: which wells of a plate have a profile, of how many cells, and how far from the controls.

Belongs here: measures of a single well, and the table of the 384 wells of a plate. Does not belong here: measures of a
plate (``plate_quality``), what is missing over many plates (``quality``), drawing (``figures.plate_maps``).

Everything but the cell count is measured on profiles that are normalized to the plate's negative controls, where a
value says how many (robust) standard deviations a well lies from them. Both the root mean square and the median over
features are given, because real profiles have features with a tiny MAD, whose values of thousands decide the first and
do not touch the second.
"""

import numpy as np
import pandas as pd

from cpjump_assets.science.aggregate import CELL_COUNT
from cpjump_assets.science.arrays import Floats, Ints
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.features import Matrix, Profiles, listed, well_label
from cpjump_assets.science.medians import row_medians
from cpjump_assets.science.schemas import WELLS, Column, TableSchema

CELL_COUNTS = (CELL_COUNT, "Metadata_Count_Cells", "Metadata_Object_Count")
"""Columns in which profiles say how many cells a well had, as pipelines name them; the first that is there counts.

Ours is what aggregation from single cells writes. The aggregated files of the gallery have none of them.
"""

CHANGED = 3.0
"""A feature has changed when it lies further than this from the negative controls, in their scaled MADs."""

_OF_WELLS = ("Batch", "Plate", "Well", "row", "column", "is_outer", "broad_sample", "control_type")
WELL_QUALITY = TableSchema(
    "well_quality",
    "a well of one plate acquisition, profiled or not",
    WELLS.key,
    (
        *(column for column in WELLS.columns if column.name.removeprefix("Metadata_") in _OF_WELLS),
        Column("profiled", "boolean", "the well has a profile; one without cells has none"),
        Column(
            "cell_count",
            "number",
            "cells in the profile; missing where the profiles do not carry it",
            nullable=True,
            bounds=(0, float("inf")),
        ),
        Column(
            "missing_features",
            "integer",
            "usable features that the well lacks; usable is what any well of the normalized plate has",
            nullable=True,
        ),
        Column(
            "rms_z",
            "number",
            "root mean square of the normalized features: 1 or more for a negative control",
            nullable=True,
        ),
        Column(
            "median_abs_z",
            "number",
            "median absolute normalized feature: about 0.67 for a negative control",
            nullable=True,
        ),
        Column(
            "induction",
            "number",
            "share of the features that lie more than 3 scaled MADs from the negative controls: 0.003 for normal noise",
            nullable=True,
            bounds=(0, 1),
        ),
    ),
)


def well_quality(normalized: Profiles, wells: pd.DataFrame) -> pd.DataFrame:
    """Measure every well of a plate.

    Parameters
    ----------
    normalized
        One plate, normalized to its negative controls; a feature without spread is missing in all of its wells.
    wells
        The ``wells`` table, or the rows of it that concern this plate.

    Returns
    -------
    DataFrame
        ``WELL_QUALITY``, a row for each well of the plate; a well without profile has no measures. ``induction`` is the
        share of significantly changed features, after Woehrmann et al. (2013, Molecular BioSystems 9, 2604).

    Raises
    ------
    ProfileError
        If the profiles are of several plates.
    BadTableError
        If ``wells`` lacks a profiled well, or as ``cell_counts``.
    """
    plate = normalized.plate()
    first = normalized.metadata.iloc[0]
    on_plate = (wells["Metadata_Plate"] == first["Metadata_Plate"]) & (
        wells["Metadata_Batch"] == first["Metadata_Batch"]
    )
    layout = wells.loc[on_plate, [f"Metadata_{name}" for name in _OF_WELLS]]
    profiled = normalized.metadata["Metadata_Well"]
    strangers = profiled[~profiled.isin(layout["Metadata_Well"])]
    if len(strangers):
        raise BadTableError(f"the profile of plate {plate} has wells that its layout lacks: {listed(list(strangers))}")
    measures = pd.DataFrame(
        {
            "Metadata_Well": profiled,
            "profiled": True,
            "cell_count": cell_counts(normalized.metadata),
            **_magnitudes(normalized.matrix),
        }
    )
    table = layout.merge(measures, on="Metadata_Well", how="left")
    table["profiled"] = table["profiled"].notna()
    return WELL_QUALITY.normalise(table, f"well_quality of plate {plate}")


def cell_counts(metadata: pd.DataFrame) -> Floats:
    """Give the cells of each well, shape (n_wells,); missing where the profiles do not say them.

    Raises
    ------
    BadTableError
        If they say something else than a number: profile files carry it as text.
    """
    name = next((name for name in CELL_COUNTS if name in metadata), None)
    if name is None:
        return np.full(len(metadata), np.nan)
    counts = pd.to_numeric(metadata[name], errors="coerce")
    strange = np.flatnonzero(counts.isna() & metadata[name].notna())
    if strange.size:
        first = int(strange[0])
        found = metadata[name].iloc[first]
        raise BadTableError(f"{well_label(metadata, first)}: expected a number in {name}, found {found!r}")
    return counts.to_numpy(dtype=np.float64, na_value=np.nan)


def _magnitudes(X: Matrix) -> dict[str, Floats | Ints]:
    """Sum up each row of X, (n, p), over the columns that any row has a value in; NaN for a row without a value."""
    size = np.abs(np.ascontiguousarray(X, dtype=np.float64))
    n_usable = (~np.isnan(size)).any(axis=0).sum()
    median, n_values = row_medians(size)  # sorts: 25 ms in all for 384 x 5,792, where np.nanmedian alone takes 60
    changed = (size > CHANGED).sum(axis=1)
    size[np.isnan(size)] = 0.0
    with np.errstate(invalid="ignore"):
        return {
            "missing_features": n_usable - n_values,
            "rms_z": np.sqrt(np.einsum("ij,ij->i", size, size) / n_values),
            "median_abs_z": median,
            "induction": changed / n_values,
        }

"""Annotated profiles: the aggregated profile of a plate with what the ``wells`` table says of each well.

Belongs here: the join of one plate on batch, plate and well, and its refusals. Does not belong here: how the ``wells``
table is made (``wells``), and what a feature is (``features``).
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.features import Profiles, listed
from cpjump_assets.science.plates import WELL_COLUMNS, PlateKey

REAGENT = "Metadata_broad_sample"


def annotate(profiles: Profiles, wells: pd.DataFrame, plate: PlateKey) -> Profiles:
    """Join the aggregated profile of one plate with its rows of ``wells``.

    The columns of ``wells`` come first and win over columns of the same name in the file, because a file may carry the
    annotation of an older release; another reagent in the same well is refused. Other ``Metadata_`` columns of the file
    (cell counts, say) are kept behind them.

    Parameters
    ----------
    profiles
        One row per profiled well, with Metadata_Plate, Metadata_Well and perhaps further ``Metadata_`` columns. Not
        every well of the plate need be there: a well without cells has no profile.
    wells
        The ``wells`` table, or the rows of it that concern this plate.
    plate
        The acquisition that the profile is of.

    Returns
    -------
    Profiles
        The wells of the file, sorted by well (A01, A02, ..., P24).

    Raises
    ------
    BadTableError
        If the file is of another plate, holds a well twice or one that ``wells`` lacks, or names another reagent than
        ``wells``; if ``wells`` lacks the plate or holds one of its wells twice.
    """
    names = _well_names(profiles.metadata, plate)
    known = _wells_of(wells, plate)
    rows = known.index.get_indexer(pd.Index(names))
    if (rows < 0).any():
        raise BadTableError(f"the profile of plate {plate} has wells that its layout lacks: {_listed(names[rows < 0])}")
    order = np.argsort(names, kind="stable")
    annotation = known.iloc[rows[order]].reset_index(drop=True)
    of_file = profiles.metadata.iloc[order].reset_index(drop=True)
    _refuse_other_reagent(of_file, annotation, plate)
    kept = of_file.loc[:, ~of_file.columns.isin(annotation.columns)]
    return Profiles(pd.concat([annotation, kept], axis="columns"), profiles.matrix.T[:, order].T, profiles.features)


def _well_names(metadata: pd.DataFrame, plate: PlateKey) -> NDArray[np.str_]:
    """Give the wells of the file, after checking that they are wells of this plate and each there once."""
    for column in ("Metadata_Plate", "Metadata_Well"):
        if column not in metadata:
            raise BadTableError(f"the profile of plate {plate} has no column {column}")
    for column, expected in (("Metadata_Batch", plate.batch), ("Metadata_Plate", plate.barcode)):
        if column in metadata:
            others = metadata[column].astype(str)[metadata[column].astype(str) != expected]
            if len(others):
                raise BadTableError(f"the profile of plate {plate} has {column} {_listed(others)}, expected {expected}")
    names = metadata["Metadata_Well"].astype(str)
    if names.empty:
        raise BadTableError(f"the profile of plate {plate} has no well")
    if names.duplicated().any():
        raise BadTableError(
            f"the profile of plate {plate} has wells more than once: {_listed(names[names.duplicated()])}"
        )
    return names.to_numpy(dtype=np.str_)


def _wells_of(wells: pd.DataFrame, plate: PlateKey) -> pd.DataFrame:
    """Give the rows of one plate, key columns first, indexed by well."""
    absent = [column for column in (*WELL_COLUMNS, REAGENT) if column not in wells]
    if absent:
        raise BadTableError(f"the wells table has no column {', '.join(absent)}")
    own = wells[(wells["Metadata_Batch"] == plate.batch) & (wells["Metadata_Plate"] == plate.barcode)]
    if own.empty:
        raise BadTableError(f"the wells table has no well of plate {plate}")
    names = own["Metadata_Well"]
    if names.duplicated().any():
        raise BadTableError(
            f"the wells table has wells of plate {plate} more than once: {_listed(names[names.duplicated()])}"
        )
    own = own[[*WELL_COLUMNS, *own.columns.drop(WELL_COLUMNS)]]
    return own.set_index(pd.Index(names.astype(str).to_numpy()))


def _refuse_other_reagent(of_file: pd.DataFrame, annotation: pd.DataFrame, plate: PlateKey) -> None:
    """Refuse a file that puts another reagent into a well; a blank in the file says nothing (DMSO and empty wells)."""
    if REAGENT not in of_file:
        return
    contradicts = of_file[REAGENT].notna() & (of_file[REAGENT].astype(str) != annotation[REAGENT].astype(str))
    if contradicts.any():
        row = int(np.flatnonzero(contradicts)[0])
        well, found, expected = (
            annotation["Metadata_Well"].iloc[row],
            of_file[REAGENT].iloc[row],
            annotation[REAGENT].iloc[row],
        )
        raise BadTableError(
            f"the profile of plate {plate} names another reagent than the wells table in {contradicts.sum()} wells: "
            f"well {well} has {found}, expected {expected}"
        )


def _listed(names: Iterable[str]) -> str:
    return listed(sorted({str(name) for name in names}))

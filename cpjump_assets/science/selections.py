"""Which profiles a score asks: by their subset of a split, and by their position on the plate.

Belongs here: turning both choices into rows. Does not belong here: how a split assigns wells (``splits``), which wells
a task leaves out (the tasks).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype

from cpjump_assets.science.arrays import Bools
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.tasks import EVERY_WELL, WELL_SELECTIONS, WellSelection


def taking_part(metadata: pd.DataFrame, wells: WellSelection) -> Bools:
    """Tell which profiles are of wells in the chosen positions.

    Parameters
    ----------
    metadata
        A row per profile; ``Metadata_is_outer`` where only inner wells are chosen.
    wells
        ``all``, or ``inner``: at least two rows and two columns away from the edge.

    Raises
    ------
    BadTableError
        If inner wells are chosen and a profile does not say whether its well is outer.
    """
    if wells not in WELL_SELECTIONS:
        raise ValueError(f"wells {wells!r}: there are {', '.join(WELL_SELECTIONS)}")
    if wells == EVERY_WELL:
        return np.ones(len(metadata), dtype=bool)
    if "Metadata_is_outer" not in metadata or metadata["Metadata_is_outer"].isna().any():
        raise BadTableError("profiles must say in Metadata_is_outer whether their well is outer, to choose inner wells")
    return ~flags(metadata, "Metadata_is_outer")


def flags(metadata: pd.DataFrame, column: str) -> Bools:
    """Read a column of yes and no, shape (len(metadata),); False where it is missing.

    Raises
    ------
    BadTableError
        If it holds words, as after reading a file as strings: every word, "False" too, would count as true.
    """
    values = metadata[column]
    if not is_bool_dtype(values.dtype):
        odd = values[values.notna() & ~values.isin([True, False])]
        if len(odd):
            raise BadTableError(f"{column} must be true or false, found {odd.iloc[0]!r} in {len(odd)} rows")
    return values.to_numpy(dtype=bool, na_value=False)


def by_subset(
    metadata: pd.DataFrame, subsets: pd.Series | None, names: Sequence[str] = (EVERY_WELL,)
) -> Iterator[tuple[str, Bools]]:
    """Give each subset's name and which profiles are in it.

    Parameters
    ----------
    metadata
        A row per profile.
    subsets
        Subset of each row of ``metadata``, in its order, missing for a well outside of the split; None: every profile
        is in every subset that is named.
    names
        The subsets to give, also those that hold no well.
    """
    for name in names:
        yield name, in_subset(metadata, subsets, name)


def in_subset(metadata: pd.DataFrame, subsets: pd.Series | None, name: str) -> Bools:
    """Tell which profiles are in a subset; all of them without a split."""
    if subsets is None:
        return np.ones(len(metadata), dtype=bool)
    if len(subsets) != len(metadata):
        raise ValueError(f"{len(subsets)} subsets for {len(metadata)} rows of metadata")
    return (subsets == name).to_numpy(dtype=bool, na_value=False)

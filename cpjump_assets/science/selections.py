"""Which profiles a score asks, by the position of their wells on the plate, and columns that say yes or no.

Belongs here: turning such columns into rows. Does not belong here: subsets of a split (``layout``), which wells a task
leaves out (the tasks).
"""

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

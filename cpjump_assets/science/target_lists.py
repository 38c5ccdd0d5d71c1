"""The genes that each profiled reagent acts on.

Belongs here: the join of profiles and reagents. Does not belong here: where target lists come from (``perturbations``),
what is made of them (``matching``, ``directionality``).
"""

import pandas as pd

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.features import listed

TARGET_LIST = "Metadata_target_list"
_REAGENT = "Metadata_broad_sample"


def with_target_lists(metadata: pd.DataFrame, perturbations: pd.DataFrame) -> pd.DataFrame:
    """Say of each profile which genes its reagent acts on.

    Parameters
    ----------
    metadata
        A row per profile, with ``Metadata_broad_sample``.
    perturbations
        ``PERTURBATIONS``: a row per reagent.

    Returns
    -------
    DataFrame
        ``metadata`` and the column ``Metadata_target_list``: gene|gene|..., missing for DMSO and empty wells.

    Raises
    ------
    BadTableError
        If a reagent is not among the perturbations; an empty well has none.
    """
    lists = perturbations.set_index(_REAGENT)[TARGET_LIST]
    reagents = metadata[_REAGENT]
    unknown = sorted(set(reagents[reagents != "empty"].dropna()) - set(lists.index))
    if unknown:
        raise BadTableError(f"{len(unknown)} reagents of profiles are not in perturbations: {listed(unknown)}")
    return metadata.assign(**{TARGET_LIST: reagents.map(lists).astype("str")})

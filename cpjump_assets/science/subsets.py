"""Which subset of a split each profile is in.

Belongs here: the join of profiles and manifest. Does not belong here: how a manifest is made (``splits``).
"""

import pandas as pd

from cpjump_assets.science.plates import MAIN_BATCH

_KEY = ["Metadata_Plate", "Metadata_Well"]


def subset_of_wells(metadata: pd.DataFrame, manifest: pd.DataFrame) -> pd.Series:
    """Give the subset of each profile.

    Parameters
    ----------
    metadata
        A row per profile, in any order, with ``Metadata_Batch``, ``Metadata_Plate`` and ``Metadata_Well``.
    manifest
        ``SPLIT_MANIFEST`` of one strategy; it assigns wells of the main batch. A plate that was imaged again in another
        batch has the same barcode there, and is in no subset.

    Returns
    -------
    Series of str
        With the index of ``metadata``; missing where the manifest assigns the well to no subset.

    Raises
    ------
    ValueError
        If the manifest assigns a well twice.
    """
    if manifest.duplicated(_KEY).any():
        raise ValueError("the manifest assigns a well twice: prove it before it is used")
    assigned = pd.Series(manifest["subset"].to_numpy(), index=pd.MultiIndex.from_frame(manifest[_KEY]))
    found = assigned.reindex(pd.MultiIndex.from_frame(metadata[_KEY]))
    subsets = pd.Series(found.to_numpy(), index=metadata.index, dtype="str")
    return subsets.where(metadata["Metadata_Batch"] == MAIN_BATCH)

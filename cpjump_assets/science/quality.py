"""Quality of stored profiles: what is missing, and where.

Belongs here: counting wells and values that a plate lacks. Does not belong here: deciding what is dropped for it
(``feature_selection``), reading the store.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from cpjump_assets.science.features import Profiles, is_feature

WELLS_OF_A_PLATE = 384


def short_plates(profiled: Mapping[str, int]) -> pd.DataFrame:
    """Give the plates that have fewer profiles than wells.

    Parameters
    ----------
    profiled
        Number of profiles, by plate.

    Returns
    -------
    DataFrame
        ``plate``, ``profiles``, ``missing``; most missing first.
    """
    table = pd.DataFrame({"plate": list(profiled), "profiles": list(profiled.values())})
    table["missing"] = WELLS_OF_A_PLATE - table["profiles"].astype(int)
    short = table[table["missing"] > 0]
    return short.sort_values(["missing", "plate"], ascending=[False, True], ignore_index=True)


def incomplete_features(missing: Mapping[str, Mapping[str, int]]) -> pd.DataFrame:
    """Give the features that lack values, plate by plate.

    Parameters
    ----------
    missing
        Number of wells without a value, by plate and column.

    Returns
    -------
    DataFrame
        ``plate``, ``feature``, ``wells``: only features with at least one missing value.
    """
    rows = [
        (plate, column, wells)
        for plate, columns in missing.items()
        for column, wells in columns.items()
        if wells and is_feature(column)
    ]
    return pd.DataFrame(rows, columns=["plate", "feature", "wells"])


def odd_features(columns: Mapping[str, Iterable[str]]) -> pd.DataFrame:
    """Give the plates whose features are not those of the first plate.

    Parameters
    ----------
    columns
        Column names in order, by plate; ``Metadata_`` columns do not count.

    Returns
    -------
    DataFrame
        ``plate``, ``features``, ``absent`` and ``additional`` (counts beside the first plate). A plate with the same
        features in another order has zeros there.
    """
    features = {plate: [name for name in names if is_feature(name)] for plate, names in columns.items()}
    expected = next(iter(features.values()), [])
    rows = [
        (plate, len(found), len(set(expected) - set(found)), len(set(found) - set(expected)))
        for plate, found in features.items()
        if found != expected
    ]
    return pd.DataFrame(rows, columns=["plate", "features", "absent", "additional"])


def count_unusable(frame: pd.DataFrame) -> dict[str, int]:
    """Count what no score can take: values that are missing or infinite, and wells that come more than once.

    Parameters
    ----------
    frame
        Profiles of wells, with ``Metadata_Batch``, ``Metadata_Plate`` and ``Metadata_Well``.
    """
    profiles = Profiles.from_frame(frame)
    key = ["Metadata_Batch", "Metadata_Plate", "Metadata_Well"]
    return {
        "values missing or infinite": int((~np.isfinite(profiles.matrix)).sum()),
        "wells that come more than once": int((profiles.metadata[key].value_counts() > 1).sum()),
    }

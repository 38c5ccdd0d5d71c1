"""Quality of stored profiles: what is missing, and where.

Belongs here: counting wells and values that a plate lacks. Does not belong here: deciding what is dropped for it
(``feature_selection``), reading the store.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from cpjump_assets.science.features import Profiles, is_feature, plate_labels
from cpjump_assets.science.plate_values import PlateValues
from cpjump_assets.science.plates import WELL_COLUMNS

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


def incomplete_features(plates: Iterable[PlateValues]) -> pd.DataFrame:
    """Give the features that lack values, plate by plate.

    Returns
    -------
    DataFrame
        ``plate``, ``feature``, ``wells``: only features with at least one missing value.
    """
    tables = []
    for plate in plates:
        missing = np.isnan(plate.values()).sum(axis=0)
        lacking = np.flatnonzero(missing)
        features = [plate.features[position] for position in lacking]
        label = plate_labels(plate.metadata).iloc[0]
        tables.append(pd.DataFrame({"plate": label, "feature": features, "wells": missing[lacking]}))
    nothing = pd.DataFrame(columns=["plate", "feature", "wells"])
    return pd.concat([table for table in tables if len(table)] or [nothing], ignore_index=True)


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


def count_unusable(profiles: Profiles) -> dict[str, int]:
    """Count what no score can take: values that are missing or infinite, and wells that come more than once.

    Parameters
    ----------
    profiles
        Profiles of wells, with ``Metadata_Batch``, ``Metadata_Plate`` and ``Metadata_Well``.
    """
    return {
        "values missing or infinite": int((~np.isfinite(profiles.matrix)).sum()),
        "wells that come more than once": int((profiles.metadata[WELL_COLUMNS].value_counts() > 1).sum()),
    }

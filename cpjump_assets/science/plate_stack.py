"""Plates put together that have selected different features.

Belongs here: one matrix over the features that any plate keeps, and which plate keeps which. Does not belong here: the
selection (``plate_features``), what is compared on which features (``percent_scores``), plates that must have the same
features (``features.stack``).
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.features import Profiles


class PlateStack(NamedTuple):
    """Plates below each other.

    Attributes
    ----------
    profiles
        All wells x all features that any plate keeps, sorted by name; NaN where the plate of a well does not keep it.
    kept
        As ``plate_features.kept_features``: a row per plate, a column per feature.
    """

    profiles: Profiles
    kept: pd.DataFrame


def stack_selected(plates: Iterable[Profiles]) -> PlateStack:
    """Put plates below each other, each with the features that it keeps.

    Parameters
    ----------
    plates
        Profiles of one plate each, with the features that were selected on it.

    Raises
    ------
    ProfileError
        If there is no plate, or profiles are not of one plate.
    """
    parts = list(plates)
    if not parts:
        raise ProfileError("no plate to stack: at least one is needed")
    features = pd.Index(sorted({feature for part in parts for feature in part.features}))
    kept = {part.plate(): features.isin(part.features) for part in parts}
    metadata = pd.concat([part.metadata for part in parts], ignore_index=True)
    matrix = np.full((len(metadata), len(features)), np.nan, dtype=np.result_type(*(part.matrix for part in parts)))
    first = 0
    for part in parts:
        rows = slice(first, first + len(part.metadata))
        matrix[rows, features.get_indexer(pd.Index(part.features))] = part.matrix
        first = rows.stop
    table = pd.DataFrame.from_dict(kept, orient="index", columns=features).sort_index()
    return PlateStack(Profiles(metadata, matrix, tuple(features)), table)

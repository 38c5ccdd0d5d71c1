"""The levels of simulated profiles as the published pipeline makes them: each from the text of the one before.

Belongs here: what the gallery's files of a level hold beside the aggregated ones. Does not belong here: raw values
(``profiles``), bytes (``profile_files``), keys (``gallery.layout``).

The published pipeline guards nothing: where a feature has no spread among the reference wells, its values are infinite
or missing, and a selection keeps a feature that a few wells lack. Sphered files are not simulated: those of the real
gallery were not made by the pipeline (``science.spherize``).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cpjump_assets.science.feature_selection import PAPER_2024, select_features, select_features_over
from cpjump_assets.science.features import BoolArray, Profiles
from cpjump_assets.science.levels import Level
from cpjump_assets.science.normalize import mad_robustize
from cpjump_assets.science.rounding import significant

_DIGITS = 5


def published_text(profiles: Profiles) -> Profiles:
    """Give profiles as they are read from a published file, whose numbers have five significant digits."""
    return profiles.with_matrix(significant(profiles.matrix, _DIGITS))


def normalized_to_negcon(aggregated: Profiles) -> Profiles:
    """Normalize published profiles to their negative controls, and publish the result."""
    return _normalized(aggregated, (aggregated.metadata["Metadata_control_type"] == "negcon").to_numpy(dtype=bool))


def plate_levels(aggregated: Profiles) -> Mapping[Level, Profiles]:
    """Make the levels of a plate that need no other plate.

    Parameters
    ----------
    aggregated
        As published, with ``Metadata_control_type``.
    """
    normalized = normalized_to_negcon(aggregated)
    return {
        "annotated": aggregated,
        "normalized": normalized,
        "normalized_whole_plate": _normalized(aggregated, np.ones(len(aggregated.metadata), dtype=bool)),
        "plate_selected": _published_selection(normalized, select_features(normalized, PAPER_2024)),
    }


def batch_selected(normalized: Sequence[Profiles]) -> list[Profiles]:
    """Select features over all plates of a batch, and give each plate the same ones.

    Parameters
    ----------
    normalized
        The plates, as ``normalized_to_negcon`` gives them.
    """
    selection = select_features_over(normalized, PAPER_2024)
    return [_published_selection(plate, selection) for plate in normalized]


def _normalized(aggregated: Profiles, reference: BoolArray) -> Profiles:
    values = mad_robustize(aggregated.matrix, reference, epsilon=0.0)
    return published_text(aggregated.with_matrix(values))


def _published_selection(profiles: Profiles, selection: pd.DataFrame) -> Profiles:
    """Take the features that the published rules keep: ours, and those that our own rule alone drops."""
    kept = selection["kept"] | (selection["dropped_by"] == "remaining_nan")
    return profiles.take_features(np.flatnonzero(kept))

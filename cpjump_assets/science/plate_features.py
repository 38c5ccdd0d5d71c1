"""Features of the 2021 scores: each plate selects its own, and plates are compared on those that all of them keep.

Belongs here: which plate keeps which feature, and what some plates keep in common. Does not belong here: the rules
(``feature_selection``), the scores (``percent_scores``).

The batch-wide selection of 2024 gives all plates one set of features. In 2021 there was none: wells of a condition are
compared on the features that its plates have in common, and two modalities on those of the plates of both. So each of
the 12 conditions and each of the 16 pairs has features of its own, and fewer the more plates take part.
"""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from cpjump_assets.science.errors import BadTableError, ProfileError
from cpjump_assets.science.feature_selection import PAPER_2021, SelectionConfig, select_features
from cpjump_assets.science.features import Profiles, listed


def select_on_each_plate(plates: Iterable[Profiles], config: SelectionConfig = PAPER_2021) -> pd.DataFrame:
    """Select features on each plate by itself.

    Parameters
    ----------
    plates
        Normalized profiles of one plate each, control wells included, all with the same features.
    config
        The rules; by default those of 2021.

    Returns
    -------
    DataFrame
        As ``kept_features``.

    Raises
    ------
    ProfileError
        As ``select_features``, or if a profile table holds several plates.
    """
    return kept_features({plate.plate(): select_features(plate, config) for plate in plates})


def kept_features(selections: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Say which plate keeps which feature.

    Parameters
    ----------
    selections
        ``FEATURE_SELECTION`` of each plate, by its label ``<batch>.<barcode>``.

    Returns
    -------
    DataFrame of bool
        A row is a plate, sorted by label; a column is a feature, in the order in which the plates judge them.

    Raises
    ------
    BadTableError
        If there is no plate, or a plate judges other features than the first.
    """
    if not selections:
        raise BadTableError("no plate has a feature selection: at least one is needed")
    kept = {plate: table.set_index("feature")["kept"].astype(bool) for plate, table in sorted(selections.items())}
    first, features = next((plate, own.index) for plate, own in kept.items())
    for plate, own in kept.items():
        other = sorted(features.symmetric_difference(own.index))
        if other:
            raise BadTableError(f"plates {first} and {plate} judge different features: {listed(other)}")
    return pd.DataFrame({plate: own.reindex(features) for plate, own in kept.items()}).T.rename_axis(None, axis=1)


def common_features(kept: pd.DataFrame, plates: Sequence[str] | None = None) -> list[str]:
    """Give the features that all of some plates keep.

    Parameters
    ----------
    kept
        What ``kept_features`` gave.
    plates
        Labels of the plates; all by default.

    Raises
    ------
    BadTableError
        If a plate has no feature selection.
    ProfileError
        If the plates keep no feature in common.
    """
    names = list(kept.index) if plates is None else list(plates)
    unknown = sorted(set(names) - set(kept.index))
    if unknown:
        raise BadTableError(f"{len(unknown)} plates have no feature selection: {listed(unknown)}")
    common = kept.columns[kept.loc[names].all()].tolist()
    if not common:
        raise ProfileError(f"{len(names)} plates keep no feature in common: {listed(names)}")
    return common

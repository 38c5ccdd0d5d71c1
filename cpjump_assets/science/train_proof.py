"""Proof that a fit on the train subset saw no other well, from the tables that are stored.

Belongs here: holding the record of wells against the manifest, and stored results against what the train wells alone
give. Does not belong here: the fits (``train_fit``), what is done about a breach (the checks).

A record says what it says; that the numbers agree proves it. Feature selection over ten thousand wells takes seconds,
so it is not repeated whole. What is computed again from the train wells is, of every feature, its counts of values
(``COUNTS``), which another well changes wherever values repeat; and of every feature that the correlation rule drops,
its r with the feature for whose sake it goes, which any other well changes, one more as one in place of another. From
these numbers the rules must give the verdicts that are stored. Another well goes unseen only where no value repeats and
no feature without gaps is dropped for another: the counts of pairs and features say how much was asked.
Sphering takes less than a second: it is repeated whole, and all values must agree but for rounding.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cpjump_assets.science.feature_measures import FeatureMeasures, measure_features
from cpjump_assets.science.feature_products import Positions, columns_of, products_of_pairs
from cpjump_assets.science.feature_selection import SelectionConfig, measures_table, verdicts
from cpjump_assets.science.features import Profiles
from cpjump_assets.science.plate_stream import PlateStream, stream_of
from cpjump_assets.science.plate_values import PlateValues
from cpjump_assets.science.plates import WELL_COLUMNS
from cpjump_assets.science.spherize import SpherizeConfig
from cpjump_assets.science.train_fit import (
    SELECTION,
    SPHERING,
    TRAIN,
    sphere_on_train,
    train_fit_wells,
    train_plates,
)

COUNTS = ("nan_share", "n_missing", "frequency_ratio", "unique_ratio")
SAME_R = 1e-10
"""Two values of r that differ by less are equal but for the order of summation; one of 10,000 wells moves an r of 0.95
by some 1e-6."""
SAME_VALUE = 1e-4
"""The same of sphered values, relative to the value or to 1: rounding to five digits, and the order of summation."""


class WellProof(NamedTuple):
    """The record of a fit against what the manifest allows.

    Attributes
    ----------
    seen
        Wells on record.
    held_out
        Of these, how many are in the validate or the test subset.
    not_allowed
        How many the fit may not see for any reason, ``held_out`` among them.
    left_out
        Wells that the fit may see and that are not on record.
    """

    seen: int
    held_out: int
    not_allowed: int
    left_out: int

    @property
    def holds(self) -> bool:
        """Tell whether the record has the wells that it must have, and no other."""
        return not (self.not_allowed or self.left_out)


class SelectionProof(NamedTuple):
    """A stored selection against the train wells.

    Attributes
    ----------
    wells
        The record.
    features
        Features compared.
    features_with_other_counts
        Of these, how many have other counts.
    features_with_another_verdict
        How many are kept or dropped otherwise than the rules say of the stored numbers.
    pairs
        Pairs of correlated features compared.
    pairs_with_another_r
        Of these, how many have another r.
    largest_difference
        Of two values of r.
    """

    wells: WellProof
    features: int
    features_with_other_counts: int
    features_with_another_verdict: int
    pairs: int
    pairs_with_another_r: int
    largest_difference: float

    @property
    def holds(self) -> bool:
        """Tell whether all agrees."""
        breaches = (self.features_with_other_counts, self.features_with_another_verdict, self.pairs_with_another_r)
        return self.wells.holds and not any(breaches)


class SpheringProof(NamedTuple):
    """Stored sphered profiles against what the negative controls on record give.

    Attributes
    ----------
    wells
        The record.
    values
        Values made again; 0 if the stored profiles have other wells or features than the selected ones.
    values_that_differ
        Of these, how many differ by more than ``SAME_VALUE``.
    largest_difference
        Of two values, relative to the value or to 1.
    """

    wells: WellProof
    values: int
    values_that_differ: int
    largest_difference: float

    @property
    def holds(self) -> bool:
        """Tell whether all agrees."""
        return self.wells.holds and self.values > 0 and not self.values_that_differ


def prove_wells(fit: str, metadata: pd.DataFrame, manifest: pd.DataFrame, fit_wells: pd.DataFrame) -> WellProof:
    """Hold the wells on record for a fit against those that the manifest allows.

    Parameters
    ----------
    fit
        ``SELECTION`` or ``SPHERING``.
    metadata
        The profiled wells, see ``train_fit_wells``.
    manifest
        ``SPLIT_MANIFEST`` of a strategy.
    fit_wells
        The stored ``TRAIN_FIT_WELLS`` of it.
    """
    allowed = _wells_of(_allowed(metadata, manifest), fit)
    recorded = _wells_of(fit_wells, fit)
    others = manifest.loc[manifest["subset"] != TRAIN, ["Metadata_Plate", "Metadata_Well"]]
    return WellProof(
        seen=len(recorded),
        held_out=int(recorded.droplevel("Metadata_Batch").isin(pd.MultiIndex.from_frame(others)).sum()),
        not_allowed=len(recorded.difference(allowed)),
        left_out=len(allowed.difference(recorded)),
    )


def prove_selection(
    plates: Sequence[PlateValues],
    manifest: pd.DataFrame,
    fit_wells: pd.DataFrame,
    selection: pd.DataFrame,
    config: SelectionConfig,
) -> SelectionProof:
    """Compute again, from the train wells of the manifest, what tells whether a selection saw other ones.

    Parameters
    ----------
    plates
        Normalized plates of the main batch.
    manifest, fit_wells
        As for ``prove_wells``.
    selection
        The stored ``FEATURE_SELECTION``.
    config
        The rules.
    """
    metadata = pd.concat([plate.metadata for plate in plates], ignore_index=True)
    stream = stream_of(train_plates(plates, _allowed(metadata, manifest)))
    measures = measure_features(stream)
    counts = measures_table(stream, measures).set_index("feature")[list(COUNTS)]
    stored = selection.set_index("feature").reindex(counts.index)
    differ = (counts.to_numpy() != stored[list(COUNTS)].to_numpy()).any(axis=1)
    partner = counts.index.get_indexer(pd.Index(stored["correlated_with"]))
    pairs = np.flatnonzero((partner >= 0) & (measures.n_missing == 0) & (measures.n_missing[partner] == 0))
    r = _correlations(stream, measures, pairs, partner[pairs])
    difference = np.abs(r - stored["correlation"].to_numpy()[pairs])
    expected = verdicts(selection, config)
    return SelectionProof(
        wells=prove_wells(SELECTION, metadata, manifest, fit_wells),
        features=len(counts),
        features_with_other_counts=int(differ.sum() + (~selection["feature"].isin(counts.index)).sum()),
        features_with_another_verdict=len(selection[list(expected)].compare(expected)),
        pairs=len(pairs),
        pairs_with_another_r=int((~(difference <= SAME_R)).sum()),
        largest_difference=float(difference.max(initial=0.0)),
    )


def prove_sphering(
    manifest: pd.DataFrame, fit_wells: pd.DataFrame, selected: Profiles, sphered: Profiles, config: SpherizeConfig
) -> SpheringProof:
    """Sphere the profiles again, by a fit on the wells that the manifest allows, and compare.

    Parameters
    ----------
    manifest, fit_wells
        As for ``prove_wells``.
    selected, sphered
        The stored profiles, before and after.
    config
        The whitening.
    """
    wells = prove_wells(SPHERING, selected.metadata, manifest, fit_wells)
    if selected.features != sphered.features or not selected.metadata.equals(sphered.metadata):
        return SpheringProof(wells, 0, 0, np.nan)
    again = sphere_on_train(selected, _allowed(selected.metadata, manifest), config).profiles.matrix
    difference = np.abs(again - sphered.matrix)
    difference /= np.maximum(np.abs(again), 1.0)
    return SpheringProof(
        wells=wells,
        values=again.size,
        values_that_differ=int((~(difference <= SAME_VALUE)).sum()),
        largest_difference=float(difference.max(initial=0.0)),
    )


def _allowed(metadata: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    return train_fit_wells(metadata, manifest, manifest["split_strategy"].iloc[0])


def _wells_of(fit_wells: pd.DataFrame, fit: str) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(fit_wells.loc[fit_wells["fit"] == fit, WELL_COLUMNS])


def _correlations(
    stream: PlateStream, measures: FeatureMeasures, first: Positions, second: Positions
) -> NDArray[np.float64]:
    """Correlate pairs of features that no well lacks; NaN for one that does not vary."""
    asked = np.zeros(len(stream.features), dtype=bool)
    asked[first] = asked[second] = True
    columns = columns_of(stream, measures, asked)
    place = np.full(len(asked), -1)
    place[columns.features] = np.arange(len(columns))
    varies = (place[first] >= 0) & (place[second] >= 0)
    r = np.full(len(first), np.nan)
    r[varies] = products_of_pairs(columns, place[first[varies]], place[second[varies]]).r
    return r

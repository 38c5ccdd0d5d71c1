"""Feature selection: which features stay, and by which rule each other one goes.

Belongs here: the four published rules (variance, correlation, NaN, blocklist), our own rule for what they leave, their
order and what each of them sees, and taking the kept features of plates. Does not belong here: what is measured of a
feature (``feature_measures``), how correlated features are found (``feature_correlation``), the names on the blocklist
(``blocklist``).

The published rules tolerate up to 5 % of NaN in a feature, but no similarity of two wells exists where one lacks a
value. So a fifth rule, ``remaining_nan``, comes behind them: a feature that they keep is dropped if any well lacks it.
It has its own name, so that what the published rules alone would keep can be read from the table: ``kept``, or
``dropped_by == "remaining_nan"``. A well without any value would take every feature along: it is refused.

Plates are read several times, some wells or some features at a time: memory does not grow with their number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from cpjump_assets.science.blocklist import BLOCKLIST
from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.feature_correlation import CorrelatedPartner, correlated_partners
from cpjump_assets.science.feature_measures import FeatureMeasures, measure_features
from cpjump_assets.science.features import Profiles, listed, plate_labels, well_label
from cpjump_assets.science.plate_stream import PlateStream, common_dtype, stream_of
from cpjump_assets.science.plate_values import PlateValues
from cpjump_assets.science.schemas import Column, TableSchema

REMAINING = "remaining_nan"
RULES = ("variance", "correlation", "nan", "blocklist", REMAINING)
"""In the order in which the papers ask them; the first that applies is the one that the table names."""

FEATURE_SELECTION = TableSchema(
    "feature_selection",
    "a feature, kept or dropped",
    ("feature",),
    (
        Column("feature", "string", "name that CellProfiler gave it"),
        Column("kept", "boolean", "whether profiles are compared on it"),
        Column("dropped_by", "string", "first rule that drops it; missing when it is kept", True, allowed=RULES),
        Column("nan_share", "number", "share of the wells whose value is NaN", bounds=(0, 1)),
        Column("n_missing", "integer", "wells whose value is NaN or infinite"),
        Column("n_plates_missing", "integer", "plates where no well has a value"),
        Column("frequency_ratio", "number", "second most common value by the most common, in counts", bounds=(0, 1)),
        Column("unique_ratio", "number", "distinct values per well", bounds=(0, 1)),
        Column("correlated_with", "string", "feature for whose sake the correlation rule drops it", nullable=True),
        Column("correlation", "number", "their Pearson correlation", nullable=True),
    ),
)


@dataclass(frozen=True)
class SelectionConfig:
    """How features are selected.

    Attributes
    ----------
    unique_cut
        A feature with fewer distinct values per well is dropped.
    view
        What each rule looks at: ``full``, all features; ``hidden``, those only that the rules before it keep. It makes
        a difference to the correlation rule alone, because every other rule judges each feature by itself.
    rules
        Of ``RULES``, in the order in which they are asked; ``remaining_nan`` is always the last. A rule that is not
        named is not asked.
    frequency_cut
        A feature whose second most common value is rarer than this share of its most common one is dropped.
    correlation_threshold
        Two features with a larger r say the same.
    nan_cutoff
        A feature with a larger share of NaN is dropped.
    blocklist
        Features that are dropped by name.

    Raises
    ------
    ProfileError
        If the rules are not what they must be.
    """

    unique_cut: float
    view: Literal["full", "hidden"]
    rules: tuple[str, ...] = RULES
    frequency_cut: float = 0.05
    correlation_threshold: float = 0.9
    nan_cutoff: float = 0.05
    blocklist: frozenset[str] = BLOCKLIST

    def __post_init__(self) -> None:
        once = len(set(self.rules)) == len(self.rules)
        if self.rules[-1:] != (REMAINING,) or not once or not set(self.rules) <= set(RULES):
            raise ProfileError(
                f"rules of feature selection: expected some of {', '.join(RULES[:-1])} in any order, each once, "
                f"and {REMAINING} behind them, found {', '.join(self.rules) or 'none'}"
            )
        if self.view not in ("full", "hidden"):
            raise ProfileError(f"view {self.view!r} of feature selection: there are full, hidden")


PAPER_2024 = SelectionConfig(unique_cut=0.1, view="full")
"""As the release of pycytominer that the 2024 paper pinned: each rule saw all features."""

PAPER_2021 = PAPER_2024
"""As the 2021 paper: the same rules, but each plate was asked by itself (``plate_features``)."""

PYCYTOMINER_1_7 = SelectionConfig(unique_cut=0.01, view="hidden")
"""As pycytominer 1.7.1 with frequency_threshold, correlation_threshold, drop_na_columns, blocklist, in this order."""


def select_features(profiles: PlateValues, config: SelectionConfig) -> pd.DataFrame:
    """Judge every feature over the wells of one plate, or of a batch in one table; see ``select_features_over``."""
    return select_features_over([profiles], config)


def select_features_over(plates: Sequence[PlateValues], config: SelectionConfig) -> pd.DataFrame:
    """Judge every feature over the wells of all plates.

    Parameters
    ----------
    plates
        Normalized profiles, n wells x p features in all; in what order, and whether as one table or several, makes no
        difference. Each is read several times, and one at a time.
    config
        ``PAPER_2024``, ``PYCYTOMINER_1_7`` or one's own.

    Returns
    -------
    DataFrame
        p rows in the order of the first plate: ``feature``; ``kept``; ``dropped_by`` (of the rules, missing if kept);
        ``nan_share``; ``n_missing`` (wells whose value is NaN or infinite); ``n_plates_missing`` (plates where no well
        has a value, such as those where its MAD is zero); ``frequency_ratio`` (count of the second most common value by
        that of the most common); ``unique_ratio`` (distinct values per well); ``correlated_with`` and ``correlation``
        (the partner for whose sake the correlation rule drops it, and their r; missing where it does not).

    Raises
    ------
    ProfileError
        If there is no plate, plates have different features, there are fewer than two wells, a well has no value at all
        (plate and well are named), or no feature is left.
    """
    stream = stream_of(plates)
    if stream.n_wells < 2:
        raise ProfileError(f"features are selected over at least two wells, found {stream.n_wells}")
    measures = measure_features(stream)
    _refuse_empty_wells(stream, measures)
    table = measures_table(stream, measures)
    partners = _correlated_partners(stream, measures, config, _drops_by_itself(table, config))
    # Position -1, no partner, is the missing name at the end.
    table["correlated_with"] = pd.Series([*stream.features, None], dtype="str").take(partners.partner).array
    table["correlation"] = partners.r
    table[["kept", "dropped_by"]] = verdicts(table, config)
    if not table["kept"].any():
        raise ProfileError(_nothing_left(table, stream, measures))
    return table[FEATURE_SELECTION.column_names]


def measures_table(stream: PlateStream, measures: FeatureMeasures) -> pd.DataFrame:
    """Give the columns of ``FEATURE_SELECTION`` that say what each feature is like, whatever the rules."""
    return pd.DataFrame(
        {
            "feature": pd.Series(stream.features, dtype="str"),
            "nan_share": measures.n_nan / stream.n_wells,
            "n_missing": measures.n_missing,
            "n_plates_missing": measures.n_plates_missing,
            "frequency_ratio": measures.frequency_ratio,
            "unique_ratio": measures.unique_ratio,
        }
    )


def verdicts(table: pd.DataFrame, config: SelectionConfig) -> pd.DataFrame:
    """Give ``kept`` and ``dropped_by`` of each feature, from the other columns of a ``FEATURE_SELECTION`` table."""
    drops = _drops_by_itself(table, config) | {"correlation": table["correlation"] > config.correlation_threshold}
    asked = pd.DataFrame({rule: drops[rule] for rule in config.rules}, index=table.index)
    kept = ~asked.any(axis="columns")
    return pd.DataFrame({"kept": kept, "dropped_by": asked.idxmax(axis="columns").astype("str").where(~kept)})


def apply_selection(profiles: PlateValues, selection: pd.DataFrame) -> Profiles:
    """Take the kept features of a selection table, in its order; see ``apply_selection_over``."""
    return apply_selection_over([profiles], selection)


def apply_selection_over(plates: Sequence[PlateValues], selection: pd.DataFrame) -> Profiles:
    """Put plates below each other, each with the kept features of a selection table, in its order.

    Plates are read one at a time; beside one of them the result alone is held.

    Raises
    ------
    ProfileError
        If there is no plate, a kept feature is absent, or a well lacks its value; the message names features, plates
        and counts.
    """
    if not plates:
        raise ProfileError("no plate to take selected features of: at least one is needed")
    kept = pd.Index(selection.loc[selection["kept"], "feature"])
    metadata = [plate.metadata for plate in plates]
    taken = np.empty((len(kept), sum(map(len, metadata))), dtype=common_dtype(plates))
    first = 0
    for plate, wells in zip(plates, metadata, strict=True):
        positions = pd.Index(plate.features).get_indexer(kept)
        if (positions < 0).any():
            names = listed(sorted(set(plate_labels(wells))))
            raise ProfileError(f"the profiles of {names} lack selected features: {listed(list(kept[positions < 0]))}")
        taken[:, first : first + len(wells)] = plate.values().T[positions]
        first += len(wells)
    selected = Profiles(pd.concat(metadata, ignore_index=True), taken.T, tuple(kept))
    _refuse_gaps(selected)
    return selected


def _refuse_gaps(selected: Profiles) -> None:
    lacks = ~np.isfinite(selected.matrix)
    if lacks.any():
        wells, features = (np.flatnonzero(lacks.any(axis=axis)) for axis in (1, 0))
        plates = listed(sorted(set(plate_labels(selected.metadata).iloc[wells])))
        raise ProfileError(
            f"{len(features):,} selected features are missing or infinite in {len(wells):,} wells of {plates}: "
            f"{listed([selected.features[feature] for feature in features])}"
        )


def _drops_by_itself(table: pd.DataFrame, config: SelectionConfig) -> dict[str, pd.Series]:
    """Tell by rule which features it drops, for the rules that judge each feature by itself."""
    return {
        "variance": (table["frequency_ratio"] < config.frequency_cut) | (table["unique_ratio"] < config.unique_cut),
        "nan": table["nan_share"] > config.nan_cutoff,
        "blocklist": table["feature"].isin(config.blocklist),
        REMAINING: table["n_missing"] > 0,
    }


def _correlated_partners(
    stream: PlateStream, measures: FeatureMeasures, config: SelectionConfig, drops: dict[str, pd.Series]
) -> CorrelatedPartner:
    """Apply the correlation rule, if it is asked, to the features that it sees."""
    visible = np.full(len(stream.features), "correlation" in config.rules)
    if config.view == "hidden" and visible.any():
        for rule in config.rules[: config.rules.index("correlation")]:
            visible &= ~drops[rule].to_numpy()
    return correlated_partners(stream, measures, config.correlation_threshold, visible)


def _refuse_empty_wells(stream: PlateStream, measures: FeatureMeasures) -> None:
    empty = np.flatnonzero(measures.n_missing_by_well == len(stream.features))
    if empty.size:
        first = well_label(*stream.well(int(empty[0])))
        raise ProfileError(f"{empty.size:,} wells have no value in any feature, first {first}")


def _nothing_left(table: pd.DataFrame, stream: PlateStream, measures: FeatureMeasures) -> str:
    counts = table["dropped_by"].value_counts()
    reasons = ", ".join(f"{rule} {counts[rule]:,}" for rule in RULES if rule in counts)
    missing = measures.n_missing_by_well
    worst = int(missing.argmax())
    where = f"; {well_label(*stream.well(worst))} lacks {missing[worst]:,} of them" if missing[worst] else ""
    return f"no feature is left of {len(table):,}: dropped by {reasons}{where}"

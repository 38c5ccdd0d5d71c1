"""Feature selection: which features stay, and by which rule each other one goes.

Belongs here: the four published rules (variance, correlation, NaN, blocklist), our own rule for what they leave, the
two published ways of combining them, and taking the kept features of a plate. Does not belong here: how correlations
are computed (``feature_correlation``), the names on the blocklist (``blocklist``).

The published rules tolerate up to 5 % of NaN in a feature, but no similarity of two wells exists where one lacks a
value. So a fifth rule, ``remaining_nan``, comes behind them: a feature that they keep is dropped if any well lacks it.
It has its own name, so that what the published rules alone would keep can be read from the table: ``kept``, or
``dropped_by == "remaining_nan"``. A well without any value would take every feature along: it is refused.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cpjump_assets.science.blocklist import BLOCKLIST
from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.feature_correlation import CorrelatedPartner, correlated_partners
from cpjump_assets.science.features import BoolArray, Matrix, Profiles, listed, plate_labels, well_label
from cpjump_assets.science.schemas import Column, TableSchema

RULES = ("variance", "correlation", "nan", "blocklist", "remaining_nan")
"""In the order in which they are asked; the first that applies is the one that the table names."""

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
        What the correlation rule looks at: ``full``, all features; ``hidden``, those only that the variance rule keeps.
        (The NaN rule and the blocklist judge each feature by itself, so that their view makes no difference.)
    frequency_cut
        A feature whose second most common value is rarer than this share of its most common one is dropped.
    correlation_threshold
        Two features with a larger r say the same.
    nan_cutoff
        A feature with a larger share of NaN is dropped.
    blocklist
        Features that are dropped by name.
    """

    unique_cut: float
    view: Literal["full", "hidden"]
    frequency_cut: float = 0.05
    correlation_threshold: float = 0.9
    nan_cutoff: float = 0.05
    blocklist: frozenset[str] = BLOCKLIST


PAPER_2024 = SelectionConfig(unique_cut=0.1, view="full")
"""As the release of pycytominer that the 2024 paper pinned: each rule saw all features."""

PAPER_2021 = PAPER_2024
"""As the 2021 paper: the same rules, but each plate was asked by itself (``plate_features``)."""

PYCYTOMINER_1_7 = SelectionConfig(unique_cut=0.01, view="hidden")
"""As pycytominer 1.7.1 with frequency_threshold, correlation_threshold, drop_na_columns, blocklist, in this order."""


def select_features(profiles: Profiles, config: SelectionConfig) -> pd.DataFrame:
    """Judge every feature over the wells given: one plate, or the stacked plates of a batch.

    Parameters
    ----------
    profiles
        Normalized profiles, n wells x p features.
    config
        ``PAPER_2024``, ``PYCYTOMINER_1_7`` or one's own.

    Returns
    -------
    DataFrame
        p rows in the order of the matrix: ``feature``; ``kept``; ``dropped_by`` (of ``RULES``, missing if kept);
        ``nan_share``; ``n_missing`` (wells whose value is NaN or infinite); ``n_plates_missing`` (plates where no well
        has a value, such as those where its MAD is zero); ``frequency_ratio`` (count of the second most common value by
        that of the most common); ``unique_ratio`` (distinct values per well); ``correlated_with`` and ``correlation``
        (the partner for whose sake the correlation rule drops it, and their r; missing where it does not).

    Raises
    ------
    ProfileError
        If there are fewer than two wells, a well has no value at all (plate and well are named), or no feature is left.
    """
    _refuse_bad_wells(profiles)
    table = _measure(profiles)
    varies = (table["frequency_ratio"] >= config.frequency_cut) & (table["unique_ratio"] >= config.unique_cut)
    visible = np.ones(len(table), dtype=bool) if config.view == "full" else varies.to_numpy()
    partners = _partners_among(profiles.matrix, visible, config.correlation_threshold)
    verdicts = pd.DataFrame(
        {
            "variance": ~varies,
            "correlation": partners.partner >= 0,
            "nan": table["nan_share"] > config.nan_cutoff,
            "blocklist": table["feature"].isin(config.blocklist),
            "remaining_nan": table["n_missing"] > 0,
        }
    )[list(RULES)]
    kept = ~verdicts.any(axis="columns")
    table.insert(1, "kept", kept)
    table.insert(2, "dropped_by", verdicts.idxmax(axis="columns").astype("str").where(~kept))
    # Position -1, no partner, is the missing name at the end.
    table["correlated_with"] = pd.Series([*profiles.features, None], dtype="str").take(partners.partner).array
    table["correlation"] = partners.r
    if not kept.any():
        raise ProfileError(_nothing_left(table, profiles))
    return table


def apply_selection(profiles: Profiles, selection: pd.DataFrame) -> Profiles:
    """Take the kept features of a selection table, in its order.

    Raises
    ------
    ProfileError
        If a kept feature is absent, or a well lacks its value; the message names features, plates and counts.
    """
    kept = pd.Index(selection.loc[selection["kept"], "feature"])
    positions = pd.Index(profiles.features).get_indexer(kept)
    if (positions < 0).any():
        plates = listed(sorted(set(plate_labels(profiles.metadata))))
        raise ProfileError(f"the profiles of {plates} lack selected features: {listed(list(kept[positions < 0]))}")
    selected = profiles.take_features(positions)
    lacks = ~np.isfinite(selected.matrix)
    if lacks.any():
        wells, features = (np.flatnonzero(lacks.any(axis=axis)) for axis in (1, 0))
        plates = listed(sorted(set(plate_labels(profiles.metadata).iloc[wells])))
        raise ProfileError(
            f"{len(features):,} selected features are missing or infinite in {len(wells):,} wells of {plates}: "
            f"{listed([selected.features[feature] for feature in features])}"
        )
    return selected


def value_frequencies(X: Matrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count the repeats of each column of X, (n, p): frequency ratio and unique ratio, as the selection table has them.

    NaN is no value; a column with fewer than two distinct values has frequency ratio 0.
    """
    frequency_ratio, distinct = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for position, column in enumerate(X.T):
        counts = np.unique(column[~np.isnan(column)], return_counts=True)[1]
        distinct[position] = counts.size
        if counts.size > 1:
            second, most = np.partition(counts, -2)[-2:]
            frequency_ratio[position] = second / most
    return frequency_ratio, distinct / X.shape[0]


def _measure(profiles: Profiles) -> pd.DataFrame:
    X = profiles.matrix
    frequency_ratio, unique_ratio = value_frequencies(X)
    finite = np.isfinite(X)
    n_missing = len(X) - finite.sum(axis=0)
    n_plates_missing = np.zeros(len(n_missing), dtype=np.int64)
    gaps = np.flatnonzero(n_missing)
    codes, plates = pd.factorize(plate_labels(profiles.metadata))
    finite_gaps = finite[:, gaps]
    for code in range(len(plates)):
        n_plates_missing[gaps] += ~finite_gaps[codes == code].any(axis=0)
    return pd.DataFrame(
        {
            "feature": pd.Series(profiles.features, dtype="str"),
            "nan_share": np.isnan(X).sum(axis=0) / len(X),
            "n_missing": n_missing,
            "n_plates_missing": n_plates_missing,
            "frequency_ratio": frequency_ratio,
            "unique_ratio": unique_ratio,
        }
    )


def _partners_among(X: Matrix, visible: BoolArray, threshold: float) -> CorrelatedPartner:
    """Apply the correlation rule to the visible columns, and give its answer in the positions of all columns."""
    if visible.all():
        return correlated_partners(X, threshold)
    positions = np.flatnonzero(visible)
    found = correlated_partners(X.T[visible].T, threshold)
    partner, r = np.full(visible.size, -1), np.full(visible.size, np.nan)
    partner[positions] = np.where(found.partner >= 0, positions[found.partner], -1)
    r[positions] = found.r
    return CorrelatedPartner(partner, r)


def _refuse_bad_wells(profiles: Profiles) -> None:
    if len(profiles.metadata) < 2:
        raise ProfileError(f"features are selected over at least two wells, found {len(profiles.metadata)}")
    empty = np.flatnonzero(~np.isfinite(profiles.matrix).any(axis=1))
    if empty.size:
        first = well_label(profiles.metadata, int(empty[0]))
        raise ProfileError(f"{empty.size:,} wells have no value in any feature, first {first}")


def _nothing_left(table: pd.DataFrame, profiles: Profiles) -> str:
    counts = table["dropped_by"].value_counts()
    reasons = ", ".join(f"{rule} {counts[rule]:,}" for rule in RULES if rule in counts)
    missing = (~np.isfinite(profiles.matrix)).sum(axis=1)
    worst = int(missing.argmax())
    where = f"; {well_label(profiles.metadata, worst)} lacks {missing[worst]:,} of them" if missing[worst] else ""
    return f"no feature is left of {len(table):,}: dropped by {reasons}{where}"

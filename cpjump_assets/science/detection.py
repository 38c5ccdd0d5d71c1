"""Perturbation detection: whether wells find their replicates among the negative controls of their plate.

Belongs here: who is a query, a positive and a negative in this task, and its tables of wells, classes and scores. Does
not belong here: ranks (``retrieval``), p-values (``null_distribution``), calls (``class_scores``), reading profiles.

The rule is that of the 2024 paper. Rows: the primary plates, without empty wells. A condition is a modality, cell line
and time point. Positives of a well: all other wells of its ``broad_sample`` in the condition, those of its own plate
too. Negatives: the negative controls of its own plate. Similarity: cosine. A class is a ``broad_sample``. Negative
controls ask too, against the treated wells of their plate, but are no class and get no p: no score uses it, and the
null of 255 positives among 575 would cost more than all others together.

A subset of a split is scored in the same way, with queries and positives from the subset alone, and the negative
controls of their plates as background.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cpjump_assets.science.arrays import Bools, Ints
from cpjump_assets.science.class_scores import ClassCalls, MetricConfig, PValues, call_classes, score_of_classes
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.features import well_label
from cpjump_assets.science.retrieval import NO_CLASS, RankLists, rank_against_controls
from cpjump_assets.science.similarity import unit_rows

TASK = "detection"
EVERY_WELL = "all"
"""The one subset of a score that asks all wells; also the selection of wells that every score so far has in common."""

CONDITION = ["Metadata_experiment_type", "Metadata_cell_line", "Metadata_timepoint", "Metadata_timepoint_code"]
_WELL = ["Metadata_Batch", "Metadata_Plate", "Metadata_Well"]
_SAMPLE = ["Metadata_broad_sample", "Metadata_target", "Metadata_control_type"]
_SCORED = ["n_wells", "n_wells_scored", "mean_average_precision", "retrieved", "undecided"]


@dataclass(frozen=True)
class Detection:
    """What the detection task gives.

    Attributes
    ----------
    wells
        A row is a query well of a subset: n_positives, n_negatives, average_precision, p_value, p_low, p_high. Sorted
        by subset, condition, batch, plate, well. Average precision is missing where a well has no positive or no
        negative; p is missing there and for negative controls.
    classes
        A row is a class of a subset and condition, columns of ``score_tables.CLASSES``. Sorted by subset, condition,
        broad_sample.
    conditions
        A row is a condition of the primary plates: n_plates, n_negative_controls.
    config
        The rule that was followed.
    """

    wells: pd.DataFrame
    classes: pd.DataFrame
    conditions: pd.DataFrame
    config: MetricConfig


def detect(
    metadata: pd.DataFrame,
    X: npt.NDArray[np.floating],
    *,
    subsets: pd.Series | None = None,
    features: Sequence[str] | None = None,
    config: MetricConfig | None = None,
) -> Detection:
    """Score all wells of the primary plates, or the wells of each subset of a split, and call their classes.

    Parameters
    ----------
    metadata
        A row per profile, in any order, with the ``Metadata_`` columns of ``wells``: batch, plate, well, condition,
        broad_sample, target, control_type, is_primary. Other plates and empty wells are left out here.
    X
        Normalized and selected profiles, shape (len(metadata), n_features), any float type.
    subsets
        Subset of each row of ``metadata``, in its order, missing for a well outside of the split: what
        ``subsets.subset_of_wells`` gives. By default all wells are one subset, ``all``. Negative controls are
        background whatever subset is given for them.
    features
        Names of the columns of ``X``, for messages.
    config
        How average precisions become calls; by default the rule of 2024.

    Raises
    ------
    BadTableError
        If a column or a value of it is missing, a well comes twice, or no well of a primary plate is there.
    ProfileError
        If the profile of a well that is used has a NaN or infinite feature, or is zero everywhere; the message names
        feature, plate and well.

    Notes
    -----
    One condition is in memory at a time. The result does not depend on the order of the rows.
    """
    if len(metadata) != len(X):
        raise ValueError(f"{len(metadata)} rows of metadata for {len(X)} profiles")
    config = config or MetricConfig()
    layout = _lay_out(metadata, subsets)
    lists = RankLists.concatenate([_rank_condition(layout, X, rows, features) for rows in layout.by_condition()])
    in_class = np.flatnonzero((layout.classes != NO_CLASS) & ~layout.is_control)
    _, first, members = np.unique(layout.classes[in_class], return_index=True, return_inverse=True)
    representatives = in_class[first]
    p, calls = call_classes(
        lists.take(in_class), members=members, families=layout.families[representatives], config=config
    )
    return Detection(
        wells=_well_table(layout, lists, in_class, p),
        classes=_class_table(layout, representatives, calls, config),
        conditions=_condition_table(layout),
        config=config,
    )


def scores(detection: Detection, *, subsets: Sequence[str] = (EVERY_WELL,)) -> pd.DataFrame:
    """Give one score row for each subset and condition, with a note where there is no number or not the whole one.

    Parameters
    ----------
    detection
        What ``detect`` gave.
    subsets
        The subsets to give rows for, also those that hold no well.

    Returns
    -------
    DataFrame
        Columns of ``score_tables.SCORES``. The interval of the fraction retrieved is the 95 % bootstrap interval over
        classes. Sorted by subset and condition.
    """
    rows_of = detection.classes.groupby(["subset", *CONDITION], sort=False).indices
    numbers = {name: detection.classes[name].to_numpy() for name in _SCORED}
    rows = []
    for subset, condition in product(sorted(subsets), detection.conditions.itertuples(index=False)):
        key = condition[: len(CONDITION)]
        own = {name: values[rows_of.get((subset, *key), [])] for name, values in numbers.items()}
        rows.append(
            {"subset": subset}
            | _rule(detection.config)
            | dict(zip(CONDITION, key, strict=True))
            | {"n_wells": int(own["n_wells"].sum()), "n_negative_controls": condition.n_negative_controls}
            | score_of_classes(own)
            | {"note": _note(own["n_wells"], own["n_wells_scored"])}
        )
    return pd.DataFrame(rows).astype({"note": "str"})


@dataclass(frozen=True)
class _Layout:
    """The wells that take part, sorted by condition, batch, plate, well; arrays of shape (n_wells,).

    ``rows`` says where a well stands in ``metadata`` and ``X``. Codes rise as what they stand for; ``families`` are
    subsets of conditions, ``classes`` are samples in families.
    """

    metadata: pd.DataFrame
    rows: Ints
    subset: pd.Series
    conditions: Ints
    plates: Ints
    families: Ints
    classes: Ints
    is_control: Bools

    def by_condition(self) -> Iterator[Ints]:
        """Give the wells of each condition."""
        return (np.flatnonzero(self.conditions == code) for code in np.unique(self.conditions))

    def subset_column(self, wells: Ints) -> dict[str, Any]:
        """Give the subset in which some wells ask."""
        return {"subset": self.subset.array[wells]}

    def columns(self, wells: Ints, names: list[str]) -> dict[str, Any]:
        """Give some columns of the metadata of some wells."""
        return {name: self.metadata[name].array[self.rows[wells]] for name in names}


def _lay_out(metadata: pd.DataFrame, subsets: pd.Series | None) -> _Layout:
    """Choose the wells that take part and say who belongs together."""
    needed = [*_WELL, *CONDITION, *_SAMPLE, "Metadata_is_primary"]
    missing = [column for column in needed if column not in metadata.columns]
    if missing:
        raise BadTableError(f"profiles to score lack the columns {', '.join(missing)}")
    is_control = (metadata["Metadata_control_type"] == "negcon").to_numpy(dtype=bool, na_value=False)
    subset = _subset_of_queries(metadata, subsets, is_control)
    is_used = metadata["Metadata_is_primary"].astype(bool) & (metadata["Metadata_broad_sample"] != "empty")
    rows = np.flatnonzero(is_used.to_numpy() & (is_control | subset.notna().to_numpy()))
    if not rows.size:
        raise BadTableError(f"none of the {len(metadata)} profiles to score is of a well of a primary plate")

    frame = metadata.iloc[rows]
    _refuse_missing(frame[[*_WELL, *CONDITION, "Metadata_broad_sample"]])
    conditions = _codes(*(frame[column] for column in CONDITION))
    plates = _codes(frame["Metadata_Batch"], frame["Metadata_Plate"])
    wells = _codes(frame["Metadata_Well"])
    order = np.lexsort((wells, plates, conditions))
    _refuse_duplicates(frame.iloc[order], plates[order], wells[order])
    rows = rows[order]
    subset = subset.iloc[rows]
    families = _codes(subset, pd.Series(conditions[order]))
    classes = _codes(pd.Series(families), metadata["Metadata_broad_sample"].iloc[rows])
    classes[subset.isna().to_numpy()] = NO_CLASS
    return _Layout(metadata, rows, subset, conditions[order], plates[order], families, classes, is_control[rows])


def _subset_of_queries(metadata: pd.DataFrame, subsets: pd.Series | None, is_control: Bools) -> pd.Series:
    """Give the subset in which each row asks, missing for a row that does not ask."""
    if subsets is None:
        return pd.Series(EVERY_WELL, index=metadata.index, dtype="str")
    if len(subsets) != len(metadata):
        raise ValueError(f"{len(subsets)} subsets for {len(metadata)} rows of metadata")
    return subsets.astype("str").mask(is_control)


def _refuse_missing(frame: pd.DataFrame) -> None:
    """Refuse wells of which is not known where, in which condition or of which sample they are."""
    missing = frame.isna().sum()
    if missing.any():
        counts = ", ".join(f"{name} in {count}" for name, count in missing[missing > 0].items())
        raise BadTableError(f"profiles to score must say what they are of; missing is {counts} of {len(frame)} rows")


def _refuse_duplicates(frame: pd.DataFrame, plates: Ints, wells: Ints) -> None:
    """Refuse a well that comes twice, of a frame that is sorted by plate and well."""
    repeated = np.flatnonzero((np.diff(plates) == 0) & (np.diff(wells) == 0))
    if repeated.size:
        well = well_label(frame, int(repeated[0]))
        raise BadTableError(f"{well} has more than one profile; {repeated.size} rows are too many")


def _codes(*columns: pd.Series) -> Ints:
    """Give each distinct tuple of some columns a number, in the order of the tuples; a missing value is the least."""
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        values, distinct = pd.factorize(column, sort=True)
        codes = np.unique(codes * (len(distinct) + 1) + values + 1, return_inverse=True)[1]
    return codes


def _rank_condition(
    layout: _Layout, X: npt.NDArray[np.floating], wells: Ints, features: Sequence[str] | None
) -> RankLists:
    """Make the rank lists of the wells of one condition."""
    unit = unit_rows(
        X, layout.rows[wells], features=features, describe_row=lambda row: well_label(layout.metadata, row)
    )
    return rank_against_controls(
        unit, classes=layout.classes[wells], plates=layout.plates[wells], is_control=layout.is_control[wells]
    )


def _well_table(layout: _Layout, lists: RankLists, in_class: Ints, p: PValues) -> pd.DataFrame:
    """Make the table of query wells."""
    asking = np.flatnonzero(layout.classes != NO_CLASS)
    queries = asking[np.argsort(layout.families[asking], kind="stable")]
    numbers = {
        "n_positives": lists.n_positives,
        "n_negatives": lists.n_negatives,
        "average_precision": lists.average_precision(),
    }
    for name, values in (("p_value", p.value), ("p_low", p.low), ("p_high", p.high)):
        numbers[name] = np.full(len(lists), np.nan)
        numbers[name][in_class] = values
    return pd.DataFrame(
        layout.subset_column(queries)
        | layout.columns(queries, [*CONDITION, *_WELL, *_SAMPLE])
        | {name: values[queries] for name, values in numbers.items()}
    )


def _class_table(layout: _Layout, representatives: Ints, classes: ClassCalls, config: MetricConfig) -> pd.DataFrame:
    """Make the table of classes from one well of each."""
    return pd.DataFrame(
        layout.subset_column(representatives)
        | {name: pd.array([word] * len(representatives), dtype="str") for name, word in _rule(config).items()}
        | layout.columns(representatives, [*CONDITION, *_SAMPLE[:2]])
        | {
            "n_wells": classes.n_members,
            "n_wells_scored": classes.n_scored,
            "mean_average_precision": classes.mean_average_precision,
            "p_value": classes.p.value,
            "p_low": classes.p.low,
            "p_high": classes.p.high,
            "q_value": classes.calls.q_value,
            "retrieved": classes.calls.significant,
            "undecided": classes.calls.undecided,
        }
    )


def _condition_table(layout: _Layout) -> pd.DataFrame:
    """Count plates and negative controls of each condition."""
    wells = list(layout.by_condition())
    counts = {
        "n_plates": [len(np.unique(layout.plates[own])) for own in wells],
        "n_negative_controls": [int(layout.is_control[own].sum()) for own in wells],
    }
    return pd.DataFrame(layout.columns(np.array([own[0] for own in wells]), CONDITION) | counts)


def _rule(config: MetricConfig) -> dict[str, str]:
    """Give the columns that say by which rule a row came about."""
    return {"task": TASK, "metric_mode": config.metric_mode, "p_convention": config.p_label, "wells": EVERY_WELL}


def _note(n_wells: Ints, n_wells_scored: Ints) -> str | None:
    """Say why the score of some classes is missing or leaves wells out; None where there is nothing to say."""
    if not len(n_wells):
        return "no well of this condition is in the subset"
    if (n_wells == 1).all():
        return "no class has two wells"
    unscored = (n_wells - n_wells_scored)[n_wells > 1].sum()
    if unscored:
        return f"{unscored} wells have no score: no negative control on their plates"
    return None

"""Perturbation detection: whether wells find their replicates among the negative controls of their plate.

Belongs here: who is a query, a positive and a negative of this task and of its two variants for ORFs. Does not belong
here: which wells take part (``layout``), ranks (``retrieval``), p-values and calls (``class_scores``), score rows
(``answers``), reading profiles.

The rule is that of the 2024 paper. Rows: the primary plates, without empty wells. A condition is a modality, cell line
and time point. Positives of a well: all other wells of its ``broad_sample`` in the condition, those of its own plate
too. Negatives: the negative controls of its own plate. Similarity: cosine. A class is a ``broad_sample``.

An ORF is in two wells of each plate, at two positions, so its replicates are mostly in another position, where those of
compounds and guides are mostly in the same one. Extended Data Fig. 1 takes this apart: ``orf_same_well`` asks for the
replicates in the same position (a class is a ``broad_sample`` at a well), ``orf_different_well`` for those in another.

A subset of a split is scored in the same way, with queries and positives from the subset alone, and the negative
controls of their plates as background.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cpjump_assets.science.answers import Answers, answer
from cpjump_assets.science.arrays import Floats, Ints
from cpjump_assets.science.class_scores import MetricConfig
from cpjump_assets.science.layout import NO_SUBSET, SAMPLE, WELL, Layout, lay_out
from cpjump_assets.science.questions import Questions
from cpjump_assets.science.retrieval import NO_CLASS, RankLists, count_alike, rank_against_controls
from cpjump_assets.science.similarity import MAX_MEMORY, unit_rows
from cpjump_assets.science.tasks import (
    CONDITION,
    DETECTION,
    EVERY_WELL,
    ORF_DIFFERENT_WELL,
    ORF_SAME_WELL,
    REFERENCE,
    REPLICATE_TASKS,
)

_NOTHING_ASKED = "no well of this condition is in the subset"


@dataclass(frozen=True)
class _ReplicateTask:
    """How one of the tasks on wells chooses.

    Attributes
    ----------
    modalities
        The modalities that it asks.
    class_is_in_one_well
        Whether a class is a ``broad_sample`` at one well position; else it is a ``broad_sample``.
    positives_are_elsewhere
        Whether wells of the same position are no positives.
    """

    modalities: tuple[str, ...] = ("Compound", "CRISPR", "ORF")
    class_is_in_one_well: bool = False
    positives_are_elsewhere: bool = False


_TASKS = {
    DETECTION: _ReplicateTask(),
    ORF_SAME_WELL: _ReplicateTask(("ORF",), class_is_in_one_well=True),
    ORF_DIFFERENT_WELL: _ReplicateTask(("ORF",), positives_are_elsewhere=True),
}


def detect(
    metadata: pd.DataFrame,
    X: npt.NDArray[np.floating],
    *,
    subsets: pd.Series | None = None,
    subset_names: Sequence[str] = (EVERY_WELL,),
    features: Sequence[str] | None = None,
    config: MetricConfig | None = None,
    max_memory: int = MAX_MEMORY,
) -> Answers:
    """Score all wells of the primary plates, or the wells of each subset of a split, and call their classes.

    Negative controls ask too, but for the subsets of a split, against the treated wells of their plate. They are no
    class and get no p: no score uses it, and the null of 255 positives among 575 would cost more than all others.

    Parameters
    ----------
    metadata
        A row per profile, in any order, with the columns that ``layout.lay_out`` names.
    X
        Normalized and selected profiles, shape (len(metadata), n_features), any float type.
    subsets, subset_names
        See ``layout.lay_out``.
    features
        Names of the columns of ``X``, for messages.
    config
        How average precisions become calls; by default the rule of 2024.
    max_memory
        Bytes that similarities may take at a time.

    Returns
    -------
    Answers
        A query is a well; sorted by subset, condition, batch, plate, well. A class is a ``broad_sample``.

    Raises
    ------
    BadTableError
        As ``layout.lay_out``.
    ProfileError
        If the profile of a well that is used has a NaN or infinite feature, or is zero everywhere; the message names
        feature, plate and well. Or if the ranks of all positives would take more than ``max_memory``: those of negative
        controls grow with the square of the plates of a condition, and ``benchmark.score_benchmark`` does without.

    Notes
    -----
    One condition is in memory at a time. The result does not depend on the order of the rows.
    """
    config = config or MetricConfig()
    layout = lay_out(metadata, subsets, subset_names=subset_names, wells=config.wells)
    if subsets is None:
        layout = layout.with_asking_controls()
    (questions,) = ask_for_replicates(layout, X, (DETECTION,), features=features, max_memory=max_memory)
    return answer(questions, config)


def ask_for_replicates(
    layout: Layout,
    X: npt.NDArray[np.floating],
    tasks: Sequence[str] = REPLICATE_TASKS,
    *,
    features: Sequence[str] | None = None,
    max_memory: int = MAX_MEMORY,
) -> list[Questions]:
    """Rank the replicates of every well in some of the tasks on wells, those of which the layout has a modality.

    Parameters
    ----------
    layout
        Who belongs together.
    X, features
        The profiles, a row for each row of the layout's metadata, and the names of their columns.
    tasks
        Names of tasks.
    max_memory
        Bytes that similarities may take at a time.

    Raises
    ------
    ProfileError
        As ``detect``.
    """
    if len(layout.metadata) != len(X):
        raise ValueError(f"{len(layout.metadata)} rows of metadata for {len(X)} profiles")
    kinds = layout.condition_table["Metadata_experiment_type"]
    ranked: dict[str, list[_Ranked]] = {name: [] for name in tasks}
    for kind, wells in zip(kinds, layout.by_condition(), strict=True):
        asked_here = [name for name in tasks if kind in _TASKS[name].modalities]
        if not asked_here:
            continue
        unit = unit_rows(X, layout.rows[wells], features=features, describe_row=layout.label)
        for name in asked_here:
            ranked[name].append(_rank(layout, wells, unit, _TASKS[name], max_memory))
    return [_questions(layout, name, parts) for name, parts in ranked.items() if parts]


@dataclass(frozen=True)
class _Ranked:
    """The wells of a condition that ask in a task, in the order of the layout, and what they find."""

    wells: Ints
    lists: RankLists
    classes: Ints


def _rank(layout: Layout, wells: Ints, unit: Floats, task: _ReplicateTask, max_memory: int) -> _Ranked:
    asks = layout.subsets[wells] != NO_SUBSET
    classes = _class_codes(layout, wells, task)
    classes[~asks] = NO_CLASS
    lists = rank_against_controls(
        unit,
        classes=classes,
        apart=layout.positions[wells] if task.positives_are_elsewhere else np.arange(len(wells)),
        plates=layout.plates[wells],
        is_control=layout.is_control[wells],
        max_memory=max_memory,
    )
    asking = np.flatnonzero(asks)
    return _Ranked(wells[asking], lists.take(asking), classes[asking])


def _class_codes(layout: Layout, wells: Ints, task: _ReplicateTask) -> Ints:
    """Give some wells the codes of their classes, rising by subset, sample and, where it matters, position."""
    codes = layout.subsets[wells] * (layout.samples.max() + 1) + layout.samples[wells]
    if task.class_is_in_one_well:
        codes = codes * (layout.positions.max() + 1) + layout.positions[wells]
    return np.unique(codes, return_inverse=True)[1]


def _questions(layout: Layout, task_name: str, parts: list[_Ranked]) -> Questions:
    """Put the conditions of a task together: cells by subset and condition, and in them classes by name."""
    task = _TASKS[task_name]
    conditions = np.flatnonzero(layout.condition_table["Metadata_experiment_type"].isin(task.modalities))
    wells = np.concatenate([part.wells for part in parts])
    cell_of = layout.subsets[wells] * len(conditions) + np.searchsorted(conditions, layout.conditions[wells])
    order = np.argsort(cell_of, kind="stable")
    wells, cell_of = wells[order], cell_of[order]
    lists = RankLists.concatenate([part.lists for part in parts]).take(order)
    within = np.concatenate([part.classes for part in parts])[order]

    in_class = np.flatnonzero(~layout.is_control[wells])
    codes = cell_of[in_class] * (within.max(initial=0) + 1) + within[in_class]
    _, first, numbers = np.unique(codes, return_index=True, return_inverse=True)
    first = in_class[first]
    members = np.full(len(wells), NO_CLASS)
    members[in_class] = numbers
    cells = _cells(layout, task_name, conditions)
    cells["n_profiles"] = np.bincount(cell_of[in_class], minlength=len(cells))
    n_together = np.where(task.positives_are_elsewhere, 0, count_alike(numbers, layout.positions[wells[in_class]]) - 1)
    cells["same_well_share"] = _share_by_cell(n_together, lists.n_positives[in_class], cell_of[in_class], len(cells))
    return Questions(
        lists=lists,
        members=members,
        cell_of=cell_of,
        queries=layout.columns(wells, [*WELL, *SAMPLE]),
        classes=_class_columns(layout, wells[first], task),
        families=cell_of[first],
        cells=cells,
    )


def _share_by_cell(part: Ints, whole: Ints, cell_of: Ints, n_cells: int) -> Floats:
    """Give sum of part / sum of whole for each cell; NaN where there is nothing."""
    parts, wholes = (np.bincount(cell_of, weights=values, minlength=n_cells) for values in (part, whole))
    return np.divide(parts, wholes, out=np.full(n_cells, np.nan), where=wholes > 0)


def _cells(layout: Layout, task_name: str, conditions: Ints) -> pd.DataFrame:
    """Make a row for every subset and condition, also where the subset holds no well of it."""
    n_subsets = len(layout.subset_names)
    which = np.tile(conditions, n_subsets)
    described = {name: layout.condition_table[name].array.take(which) for name in CONDITION}
    n_controls = np.bincount(layout.conditions[layout.is_control], minlength=layout.n_conditions)
    return pd.DataFrame(
        {
            "subset": pd.array(layout.subset_names, dtype="str").repeat(len(conditions)),
            "task": task_name,
            **described,
            **{name: described[name.replace("reference", "Metadata")] for name in REFERENCE},
            "n_negative_controls": n_controls[which],
            "nothing_asked": _NOTHING_ASKED,
        }
    )


def _class_columns(layout: Layout, wells: Ints, task: _ReplicateTask) -> dict[str, Any]:
    """Name the classes, from one well of each."""
    columns = layout.columns(wells, ["Metadata_broad_sample", "Metadata_target", "Metadata_Well"])
    position = columns.pop("Metadata_Well")
    names = columns["Metadata_broad_sample"]
    return {"class_name": names + " " + position if task.class_is_in_one_well else names, **columns}

"""Perturbation matching: whether perturbations of one target find each other among all others.

Belongs here: who is a query, a positive and a negative in the tasks on consensus profiles, and their ranks. Does not
belong here: which wells take part (``layout``), p-values and calls (``class_scores``), score rows (``answers``).

The rule is that of the 2024 paper. Items are perturbations that the detection task retrieved in the same condition,
each with the median profile of its wells; negative controls take no part. An item has one label or more: the genes of
its ``Metadata_target_list``. Two items match on a gene that both carry, and are negatives of each other when they share
none; an item that shares another gene is neither. A query is an item and one of its genes, a class is a gene.

* ``sister_compounds``: compounds of one condition, absolute cosine.
* ``sister_guides``: guides of one condition, cosine; only genes of which two guides or more were detected.
* ``gene_compound``: compounds of one condition and guides or ORFs of another one of the same cell line, absolute
  cosine. Both sides ask, and search the other side. Target lists are cut to the genes that are there, and a compound
  that keeps none takes no part.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from cpjump_assets.science.answers import Answers, answer
from cpjump_assets.science.arrays import Ints
from cpjump_assets.science.class_scores import MetricConfig
from cpjump_assets.science.consensus import consensus
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.label_ranks import Labelled, rank_by_label
from cpjump_assets.science.layout import NO_SUBSET, Layout, lay_out
from cpjump_assets.science.questions import Questions
from cpjump_assets.science.retrieval import RankLists
from cpjump_assets.science.similarity import MAX_MEMORY, unit_rows
from cpjump_assets.science.tasks import (
    CONDITION,
    DETECTION,
    EVERY_WELL,
    GENE_COMPOUND,
    MATCHING_TASKS,
    REFERENCE,
    SISTER_COMPOUNDS,
    SISTER_GUIDES,
)

_DETECTED = ["subset", *CONDITION, "Metadata_broad_sample"]
_NOTHING_ASKED = "no perturbation that was detected has a target to match on"
_SEPARATOR = "|"


def match(
    metadata: pd.DataFrame,
    X: npt.NDArray[np.floating],
    detected: pd.DataFrame,
    *,
    tasks: Sequence[str] = MATCHING_TASKS,
    subsets: pd.Series | None = None,
    subset_names: Sequence[str] = (EVERY_WELL,),
    features: Sequence[str] | None = None,
    config: MetricConfig | None = None,
    max_memory: int = MAX_MEMORY,
) -> Answers:
    """Score how well perturbations find those of their target.

    Parameters
    ----------
    metadata, X, subsets, subset_names, features, max_memory
        As for ``detection.detect``; ``metadata`` also with ``Metadata_target_list``, genes separated by ``|``.
    detected
        Classes on the same wells by the same rule, of which those of the detection task count: task, subset, condition,
        ``Metadata_broad_sample``, ``retrieved``.
    tasks
        Names of tasks.
    config
        How average precisions become calls; by default the rule of 2024.

    Returns
    -------
    Answers
        A query is a perturbation and one of its genes, a class is a gene; sorted by task, subset, condition, gene.

    Raises
    ------
    BadTableError
        As ``layout.lay_out``; or if ``Metadata_target_list`` is not there, no condition is of a modality that the tasks
        ask, or ``detected`` holds classes of several rules.
    ProfileError
        If a consensus profile has a NaN or infinite feature, or is zero everywhere; or if the pairs that share a target
        would take more than ``max_memory``.
    """
    config = config or MetricConfig()
    _refuse_several_rules(detected, config.rule())
    layout = lay_out(metadata, subsets, subset_names=subset_names, wells=config.wells)
    asked = ask_for_targets(layout, X, detected, tasks, features=features, max_memory=max_memory)
    if not asked:
        kinds = ", ".join(sorted(set(layout.condition_table["Metadata_experiment_type"])))
        raise BadTableError(f"{', '.join(tasks)} cannot be asked of profiles that are all of {kinds}")
    return Answers.concatenate([answer(questions, config) for questions in asked])


def ask_for_targets(
    layout: Layout,
    X: npt.NDArray[np.floating],
    detected: pd.DataFrame,
    tasks: Sequence[str] = MATCHING_TASKS,
    *,
    features: Sequence[str] | None = None,
    max_memory: int = MAX_MEMORY,
) -> list[Questions]:
    """Rank, for every detected perturbation and each of its genes, the others of that gene.

    Parameters
    ----------
    layout, X, features, max_memory
        As for ``detection.ask_for_replicates``.
    detected, tasks
        As for ``match``.

    Returns
    -------
    list of Questions
        Those of all tasks together, so that their nulls are worked out once; nothing where no condition is asked.
    """
    if len(layout.metadata) != len(X):
        raise ValueError(f"{len(layout.metadata)} rows of metadata for {len(X)} profiles")
    items = _detected_items(layout, X, detected, features)
    conditions = layout.condition_table
    cells = [
        _Cell(task, subset, query, reference)
        for task in tasks
        for subset in range(len(layout.subset_names))
        for query, reference in _TASKS[task].pairs(conditions)
    ]
    return [_questions(layout, items, [_ask(cell, items, max_memory) for cell in cells])] if cells else []


@dataclass(frozen=True)
class _Items:
    """Detected perturbations, one for each subset and condition, with their genes.

    ``subsets``, ``conditions`` and ``wells`` (one well of each) have shape (n_items,). ``labelled`` are all of them;
    its labels are codes of ``genes``.
    """

    subsets: Ints
    conditions: Ints
    wells: Ints
    labelled: Labelled
    genes: npt.NDArray[np.str_]

    def of(self, subset: int, condition: int) -> Labelled:
        """Give the items of one subset and condition that have a gene."""
        own = (self.subsets == subset) & (self.conditions == condition)
        return self.labelled.keep(own[self.labelled.place])


@dataclass(frozen=True)
class _Cell:
    """What one score is about: a task, a subset, and the conditions whose items ask and are searched, as codes."""

    task: str
    subset: int
    query: int
    reference: int


@dataclass(frozen=True)
class _Asked:
    """What a cell asks: number of items, item and gene of each query, sorted by gene, and what they find."""

    cell: _Cell
    n_items: int
    items: Ints
    genes: Ints
    lists: RankLists


def _detected_items(
    layout: Layout, X: npt.NDArray[np.floating], detected: pd.DataFrame, features: Sequence[str] | None
) -> _Items:
    """Find the wells of the perturbations that were detected, and make their consensus profiles."""
    if "Metadata_target_list" not in layout.metadata:
        raise BadTableError("profiles to match lack the column Metadata_target_list, genes separated by |")
    wells = np.flatnonzero(layout.subsets != NO_SUBSET)
    codes = (layout.subsets[wells] * layout.n_conditions + layout.conditions[wells]) * (
        layout.samples.max() + 1
    ) + layout.samples[wells]
    _, first, item_of_well = np.unique(codes, return_index=True, return_inverse=True)
    is_detected = _is_detected(layout, wells[first], detected)
    number = np.where(is_detected, np.cumsum(is_detected) - 1, -1)
    first = wells[first[is_detected]]
    groups = np.full(len(X), -1)
    groups[layout.rows[wells]] = number[item_of_well]
    profiles = consensus(X, groups, len(first))
    unit = unit_rows(profiles, features=features, describe_row=lambda item: _describe(layout, int(first[item])))
    genes, place, gene = _genes_of(layout.columns(first, ["Metadata_target_list"])["Metadata_target_list"])
    labelled = Labelled(np.arange(len(first)), unit, place, gene)
    return _Items(layout.subsets[first], layout.conditions[first], first, labelled, genes)


def _refuse_several_rules(detected: pd.DataFrame, rule: Iterable[str]) -> None:
    """Refuse classes of several rules, such as all of the platform: what any rule retrieved would count as detected."""
    for name in rule:
        found = sorted(set(detected[name].dropna())) if name in detected else []
        if len(found) > 1:
            raise BadTableError(f"detected classes must be of one {name}, found {', '.join(map(str, found))}")


def _is_detected(layout: Layout, wells: Ints, detected: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Tell of which wells the perturbation was retrieved in its subset and condition."""
    missing = [name for name in ["task", *_DETECTED, "retrieved"] if name not in detected.columns]
    if missing:
        raise BadTableError(f"detected classes lack the columns {', '.join(missing)}")
    retrieved = detected.loc[detected["retrieved"] & (detected["task"] == DETECTION), _DETECTED]
    names = pd.array(np.array(layout.subset_names)[layout.subsets[wells]], dtype="str")
    asked = pd.DataFrame({"subset": names, **layout.columns(wells, _DETECTED[1:])})
    return pd.MultiIndex.from_frame(asked).isin(pd.MultiIndex.from_frame(retrieved))


def _describe(layout: Layout, well: int) -> str:
    """Name a consensus profile for an error message."""
    own = (layout.conditions == layout.conditions[well]) & (layout.samples == layout.samples[well])
    plates = sorted(set(layout.columns(np.flatnonzero(own), ["Metadata_Plate"])["Metadata_Plate"]))
    sample = layout.columns(np.array([well]), ["Metadata_broad_sample"])["Metadata_broad_sample"][0]
    return f"the consensus profile of {sample} on plates {', '.join(plates)}"


def _genes_of(target_lists: pd.Series) -> tuple[npt.NDArray[np.str_], Ints, Ints]:
    """Give all genes, and each label as (item, code of its gene), sorted by gene and item, each once."""
    lists = pd.Series(np.asarray(target_lists, dtype=object)).fillna("").str.split(_SEPARATOR)
    names = lists.explode()
    names = names[names.notna() & (names != "")]
    codes, genes = pd.factorize(names, sort=True)
    labels = np.unique(np.stack([codes, names.index.to_numpy()]), axis=1)
    return np.asarray(genes, dtype=str), labels[1], labels[0]


_Sides = list[tuple[Labelled, Labelled]]


@dataclass(frozen=True)
class _MatchingTask:
    """How a task chooses: pairs of conditions, who asks and who is searched of the items of both, the similarity."""

    pairs: Callable[[pd.DataFrame], Iterator[tuple[int, int]]]
    sides: Callable[[Labelled, Labelled], _Sides]
    absolute: bool


def _one_condition(modality: str, conditions: pd.DataFrame) -> Iterator[tuple[int, int]]:
    """Pair every condition of a modality with itself."""
    return ((int(code), int(code)) for code in np.flatnonzero(conditions["Metadata_experiment_type"] == modality))


def _two_modalities(conditions: pd.DataFrame) -> Iterator[tuple[int, int]]:
    """Pair every condition of compounds with every one of gene reagents in the same cell line."""
    lines, kinds = conditions["Metadata_cell_line"], conditions["Metadata_experiment_type"]
    for compounds in np.flatnonzero(kinds == "Compound"):
        for genes in np.flatnonzero((kinds != "Compound") & (lines == lines.iloc[compounds])):
            yield int(compounds), int(genes)


def _among_each_other(items: Labelled, _: Labelled) -> _Sides:
    return [(items, items)]


def _of_paired_genes(guides: Labelled, _: Labelled) -> _Sides:
    """Leave out the genes of which one guide alone was detected."""
    paired = guides.keep(np.bincount(guides.label)[guides.label] > 1)
    return [(paired, paired)]


def _across(compounds: Labelled, reagents: Labelled) -> _Sides:
    """Cut target lists to the genes that are there; both sides ask."""
    cut = compounds.keep(np.isin(compounds.label, reagents.label))
    return [(cut, reagents), (reagents, cut)]


_TASKS = {
    SISTER_COMPOUNDS: _MatchingTask(partial(_one_condition, "Compound"), _among_each_other, absolute=True),
    SISTER_GUIDES: _MatchingTask(partial(_one_condition, "CRISPR"), _of_paired_genes, absolute=False),
    GENE_COMPOUND: _MatchingTask(_two_modalities, _across, absolute=True),
}


def _ask(cell: _Cell, items: _Items, max_memory: int) -> _Asked:
    """Rank the items of one cell."""
    task = _TASKS[cell.task]
    sides = task.sides(items.of(cell.subset, cell.query), items.of(cell.subset, cell.reference))
    lists = RankLists.concatenate(
        [rank_by_label(asking, searched, absolute=task.absolute, max_memory=max_memory) for asking, searched in sides]
    )
    genes = np.concatenate([asking.label for asking, _ in sides])
    asked = np.concatenate([asking.items[asking.place] for asking, _ in sides])
    by_gene = np.argsort(genes, kind="stable")
    n_items = sum(len(asking.items) for asking, _ in sides)
    return _Asked(cell, n_items, asked[by_gene], genes[by_gene], lists.take(by_gene))


def _questions(layout: Layout, items: _Items, parts: list[_Asked]) -> Questions:
    """Put the cells together."""
    cell_of = np.repeat(np.arange(len(parts)), [len(part.genes) for part in parts])
    genes = np.concatenate([part.genes for part in parts])
    asked = np.concatenate([part.items for part in parts])
    _, first, members = np.unique(cell_of * (len(items.genes) + 1) + genes, return_index=True, return_inverse=True)
    genes_asked, genes_of_classes = (pd.array(items.genes, dtype="str").take(own) for own in (genes, genes[first]))
    reagents = layout.columns(items.wells[asked], ["Metadata_broad_sample", "Metadata_experiment_type"])
    return Questions(
        lists=RankLists.concatenate([part.lists for part in parts]),
        members=members,
        cell_of=cell_of,
        queries={
            "class_name": genes_asked,
            "Metadata_broad_sample": reagents["Metadata_broad_sample"],
            "query_experiment_type": reagents["Metadata_experiment_type"],
        },
        classes={
            "class_name": genes_of_classes,
            "Metadata_broad_sample": pd.array([None], dtype="str").repeat(len(first)),
            "Metadata_target": genes_of_classes,
        },
        families=cell_of[first],
        cells=_cell_table(layout, parts),
    )


def _cell_table(layout: Layout, parts: list[_Asked]) -> pd.DataFrame:
    cells = [part.cell for part in parts]
    conditions = layout.condition_table
    query = conditions[CONDITION].iloc[[cell.query for cell in cells]].reset_index(drop=True)
    reference = conditions[CONDITION].iloc[[cell.reference for cell in cells]].reset_index(drop=True)
    return query.assign(
        subset=pd.array([layout.subset_names[cell.subset] for cell in cells], dtype="str"),
        task=pd.array([cell.task for cell in cells], dtype="str"),
        **{name: reference[name.replace("reference", "Metadata")] for name in REFERENCE},
        n_profiles=[part.n_items for part in parts],
        n_negative_controls=0,
        same_well_share=np.nan,
        nothing_asked=_NOTHING_ASKED,
    )

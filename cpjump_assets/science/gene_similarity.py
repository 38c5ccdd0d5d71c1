"""Similarities of reagents across modalities: consensus profiles of compounds and genes, pair by pair.

Belongs here: what is collapsed into one profile, which pairs share a target, and their cosines. Does not belong here:
thresholds and counts (``directionality``), medians (``consensus``).

A compound's profile is the median of its wells, that of a gene the median of all wells of its guides or ORFs:
replicates and sister guides are collapsed in one step. Negative controls and reagents without a gene are left out.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cpjump_assets.science.arrays import Bools, Floats, Ints
from cpjump_assets.science.consensus import consensus
from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.layout import Layout
from cpjump_assets.science.similarity import unit_rows

MODALITY_PAIRS = (("Compound", "CRISPR"), ("Compound", "ORF"), ("ORF", "CRISPR"))
"""Who is compared with whom: the query, then the reference."""


@dataclass(frozen=True)
class Similarity:
    """The pairs of two modalities in one cell line, both times of one with both of the other.

    Attributes
    ----------
    query, reference
        Modalities; ``query`` is Compound or ORF.
    same
        A row is a same-target pair: query_broad_sample, query_name, query_timepoint, reference_gene,
        reference_timepoint, cosine.
    different
        Cosines of different-target pairs: for each same-target pair, those of its query with all genes that are not
        among the query's targets.
    """

    query: str
    reference: str
    same: pd.DataFrame
    different: Floats


def similarities_by_cell_line(
    layout: Layout, X: npt.NDArray[np.floating], subset: int, *, features: Sequence[str] | None = None
) -> Iterator[tuple[str, list[Similarity]]]:
    """Compare modalities in each cell line.

    Parameters
    ----------
    layout
        The wells that take part; its metadata have ``Metadata_target_list`` and ``Metadata_pert_iname``.
    X
        Profiles, in the order of ``layout.metadata``.
    subset
        Code of the subset whose wells are collapsed.
    features
        Names of the columns of ``X``, for messages.

    Yields
    ------
    str, list of Similarity
        Cell line, and one similarity for each of ``MODALITY_PAIRS``, without pairs where a modality has no well.

    Raises
    ------
    ProfileError
        If a well that is used has a NaN or infinite feature, or a consensus profile is zero everywhere.
    """
    by_condition = list(layout.by_condition())
    for line, conditions in layout.condition_table.groupby("Metadata_cell_line", sort=True):
        perturbed = []
        for code, condition in zip(conditions.index, conditions.to_dict("records"), strict=True):
            wells = by_condition[code]
            asked = wells[(layout.subsets[wells] == subset) & ~layout.is_control[wells]]
            _refuse_not_finite(layout, X, layout.rows[asked], features)
            collapse = _compounds if condition["Metadata_experiment_type"] == "Compound" else _genes
            perturbed.append(collapse(layout, X, asked, condition))
        yield str(line), [_pooled(query, reference, perturbed) for query, reference in MODALITY_PAIRS]


@dataclass(frozen=True)
class _Perturbed:
    """Consensus profiles of one condition, as unit rows: of its compounds, or of the genes of its guides or ORFs."""

    experiment_type: str
    timepoint: int
    unit: Floats
    samples: list[str]
    names: list[str]
    targets: list[list[str]]


def _compounds(
    layout: Layout, X: npt.NDArray[np.floating], wells: Ints, condition: Mapping[Hashable, Any]
) -> _Perturbed:
    """Collapse the wells of each compound."""
    _, first, groups = np.unique(layout.samples[wells], return_index=True, return_inverse=True)
    of_compound = layout.metadata.iloc[layout.rows[wells[first]]]
    samples = of_compound["Metadata_broad_sample"].tolist()
    targets = [sorted(set(genes.split("|"))) for genes in of_compound["Metadata_target_list"].astype("str").fillna("")]
    names = of_compound["Metadata_pert_iname"].fillna(of_compound["Metadata_broad_sample"]).tolist()
    unit = _collapse(X, layout.rows[wells], groups, samples, condition)
    return _Perturbed(*_type_and_time(condition), unit, samples, names, targets)


def _genes(layout: Layout, X: npt.NDArray[np.floating], wells: Ints, condition: Mapping[Hashable, Any]) -> _Perturbed:
    """Collapse the wells of each gene, over its reagents; a reagent without a gene is left out."""
    reagents = layout.metadata.iloc[layout.rows[wells]]
    groups, genes = pd.factorize(reagents["Metadata_target"], sort=True)
    ids = reagents.assign(gene=groups)[groups >= 0].groupby("gene")["Metadata_broad_sample"].unique()
    unit = _collapse(X, layout.rows[wells], groups, list(genes), condition)
    samples = ["|".join(sorted(own)) for own in ids]
    return _Perturbed(*_type_and_time(condition), unit, samples, list(genes), [[gene] for gene in genes])


def _type_and_time(condition: Mapping[Hashable, Any]) -> tuple[str, int]:
    return str(condition["Metadata_experiment_type"]), int(condition["Metadata_timepoint"])


def _collapse(
    X: npt.NDArray[np.floating], rows: Ints, groups: Ints, names: list[str], condition: Mapping[Hashable, Any]
) -> Floats:
    """Give the consensus profile of each group as a unit row."""
    where = " ".join(map(str, condition.values()))
    collapsed = consensus(X[rows], groups, len(names))
    return unit_rows(collapsed, describe_row=lambda group: f"consensus profile of {names[group]} in {where}")


def _pooled(query: str, reference: str, perturbed: list[_Perturbed]) -> Similarity:
    parts = [
        _compare(left, right)
        for left in perturbed
        for right in perturbed
        if left.experiment_type == query and right.experiment_type == reference
    ]
    same = [table for table, _ in parts]
    different = [cosines for _, cosines in parts]
    return Similarity(
        query,
        reference,
        pd.concat(same, ignore_index=True) if same else pd.DataFrame({"cosine": np.empty(0)}),
        np.concatenate(different) if different else np.empty(0),
    )


def _compare(queries: _Perturbed, references: _Perturbed) -> tuple[pd.DataFrame, Floats]:
    """Give the same-target pairs of two conditions, and for each of them the cosines of its different-target pairs."""
    cosines = np.clip(queries.unit @ references.unit.T, -1.0, 1.0)
    shared = _shares_target(queries.targets, references.names)
    query, reference = np.nonzero(shared)
    same = pd.DataFrame(
        {
            "query_broad_sample": pd.Series(queries.samples, dtype="str").iloc[query].array,
            "query_name": pd.Series(queries.names, dtype="str").iloc[query].array,
            "query_timepoint": queries.timepoint,
            "reference_gene": pd.Series(references.names, dtype="str").iloc[reference].array,
            "reference_timepoint": references.timepoint,
            "cosine": cosines[query, reference],
        }
    )
    return same, cosines[query][~shared[query]]


def _shares_target(targets: list[list[str]], genes: list[str]) -> Bools:
    """Tell whether a gene is a target, shape (len(targets), len(genes))."""
    column = {gene: position for position, gene in enumerate(genes)}
    shared = np.zeros((len(targets), len(genes)), dtype=bool)
    for row, own in enumerate(targets):
        shared[row, [column[gene] for gene in own if gene in column]] = True
    return shared


def _refuse_not_finite(layout: Layout, X: npt.NDArray[np.floating], rows: Ints, features: Sequence[str] | None) -> None:
    """Refuse a well that lacks a feature: a median would hide it."""
    lacks = ~np.isfinite(X[rows])
    if lacks.any():
        well, feature = (int(places[0]) for places in np.nonzero(lacks))
        name = features[feature] if features is not None else feature
        raise ProfileError(
            f"{layout.label(int(rows[well]))}: feature {name} is {X[rows[well], feature]}; consensus profiles need"
            f" finite values ({lacks.any(axis=1).sum()} of {len(rows)} profiles here have others)"
        )

"""Directionality: whether reagents of one gene look alike or opposite (Fig. 5, Supplementary Tables 3 to 6 of 2024).

Belongs here: thresholds and counts, the test, and the strongest pairs. Does not belong here: which profiles are paired
and how similar they are (``gene_similarity``), Fisher's exact test (``fisher``).

Consensus profiles of the primary plates, without negative controls; no detection filter. Similarity: cosine with its
sign. Within a cell line both times of one modality meet both of the other, pooled.

Same-target pairs. ``compound_gene``: a compound and a gene of its target list, for CRISPR and for ORF; ``orf_crispr``:
ORF and CRISPR of one gene. With the target lists of the 2021 annotation, cut to the 160 genes, there are 461
compound-gene pairs, x 4 pairs of times = 1,844 a cell line and modality; the paper has 4 x 466 = 1,864, from a later
annotation. ``orf_crispr`` has 4 x 160 = 640.

Different-target pairs give the thresholds, their 5 % and 95 % quantiles: each same-target pair is set against its
compound with all genes that are not on the compound's list. So a compound with 5 targets counts 5 times on both sides,
as with the authors, and one without a target takes no part. (The authors also counted the compound's other targets as
different, 0.8 % of the null.)

The published ORF-CRISPR test (Supplementary Table 3; the thresholds and percentages drawn in Fig. 5a) was by mistake
made of the compound-gene table, CRISPR and ORF pooled: the thresholds and the counts. That is why its n is 3,728 =
2 x 1,864, and why 146 below and 306 above (A549), 139 and 346 (U2OS) give the published odds ratios and p to the last
digit. So ``orf_crispr`` has three variants:

- ``corrected``: ORF-CRISPR pairs, thresholds from ORF-CRISPR pairs;
- ``published_thresholds``: ORF-CRISPR pairs, thresholds from the pooled compound-gene pairs, as Fig. 5a draws them;
- ``published_table``: pooled compound-gene pairs and thresholds, the test that was published.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cpjump_assets.science.arrays import Floats
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.fisher import fisher_exact
from cpjump_assets.science.gene_similarity import Similarity, similarities_by_cell_line
from cpjump_assets.science.intervals import FEWEST_CLASSES
from cpjump_assets.science.layout import lay_out
from cpjump_assets.science.schemas import CELL_LINES, EXPERIMENT_TYPES, Column, TableSchema
from cpjump_assets.science.similarity import TIE
from cpjump_assets.science.tasks import EVERY_WELL, WELL_SELECTIONS, WellSelection

COMPOUND_GENE = "compound_gene"
ORF_CRISPR = "orf_crispr"
COMPARISONS = (COMPOUND_GENE, ORF_CRISPR)
CORRECTED = "corrected"
PUBLISHED_THRESHOLDS = "published_thresholds"
PUBLISHED_TABLE = "published_table"
VARIANTS = (CORRECTED, PUBLISHED_THRESHOLDS, PUBLISHED_TABLE)
DIRECTIONS = ("positive", "negative")

_GENETIC = ("CRISPR", "ORF")
_QUANTILES = (0.05, 0.95)
_COSINE = (-1.0, 1.0)
_SHARE = (0.0, 1.0)
_COUNT = (0.0, float("inf"))
_POSITIVE = (0.0, float("inf"))

_SCOPE = (
    Column("subset", "string", "train, validate or test of the split; all: every well, without a split"),
    Column("wells", "string", "which wells took part, by position on the plate", allowed=WELL_SELECTIONS),
)
_LINE = Column("Metadata_cell_line", "string", "cell line", allowed=CELL_LINES)
_COMPARISON = Column("comparison", "string", "compounds with genes, or ORF with CRISPR", allowed=COMPARISONS)
_QUERY_TYPE = Column("query_experiment_type", "string", "modality: Compound, or ORF", allowed=EXPERIMENT_TYPES)
_REFERENCE_TYPE = Column("reference_experiment_type", "string", "modality compared with", allowed=_GENETIC)

DIRECTIONALITY = TableSchema(
    "directionality",
    "a test whether pairs of one gene are alike or opposite",
    (
        *("subset", "wells", "comparison", "variant"),
        *("Metadata_cell_line", "query_experiment_type", "reference_experiment_type"),
    ),
    (
        *_SCOPE,
        _COMPARISON,
        Column("variant", "string", "corrected, or how much is as published by mistake", allowed=VARIANTS),
        _LINE,
        _QUERY_TYPE,
        _REFERENCE_TYPE,
        Column("n_pairs", "integer", "same-target pairs, both times of both modalities", bounds=_COUNT),
        Column("n_null_pairs", "integer", "different-target pairs behind the thresholds", bounds=_COUNT),
        Column("t5", "number", "5 % quantile of the cosines of different-target pairs", True, bounds=_COSINE),
        Column("t95", "number", "95 % quantile of the cosines of different-target pairs", True, bounds=_COSINE),
        Column("n_below", "integer", "same-target pairs below t5", bounds=_COUNT),
        Column("n_above", "integer", "same-target pairs above t95", bounds=_COUNT),
        Column("fraction_below", "number", "n_below / n_pairs", True, bounds=_SHARE),
        Column("fraction_above", "number", "n_above / n_pairs", True, bounds=_SHARE),
        Column("odds_ratio", "number", "above 1: more pairs alike than opposite", True, bounds=_POSITIVE),
        Column("odds_low", "number", "lower end of its 95 % interval (Woolf)", True, bounds=_POSITIVE),
        Column("odds_high", "number", "upper end of its 95 % interval (Woolf)", True, bounds=_POSITIVE),
        Column("fisher_p", "number", "two-sided p of Fisher's exact test", True, bounds=_SHARE),
        Column("note", "string", "why there is no number", nullable=True),
    ),
)

_PAIR = (
    Column("query_broad_sample", "string", "id of the compound, or of the ORFs of the gene"),
    Column("query_name", "string", "name of the compound, or gene of the ORF"),
    Column("query_timepoint", "integer", "hours from perturbation to staining"),
    _REFERENCE_TYPE,
    Column("reference_gene", "string", "gene that both act on"),
    Column("reference_timepoint", "integer", "hours from perturbation to staining, of the gene's reagents"),
    Column("cosine", "number", "cosine of the two consensus profiles", bounds=_COSINE),
)
_PAIR_KEY = (
    *("subset", "wells", "Metadata_cell_line", "comparison", "query_experiment_type", "query_broad_sample"),
    *("query_timepoint", "reference_experiment_type", "reference_gene", "reference_timepoint"),
)

DIRECTIONAL_PAIRS = TableSchema(
    "directional_pairs",
    "two consensus profiles of one gene, of two modalities",
    _PAIR_KEY,
    (
        *_SCOPE,
        _LINE,
        _COMPARISON,
        _QUERY_TYPE,
        *_PAIR,
        Column("rank_positive", "integer", "place among the pairs of cell line and comparison; 1: most alike"),
        Column("rank_negative", "integer", "place among the pairs of cell line and comparison; 1: most opposite"),
    ),
)

STRONGEST_PAIRS = TableSchema(
    "strongest_pairs",
    "one of the most alike or most opposite pairs of a compound and a gene",
    ("subset", "wells", "Metadata_cell_line", "direction", "rank"),
    (
        *_SCOPE,
        _LINE,
        Column("direction", "string", "positive: most alike, negative: most opposite", allowed=DIRECTIONS),
        Column("rank", "integer", "1: strongest", bounds=_COUNT),
        *_PAIR,
    ),
)


@dataclass(frozen=True)
class Directionality:
    """Scores are rows of ``DIRECTIONALITY``, pairs all same-target pairs, rows of ``DIRECTIONAL_PAIRS``; by key."""

    scores: pd.DataFrame
    pairs: pd.DataFrame


def directionality(
    metadata: pd.DataFrame,
    X: npt.NDArray[np.floating],
    *,
    subsets: pd.Series | None = None,
    subset_names: Sequence[str] = (EVERY_WELL,),
    features: Sequence[str] | None = None,
    wells: WellSelection = EVERY_WELL,
) -> Directionality:
    """Test in each cell line whether reagents of one gene are alike or opposite, and list their pairs.

    Parameters
    ----------
    metadata
        A row per profile, in any order, with the ``Metadata_`` columns of ``wells`` (see ``layout.lay_out``), and
        ``Metadata_target_list`` (``gene|gene|...``) and ``Metadata_pert_iname`` of compounds.
    X
        Normalized and selected profiles, shape (len(metadata), n_features), any float type.
    subsets, subset_names
        Subset of each row, and the subsets to score, also those that hold no well. By default one subset, ``all``.
    features
        Names of the columns of ``X``, for messages.
    wells
        ``inner`` leaves out the wells within two rows or columns of the edge.

    Raises
    ------
    BadTableError
        As ``lay_out``, or if one of the two columns is missing.
    ProfileError
        If a profile that is used has a NaN or infinite feature, or a consensus profile is zero everywhere.

    Notes
    -----
    Beyond a threshold is by more than equal cosines can differ (``similarity.TIE``). The interval of the odds ratio is
    Woolf's. Both it and Fisher's test take pairs for independent, which those of one compound or gene are not: p is too
    small and the interval too narrow. Fewer than 5 pairs have a note and no number.
    """
    missing = [name for name in ("Metadata_target_list", "Metadata_pert_iname") if name not in metadata.columns]
    if missing:
        raise BadTableError(f"profiles to score lack the columns {', '.join(missing)}")
    if len(metadata) != len(X):
        raise ValueError(f"{len(metadata)} rows of metadata for {len(X)} profiles")
    layout = lay_out(metadata, subsets, subset_names=subset_names, wells=wells)
    rows, pairs = [], []
    for code, subset in enumerate(layout.subset_names):
        for line, similarities in similarities_by_cell_line(layout, X, code, features=features):
            key = {"subset": subset, "wells": wells, "Metadata_cell_line": line}
            rows += [key | row for row in _test_all(similarities)]
            pairs += [own.same.assign(**key, **_compared(own)) for own in similarities if len(own.same)]
    scores = pd.DataFrame(rows).astype({"note": "str"})
    listed = pd.concat(pairs) if pairs else pd.DataFrame(columns=[*_PAIR_KEY, "query_name", "cosine"])
    return Directionality(
        DIRECTIONALITY.normalise(scores, DIRECTIONALITY.name),
        DIRECTIONAL_PAIRS.normalise(_ranked(listed), DIRECTIONAL_PAIRS.name),
    )


def strongest_pairs(pairs: pd.DataFrame, n: int = 10) -> pd.DataFrame:
    """Give the most alike and the most opposite pairs of a compound and a gene, as Supplementary Tables 5 and 6 do.

    Parameters
    ----------
    pairs
        ``DIRECTIONAL_PAIRS``.
    n
        Pairs of each direction and cell line.

    Returns
    -------
    DataFrame
        ``STRONGEST_PAIRS``, sorted by key. A compound, gene and modality come once, with their strongest pair of times.
        Cosines of pairs that are alike are above 0, of those that are opposite below.
    """
    scope, once = (
        ["subset", "wells", "Metadata_cell_line"],
        ["query_broad_sample", "reference_gene", _REFERENCE_TYPE.name],
    )
    genes = pairs[pairs["comparison"] == COMPOUND_GENE]
    tables = []
    for direction, sign in zip(DIRECTIONS, (1.0, -1.0), strict=True):
        own = genes[genes["cosine"] * sign > 0].sort_values(f"rank_{direction}")
        own = own.drop_duplicates([*scope, *once])
        rank = own.groupby(scope).cumcount() + 1
        tables.append(own.assign(direction=direction, rank=rank)[rank <= n])
    strongest = pd.concat(tables)[STRONGEST_PAIRS.column_names]
    return STRONGEST_PAIRS.normalise(strongest, STRONGEST_PAIRS.name)


def _compared(similarity: Similarity) -> dict[str, str]:
    """Give the columns that say what is compared."""
    comparison = COMPOUND_GENE if similarity.query == "Compound" else ORF_CRISPR
    types = {"query_experiment_type": similarity.query, "reference_experiment_type": similarity.reference}
    return {"comparison": comparison} | types


def _test_all(similarities: list[Similarity]) -> list[dict[str, Any]]:
    """Test each pair of modalities, and ORF-CRISPR also as it was published."""
    crispr, orf, orf_crispr = similarities
    rows = [
        _compared(own) | {"variant": CORRECTED} | _test(own.same["cosine"].to_numpy(), own.different)
        for own in similarities
    ]
    pooled_same = np.concatenate([crispr.same["cosine"], orf.same["cosine"]])
    pooled_different = np.concatenate([crispr.different, orf.different])
    for variant, same in (
        (PUBLISHED_THRESHOLDS, orf_crispr.same["cosine"].to_numpy()),
        (PUBLISHED_TABLE, pooled_same),
    ):
        rows.append(_compared(orf_crispr) | {"variant": variant} | _test(same, pooled_different))
    return rows


def _test(same: Floats, different: Floats) -> dict[str, Any]:
    """Count the same-target pairs beyond the thresholds and compare the two counts."""
    counts = {"n_pairs": len(same), "n_null_pairs": len(different), "n_below": 0, "n_above": 0}
    if len(same) < FEWEST_CLASSES or not len(different):
        lack = f"{len(same)} pairs share a target" if len(different) else "no pair has different targets"
        numbers = ("t5", "t95", "fraction_below", "fraction_above", "odds_ratio", "odds_low", "odds_high", "fisher_p")
        return counts | dict.fromkeys(numbers, np.nan) | {"note": lack}
    t5, t95 = np.quantile(different, _QUANTILES)
    below, above = int((same < t5 - TIE).sum()), int((same > t95 + TIE).sum())
    fisher = fisher_exact(len(same), below, above)
    no_ratio = f"no odds ratio: {below} pairs below t5, {above} above t95, of {len(same)}"
    return counts | {
        "n_below": below,
        "n_above": above,
        "t5": t5,
        "t95": t95,
        "fraction_below": below / len(same),
        "fraction_above": above / len(same),
        "odds_ratio": fisher.odds_ratio,
        "odds_low": fisher.odds_low,
        "odds_high": fisher.odds_high,
        "fisher_p": fisher.p,
        "note": no_ratio if np.isnan(fisher.odds_ratio) else None,
    }


def _ranked(pairs: pd.DataFrame) -> pd.DataFrame:
    """Rank the pairs of a cell line and comparison from both ends; equal cosines keep the order of their keys."""
    scope = ["subset", "wells", "Metadata_cell_line", "comparison"]
    ordered = pairs.sort_values(list(_PAIR_KEY), ignore_index=True)
    by_scope = ordered.groupby(scope, sort=False)["cosine"]
    return ordered.assign(
        rank_positive=by_scope.rank(method="first", ascending=False).astype("int64"),
        rank_negative=by_scope.rank(method="first").astype("int64"),
    )

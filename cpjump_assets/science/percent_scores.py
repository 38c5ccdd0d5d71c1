"""Percent Replicating and Percent Matching: the scores of the 2021 paper.

Belongs here: both scores, from profiles to a table. Does not belong here: which features they compare
(``plate_features``), correlations and their medians (``correlations``), the retrieval scores of 2024 (``benchmark``).

Profiles: wells of the primary plates, without negative controls (DMSO is one) and empty wells, which stay out of the
null too. Similarity: Pearson correlation, signed.

Percent Replicating, for each of the 12 conditions: a unit is a ``broad_sample``, its value the median correlation of
the pairs of its wells. Null: 1,000 draws of 4 wells of 4 different samples, median of their 6 correlations; each set of
wells is equally likely. A sample replicates when its value is above the 95th percentile of the null. A sample with one
well never does, and counts. The authors draw 4 wells whatever the number of replicates is, and so do we.

Percent Matching, for compounds against CRISPR and ORF of one cell line, 16 pairs of conditions: a unit is a compound
and a reagent with the same ``Metadata_target`` (one per compound in 2021), its value the median of the block of
correlations between their wells. Null: 1,000 draws of two genes with replacement, of those that both modalities have;
all blocks of the compounds of the first with the reagents of the second. One gene may be drawn twice, as with the
authors, so that one in 160 draws of the real layout is of true pairs; leaving those draws out would be another score.

Chance: the generator of a score is seeded by the seed and the names of what is scored, so that a score depends neither
on the order of rows nor on what else is scored. The authors' runs cannot be repeated: other draws, differences of up to
some 3 points.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cpjump_assets.science.arrays import Floats, Ints
from cpjump_assets.science.correlations import Groups, median_pairs, medians_between, medians_within, standard_rows
from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.features import plate_labels
from cpjump_assets.science.intervals import FEWEST_CLASSES, binomial_interval
from cpjump_assets.science.layout import Layout, lay_out
from cpjump_assets.science.plate_features import common_features
from cpjump_assets.science.score_tables import PERCENT_SCORES
from cpjump_assets.science.similarity import MAX_MEMORY, TIE
from cpjump_assets.science.tasks import (
    CONDITION,
    EVERY_WELL,
    PERCENT_MATCHING,
    PERCENT_REPLICATING,
    REFERENCE,
    WellSelection,
)

_DRAWN_WELLS = 4
_PERCENTILE = 95.0
_RAREST_DRAW = 0.01
"""Chance of 4 different samples below which drawing until they differ would take too long; 0.9 on the real layout."""
_BYTES_PER_CORRELATION = 8
_REFERENCE_OF = dict(zip(REFERENCE, [CONDITION[0], *CONDITION[2:]], strict=True))


@dataclass(frozen=True)
class PercentConfig:
    """How the null is drawn.

    Attributes
    ----------
    n_null
        Draws: of 4 wells, or of 2 genes.
    seed
        0 or more.
    wells
        ``inner`` leaves out the wells within two rows or columns of the edge, of units and null alike.
    """

    n_null: int = 1_000
    seed: int = 0
    wells: WellSelection = EVERY_WELL


def percent_scores(
    metadata: pd.DataFrame,
    X: npt.NDArray[np.floating],
    *,
    subsets: pd.Series | None = None,
    subset_names: Sequence[str] = (EVERY_WELL,),
    features: Sequence[str] | None = None,
    kept: pd.DataFrame | None = None,
    config: PercentConfig | None = None,
    max_memory: int = MAX_MEMORY,
) -> pd.DataFrame:
    """Give Percent Replicating of each condition and Percent Matching of each pair, for each subset.

    Parameters
    ----------
    metadata
        A row per profile, in any order, with the ``Metadata_`` columns of ``wells`` (see ``layout.lay_out``).
    X
        Normalized profiles, shape (len(metadata), n_features), any float type. With ``kept``, a profile may lack a
        feature that its plate does not keep.
    subsets, subset_names
        Subset of each row, and the subsets to score, also those that hold no well. By default one subset, ``all``.
    features
        Names of the columns of ``X``; needed with ``kept``.
    kept
        What ``plate_features.kept_features`` gave for these features, as in 2021: a condition is compared on the
        features that all of its plates keep, a pair on those of the plates of both, whatever the subset. By default
        everything is compared on all features.
    config
        How the null is drawn; by default 1,000 draws, seed 0, all wells.
    max_memory
        Bytes that the correlations of a score may take at a time.

    Returns
    -------
    DataFrame
        ``PERCENT_SCORES``, sorted by key. The interval is the 95 % bootstrap interval over units at this threshold
        (``intervals.binomial_interval``). A cell with fewer than 5 units, or without a null, has a note and no number.

    Raises
    ------
    BadTableError
        As ``lay_out``, or if ``kept`` lacks a plate.
    ProfileError
        If a profile that is compared has a NaN, infinite or no varying feature; feature, plate and well are named. Or
        if the correlations of the wells of two conditions would take more than ``max_memory``.
    """
    config = config or PercentConfig()
    layout = lay_out(metadata, subsets, subset_names=subset_names, wells=config.wells)
    profiles = _Profiles(layout, X, features, kept, max_memory)
    conditions = layout.condition_table
    rows = []
    for code in range(len(conditions)):
        rows += _replicating_rows(profiles, code, conditions, config)
    for query, reference in _modality_pairs(conditions):
        rows += _matching_rows(profiles, query, reference, conditions, config)
    return PERCENT_SCORES.normalise(pd.DataFrame(rows).astype({"note": "str"}), PERCENT_SCORES.name)


class _Profiles:
    """The profiles of a layout: which wells of a condition are treated, and their standard rows."""

    def __init__(
        self,
        layout: Layout,
        X: npt.NDArray[np.floating],
        features: Sequence[str] | None,
        kept: pd.DataFrame | None,
        max_memory: int,
    ) -> None:
        if X.shape[0] != len(layout.metadata):
            raise ValueError(f"{len(layout.metadata)} rows of metadata for {X.shape[0]} profiles")
        if kept is not None and (features is None or list(kept.columns) != list(features)):
            raise ValueError("the features that plates keep must be named as the columns of the profiles")
        self.layout, self.max_memory = layout, max_memory
        self._X, self._features, self._kept = X, features, kept
        self._wells = list(layout.by_condition())
        self._on_all_features: dict[int, Floats] = {}

    def treated(self, condition: int) -> Ints:
        """Give the wells of a condition that are no negative controls."""
        wells = self._wells[condition]
        return wells[~self.layout.is_control[wells]]

    def columns(self, *conditions: int) -> Ints:
        """Give the features on which some conditions are compared."""
        if self._kept is None:
            return np.arange(self._X.shape[1])
        wells = np.concatenate([self._wells[condition] for condition in conditions])
        of_each_plate = wells[np.unique(self.layout.plates[wells], return_index=True)[1]]
        plates = sorted(plate_labels(self.layout.metadata.iloc[self.layout.rows[of_each_plate]]))
        return self._kept.columns.get_indexer(pd.Index(common_features(self._kept, plates))).astype(np.int64)

    def standard(self, condition: int, columns: Ints) -> Floats:
        """Give the treated wells of a condition as rows whose products are correlations.

        On all features they are made once and kept: a condition takes part in up to 5 scores.
        """
        if len(columns) < self._X.shape[1]:
            return self._standard(condition, columns)
        if condition not in self._on_all_features:
            self._on_all_features[condition] = self._standard(condition, None)
        return self._on_all_features[condition]

    def _standard(self, condition: int, columns: Ints | None) -> Floats:
        rows = self.layout.rows[self.treated(condition)]
        return standard_rows(self._X, rows, columns=columns, features=self._features, describe_row=self.layout.label)


@dataclass(frozen=True)
class _Cell:
    """The units of one score and their null; ``problem`` says why it can have no number."""

    n_profiles: int
    values: Floats
    null: Floats
    problem: str | None = None

    def numbers(self) -> dict[str, Any]:
        """Give the columns that sum the cell up."""
        counts = {
            "n_profiles": self.n_profiles,
            "n_units": len(self.values),
            "n_without_replicates": int(np.isnan(self.values).sum()),
            "n_null": len(self.null),
        }
        if self.problem:
            missing = dict.fromkeys(("null_95", "percent", "percent_low", "percent_high"), np.nan)
            return counts | {"n_above": 0} | missing | {"note": self.problem}
        threshold = np.clip(np.percentile(self.null, _PERCENTILE), -1.0, 1.0)  # copies correlate by 1 + rounding
        n_above = int((self.values > threshold + TIE).sum())
        low, high = binomial_interval(n_above, len(self.values))
        percents = {"percent": 100 * n_above / len(self.values), "percent_low": 100 * low, "percent_high": 100 * high}
        return counts | {"n_above": n_above, "null_95": threshold} | percents | {"note": None}


def _replicating_rows(
    profiles: _Profiles, condition: int, conditions: pd.DataFrame, config: PercentConfig
) -> list[dict[str, Any]]:
    """Score a condition in every subset."""
    wells, columns = profiles.treated(condition), profiles.columns(condition)
    standard = profiles.standard(condition, columns)
    rows = []
    for code, subset in enumerate(profiles.layout.subset_names):
        key = _key(PERCENT_REPLICATING, subset, conditions.iloc[[condition, condition]], config)
        own = np.flatnonzero(profiles.layout.subsets[wells] == code)
        samples = np.unique(profiles.layout.samples[wells[own]], return_inverse=True)[1]
        cell = _replicating_cell(standard[own], samples, _generator(config.seed, key), config.n_null)
        rows.append(key | {"n_features": len(columns), "seed": config.seed} | cell.numbers())
    return rows


def _replicating_cell(standard: Floats, samples: Ints, rng: np.random.Generator, n_null: int) -> _Cell:
    values = medians_within(standard, Groups.of(samples))
    problem = None
    if not len(samples):
        problem = "no well of this condition is in the subset"
    elif len(values) < FEWEST_CLASSES:
        problem = f"the subset has {len(values)} samples, at least {FEWEST_CLASSES} must be there"
    elif np.isnan(values).all():
        problem = "no sample has two wells"
    elif _chance_to_differ(samples) < _RAREST_DRAW:
        problem = f"{_DRAWN_WELLS} wells of different samples are too rare to be drawn: nearly all are of few samples"
    if problem:
        return _Cell(len(samples), values, np.empty(0), problem)
    return _Cell(len(samples), values, median_pairs(standard, _different_samples(samples, n_null, rng)))


def _chance_to_differ(samples: Ints) -> float:
    """Give the chance that 4 drawn wells are of 4 different samples: 4! times the sum of products of 4 shares."""
    chances = np.zeros(_DRAWN_WELLS + 1)
    chances[0] = 1.0
    for share in np.bincount(samples) / len(samples):
        chances[1:] += chances[:-1] * share * np.arange(1, _DRAWN_WELLS + 1)
    return float(chances[-1])


def _different_samples(samples: Ints, n_draws: int, rng: np.random.Generator) -> Ints:
    """Draw sets of wells, shape (n_draws, 4), and draw again those that hold a sample twice."""
    drawn = np.empty((0, _DRAWN_WELLS), dtype=np.int64)
    while len(drawn) < n_draws:
        wells = rng.integers(len(samples), size=(n_draws, _DRAWN_WELLS))
        differ = (np.diff(np.sort(samples[wells], axis=1), axis=1) > 0).all(axis=1)
        drawn = np.concatenate([drawn, wells[differ]])
    return drawn[:n_draws]


@dataclass(frozen=True)
class _Reagents:
    """The compounds, guides or ORFs of one modality that act on shared genes, sorted by gene.

    ``wells`` are rows of the modality's standard rows; ``groups`` says which of them are of which reagent;
    reagents ``starts[g]`` to ``starts[g] + sizes[g] - 1`` act on gene g.
    """

    wells: Ints
    groups: Groups
    starts: Ints
    sizes: Ints

    @classmethod
    def of(cls, samples: Ints, genes: Ints) -> "_Reagents":
        """Group wells by gene and sample; a negative gene is none of the shared ones."""
        wells = np.flatnonzero(genes >= 0)
        n_samples = samples.max(initial=0) + 1
        reagents, codes = np.unique(genes[wells] * n_samples + samples[wells], return_inverse=True)
        by_gene = Groups.of(reagents // n_samples)
        return cls(wells, Groups.of(codes), by_gene.starts, by_gene.sizes)


def _matching_rows(
    profiles: _Profiles, query: int, reference: int, conditions: pd.DataFrame, config: PercentConfig
) -> list[dict[str, Any]]:
    """Score a pair of conditions in every subset."""
    layout, columns = profiles.layout, profiles.columns(query, reference)
    treated = [profiles.treated(condition) for condition in (query, reference)]
    standard = [profiles.standard(condition, columns) for condition in (query, reference)]
    targets = [pd.Index(layout.metadata["Metadata_target"].array[layout.rows[wells]]) for wells in treated]
    rows = []
    for code, subset in enumerate(layout.subset_names):
        key = _key(PERCENT_MATCHING, subset, conditions.iloc[[query, reference]], config)
        own = [np.flatnonzero(layout.subsets[wells] == code) for wells in treated]
        asked = [target[of_subset] for target, of_subset in zip(targets, own, strict=True)]
        shared = pd.Index(sorted(set(asked[0].dropna()) & set(asked[1].dropna())))
        sides = [
            _Reagents.of(layout.samples[wells[of_subset]], shared.get_indexer(genes).astype(np.int64))
            for wells, of_subset, genes in zip(treated, own, asked, strict=True)
        ]
        compared = [of_subset[side.wells] for of_subset, side in zip(own, sides, strict=True)]
        correlations = _correlations(standard, compared, profiles.max_memory)
        cell = _matching_cell(correlations, sides[0], sides[1], _generator(config.seed, key), config.n_null)
        rows.append(key | {"n_features": len(columns), "seed": config.seed} | cell.numbers())
    return rows


def _correlations(standard: list[Floats], rows: list[Ints], max_memory: int) -> Floats:
    """Correlate some rows on the left with some on the right."""
    needed = _BYTES_PER_CORRELATION * len(rows[0]) * len(rows[1])
    if needed > max_memory:
        raise ProfileError(
            f"correlations of {len(rows[0]):,} with {len(rows[1]):,} wells need {needed / 1e9:.1f} GB and max_memory is"
            f" {max_memory / 1e9:.1f} GB: more memory must be allowed"
        )
    return standard[0][rows[0]] @ standard[1][rows[1]].T


def _matching_cell(
    correlations: Floats, left: _Reagents, right: _Reagents, rng: np.random.Generator, n_null: int
) -> _Cell:
    n_profiles, n_genes = sum(correlations.shape), len(left.sizes)
    every = np.arange(n_genes)
    pairs = _all_blocks(left, right, every, every)
    values = medians_between(correlations, left.groups, right.groups, pairs)
    problem = None
    if not n_genes:
        problem = "the two modalities share no gene in the subset"
    elif n_genes == 1:
        problem = "the two modalities share one gene in the subset: no pair of different genes for a null"
    elif len(values) < FEWEST_CLASSES:
        problem = f"the subset has {len(values)} pairs of one gene, at least {FEWEST_CLASSES} must be there"
    if problem:
        return _Cell(n_profiles, values, np.empty(0), problem)
    drawn = rng.integers(n_genes, size=(2, n_null))
    null = medians_between(correlations, left.groups, right.groups, _all_blocks(left, right, drawn[0], drawn[1]))
    return _Cell(n_profiles, values, null)


def _all_blocks(left: _Reagents, right: _Reagents, left_genes: Ints, right_genes: Ints) -> Ints:
    """Pair each reagent of a gene on the left with each of a gene on the right, gene by gene, shape (n_blocks, 2)."""
    n_right = right.sizes[right_genes]
    n_blocks = left.sizes[left_genes] * n_right
    place = np.arange(n_blocks.sum()) - np.repeat(np.cumsum(n_blocks) - n_blocks, n_blocks)
    first, second, n_right = (
        np.repeat(values, n_blocks) for values in (left.starts[left_genes], right.starts[right_genes], n_right)
    )
    return np.column_stack([first + place // n_right, second + place % n_right])


def _modality_pairs(conditions: pd.DataFrame) -> list[tuple[int, int]]:
    """Pair the conditions of compounds with those of guides and ORFs in the same cell line."""
    is_compound = (conditions["Metadata_experiment_type"] == "Compound").to_numpy()
    line = conditions["Metadata_cell_line"].to_numpy()
    return [
        (int(query), int(reference))
        for query in np.flatnonzero(is_compound)
        for reference in np.flatnonzero(~is_compound & (line == line[query]))
    ]


def _key(metric: str, subset: str, conditions: pd.DataFrame, config: PercentConfig) -> dict[str, Any]:
    """Name a score: its subset, metric, wells, and the two conditions, which are one when replicates are scored."""
    query, reference = conditions.to_dict("records")
    own = {name: query[name] for name in CONDITION}
    other = {name: reference[column] for name, column in _REFERENCE_OF.items()}
    return {"subset": subset, "metric": metric, "wells": config.wells} | own | other


def _generator(seed: int, key: dict[str, Any]) -> np.random.Generator:
    """Give the generator of one score."""
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in key.values())])

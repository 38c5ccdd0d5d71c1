"""Directionality, against a slow reading of its definition, with planted directions, and on the real layout."""

import warnings
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact

from cpjump_assets.science.directionality import (
    COMPOUND_GENE,
    CORRECTED,
    DIRECTIONAL_PAIRS,
    DIRECTIONALITY,
    ORF_CRISPR,
    PUBLISHED_TABLE,
    PUBLISHED_THRESHOLDS,
    STRONGEST_PAIRS,
    directionality,
    strongest_pairs,
)
from cpjump_assets.science.errors import BadTableError, ProfileError
from cpjump_assets_tests.science.helpers_cross_modality import TIMES, directions, experiment, genes, profiles


@pytest.fixture(scope="module")
def planted():
    """Lay out 40 genes; guides of the first 15 are like their compounds, ORFs opposite."""
    metadata = experiment(n_genes=40).sample(frac=1, random_state=3, ignore_index=True)
    is_orf = metadata["Metadata_experiment_type"].eq("ORF").to_numpy()
    noise = profiles(metadata)
    shared = profiles(metadata, noise=0.0, target=directions(genes(15), strength=0.35))
    return metadata, noise + np.where(is_orf, -1.0, 1.0)[:, np.newaxis] * shared


@pytest.fixture(scope="module")
def found(planted):
    return directionality(*planted)


def _cosine(left, right):
    return left @ right / np.sqrt((left @ left) * (right @ right))


def _consensus(metadata, X, kind, hours, by):
    own = metadata[
        metadata["Metadata_control_type"].isna()
        & metadata["Metadata_experiment_type"].eq(kind)
        & metadata["Metadata_timepoint"].eq(hours)
    ]
    return {name: np.median(X[rows], axis=0) for name, rows in own.groupby(f"Metadata_{by}").groups.items()}


def _slow_pairs(metadata, X, query, reference):
    """Compare all of two modalities: cosines of same-target pairs by key, and of different-target pairs."""
    targets = dict(zip(metadata["Metadata_broad_sample"], metadata["Metadata_target_list"].fillna(""), strict=True))
    same, different = {}, []
    for query_hours, hours in product(TIMES[query], TIMES[reference]):
        references = _consensus(metadata, X, reference, hours, "target")
        by = "broad_sample" if query == "Compound" else "target"
        for name, profile in _consensus(metadata, X, query, query_hours, by).items():
            own = set((targets[name] if query == "Compound" else name).split("|")) & set(references)
            for gene in references:
                cosine = _cosine(profile, references[gene])
                if gene in own:
                    same[name, query_hours, gene, hours] = cosine
                else:
                    different += [cosine] * len(own)
    return same, np.array(different)


def _score(result, comparison, reference="CRISPR", variant=CORRECTED, line="A549"):
    scores = result.scores
    rows = scores[
        (scores["comparison"] == comparison)
        & (scores["reference_experiment_type"] == reference)
        & (scores["variant"] == variant)
        & (scores["Metadata_cell_line"] == line)
    ]
    assert len(rows) == 1
    return rows.iloc[0]


def _check(score, same, different):
    """Compare a score row with its definition."""
    t5, t95 = np.quantile(different, [0.05, 0.95])
    below, above, n = (same < t5).sum(), (same > t95).sum(), len(same)
    assert (score["n_pairs"], score["n_null_pairs"]) == (n, len(different))
    assert (score["n_below"], score["n_above"]) == (below, above)
    np.testing.assert_allclose([score["t5"], score["t95"]], [t5, t95], rtol=0, atol=1e-12)
    np.testing.assert_allclose([score["fraction_below"], score["fraction_above"]], [below / n, above / n])
    ratio, p = fisher_exact([[n - below, below], [n - above, above]])
    assert score["odds_ratio"] == pytest.approx(ratio, rel=1e-12)
    assert score["fisher_p"] == pytest.approx(p, rel=1e-9)
    assert score["odds_low"] < score["odds_ratio"] < score["odds_high"]


@pytest.mark.parametrize(
    ("comparison", "query", "reference"),
    [(COMPOUND_GENE, "Compound", "CRISPR"), (COMPOUND_GENE, "Compound", "ORF"), (ORF_CRISPR, "ORF", "CRISPR")],
)
def test_scores_and_pairs_are_their_definition(planted, found, comparison, query, reference):
    same, different = _slow_pairs(*planted, query, reference)
    _check(_score(found, comparison, reference), np.array(list(same.values())), different)
    pairs = found.pairs[
        (found.pairs["comparison"] == comparison) & (found.pairs["reference_experiment_type"] == reference)
    ]
    assert len(pairs) == len(same)
    for pair in pairs.itertuples():
        name = pair.query_broad_sample if query == "Compound" else pair.query_name
        key = (name, pair.query_timepoint, pair.reference_gene, pair.reference_timepoint)
        assert pair.cosine == pytest.approx(same[key], abs=1e-12)


def test_published_variants_read_the_compound_gene_table(planted, found):
    crispr, orf = (_slow_pairs(*planted, "Compound", reference) for reference in ("CRISPR", "ORF"))
    pooled_same = np.array([*crispr[0].values(), *orf[0].values()])
    pooled_different = np.concatenate([crispr[1], orf[1]])
    orf_crispr, _ = _slow_pairs(*planted, "ORF", "CRISPR")
    thresholds = _score(found, ORF_CRISPR, variant=PUBLISHED_THRESHOLDS)
    _check(thresholds, np.array(list(orf_crispr.values())), pooled_different)
    _check(_score(found, ORF_CRISPR, variant=PUBLISHED_TABLE), pooled_same, pooled_different)
    assert (found.scores.loc[found.scores["comparison"] == COMPOUND_GENE, "variant"] == CORRECTED).all()


def test_planted_directions_are_found(found):
    assert _score(found, COMPOUND_GENE, "CRISPR")["odds_low"] > 1
    assert _score(found, COMPOUND_GENE, "ORF")["odds_high"] < 1
    assert _score(found, ORF_CRISPR)["odds_high"] < 1
    assert (found.scores.loc[found.scores["variant"] == CORRECTED, "fisher_p"] < 1e-4).all()


def test_noise_has_five_percent_on_both_sides(planted):
    metadata, _ = planted
    fractions = np.array(
        [
            directionality(metadata, profiles(metadata, seed=seed)).scores[["fraction_below", "fraction_above"]].mean()
            for seed in range(5, 15)
        ]
    )
    assert np.abs(fractions.mean(axis=0) - 0.05).max() < 0.02


def test_pairs_are_ranked_within_cell_line_and_comparison():
    metadata = experiment(n_genes=8, lines=("A549", "U2OS"))
    pairs = directionality(metadata, profiles(metadata)).pairs
    DIRECTIONAL_PAIRS.check(pairs, "pairs")
    for _, own in pairs.groupby(["Metadata_cell_line", "comparison"]):
        assert own.sort_values("rank_positive")["cosine"].is_monotonic_decreasing
        assert own.sort_values("rank_negative")["cosine"].is_monotonic_increasing
        for rank in ("rank_positive", "rank_negative"):
            assert sorted(own[rank]) == list(range(1, len(own) + 1))
    assert set(pairs["comparison"]) == {COMPOUND_GENE, ORF_CRISPR}


def test_strongest_pairs_come_once_with_their_strongest_times(found):
    strongest = strongest_pairs(found.pairs, 40)
    STRONGEST_PAIRS.check(strongest, "strongest")
    pairs = found.pairs[found.pairs["comparison"] == COMPOUND_GENE]
    once = ["query_broad_sample", "reference_gene", "reference_experiment_type"]
    by_pair = pairs.groupby(once)["cosine"]
    for direction, best in (("positive", by_pair.max().nlargest(40)), ("negative", by_pair.min().nsmallest(40))):
        own = strongest[strongest["direction"] == direction]
        assert own["rank"].tolist() == list(range(1, 41))
        assert list(own[once].itertuples(index=False, name=None)) == best.index.tolist()
        np.testing.assert_array_equal(own["cosine"], best)
    assert not strongest.duplicated([*once, "direction"]).any()
    times = ["query_timepoint", "reference_timepoint"]
    assert len(strongest.merge(pairs, on=[*once, *times, "cosine"])) == len(strongest)


def test_strongest_pairs_of_a_direction_have_its_sign():
    metadata = experiment(n_genes=6)
    X = np.abs(profiles(metadata)) + 1.0  # every cosine is positive
    strongest = strongest_pairs(directionality(metadata, X).pairs, 3)
    assert strongest["direction"].tolist() == ["positive"] * 3


def test_the_order_of_rows_is_of_no_consequence(planted, found):
    metadata, X = planted
    order = np.random.default_rng(5).permutation(len(metadata))
    turned = directionality(metadata.iloc[order].reset_index(drop=True), X[order])
    pd.testing.assert_frame_equal(turned.scores, found.scores, check_exact=True)
    pd.testing.assert_frame_equal(turned.pairs, found.pairs, check_exact=True)


def test_controls_and_reagents_without_a_gene_take_no_part(planted, found):
    metadata, X = planted
    disturbed = X.copy()
    disturbed[metadata["Metadata_control_type"].notna()] = np.nan
    nameless = metadata["Metadata_experiment_type"].eq("CRISPR") & metadata["Metadata_control_type"].isna()
    more = (
        metadata[nameless]
        .iloc[:5]
        .assign(
            Metadata_Well=[f"P{i:02d}" for i in range(20, 25)], Metadata_broad_sample="unknown", Metadata_target=None
        )
    )
    every = directionality(pd.concat([metadata, more], ignore_index=True), np.vstack([disturbed, X[:5]]))
    pd.testing.assert_frame_equal(every.scores, found.scores, check_exact=True)
    pd.testing.assert_frame_equal(every.pairs, found.pairs, check_exact=True)


def test_a_compound_without_a_listed_gene_takes_no_part(planted, found):
    metadata, X = planted
    own = metadata["Metadata_broad_sample"] == "brd-G07-a"
    unknown = metadata.assign(Metadata_target_list=metadata["Metadata_target_list"].mask(own))
    without = directionality(metadata[~own].reset_index(drop=True), X[~own])
    pd.testing.assert_frame_equal(directionality(unknown, X).scores, without.scores, check_exact=True)
    assert _score(without, COMPOUND_GENE)["n_pairs"] == _score(found, COMPOUND_GENE)["n_pairs"] - 4


def test_subsets_are_scored_by_themselves_and_empty_ones_say_so(planted):
    metadata, X = planted
    in_train = metadata["Metadata_target"].isin(genes(20)).to_numpy()
    subsets = pd.Series(np.where(in_train, "train", "test"), dtype="str")
    result = directionality(metadata, X, subsets=subsets, subset_names=("train", "validate"))
    alone = directionality(metadata[in_train].reset_index(drop=True), X[in_train])
    train = result.scores[result.scores["subset"] == "train"].drop(columns="subset").reset_index(drop=True)
    pd.testing.assert_frame_equal(train, alone.scores.drop(columns="subset"), check_exact=True)
    assert set(result.pairs["subset"]) == {"train"}
    empty = result.scores[result.scores["subset"] == "validate"]
    assert len(empty) == 5 and (empty["n_pairs"] == 0).all()
    assert empty["note"].notna().all() and empty["odds_ratio"].isna().all()
    DIRECTIONALITY.check(result.scores, "scores")


def test_few_pairs_and_counts_of_zero_say_so(planted):
    metadata, X = planted
    one_gene = metadata[metadata["Metadata_target"].isin(["G01"])]
    result = directionality(one_gene.reset_index(drop=True), X[one_gene.index])
    assert (_score(result, COMPOUND_GENE)["note"]) == "no pair has different targets"
    same = np.tile(X[:1], (len(metadata), 1))
    flat = directionality(metadata, same).scores
    assert (flat[["n_below", "n_above"]] == 0).all(axis=None) and (flat["fisher_p"] == 1).all()
    assert flat["note"].str.startswith("no odds ratio: 0 pairs below t5, 0 above t95").all()
    no_guides = metadata["Metadata_experiment_type"] != "CRISPR"
    nothing = directionality(metadata[no_guides].reset_index(drop=True), X[no_guides])
    assert _score(nothing, ORF_CRISPR)["n_pairs"] == 0
    assert _score(nothing, COMPOUND_GENE, "ORF")["odds_ratio"] > 0


def test_inner_wells_alone(planted):
    metadata, X = planted
    inner = ~metadata["Metadata_is_outer"]
    result = directionality(metadata, X, wells="inner")
    alone = directionality(metadata[inner].reset_index(drop=True), X[inner])
    assert (result.scores["wells"] == "inner").all() and (result.pairs["wells"] == "inner").all()
    pd.testing.assert_frame_equal(result.scores.drop(columns="wells"), alone.scores.drop(columns="wells"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_refused_by_feature_plate_and_well(planted, value):
    metadata, X = planted
    row = int(np.flatnonzero(metadata["Metadata_control_type"].isna())[33])
    X = X.copy()
    X[row, 4] = value
    where = rf"\.{metadata.loc[row, 'Metadata_Plate']}, well {metadata.loc[row, 'Metadata_Well']}"
    with pytest.raises(ProfileError, match=rf"{where}: feature Cells_4 is {value}; consensus profiles need"):
        directionality(metadata, X, features=[f"Cells_{i}" for i in range(X.shape[1])])


def test_a_consensus_profile_of_zero_is_refused_by_name(planted):
    metadata, X = planted
    zero = X * ~metadata["Metadata_target"].eq("G03").to_numpy()[:, np.newaxis]
    with pytest.raises(ProfileError, match="consensus profile of G03 in CRISPR A549 144 high: every feature is 0"):
        kinds = metadata["Metadata_experiment_type"].eq("CRISPR") & metadata["Metadata_timepoint"].eq(144)
        directionality(metadata, np.where(kinds.to_numpy()[:, np.newaxis], zero, X))


def test_what_it_needs_is_named(planted):
    metadata, X = planted
    with pytest.raises(BadTableError, match="lack the columns Metadata_target_list"):
        directionality(metadata.drop(columns="Metadata_target_list"), X)
    with pytest.raises(ValueError, match="rows of metadata for"):
        directionality(metadata, X[:-1])


def test_the_real_layout_has_1844_and_640_pairs(real):
    """The paper has 1,864 = 4 x 466 compound-gene pairs; the annotation of 2021 gives 461, not 466."""
    lists = real.perturbations[["Metadata_broad_sample", "Metadata_target_list"]]
    wells = real.wells[real.wells["Metadata_is_primary"]].merge(lists, how="left", on="Metadata_broad_sample")
    result = directionality(wells, np.random.default_rng(0).normal(size=(len(wells), 30)).astype(np.float32))
    DIRECTIONALITY.check(result.scores, "scores")
    for line in ("A549", "U2OS"):
        for reference in ("CRISPR", "ORF"):
            assert _score(result, COMPOUND_GENE, reference, line=line)["n_pairs"] == 4 * 461 == 1844
        assert _score(result, ORF_CRISPR, line=line)["n_pairs"] == 4 * 160 == 640
        assert _score(result, ORF_CRISPR, variant=PUBLISHED_TABLE, line=line)["n_pairs"] == 2 * 1844
        assert _score(result, ORF_CRISPR, variant=PUBLISHED_THRESHOLDS, line=line)["n_pairs"] == 640
    assert len(result.pairs) == 2 * (2 * 1844 + 640)
    one = strongest_pairs(result.pairs)
    assert len(one) == 2 * 2 * 10
    assert one["query_name"].isin(real.perturbations["Metadata_pert_iname"]).all()


def test_target_lists_that_are_all_missing_give_no_pairs_with_compounds():
    metadata = experiment().assign(Metadata_target_list=np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pairs = directionality(metadata, profiles(metadata)).pairs
    assert set(pairs["comparison"]) == {"orf_crispr"}

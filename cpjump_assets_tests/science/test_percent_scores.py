"""Percent Replicating and Percent Matching, against a slow reading of their definitions."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.errors import BadTableError, ProfileError
from cpjump_assets.science.percent_scores import PercentConfig, percent_scores
from cpjump_assets.science.score_tables import PERCENT_SCORES
from cpjump_assets.science.tasks import CONDITION, PERCENT_MATCHING, PERCENT_REPLICATING
from cpjump_assets_tests.science.helpers_cross_modality import directions, experiment, genes, profiles

MANY_DRAWS = PercentConfig(n_null=20_000)


@pytest.fixture(scope="module")
def planted():
    """Lay out 12 genes: 6 have a direction that all their reagents share, at falling strength."""
    metadata = experiment().sample(frac=1, random_state=3, ignore_index=True)
    acting = directions(genes(6))
    return metadata, profiles(metadata, target={g: v / (1 + i) for i, (g, v) in enumerate(acting.items())})


def _condition(metadata, kind, hours):
    treated = metadata["Metadata_control_type"].isna()
    return metadata[
        treated & (metadata["Metadata_experiment_type"] == kind) & (metadata["Metadata_timepoint"] == hours)
    ]


def _pearson(X, rows, columns):
    return np.corrcoef(X[rows], X[columns])[: len(rows), len(rows) :]


def _row(scores, metric, kind, hours, reference_kind=None, reference_hours=None):
    found = scores[
        (scores["metric"] == metric)
        & (scores["Metadata_experiment_type"] == kind)
        & (scores["Metadata_timepoint"] == hours)
        & (scores["reference_experiment_type"] == (reference_kind or kind))
        & (scores["reference_timepoint"] == (reference_hours or hours))
    ]
    assert len(found) == 1
    return found.iloc[0]


def _replicate_medians(metadata, X):
    medians = []
    for _, wells in metadata.groupby("Metadata_broad_sample").groups.items():
        pairs = [np.corrcoef(X[i], X[j])[0, 1] for i, j in combinations(wells, 2)]
        medians.append(np.median(pairs) if pairs else np.nan)
    return np.array(medians)


def _matching_medians(X, compounds, reagents, pairs_of_genes):
    by_sample = [
        {gene: [rows.index for _, rows in own.groupby("Metadata_broad_sample")] for gene, own in side}
        for side in (compounds.groupby("Metadata_target"), reagents.groupby("Metadata_target"))
    ]
    return np.array(
        [
            np.median(_pearson(X, left, right))
            for first, second in pairs_of_genes
            for left in by_sample[0][first]
            for right in by_sample[1][second]
        ]
    )


@pytest.mark.parametrize(("kind", "hours"), [("Compound", 24), ("ORF", 96)])
def test_percent_replicating_is_its_definition(planted, kind, hours):
    metadata, X = planted
    own = _condition(metadata, kind, hours)
    score = _row(percent_scores(metadata, X, config=MANY_DRAWS), PERCENT_REPLICATING, kind, hours)
    medians = _replicate_medians(own, X)
    assert score["n_profiles"] == len(own)
    assert score["n_units"] == len(medians) == own["Metadata_broad_sample"].nunique()
    assert score["n_above"] == (medians > score["null_95"]).sum() > 0
    assert score["percent"] == pytest.approx(100 * np.mean(medians > score["null_95"]))
    assert (score["n_null"], score["n_features"], score["n_without_replicates"]) == (20_000, X.shape[1], 0)
    # Every set of 4 wells of different samples is equally likely: the threshold of all sets, from 40,000 at random.
    rng, samples = np.random.default_rng(11), own["Metadata_broad_sample"].to_numpy()
    every = np.corrcoef(X[own.index])
    sets = (rng.choice(len(own), 4, replace=False) for _ in range(40_000))
    null = [np.median(every[np.ix_(s, s)][np.triu_indices(4, 1)]) for s in sets if len(set(samples[s])) == 4]
    assert score["null_95"] == pytest.approx(np.percentile(null, 95), abs=0.01)


@pytest.mark.parametrize("reference", [("CRISPR", 144), ("ORF", 48)])
def test_percent_matching_is_its_definition(planted, reference):
    metadata, X = planted
    compounds, reagents = _condition(metadata, "Compound", 48), _condition(metadata, *reference)
    scores = percent_scores(metadata, X, config=MANY_DRAWS)
    score = _row(scores, PERCENT_MATCHING, "Compound", 48, *reference)
    medians = _matching_medians(X, compounds, reagents, [(gene, gene) for gene in genes(12)])
    assert score["n_profiles"] == len(compounds) + len(reagents)
    assert score["n_units"] == len(medians) == {"CRISPR": 48, "ORF": 24}[reference[0]]
    assert score["n_above"] == (medians > score["null_95"]).sum() > 0
    # Two genes with replacement: all 144 pairs equally likely, the 12 of one gene among them.
    null = _matching_medians(X, compounds, reagents, list(product(genes(12), repeat=2)))
    assert score["n_null"] == 20_000 * len(medians) / 12
    assert score["null_95"] == pytest.approx(np.percentile(null, 95), abs=0.01)


def test_planted_effects_are_found_and_stronger_ones_more(planted):
    metadata, X = planted
    noise = profiles(metadata)
    found = {strength: percent_scores(metadata, noise + strength * (X - noise)) for strength in (0.0, 0.5, 2.0)}
    for metric in (PERCENT_REPLICATING, PERCENT_MATCHING):
        means = [own.loc[own["metric"] == metric, "percent"].mean() for own in found.values()]
        assert means[0] < means[1] < means[2]
        assert means[0] < 12 and means[2] > 25


def test_every_condition_and_pair_has_a_row(planted):
    metadata, X = planted
    scores = percent_scores(metadata, X)
    PERCENT_SCORES.check(scores, "scores")
    assert scores.columns.tolist() == PERCENT_SCORES.column_names
    replicating = scores[scores["metric"] == PERCENT_REPLICATING]
    assert len(replicating) == 6
    assert (replicating["reference_timepoint"] == replicating["Metadata_timepoint"]).all()
    matching = scores[scores["metric"] == PERCENT_MATCHING]
    assert len(matching) == 8 and set(matching["Metadata_experiment_type"]) == {"Compound"}
    both = experiment(lines=("A549", "U2OS"))
    assert len(percent_scores(both, profiles(both))) == 12 + 16


def test_the_order_of_rows_is_of_no_consequence(planted):
    metadata, X = planted
    order = np.random.default_rng(5).permutation(len(metadata))
    turned = percent_scores(metadata.iloc[order].reset_index(drop=True), X[order])
    pd.testing.assert_frame_equal(turned, percent_scores(metadata, X), check_exact=True)


def test_a_score_does_not_depend_on_what_else_is_scored(planted):
    metadata, X = planted
    scores = percent_scores(metadata, X)
    some = ~metadata["Metadata_experiment_type"].eq("ORF") & metadata["Metadata_timepoint"].isin([48, 96])
    alone = percent_scores(metadata[some].reset_index(drop=True), X[some])
    both = alone.merge(scores, on=[*CONDITION, "metric", "reference_experiment_type", "reference_timepoint"])
    assert len(both) == len(alone) == 3
    np.testing.assert_array_equal(both["null_95_x"], both["null_95_y"])

    subsets = pd.Series(np.where(metadata["Metadata_target"] < "G06", "train", "test"), dtype="str")
    two = percent_scores(metadata, X, subsets=subsets, subset_names=("train", "test"))
    one = percent_scores(metadata, X, subsets=subsets, subset_names=("test",))
    pd.testing.assert_frame_equal(two[two["subset"] == "test"].reset_index(drop=True), one, check_exact=True)


def test_the_seed_decides(planted):
    metadata, X = planted
    first, again, other = (percent_scores(metadata, X, config=PercentConfig(seed=seed)) for seed in (4, 4, 5))
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert (first["null_95"] != other["null_95"]).mean() > 0.5


def test_each_score_has_draws_of_its_own():
    """Conditions with the same profiles: the same units, another null."""
    metadata = experiment()
    early, late = (metadata[metadata["Metadata_timepoint_code"] == code] for code in ("low", "high"))
    X = np.empty((len(metadata), 40))
    X[early.index] = X[late.index] = profiles(early)
    scores = percent_scores(metadata, X).sort_values(["Metadata_timepoint", "reference_timepoint"])
    for _, own in scores.groupby(["metric", "Metadata_experiment_type", "reference_experiment_type"]):
        assert own["null_95"].nunique() > 1


def test_controls_empty_wells_and_other_plates_take_no_part(planted):
    metadata, X = planted
    expected = percent_scores(metadata, X)
    idle = metadata["Metadata_control_type"].notna().to_numpy()
    disturbed = X.copy()
    disturbed[idle] = np.nan
    empty = metadata.iloc[[0]].assign(Metadata_Well="P24", Metadata_broad_sample="empty", Metadata_target=None)
    secondary = metadata.iloc[:40].assign(Metadata_Plate="other", Metadata_is_primary=False)
    more = pd.concat([metadata, empty, secondary], ignore_index=True)
    found = percent_scores(more, np.vstack([disturbed, np.full((41, X.shape[1]), np.nan)]))
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_a_sample_with_one_well_counts_and_never_replicates(planted):
    metadata, X = planted
    sample = "brd-G00-a"
    of_sample = np.flatnonzero(metadata["Metadata_broad_sample"].eq(sample) & metadata["Metadata_timepoint"].eq(24))
    keep = np.setdiff1d(np.arange(len(metadata)), of_sample[1:])
    whole, less = (
        _row(percent_scores(metadata.iloc[rows].reset_index(drop=True), X[rows]), PERCENT_REPLICATING, "Compound", 24)
        for rows in (np.arange(len(metadata)), keep)
    )
    assert (whole["n_units"], whole["n_without_replicates"]) == (24, 0)
    assert (less["n_units"], less["n_without_replicates"]) == (24, 1)
    assert less["n_above"] == whole["n_above"] - 1
    assert less["percent"] == pytest.approx(100 * less["n_above"] / 24)


def test_cells_with_too_little_say_so_and_give_no_number(planted):
    metadata, X = planted
    target, kind = metadata["Metadata_target"], metadata["Metadata_experiment_type"]
    subsets = pd.Series(pd.NA, index=metadata.index, dtype="str")
    subsets[kind.eq("Compound") & target.isin(["G00", "G01"])] = "few"
    subsets[kind.eq("CRISPR") & target.isin(["G02", "G03", "G04"])] = "few"
    subsets[kind.eq("Compound") & target.eq("G05")] = "one gene"
    subsets[kind.eq("ORF") & target.eq("G05")] = "one gene"
    once = ~metadata.duplicated(["Metadata_broad_sample", "Metadata_timepoint"])
    subsets[once & subsets.isna() & kind.eq("CRISPR") & target.isin(genes(12)[6:])] = "singles"
    names = ("few", "one gene", "singles", "nobody")
    scores = percent_scores(metadata, X, subsets=subsets, subset_names=names)
    assert len(scores) == len(names) * 14
    PERCENT_SCORES.check(scores, "scores")

    def note(subset, *cell):
        row = _row(scores[scores["subset"] == subset], *cell)
        no_number = row[["null_95", "percent", "percent_low", "percent_high"]].isna().all()
        assert no_number == isinstance(row["note"], str)
        return row["note"] if no_number else None

    assert note("few", PERCENT_REPLICATING, "Compound", 24) == "the subset has 4 samples, at least 5 must be there"
    assert note("few", PERCENT_REPLICATING, "CRISPR", 96) is None
    assert note("few", PERCENT_MATCHING, "Compound", 24, "CRISPR", 96).endswith("share no gene in the subset")
    assert "share one gene" in note("one gene", PERCENT_MATCHING, "Compound", 24, "ORF", 96)
    assert note("singles", PERCENT_REPLICATING, "CRISPR", 96) == "no sample has two wells"
    assert note("nobody", PERCENT_REPLICATING, "ORF", 48) == "no well of this condition is in the subset"
    assert "share no gene" in note("nobody", PERCENT_MATCHING, "Compound", 48, "ORF", 48)


def test_identical_profiles_are_not_above_themselves():
    metadata = experiment(n_genes=6)
    X = np.tile(np.arange(5.0), (len(metadata), 1))
    scores = percent_scores(metadata, X)
    np.testing.assert_allclose(scores["null_95"], 1.0, rtol=1e-12)
    assert (scores["percent"] == 0).all()


def test_inner_wells_alone(planted):
    metadata, X = planted
    inner = ~metadata["Metadata_is_outer"]
    scores = percent_scores(metadata, X, config=PercentConfig(wells="inner"))
    alone = percent_scores(metadata[inner].reset_index(drop=True), X[inner])
    assert (scores["wells"] == "inner").all() and 0 < inner.sum() < len(metadata)
    counts = ["n_profiles", "n_units", "n_without_replicates"]
    pd.testing.assert_frame_equal(scores[counts], alone[counts])


def test_conditions_are_compared_on_what_their_own_plates_keep(planted):
    metadata, X = planted
    features = [f"Cells_{i}" for i in range(X.shape[1])]
    plates = sorted({f"{batch}.{plate}" for batch, plate in metadata[["Metadata_Batch", "Metadata_Plate"]].to_numpy()})
    kept = pd.DataFrame(np.random.default_rng(8).random((len(plates), len(features))) < 0.9, plates, features)
    lacking = X.copy()
    labels = metadata["Metadata_Batch"] + "." + metadata["Metadata_Plate"]
    lacking[~kept.loc[labels].to_numpy()] = np.nan
    scores = percent_scores(metadata, lacking, features=features, kept=kept)

    for metric, conditions in (
        (PERCENT_REPLICATING, [("CRISPR", 96)]),
        (PERCENT_MATCHING, [("Compound", 24), ("ORF", 96)]),
    ):
        own = pd.concat([_condition(metadata, *condition) for condition in conditions])
        common = kept.loc[sorted(set(labels[own.index]))].all().to_numpy()
        cell = [value for condition in conditions for value in condition]
        alone = percent_scores(metadata.loc[own.index].reset_index(drop=True), X[np.ix_(own.index, common)])
        found, expected = _row(scores, metric, *cell), _row(alone, metric, *cell)
        assert found["n_features"] == common.sum() < len(features)
        np.testing.assert_allclose(found["null_95"], expected["null_95"], rtol=1e-12)
        assert found["n_above"] == expected["n_above"]


def test_features_of_plates_must_fit_the_profiles(planted):
    metadata, X = planted
    features = [f"Cells_{i}" for i in range(X.shape[1])]
    kept = pd.DataFrame(True, ["elsewhere.P1"], features)
    with pytest.raises(ValueError, match="must be named as the columns"):
        percent_scores(metadata, X, features=features[::-1], kept=kept)
    with pytest.raises(BadTableError, match="have no feature selection"):
        percent_scores(metadata, X, features=features, kept=kept)


@pytest.mark.parametrize(("value", "problem"), [(np.nan, "feature Cells_7 is nan"), (3.0, "every feature is 3")])
def test_profiles_without_a_correlation_are_refused_by_plate_and_well(planted, value, problem):
    metadata, X = planted
    row = int(np.flatnonzero(metadata["Metadata_control_type"].isna())[17])
    X = X.copy()
    X[row, [7] if np.isnan(value) else slice(None)] = value
    well = metadata.loc[row, "Metadata_Well"]
    with pytest.raises(ProfileError, match=rf"plate .*\.{metadata.loc[row, 'Metadata_Plate']}, well {well}: {problem}"):
        percent_scores(metadata, X, features=[f"Cells_{i}" for i in range(X.shape[1])])


def test_sizes_must_agree(planted):
    metadata, X = planted
    with pytest.raises(ValueError, match="rows of metadata for"):
        percent_scores(metadata, X[:-1])


def test_noise_on_the_real_layout_gives_five_percent_and_the_published_denominators(real):
    wells = real.wells[real.wells["Metadata_is_primary"]].reset_index(drop=True)
    X = np.random.default_rng(0).normal(size=(len(wells), 60)).astype(np.float32)
    scores = percent_scores(wells, X)
    assert scores["n_units"].groupby([scores["metric"], scores["reference_experiment_type"]]).unique().map(
        list
    ).to_dict() == {
        (PERCENT_REPLICATING, "Compound"): [306],
        (PERCENT_REPLICATING, "CRISPR"): [305],
        (PERCENT_REPLICATING, "ORF"): [160],
        (PERCENT_MATCHING, "CRISPR"): [582],
        (PERCENT_MATCHING, "ORF"): [306],
    }
    pooled = scores.groupby("metric")[["n_above", "n_units"]].sum()
    share = pooled["n_above"] / pooled["n_units"]
    assert share.between(0.04, 0.06).all()
    assert scores["percent"].between(scores["percent_low"], scores["percent_high"]).all()


def test_a_condition_of_nearly_one_sample_has_a_note_and_does_not_draw_for_ever():
    metadata = experiment()
    treated = metadata.index[metadata["Metadata_control_type"].isna() & (metadata["Metadata_timepoint"] == 24)]
    metadata.loc[treated, "Metadata_broad_sample"] = "C0"
    metadata.loc[treated[:4], "Metadata_broad_sample"] = ["C1", "C2", "C3", "C4"]
    row = _row(percent_scores(metadata, profiles(metadata)), PERCENT_REPLICATING, "Compound", 24)
    assert row["n_units"] == 5
    assert "too rare to be drawn" in row["note"]


def test_correlations_that_would_not_fit_are_refused():
    metadata = experiment()
    with pytest.raises(ProfileError, match=r"correlations of .* wells need .* GB and max_memory is"):
        percent_scores(metadata, profiles(metadata), max_memory=1_000)

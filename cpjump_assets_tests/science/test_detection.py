"""Detection: against copairs on the same arrays, on the real layout, with planted effects and with none."""

import numpy as np
import pandas as pd
import pytest
from copairs.map import mean_average_precision as copairs_mean_average_precision
from scipy.stats import binom, gmean, kstest

from cpjump_assets.science.class_scores import MetricConfig
from cpjump_assets.science.detection import ask_for_replicates, detect
from cpjump_assets.science.errors import BadTableError, ProfileError
from cpjump_assets.science.layout import lay_out
from cpjump_assets.science.score_tables import CLASSES, SCORES
from cpjump_assets.science.tasks import CONDITION, REFERENCE
from cpjump_assets_tests.science.helpers_plates import BATCH, N_CONTROLS, plates, profiles, real_layout
from cpjump_assets_tests.science.helpers_replicates import ACTING, sorted_list_precision, two_conditions, with_peer


@pytest.fixture
def experiment():
    """Give compounds and guides with their profiles."""
    return two_conditions()


def test_average_precision_equals_copairs(experiment):
    metadata, X = experiment
    queries = detect(metadata, X).queries
    for kind in ("Compound", "CRISPR"):
        own = metadata["Metadata_experiment_type"] == kind
        both = with_peer(metadata[own], X[own], queries[queries["Metadata_experiment_type"] == kind])
        np.testing.assert_allclose(both["average_precision"], both["peer"], rtol=0, atol=4.5e-16)


def test_average_precision_equals_copairs_on_a_real_condition(reference_root):
    """copairs ranks in single precision: of 21 million comparisons of DMSO wells some may tie only there."""
    metadata = real_layout(reference_root, experiment_type="Compound", cell_line="A549", timepoint=24)
    X = profiles(metadata, acting=set(metadata["Metadata_broad_sample"].unique()[::3]), strength=0.5)
    both = with_peer(metadata, X, detect(metadata, X).queries)
    differs = ~np.isclose(both["average_precision"], both["peer"], rtol=0, atol=4.5e-16)
    assert differs.sum() <= 2
    assert both.loc[differs, "negcon"].all()
    for well in both[differs].itertuples():
        assert well.average_precision == pytest.approx(sorted_list_precision(metadata, X, well.row), abs=4.5e-16)
    treated = both[~both["negcon"]]
    assert treated[["n_positives", "n_total_pairs"]].value_counts().to_dict() == {
        (3, 67): 1164,
        (7, 71): 112,
        (2, 66): 3,
    }


@pytest.mark.parametrize("hours", [24, 144])
def test_mode_copairs_gives_the_p_of_copairs(experiment, hours, tmp_path):
    metadata, X = experiment
    own = metadata["Metadata_timepoint"] == hours
    found = detect(metadata[own], X[own], config=MetricConfig(metric_mode="copairs"))
    treated = found.queries[found.queries["Metadata_control_type"] != "negcon"]
    peer = copairs_mean_average_precision(
        treated.rename(columns={"n_positives": "n_pos_pairs"}).assign(
            n_total_pairs=treated["n_positives"] + treated["n_negatives"], normalized_average_precision=0.0
        ),
        ["Metadata_broad_sample"],
        null_size=20_000,
        threshold=0.05,
        seed=0,
        progress_bar=False,
        cache_dir=tmp_path,
    )
    both = found.classes.merge(peer, on="Metadata_broad_sample", suffixes=("", "_peer"), validate="one_to_one")
    assert len(both) == len(found.classes) == 20
    np.testing.assert_allclose(both["mean_average_precision"], both["mean_average_precision_peer"], rtol=1e-14)
    error = np.sqrt(both["p_value"] * (1 - both["p_value"]) / 20_000)
    assert ((both["p_value"] - both["p_value_peer"]).abs() < 4.5 * error + 5e-5).all()
    np.testing.assert_array_equal(both["retrieved"], both["below_corrected_p"])
    assert 0 < both["retrieved"].sum() < 20


def test_real_layout_has_the_published_numbers_of_classes(reference_root):
    metadata = real_layout(reference_root)
    table = detect(metadata, profiles(metadata, n_features=6)).scores
    SCORES.check(table, "scores")
    assert len(table) == 12
    per_type = table.groupby("Metadata_experiment_type")["n_classes"].unique().map(list).to_dict()
    assert per_type == {"Compound": [306], "CRISPR": [305], "ORF": [160]}
    assert table["n_queries"].sum() == table["n_profiles"].sum() == 12_729
    assert table["n_negative_controls"].sum() == 2_450
    assert table["note"].isna().all()
    assert (table["n_undecided"] == 0).all()


def test_shares_of_positive_pairs_in_one_well_of_real_compounds_and_guides(reference_root):
    metadata = real_layout(reference_root)
    metadata = metadata[metadata["Metadata_cell_line"] == "A549"].reset_index(drop=True)
    scores = detect(metadata, profiles(metadata, n_features=6)).scores
    treated = metadata[metadata["Metadata_control_type"].ne("negcon") & metadata["Metadata_broad_sample"].ne("empty")]
    expected = []
    for _, own in treated.groupby(CONDITION):
        n_pairs = own["Metadata_broad_sample"].value_counts().map(lambda n: n * (n - 1)).sum()
        n_together = own[["Metadata_broad_sample", "Metadata_Well"]].value_counts().map(lambda n: n * (n - 1)).sum()
        expected.append(n_together / n_pairs)
    np.testing.assert_allclose(scores["same_well_share"], expected, rtol=1e-14)
    assert (scores.loc[scores["Metadata_experiment_type"] != "ORF", "same_well_share"] > 0.85).all()


def test_tables_keep_to_their_schemas_and_are_sorted(experiment):
    found = detect(*experiment)
    pd.testing.assert_frame_equal(found.classes, CLASSES.normalise(found.classes, "classes"))
    assert found.classes.columns.tolist() == CLASSES.column_names
    pd.testing.assert_frame_equal(found.scores, SCORES.normalise(found.scores, "scores"))
    keys = ["subset", *CONDITION, "Metadata_Batch", "Metadata_Plate", "Metadata_Well"]
    pd.testing.assert_frame_equal(found.queries, found.queries.sort_values(keys, ignore_index=True))
    for table in (found.queries, found.classes, found.scores):
        for name in REFERENCE:
            assert (table[name] == table[name.replace("reference", "Metadata")]).all()


def test_class_numbers_follow_from_those_of_its_wells(experiment):
    found = detect(*experiment)
    treated = found.queries[found.queries["Metadata_control_type"] != "negcon"]
    assert treated["p_value"].notna().all()
    grouped = treated.groupby(["Metadata_experiment_type", "Metadata_broad_sample"])
    classes = found.classes.set_index(["Metadata_experiment_type", "Metadata_broad_sample"]).sort_index()
    assert len(classes) == 40
    np.testing.assert_array_equal(classes["class_name"], [sample for _, sample in classes.index])
    np.testing.assert_array_equal(classes["n_queries"], grouped.size())
    np.testing.assert_allclose(classes["mean_average_precision"], grouped["average_precision"].mean())
    for name in ("p_value", "p_low", "p_high"):
        np.testing.assert_allclose(classes[name], grouped[name].agg(gmean), rtol=1e-12)
    assert (classes["p_low"] <= classes["p_value"]).all()
    assert (classes["p_value"] <= classes["p_high"]).all()
    assert (classes["Metadata_target"] == [f"gene {sample}" for _, sample in classes.index]).all()


def test_negative_controls_ask_but_are_no_class(experiment):
    found = detect(*experiment)
    controls = found.queries[found.queries["Metadata_control_type"] == "negcon"]
    assert len(controls) == 5 * N_CONTROLS
    assert controls["average_precision"].notna().all()
    assert controls["p_value"].isna().all()
    compounds = controls[controls["Metadata_experiment_type"] == "Compound"]
    assert (compounds["n_positives"] == 3 * N_CONTROLS - 1).all()
    assert (compounds["n_negatives"] == 22).all()
    assert not found.classes["Metadata_broad_sample"].isin(["DMSO", "intergenic", "empty"]).any()


def test_planted_effects_are_found(experiment):
    classes = detect(*experiment).classes
    acting = classes["Metadata_broad_sample"].isin(ACTING)
    assert classes.loc[acting, "retrieved"].mean() > 0.8
    assert classes.loc[~acting, "retrieved"].mean() < 0.1


def test_effects_are_found_in_the_order_of_their_strength():
    strengths = np.repeat([0.0, 0.4, 0.8, 1.6], 15)
    names = [f"S{i:02d}" for i in range(len(strengths))]
    metadata = plates(["P1", "P2", "P3", "P4"], names)
    X = profiles(metadata)
    for i, (name, strength) in enumerate(zip(names, strengths, strict=True)):
        X[metadata["Metadata_broad_sample"] == name] += strength * np.random.default_rng(i).normal(size=X.shape[1])
    by_strength = detect(metadata, X).classes.groupby(strengths)
    assert (by_strength["mean_average_precision"].mean().diff().dropna() > 0.05).all()
    assert by_strength["retrieved"].mean().is_monotonic_increasing
    assert by_strength["retrieved"].mean()[1.6] == 1.0
    assert by_strength["retrieved"].mean()[0.0] <= 0.1


def test_without_effects_p_is_uniform():
    """One well from each of 200 experiments, because wells of one plate share their negatives."""
    one = plates(["P1", "P2", "P3", "P4"], ["S1"])
    metadata = pd.concat([one.assign(Metadata_timepoint=hours) for hours in range(200)], ignore_index=True)
    metadata["Metadata_Plate"] += "-" + metadata["Metadata_timepoint"].astype("str")
    wells = detect(metadata, np.random.default_rng(3).normal(size=(len(metadata), 12))).queries
    asked = wells["Metadata_Plate"].str.startswith("P1-") & (wells["Metadata_broad_sample"] == "S1")
    assert asked.sum() == 200
    assert kstest(wells.loc[asked, "p_value"], "uniform").pvalue > 0.05


def test_without_effects_next_to_nothing_is_retrieved():
    metadata = plates(["P1", "P2", "P3"], [f"S{i:03d}" for i in range(200)])
    found = detect(metadata, np.random.default_rng(4).normal(size=(len(metadata), 50)))
    assert found.classes["retrieved"].mean() <= 0.01


@pytest.mark.parametrize("mode", ["paper_2024", "copairs"])
def test_without_effects_an_experiment_with_any_call_is_as_rare_as_the_threshold_allows(mode):
    """With no effect, Benjamini-Hochberg calls anything in at most 5 % of families: here 100 of six classes each.

    With four replicates: of two, a first place among 17 alone has p = 1e-5 and carries a geometric mean.
    """
    one = plates(["P1", "P2", "P3", "P4"], [f"S{i}" for i in range(6)])
    metadata = pd.concat([one.assign(Metadata_timepoint=hours) for hours in range(100)], ignore_index=True)
    metadata["Metadata_Plate"] += "-" + metadata["Metadata_timepoint"].astype("str")
    X = np.random.default_rng(5).normal(size=(len(metadata), 20))
    scores = detect(metadata, X, config=MetricConfig(metric_mode=mode)).scores
    assert len(scores) == 100
    assert (scores["n_retrieved"] > 0).sum() <= binom.ppf(0.999, 100, 0.05)


def test_result_depends_neither_on_row_order_nor_on_float_type_nor_on_what_else_is_scored(experiment):
    metadata, X = experiment
    X = X.astype(np.float32)
    found = detect(metadata, X)
    order = np.random.default_rng(5).permutation(len(metadata))
    again = detect(metadata.iloc[order], X[order].astype(np.float64))
    only = metadata["Metadata_experiment_type"] == "CRISPR"
    alone = detect(metadata[only], X[only])
    for name in ("queries", "classes", "scores"):
        whole = getattr(found, name)
        pd.testing.assert_frame_equal(whole, getattr(again, name), check_exact=True)
        part = whole[whole["Metadata_experiment_type"] == "CRISPR"].reset_index(drop=True)
        pd.testing.assert_frame_equal(part, getattr(alone, name), check_exact=True)


def test_classes_whose_ranks_would_not_fit_are_refused(experiment):
    metadata, X = experiment
    with pytest.raises(ProfileError, match="pairs of positives are to be ranked"):
        detect(metadata, X, max_memory=20_000)
    (questions,) = ask_for_replicates(lay_out(metadata), X, max_memory=20_000)
    assert len(questions.members) < len(detect(metadata, X).queries)


def test_inner_wells_are_scored_as_if_there_were_no_others(experiment):
    metadata, X = experiment
    metadata = metadata.assign(Metadata_is_outer=metadata["Metadata_Well"].str[1:].astype(int) <= 2)
    found = detect(metadata, X, config=MetricConfig(wells="inner"))
    inner = ~metadata["Metadata_is_outer"]
    alone = detect(metadata[inner], X[inner])
    pd.testing.assert_frame_equal(found.queries, alone.queries)
    for name in ("classes", "scores"):
        table = getattr(found, name)
        assert set(table["wells"]) == {"inner"}
        pd.testing.assert_frame_equal(table.assign(wells="all"), getattr(alone, name), check_dtype=False)
    assert found.scores["n_profiles"].sum() < detect(metadata, X).scores["n_profiles"].sum()


def test_subsets_are_scored_by_themselves_with_the_controls_of_their_plates(experiment):
    metadata, X = experiment
    number = metadata["Metadata_broad_sample"].str.extract(r"S(\d+)", expand=False).astype(float)
    subsets = pd.Series("train", index=metadata.index).mask(number >= 12, "test").mask(number >= 18)
    found = detect(metadata, X, subsets=subsets, subset_names=("train", "test"))
    assert set(found.queries["subset"]) == {"train", "test"}
    assert (found.queries["Metadata_control_type"] != "negcon").all()
    for subset, samples in (("train", number < 12), ("test", (number >= 12) & (number < 18))):
        kept = samples | (metadata["Metadata_control_type"] == "negcon")
        alone = detect(metadata[kept], X[kept])
        for name in ("classes", "scores"):
            expected, table = getattr(alone, name).drop(columns="subset"), getattr(found, name)
            own = table[table["subset"] == subset].drop(columns="subset").reset_index(drop=True)
            pd.testing.assert_frame_equal(own, expected, check_exact=True)


def test_a_class_that_a_split_tears_apart_keeps_only_the_positives_of_its_subset(experiment):
    metadata, X = experiment
    subsets = pd.Series("train", index=metadata.index).mask(metadata["Metadata_Plate"] == "P3", "test")
    wells = detect(metadata, X, subsets=subsets, subset_names=("train", "test")).queries
    compounds = wells[(wells["Metadata_experiment_type"] == "Compound") & (wells["Metadata_broad_sample"] == "S04")]
    assert compounds.set_index("Metadata_Plate")["n_positives"].to_dict() == {"P1": 1, "P2": 1, "P3": 0}
    assert (compounds["n_negatives"] == N_CONTROLS).all()


def test_scores_have_a_row_for_every_subset_and_condition_with_a_note_where_there_is_no_number(experiment):
    metadata, X = experiment
    compound = metadata["Metadata_experiment_type"] == "Compound"
    first_plate = metadata["Metadata_Plate"].isin(["Q1"])
    subsets = pd.Series("train", index=metadata.index).where(compound).mask(first_plate, "validate")
    table = detect(metadata, X, subsets=subsets, subset_names=("train", "validate", "test")).scores
    pd.testing.assert_frame_equal(table, SCORES.normalise(table, "scores"))
    found = table.set_index(["subset", "Metadata_experiment_type"])
    assert len(found) == 6
    assert found.loc[("train", "Compound"), "n_classes"] == 20
    assert found.loc[("train", "Compound"), "note"] is np.nan
    single = found.loc[("validate", "CRISPR")]
    assert (single["n_queries"], single["n_classes"], single["n_classes_without_positives"]) == (20, 0, 20)
    assert single["note"] == "0 of 20 classes have a positive pair and a negative, at least 5 must"
    for subset in ("test", "validate"):
        nothing = found.loc[(subset, "Compound")]
        assert (nothing["n_queries"], nothing["n_classes"], nothing["n_negative_controls"]) == (0, 0, 3 * N_CONTROLS)
        assert nothing["note"] == "no well of this condition is in the subset"
    missing = found["n_classes"] == 0
    assert found.loc[missing, ["fraction_retrieved", "mean_average_precision"]].isna().all(axis=None)


def test_a_plate_without_negative_controls_is_said_and_not_scored(experiment):
    metadata, X = experiment
    kept = ~((metadata["Metadata_Plate"] == "Q2") & (metadata["Metadata_control_type"] == "negcon"))
    found = detect(metadata[kept], X[kept])
    lost = found.queries["Metadata_Plate"] == "Q2"
    assert found.queries.loc[lost, ["average_precision", "p_value"]].isna().all(axis=None)
    guides = found.classes[found.classes["Metadata_experiment_type"] == "CRISPR"]
    assert (guides["n_queries"] == 2).all()
    assert (guides["n_queries_scored"] == 1).all()
    table = found.scores.set_index("Metadata_experiment_type")
    assert table.loc["CRISPR", "note"] == "20 queries have no score: they have a positive but no negative"
    assert table.loc["CRISPR", "n_classes"] == 20
    kept &= ~((metadata["Metadata_Plate"] == "Q1") & (metadata["Metadata_control_type"] == "negcon"))
    none_left = detect(metadata[kept], X[kept]).scores.set_index("Metadata_experiment_type").loc["CRISPR"]
    assert (none_left["n_classes"], none_left["n_negative_controls"]) == (0, 0)
    assert none_left["note"] == "0 of 20 classes have a positive pair and a negative, at least 5 must"
    assert np.isnan(none_left["fraction_retrieved"])


def test_a_class_of_one_well_has_no_p():
    metadata = plates(["P1", "P2"], ["S1", "S2"])
    metadata = metadata[~((metadata["Metadata_Plate"] == "P2") & (metadata["Metadata_broad_sample"] == "S2"))]
    found = detect(metadata, profiles(metadata))
    alone = found.classes.set_index("Metadata_broad_sample").loc["S2"]
    assert (alone["n_queries"], alone["n_queries_scored"], alone["retrieved"]) == (1, 0, False)
    assert alone[["mean_average_precision", "p_value", "q_value"]].isna().all()
    row = found.scores.iloc[0]
    assert (row["n_classes"], row["n_classes_without_positives"]) == (1, 1)


def test_identical_profiles_tie_in_favour_of_positives_as_in_copairs(experiment):
    metadata, X = experiment
    found = detect(metadata, np.ones_like(X))
    assert (found.queries["average_precision"] == 1.0).all()
    assert (found.classes["p_value"] < 1e-4).all()


def test_profiles_that_cannot_be_scored_are_refused_by_name(experiment):
    metadata, X = experiment
    features = [f"Cells_{i}" for i in range(X.shape[1])]
    row = metadata.index[(metadata["Metadata_Plate"] == "P2") & (metadata["Metadata_Well"] == "A03")][0]
    for value in (np.nan, np.inf):
        broken = X.copy()
        broken[row, 7] = value
        with pytest.raises(ProfileError, match=rf"plate {BATCH}.P2, well A03: feature Cells_7 is {value}"):
            detect(metadata, broken, features=features)
    broken[row] = 0.0
    with pytest.raises(ProfileError, match="P2, well A03: every feature is 0"):
        detect(metadata, broken)


def test_profiles_that_take_no_part_may_be_broken(experiment):
    metadata, X = experiment
    broken = X.copy()
    broken[~metadata["Metadata_is_primary"] | (metadata["Metadata_broad_sample"] == "empty")] = np.nan
    pd.testing.assert_frame_equal(detect(metadata, broken).classes, detect(metadata, X).classes)


def test_bad_metadata_is_refused(experiment):
    metadata, X = experiment
    with pytest.raises(BadTableError, match="Metadata_control_type, Metadata_is_primary"):
        detect(metadata.drop(columns=["Metadata_control_type", "Metadata_is_primary"]), X)
    nameless = metadata.assign(Metadata_broad_sample=metadata["Metadata_broad_sample"].mask(metadata.index < 3))
    with pytest.raises(BadTableError, match=r"missing is Metadata_broad_sample in \d of"):
        detect(nameless, X)
    with pytest.raises(BadTableError, match="primary plate"):
        detect(metadata.assign(Metadata_is_primary=False), X)
    primary = np.flatnonzero(metadata["Metadata_is_primary"])[:1]
    plate, well = metadata.iloc[primary[0]][["Metadata_Plate", "Metadata_Well"]]
    with pytest.raises(BadTableError, match=f"{plate}, well {well} has more than one profile"):
        detect(pd.concat([metadata, metadata.iloc[primary]]), np.vstack([X, X[primary]]))
    with pytest.raises(ValueError, match="rows of metadata"):
        detect(metadata, X[1:])
    with pytest.raises(ValueError, match="subsets for"):
        detect(metadata, X, subsets=pd.Series(["train"]), subset_names=("train",))


def test_strict_p_may_be_zero_and_is_named_in_the_tables(experiment):
    found = detect(*experiment, config=MetricConfig(p_convention="strict"))
    assert set(found.classes["p_convention"]) == {"strict"}
    added = detect(*experiment)
    assert set(added.classes["p_convention"]) == {"add_one N=100000"}
    p = found.queries["p_value"]
    np.testing.assert_allclose(added.queries["p_value"], (1 + 1e5 * p) / (1 + 1e5))
    assert (p == 0).any()

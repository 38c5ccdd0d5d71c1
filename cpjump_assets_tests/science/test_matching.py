"""Perturbation matching: who asks whom, planted targets, no effects, and what cannot be matched."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import gmean, kstest, spearmanr

from cpjump_assets.science.class_scores import MetricConfig
from cpjump_assets.science.detection import detect
from cpjump_assets.science.errors import BadTableError, ProfileError
from cpjump_assets.science.matching import match
from cpjump_assets.science.score_tables import CLASSES, SCORES
from cpjump_assets.science.tasks import CONDITION, GENE_COMPOUND, REFERENCE, SISTER_COMPOUNDS, SISTER_GUIDES
from cpjump_assets_tests.science.helpers_plates import (
    all_detected,
    plates,
    profiles,
    screen_with_effects,
    target_effects,
)

CELL = ["task", *CONDITION, *REFERENCE]
FEW_CLASSES = " classes have a positive pair and a negative, at least 5 must"


@pytest.fixture(scope="module")
def small():
    """Give the small benchmark, its profiles, and what detection says of them."""
    frame, X = screen_with_effects(shared=0.3)
    return frame, X, detect(frame, X).classes


def test_class_numbers_follow_from_those_of_its_queries(small):
    answers = match(*small)
    keys = [*CELL, "class_name"]
    classes = answers.classes.set_index(keys).sort_index()
    grouped = answers.queries.groupby(keys)
    np.testing.assert_array_equal(classes["n_queries"], grouped.size())
    np.testing.assert_array_equal(classes["n_queries_scored"], grouped["average_precision"].count())
    np.testing.assert_allclose(classes["mean_average_precision"], grouped["average_precision"].mean())
    for name in ("p_value", "p_low", "p_high"):
        members = grouped[name].agg(lambda p: gmean(p.dropna()) if p.notna().any() else np.nan)
        np.testing.assert_allclose(classes[name], members, rtol=1e-12)
    assert (classes["Metadata_target"] == classes.index.get_level_values("class_name")).all()
    assert classes["Metadata_broad_sample"].isna().all()
    n_without = grouped["n_positives"].max().eq(0).groupby(CELL).sum()
    scores = answers.scores.set_index(CELL).sort_index()
    np.testing.assert_array_equal(scores["n_classes_without_positives"], n_without)
    assert (n_without > 0).any()
    np.testing.assert_array_equal(scores["n_queries"], answers.queries.groupby(CELL).size())
    np.testing.assert_array_equal(
        scores["n_profiles"], answers.queries.groupby(CELL)["Metadata_broad_sample"].nunique()
    )


def test_cells_are_the_conditions_of_a_modality_and_the_pairs_of_a_cell_line(small):
    table = match(*small).scores
    found = table[[*CELL[:4], "reference_experiment_type", "reference_timepoint"]].to_numpy().tolist()
    assert found == [
        [SISTER_COMPOUNDS, "Compound", "A549", 24, "Compound", 24],
        [SISTER_COMPOUNDS, "Compound", "A549", 48, "Compound", 48],
        [SISTER_COMPOUNDS, "Compound", "U2OS", 24, "Compound", 24],
        [SISTER_GUIDES, "CRISPR", "A549", 96, "CRISPR", 96],
        [SISTER_GUIDES, "CRISPR", "U2OS", 144, "CRISPR", 144],
        [GENE_COMPOUND, "Compound", "A549", 24, "CRISPR", 96],
        [GENE_COMPOUND, "Compound", "A549", 24, "ORF", 48],
        [GENE_COMPOUND, "Compound", "A549", 48, "CRISPR", 96],
        [GENE_COMPOUND, "Compound", "A549", 48, "ORF", 48],
        [GENE_COMPOUND, "Compound", "U2OS", 24, "CRISPR", 144],
    ]


def test_tables_keep_to_their_schemas_and_come_in_order(small):
    answers = match(*small)
    CLASSES.check(answers.classes, "classes")
    SCORES.check(answers.scores, "scores")
    assert answers.classes.columns.tolist() == CLASSES.column_names
    order = [*CELL, "class_name"]
    task_order = [SISTER_COMPOUNDS, SISTER_GUIDES, GENE_COMPOUND]
    for table in (answers.classes, answers.queries):
        ranked = table.assign(task=table["task"].map(task_order.index))[order]
        pd.testing.assert_frame_equal(ranked, ranked.sort_values(order, ignore_index=True))


def test_tasks_may_be_asked_for_one_by_one(small):
    whole = match(*small)
    for task in (SISTER_COMPOUNDS, SISTER_GUIDES, GENE_COMPOUND):
        alone = match(*small, tasks=[task])
        own = whole.classes[whole.classes["task"] == task].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone.classes, own, check_exact=True)


def test_only_what_was_detected_in_the_same_condition_takes_part(small):
    frame, X, detected = small
    asked = match(frame, X, detected).queries
    asked = asked[asked["task"] == SISTER_COMPOUNDS]
    with_genes = frame.dropna(subset="Metadata_target_list")["Metadata_broad_sample"].unique()
    for hours in (24, 48):
        own = (detected["Metadata_cell_line"] == "A549") & (detected["Metadata_experiment_type"] == "Compound")
        own &= (detected["Metadata_timepoint"] == hours) & detected["retrieved"]
        expected = set(detected.loc[own, "Metadata_broad_sample"]) & set(with_genes)
        here = (asked["Metadata_timepoint"] == hours) & (asked["Metadata_cell_line"] == "A549")
        assert set(asked.loc[here, "Metadata_broad_sample"]) == expected
    assert not detected["retrieved"].all()


def test_profiles_of_perturbations_that_were_not_detected_do_not_matter(small):
    frame, X, detected = small
    keys = [*CONDITION, "Metadata_broad_sample"]
    kept = frame[keys].merge(detected.loc[detected["retrieved"], keys], on=keys, how="left", indicator=True)
    broken = X.copy()
    broken[(kept["_merge"] == "left_only").to_numpy()] = np.nan
    pd.testing.assert_frame_equal(match(frame, broken, detected).classes, match(frame, X, detected).classes)


def test_negative_controls_take_no_part_whatever_is_said_of_them(small):
    frame, X, detected = small
    is_control = frame["Metadata_control_type"].eq("negcon")
    with_genes = frame.assign(Metadata_target_list=frame["Metadata_target_list"].mask(is_control, "G00|G01"))
    controls = frame.loc[is_control, [*CONDITION, "Metadata_broad_sample"]].drop_duplicates()
    more = pd.concat([detected, controls.assign(subset="all", task="detection", retrieved=True)])
    pd.testing.assert_frame_equal(match(with_genes, X, more).classes, match(frame, X, detected).classes)


def test_what_another_task_retrieved_is_not_detected(small):
    frame, X, detected = small
    elsewhere = detected.assign(task="orf_same_well", retrieved=True)
    found = match(frame, X, pd.concat([detected, elsewhere]))
    pd.testing.assert_frame_equal(found.classes, match(frame, X, detected).classes)


def _compounds(targets, *, names=("P1", "P2"), **condition):
    """Lay out compounds of one condition, by their target lists."""
    return plates(names, list(targets), targets=targets, **condition)


def test_targets_are_found_in_order_of_the_strength_of_what_they_share():
    levels = [0.0, 0.35, 0.7, 1.05, 1.4]
    targets = {f"C{i:03d}": f"T{i % 40:02d}" for i in range(160)}
    frame = _compounds(targets)
    shared = pd.Series({f"T{i:02d}": levels[i % 5] for i in range(40)})
    classes = match(frame, target_effects(frame, own=1.0, shared=shared), all_detected(frame)).classes
    level = classes["class_name"].map(shared)
    by_level = classes.groupby(level)["mean_average_precision"].mean()
    assert by_level.is_monotonic_increasing
    assert spearmanr(level, classes["mean_average_precision"]).statistic > 0.8
    retrieved = classes.groupby(level)["retrieved"].mean()
    assert retrieved.is_monotonic_increasing
    assert retrieved.loc[0.0] <= 1 / 8
    assert retrieved.loc[1.4] == 1.0


def _opposite(frame, X, opposite):
    """Turn the effects of some samples round."""
    turned = X.copy()
    turned[frame["Metadata_broad_sample"].isin(opposite).to_numpy()] *= -1.0
    return turned


def test_opposite_compounds_of_a_target_match_and_opposite_guides_do_not():
    targets = {f"R{i:02d}": f"T{i % 12:02d}" for i in range(24)}
    compounds = _compounds(targets)
    guides = plates(["Q1", "Q2"], list(targets), kind="CRISPR", hours=96, targets=targets, controls="NO_SITE")
    frame = pd.concat([compounds, guides], ignore_index=True)
    opposite = [f"R{i:02d}" for i in range(6)]
    X = _opposite(frame, target_effects(frame, own=0.3, shared=2.0), opposite)
    classes = match(frame, X, all_detected(frame), tasks=[SISTER_COMPOUNDS, SISTER_GUIDES]).classes
    classes = classes.set_index(["task", "class_name"])["mean_average_precision"]
    inverted = [targets[name] for name in opposite]
    assert (classes.loc[SISTER_COMPOUNDS] > 0.99).all()
    assert (classes.loc[SISTER_GUIDES].drop(inverted) > 0.99).all()
    assert (classes.loc[SISTER_GUIDES, inverted] < 0.1).all()


def test_an_orf_that_acts_against_its_compound_matches_it():
    genes = [f"T{i:02d}" for i in range(12)]
    compounds = _compounds({f"C-{gene}": gene for gene in genes})
    of_orf = {f"O-{gene}": gene for gene in genes}
    orfs = plates(["Q1", "Q2"], list(of_orf), kind="ORF", hours=48, controls="LacZ", targets=of_orf)
    frame = pd.concat([compounds, orfs], ignore_index=True)
    X = _opposite(frame, target_effects(frame, own=0.3, shared=2.0), list(of_orf))
    answers = match(frame, X, all_detected(frame), tasks=[GENE_COMPOUND])
    assert (answers.queries["average_precision"] == 1.0).all()
    assert answers.queries["query_experiment_type"].value_counts().to_dict() == {"Compound": 12, "ORF": 12}
    assert (answers.queries[["n_positives", "n_negatives"]] == [1, 11]).all(axis=None)


def test_without_effects_p_is_uniform():
    """One query from each of 300 conditions, because queries of one condition share their pairs."""
    targets = {f"C{i:02d}": "T" if i < 4 else f"T{i:02d}" for i in range(40)}
    one = _compounds(targets, names=["P"])
    one = one[one["Metadata_control_type"] != "negcon"]
    frame = pd.concat([one.assign(Metadata_timepoint=hours) for hours in range(300)], ignore_index=True)
    frame["Metadata_Plate"] += frame["Metadata_timepoint"].astype("str")
    X = np.random.default_rng(6).normal(size=(len(frame), 10))
    answers = match(frame, X, all_detected(frame), tasks=[SISTER_COMPOUNDS], config=MetricConfig(p_convention="strict"))
    asked = answers.queries["Metadata_broad_sample"] == "C00"
    assert asked.sum() == 300
    assert (answers.queries.loc[asked, ["n_positives", "n_negatives"]] == [3, 36]).all(axis=None)
    assert kstest(answers.queries.loc[asked, "p_value"], "uniform").pvalue > 0.05


def test_a_subset_is_matched_by_its_own_wells_alone(small):
    """A compound with wells in two subsets has two consensus profiles, and is asked where it was detected."""
    frame, X, _ = small
    subsets = frame["Metadata_Plate"].str.endswith("3").map({True: "test", False: "train"}).astype("str")
    both = pd.concat([all_detected(frame).assign(subset=name) for name in ("train", "test")])
    both = both[~((both["subset"] == "test") & (both["Metadata_broad_sample"] == "C05"))]
    found = match(frame, X, both, subsets=subsets, subset_names=("train", "test"))
    for name in ("train", "test"):
        kept = (subsets == name).to_numpy()
        mine = both[both["subset"] == name].assign(subset="all")
        alone = match(frame[kept], X[kept], mine)
        own = found.classes[found.classes["subset"] == name]
        pd.testing.assert_frame_equal(
            own.drop(columns="subset").reset_index(drop=True), alone.classes.drop(columns="subset"), check_exact=True
        )
    asked = found.queries[found.queries["Metadata_broad_sample"] == "C05"]
    assert set(asked["subset"]) == {"train"}


def test_detection_in_one_subset_says_nothing_of_another(small):
    frame, X, _ = small
    half = frame["Metadata_Plate"].str.endswith("1").map({True: "test", False: "train"}).astype("str")
    only_train = all_detected(frame).assign(subset="train")
    found = match(frame, X, only_train, subsets=half, subset_names=("train", "test")).scores
    assert (found.loc[found["subset"] == "train", "n_profiles"] > 0).all()
    nothing = found[found["subset"] == "test"]
    assert len(nothing) == 10
    assert (nothing["n_profiles"] == 0).all()
    assert set(nothing["note"]) == {"no perturbation that was detected has a target to match on"}


def test_target_lists_of_compounds_are_cut_to_the_genes_that_are_there():
    """C0 keeps A of A|X, C1 keeps nothing and takes no part, so it is nobody's negative."""
    of_compound = {"C0": "A|X", "C1": "X", "C2": "B", "C3": "A|B"}
    of_guide = {"K0": "A", "K1": "B", "K2": "D"}
    guides = plates(["Q1", "Q2"], list(of_guide), kind="CRISPR", hours=96, controls="NO_SITE", targets=of_guide)
    frame = pd.concat([_compounds(of_compound), guides], ignore_index=True)
    queries = match(frame, profiles(frame), all_detected(frame), tasks=[GENE_COMPOUND]).queries
    found = queries.set_index(["class_name", "Metadata_broad_sample"])[["n_positives", "n_negatives"]]
    assert {key: tuple(row) for key, row in found.iterrows()} == {
        ("A", "C0"): (1, 2),
        ("A", "C3"): (1, 1),
        ("A", "K0"): (2, 1),
        ("B", "C2"): (1, 2),
        ("B", "C3"): (1, 1),
        ("B", "K1"): (2, 1),
        ("D", "K2"): (0, 3),
    }


def test_guides_without_a_detected_sister_take_no_part():
    of_guide = {"a1": "A", "a2": "A", "b1": "B", "b2": "B", "d1": "D"}
    frame = plates(["Q1", "Q2"], list(of_guide), kind="CRISPR", hours=96, controls="NO_SITE", targets=of_guide)
    detected = all_detected(frame)
    detected["retrieved"] = detected["Metadata_broad_sample"] != "b2"
    answers = match(frame, profiles(frame), detected, tasks=[SISTER_GUIDES])
    assert answers.queries["Metadata_broad_sample"].tolist() == ["a1", "a2"]
    assert answers.scores["n_profiles"].tolist() == [2]


def test_a_gene_is_counted_once_however_often_it_is_listed():
    messy = {"C0": "A|A|B", "C1": "|A|", "C2": "A", "C3": "", "C4": "B", "C5": "D", "C6": None}
    clean = messy | {"C0": "A|B", "C1": "A", "C3": None}
    answers = []
    for targets in (messy, clean):
        frame = _compounds(targets)
        answers.append(match(frame, profiles(frame), all_detected(frame), tasks=[SISTER_COMPOUNDS]))
    pd.testing.assert_frame_equal(answers[0].queries, answers[1].queries)
    assert answers[0].scores["n_profiles"].tolist() == [5]


def test_a_gene_that_every_compound_has_leaves_nobody_without_it():
    """Of such queries copairs 0.5.5 raises, or takes the negatives of the item that comes next: here they have none."""
    targets = {f"C{i:02d}": f"ALL|T{i % 8}" for i in range(24)}
    frame = _compounds(targets)
    answers = match(frame, profiles(frame), all_detected(frame), tasks=[SISTER_COMPOUNDS])
    assert (answers.queries["n_negatives"] == 0).all()
    assert answers.queries["average_precision"].isna().all()
    assert not answers.classes["retrieved"].any()
    row = answers.scores.iloc[0]
    assert (row["n_classes"], row["n_classes_without_positives"], row["note"]) == (0, 0, "0 of 9" + FEW_CLASSES)


def test_queries_without_negatives_are_left_out_and_counted():
    targets = {f"C{i:02d}": f"T{i % 8}" for i in range(24)} | {"C24": "|".join(f"T{i}" for i in range(8))}
    frame = _compounds(targets)
    answers = match(frame, profiles(frame), all_detected(frame), tasks=[SISTER_COMPOUNDS])
    of_all = answers.queries["Metadata_broad_sample"] == "C24"
    assert (answers.queries.loc[of_all, ["n_positives", "n_negatives"]] == [3, 0]).all(axis=None)
    assert answers.queries["average_precision"].isna().equals(of_all)
    assert (answers.classes["n_queries"] == 4).all()
    assert (answers.classes["n_queries_scored"] == 3).all()
    row = answers.scores.iloc[0]
    assert row["note"] == "8 queries have no score: they have a positive but no negative"
    assert row["n_classes"] == 8
    assert 0.0 <= row["fraction_retrieved"] <= 1.0


def test_a_target_of_one_compound_is_no_class_to_be_scored():
    targets = {f"C{i:02d}": f"T{i % 6}" for i in range(12)} | {"C99": "LONELY"}
    frame = _compounds(targets)
    answers = match(frame, profiles(frame), all_detected(frame), tasks=[SISTER_COMPOUNDS])
    alone = answers.classes.set_index("class_name").loc["LONELY"]
    assert (alone["n_queries"], alone["n_queries_scored"], alone["retrieved"]) == (1, 0, False)
    assert alone[["mean_average_precision", "p_value", "q_value"]].isna().all()
    row = answers.scores.iloc[0]
    assert (row["n_classes"], row["n_classes_without_positives"]) == (6, 1)


def test_too_few_targets_have_a_note_and_no_number():
    targets = {f"C{i:02d}": f"T{i % 4}" for i in range(12)}
    frame = _compounds(targets)
    answers = match(frame, profiles(frame), all_detected(frame), tasks=[SISTER_COMPOUNDS])
    row = answers.scores.iloc[0]
    assert (row["n_classes"], row["note"]) == (4, "4 of 4" + FEW_CLASSES)
    assert np.isnan([row["fraction_retrieved"], row["mean_average_precision"]]).all()
    assert answers.classes["q_value"].notna().all()


def test_identical_profiles_tie_in_favour_of_positives_as_in_copairs(small):
    frame, _, _ = small
    answers = match(frame, np.ones((len(frame), 7)), all_detected(frame))
    assert (answers.queries["average_precision"].dropna() == 1.0).all()
    assert answers.queries["average_precision"].notna().sum() > 300


def test_nobody_detected_gives_notes_and_empty_tables(small):
    frame, X, detected = small
    nobody = match(frame, X, detected.assign(retrieved=False))
    CLASSES.check(nobody.classes, "classes")
    SCORES.check(nobody.scores, "scores")
    assert nobody.queries.empty
    assert nobody.classes.empty
    assert len(nobody.scores) == 10
    assert set(nobody.scores["note"]) == {"no perturbation that was detected has a target to match on"}
    empty = match(frame, X, detected.iloc[:0])
    pd.testing.assert_frame_equal(empty.scores, nobody.scores)


def test_a_task_is_refused_where_no_profile_is_of_a_modality_that_it_asks(small):
    frame, X, detected = small
    orfs = (frame["Metadata_experiment_type"] == "ORF").to_numpy()
    with pytest.raises(BadTableError, match="sister_guides cannot be asked of profiles that are all of ORF"):
        match(frame[orfs], X[orfs], detected, tasks=[SISTER_GUIDES])
    guides = (frame["Metadata_experiment_type"] == "CRISPR").to_numpy()
    assert set(match(frame[guides], X[guides], detected).scores["task"]) == {SISTER_GUIDES}


def test_consensus_profiles_that_cannot_be_scored_are_refused_by_name():
    targets = {f"C{i:02d}": f"T{i % 6}" for i in range(12)}
    frame = _compounds(targets)
    X = profiles(frame)
    row = np.flatnonzero((frame["Metadata_broad_sample"] == "C03") & (frame["Metadata_Plate"] == "P2"))[0]
    twin = np.flatnonzero((frame["Metadata_broad_sample"] == "C03") & (frame["Metadata_Plate"] == "P1"))[0]
    features = [f"Nuclei_{i}" for i in range(X.shape[1])]
    for value in (np.nan, np.inf):
        broken = X.copy()
        broken[row, 5] = value
        with pytest.raises(ProfileError, match=f"profile of C03 on plates P1, P2: feature Nuclei_5 is {value}"):
            match(frame, broken, all_detected(frame), features=features)
    broken[row] = -broken[twin]
    with pytest.raises(ProfileError, match="consensus profile of C03 on plates P1, P2: every feature is 0"):
        match(frame, broken, all_detected(frame))


def test_bad_tables_are_refused(small):
    frame, X, detected = small
    with pytest.raises(BadTableError, match="Metadata_target_list"):
        match(frame.drop(columns="Metadata_target_list"), X, detected)
    with pytest.raises(BadTableError, match="detected classes lack the columns Metadata_timepoint, retrieved"):
        match(frame, X, detected.drop(columns=["retrieved", "Metadata_timepoint"]))
    for wrong in (X[1:], np.vstack([X, X])):
        with pytest.raises(ValueError, match="rows of metadata"):
            match(frame, wrong, detected)


@pytest.mark.parametrize(
    ("name", "other"),
    [("metric_mode", "copairs"), ("wells", "inner"), ("p_convention", "strict"), ("q_threshold", 0.5)],
)
def test_classes_of_several_rules_are_refused(small, name, other):
    """The table of the platform holds every rule: what any of them retrieved would be taken for detected."""
    frame, X, detected = small
    several = pd.concat([detected, detected.assign(**{name: other})])
    with pytest.raises(BadTableError, match=f"detected classes must be of one {name}, found .*{other}"):
        match(frame, X, several)


def test_memory_is_bounded_as_in_detection(small):
    frame, X, detected = small
    pd.testing.assert_frame_equal(match(frame, X, detected, max_memory=100_000).classes, match(*small).classes)
    with pytest.raises(ProfileError, match="max_memory"):
        match(frame, X, detected, max_memory=1_000)

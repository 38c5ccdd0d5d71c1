"""The whole benchmark: its parts, what it depends on and what not, planted effects and none, and hard cases."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, false_discovery_control, kstest

from cpjump_assets.science.benchmark import score_benchmark
from cpjump_assets.science.class_scores import METRIC_MODES, MetricConfig
from cpjump_assets.science.detection import detect
from cpjump_assets.science.errors import BadTableError, ProfileError
from cpjump_assets.science.matching import match
from cpjump_assets.science.score_tables import CLASSES, SCORES
from cpjump_assets.science.tasks import (
    CONDITION,
    DETECTION,
    GENE_COMPOUND,
    MATCHING_TASKS,
    ORF_DIFFERENT_WELL,
    ORF_SAME_WELL,
    REFERENCE,
    SISTER_COMPOUNDS,
    SISTER_GUIDES,
    TASKS,
)
from cpjump_assets_tests.science.helpers_plates import is_treated, plates, screen_with_effects, target_effects

CELL = ["subset", "task", *CONDITION, *REFERENCE]
TABLES = ("queries", "classes", "scores")
N_CELLS = {
    DETECTION: 6,
    ORF_SAME_WELL: 1,
    ORF_DIFFERENT_WELL: 1,
    SISTER_COMPOUNDS: 3,
    SISTER_GUIDES: 2,
    GENE_COMPOUND: 5,
}


def assert_same(found, expected, *, dropping=()):
    for name in TABLES:
        one, other = (getattr(answers, name) for answers in (found, expected))
        columns = [column for column in dropping if column in one]
        one, other = (table.drop(columns=columns).reset_index(drop=True) for table in (one, other))
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def of_subset(answers, subset):
    tables = {name: getattr(answers, name) for name in TABLES}
    return SimpleNamespace(**{name: table[table["subset"] == subset] for name, table in tables.items()})


@pytest.fixture(scope="module")
def small():
    return screen_with_effects(shared=0.4)


@pytest.fixture(scope="module")
def found(small):
    return score_benchmark(*small)


def test_every_task_is_there_in_order_with_tables_that_keep_to_their_schemas(found):
    CLASSES.check(found.classes, "classes")
    SCORES.check(found.scores, "scores")
    assert found.classes.columns.tolist() == CLASSES.column_names
    assert found.scores.columns.tolist() == SCORES.column_names
    assert list(dict.fromkeys(found.scores["task"])) == list(TASKS)
    assert found.scores["task"].value_counts().to_dict() == N_CELLS
    assert not found.scores.duplicated(CELL).any()


def test_the_benchmark_is_detection_and_matching_of_what_was_detected(small, found):
    detected, parts = detect(*small), match(*small, detect(*small).classes)
    assert 0.5 < detected.classes["retrieved"].mean() < 0.95
    for name, part in ((DETECTION, detected), (MATCHING_TASKS, parts)):
        for table in ("classes", "scores"):
            whole = getattr(found, table)
            own = whole[whole["task"].isin([name] if isinstance(name, str) else name)].reset_index(drop=True)
            pd.testing.assert_frame_equal(own, getattr(part, table), check_exact=True)


@pytest.mark.parametrize("mode", METRIC_MODES)
def test_numbers_of_a_score_follow_from_its_classes(small, mode):
    answers = score_benchmark(*small, config=MetricConfig(metric_mode=mode))
    assert set(answers.scores["metric_mode"]) == set(answers.classes["metric_mode"]) == {mode}
    for key, own in answers.classes.groupby(CELL):
        row = answers.scores[(answers.scores[CELL] == list(key)).all(axis=1)].iloc[0]
        scored = own[own["n_queries_scored"] > 0]
        np.testing.assert_allclose(scored["q_value"], false_discovery_control(scored["p_value"]), rtol=1e-12)
        assert (scored["retrieved"] == (scored["q_value"] < 0.05)).all()
        assert (row["n_classes"], row["n_retrieved"]) == (len(scored), own["retrieved"].sum())
        assert row["n_queries"] == own["n_queries"].sum()
        assert row["fraction_retrieved"] == row["n_retrieved"] / len(scored)
        assert row["mean_average_precision"] == pytest.approx(scored["mean_average_precision"].mean(), rel=1e-12)
        for name in ("fraction_retrieved", "mean_average_precision"):
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


def test_matching_asks_what_its_own_mode_detected(small):
    answers = {mode: score_benchmark(*small, config=MetricConfig(metric_mode=mode)) for mode in METRIC_MODES}
    asked = {}
    for mode, given in answers.items():
        detection = given.classes[(given.classes["task"] == DETECTION) & given.classes["retrieved"]]
        keys = ["Metadata_cell_line", "Metadata_timepoint", "Metadata_broad_sample"]
        compounds = detection[detection["Metadata_experiment_type"] == "Compound"][keys]
        queries = given.queries[given.queries["task"] == SISTER_COMPOUNDS]
        asked[mode] = set(queries[keys].itertuples(index=False, name=None))
        without_genes = {key for key in compounds.itertuples(index=False, name=None) if key[2] == "C27"}
        assert asked[mode] == set(compounds.itertuples(index=False, name=None)) - without_genes
    assert asked["paper_2024"] != asked["copairs"]


@pytest.mark.parametrize("rule", [{}, {"metric_mode": "copairs"}, {"p_convention": "monte_carlo", "null_size": 2_000}])
def test_the_order_of_the_rows_changes_no_bit(small, rule):
    frame, X = small
    order = np.random.default_rng(7).permutation(len(frame))
    config = MetricConfig(**rule)
    assert_same(score_benchmark(frame.iloc[order], X[order], config=config), score_benchmark(frame, X, config=config))


def test_single_precision_profiles_are_scored_as_what_they_are(small):
    frame, X = small
    X = X.astype(np.float32)
    assert_same(score_benchmark(frame, X), score_benchmark(frame, X.astype(np.float64)))


def test_the_profiles_are_left_as_they_are(small):
    frame, X = small
    columns, values = frame.copy(), X.copy()
    score_benchmark(frame, X)
    pd.testing.assert_frame_equal(frame, columns)
    np.testing.assert_array_equal(X, values)


def test_a_tight_bound_on_memory_changes_nothing_until_the_result_itself_does_not_fit(small, found):
    frame, X = small
    assert_same(score_benchmark(frame, X, max_memory=100_000), found)
    with pytest.raises(ProfileError, match="max_memory"):
        score_benchmark(frame, X, max_memory=1_000)


def test_tasks_may_be_chosen_and_detection_is_always_asked(small, found):
    for tasks in ([DETECTION], [ORF_SAME_WELL], [GENE_COMPOUND, SISTER_GUIDES]):
        chosen = score_benchmark(*small, tasks=tasks)
        expected = [task for task in TASKS if task in {DETECTION, *tasks}]
        assert list(dict.fromkeys(chosen.scores["task"])) == expected
        own = found.classes[found.classes["task"].isin(expected)].reset_index(drop=True)
        pd.testing.assert_frame_equal(chosen.classes, own, check_exact=True)
    with pytest.raises(ValueError, match="sister_guide: no such task"):
        score_benchmark(*small, tasks=["sister_guide"])


def test_inner_wells_are_scored_as_if_the_others_were_not_there(small):
    frame, X = small
    frame = frame.assign(Metadata_is_outer=np.random.default_rng(8).random(len(frame)) < 0.2)
    kept = ~frame["Metadata_is_outer"].to_numpy()
    inner = score_benchmark(frame, X, config=MetricConfig(wells="inner"))
    alone = score_benchmark(frame[kept], X[kept])
    assert set(inner.scores["wells"]) == set(inner.classes["wells"]) == {"inner"}
    assert_same(inner, alone, dropping=["wells"])
    assert inner.scores["n_profiles"].sum() < score_benchmark(frame, X).scores["n_profiles"].sum()
    broken = X.copy()
    broken[~kept] = np.nan
    assert_same(score_benchmark(frame, broken, config=MetricConfig(wells="inner")), inner)
    with pytest.raises(BadTableError, match="Metadata_is_outer"):
        score_benchmark(frame.drop(columns="Metadata_is_outer"), X, config=MetricConfig(wells="inner"))


def test_a_subset_is_scored_as_if_it_were_alone_with_the_controls_of_its_plates(small):
    frame, X = small
    number = pd.Series(pd.factorize(frame["Metadata_broad_sample"], sort=True)[0])
    subsets = pd.Series("train", index=frame.index, dtype="str").mask(number % 5 == 1, "test").mask(number % 5 == 2)
    split = score_benchmark(frame, X, subsets=subsets, subset_names=("train", "validate", "test"))
    SCORES.check(split.scores, "scores")
    CLASSES.check(split.classes, "classes")
    counts = split.scores.groupby(["subset", "task"]).size()
    assert counts.to_dict() == {
        (name, task): n for name in ("train", "validate", "test") for task, n in N_CELLS.items()
    }
    for name in ("train", "test"):
        kept = (subsets.eq(name).fillna(False) | frame["Metadata_control_type"].eq("negcon")).to_numpy(dtype=bool)
        assert_same(of_subset(split, name), score_benchmark(frame[kept], X[kept]), dropping=["subset"])


def test_a_subset_that_holds_no_well_or_too_few_classes_has_notes_and_no_numbers(small):
    frame, X = small
    subsets = (
        frame["Metadata_broad_sample"].isin(["C00", "C01", "G00-a", "ORF-G03"]).map({True: "test", False: "train"})
    )
    split = score_benchmark(frame, X, subsets=subsets.astype("str"), subset_names=("train", "validate", "test"))
    scores = split.scores.set_index("subset")
    numbers = [
        f"{name}{end}" for name in ("fraction_retrieved", "mean_average_precision") for end in ("", "_low", "_high")
    ]
    assert scores.loc[["validate", "test"], numbers].isna().all(axis=None)
    assert scores.loc[["validate", "test"], "note"].notna().all()
    assert scores.loc["train", numbers].notna().all(axis=None)
    nothing = scores.loc["validate"]
    assert (nothing[["n_profiles", "n_queries", "n_classes", "n_retrieved"]] == 0).all(axis=None)
    is_matching = nothing["task"].isin(MATCHING_TASKS)
    assert set(nothing.loc[~is_matching, "note"]) == {"no well of this condition is in the subset"}
    assert set(nothing.loc[is_matching, "note"]) == {"no perturbation that was detected has a target to match on"}
    few = scores.loc["test"].query("task == 'detection' and Metadata_experiment_type == 'Compound'")
    assert set(few["note"]) == {"2 of 2 classes have a positive pair and a negative, at least 5 must"}
    assert (few["n_classes"] == 2).all()
    assert set(split.classes["subset"]) == {"train", "test"}


def test_planted_effects_are_detected_in_order_of_their_strength():
    levels = [0.0, 0.4, 0.8, 1.2]
    samples = [f"S{i:02d}" for i in range(80)]
    strength = pd.Series({name: levels[i % 4] for i, name in enumerate(samples)})
    frame = plates(["P1", "P2", "P3", "P4"], samples)
    classes = score_benchmark(frame, target_effects(frame, own=strength, shared=0.0), tasks=[DETECTION]).classes
    level = classes["Metadata_broad_sample"].map(strength)
    assert classes.groupby(level)["mean_average_precision"].mean().is_monotonic_increasing
    retrieved = classes.groupby(level)["retrieved"].mean()
    assert retrieved.is_monotonic_increasing
    assert (retrieved.iloc[0], retrieved.iloc[-1]) == (0.0, 1.0)


@pytest.fixture(scope="module")
def no_effects():
    """Give 400 families of six classes without effects.

    Each class has one scored query, because the other plates have no controls: its p is that of one list.
    """
    samples = [f"S{i}" for i in range(6)]
    asked = plates(["P1"], samples, n_controls=30)
    others = plates(["P2", "P3", "P4"], samples, n_controls=0)
    one = pd.concat([asked, others], ignore_index=True)
    frame = pd.concat([one.assign(Metadata_timepoint=hours) for hours in range(400)], ignore_index=True)
    frame["Metadata_Plate"] += "-" + frame["Metadata_timepoint"].astype("str")
    X = np.random.default_rng(9).normal(size=(len(frame), 8))
    return score_benchmark(frame, X, tasks=[DETECTION], config=MetricConfig(p_convention="strict"))


def test_without_effects_p_is_uniform(no_effects):
    """One query of each family, because queries of one plate share their negatives."""
    queries = no_effects.queries
    p = queries.loc[queries["Metadata_broad_sample"].eq("S0") & queries["n_negatives"].gt(0), "p_value"]
    assert len(p) == 400
    assert kstest(p, "uniform").pvalue > 0.01


def test_without_effects_benjamini_hochberg_lets_through_what_it_promises(no_effects):
    """One family in twenty may have a class that is retrieved; a few less, because classes share their negatives."""
    assert (no_effects.classes["n_queries_scored"] == 1).all()
    n_families = no_effects.classes.groupby("Metadata_timepoint")["retrieved"].any().sum()
    assert binom.ppf(0.001, 400, 0.03) <= n_families <= binom.ppf(0.999, 400, 0.05)


@pytest.mark.parametrize(
    ("kind", "tasks"),
    [
        ("Compound", [DETECTION, SISTER_COMPOUNDS]),
        ("CRISPR", [DETECTION, SISTER_GUIDES]),
        ("ORF", [DETECTION, ORF_SAME_WELL, ORF_DIFFERENT_WELL]),
    ],
)
def test_plates_of_one_modality_are_scored_in_the_tasks_that_ask_it(small, found, kind, tasks):
    frame, X = small
    own = (frame["Metadata_experiment_type"] == kind).to_numpy()
    alone = score_benchmark(frame[own], X[own])
    assert list(dict.fromkeys(alone.scores["task"])) == tasks
    whole = found.classes[
        found.classes["task"].isin(tasks) & (found.classes["Metadata_experiment_type"] == kind)
    ].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone.classes, whole, check_exact=True)


def test_without_negative_controls_nothing_is_scored_and_every_row_says_so(small):
    frame, X = small
    treated = is_treated(frame).to_numpy()
    answers = score_benchmark(frame[treated], X[treated])
    assert answers.scores["task"].value_counts().to_dict() == N_CELLS
    assert (answers.scores["n_retrieved"] == 0).all()
    assert (answers.scores["n_classes"] == 0).all()
    assert answers.scores["note"].notna().all()
    assert not answers.classes["retrieved"].any()


def test_identical_profiles_are_all_retrieved_because_positives_go_first(small):
    frame, _ = small
    scores = score_benchmark(frame, np.full((len(frame), 5), 3.0)).scores
    assert (scores["mean_average_precision"] == 1.0).all()
    assert (scores.loc[scores["task"] == DETECTION, "fraction_retrieved"] == 1.0).all()


def test_wells_that_take_no_part_change_nothing_and_may_be_broken(small, found):
    frame, X = small
    secondary = plates(["R1"], ["C00", "C01"]).assign(Metadata_is_primary=False)
    empty = frame.iloc[:2].assign(
        Metadata_Well=["P23", "P24"], Metadata_broad_sample="empty", Metadata_target_list=None
    )
    more = pd.concat([secondary, frame, empty], ignore_index=True)
    broken = np.vstack([np.full((len(secondary), X.shape[1]), np.nan), X, np.zeros((2, X.shape[1]))])
    assert_same(score_benchmark(more, broken), found)


def test_profiles_that_cannot_be_scored_are_refused_by_feature_plate_and_well(small):
    frame, X = small
    features = [f"Cells_{i}" for i in range(X.shape[1])]
    row = np.flatnonzero(frame["Metadata_Plate"] == "AK-2")[3]
    well = frame["Metadata_Well"].iloc[row]
    broken = X.copy()
    broken[row, 11] = np.nan
    with pytest.raises(ProfileError, match=f"AK-2, well {well}: feature Cells_11 is nan"):
        score_benchmark(frame, broken, features=features)
    broken[row] = 0.0
    with pytest.raises(ProfileError, match=f"AK-2, well {well}: every feature is 0"):
        score_benchmark(frame, broken)


def test_target_lists_are_needed_for_matching_alone(small):
    frame, X = small
    without = frame.drop(columns="Metadata_target_list")
    with pytest.raises(BadTableError, match="Metadata_target_list"):
        score_benchmark(without, X)
    assert score_benchmark(without, X, tasks=[ORF_SAME_WELL]).scores["task"].nunique() == 2


def test_metadata_of_other_profiles_are_refused(small):
    frame, X = small
    with pytest.raises(ValueError, match="rows of metadata"):
        score_benchmark(frame, X[1:])


def test_nobody_detected_leaves_matching_with_notes():
    """Each profile is the opposite of its replicate, so that it finds it last of all."""
    frame = plates(["P1", "P2"], [f"S{i:02d}" for i in range(10)])
    one = np.random.default_rng(11).normal(size=(len(frame) // 2, 30))
    scores = score_benchmark(frame, np.vstack([one, -one])).scores.set_index("task")
    assert scores.loc[DETECTION, "n_retrieved"] == 0
    assert scores.loc[SISTER_COMPOUNDS, "note"] == "no perturbation that was detected has a target to match on"

"""ORFs in the same and in different wells: against copairs and scikit-learn, on the real layout, in subsets."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.answers import Answers, answer
from cpjump_assets.science.class_scores import MetricConfig
from cpjump_assets.science.detection import ask_for_replicates, detect
from cpjump_assets.science.layout import lay_out
from cpjump_assets.science.score_tables import CLASSES, SCORES
from cpjump_assets.science.tasks import CONDITION, DETECTION, ORF_DIFFERENT_WELL, ORF_SAME_WELL, REPLICATE_TASKS
from cpjump_assets_tests.science.helpers_plates import profiles, real_layout
from cpjump_assets_tests.science.helpers_replicates import (
    ask,
    orf_conditions,
    sorted_list_precision,
    two_conditions,
    with_peer,
)


@pytest.fixture
def orfs():
    """Give ORFs at two times and compounds, with their profiles."""
    return orf_conditions()


@pytest.mark.parametrize(
    ("task", "hours", "n_positives"),
    [
        (ORF_SAME_WELL, 48, {0, 1}),
        (ORF_SAME_WELL, 96, {1}),
        (ORF_DIFFERENT_WELL, 48, {0, 1, 2}),
        (ORF_DIFFERENT_WELL, 96, {0, 2}),
    ],
)
def test_average_precision_of_orfs_equals_copairs_and_scikit_learn(orfs, task, hours, n_positives):
    metadata, X = orfs
    queries = ask(metadata, X, task).queries
    own = (metadata["Metadata_experiment_type"] == "ORF") & (metadata["Metadata_timepoint"] == hours)
    both = with_peer(metadata[own], X[own], queries[queries["Metadata_timepoint"] == hours], task)
    np.testing.assert_allclose(both["average_precision"], both["peer"], rtol=0, atol=4.5e-16)
    frame, profiles_of_orfs = metadata[own].reset_index(drop=True), X[own]
    place = pd.MultiIndex.from_frame(frame[["Metadata_Plate", "Metadata_Well"]])
    rows = place.get_indexer(pd.MultiIndex.from_frame(both[["Metadata_Plate", "Metadata_Well"]]))
    expected = [sorted_list_precision(frame, profiles_of_orfs, row, task) for row in rows]
    np.testing.assert_allclose(both["average_precision"], expected, rtol=0, atol=4.5e-16)
    assert set(both["n_positives"]) == n_positives


@pytest.mark.parametrize("task", [ORF_SAME_WELL, ORF_DIFFERENT_WELL])
def test_average_precision_of_orfs_equals_copairs_on_a_real_condition(reference_root, task):
    metadata = real_layout(reference_root, experiment_type="ORF", cell_line="A549", timepoint=48)
    X = profiles(metadata, acting=set(metadata["Metadata_broad_sample"].unique()[::3]), strength=0.5)
    both = with_peer(metadata, X, ask(metadata, X, task).queries, task)
    np.testing.assert_allclose(both["average_precision"], both["peer"], rtol=0, atol=4.5e-16)


def test_real_orfs_have_one_replicate_in_the_same_well_and_two_in_the_other(reference_root):
    metadata = real_layout(reference_root, experiment_type="ORF")
    X = profiles(metadata, n_features=6)
    on_wells = ask_for_replicates(lay_out(metadata), X)
    whole, same, different = (answer(questions, MetricConfig()) for questions in on_wells)
    for found, n_positives, n_classes, share in ((whole, 3, 160, 1 / 3), (same, 1, 320, 1.0), (different, 2, 160, 0.0)):
        SCORES.check(found.scores, "scores")
        assert len(found.scores) == 4
        assert (found.scores[["n_profiles", "n_queries"]] == 640).all(axis=None)
        assert (found.scores["n_negative_controls"] == 120).all()
        assert (found.scores["n_classes"] == n_classes).all()
        np.testing.assert_allclose(found.scores["same_well_share"], share)
        asked = found.queries[found.queries["Metadata_control_type"] != "negcon"]
        assert set(asked["n_positives"]) == {n_positives}
        assert set(asked["n_negatives"]) == {60}


def test_same_well_share_is_of_the_positives_that_count(orfs):
    metadata, X = orfs
    found = [answer(questions, MetricConfig()).scores for questions in ask_for_replicates(lay_out(metadata), X)]
    whole, same, different = (table.set_index("Metadata_timepoint")["same_well_share"] for table in found)
    # At 48 h: of each of 14 ORFs 4 of 12 pairs, of S01 2 of 2, of the one that moved none of 2.
    assert whole[48] == pytest.approx((14 * 4 + 2) / (14 * 12 + 2 + 2))
    assert whole[96] == pytest.approx((15 * 4 + 2) / (15 * 12 + 2))
    assert np.isnan(whole[24])
    assert same.to_dict() == {48: 1.0, 96: 1.0}
    assert different.to_dict() == {48: 0.0, 96: 0.0}


def test_classes_of_orfs_are_perturbations_at_a_well_or_perturbations(orfs):
    metadata, X = orfs
    same, different = (ask(metadata, X, task).classes for task in (ORF_SAME_WELL, ORF_DIFFERENT_WELL))
    assert (same["Metadata_experiment_type"] == "ORF").all()
    treated = metadata[metadata["Metadata_experiment_type"].eq("ORF") & metadata["Metadata_control_type"].ne("negcon")]
    own = treated[treated["Metadata_timepoint"] == 48]
    names = own["Metadata_broad_sample"] + " " + own["Metadata_Well"]
    found = same[same["Metadata_timepoint"] == 48]
    assert found["class_name"].tolist() == sorted(set(names))
    assert found["Metadata_broad_sample"].tolist() == [name.split()[0] for name in found["class_name"]]
    assert (found["Metadata_target"] == "gene " + found["Metadata_broad_sample"]).all()
    by_sample = different[different["Metadata_timepoint"] == 48]
    assert by_sample["class_name"].tolist() == sorted(set(own["Metadata_broad_sample"]))
    assert (by_sample["class_name"] == by_sample["Metadata_broad_sample"]).all()
    scored = by_sample.set_index("class_name")["n_queries_scored"]
    assert scored[["S00", "S01", "S02", "once"]].tolist() == [0, 0, 4, 2]


def test_tasks_are_asked_of_their_modalities_alone(orfs):
    metadata, X = orfs
    asked = ask_for_replicates(lay_out(metadata), X)
    assert [part.cells["task"].iloc[0] for part in asked] == list(REPLICATE_TASKS)
    metadata, X = two_conditions()
    (only,) = ask_for_replicates(lay_out(metadata), X)
    assert set(only.cells["task"]) == {DETECTION}
    assert ask_for_replicates(lay_out(metadata), X, (ORF_SAME_WELL,)) == []


def test_tasks_of_orfs_never_look_at_profiles_of_others(orfs):
    metadata, X = orfs
    broken = np.where((metadata["Metadata_experiment_type"] == "ORF").to_numpy()[:, np.newaxis], X, np.nan)
    for task in (ORF_SAME_WELL, ORF_DIFFERENT_WELL):
        pd.testing.assert_frame_equal(ask(metadata, broken, task).classes, ask(metadata, X, task).classes)


@pytest.mark.parametrize("task", REPLICATE_TASKS)
def test_tables_keep_to_their_schemas_and_are_sorted(orfs, task):
    found = ask(*orfs, task)
    pd.testing.assert_frame_equal(found.classes, CLASSES.normalise(found.classes, "classes"))
    pd.testing.assert_frame_equal(found.scores, SCORES.normalise(found.scores, "scores"))
    keys = ["subset", *CONDITION, "Metadata_Batch", "Metadata_Plate", "Metadata_Well"]
    pd.testing.assert_frame_equal(found.queries, found.queries.sort_values(keys, ignore_index=True))


def test_negative_controls_do_not_ask_in_the_tasks_of_orfs(orfs):
    for task in (ORF_SAME_WELL, ORF_DIFFERENT_WELL):
        assert (ask(*orfs, task).queries["Metadata_control_type"] != "negcon").all()


def test_an_effect_of_the_position_is_found_in_the_same_well_alone(orfs):
    metadata, _ = orfs
    X = profiles(metadata, strength=0.0)
    for i, well in enumerate(sorted(metadata["Metadata_Well"].unique())):
        X[metadata["Metadata_Well"] == well] += 1.5 * np.random.default_rng(i).normal(size=X.shape[1])
    same, different = (
        ask(metadata, X, task).scores["fraction_retrieved"] for task in (ORF_SAME_WELL, ORF_DIFFERENT_WELL)
    )
    assert (same > 0.8).all()
    assert (different < 0.2).all()


@pytest.mark.parametrize("task", [ORF_SAME_WELL, ORF_DIFFERENT_WELL])
def test_answers_of_orfs_depend_neither_on_row_order_nor_on_memory(orfs, task):
    metadata, X = orfs
    found = ask(metadata, X, task)
    order = np.random.default_rng(6).permutation(len(metadata))
    again = ask(metadata.iloc[order], X[order], task)
    (in_blocks,) = ask_for_replicates(lay_out(metadata), X, (task,), max_memory=20_000)
    for name in ("queries", "classes", "scores"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(again, name), check_exact=True)
        other = getattr(answer(in_blocks, MetricConfig()), name)
        pd.testing.assert_frame_equal(getattr(found, name), other, check_exact=True)


@pytest.mark.parametrize("task", REPLICATE_TASKS)
def test_subsets_are_scored_by_themselves_with_the_controls_of_their_plates(orfs, task):
    metadata, X = orfs
    number = metadata["Metadata_broad_sample"].str.extract(r"S(\d+)", expand=False).astype(float)
    subsets = pd.Series("train", index=metadata.index).mask(number >= 9, "test").mask(number >= 14)
    layout = lay_out(metadata, subsets, subset_names=("train", "test"))
    found = answer(ask_for_replicates(layout, X, (task,))[0], MetricConfig())
    assert set(found.queries["subset"]) == {"train", "test"}
    for subset in ("train", "test"):
        kept = (subsets == subset) | (metadata["Metadata_control_type"] == "negcon")
        alone = ask(metadata[kept], X[kept], task)
        for name in ("classes", "scores"):
            expected, table = getattr(alone, name).drop(columns="subset"), getattr(found, name)
            own = table[table["subset"] == subset].drop(columns="subset").reset_index(drop=True)
            pd.testing.assert_frame_equal(own, expected, check_exact=True)


@pytest.mark.parametrize("task", REPLICATE_TASKS)
def test_a_split_without_any_well_gives_notes_only(orfs, task):
    metadata, X = orfs
    nowhere = pd.Series(np.nan, index=metadata.index, dtype="str")
    (questions,) = ask_for_replicates(lay_out(metadata, nowhere, subset_names=("test",)), X, (task,))
    found = answer(questions, MetricConfig())
    assert found.queries.empty
    assert found.classes.empty
    expected = ["no well of this condition is in the subset"] * (3 if task == DETECTION else 2)
    assert found.scores["note"].tolist() == expected
    SCORES.check(found.scores, "scores")


def test_detection_alone_is_the_first_of_the_tasks(orfs):
    metadata, X = orfs
    every = Answers.concatenate(
        [answer(questions, MetricConfig()) for questions in ask_for_replicates(lay_out(metadata), X)]
    )
    alone = detect(metadata, X)
    treated = alone.queries["Metadata_control_type"] != "negcon"
    own = every.queries[every.queries["task"] == DETECTION]
    pd.testing.assert_frame_equal(own, alone.queries[treated].reset_index(drop=True), check_exact=True)
    for name in ("classes", "scores"):
        table = getattr(every, name)
        pd.testing.assert_frame_equal(table[table["task"] == DETECTION], getattr(alone, name), check_exact=True)

"""What the tasks on wells hand on keeps to the form in which all questions are answered."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.detection import ask_for_replicates
from cpjump_assets.science.layout import lay_out
from cpjump_assets.science.questions import CELL_KEY
from cpjump_assets.science.retrieval import NO_CLASS
from cpjump_assets.science.tasks import CONDITION, REFERENCE, REPLICATE_TASKS
from cpjump_assets_tests.science.helpers_plates import plates, profiles
from cpjump_assets_tests.science.helpers_scores import make_questions


def _asked(*, with_subsets):
    """Give layout and questions of two conditions, one of which has no well in the subset ``test``."""
    orfs = plates(["O1", "O2"], [f"S{i}" for i in (0, 1, 2, 2, 1, 0)], kind="ORF", hours=48)
    frame = pd.concat([orfs, plates(["P1", "P2"], ["S0", "S3"])], ignore_index=True)
    subsets = pd.Series("train", index=frame.index).mask(frame["Metadata_broad_sample"].isin(["S1", "S2"]), "test")
    choice = {"subsets": subsets, "subset_names": ("train", "validate", "test")} if with_subsets else {}
    layout = lay_out(frame, **choice)
    return layout, ask_for_replicates(layout, profiles(frame))


@pytest.fixture(params=[False, True], ids=["every well", "subsets"])
def asked(request):
    return _asked(with_subsets=request.param)


def test_all_that_is_said_of_queries_classes_and_cells_has_their_number(asked):
    _, every = asked
    assert [part.cells["task"].unique().tolist() for part in every] == [[name] for name in REPLICATE_TASKS]
    for part in every:
        n_queries, n_classes = len(part.lists), len(part.families)
        assert len(part.members) == len(part.cell_of) == n_queries
        assert {len(column) for column in part.queries.values()} == {n_queries}
        assert {len(column) for column in part.classes.values()} == {n_classes}
        assert set(part.classes) == {"class_name", "Metadata_broad_sample", "Metadata_target"}


def test_queries_are_in_the_cell_of_their_class_and_classes_of_a_cell_together_by_name(asked):
    for part in asked[1]:
        in_class = part.members != NO_CLASS
        assert set(part.members[in_class]) == set(range(len(part.families)))
        np.testing.assert_array_equal(part.cell_of[in_class], part.families[part.members[in_class]])
        keys = list(zip(part.families, part.classes["class_name"], strict=True))
        assert keys == sorted(set(keys))
        samples = part.classes["Metadata_broad_sample"][part.members[in_class]]
        np.testing.assert_array_equal(samples, np.asarray(part.queries["Metadata_broad_sample"])[in_class])


def test_there_is_a_cell_for_every_subset_and_condition_also_where_nothing_is_asked(asked):
    layout, every = asked
    for part in every:
        kinds = ["Compound", "ORF"] if part.cells["task"].iloc[0] == "detection" else ["ORF"]
        found = list(part.cells[["subset", "Metadata_experiment_type"]].itertuples(index=False, name=None))
        assert found == [(subset, kind) for subset in layout.subset_names for kind in kinds]
        np.testing.assert_array_equal(
            part.cells[REFERENCE], part.cells[[name for name in CONDITION if "line" not in name]]
        )
        empty = np.bincount(part.families, minlength=len(part.cells)) == 0
        assert (part.cells["n_profiles"].eq(0) == empty).all()
        assert part.cells.loc[empty, "same_well_share"].isna().all()


def test_controls_ask_only_where_they_are_told_to_and_have_no_class(asked):
    layout, every = asked
    for part in every:
        assert (part.members != NO_CLASS).all()
        assert "negcon" not in set(part.queries["Metadata_control_type"])
    if len(layout.subset_names) > 1:
        with pytest.raises(ValueError, match="belong to no subset"):
            layout.with_asking_controls()
        return
    frame = layout.metadata
    (detection,) = ask_for_replicates(layout.with_asking_controls(), profiles(frame), ("detection",))
    controls = np.asarray(detection.queries["Metadata_control_type"] == "negcon")
    np.testing.assert_array_equal(detection.members == NO_CLASS, controls)
    assert controls.sum() == layout.is_control.sum() > 0


def test_keys_of_cells_are_given_as_often_as_asked_for():
    questions = make_questions([{"a": [([1], 3)]}, {"a": [([2], 3)]}])
    found = questions.cell_columns(np.array([1, 0, 1]))
    assert list(found) == CELL_KEY
    assert list(found["subset"]) == ["subset 1", "subset 0", "subset 1"]
    assert list(found["Metadata_timepoint"]) == [48, 48, 48]

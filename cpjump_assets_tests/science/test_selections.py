"""Which profiles a score asks: inner wells, and subsets of a split."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.selections import by_subset, in_subset, taking_part


def test_all_wells_take_part_also_where_nothing_is_known_of_their_position():
    frame = pd.DataFrame({"Metadata_Well": ["A01", "H12"]})
    assert taking_part(frame, "all").tolist() == [True, True]


def test_inner_wells_are_two_rows_and_columns_away_from_the_edge(real):
    inner = real.wells.loc[taking_part(real.wells, "inner"), "Metadata_Well"]
    assert set(inner) == {f"{row}{column:02d}" for row in "CDEFGHIJKLMN" for column in range(3, 23)}
    assert len(inner) == len(real.wells) * (12 * 20) // (16 * 24)


@pytest.mark.parametrize("outer", [pd.array([True, None], dtype="boolean"), [False, np.nan]])
def test_inner_wells_are_refused_where_a_profile_does_not_say_where_it_is(outer):
    frame = pd.DataFrame({"Metadata_Well": ["A01", "H12"]})
    for unsaid in (frame, frame.assign(Metadata_is_outer=outer)):
        with pytest.raises(BadTableError, match="Metadata_is_outer"):
            taking_part(unsaid, "inner")


@pytest.mark.parametrize("dtype", ["bool", "boolean", "object"])
def test_inner_wells_for_every_type_that_a_table_may_give(dtype):
    frame = pd.DataFrame({"Metadata_is_outer": pd.Series([True, False, True], dtype=dtype)})
    assert taking_part(frame, "inner").tolist() == [False, True, False]


def test_without_a_split_every_profile_is_in_every_subset():
    frame = pd.DataFrame({"Metadata_Well": ["A01", "H12"]})
    assert [(name, which.tolist()) for name, which in by_subset(frame, None, ("train", "all"))] == [
        ("train", [True, True]),
        ("all", [True, True]),
    ]
    assert [name for name, _ in by_subset(frame, None)] == ["all"]


@pytest.mark.parametrize("dtype", ["str", "object", "category"])
def test_subsets_are_told_apart_and_wells_outside_of_the_split_are_in_none(dtype):
    frame = pd.DataFrame({"Metadata_Well": ["A01", "A02", "A03", "A04"]}, index=[7, 3, 3, 0])
    subsets = pd.Series(["train", None, "test", "train"], dtype=dtype)
    found = {name: which.tolist() for name, which in by_subset(frame, subsets, ("train", "validate", "test"))}
    assert found == {
        "train": [True, False, False, True],
        "validate": [False] * 4,
        "test": [False, False, True, False],
    }
    assert in_subset(frame, subsets, "test").dtype == np.bool_


def test_subsets_of_other_profiles_are_refused():
    with pytest.raises(ValueError, match="1 subsets for 2 rows"):
        in_subset(pd.DataFrame({"Metadata_Well": ["A01", "H12"]}), pd.Series(["train"]), "train")


def test_a_selection_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="wells 'outer': there are all, inner"):
        taking_part(pd.DataFrame({"Metadata_is_outer": [True, False]}), "outer")


def test_positions_in_words_are_refused():
    with pytest.raises(BadTableError, match="Metadata_is_outer must be true or false, found 'yes'"):
        taking_part(pd.DataFrame({"Metadata_is_outer": ["yes", "no"]}), "inner")

"""Which profiles a score asks: inner wells, and subsets of a split."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.selections import taking_part


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


def test_a_selection_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="wells 'outer': there are all, inner"):
        taking_part(pd.DataFrame({"Metadata_is_outer": [True, False]}), "outer")


def test_positions_in_words_are_refused():
    with pytest.raises(BadTableError, match="Metadata_is_outer must be true or false, found 'yes'"):
        taking_part(pd.DataFrame({"Metadata_is_outer": ["yes", "no"]}), "inner")

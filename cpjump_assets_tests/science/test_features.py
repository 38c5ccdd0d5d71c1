"""Profiles in memory: splitting, joining and stacking."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.features import Profiles, is_feature, require_same_features, stack


def plate_of(names: list[str], *, plate: str = "BR1", wells: int = 3, dtype: str = "float64") -> Profiles:
    frame = pd.DataFrame(
        {"Metadata_Batch": "b", "Metadata_Plate": plate, "Metadata_Well": [f"A{i + 1:02d}" for i in range(wells)]}
    )
    values = np.arange(wells * len(names), dtype=dtype).reshape(wells, len(names))
    return Profiles.from_frame(pd.concat([frame, pd.DataFrame(values, columns=names)], axis="columns"))


@given(st.lists(st.booleans(), min_size=1, max_size=12).filter(any), st.integers(0, 5))
def test_a_frame_splits_into_metadata_and_features_wherever_they_stand(kinds: list[bool], wells: int) -> None:
    names = [f"Cells_F{i}" if is_value else f"Metadata_M{i}" for i, is_value in enumerate(kinds)]
    frame = pd.DataFrame({name: np.arange(wells) + 0.5 * i for i, name in enumerate(names)})
    profiles = Profiles.from_frame(frame)
    assert list(profiles.features) == [name for name in names if name.startswith("Cells")]
    assert list(profiles.metadata.columns) == [name for name in names if name.startswith("Metadata")]
    pd.testing.assert_frame_equal(profiles.to_frame()[names], frame)


def test_every_column_without_the_prefix_is_a_feature() -> None:
    assert is_feature("Image_Count_Cells")
    assert is_feature("metadata_Plate")
    assert not is_feature("Metadata_Site_Count")


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (["float32", "float32"], "float32"),
        (["float32", "float64"], "float64"),
        (["int16", "float32"], "float32"),
        (["int64", "float32"], "float64"),
        (["int64", "int64"], "float64"),
        (["Float32", "float32"], "float64"),
        (["Int64", "float64"], "float64"),
    ],
)
def test_the_matrix_is_single_precision_where_the_features_have_it_in_common(dtypes: list[str], expected: str) -> None:
    frame = pd.DataFrame({f"Cells_{i}": pd.Series([1, 2], dtype=dtype) for i, dtype in enumerate(dtypes)})
    profiles = Profiles.from_frame(frame)
    assert profiles.matrix.dtype == expected
    np.testing.assert_array_equal(profiles.matrix, [[1, 1], [2, 2]])


def test_a_missing_nullable_number_becomes_nan() -> None:
    profiles = Profiles.from_frame(pd.DataFrame({"Cells_A": pd.array([1, None], dtype="Int64")}))
    np.testing.assert_array_equal(profiles.matrix, [[1.0], [np.nan]])


def test_a_feature_that_is_text_is_refused_with_plate_well_and_value() -> None:
    frame = plate_of(["Cells_A", "Cells_B"]).to_frame().astype({"Cells_B": "str"})
    frame.loc[1, "Cells_B"] = "<html>"
    with pytest.raises(ProfileError, match=r"feature Cells_B .* plate b\.BR1, well A02 has '<html>'"):
        Profiles.from_frame(frame)


@pytest.mark.parametrize("beside", [{}, {"Cells_B": [1.5, 2.5]}, {"Cells_B": [1, 2]}])
def test_truth_values_are_no_numbers(beside: dict[str, list[float]]) -> None:
    with pytest.raises(ProfileError, match="Cells_A does not hold numbers but bool"):
        Profiles.from_frame(pd.DataFrame({"Cells_A": [True, False], **beside}))


def test_a_matrix_goes_into_a_frame_and_comes_back_without_being_copied() -> None:
    profiles = plate_of(["Cells_A", "Cells_B"])
    again = Profiles.from_frame(profiles.to_frame())
    assert np.shares_memory(again.matrix, profiles.matrix)
    np.testing.assert_array_equal(again.matrix, profiles.matrix)


def test_profiles_without_features_are_refused() -> None:
    with pytest.raises(ProfileError, match="no feature"):
        Profiles.from_frame(pd.DataFrame({"Metadata_Well": ["A01"]}))


def test_a_repeated_feature_is_refused_by_name() -> None:
    with pytest.raises(ProfileError, match="more than once: Cells_B"):
        Profiles.from_frame(pd.DataFrame([[1.0, 2.0, 3.0]], columns=["Cells_A", "Cells_B", "Cells_B"]))


def test_a_matrix_of_another_shape_does_not_pass() -> None:
    with pytest.raises(ValueError, match="does not fit 2 wells and 1 features"):
        Profiles(pd.DataFrame({"Metadata_Well": ["A01", "A02"]}), np.zeros((2, 2)), ("Cells_A",))


def test_stacking_keeps_the_order_of_plates_and_aligns_features_by_name() -> None:
    first, second = plate_of(["Cells_A", "Cells_B"]), plate_of(["Cells_B", "Cells_A"], plate="BR2")
    stacked = stack([first, second])
    expected = pd.concat([first.to_frame(), second.to_frame()], ignore_index=True)
    pd.testing.assert_frame_equal(stacked.to_frame(), expected)


def test_stacking_single_precision_stays_single() -> None:
    assert (
        stack(
            [plate_of(["Cells_A"], dtype="float32"), plate_of(["Cells_A"], plate="BR2", dtype="float32")]
        ).matrix.dtype
        == "float32"
    )


def test_a_plate_with_other_features_is_refused_with_the_difference() -> None:
    expected = plate_of(["Cells_A", "Cells_B", "Cells_C"])
    found = plate_of(["Cells_A", "Cells_D"], plate="BR2")
    message = (
        r"plate b\.BR2 has other features than plate b\.BR1: it lacks 2 \(Cells_B, Cells_C\) and adds 1 \(Cells_D\)"
    )
    with pytest.raises(ProfileError, match=message):
        stack([expected, found])
    require_same_features(expected, plate_of(["Cells_C", "Cells_B", "Cells_A"], plate="BR2"))


def test_a_long_difference_is_cut_short() -> None:
    with pytest.raises(ProfileError, match=r"lacks 1,000 \(Cells_0000, .*Cells_0004 and 995 more\)"):
        stack([plate_of(["Cells_X", *(f"Cells_{i:04d}" for i in range(1000))]), plate_of(["Cells_X"], plate="BR2")])


def test_nothing_cannot_be_stacked() -> None:
    with pytest.raises(ProfileError, match="no plate"):
        stack([])


def test_one_plate_is_told_from_several_and_from_none() -> None:
    one = plate_of(["Cells_A"])
    assert one.plate() == "b.BR1"
    with pytest.raises(ProfileError, match=r"found 2: b\.BR1, b\.BR2"):
        stack([one, plate_of(["Cells_A"], plate="BR2")]).plate()
    with pytest.raises(ProfileError, match="found 0: no well"):
        plate_of(["Cells_A"], wells=0).plate()
    with pytest.raises(ProfileError, match="Metadata_Plate is missing"):
        Profiles.from_frame(pd.DataFrame({"Cells_A": [1.0]})).plate()


def test_taking_features_follows_the_positions() -> None:
    profiles = plate_of(["Cells_A", "Cells_B", "Cells_C"])
    taken = profiles.take_features(np.array([2, 0]))
    pd.testing.assert_frame_equal(
        taken.to_frame(), profiles.to_frame().drop(columns="Cells_B")[taken.to_frame().columns]
    )
    assert taken.features == ("Cells_C", "Cells_A")

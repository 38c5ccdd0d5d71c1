"""Missing wells, missing values and what no score can take, against frames in which all of it is planted."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.features import Profiles
from cpjump_assets.science.quality import (
    WELLS_OF_A_PLATE,
    count_unusable,
    incomplete_features,
    odd_features,
    short_plates,
)


def _profiles(wells, batches=None):
    frame = pd.DataFrame(
        {"Metadata_Batch": batches or "b1", "Metadata_Plate": "p1", "Metadata_Well": wells}, index=range(len(wells))
    )
    return frame.assign(Cells_a=np.arange(len(wells), dtype=float), Nuclei_b=1.0)


def test_short_plates_are_listed_with_what_they_lack_most_missing_first():
    table = short_plates({"c": 380, "a": 384, "d": 0, "b": 380, "e": 383})
    assert table.to_dict("list") == {
        "plate": ["d", "b", "c", "e"],
        "profiles": [0, 380, 380, 383],
        "missing": [384, 4, 4, 1],
    }
    assert table.index.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("profiled", [{}, {"a": WELLS_OF_A_PLATE, "b": WELLS_OF_A_PLATE}])
def test_without_a_short_plate_the_table_is_empty_and_keeps_its_columns(profiled):
    table = short_plates(profiled)
    assert table.empty
    assert table.columns.tolist() == ["plate", "profiles", "missing"]


def test_a_plate_has_as_many_wells_as_the_layout_of_the_real_plates(real):
    per_plate = real.wells.groupby(["Metadata_Batch", "Metadata_Plate"]).size()
    assert set(per_plate) == {WELLS_OF_A_PLATE}


def test_features_that_lack_values_are_named_plate_by_plate_and_metadata_are_not():
    first = _profiles(["A01", "A02", "A03", "A04"]).assign(
        Cells_a=[1.0, np.nan, np.nan, np.nan], Metadata_target=np.nan
    )
    second = _profiles(["A01", "A02"], ["b2", "b2"]).assign(Nuclei_b=[np.nan, 2.0])
    third = _profiles(["A01"], ["b3"])
    table = incomplete_features(map(Profiles.from_frame, (first, second, third)))
    assert table["feature"].tolist() == ["Cells_a", "Nuclei_b"]
    assert table["wells"].tolist() == [3, 1]
    assert [plate.partition(".")[0] for plate in table["plate"]] == [first["Metadata_Batch"].iloc[0], "b2"]
    assert incomplete_features([Profiles.from_frame(third)]).columns.tolist() == ["plate", "feature", "wells"]


def test_every_value_that_is_no_finite_number_counts():
    frame = _profiles(["A01", "A02", "A03"])
    frame.loc[0, "Cells_a"] = np.nan
    frame.loc[1, ["Cells_a", "Nuclei_b"]] = np.inf, -np.inf
    assert count_unusable(Profiles.from_frame(frame)) == {
        "values missing or infinite": 3,
        "wells that come more than once": 0,
    }


def test_missing_metadata_are_not_values():
    frame = _profiles(["A01", "A02"]).assign(Metadata_target=[np.nan, "TP53"], Metadata_score=[np.nan, np.inf])
    assert count_unusable(Profiles.from_frame(frame))["values missing or infinite"] == 0


def test_a_well_that_comes_three_times_is_one_well():
    frame = _profiles(["A01", "A02", "A01", "A03", "A01", "A02"])
    assert count_unusable(Profiles.from_frame(frame))["wells that come more than once"] == 2


def test_the_same_well_of_another_batch_is_another_well():
    assert (
        count_unusable(Profiles.from_frame(_profiles(["A01", "A01"], ["b1", "b2"])))["wells that come more than once"]
        == 0
    )


def test_plates_with_other_features_are_named_with_the_difference() -> None:
    columns = {
        "P1": ["Metadata_Well", "Cells_A", "Cells_B"],
        "P2": ["Cells_A", "Cells_B", "Metadata_Other"],
        "P3": ["Metadata_Well", "Cells_B", "Cells_A"],
        "P4": ["Metadata_Well", "Cells_A", "Cells_C", "Cells_D"],
    }
    odd = odd_features(columns)
    assert odd.to_numpy().tolist() == [["P3", 2, 0, 0], ["P4", 3, 1, 2]]
    assert odd_features({"P1": columns["P1"], "P2": columns["P2"]}).empty
    assert odd_features({}).empty

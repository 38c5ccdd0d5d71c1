"""Features that plates keep by themselves, and in common."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.errors import BadTableError, ProfileError
from cpjump_assets.science.feature_selection import PAPER_2021, PYCYTOMINER_1_7, select_features
from cpjump_assets.science.features import Profiles
from cpjump_assets.science.plate_features import common_features, kept_features, select_on_each_plate

FEATURES = tuple(f"Cells_F{i}" for i in range(6))


def _plate(barcode, constant=(), missing=()):
    """Draw a plate whose features differ but for some that are constant and some that lack a value."""
    rng = np.random.default_rng(len(barcode) + sum(map(ord, barcode)))
    X = rng.normal(size=(40, len(FEATURES)))
    X[:, list(constant)] = 1.5
    X[7, list(missing)] = np.nan
    metadata = pd.DataFrame(
        {"Metadata_Batch": "b", "Metadata_Plate": barcode, "Metadata_Well": [f"A{i:02d}" for i in range(40)]}
    )
    return Profiles(metadata, X, FEATURES)


def test_each_plate_is_asked_by_itself():
    plates = [_plate("P2", constant=[0, 4]), _plate("P1", constant=[4], missing=[5])]
    kept = select_on_each_plate(plates)
    assert kept.index.tolist() == ["b.P1", "b.P2"]
    assert kept.columns.tolist() == list(FEATURES)
    for plate in plates:
        alone = select_features(plate, PAPER_2021)
        np.testing.assert_array_equal(kept.loc[plate.plate()], alone["kept"])
    assert kept.loc["b.P1"].tolist() == [True, True, True, True, False, False]
    assert kept.loc["b.P2"].tolist() == [False, True, True, True, False, True]


def test_the_rules_can_be_chosen():
    plate = _plate("P1")
    plate.matrix[:, 0] = np.repeat([0.0, 1.0], 20)  # 2 of 40 values: dropped below 0.1 distinct values per well
    assert not select_on_each_plate([plate]).loc["b.P1", "Cells_F0"]
    assert select_on_each_plate([plate], PYCYTOMINER_1_7).loc["b.P1", "Cells_F0"]


def test_common_features_are_those_that_all_keep_in_their_order():
    kept = select_on_each_plate([_plate("P1", constant=[4]), _plate("P2", constant=[0]), _plate("P3", constant=[2])])
    assert common_features(kept) == ["Cells_F1", "Cells_F3", "Cells_F5"]
    assert common_features(kept, ["b.P3", "b.P1"]) == ["Cells_F0", "Cells_F1", "Cells_F3", "Cells_F5"]


def test_plates_without_a_feature_in_common_are_refused():
    kept = select_on_each_plate([_plate("P1", constant=[0, 1, 2]), _plate("P2", constant=[3, 4, 5])])
    with pytest.raises(ProfileError, match=r"2 plates keep no feature in common: b\.P1, b\.P2"):
        common_features(kept)


def test_plates_that_are_not_known_or_judge_other_features_are_refused():
    first, second = (select_features(plate, PAPER_2021) for plate in (_plate("P1"), _plate("P2")))
    with pytest.raises(BadTableError, match=r"1 plates have no feature selection: b\.P9"):
        common_features(kept_features({"b.P1": first}), ["b.P1", "b.P9"])
    with pytest.raises(BadTableError, match=r"b\.P1 and b\.P2 judge different features: Cells_F3"):
        kept_features({"b.P1": first, "b.P2": second[second["feature"] != "Cells_F3"]})
    with pytest.raises(BadTableError, match="no plate has a feature selection"):
        kept_features({})


def test_another_order_of_features_is_no_difference():
    first, second = (select_features(plate, PAPER_2021) for plate in (_plate("P1"), _plate("P2", constant=[2])))
    turned = kept_features({"b.P1": first, "b.P2": second.iloc[::-1]})
    pd.testing.assert_frame_equal(turned, kept_features({"b.P1": first, "b.P2": second}))

"""Plates with different features in one matrix, against the plates one by one."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.features import Profiles
from cpjump_assets.science.plate_features import common_features
from cpjump_assets.science.plate_stack import stack_selected


def _plate(barcode, features, n=3, dtype="float32"):
    rng = np.random.default_rng(int(barcode))
    metadata = pd.DataFrame({"Metadata_Batch": "b", "Metadata_Plate": barcode, "Metadata_Well": range(n)})
    return Profiles(metadata, rng.normal(size=(n, len(features))).astype(dtype), tuple(features))


def test_every_plate_keeps_its_values_and_lacks_the_features_of_others():
    plates = [_plate("2", "zab"), _plate("1", "bc", n=2), _plate("3", "b")]
    profiles, kept = stack_selected(plates)
    assert profiles.features == ("a", "b", "c", "z")
    assert profiles.matrix.dtype == np.float32
    assert profiles.metadata["Metadata_Plate"].tolist() == ["2"] * 3 + ["1"] * 2 + ["3"] * 3
    frame = profiles.to_frame()
    for plate in plates:
        own = frame[frame["Metadata_Plate"] == plate.metadata["Metadata_Plate"][0]]
        np.testing.assert_array_equal(own[list(plate.features)], plate.matrix)
        assert own.drop(columns=list(plate.features)).filter(regex="^[^M]").isna().all(axis=None)
    assert kept.index.tolist() == ["b.1", "b.2", "b.3"]
    assert {plate: set(kept.columns[row]) for plate, row in zip(kept.index, kept.to_numpy(), strict=True)} == {
        "b.1": {"b", "c"},
        "b.2": {"a", "b", "z"},
        "b.3": {"b"},
    }
    assert common_features(kept) == ["b"]
    assert common_features(kept, ["b.1"]) == ["b", "c"]


def test_one_plate_of_float64_keeps_every_digit():
    assert stack_selected([_plate("1", "ab"), _plate("2", "ab", dtype="float64")]).profiles.matrix.dtype == np.float64


def test_no_plate_and_profiles_of_two_plates_are_refused():
    with pytest.raises(ProfileError, match="no plate to stack"):
        stack_selected([])
    two = _plate("1", "a")
    two.metadata.loc[0, "Metadata_Plate"] = "9"
    with pytest.raises(ProfileError, match="profiles of one plate were expected, found 2"):
        stack_selected([two])

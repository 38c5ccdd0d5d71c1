"""Replicate correlations of plates, against loops over pairs of wells, and with planted and absent replicates."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.features import Profiles
from cpjump_assets.science.replicate_correlation import replicate_correlations
from cpjump_assets_tests.science.helpers_plates import plates, profiles

NUMBERS = ["replicate_correlation", "null_correlation", "null_95", "replicating"]


def _wells(names, samples, **condition):
    described = {
        "Metadata_density": 100,
        "Metadata_antibiotics": "absent",
        "Metadata_cell_background": "Parental",
        "Metadata_time_delay": "Day0",
    }
    return plates(names, samples).assign(**described | condition)


def _profiles(frame, X):
    return Profiles(frame.reset_index(drop=True), X, tuple(f"Cells_{j}" for j in range(X.shape[1])))


def _by_hand(frame, X, plate):
    """Compare every reagent of a plate with every reagent of the other plates, pair of wells by pair of wells."""
    treated = frame["Metadata_control_type"].ne("negcon") & frame["Metadata_broad_sample"].ne("empty")
    own = frame[treated & (frame["Metadata_Plate"] == plate)]
    others = frame[treated & (frame["Metadata_Plate"] != plate)]
    shared = sorted(set(own["Metadata_broad_sample"]) & set(others["Metadata_broad_sample"]))

    def median(left, right):
        pairs = [
            np.corrcoef(X[i], X[j])[0, 1]
            for i in own.index[own["Metadata_broad_sample"] == left]
            for j in others.index[others["Metadata_broad_sample"] == right]
        ]
        return np.median(pairs)

    replicates = [median(reagent, reagent) for reagent in shared]
    null = [median(left, right) for left in shared for right in shared if left != right]
    bar = np.percentile(null, 95)
    return [np.median(replicates), np.median(null), bar, np.mean(np.array(replicates) > bar)]


def test_correlations_are_those_of_loops_over_pairs_of_wells():
    samples = ["a", "b", "c", "d", "a", "e", "empty"]
    frame = pd.concat([_wells(["P1", "P2", "P3"], samples), _wells(["P4"], ["a", "b", "x"])], ignore_index=True)
    X = profiles(frame, acting=["a", "b"], n_features=12)
    table = replicate_correlations(_profiles(frame, X))
    assert table["Metadata_Plate"].tolist() == ["P1", "P2", "P3", "P4"]
    assert table["replicate_plates"].tolist() == [3, 3, 3, 3]
    assert table["replicate_reagents"].tolist() == [5, 5, 5, 2]
    expected = [_by_hand(frame, X, plate) for plate in table["Metadata_Plate"]]
    np.testing.assert_allclose(table[NUMBERS], expected, atol=1e-12)


def test_planted_replicates_are_found_and_absent_ones_stay_at_chance():
    samples = [f"s{i:03d}" for i in range(200)]
    frame = _wells(["P1", "P2", "P3"], samples)
    acting = replicate_correlations(_profiles(frame, profiles(frame, acting=samples)))
    idle = replicate_correlations(_profiles(frame, profiles(frame)))
    assert (acting["replicate_correlation"] > 0.4).all()
    assert (acting["replicating"] > 0.9).all()
    assert (idle["replicate_correlation"].abs() < 0.05).all()
    assert idle["replicating"].mean() == pytest.approx(0.05, abs=0.03)


def test_a_plate_with_swapped_wells_does_not_look_like_its_replicates():
    samples = [f"s{i:03d}" for i in range(60)]
    frame = _wells(["P1", "P2", "P3"], samples)
    X = profiles(frame, acting=samples)
    swapped = frame.index[frame["Metadata_Plate"] == "P2"]
    X[swapped] = X[np.random.default_rng(0).permutation(swapped)]
    table = replicate_correlations(_profiles(frame, X)).set_index("Metadata_Plate")
    assert table.loc["P2", "replicating"] < 0.2
    assert table.loc["P2", "replicate_correlation"] < 0.1 < table.loc["P1", "replicate_correlation"]


@pytest.mark.parametrize(
    "difference",
    [
        {"Metadata_density": 80},
        {"Metadata_antibiotics": "Puromycin"},
        {"Metadata_cell_background": "Cas9"},
        {"Metadata_time_delay": "Day1"},
        {"Metadata_timepoint": 48},
        {"Metadata_cell_line": "U2OS"},
        {"Metadata_Batch": "another"},
    ],
)
def test_a_plate_of_another_condition_is_no_replicate(difference):
    frame = pd.concat([_wells(["P1"], ["a", "b"]), _wells(["P2"], ["a", "b"], **difference)], ignore_index=True)
    table = replicate_correlations(_profiles(frame, profiles(frame)))
    assert table["replicate_plates"].tolist() == table["replicate_reagents"].tolist() == [0, 0]
    assert table[NUMBERS].isna().all(axis=None)


def test_plates_that_share_one_reagent_have_no_null_and_no_number():
    frame = pd.concat([_wells(["P1"], ["a", "b"]), _wells(["P2"], ["b", "c"])], ignore_index=True)
    table = replicate_correlations(_profiles(frame, profiles(frame)))
    assert table["replicate_reagents"].tolist() == [1, 1]
    assert table[NUMBERS].isna().all(axis=None)


def test_the_order_of_the_wells_makes_no_difference():
    frame = _wells(["P1", "P2", "P3"], list("abcdef"))
    X = profiles(frame, acting=["a"])
    order = np.random.default_rng(0).permutation(len(frame))
    one, other = (replicate_correlations(_profiles(frame.iloc[rows], X[rows])) for rows in (np.arange(len(X)), order))
    pd.testing.assert_frame_equal(one, other, check_exact=False, atol=1e-12, rtol=0)


def test_a_well_that_cannot_be_correlated_is_named():
    frame = _wells(["P1", "P2"], ["a", "b"])
    X = profiles(frame)
    X[1, 3] = np.nan
    with pytest.raises(ProfileError, match=r"P1, well A02: feature Cells_3 is nan"):
        replicate_correlations(_profiles(frame, X))

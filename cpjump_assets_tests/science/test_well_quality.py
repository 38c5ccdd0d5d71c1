"""Measures of single wells, against the same measures taken well by well with loops."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpjump_assets.science.errors import BadTableError, ProfileError
from cpjump_assets.science.features import Profiles
from cpjump_assets.science.positions import POSITIONS
from cpjump_assets.science.well_quality import CELL_COUNTS, WELL_QUALITY, cell_counts, well_quality

MEASURES = ["missing_features", "rms_z", "median_abs_z", "induction"]


def _layout(plate="P1", batch="B"):
    layout = POSITIONS.reset_index().assign(Metadata_Batch=batch, Metadata_Plate=plate)
    control = np.where(np.arange(384) % 6 == 0, "negcon", None)
    return layout.assign(
        Metadata_broad_sample=np.where(control == "negcon", "DMSO", "reagent"),
        Metadata_control_type=pd.Series(control, dtype="str"),
    )


def _normalized(X, wells=None, **columns):
    rows = _layout() if wells is None else _layout().set_index("Metadata_Well").loc[wells].reset_index()
    metadata = rows.head(len(X)).assign(**columns).reset_index(drop=True)
    return Profiles(metadata, X, tuple(f"Cells_{j}" for j in range(X.shape[1])))


def _by_hand(X):
    """Measure row by row, with lists of numbers."""
    usable = [j for j in range(X.shape[1]) if np.isfinite(X[:, j]).any()]
    rows = []
    for row in X:
        z = sorted(abs(float(row[j])) for j in usable if not np.isnan(row[j]))
        if not z:
            rows.append((len(usable), np.nan, np.nan, np.nan))
            continue
        middle = (z[(len(z) - 1) // 2] + z[len(z) // 2]) / 2
        rms = (sum(value**2 for value in z) / len(z)) ** 0.5
        rows.append((len(usable) - len(z), rms, middle, sum(value > 3 for value in z) / len(z)))
    return np.array(rows)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), n=st.integers(1, 12), p=st.integers(1, 15), gaps=st.floats(0, 0.9))
def test_measures_are_those_of_a_loop_over_wells_and_features(seed, n, p, gaps):
    rng = np.random.default_rng(seed)
    X = (3 * rng.normal(size=(n, p))).astype(np.float32)
    X[rng.random((n, p)) < gaps] = np.nan
    table = well_quality(_normalized(X), _layout())
    np.testing.assert_allclose(table.loc[table["profiled"], MEASURES].astype(float), _by_hand(X), rtol=1e-6)


def test_numbers_of_negative_controls_are_those_that_the_schema_names():
    X = np.random.default_rng(0).normal(size=(384, 2_000))
    table = well_quality(_normalized(X), _layout())
    assert table["median_abs_z"].mean() == pytest.approx(0.6745, abs=0.002)
    assert table["rms_z"].mean() == pytest.approx(1.0, abs=0.002)
    assert table["induction"].mean() == pytest.approx(0.0027, abs=0.0002)


def test_a_well_that_changed_stands_out_and_one_outlying_feature_moves_no_median():
    X = np.random.default_rng(0).normal(size=(10, 400))
    X[3] += 6.0
    X[5, 0] = 1e5
    table = well_quality(_normalized(X), _layout()).head(10)
    assert table["induction"].idxmax() == table["median_abs_z"].idxmax() == 3
    assert table.loc[5, "rms_z"] > 1_000 > 1 > table.loc[5, "median_abs_z"]


def test_wells_without_profile_have_a_row_and_no_measure():
    wells = ["P24", "B03", "A01"]
    table = well_quality(_normalized(np.ones((3, 4)), wells), _layout())
    assert table["Metadata_Well"].tolist() == POSITIONS.index.tolist()
    assert table.loc[table["profiled"], "Metadata_Well"].tolist() == sorted(wells)
    assert table.loc[~table["profiled"], [*MEASURES, "cell_count"]].isna().all(axis=None)
    assert table["Metadata_control_type"].isna().sum() == 320


def test_features_that_no_well_has_are_not_missing_from_a_well():
    X = np.ones((4, 6))
    X[:, 2] = np.nan
    X[1, [0, 5]] = np.nan
    assert well_quality(_normalized(X), _layout())["missing_features"].head(4).tolist() == [0, 2, 0, 0]


def test_a_well_without_any_value_has_no_magnitude():
    X = np.ones((3, 4))
    X[1] = np.nan
    row = well_quality(_normalized(X), _layout()).iloc[1]
    assert row["profiled"]
    assert row["missing_features"] == 4
    assert row[["rms_z", "median_abs_z", "induction"]].isna().all()


@pytest.mark.parametrize("name", CELL_COUNTS)
def test_cells_are_counted_where_the_profiles_say_them(name):
    table = well_quality(_normalized(np.ones((3, 2)), **{name: [10, None, 30]}), _layout())
    assert table["cell_count"].head(3).tolist() == [10.0, pytest.approx(np.nan, nan_ok=True), 30.0]


def test_cells_are_unknown_where_the_profiles_do_not_say_them():
    assert well_quality(_normalized(np.ones((3, 2))), _layout())["cell_count"].isna().all()


def test_other_plates_of_the_wells_table_take_no_part():
    X = np.random.default_rng(0).normal(size=(384, 5))
    every = pd.concat([_layout("P0"), _layout(), _layout("P1", "another batch")])
    pd.testing.assert_frame_equal(well_quality(_normalized(X), every), well_quality(_normalized(X), _layout()))


def test_the_table_keeps_to_its_schema_whatever_the_order_of_the_wells():
    X = np.random.default_rng(0).normal(size=(384, 5))
    profiles = _normalized(X)
    order = np.random.default_rng(1).permutation(384)
    shuffled = Profiles(profiles.metadata.iloc[order].reset_index(drop=True), X[order], profiles.features)
    table = well_quality(shuffled, _layout().sample(frac=1, random_state=2))
    WELL_QUALITY.check(table, "table")
    pd.testing.assert_frame_equal(table, well_quality(profiles, _layout()))


def test_a_well_that_the_layout_lacks_is_named():
    with pytest.raises(BadTableError, match=r"plate B\.P1 has wells that its layout lacks: A02"):
        well_quality(_normalized(np.ones((3, 2))), _layout().query("Metadata_Well != 'A02'"))


def test_profiles_of_two_plates_are_refused():
    with pytest.raises(ProfileError, match="one plate"):
        well_quality(_normalized(np.ones((2, 2)), Metadata_Plate=["P1", "P2"]), _layout())


@pytest.mark.parametrize("name", CELL_COUNTS)
def test_cell_counts_that_a_file_carried_as_text(name):
    rows = pd.DataFrame({"Metadata_Well": ["A01", "A02", "A03"], name: pd.Series(["12", None, "0"], dtype="str")})
    np.testing.assert_array_equal(cell_counts(rows), [12, np.nan, 0])
    with pytest.raises(BadTableError, match=f"well A02: expected a number in {name}, found 'NA'"):
        cell_counts(rows.fillna({name: "NA"}))

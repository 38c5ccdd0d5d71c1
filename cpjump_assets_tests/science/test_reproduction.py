"""Comparing a level with its published file: every count against a slow comparison of printed numbers."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpjump_assets.science.features import Profiles
from cpjump_assets.science.levels import LEVELS
from cpjump_assets.science.plates import MAIN_PLATES
from cpjump_assets.science.reproduction import (
    LEAST_EQUAL,
    PROFILE_REPRODUCTION,
    compare_level,
    reproduction_table,
    summarize_reproduction,
)

PLATE = MAIN_PLATES[0]


def profiles(values: object, *, wells: Sequence[str] = (), features: Sequence[str] = ()) -> Profiles:
    matrix = np.asarray(values, dtype=np.float32)
    n, p = matrix.shape
    names = list(wells) or [f"A{well + 1:02d}" for well in range(n)]
    metadata = pd.DataFrame({"Metadata_Plate": PLATE.barcode, "Metadata_Well": pd.Series(names, dtype="str")})
    return Profiles(metadata, np.asfortranarray(matrix), tuple(features) or tuple(f"Cells_F{i}" for i in range(p)))


def compared(ours: Profiles, published: Profiles, **options: object) -> dict:
    row = compare_level(ours, published, plate=PLATE, level="normalized", **options)
    table = reproduction_table([row], "test")
    PROFILE_REPRODUCTION.check(table, "test")
    return row


def printed(value: float) -> Decimal:
    return Decimal(f"{value:.5g}")


def unit(value: Decimal) -> Decimal:
    return Decimal(1).scaleb(value.adjusted() - 4)


def slow_counts(a: np.ndarray, b: np.ndarray) -> dict[str, object]:
    """Compare printed numbers, one by one."""
    counts = dict.fromkeys(("finite_on_both", "finite_only_ours", "finite_only_published", "equal", "near"), 0)
    largest, relative = Decimal(0), Decimal(0)
    for x, y in zip(a.T.ravel().tolist(), b.T.ravel().tolist(), strict=True):
        if np.isfinite(x) and np.isfinite(y):
            p, q = printed(x), printed(y)
            size = max(abs(p), abs(q))
            counts["finite_on_both"] += 1
            counts["equal"] += p == q
            counts["near"] += p == q or abs(p - q) <= unit(size)
            largest = max(largest, abs(p - q))
            relative = max(relative, abs(p - q) / size if size else Decimal(0))
        else:
            counts["finite_only_ours"] += bool(np.isfinite(x))
            counts["finite_only_published"] += bool(np.isfinite(y))
    return {**counts, "largest": float(largest), "relative": float(relative)}


VALUES = st.one_of(
    st.sampled_from([0.0, -0.0, np.nan, np.inf, -np.inf, 9.9999, 10.0, 10.001, 99999.0, 1e5, 1e-3, 9.9995e-4, -1.0]),
    st.floats(-(2.0**99), 2.0**99, width=32).filter(lambda value: value == 0 or abs(value) > 1e-30),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES, st.integers(-2, 2)), min_size=1, max_size=12), st.booleans())
def test_every_count_is_that_of_comparing_printed_numbers(cells: list, neighbours: bool) -> None:
    ours = np.array([[x for x, _, _ in cells]], dtype=np.float32)
    other = np.array([[y for _, y, _ in cells]], dtype=np.float32)
    if neighbours:  # a few units of the fifth digit apart
        steps = np.array([[step for _, _, step in cells]])
        with np.errstate(invalid="ignore"):
            other = (ours * (1 + 1.3e-5 * steps)).astype(np.float32)
    row, expected = compared(profiles(ours), profiles(other)), slow_counts(ours, other)
    assert row["values"] == ours.size
    for name in ("finite_on_both", "finite_only_ours", "finite_only_published", "equal"):
        assert row[name] == expected[name], name
    assert row["within_one_unit"] == expected["near"]
    one_side = expected["finite_only_ours"] + expected["finite_only_published"]
    assert row["finite_on_neither"] == ours.size - expected["finite_on_both"] - one_side
    if expected["finite_on_both"]:
        assert row["largest_difference"] == pytest.approx(expected["largest"], rel=1e-9)
        assert row["largest_relative_difference"] == pytest.approx(expected["relative"], rel=1e-9)
    else:
        assert np.isnan(row["largest_difference"])
    on_any = expected["finite_on_both"] + one_side
    assert row["different"] == on_any - expected["equal"]
    assert row["share_equal"] == pytest.approx(expected["equal"] / on_any if on_any else np.nan, nan_ok=True)


def test_wells_and_features_are_matched_by_name_in_whatever_order_they_come() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6, 5))
    ours = profiles(X)
    rows, columns = rng.permutation(6), rng.permutation(5)
    shuffled = profiles(
        X[rows][:, columns],
        wells=[f"A{well + 1:02d}" for well in rows],
        features=[f"Cells_F{feature}" for feature in columns],
    )
    row = compared(ours, shuffled)
    assert (row["equal"], row["values"], row["reproduces"]) == (30, 30, True)
    assert compared(ours, profiles(X[rows]))["equal"] < 30  # the same values under other names


def test_the_largest_differences_are_found_where_they_are() -> None:
    X = np.full((3, 2), 100.0)
    Y = X.copy()
    Y[1, 0], Y[2, 1], X[2, 1] = 103.0, 2.0, 1.0
    row = compared(profiles(X), profiles(Y))
    assert (row["largest_difference"], row["largest_difference_feature"], row["largest_difference_well"]) == (
        3.0,
        "Cells_F0",
        "A02",
    )
    relative = "largest_relative_difference"
    assert (row[relative], row[f"{relative}_feature"], row[f"{relative}_well"]) == (0.5, "Cells_F1", "A03")
    assert not row["reproduces"]


def test_a_feature_without_spread_is_not_finite_on_both_sides_and_agrees() -> None:
    ours = np.array([[np.nan, 1.0], [np.nan, 2.0], [np.nan, 3.0]])
    published = np.array([[np.inf, 1.0], [np.nan, 2.0], [-np.inf, 3.0]])
    row = compared(profiles(ours), profiles(published))
    assert (row["finite_on_neither"], row["equal"], row["share_equal"], row["reproduces"]) == (3, 3, 1.0, True)
    huge = compared(profiles(ours), profiles(np.where(np.isfinite(published), published, 1e17)))
    assert (huge["finite_only_published"], huge["share_equal"], huge["reproduces"]) == (3, 0.5, False)


def test_names_on_one_side_are_counted_listed_and_stand_against_a_level() -> None:
    ours = profiles(np.ones((3, 4)), wells=["A01", "A02", "A03"], features=["a", "b", "c", "d"])
    fewer = profiles(np.ones((2, 2)), wells=["A02", "B01"], features=["c", "z"])
    row = compared(ours, fewer)
    assert (row["wells"], row["wells_only_ours"], row["wells_only_published"]) == (1, 2, 1)
    assert (row["features"], row["features_only_ours"], row["features_only_published"]) == (1, 3, 1)
    assert (row["examples_only_ours"], row["examples_only_published"]) == ("a, b, d", "z")
    assert (row["share_equal"], row["reproduces"]) == (1.0, False)


@pytest.mark.parametrize(
    ("wells", "features"), [(["A01"], ["a", "b"]), (["A01", "A02"], ["a"]), (["A01", "A02"], ["a", "b", "c"])]
)
def test_one_name_too_many_on_either_side_is_enough(wells: list[str], features: list[str]) -> None:
    ours = profiles(np.ones((2, 2)), wells=["A01", "A02"], features=["a", "b"])
    other = profiles(np.ones((len(wells), len(features))), wells=wells, features=features)
    assert not compared(ours, other)["reproduces"]
    assert not compared(other, ours)["reproduces"]
    assert compared(ours, ours)["reproduces"]


def test_withheld_features_are_counted_and_forgiven_others_are_not() -> None:
    ours = profiles(np.ones((2, 1)), features=["a"])
    published = profiles(np.ones((2, 3)), features=["held_back", "a", "other"])
    row = compared(ours, published, withheld={"held_back", "never seen"})
    assert (row["features_only_published"], row["features_withheld"], row["reproduces"]) == (2, 1, False)
    assert row["examples_only_published"] == "other, held_back"
    both = compared(ours, published, withheld={"held_back", "other"})
    assert (both["features_withheld"], both["reproduces"]) == (2, True)
    # Only a feature that ours lack can be forgiven.
    assert not compared(published, ours, withheld={"held_back", "other"})["reproduces"]


def test_without_a_common_value_nothing_is_reproduced() -> None:
    row = compared(profiles([[1.0]], features=["a"]), profiles([[1.0]], features=["b"]))
    assert (row["values"], row["reproduces"]) == (0, False)
    assert np.isnan(row["share_equal"])
    empty = compared(profiles([[np.nan]]), profiles([[np.nan]]))
    assert (empty["finite_on_neither"], empty["reproduces"]) == (1, False)


@pytest.mark.parametrize(("differing", "reproduces"), [(0, True), (10, True), (11, False)])
def test_the_tolerance_is_one_value_in_a_thousand(differing: int, reproduces: bool) -> None:
    assert LEAST_EQUAL == 0.999
    X = np.ones((100, 100))
    Y = X.copy()
    Y.ravel()[:differing] = 2.0
    wells = [f"{row}{column:02d}" for row in "ABCDE" for column in range(1, 21)]
    row = compared(profiles(X, wells=wells), profiles(Y, wells=wells))
    assert (row["equal"], row["reproduces"]) == (10_000 - differing, reproduces)


def test_without_a_comparison_the_table_is_empty_and_keeps_its_columns() -> None:
    table = reproduction_table([], "test")
    assert table.empty
    assert table.columns.tolist() == PROFILE_REPRODUCTION.column_names
    assert summarize_reproduction(table).empty


def test_plates_are_summed_up_level_by_level() -> None:
    X, Y = np.ones((2, 2)), np.array([[1.0, 1.0], [1.0, 4.0]])
    sides = [(X, X), (X, Y), (X, np.full((2, 2), np.nan))]
    rows = [
        compare_level(profiles(ours), profiles(published), plate=plate, level=level)
        for plate, (ours, published) in zip(MAIN_PLATES, sides, strict=False)
        for level in ("spherized", "annotated")
        if (plate, level) != (MAIN_PLATES[2], "annotated")
    ]
    summary = summarize_reproduction(reproduction_table(rows, "test")).set_index("level")
    assert summary.index.tolist() == ["annotated", "spherized"]  # as in LEVELS
    assert summary["plates"].tolist() == [2, 3]
    assert summary["reproduced"].tolist() == [1, 1]
    assert summary["values"].tolist() == [8, 12]
    assert summary["different"].tolist() == [1, 5]
    assert summary["worst_share_equal"].tolist() == [0.75, 0.0]
    assert summary["worst_plate"].tolist() == [MAIN_PLATES[1].barcode, MAIN_PLATES[2].barcode]
    assert summary["largest_difference"].tolist() == [3.0, 3.0]
    assert summary["largest_relative_difference"].tolist() == [0.75, 0.75]
    assert summary["largest_at"].tolist() == [f"{MAIN_PLATES[1].barcode} A02 Cells_F1"] * 2


def test_the_levels_are_those_of_the_publication() -> None:
    assert len(LEVELS) == len(set(LEVELS)) == 7

"""Feature selection: each rule and all together as pycytominer has them, and our own rule for what they leave."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycytominer import feature_select
from pycytominer.cyto_utils import get_blocklist_features
from pycytominer.operations import correlation_threshold, frequency_threshold, get_na_columns

from cpjump_assets.science.blocklist import BLOCKLIST
from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.feature_selection import (
    FEATURE_SELECTION,
    PAPER_2024,
    PYCYTOMINER_1_7,
    apply_selection,
    select_features,
    value_frequencies,
)
from cpjump_assets.science.features import Profiles

CONFIGS = {"paper": PAPER_2024, "pycytominer": PYCYTOMINER_1_7}


def batch_of(X: np.ndarray, *, names: list[str] | None = None, wells: int = 40) -> Profiles:
    """Lay the rows out on plates of equal size."""
    row = np.arange(len(X))
    metadata = pd.DataFrame(
        {
            "Metadata_Batch": "b",
            "Metadata_Plate": [f"BR{plate}" for plate in row // wells],
            "Metadata_Well": [f"{chr(65 + well // 24)}{well % 24 + 1:02d}" for well in row % wells],
        }
    )
    return Profiles(metadata, X, tuple(names or [f"Cells_F{i}" for i in range(X.shape[1])]))


def messy(seed: int, *, n: int = 120, p: int = 60) -> Profiles:
    """Draw a batch with correlated blocks, repeated values, gaps and names from the blocklist."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 8))
    X = shared[:, rng.integers(0, 8, p)] * rng.choice([0.5, 2.5, 4.0], p) + rng.normal(size=(n, p))
    X[:, 0] = 2.0  # one distinct value
    X[:, 1] = np.nan
    X[:, 2] = np.where(rng.random(n) < 0.97, 0.0, X[:, 2])  # nearly always 0
    X[:, 3:7] = np.round(X[:, 3:7])  # few distinct values
    X[:, 7] = np.repeat([0.25, 0.5, 0.75], n // 3)
    X[:, 8] = 4.0 * X[:, 3] + 0.01 * X[:, 8]  # correlated with a feature of few values
    X[rng.random(n) < 0.04, 10] = np.nan
    X[rng.random(n) < 0.2, 11:15] = np.nan
    X[:40, 16] = np.nan  # absent from one plate
    X[3, 17] = np.inf
    names = [f"Cells_F{i}" for i in range(p - 5)] + sorted(BLOCKLIST)[::12]
    return batch_of(X, names=names)


def test_the_blocklist_is_the_published_one() -> None:
    assert sorted(BLOCKLIST) == sorted(get_blocklist_features())
    assert len(BLOCKLIST) == 55


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("unique_cut", [0.01, 0.1])
@pytest.mark.parametrize("frequency_cut", [0.05, 0.5])
def test_the_variance_rule_drops_what_pycytominer_drops(seed: int, unique_cut: float, frequency_cut: float) -> None:
    profiles = messy(seed)
    frame, names = profiles.to_frame(), list(profiles.features)
    expected = frequency_threshold(frame, features=names, freq_cut=frequency_cut, unique_cut=unique_cut)
    table = select_features(profiles, replace(PAPER_2024, unique_cut=unique_cut, frequency_cut=frequency_cut))
    assert set(table.loc[table["dropped_by"] == "variance", "feature"]) == set(expected)
    assert {"Cells_F0", "Cells_F1"} <= set(expected) < set(names)


def test_frequencies_count_values_and_not_gaps() -> None:
    X = np.array([[1, 1, 1, 1, 2, 2, 3, np.nan], [0.0, -0.0, 1, 1, 1, 1, 1, 1], [5] * 8, [np.nan] * 8]).T
    frequency, unique = value_frequencies(X)
    assert frequency.tolist() == [0.5, 2 / 6, 0.0, 0.0]
    assert unique.tolist() == [3 / 8, 2 / 8, 1 / 8, 0.0]


@pytest.mark.parametrize("n_nan", [1, 6, 7, 60])
def test_the_nan_rule_drops_what_pycytominer_drops(n_nan: int) -> None:
    X = np.random.default_rng(1).normal(size=(120, 5))
    X[:n_nan, 2] = np.nan
    profiles = batch_of(X)
    table = select_features(profiles, PAPER_2024).set_index("feature")
    expected = get_na_columns(profiles.to_frame(), features=list(profiles.features), cutoff=0.05)
    assert table.index[table["dropped_by"] == "nan"].tolist() == expected
    assert table.loc["Cells_F2", "dropped_by"] == ("nan" if n_nan > 6 else "remaining_nan")
    assert table.loc["Cells_F2", "nan_share"] == n_nan / 120


def published(table: pd.DataFrame) -> set[str]:
    """Give what the four published rules keep."""
    return set(table.loc[table["kept"] | (table["dropped_by"] == "remaining_nan"), "feature"])


@pytest.mark.parametrize("seed", range(10))
def test_the_four_rules_together_keep_what_pycytominer_keeps(seed: int) -> None:
    profiles = messy(seed)
    expected = feature_select(
        profiles.to_frame(),
        features=list(profiles.features),
        operation=["frequency_threshold", "correlation_threshold", "drop_na_columns", "blocklist"],
    )
    table = select_features(profiles, PYCYTOMINER_1_7)
    assert published(table) == {name for name in expected.columns if not name.startswith("Metadata_")}
    assert set(table["dropped_by"].dropna()) >= {"variance", "correlation", "nan", "blocklist"}


@pytest.mark.parametrize("seed", range(10))
def test_in_the_full_view_each_rule_judges_all_features(seed: int) -> None:
    profiles = messy(seed)
    frame, names = profiles.to_frame(), list(profiles.features)
    dropped = {
        "variance": frequency_threshold(frame, features=names, unique_cut=0.1),
        "correlation": correlation_threshold(frame, features=names),
        "nan": get_na_columns(frame, features=names),
        "blocklist": get_blocklist_features(population_df=frame),
    }
    table = select_features(profiles, PAPER_2024)
    assert published(table) == set(names).difference(*dropped.values())
    first = {name: next((rule for rule in dropped if name in dropped[rule]), None) for name in names}
    named = table.set_index("feature")["dropped_by"].replace("remaining_nan", None)
    assert {name: None if pd.isna(rule) else rule for name, rule in named.items()} == first


def test_the_views_differ_where_a_dropped_feature_has_a_twin() -> None:
    rng = np.random.default_rng(2)
    coarse = np.repeat([-1.0, 0.0, 1.0], 40)  # too few values for the variance rule
    noise = rng.normal(size=(3, 40, 2))
    noise = (noise - noise.mean(axis=1, keepdims=True)).reshape(120, 2)  # uncorrelated with coarse
    # The twin has the larger sum of |r|, so that it goes for the sake of the feature that goes itself.
    X = np.column_stack([noise[:, 0], coarse, coarse + 0.05 * noise[:, 0], noise[:, 1]])
    full, hidden = (
        select_features(batch_of(X), replace(PAPER_2024, view=view)).set_index("feature") for view in ("full", "hidden")
    )
    assert full["dropped_by"].fillna("").tolist() == ["", "variance", "correlation", ""]
    assert hidden["dropped_by"].fillna("").tolist() == ["", "variance", "", ""]
    assert full["correlated_with"].fillna("").tolist() == ["", "", "Cells_F1", ""]
    assert full.loc["Cells_F2", "correlation"] == pytest.approx(np.corrcoef(X[:, 1], X[:, 2])[0, 1])
    assert hidden["correlated_with"].isna().all()


def test_partners_are_named_rightly_in_the_hidden_view() -> None:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(120, 6))
    X[:, 0] = 1.0
    X[:, 5] = X[:, 3]
    table = select_features(batch_of(X), PYCYTOMINER_1_7).set_index("feature")
    assert table.loc["Cells_F5", "dropped_by"] == "correlation"
    assert table.loc["Cells_F5", "correlated_with"] == "Cells_F3"


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_what_is_kept_has_no_gap_and_gaps_are_counted(config) -> None:
    profiles = messy(5)
    table = select_features(profiles, config).set_index("feature")
    selected = apply_selection(profiles, table.reset_index())
    assert np.isfinite(selected.matrix).all()
    assert list(selected.features) == table.index[table["kept"]].tolist()
    finite = np.isfinite(profiles.matrix)
    assert table["n_missing"].tolist() == (~finite).sum(axis=0).tolist()
    assert table["n_plates_missing"].tolist() == (~finite.reshape(3, 40, -1).any(axis=1)).sum(axis=0).tolist()
    assert table.loc["Cells_F16", "n_plates_missing"] == 1
    assert (table["kept"] == table["dropped_by"].isna()).all()
    assert table.loc["Cells_F17", "dropped_by"] in {"remaining_nan", "correlation"}
    assert table.loc["Cells_F17", ["n_missing", "nan_share"]].tolist() == [1, 0.0]


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_selecting_again_drops_nothing_and_row_order_changes_nothing(config, seed: int) -> None:
    profiles = messy(seed, n=60, p=30)
    table = select_features(profiles, config)
    again = select_features(apply_selection(profiles, table), config)
    assert again["kept"].all()
    order = np.random.default_rng(seed).permutation(60)
    shuffled = Profiles(profiles.metadata.iloc[order].reset_index(drop=True), profiles.matrix[order], profiles.features)
    pd.testing.assert_frame_equal(select_features(shuffled, config), table, rtol=1e-12)


def test_planted_features_go_by_the_rule_they_were_planted_for() -> None:
    rng = np.random.default_rng(6)
    X = rng.normal(size=(400, 10))
    X[:, 1] = 3.0
    X[:, 2] = X[:, 0] + 0.1 * rng.normal(size=400)
    X[:21, 3] = np.nan
    X[399, 5] = np.nan
    names = [
        *(f"Cells_F{i}" for i in range(4)),
        "Nuclei_Correlation_RWC_DNA_RNA",
        *(f"Cells_F{i}" for i in range(5, 10)),
    ]
    table = select_features(batch_of(X, names=names), PAPER_2024)
    dropped = table["dropped_by"].fillna("").tolist()
    assert dropped[1] == "variance"
    assert sorted([dropped[0], dropped[2]]) == ["", "correlation"]
    assert dropped[3:6] == ["nan", "blocklist", "remaining_nan"]
    assert dropped[6:] == [""] * 4


def test_the_table_keeps_its_columns_and_types_when_nothing_is_dropped() -> None:
    table = select_features(batch_of(np.random.default_rng(7).normal(size=(80, 3))), PAPER_2024)
    assert table.columns.tolist() == [
        "feature",
        "kept",
        "dropped_by",
        "nan_share",
        "n_missing",
        "n_plates_missing",
        "frequency_ratio",
        "unique_ratio",
        "correlated_with",
        "correlation",
    ]
    assert table.dtypes.astype(str).tolist() == [
        "str",
        "bool",
        "str",
        "float64",
        "int64",
        "int64",
        "float64",
        "float64",
        "str",
        "float64",
    ]
    assert table["kept"].all()
    assert table[["dropped_by", "correlated_with", "correlation"]].isna().all(axis=None)


def test_a_well_without_any_value_is_refused_by_name() -> None:
    X = np.random.default_rng(8).normal(size=(80, 3))
    X[41] = np.nan
    with pytest.raises(ProfileError, match=r"1 wells have no value in any feature, first plate b\.BR1, well A02"):
        select_features(batch_of(X), PAPER_2024)


def test_too_few_wells_are_refused() -> None:
    with pytest.raises(ProfileError, match="at least two wells, found 1"):
        select_features(batch_of(np.ones((1, 3))), PAPER_2024)


def test_a_batch_that_loses_every_feature_is_refused_with_the_reasons() -> None:
    X = np.random.default_rng(9).normal(size=(80, 4))
    X[:, 0] = 1.0
    X[45, 1:] = np.nan
    with pytest.raises(
        ProfileError, match=r"left of 4: dropped by variance 1, remaining_nan 3; plate b\.BR1, well A06 lacks 3"
    ):
        select_features(batch_of(X), PAPER_2024)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_batch_of_constants_is_refused(config) -> None:
    with pytest.raises(ProfileError, match=r"left of 3: dropped by variance 3$"):
        select_features(batch_of(np.ones((80, 3))), config)


def test_a_plate_that_cannot_give_the_selected_features_is_refused() -> None:
    profiles = batch_of(np.random.default_rng(10).normal(size=(80, 4)))
    table = select_features(profiles, PAPER_2024)
    with pytest.raises(ProfileError, match=r"profiles of b\.BR0, b\.BR1 lack selected features: Cells_F3"):
        apply_selection(profiles.take_features(np.arange(3)), table)
    X = profiles.matrix.copy()
    X[50:60, 1], X[55, 2] = np.nan, np.inf
    with pytest.raises(ProfileError, match=r"2 selected features .* in 10 wells of b\.BR1: Cells_F1, Cells_F2"):
        apply_selection(profiles.with_matrix(X), table)


def test_the_table_keeps_to_its_schema() -> None:
    rng = np.random.default_rng(5)
    matrix = rng.normal(size=(96, 12))
    matrix[:, 1] = matrix[:, 0]
    matrix[:3, 2] = np.nan
    matrix[:, 3] = np.nan
    metadata = pd.DataFrame({"Metadata_Plate": ["P1"] * 96, "Metadata_Well": [f"W{i}" for i in range(96)]})
    names = tuple(f"Cells_{i}" for i in range(12))
    table = select_features(Profiles(metadata, matrix, names), PAPER_2024)
    FEATURE_SELECTION.check(table, "selection")
    assert {"correlation", "remaining_nan"} <= set(table["dropped_by"].dropna())

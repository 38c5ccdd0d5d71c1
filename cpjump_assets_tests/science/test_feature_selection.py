"""Feature selection: each rule and all together as pycytominer has them, and our own rule for what they leave.

Over plates that are read in pieces as over one table; in any order of the rules, against a literal definition.
"""

import tracemalloc
from dataclasses import replace
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycytominer import feature_select
from pycytominer.cyto_utils import get_blocklist_features
from pycytominer.operations import correlation_threshold, frequency_threshold, get_na_columns

from cpjump_assets.science import feature_correlation, feature_measures, feature_products, plate_stream
from cpjump_assets.science.blocklist import BLOCKLIST
from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.feature_selection import (
    FEATURE_SELECTION,
    PAPER_2021,
    PAPER_2024,
    PYCYTOMINER_1_7,
    RULES,
    SelectionConfig,
    apply_selection,
    apply_selection_over,
    select_features,
    select_features_over,
)
from cpjump_assets.science.features import Profiles, stack
from cpjump_assets_tests.science.helpers_selection import CountedPlate, batch_of, cut, messy

CONFIGS = {"paper": PAPER_2024, "pycytominer": PYCYTOMINER_1_7}
OPERATIONS = ["frequency_threshold", "correlation_threshold", "drop_na_columns", "blocklist"]


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
    expected = feature_select(profiles.to_frame(), features=list(profiles.features), operation=OPERATIONS)
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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [[40, 40, 40], [10, 1, 69, 40], [120]])
def test_plates_read_in_pieces_give_what_one_table_gives(sizes, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = messy(6)
    batch = batch.with_matrix(batch.matrix.astype(dtype))
    whole = select_features(batch, PYCYTOMINER_1_7)
    frame = batch.to_frame()
    peer = feature_select(frame, features=list(batch.features), operation=OPERATIONS)
    assert published(whole) == {name for name in peer.columns if not name.startswith("Metadata_")}
    for module in (plate_stream, feature_products):
        monkeypatch.setattr(module, "PIECE_WELLS", 17)
    monkeypatch.setattr(plate_stream, "BLOCK_BYTES", 5 * 120 * 4)
    monkeypatch.setattr(feature_measures, "SLICE_VALUES", 2 * 120)
    monkeypatch.setattr(feature_correlation, "COLUMN_BLOCK", 4)
    plates = cut(batch, sizes)
    pd.testing.assert_frame_equal(select_features_over(plates, PYCYTOMINER_1_7), whole, rtol=1e-12)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_plates_changes_nothing(seed: int) -> None:
    plates = cut(messy(seed, n=90), [40, 40, 10])
    first, *others = (select_features_over(order, PAPER_2024) for order in permutations(plates))
    for other in others:
        pd.testing.assert_frame_equal(other, first, rtol=1e-12)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), scale_seed=st.integers(0, 10_000))
def test_the_unit_of_a_feature_changes_nothing(config, seed: int, scale_seed: int) -> None:
    profiles = messy(seed, n=60, p=30)
    scale = 10.0 ** np.random.default_rng(scale_seed).uniform(-30, 30, 30)
    scaled = profiles.with_matrix(profiles.matrix * scale)
    pd.testing.assert_frame_equal(select_features(scaled, config), select_features(profiles, config), rtol=1e-9)


def test_an_early_rule_hides_features_from_a_later_one_but_not_the_other_way_round() -> None:
    # The first three say the same, and the first has most in common with the fourth: it goes for the second's sake.
    rng = np.random.default_rng(11)
    base = rng.normal(size=(120, 2))
    X = base[:, :1] + 0.1 * rng.normal(size=(120, 5))
    X[:, 0] += 0.3 * base[:, 1]
    X[:, 3] = base[:, 1]
    X[:, 4] = rng.normal(size=120)
    X[:10, 1] = np.nan
    X[:9, 2] = np.nan
    names = ["Cells_A", "Cells_B", "Nuclei_Correlation_RWC_DNA_RNA", "Cells_D", "Cells_E"]
    batch = batch_of(X, names=names)
    found = {}
    for rules in [("correlation", "nan", "blocklist"), ("nan", "blocklist", "correlation")]:
        config = replace(PYCYTOMINER_1_7, rules=(*rules, "remaining_nan"))
        found[rules[0]] = select_features(batch, config)["dropped_by"].fillna("").tolist()
    assert found["correlation"][0] == "correlation"
    assert found["nan"] == ["", "nan", "nan", "", ""]


LITERAL = {
    "variance": lambda frame, names, config: frequency_threshold(
        frame, features=names, freq_cut=config.frequency_cut, unique_cut=config.unique_cut
    ),
    "correlation": lambda frame, names, config: correlation_threshold(
        frame, features=names, threshold=config.correlation_threshold
    ),
    "nan": lambda frame, names, config: get_na_columns(frame, features=names, cutoff=config.nan_cutoff),
    "blocklist": lambda frame, names, config: get_blocklist_features(population_df=frame[names]),
    "remaining_nan": lambda frame, names, config: [name for name in names if not np.isfinite(frame[name]).all()],
}


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rules=st.permutations(RULES[:-1]).flatmap(lambda order: st.integers(0, 4).map(lambda k: tuple(order[:k]))),
    view=st.sampled_from(["full", "hidden"]),
    unique_cut=st.sampled_from([0.01, 0.1]),
)
def test_rules_in_any_order_and_view_are_the_literal_ones(seed, rules, view, unique_cut) -> None:
    config = SelectionConfig(unique_cut, view, (*rules, "remaining_nan"), correlation_threshold=0.8)
    batch = messy(seed, p=30)
    frame, names = batch.to_frame(), list(batch.features)
    dropped_by: dict[str, str] = {}
    for rule in config.rules:
        seen = [name for name in names if view == "full" or name not in dropped_by]
        for name in LITERAL[rule](frame, seen, config):
            dropped_by.setdefault(name, rule)
    table = select_features_over(cut(batch, [40, 80]), config).set_index("feature")
    assert table["dropped_by"].dropna().to_dict() == dropped_by
    assert (table["kept"] == table["dropped_by"].isna()).all()


@pytest.mark.parametrize(
    "rules",
    [
        (),
        ("variance", "nan"),
        ("remaining_nan", "variance"),
        ("nan", "nan", "remaining_nan"),
        ("remaining_nan", "remaining_nan"),
        ("variance", "frequency", "remaining_nan"),
    ],
)
def test_rules_that_are_not_known_or_out_of_place_are_refused(rules) -> None:
    expected = f"each once, and remaining_nan behind them, found {', '.join(rules) or 'none'}"
    with pytest.raises(ProfileError, match=expected):
        replace(PAPER_2024, rules=rules)


def test_a_view_that_is_not_known_is_refused() -> None:
    with pytest.raises(ProfileError, match="view 'half' of feature selection: there are full, hidden"):
        replace(PAPER_2024, view="half")


def test_the_presets_say_what_the_papers_did() -> None:
    for paper in (PAPER_2021, PAPER_2024):
        assert (paper.unique_cut, paper.view, paper.rules) == (0.1, "full", RULES)
    assert (PYCYTOMINER_1_7.unique_cut, PYCYTOMINER_1_7.view, PYCYTOMINER_1_7.rules) == (0.01, "hidden", RULES)


def test_memory_does_not_grow_with_the_number_of_plates(monkeypatch: pytest.MonkeyPatch) -> None:
    names = tuple(f"Cells_{i}" for i in range(150))
    for module in (plate_stream, feature_products):
        monkeypatch.setattr(module, "PIECE_WELLS", 384)
    monkeypatch.setattr(plate_stream, "BLOCK_BYTES", 400_000)
    monkeypatch.setattr(feature_measures, "SLICE_VALUES", 40_000)

    def peak(n_plates: int) -> int:
        plates = [CountedPlate(seed, 384, names) for seed in range(n_plates)]
        tracemalloc.start()
        kept = select_features_over(plates, PAPER_2024)["kept"].sum()
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert 0 < kept < 150
        return used

    peak(1)
    few, many = peak(6), peak(18)
    # 12 more plates have 2.8 MB of values; what may grow is a label of each well, and a few numbers of each plate.
    assert many - few < 0.8e6


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


def test_a_selection_is_applied_plate_by_plate_as_to_all_at_once() -> None:
    batch = messy(7)
    plates = cut(batch, [40, 50, 30])
    table = select_features(batch, PAPER_2024)
    turned = plates[1].take_features(np.arange(60)[::-1])
    found = apply_selection_over([plates[0], turned, plates[2]], table)
    expected = apply_selection(stack(plates), table)
    assert found.features == expected.features
    np.testing.assert_array_equal(found.matrix, expected.matrix)
    pd.testing.assert_frame_equal(found.metadata, expected.metadata)
    assert found.matrix.T.flags.c_contiguous


def test_applying_reads_each_plate_once_and_keeps_float32() -> None:
    names = tuple(f"Cells_{i}" for i in range(12))
    plates = [CountedPlate(seed, 20, names) for seed in (0, 2)]
    table = pd.DataFrame({"feature": names, "kept": [True, False] * 6})
    found = apply_selection_over(plates, table)
    assert [plate.reads.count((0, None)) for plate in plates] == [1, 1]
    assert found.matrix.dtype == np.float32
    assert found.metadata["Metadata_Plate"].unique().tolist() == ["BR0", "BR2"]


def test_what_cannot_be_applied_is_refused_with_the_plates_that_are_at_fault() -> None:
    plates = cut(batch_of(np.random.default_rng(10).normal(size=(80, 4))), [40, 40])
    table = select_features_over(plates, PAPER_2024)
    with pytest.raises(ProfileError, match=r"profiles of b\.BR1 lack selected features: Cells_F3"):
        apply_selection_over([plates[0], plates[1].take_features(np.arange(3))], table)
    X = plates[1].matrix.copy()
    X[10:20, 1], X[15, 2] = np.nan, np.inf
    with pytest.raises(ProfileError, match=r"2 selected features .* in 10 wells of b\.BR1: Cells_F1, Cells_F2"):
        apply_selection_over([plates[0], plates[1].with_matrix(X)], table)
    with pytest.raises(ProfileError, match="no plate to take selected features of"):
        apply_selection_over([], table)


def test_an_empty_well_of_a_later_plate_is_found() -> None:
    X = np.random.default_rng(8).normal(size=(80, 3))
    X[[41, 63]] = np.nan
    with pytest.raises(ProfileError, match=r"2 wells have no value in any feature, first plate b\.BR1, well A02"):
        select_features_over(cut(batch_of(X), [10, 45, 25]), PAPER_2024)

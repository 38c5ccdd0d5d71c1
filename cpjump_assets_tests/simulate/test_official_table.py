"""The invented official split table has the columns, conventions and counts of the published one."""

from pathlib import Path

import pandas as pd
import pytest

from cpjump_assets.simulate.official_table import OFFICIAL_COLUMNS, absent_wells, official_table
from cpjump_assets.simulate.plate_maps import invent_plate_maps
from cpjump_assets.simulate.reagents import Reagents, invent_reagents

SEED = 2


@pytest.fixture(scope="module")
def reagents() -> Reagents:
    return invent_reagents(SEED)


@pytest.fixture(scope="module")
def maps(reagents: Reagents) -> dict[str, pd.DataFrame]:
    return invent_plate_maps(reagents, SEED)


@pytest.fixture(scope="module")
def table(reagents: Reagents, maps: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return official_table(reagents, maps, SEED)


@pytest.fixture(scope="module")
def published(reference_root: Path) -> pd.DataFrame:
    return pd.read_csv(reference_root / "datasplits" / "cpjump1_metadata.csv", dtype=str, keep_default_na=False)


def test_wells_of_the_published_table(table: pd.DataFrame):
    assert len(table) == 15_275
    assert not table.duplicated(["Metadata_Plate", "Metadata_Well"]).any()
    assert table["Metadata_negcon_or_other"].value_counts().to_dict() == {"pert": 12_729, "negcon": 2_450, "empty": 96}
    per_type = table.query("Metadata_negcon_or_other == 'pert'").groupby(
        ["Metadata_experiment_type", "Metadata_timepoint_code"]
    )
    assert per_type.size().to_dict() == {
        ("CRISPR", "high"): 2_559,
        ("CRISPR", "low"): 2_560,
        ("Compound", "high"): 2_560,
        ("Compound", "low"): 2_490,
        ("ORF", "high"): 1_280,
        ("ORF", "low"): 1_280,
    }


def test_eighty_five_wells_are_absent_from_three_plates(table: pd.DataFrame, maps: dict[str, pd.DataFrame]):
    per_plate = 384 - table["Metadata_Plate"].value_counts()
    assert per_plate[per_plate > 0].to_dict() == {"BR00116995": 83, "BR00116993": 1, "BR00117005": 1}
    dmso = table.query("Metadata_broad_sample == 'DMSO'")["Metadata_Plate"].value_counts()
    assert dmso.pop("BR00116995") == 50
    assert set(dmso) == {64} and len(dmso) == 15
    absent = absent_wells(maps)
    assert len(absent) == 85
    assert not absent & set(zip(table["Metadata_Plate"], table["Metadata_Well"], strict=True))


def test_columns_and_conventions_are_those_of_the_published_table(table: pd.DataFrame, published: pd.DataFrame):
    assert list(table.columns) == list(published.columns) == list(OFFICIAL_COLUMNS)
    for column in OFFICIAL_COLUMNS:
        ours, theirs = (set(frame[column]) for frame in (table, published))
        if len(theirs) <= 5 or column in ("Metadata_Plate", "Metadata_Well", "Metadata_target_radix"):
            assert ours == theirs, column
        missing = [
            frame.assign(missing=frame[column] == "NA").groupby("Metadata_experiment_type")["missing"].mean()
            for frame in (table, published)
        ]
        # which modality has a value at all; shares differ a little, because other wells are absent
        pd.testing.assert_series_equal(*missing, atol=0.003)


def test_row_order_is_the_published_one(table: pd.DataFrame, published: pd.DataFrame):
    for frame in (table, published):
        assert (
            frame.groupby("Metadata_Plate", sort=False)["Metadata_Well"].agg(lambda w: w.is_monotonic_increasing)
        ).all()
    assert list(table["Metadata_Plate"].unique()) == list(published["Metadata_Plate"].unique())


def test_radix_is_one_rank_per_target(table: pd.DataFrame):
    pairs = table[["Metadata_target", "Metadata_target_radix"]].drop_duplicates()
    assert len(pairs) == 179 == pairs["Metadata_target"].nunique()
    assert sorted(pairs["Metadata_target_radix"].astype(int)) == list(range(1, 180))


def test_n_counts_the_modalities_of_a_target(table: pd.DataFrame):
    modalities = table.groupby("Metadata_target")["Metadata_experiment_type"].nunique()
    assert (table["n"].astype(int) == table["Metadata_target"].map(modalities)).all()
    assert ((table["n"] == "3") == (table["Metadata_target_is_across"] == "TRUE")).all()
    assert ((table["n"] == "3") == (table["Metadata_negcon_or_other"] == "pert")).all()


def test_a_reagent_says_the_same_in_all_its_wells(table: pd.DataFrame):
    of_reagent = ["pert_type", "control_type", "target", "pert_iname", "InChIKey", "target_sequence", "mg_per_ml"]
    distinct = table.groupby(["Metadata_broad_sample", "Metadata_experiment_type"])[
        [f"Metadata_{name}" for name in of_reagent]
    ].nunique()
    assert (distinct == 1).all(axis=None)


def test_some_held_out_compounds_list_a_train_target(table: pd.DataFrame, reagents: Reagents):
    """Target lists span the subsets of a target split, as 10 of 61 and 10 of 60 real held-out compounds do."""
    across = table.query("Metadata_target_is_across == 'TRUE'")[["Metadata_target", "Metadata_target_radix"]]
    order = across.drop_duplicates().sort_values("Metadata_target_radix", key=lambda radix: radix.astype(int))
    train = set(order["Metadata_target"].iloc[:96])
    held_out = reagents.compounds[~reagents.compounds["target"].isin(train)]
    leaking = held_out["target_list"].map(lambda genes: bool(train & set(genes.split("|"))))
    assert len(held_out) == pytest.approx(121, abs=8)
    assert 8 <= leaking.sum() <= 45

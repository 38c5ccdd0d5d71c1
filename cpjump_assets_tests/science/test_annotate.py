"""Annotated profiles: the join with the wells of a plate."""

from pathlib import Path

import numpy as np
import pandas as pd
import pycytominer
import pytest

from cpjump_assets.science import annotate as module
from cpjump_assets.science.errors import BadTableError, ProfileError
from cpjump_assets.science.features import Profiles
from cpjump_assets.science.plates import MAIN_BATCH, PlateKey

PLATE = PlateKey(MAIN_BATCH, "BR00116995")


def annotate(frame: pd.DataFrame, wells: pd.DataFrame, plate: PlateKey) -> Profiles:
    return module.annotate(Profiles.from_frame(frame), wells, plate)


@pytest.fixture
def wells() -> pd.DataFrame:
    own = pd.DataFrame(
        {
            "Metadata_Well": ["A01", "A02", "B01", "P24"],
            "Metadata_Batch": PLATE.batch,
            "Metadata_Plate": PLATE.barcode,
            "Metadata_broad_sample": ["BRD-1", "DMSO", "BRD-2", "empty"],
            "Metadata_pert_iname": ["one", None, "two", None],
            "Metadata_target_is_across": pd.array([True, None, False, None], dtype="boolean"),
        }
    )
    return pd.concat([own.assign(Metadata_Plate="BR00116994", Metadata_broad_sample="other"), own], ignore_index=True)


@pytest.fixture
def profile() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Metadata_Plate": PLATE.barcode,
            "Metadata_Well": ["P24", "A02", "A01"],
            "Metadata_Count_Cells": [3, 2, 1],
            "Cells_A": [30.0, 20.0, 10.0],
            "Nuclei_B": [0.3, 0.2, 0.1],
        }
    )


def test_each_well_gets_its_own_row_of_wells_in_the_order_of_wells(profile: pd.DataFrame, wells: pd.DataFrame) -> None:
    frame = annotate(profile, wells, PLATE).to_frame()
    assert list(frame.columns) == [
        "Metadata_Batch",
        "Metadata_Plate",
        "Metadata_Well",
        "Metadata_broad_sample",
        "Metadata_pert_iname",
        "Metadata_target_is_across",
        "Metadata_Count_Cells",
        "Cells_A",
        "Nuclei_B",
    ]
    assert frame["Metadata_Well"].tolist() == ["A01", "A02", "P24"]
    assert frame["Metadata_broad_sample"].tolist() == ["BRD-1", "DMSO", "empty"]
    assert frame["Cells_A"].tolist() == [10.0, 20.0, 30.0]
    assert frame["Metadata_Count_Cells"].tolist() == [1, 2, 3]
    assert frame["Metadata_target_is_across"].dtype == "boolean"


def test_the_annotation_is_pycytominers(profile: pd.DataFrame, wells: pd.DataFrame) -> None:
    """Its columns of a well are ours; what differs is the order of rows and columns."""
    own = wells[wells["Metadata_Plate"] == PLATE.barcode]
    platemap = own.drop(columns=["Metadata_Batch", "Metadata_Plate"])
    theirs = pycytominer.annotate(profile, platemap, join_on=["Metadata_Well", "Metadata_Well"])
    theirs = theirs.assign(Metadata_Batch=PLATE.batch).sort_values("Metadata_Well", ignore_index=True)
    ours = annotate(profile, wells, PLATE).to_frame()
    assert set(theirs.columns) == set(ours.columns)
    pd.testing.assert_frame_equal(theirs[list(ours.columns)], ours, check_dtype=False)


def test_the_wells_table_wins_over_an_older_annotation_in_the_file(profile: pd.DataFrame, wells: pd.DataFrame) -> None:
    profile["Metadata_pert_iname"] = "an older name"
    frame = annotate(profile, wells, PLATE).to_frame()
    assert frame["Metadata_pert_iname"].tolist()[0] == "one"
    assert frame["Metadata_pert_iname"].isna().tolist() == [False, True, True]
    assert list(frame.columns).count("Metadata_pert_iname") == 1


def test_a_blank_reagent_in_the_file_contradicts_nothing(profile: pd.DataFrame, wells: pd.DataFrame) -> None:
    profile["Metadata_broad_sample"] = pd.Series([None, None, "BRD-1"], dtype="str")
    assert annotate(profile, wells, PLATE).metadata["Metadata_broad_sample"].tolist() == ["BRD-1", "DMSO", "empty"]


def test_another_reagent_in_the_file_is_refused(profile: pd.DataFrame, wells: pd.DataFrame) -> None:
    profile["Metadata_broad_sample"] = ["empty", "BRD-7", "BRD-1"]
    with pytest.raises(
        BadTableError, match=rf"{PLATE.barcode} names another reagent .* in 1 wells: well A02 has BRD-7, expected DMSO"
    ):
        annotate(profile, wells, PLATE)


def test_the_input_stays_as_it_was(profile: pd.DataFrame, wells: pd.DataFrame) -> None:
    before = profile.copy(), wells.copy()
    annotate(profile, wells, PLATE)
    pd.testing.assert_frame_equal(profile, before[0])
    pd.testing.assert_frame_equal(wells, before[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.assign(Metadata_Well=["P24", "Q02", "A1"]), "wells that its layout lacks: A1, Q02"),
        (lambda file: file.assign(Metadata_Well=["P24", "A01", "A01"]), "wells more than once: A01"),
        (
            lambda file: file.assign(Metadata_Plate=["BR00116995", "BR00116995", "BR00117000"]),
            "Metadata_Plate BR00117000",
        ),
        (lambda file: file.assign(Metadata_Batch="2020_12_08"), f"Metadata_Batch 2020_12_08, expected {MAIN_BATCH}"),
        (lambda file: file.drop(columns="Metadata_Well"), "no column Metadata_Well"),
        (lambda file: file.drop(columns="Metadata_Plate"), "no column Metadata_Plate"),
        (lambda file: file.iloc[:0], "has no well"),
    ],
)
def test_a_bad_file_is_refused_with_the_plate_named(
    change, message, profile: pd.DataFrame, wells: pd.DataFrame
) -> None:
    with pytest.raises(BadTableError, match=rf"{PLATE.batch}\.{PLATE.barcode} .*{message}"):
        annotate(change(profile), wells, PLATE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda wells: wells.drop(columns="Metadata_broad_sample"), "no column Metadata_broad_sample"),
        (lambda wells: wells[wells["Metadata_Plate"] != PLATE.barcode], f"no well of plate {PLATE}"),
        (lambda wells: pd.concat([wells, wells.iloc[[5]]]), f"wells of plate {PLATE} more than once: A02"),
    ],
)
def test_a_bad_wells_table_is_refused(change, message, profile: pd.DataFrame, wells: pd.DataFrame) -> None:
    with pytest.raises(BadTableError, match=message):
        annotate(profile, change(wells), PLATE)


def test_a_feature_that_is_text_is_refused(profile: pd.DataFrame, wells: pd.DataFrame) -> None:
    with pytest.raises(ProfileError, match="Cells_A"):
        annotate(profile.assign(Cells_A="high"), wells, PLATE)


def test_every_plate_of_the_official_table_is_joined_as_a_plain_merge_would(reference_root: Path) -> None:
    official = pd.read_csv(reference_root / "datasplits" / "cpjump1_metadata.csv", low_memory=False)
    official = official.assign(
        Metadata_Batch=MAIN_BATCH, Metadata_broad_sample=official["Metadata_broad_sample"].fillna("DMSO")
    )
    wells = official.sample(frac=1, random_state=1)
    rng = np.random.default_rng(2)
    for barcode, own in official.groupby("Metadata_Plate"):
        profile = own[["Metadata_Plate", "Metadata_Well"]].sample(frac=0.9, random_state=3)
        profile = profile.assign(Cells_A=rng.normal(size=len(profile)))
        frame = annotate(profile, wells, PlateKey(MAIN_BATCH, str(barcode))).to_frame()
        expected = profile.merge(official, on=["Metadata_Plate", "Metadata_Well"], validate="1:1").sort_values(
            "Metadata_Well"
        )
        pd.testing.assert_frame_equal(frame[expected.columns], expected.reset_index(drop=True))
    assert official["Metadata_Plate"].nunique() == 40

"""Known issues of the real and of the simulated tables, against the raw reference files and well by well."""

import pandas as pd
import pytest

from cpjump_assets.gallery.reference.metadata import load_metadata
from cpjump_assets.gallery.reference.root import ReferenceRoot
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.known_issues import (
    KNOWN_ISSUES,
    concerned,
    issues_by_plate,
    issues_in_subsets,
    known_issues,
)
from cpjump_assets.science.plates import DEEP_PROFILER_BATCH, MAIN_BATCH
from cpjump_assets.science.policies import ISSUE_KINDS
from cpjump_assets.science.splits import split_manifest
from cpjump_assets.science.strategies import REPRESENTATION
from cpjump_assets.simulate.reference_files import write_invented_reference


@pytest.fixture(scope="module")
def issues(real):
    return known_issues(real.wells)


@pytest.fixture(scope="module")
def invented_wells(tmp_path_factory):
    root = tmp_path_factory.mktemp("invented")
    write_invented_reference(root, seed=3)
    return load_metadata(ReferenceRoot.parse(str(root))).wells


def of_kind(issues, kind):
    return issues[issues["issue"] == kind]


def assert_published_counts(issues, wells):
    assert issues["issue"].value_counts().to_dict() == {
        "absent_from_official_table": 85,
        "stain_anomaly": 43,
        "seeding_failure": 1,
    }
    main = of_kind(issues, "stain_anomaly").query("Metadata_Batch == @MAIN_BATCH")
    assert main["Metadata_anomaly"].value_counts().to_dict() == {"Phalloidin": 13, "WGA": 12, "Mitotracker": 2}
    primary = wells.loc[wells["Metadata_is_primary"], "Metadata_Plate"].unique()
    of_primary = main[main["Metadata_Plate"].isin(primary)]
    assert of_primary["Metadata_anomaly"].value_counts().to_dict() == {"Phalloidin": 12, "WGA": 12, "Mitotracker": 2}
    assert len(set(primary) - set(main["Metadata_Plate"])) == 14
    absent = of_kind(issues, "absent_from_official_table")
    assert absent["Metadata_Plate"].value_counts().to_dict() == {"BR00116995": 83, "BR00116993": 1, "BR00117005": 1}


def test_the_real_tables_have_the_published_counts(issues, real):
    assert_published_counts(issues, real.wells)


def test_the_simulated_tables_have_the_same_counts(invented_wells):
    assert_published_counts(known_issues(invented_wells), invented_wells)


def test_stain_anomalies_are_those_of_the_raw_file_but_for_the_images_that_it_lists_twice(issues, raw):
    listed = raw.experiment[(raw.experiment["Anomaly"] != "none") & (raw.experiment["Batch"] != DEEP_PROFILER_BATCH)]
    expected = listed[["Batch", "Assay_Plate_Barcode", "Anomaly"]].itertuples(index=False, name=None)
    found = of_kind(issues, "stain_anomaly")
    columns = ["Metadata_Batch", "Metadata_Plate", "Metadata_anomaly"]
    assert sorted(found[columns].itertuples(index=False, name=None)) == sorted(expected)
    assert found["Metadata_Well"].isna().all()
    assert all(stain in reason for stain, reason in zip(found["Metadata_anomaly"], found["reason"], strict=True))


def test_absent_wells_are_those_that_the_raw_file_lacks(issues, raw):
    described = set(raw.official[["Metadata_Plate", "Metadata_Well"]].itertuples(index=False, name=None))
    plates = {plate for plate, _ in described}
    everything = {
        (plate, f"{row}{column:02d}") for plate in plates for row in "ABCDEFGHIJKLMNOP" for column in range(1, 25)
    }
    found = of_kind(issues, "absent_from_official_table")
    assert set(found[["Metadata_Plate", "Metadata_Well"]].itertuples(index=False, name=None)) == everything - described
    assert set(found["Metadata_Batch"]) == {MAIN_BATCH}


def test_the_seeding_failure_is_one_of_the_plate_whose_absent_wells_lie_in_every_second_row(issues):
    (row,) = of_kind(issues, "seeding_failure").to_dict("records")
    assert (row["Metadata_Batch"], row["Metadata_Plate"]) == (MAIN_BATCH, "BR00116995")
    assert pd.isna(row["Metadata_Well"])
    assert "301 of 384" in row["reason"]
    absent = of_kind(issues, "absent_from_official_table").query("Metadata_Plate == 'BR00116995'")["Metadata_Well"]
    assert 384 - len(absent) == 301
    assert set(absent.str[0]) == set("ACEGIKMO")
    assert absent.str[1:].astype(int).max() == 14


def test_every_row_keeps_to_the_schema_with_a_reason_and_a_source(issues):
    KNOWN_ISSUES.check(issues, "known issues")
    assert issues["reason"].str.fullmatch(r"[A-Z].*\.").all()
    assert issues["source"].str.contains(r"\.tsv|\.csv|#\d+", regex=True).all()
    assert set(issues["issue"]) == set(ISSUE_KINDS)
    with pytest.raises(BadTableError, match="'edge'"):
        KNOWN_ISSUES.check(issues.assign(issue="edge"), "known issues")


def test_row_order_of_the_wells_does_not_show(issues, real):
    pd.testing.assert_frame_equal(known_issues(real.wells.sample(frac=1, random_state=5)), issues)


def test_no_wells_have_no_issues(real):
    none = known_issues(real.wells.head(0))
    assert none.empty
    assert list(none.columns) == KNOWN_ISSUES.column_names
    assert not concerned(real.wells.head(5), none).any()
    assert concerned(real.wells.head(0), known_issues(real.wells)).empty


@pytest.mark.parametrize("kind", ISSUE_KINDS)
def test_the_concerned_wells_are_those_of_a_loop(issues, real, kind):
    rows = of_kind(issues, kind)
    keys = list(rows[["Metadata_Batch", "Metadata_Plate", "Metadata_Well"]].itertuples(index=False, name=None))
    plates = {(batch, plate) for batch, plate, well in keys if pd.isna(well)}
    wells = {key for key in keys if not pd.isna(key[2])}
    shuffled = real.wells.sample(frac=1, random_state=7)
    expected = [
        (batch, plate) in plates or (batch, plate, well) in wells
        for batch, plate, well in zip(
            shuffled["Metadata_Batch"], shuffled["Metadata_Plate"], shuffled["Metadata_Well"], strict=True
        )
    ]
    found = concerned(shuffled, rows)
    assert found.tolist() == expected
    assert found.index.equals(shuffled.index)
    assert found.sum() == {"seeding_failure": 384, "stain_anomaly": 43 * 384, "absent_from_official_table": 85}[kind]


def test_one_row_for_each_plate_counts_single_wells(issues):
    table = issues_by_plate(issues)
    assert len(table) == 43 + 1 + 3
    counted = table[table["wells"] != "all"].set_index("Metadata_Plate")["wells"]
    assert counted.to_dict() == {"BR00116993": "1", "BR00116995": "83", "BR00117005": "1"}


def test_wells_with_issues_in_the_subsets_of_the_representation_split(issues, real):
    found = issues_in_subsets(split_manifest(real.wells, REPRESENTATION), issues)
    rows = found.assign(Metadata_anomaly=found["Metadata_anomaly"].fillna("-")).set_index(
        ["issue", "Metadata_anomaly", "subset"]
    )
    assert rows["wells"].to_dict() == {
        ("seeding_failure", "-", "validate"): 251,
        ("stain_anomaly", "Mitotracker", "test"): 640,
        ("stain_anomaly", "Phalloidin", "train"): 3_840,
        ("stain_anomaly", "WGA", "train"): 1_280,
        ("stain_anomaly", "WGA", "validate"): 2_490,
    }
    assert rows["share"].round(2).tolist() == [0.10, 0.25, 0.50, 0.17, 1.0]

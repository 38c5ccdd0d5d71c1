import pandas as pd
import pytest

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.experiments import TIMEPOINTS, experiment_metadata
from cpjump_assets.science.plates import DEEP_PROFILER_BATCH, MAIN_BATCH, PLATES

CONDITION = ["Metadata_cell_line", "Metadata_experiment_type", "Metadata_timepoint"]


def test_117_acquisitions_of_which_107_are_images_of_their_own(real):
    assert len(real.experiment) == 117
    images = real.experiment[real.experiment["Metadata_Batch"] != DEEP_PROFILER_BATCH]
    assert set(images[["Metadata_Batch", "Metadata_Plate"]].itertuples(index=False, name=None)) == set(PLATES)
    assert sorted(images["Metadata_Batch"].value_counts()) == [8, 8, 8, 8, 24, 51]


def test_40_primary_plates_in_12_conditions(real):
    primary = real.experiment[real.experiment["Metadata_is_primary"]]
    assert set(primary["Metadata_Batch"]) == {MAIN_BATCH}
    plates = primary.groupby(CONDITION).size()
    assert len(plates) == 12
    assert plates.groupby("Metadata_experiment_type").unique().map(list).to_dict() == {
        "CRISPR": [4],
        "Compound": [4],
        "ORF": [2],
    }


def test_11_secondary_plates_of_the_main_batch(real):
    main = real.experiment[real.experiment["Metadata_Batch"] == MAIN_BATCH]
    secondary = main[~main["Metadata_is_primary"]]
    columns = ["Metadata_experiment_type", "Metadata_antibiotics", "Metadata_density", "Metadata_cell_background"]
    assert secondary.groupby(columns).size().to_dict() == {
        ("CRISPR", "Puromycin", 100, "Cas9"): 2,
        ("Compound", "absent", 80, "Parental"): 2,
        ("Compound", "absent", 100, "Cas9"): 4,
        ("Compound", "absent", 120, "Parental"): 2,
        ("ORF", "Blasticidin", 100, "Parental"): 1,
    }


def test_primary_plates_and_codes_are_those_of_the_official_table(real, raw):
    official = raw.official.drop_duplicates("Metadata_Plate").set_index("Metadata_Plate")
    primary = real.experiment[real.experiment["Metadata_is_primary"]].set_index("Metadata_Plate")
    assert set(primary.index) == set(official.index)
    official = official.loc[primary.index]
    assert (primary["Metadata_timepoint_code"] == official["Metadata_timepoint_code"]).all()
    assert (primary["Metadata_timepoint"].astype(str) == official["Metadata_timepoint"]).all()


def test_one_plate_map_for_each_modality(real):
    maps = real.experiment.groupby("Metadata_experiment_type")["Metadata_plate_map_name"].unique().map(list)
    assert maps.to_dict() == {
        name: [f"JUMP-Target-1_{name.lower()}_platemap"] for name in ("CRISPR", "Compound", "ORF")
    }


def test_images_and_anomalies(real):
    images = real.experiment[real.experiment["Metadata_Batch"] != DEEP_PROFILER_BATCH]
    assert images["Metadata_number_of_images"].sum() == 2_723_800
    main = images[images["Metadata_Batch"] == MAIN_BATCH]
    assert main["Metadata_anomaly"].value_counts().to_dict() == {
        "none": 24,
        "Phalloidin": 13,
        "WGA": 12,
        "Mitotracker": 2,
    }
    primary = main[main["Metadata_is_primary"]]
    assert primary["Metadata_anomaly"].value_counts().to_dict() == {
        "none": 14,
        "Phalloidin": 12,
        "WGA": 12,
        "Mitotracker": 2,
    }


def test_the_earlier_time_of_each_modality_is_low():
    assert TIMEPOINTS == {
        "Compound": {24: "low", 48: "high"},
        "ORF": {48: "low", 96: "high"},
        "CRISPR": {96: "low", 144: "high"},
    }


def test_row_order_of_the_file_does_not_show(raw, real):
    shuffled = raw.experiment.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(experiment_metadata(shuffled), real.experiment)


def _with(frame, row, **values):
    frame = frame.copy()
    for column, value in values.items():
        frame.loc[row, column] = value
    return frame


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda raw: raw.drop(columns="Anomaly"), ["Anomaly", "missing"]),
        (lambda raw: raw.head(0), ["no rows"]),
        (lambda raw: _with(raw, 3, Assay_Plate_Barcode="BR00999999"), ["not of CPJUMP1", "BR00999999"]),
        (lambda raw: _with(raw, 3, Batch="2021_01_01"), ["not of CPJUMP1", "2021_01_01 BR00116994"]),
        (lambda raw: _with(raw, 3, Time="96"), ["BR00116994", "96 h", "Compound", "24 or 48"]),
        (lambda raw: _with(raw, 3, Time="a day"), ["Time", "whole numbers", "'a day'", "BR00116994"]),
        (lambda raw: _with(raw, 3, Perturbation="Compound"), ["Perturbation", "'Compound'", "BR00116994"]),
        (lambda raw: _with(raw, 3, Cell_type="HeLa"), ["Cell_type", "'HeLa'", "BR00116994"]),
        (lambda raw: _with(raw, 3, Density=None), ["Density", "must have a value", "BR00116994"]),
        (lambda raw: pd.concat([raw, raw.tail(1)]), ["more than once", "BR00116994F"]),
    ],
)
def test_a_bad_file_is_one_error_that_names_what_is_wrong(raw, spoil, words):
    with pytest.raises(BadTableError) as error:
        experiment_metadata(spoil(raw.experiment))
    for word in ["experiment-metadata.tsv", *words]:
        assert word in str(error.value)

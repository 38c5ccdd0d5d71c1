"""The typed facts against the published tables, and against what the requirements say about them."""

from pathlib import Path

import pandas as pd

from cpjump_assets.science.plates import DEEP_PROFILER_BATCH, MAIN_BATCH, PLATES
from cpjump_assets.simulate.plate_facts import experiment_metadata, official_plates


def test_experiment_metadata_is_the_published_file_byte_for_byte(reference_root: Path):
    published = (reference_root / "benchmark" / "output" / "experiment-metadata.tsv").read_bytes()
    assert experiment_metadata().to_csv(sep="\t", index=False, lineterminator="\n").encode() == published


def test_every_published_acquisition_is_there_once():
    table = experiment_metadata()
    own = table[table["Batch"] != DEEP_PROFILER_BATCH]
    assert len(table) == 117
    assert sorted(zip(own["Batch"], own["Assay_Plate_Barcode"], strict=True)) == sorted(PLATES)


def test_stain_anomalies_of_the_main_batch():
    table = experiment_metadata()
    main = table[table["Batch"] == MAIN_BATCH].set_index("Assay_Plate_Barcode")["Anomaly"]
    assert main.value_counts().to_dict() == {"none": 24, "Phalloidin": 13, "WGA": 12, "Mitotracker": 2}
    primary = main[official_plates()["Metadata_Plate"]]
    assert primary.value_counts().to_dict() == {"none": 14, "Phalloidin": 12, "WGA": 12, "Mitotracker": 2}


def test_official_plates_are_those_of_the_published_split_table(reference_root: Path):
    ours = official_plates()
    published = pd.read_csv(reference_root / "datasplits" / "cpjump1_metadata.csv", usecols=list(ours.columns))
    published = published[list(ours.columns)].drop_duplicates(ignore_index=True)
    pd.testing.assert_frame_equal(ours, published, check_dtype=False)


def test_twelve_conditions_of_two_or_four_replicates():
    conditions = (
        official_plates()
        .groupby(["Metadata_experiment_type", "Metadata_cell_line", "Metadata_timepoint", "Metadata_timepoint_code"])[
            "Metadata_replicate_id"
        ]
        .agg(list)
    )
    assert len(conditions) == 12
    for (modality, *_), replicates in conditions.items():
        assert replicates == ([1, 2] if modality == "ORF" else [1, 2, 3, 4])

"""The experiment: one row per plate acquisition, with its condition.

Belongs here: the experiment metadata of the benchmark in the platform's spelling, and which plates are primary. Does
not belong here: what is in the wells (``wells``), or which acquisitions exist (``plates``).
"""

import pandas as pd

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.plates import BATCHES, DEEP_PROFILER_BATCH, MAIN_BATCH, PLATES
from cpjump_assets.science.raw_tables import integers, require_rows
from cpjump_assets.science.schemas import CELL_BACKGROUNDS, CELL_LINES, EXPERIMENT_METADATA, Column, TableSchema

TIMEPOINTS: dict[str, dict[int, str]] = {
    "Compound": {24: "low", 48: "high"},
    "ORF": {48: "low", 96: "high"},
    "CRISPR": {96: "low", 144: "high"},
}
"""Hours of each modality's two times, with the code of the official split table (the papers say short and long)."""

_TYPES = {experiment_type.lower(): experiment_type for experiment_type in TIMEPOINTS}
_SOURCE = "experiment-metadata.tsv"
_KEY = ("Batch", "Assay_Plate_Barcode")
_RAW = TableSchema(
    _SOURCE,
    "a plate acquisition",
    _KEY,
    (
        Column("Batch", "string", "batch"),
        Column("Plate_Map_Name", "string", "plate map"),
        Column("Assay_Plate_Barcode", "string", "barcode"),
        Column("Perturbation", "string", "modality", allowed=tuple(_TYPES)),
        Column("Cell_type", "string", "cell line", allowed=CELL_LINES),
        Column("Time", "string", "hours"),
        Column("Density", "string", "percent of the standard seeding density"),
        Column("Antibiotics", "string", "antibiotic or absent"),
        Column("Cell_line", "string", "Parental or Cas9", allowed=CELL_BACKGROUNDS),
        Column("Time_delay", "string", "time from staining to imaging"),
        Column("Times_imaged", "string", "how often imaged"),
        Column("Anomaly", "string", "stain anomaly"),
        Column("Number_of_images", "string", "image files"),
    ),
)
_SAME_VALUES = {
    "Batch": "Metadata_Batch",
    "Assay_Plate_Barcode": "Metadata_Plate",
    "Plate_Map_Name": "Metadata_plate_map_name",
    "Cell_type": "Metadata_cell_line",
    "Antibiotics": "Metadata_antibiotics",
    "Cell_line": "Metadata_cell_background",
    "Time_delay": "Metadata_time_delay",
    "Anomaly": "Metadata_anomaly",
}
_NUMBERS = {
    "Time": "Metadata_timepoint",
    "Density": "Metadata_density",
    "Times_imaged": "Metadata_times_imaged",
    "Number_of_images": "Metadata_number_of_images",
}


def experiment_metadata(raw: pd.DataFrame) -> pd.DataFrame:
    """Give the experiment metadata in the platform's spelling.

    Parameters
    ----------
    raw
        ``experiment-metadata.tsv`` of the benchmark: its own column names, every value a string.

    Returns
    -------
    DataFrame
        ``EXPERIMENT_METADATA``, one row per acquisition; 117 in the published file, the 10 of the DeepProfiler batch
        included, which are the images of ten plates of the main batch once more.

    Raises
    ------
    BadTableError
        If the file does not keep to its columns, lists a plate that is not one of CPJUMP1, or gives a time that the
        modality was not imaged at.
    """
    require_rows(raw, _SOURCE)
    _RAW.check(raw, _SOURCE)
    _require_known_plates(raw)
    table = raw[list(_SAME_VALUES)].rename(columns=_SAME_VALUES)
    table["Metadata_experiment_type"] = raw["Perturbation"].map(_TYPES)
    for column, name in _NUMBERS.items():
        table[name] = integers(raw, column, key=_KEY, source=_SOURCE)
    table["Metadata_timepoint_code"] = _timepoint_codes(table)
    table["Metadata_is_primary"] = _is_primary(table)
    return EXPERIMENT_METADATA.normalise(table, _SOURCE)


def _require_known_plates(raw: pd.DataFrame) -> None:
    known = {*PLATES, *((DEEP_PROFILER_BATCH, barcode) for barcode in BATCHES[MAIN_BATCH])}
    listed = raw[list(_KEY)].itertuples(index=False, name=None)
    unknown = [f"{batch} {barcode}" for batch, barcode in listed if (batch, barcode) not in known]
    if unknown:
        raise BadTableError(f"{_SOURCE}: {len(unknown)} plates are not of CPJUMP1: {'; '.join(unknown[:5])}")


def _timepoint_codes(table: pd.DataFrame) -> pd.Series:
    codes = pd.Series(
        [
            TIMEPOINTS[experiment_type].get(hours)
            for experiment_type, hours in zip(
                table["Metadata_experiment_type"], table["Metadata_timepoint"], strict=True
            )
        ],
        index=table.index,
    )
    if codes.isna().any():
        first = table[codes.isna()].iloc[0]
        expected = " or ".join(map(str, TIMEPOINTS[first["Metadata_experiment_type"]]))
        raise BadTableError(
            f"{_SOURCE}: plate {first['Metadata_Plate']} of {first['Metadata_Batch']} has time "
            f"{first['Metadata_timepoint']} h; {first['Metadata_experiment_type']} plates have {expected} h"
        )
    return codes


def _is_primary(table: pd.DataFrame) -> pd.Series:
    """Say which plates the published benchmark scores: its notebooks drop compound plates on Cas9 cells at the end."""
    compound_on_cas9 = (table["Metadata_experiment_type"] == "Compound") & (table["Metadata_cell_background"] == "Cas9")
    return (
        (table["Metadata_Batch"] == MAIN_BATCH)
        & (table["Metadata_density"] == 100)
        & (table["Metadata_antibiotics"] == "absent")
        & ~compound_on_cas9
    )

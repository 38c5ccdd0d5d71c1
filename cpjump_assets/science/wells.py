"""The wells: what each holds, under which condition, and whether it takes part in splits.

Belongs here: plate maps, reagents and the official split table joined well by well, and the reasons why a well takes no
part. Does not belong here: how the eligible wells are assigned (``splits``).
"""

from collections.abc import Mapping

import pandas as pd

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.perturbations import DMSO, EMPTY, OFFICIAL_FILE
from cpjump_assets.science.plates import DEEP_PROFILER_BATCH, MAIN_BATCH
from cpjump_assets.science.positions import POSITIONS, require_full_plate
from cpjump_assets.science.raw_tables import integers, require_agreement, require_rows, truth_values
from cpjump_assets.science.schemas import INELIGIBLE_REASONS, STRING, WELLS, Column, TableSchema

_PLATE_MAP = TableSchema(
    "plate map",
    "a well of the map",
    ("well_position",),
    (
        Column("well_position", "string", "A01 to P24"),
        Column("broad_sample", "string", "reagent; blank for DMSO or empty", nullable=True),
    ),
)
_BARCODES = TableSchema(
    "barcode_platemap.csv",
    "a plate",
    ("Assay_Plate_Barcode",),
    (Column("Assay_Plate_Barcode", "string", "barcode"), Column("Plate_Map_Name", "string", "plate map")),
)
_WELL_KEY = ["Metadata_Plate", "Metadata_Well"]
_SHARED_WITH_OFFICIAL = (
    "Metadata_broad_sample",
    "Metadata_experiment_type",
    "Metadata_cell_line",
    "Metadata_timepoint",
    "Metadata_timepoint_code",
)
_OFFICIAL_ONLY = ("Metadata_target_is_across", "Metadata_target_radix")
_OFFICIAL = TableSchema(
    OFFICIAL_FILE,
    "a well of a primary plate",
    tuple(_WELL_KEY),
    tuple(
        Column(name, "string", "as in the official split table", nullable=name in _OFFICIAL_ONLY)
        for name in (*_WELL_KEY, *_SHARED_WITH_OFFICIAL, *_OFFICIAL_ONLY)
    ),
)
_FROM_PERTURBATIONS = (
    "Metadata_pert_type",
    "Metadata_control_type",
    "Metadata_target",
    "Metadata_pert_iname",
)


def well_table(
    experiment: pd.DataFrame,
    barcode_platemaps: Mapping[str, pd.DataFrame],
    plate_maps: Mapping[str, pd.DataFrame],
    perturbations: pd.DataFrame,
    official: pd.DataFrame,
) -> pd.DataFrame:
    """Say for each well of each plate acquisition what it holds, and whether it takes part in splits.

    Parameters
    ----------
    experiment
        ``EXPERIMENT_METADATA``; rows of the DeepProfiler batch are the same images once more, and are left out.
    barcode_platemaps
        ``barcode_platemap.csv`` by batch, as strings.
    plate_maps
        Plate maps by name, as strings. A blank is DMSO in the map of the compounds, and empty in the others.
    perturbations
        ``PERTURBATIONS``.
    official
        The official split table, ``cpjump1_metadata.csv``, as strings.

    Returns
    -------
    DataFrame
        ``WELLS``: 384 rows per acquisition, 41,088 in all. Of the main batch 4,224 lie on no primary plate, 85 are
        absent from the official table, 2,450 are negative controls, 96 empty, and 12,729 eligible.

    Raises
    ------
    BadTableError
        If a plate has no map, a map is not a full plate or names an unknown reagent, or if map, experiment metadata and
        official table disagree on a well.
    """
    require_rows(official, OFFICIAL_FILE)
    _OFFICIAL.check(official, OFFICIAL_FILE)
    acquisitions = experiment[experiment["Metadata_Batch"] != DEEP_PROFILER_BATCH]
    _require_mapped(acquisitions, barcode_platemaps)
    contents = _plate_map_contents(acquisitions, plate_maps)
    contents = _with_reagents(contents, perturbations)
    table = acquisitions.drop(columns=["Metadata_times_imaged", "Metadata_number_of_images"])
    table = table.merge(contents, on=["Metadata_plate_map_name", "Metadata_experiment_type"])
    table = _with_official(table, official)
    table["Metadata_ineligible_reason"] = _ineligible_reason(table)
    table["Metadata_eligible"] = table["Metadata_ineligible_reason"].isna()
    return WELLS.normalise(table[WELLS.column_names], "wells")


def _require_mapped(acquisitions: pd.DataFrame, barcode_platemaps: Mapping[str, pd.DataFrame]) -> None:
    """Check that each batch's barcode file gives each acquired plate the map of the experiment metadata."""
    for batch, plates in acquisitions.groupby("Metadata_Batch"):
        source = f"barcode_platemap.csv of {batch}"
        if batch not in barcode_platemaps:
            raise BadTableError(f"{source} is missing; {len(plates)} plates of the batch need it")
        barcodes = barcode_platemaps[str(batch)]
        require_rows(barcodes, source)
        _BARCODES.check(barcodes, source)
        joined = plates.merge(barcodes, left_on="Metadata_Plate", right_on="Assay_Plate_Barcode", how="left")
        unlisted = joined.loc[joined["Plate_Map_Name"].isna(), "Metadata_Plate"]
        if len(unlisted):
            raise BadTableError(f"{source}: {len(unlisted)} plates are not listed: {', '.join(unlisted.head(5))}")
        require_agreement(
            joined,
            "Metadata_plate_map_name",
            "Plate_Map_Name",
            key=["Metadata_Plate"],
            source="experiment metadata",
            other=source,
        )


def _plate_map_contents(acquisitions: pd.DataFrame, plate_maps: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Give the 384 wells of each plate map in use: map name, modality, position and ``broad_sample``."""
    maps = acquisitions[["Metadata_plate_map_name", "Metadata_experiment_type"]].drop_duplicates()
    parts = []
    for name, experiment_type in maps.sort_values("Metadata_plate_map_name").itertuples(index=False, name=None):
        source = f"plate map {name}"
        if name not in plate_maps:
            raise BadTableError(f"{source} is missing; plates of type {experiment_type} need it")
        plate_map = plate_maps[name]
        require_rows(plate_map, source)
        _PLATE_MAP.require_columns(plate_map, source)
        require_full_plate(plate_map["well_position"], source=source)
        _PLATE_MAP.check(plate_map, source)
        blank = DMSO if experiment_type == "Compound" else EMPTY
        samples = plate_map.set_index("well_position")["broad_sample"].fillna(blank)
        part = POSITIONS.assign(Metadata_broad_sample=samples).reset_index()
        parts.append(part.assign(Metadata_plate_map_name=name, Metadata_experiment_type=experiment_type))
    return pd.concat(parts, ignore_index=True)


def _with_reagents(contents: pd.DataFrame, perturbations: pd.DataFrame) -> pd.DataFrame:
    columns = ["Metadata_broad_sample", "Metadata_experiment_type", *_FROM_PERTURBATIONS]
    joined = contents.merge(
        perturbations[columns], on=["Metadata_broad_sample", "Metadata_experiment_type"], how="left"
    )
    is_empty = joined["Metadata_broad_sample"] == EMPTY
    unknown = joined[joined["Metadata_pert_type"].isna() & ~is_empty]
    if len(unknown):
        shown = "; ".join(
            " ".join(row)
            for row in unknown[["Metadata_plate_map_name", "Metadata_Well", "Metadata_broad_sample"]]
            .head(5)
            .itertuples(index=False, name=None)
        )
        raise BadTableError(f"plate maps: {len(unknown)} wells hold no known reagent of their modality: {shown}")
    joined.loc[is_empty, ["Metadata_pert_type", "Metadata_pert_iname"]] = EMPTY
    return joined


def _with_official(table: pd.DataFrame, official: pd.DataFrame) -> pd.DataFrame:
    """Add what the official table alone says, after checking that both agree on what both say."""
    theirs = official[_OFFICIAL.column_names].assign(
        Metadata_Batch=MAIN_BATCH,
        Metadata_target_is_across=truth_values(
            official, "Metadata_target_is_across", key=_WELL_KEY, source=OFFICIAL_FILE
        ),
        Metadata_target_radix=integers(official, "Metadata_target_radix", key=_WELL_KEY, source=OFFICIAL_FILE),
        Metadata_in_official_table=True,
    )
    key = ["Metadata_Batch", *_WELL_KEY]
    joined = table.merge(theirs, on=key, how="outer", suffixes=("", "_official"), indicator="_from")
    strangers = joined.loc[joined["_from"] == "right_only", _WELL_KEY].head(5).agg(" ".join, axis=1)
    if len(strangers):
        raise BadTableError(f"{OFFICIAL_FILE}: wells that the main batch does not have: {'; '.join(strangers)}")
    described = joined[joined["_from"] == "both"].astype({"Metadata_timepoint": STRING})
    for column in _SHARED_WITH_OFFICIAL:
        require_agreement(
            described, column, f"{column}_official", key=_WELL_KEY, source="plate map", other=OFFICIAL_FILE
        )
    described_plates = set(theirs["Metadata_Plate"])
    absent = sorted(set(table.loc[table["Metadata_is_primary"], "Metadata_Plate"]) - described_plates)
    if absent:
        raise BadTableError(
            f"{OFFICIAL_FILE}: expected wells of every primary plate, found none of {len(absent)} plates, among them "
            f"{', '.join(absent[:5])}: is the file whole?"
        )
    return joined.assign(Metadata_in_official_table=joined["_from"] == "both")


def _ineligible_reason(table: pd.DataFrame) -> pd.Series:
    """Give the first reason that applies to each well; missing where none does."""
    not_primary, absent, negative_control, empty = INELIGIBLE_REASONS
    reasons = {
        not_primary: ~table["Metadata_is_primary"],
        absent: ~table["Metadata_in_official_table"],
        negative_control: table["Metadata_control_type"] == "negcon",
        empty: table["Metadata_broad_sample"] == EMPTY,
    }
    first = pd.Series(None, index=table.index, dtype=STRING)
    for reason, applies in reversed(reasons.items()):
        first = first.mask(applies, reason)
    return first

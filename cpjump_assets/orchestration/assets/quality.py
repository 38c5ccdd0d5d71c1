"""Quality of plates: every well of a plate measured and mapped, and the plates of the batch side by side.

Belongs here: loading, calling science, storing, showing the figures. Does not belong here: the measures
(``science.well_quality``, ``science.plate_quality``), what is a finding (``checks.quality``).
"""

from threading import Lock
from typing import TYPE_CHECKING, Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.assets.metadata import wells
from cpjump_assets.orchestration.assets.profiles import (
    annotated_profiles,
    normalized_profiles,
    plate_input,
    selected_profiles,
    stored_plates,
)
from cpjump_assets.orchestration.automation import INPUT_CHANGED
from cpjump_assets.orchestration.display import counts, markdown_table, narrow, picture, pictures
from cpjump_assets.orchestration.partitions import main_batch, plates
from cpjump_assets.orchestration.recording import Made, PlateInput, keep_table, map_plates
from cpjump_assets.orchestration.resources import Platform

if TYPE_CHECKING:
    import pandas as pd

_COMMON: dict[str, Any] = {
    "group_name": "profiles",
    "owners": ["team:cpjump"],
    "kinds": {"matplotlib", "parquet"},
    "automation_condition": INPUT_CHANGED,
}
_COLOURS_OF_MAPS, _COLOURS_OF_DOTS = 256, 128
DRAWING = Lock()
"""Plates are made by several threads, and matplotlib does not promise to be safe in them."""


@dg.asset(
    **_COMMON,
    partitions_def=plates,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[normalized_profiles, wells],
    code_version=tables.WELL_QUALITY.code_version,
)
def well_quality(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is a well of the plate, profiled or not: cells, missing features, distance from the negative controls.

    With maps of the plate. Cells are known where the profiles carry a count, which the gallery's own files do not.
    """
    from cpjump_assets.science.well_quality import WELL_QUALITY
    from cpjump_assets.science.well_quality import well_quality as measure_wells

    store = platform.store
    # Described before it is read: if it is replaced in between, the plates count as outdated and are made again.
    layout_version = store.describe(tables.WELLS.key())
    layout = store.read(tables.WELLS.key())

    def make(plate: str) -> Made:
        normalized = store.read_profiles(tables.NORMALIZED_PROFILES.key(plate))
        table = measure_wells(normalized, layout)
        return Made(table, _of_plate(table) | {"plate maps": _maps(table, normalized.metadata)})

    def source(plate: str) -> PlateInput:
        normalized = store.describe(tables.NORMALIZED_PROFILES.key(plate))
        return plate_input(tables.WELL_QUALITY, {"normalized_profiles": normalized, "wells": layout_version})

    return map_plates(context, platform, tables.WELL_QUALITY, source=source, make=make, schema=WELL_QUALITY)


def _of_plate(table: "pd.DataFrame") -> dict[str, Any]:
    """Give the key numbers of a plate."""
    profiled = table[table["profiled"]]
    controls = profiled[profiled["Metadata_control_type"] == "negcon"]
    known = profiled["cell_count"].notna().any()
    return {
        **counts(
            {
                "profiled wells": len(profiled),
                "wells without profile": len(table) - len(profiled),
                "negative controls": len(controls),
                "wells that lack a usable feature": (profiled["missing_features"] > 0).sum(),
            }
        ),
        "cells per well": float(profiled["cell_count"].median()) if known else "the profiles do not carry a cell count",
        "median |z| of the negative controls": float(controls["median_abs_z"].median()),
        "median |z| of the other wells": float(profiled.drop(controls.index)["median_abs_z"].median()),
    }


def _maps(table: "pd.DataFrame", metadata: "pd.DataFrame") -> dg.MetadataValue:
    """Draw the maps of a plate below the words that say which it is."""
    from cpjump_assets.figures.canvas import to_png
    from cpjump_assets.figures.plate_maps import plate_maps_figure

    of = metadata.iloc[0]
    title = (
        f"{of['Metadata_Plate']}: {of['Metadata_experiment_type']}, {of['Metadata_cell_line']}, "
        f"{of['Metadata_timepoint']} h; {table['profiled'].sum()} of {len(table)} wells profiled; "
        f"stain anomaly: {of['Metadata_anomaly']}"
    )
    with DRAWING:
        png = to_png(plate_maps_figure(table, title), colours=_COLOURS_OF_MAPS)
    return picture(png, f"maps of plate {title}")


@dg.asset(
    **_COMMON,
    deps=[
        *(
            dg.AssetDep(of_plates, partition_mapping=main_batch)
            for of_plates in (annotated_profiles, normalized_profiles)
        ),
        selected_profiles,
    ],
    code_version=tables.PLATE_QUALITY.code_version,
)
def plate_quality(platform: Platform) -> dg.MaterializeResult:
    """A row is a plate of the main batch: wells, features, position effects, and how like its replicates it is.

    Position effects are measured on the negative controls; replicate correlation is the median over reagents of their
    correlation with the other plates of the condition, beside the same with another reagent.
    """
    from cpjump_assets.figures.canvas import to_png
    from cpjump_assets.figures.plate_overview import plate_overview_figure
    from cpjump_assets.science.plate_findings import plate_findings
    from cpjump_assets.science.plate_quality import PLATE_QUALITY, measure_plate
    from cpjump_assets.science.plate_quality import plate_quality as compare_plates

    store = platform.store
    levels = (tables.ANNOTATED_PROFILES, tables.NORMALIZED_PROFILES)
    keys = [[level.key(plate) for level in levels] for plate in stored_plates(store)]
    inputs = tables.inputs_of(store, *(key for of_plate in keys for key in of_plate), tables.SELECTED_PROFILES.key())
    measured = [measure_plate(*map(store.open_profiles, of_plate)) for of_plate in keys]
    table = compare_plates(measured, store.read_profiles(tables.SELECTED_PROFILES.key()))
    findings = plate_findings(table)
    overview = to_png(plate_overview_figure(table, findings), colours=_COLOURS_OF_DOTS)
    shown = {
        **counts({"plates": len(table), "plates with findings": findings["Metadata_Plate"].nunique()}),
        "findings": markdown_table(findings.drop(columns="Metadata_Batch")),
        "overview": pictures({"plates of the main batch": overview}),
        "measures": markdown_table(narrow(table.round(3), _SHOWN)),
    }
    provenance = tables.provenance_from(tables.PLATE_QUALITY.code_version, inputs)
    return keep_table(store, tables.PLATE_QUALITY, Made(table, shown), provenance, schema=PLATE_QUALITY)


_SHOWN = {
    "plate": "Metadata_Plate",
    "condition": ("Metadata_experiment_type", "Metadata_cell_line", "Metadata_timepoint"),
    "anomaly": "Metadata_anomaly",
    "wells": "profiled_wells",
    "cells": "cell_count_median",
    "zero MAD": "zero_mad_features",
    "NaN": "nan_features",
    "row": "row_effect",
    "column": "column_effect",
    "edge": "edge_effect",
    "shift": "control_shift",
    "replicates": "replicate_correlation",
    "null": "null_correlation",
    "replicating": "replicating",
}

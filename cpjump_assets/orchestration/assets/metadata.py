"""Metadata: plates, reagents, wells and known issues, from the reference tables.

Belongs here: loading reference files, calling science, storing. Does not belong here: what the columns mean.
"""

from typing import Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.assets.sources import reference_tables
from cpjump_assets.orchestration.automation import INPUT_CHANGED
from cpjump_assets.orchestration.display import markdown_table
from cpjump_assets.orchestration.recording import Made, keep_table
from cpjump_assets.orchestration.resources import Platform

_COMMON: dict[str, Any] = {
    "group_name": "metadata",
    "owners": ["team:cpjump"],
    "kinds": {"pandas", "parquet"},
    "automation_condition": INPUT_CHANGED,
}


@dg.asset(**_COMMON, deps=[reference_tables], code_version=tables.EXPERIMENT_METADATA.code_version)
def experiment_metadata(platform: Platform) -> dg.MaterializeResult:
    """A row is a plate acquisition: 117 published ones, the 10 of the DeepProfiler batch included.

    Cell line, modality, time point, density, antibiotics, anomaly and number of images, and whether the plate is one of
    the 40 primary plates that the benchmark scores.
    """
    from cpjump_assets.gallery.reference.metadata import load_experiment_metadata
    from cpjump_assets.science.schemas import EXPERIMENT_METADATA

    loaded = load_experiment_metadata(platform.reference)
    plates = loaded.table.groupby("Metadata_Batch", as_index=False).agg(
        plates=("Metadata_Plate", "size"), primary=("Metadata_is_primary", "sum")
    )
    return keep_table(
        platform.store,
        tables.EXPERIMENT_METADATA,
        Made(loaded.table, {"plates of each batch": markdown_table(plates)}),
        tables.provenance_of_reference(tables.EXPERIMENT_METADATA, loaded.inputs),
        schema=EXPERIMENT_METADATA,
    )


@dg.asset(**_COMMON, deps=[reference_tables], code_version=tables.PERTURBATIONS.code_version)
def perturbations(platform: Platform) -> dg.MaterializeResult:
    """A row is a reagent: 306 compounds, 335 CRISPR guides, 175 ORFs and DMSO.

    Modality, targets, names, InChIKey, control type, and the identity group that joins two ids of one compound.
    """
    from cpjump_assets.gallery.reference.metadata import load_perturbations
    from cpjump_assets.science.schemas import PERTURBATIONS

    loaded = load_perturbations(platform.reference)
    kinds = loaded.table.groupby("Metadata_experiment_type", as_index=False).agg(
        reagents=("Metadata_broad_sample", "size"),
        targets=("Metadata_target", "nunique"),
        negative_controls=("Metadata_control_type", lambda types: (types == "negcon").sum()),
    )
    return keep_table(
        platform.store,
        tables.PERTURBATIONS,
        Made(loaded.table, {"reagents of each modality": markdown_table(kinds)}),
        tables.provenance_of_reference(tables.PERTURBATIONS, loaded.inputs),
        schema=PERTURBATIONS,
    )


@dg.asset(
    **_COMMON,
    deps=[reference_tables, experiment_metadata, perturbations],
    code_version=tables.WELLS.code_version,
)
def wells(platform: Platform) -> dg.MaterializeResult:
    """A row is a well of one plate acquisition, 107 x 384: its reagent, condition, position, and place in the splits.

    A well takes part in the splits (is eligible), or the table says why not: not a primary plate, absent from the
    official table, a negative control, or empty.
    """
    from cpjump_assets.gallery.reference.metadata import load_wells
    from cpjump_assets.science.schemas import WELLS

    store = platform.store
    upstream = tables.inputs_of(store, tables.EXPERIMENT_METADATA.key(), tables.PERTURBATIONS.key())
    loaded = load_wells(
        platform.reference,
        experiment_metadata=store.read(tables.EXPERIMENT_METADATA.key()),
        perturbations=store.read(tables.PERTURBATIONS.key()),
    )
    inputs = loaded.inputs | {name: table.digest for name, table in upstream.items()}
    places = (
        loaded.table["Metadata_ineligible_reason"].fillna("eligible").value_counts().rename_axis("place in the splits")
    )
    return keep_table(
        store,
        tables.WELLS,
        Made(loaded.table, {"wells": markdown_table(places.reset_index(name="wells"))}),
        tables.provenance_of_reference(tables.WELLS, inputs),
        schema=WELLS,
    )


@dg.asset(**_COMMON, deps=[wells], code_version=tables.KNOWN_ISSUES.code_version)
def known_issues(platform: Platform) -> dg.MaterializeResult:
    """A row is a known issue of a plate or well: seeding failure, stain anomaly, absence from the official table.

    With its reason and source. The splits keep these wells, unless CPJUMP_EXCLUDE names kinds of issues to leave out.
    """
    from cpjump_assets.science import known_issues as issues

    store = platform.store
    inputs = tables.inputs_of(store, tables.WELLS.key())
    table = issues.known_issues(store.read(tables.WELLS.key()))
    kinds = table.groupby(["issue", "Metadata_anomaly"], dropna=False, as_index=False).agg(
        rows=("reason", "size"), plates=("Metadata_Plate", "nunique")
    )
    shown = {
        "issues of each kind": markdown_table(kinds),
        "reasons": markdown_table(table[["issue", "reason", "source"]].drop_duplicates()),
        "by plate": markdown_table(issues.issues_by_plate(table)),
    }
    return keep_table(
        store,
        tables.KNOWN_ISSUES,
        Made(table, shown),
        tables.provenance_from(tables.KNOWN_ISSUES.code_version, inputs),
        schema=issues.KNOWN_ISSUES,
    )

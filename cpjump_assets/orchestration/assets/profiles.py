"""Profiles: pulled plate by plate, annotated, normalized, and selected over the batch.

Belongs here: loading, calling science, storing. Does not belong here: the rules of normalization and selection.
"""

from typing import TYPE_CHECKING, Any, Literal

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.assets.metadata import wells
from cpjump_assets.orchestration.assets.sources import gallery_profiles
from cpjump_assets.orchestration.automation import INPUT_CHANGED
from cpjump_assets.orchestration.display import counts, markdown_table
from cpjump_assets.orchestration.partitions import MAIN_PLATE_KEYS, main_batch, plates
from cpjump_assets.orchestration.pulling import pull_ahead, pull_metadata
from cpjump_assets.orchestration.recording import Made, PlateInput, keep_table, map_plates
from cpjump_assets.orchestration.resources import Platform

if TYPE_CHECKING:
    from cpjump_assets.gallery.transfer.inventory import InventoryRow
    from cpjump_assets.storage.store import Store, StoredTable, TableKey

TRANSDUCTIVE = "transductive: validate and test wells take part in choosing features"
"""Said of what is fitted over the batch, as the published profiles are; the train_* assets see train wells alone."""

_COMMON: dict[str, Any] = {
    "group_name": "profiles",
    "owners": ["team:cpjump"],
    "kinds": {"parquet"},
    "automation_condition": INPUT_CHANGED,
}
_PLATES: dict[str, Any] = {
    **_COMMON,
    "partitions_def": plates,
    "backfill_policy": dg.BackfillPolicy.single_run(),
}


@dg.asset(
    **{**_PLATES, "kinds": {"s3", "parquet"}},
    deps=[gallery_profiles],
    code_version=tables.AGGREGATED_PROFILES.code_version,
)
def aggregated_profiles(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is a well: the median over its cells of each CellProfiler feature, as the gallery publishes it.

    The object is pulled, its ETag computed again from the bytes, and kept as it is in the store; this table holds the
    same values in float32. Wells without cells have no row.
    """
    from cpjump_assets.gallery.profile_file import read_profile_csv
    from cpjump_assets.gallery.transfer.changes import total
    from cpjump_assets.science.errors import GalleryError
    from cpjump_assets.science.plates import PlateKey
    from cpjump_assets.storage.store import Provenance

    store, gallery = platform.store, platform.gallery
    listed = gallery.list_plates([PlateKey.parse(key) for key in context.partition_keys])
    changes = gallery.keep_plates(listed, store.gallery_folder)
    context.log.info(f"listed beside what the store holds: {total(changes.values())}")
    objects = {str(plate): listing.profile for plate, listing in listed.items()}
    pulled = pull_ahead(context, platform, gallery, [item for item in objects.values() if item is not None])
    origin = gallery.origin()
    shown, files = pull_metadata(pulled), platform.pulled_files

    def source(plate: str) -> PlateInput:
        item = objects[plate]
        if item is None:
            raise GalleryError(f"{gallery.root} holds no aggregated profile of this plate")
        row = gallery.hold(item, store.gallery_folder)
        return PlateInput(
            Provenance(
                tables.AGGREGATED_PROFILES.code_version, {"gallery_profiles": row.version}, origin, platform.preset.name
            ),
            upstream={"gallery_profiles": row.version},
            given=(row,),
        )

    def make(plate: str, row: "InventoryRow") -> Made:
        profiles = read_profile_csv(files.path(row), PlateKey.parse(plate))
        of_object = {"gallery key": row.key, "etag": row.etag, "verification": str(row.verification)}
        return Made(profiles, {**of_object, **shown})

    return map_plates(context, platform, tables.AGGREGATED_PROFILES, source=source, make=make)


@dg.asset(**_PLATES, deps=[aggregated_profiles, wells], code_version=tables.ANNOTATED_PROFILES.code_version)
def annotated_profiles(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is a well with what it holds: the aggregated profile behind the `Metadata_` columns of `wells`."""
    from cpjump_assets.science.annotate import annotate
    from cpjump_assets.science.plates import PlateKey

    store = platform.store
    # Described before it is read: if it is replaced in between, the plates count as outdated and are made again.
    layout_version = store.describe(tables.WELLS.key())
    layout = store.read(tables.WELLS.key())

    def make(plate: str) -> Made:
        profile = store.read_profiles(tables.AGGREGATED_PROFILES.key(plate))
        return Made(annotate(profile, layout, PlateKey.parse(plate)))

    def source(plate: str) -> PlateInput:
        profile = store.describe(tables.AGGREGATED_PROFILES.key(plate))
        inputs = {"aggregated_profiles": profile, "wells": layout_version}
        return plate_input(tables.ANNOTATED_PROFILES, inputs)

    return map_plates(context, platform, tables.ANNOTATED_PROFILES, source=source, make=make)


@dg.asset(**_PLATES, deps=[annotated_profiles], code_version=tables.NORMALIZED_PROFILES.code_version)
def normalized_profiles(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is a well, each feature scaled by median and MAD of the plate's negative controls.

    A feature without spread among the negative controls is missing in every well of the plate, and counted.
    """
    return _normalize_plates(context, platform, tables.NORMALIZED_PROFILES, "negcon")


@dg.asset(**_PLATES, deps=[annotated_profiles], code_version=tables.NORMALIZED_WHOLE_PLATE.code_version)
def normalized_profiles_whole_plate(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is a well, each feature scaled by median and MAD of all wells of the plate."""
    return _normalize_plates(context, platform, tables.NORMALIZED_WHOLE_PLATE, "whole_plate")


def _normalize_plates(
    context: dg.AssetExecutionContext,
    platform: Platform,
    asset: tables.StoredAsset,
    reference: Literal["negcon", "whole_plate"],
) -> dg.MaterializeResult:
    from cpjump_assets.science.normalize import normalize_plate

    store, preset = platform.store, platform.preset
    config = preset.normalization(reference)

    def make(plate: str) -> Made:
        annotated = store.read_profiles(tables.ANNOTATED_PROFILES.key(plate))
        normalized = normalize_plate(annotated, config, dtype="float32")
        report = normalized.report
        summary = counts(
            {
                "features": len(report),
                "zero-MAD features": report["zero_mad"].sum(),
                "features with NaN": (report["n_nan"] > 0).sum(),
                "features with infinite values": (report["n_inf"] > 0).sum(),
            }
        )
        return Made(normalized.profiles, summary)

    def source(plate: str) -> PlateInput:
        inputs = {"annotated_profiles": store.describe(tables.ANNOTATED_PROFILES.key(plate))}
        return plate_input(asset, inputs, configuration=config, preset=preset)

    return map_plates(context, platform, asset, source=source, make=make)


def plate_input(asset: tables.StoredAsset, inputs: dict[str, "StoredTable"], **parameters: Any) -> PlateInput:
    """Say what a plate's table is made from: other tables of the store."""
    provenance = tables.provenance_from(asset.code_version, inputs, **parameters)
    return PlateInput(provenance, upstream={name: table.digest for name, table in inputs.items()})


@dg.asset(**_PLATES, deps=[normalized_profiles], code_version=tables.PLATE_SELECTED_PROFILES.code_version)
def plate_selected_profiles(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is a well with the features selected on its plate alone, by the rules of 2021.

    What Percent Replicating and Percent Matching compare; normalized to the plate's negative controls.
    """
    from cpjump_assets.science.feature_selection import apply_selection, select_features

    store, preset = platform.store, platform.preset

    def make(plate: str) -> Made:
        normalized = store.read_profiles(tables.NORMALIZED_PROFILES.key(plate))
        selection = select_features(normalized, preset.selection)
        summary = counts({"features": len(selection), "kept features": selection["kept"].sum()})
        return Made(apply_selection(normalized, selection), summary)

    def source(plate: str) -> PlateInput:
        inputs = {"normalized_profiles": store.describe(tables.NORMALIZED_PROFILES.key(plate))}
        return plate_input(tables.PLATE_SELECTED_PROFILES, inputs, configuration=preset.selection, preset=preset)

    return map_plates(context, platform, tables.PLATE_SELECTED_PROFILES, source=source, make=make)


@dg.asset(
    **_COMMON,
    deps=[dg.AssetDep(normalized_profiles, partition_mapping=main_batch)],
    code_version=tables.FEATURE_SELECTION.code_version,
)
def feature_selection(platform: Platform) -> dg.MaterializeResult:
    """A row is a feature: kept, or dropped and by which rule, over all plates of the main batch.

    Variance, correlation, NaN and blocklist, as in the 2024 paper; a feature that still lacks a value somewhere is
    dropped by a rule of its own, `remaining_nan`, so that nothing missing is scored.
    """
    from cpjump_assets.science.errors import ProfileError
    from cpjump_assets.science.feature_selection import FEATURE_SELECTION, select_features_over
    from cpjump_assets.science.plates import MAIN_BATCH

    store, preset = platform.store, platform.preset
    keys = _normalized_plates(store)
    if not keys:
        raise ProfileError(f"no plate of {MAIN_BATCH} is normalized: features are selected over that batch")
    provenance = tables.provenance_from(
        tables.FEATURE_SELECTION.code_version,
        tables.inputs_of(store, *keys),
        configuration=preset.selection,
        preset=preset,
    )
    selection = select_features_over([store.open_profiles(key) for key in keys], preset.selection)
    verdicts = selection["dropped_by"].fillna("kept").value_counts().rename_axis("rule").reset_index(name="features")
    shown = {
        "plates": len(keys),
        "kept features": int(selection["kept"].sum()),
        "verdicts": markdown_table(verdicts),
        "fitted on": f"all wells of the batch; {TRANSDUCTIVE}",
    }
    return keep_table(store, tables.FEATURE_SELECTION, Made(selection, shown), provenance, schema=FEATURE_SELECTION)


@dg.asset(
    **_COMMON,
    deps=[dg.AssetDep(normalized_profiles, partition_mapping=main_batch), feature_selection],
    code_version=tables.SELECTED_PROFILES.code_version,
)
def selected_profiles(platform: Platform) -> dg.MaterializeResult:
    """A row is a well of the main batch with the selected features, normalized to its plate's negative controls."""
    from cpjump_assets.science.feature_selection import apply_selection_over

    store = platform.store
    keys = _normalized_plates(store)
    inputs = tables.inputs_of(store, *keys, tables.FEATURE_SELECTION.key())
    provenance = tables.provenance_from(tables.SELECTED_PROFILES.code_version, inputs)
    selection = store.read(tables.FEATURE_SELECTION.key())
    selected = apply_selection_over([store.open_profiles(key) for key in keys], selection)
    shown = {
        **counts({"plates": len(keys), "features": len(selected.features)}),
        "fitted on": f"all wells of the batch; {TRANSDUCTIVE}",
    }
    return keep_table(store, tables.SELECTED_PROFILES, Made(selected, shown), provenance)


def stored_plates(store: "Store") -> list[str]:
    """Give the main batch's normalized plates that are there; a plate that the gallery lacks is counted by a check."""
    return tables.NORMALIZED_PROFILES.stored(store, MAIN_PLATE_KEYS)


def _normalized_plates(store: "Store") -> list["TableKey"]:
    return [tables.NORMALIZED_PROFILES.key(plate) for plate in stored_plates(store)]

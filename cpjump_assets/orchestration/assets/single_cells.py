"""Profiles from single cells: plates aggregated here, from the backends that the gallery holds.

Belongs here: observing and pulling a backend, storing what is computed of it. Does not belong here: the computation
(``science.aggregate``), reading a backend (``gallery.cells.backend_file``).

A real backend has some 23 GB, so nothing here is part of the default refresh: the median that it gives is published.
The mean of the 2021 paper is not, and a preset that asks for it starts here.
"""

from typing import TYPE_CHECKING, Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.assets.sources import GROUP, plate_observation
from cpjump_assets.orchestration.automation import INPUT_CHANGED
from cpjump_assets.orchestration.display import counts
from cpjump_assets.orchestration.partitions import PLATE_KEYS, plates
from cpjump_assets.orchestration.pulling import pull_ahead, pull_metadata
from cpjump_assets.orchestration.recording import PLATE_WORKERS, Made, PlateInput, map_plates
from cpjump_assets.orchestration.resources import Platform

if TYPE_CHECKING:
    from cpjump_assets.gallery.transfer.inventory import InventoryRow
    from cpjump_assets.science.aggregate import Aggregation

_PLATES: dict[str, Any] = {
    "group_name": "profiles",
    "owners": ["team:cpjump"],
    "partitions_def": plates,
    "backfill_policy": dg.BackfillPolicy.single_run(),
}


@dg.observable_source_asset(
    group_name=GROUP,
    partitions_def=plates,
    description=(
        "A partition is a plate's single-cell backend in the gallery, `<plate>.sqlite`, some 23 GB.\n\n"
        "The data version is its ETag and size, from the listing: no object is read. A plate of which the gallery "
        "holds no backend gets no version."
    ),
    tags={"dagster/kind/s3": "", "dagster/kind/sqlite": ""},
)
def gallery_cells(context: dg.OpExecutionContext, platform: Platform) -> dg.DataVersionsByPartition:
    """Observe the plates' backends."""
    from cpjump_assets.science.plates import PLATES

    held = platform.gallery.list_backends(PLATES)
    for plate, item in held.items():
        context.log_event(plate_observation("gallery_cells", str(plate), item))
    context.log.info(f"the gallery holds the single cells of {len(held)} of {len(PLATE_KEYS)} plates")
    return dg.DataVersionsByPartition({})  # the events above say it all, see ``sources.gallery_profiles``


@dg.asset(
    **_PLATES,
    deps=[gallery_cells],
    code_version=tables.CELL_MEDIAN_PROFILES.code_version,
    kinds={"sqlite", "parquet"},
)
def cell_median_profiles(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is a well: the median of each feature over its cells, computed here from the plate's backend.

    The backend is pulled and verified like any object. Wells without cells have no row. `aggregated_profiles` holds the
    same medians as the gallery publishes them, with five significant digits.
    """
    return _aggregate_plates(context, platform, tables.CELL_MEDIAN_PROFILES, "median")


@dg.asset(
    **_PLATES,
    deps=[gallery_cells],
    code_version=tables.CELL_MEAN_PROFILES.code_version,
    kinds={"sqlite", "parquet"},
)
def cell_mean_profiles(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is a well: the mean of each feature over its cells, computed here from the plate's backend.

    The backend is pulled and verified like any object. Wells without cells have no row. The profiles of 2021 were means
    of cells; the gallery holds medians.
    """
    return _aggregate_plates(context, platform, tables.CELL_MEAN_PROFILES, "mean")


def _aggregate_plates(
    context: dg.AssetExecutionContext, platform: Platform, asset: tables.StoredAsset, how: "Aggregation"
) -> dg.MaterializeResult:
    from cpjump_assets.gallery.cells.backend_file import BackendFile
    from cpjump_assets.science.aggregate import CELL_COUNT, aggregate_cells
    from cpjump_assets.science.errors import GalleryError
    from cpjump_assets.science.plates import PlateKey
    from cpjump_assets.storage.store import Provenance

    store, gallery = platform.store, platform.gallery
    objects = gallery.list_backends([PlateKey.parse(key) for key in context.partition_keys])
    pulled = pull_ahead(context, platform, gallery, objects.values())
    origin = gallery.origin()
    of_pull, files = pull_metadata(pulled), platform.pulled_files
    # Plates share the cores; one alone takes them all.
    workers = PLATE_WORKERS if len(context.partition_keys) == 1 else 1

    def source(plate: str) -> PlateInput:
        item = objects.get(PlateKey.parse(plate))
        if item is None:
            raise GalleryError(f"{gallery.root} holds no single-cell backend of this plate")
        row = gallery.hold(item, store.gallery_folder)
        return PlateInput(
            Provenance(asset.code_version, {"gallery_cells": row.version}, origin),
            upstream={"gallery_cells": row.version},
            given=(row,),
        )

    def make(plate: str, row: "InventoryRow") -> Made:
        with BackendFile(files.path(row), PlateKey.parse(plate)) as cells:
            aggregated = aggregate_cells(cells, how, workers=workers)
        of_wells = aggregated.profiles.metadata[CELL_COUNT]
        shown = counts(
            {
                "cells": of_wells.sum(),
                "cells of the smallest well": of_wells.min(),
                "wells": len(of_wells),
                "wells without cells": len(aggregated.without_cells),
                "features": len(aggregated.profiles.features),
            }
        )
        of_object = {"gallery key": row.key, "etag": row.etag, "verification": str(row.verification)}
        return Made(aggregated.profiles, {**shown, **of_object, **of_pull})

    return map_plates(context, platform, asset, source=source, make=make)


@dg.asset(
    **_PLATES,
    name=tables.AGGREGATED_PROFILES.name,
    deps=[cell_mean_profiles],
    automation_condition=INPUT_CHANGED,
    code_version=tables.AGGREGATED_PROFILES.code_version,
    kinds={"parquet"},
)
def aggregated_from_cells(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is a well: the mean over its cells of each CellProfiler feature, as `cell_mean_profiles` has it.

    This preset takes means, which the gallery does not publish; everything from here on is the same in all presets.
    """
    store = platform.store

    def source(plate: str) -> PlateInput:
        cells = store.describe(tables.CELL_MEAN_PROFILES.key(plate))
        provenance = tables.provenance_from(
            tables.AGGREGATED_PROFILES.code_version, {"cell_mean_profiles": cells}, preset=platform.preset
        )
        return PlateInput(provenance, upstream={"cell_mean_profiles": cells.digest})

    def make(plate: str) -> Made:
        return Made(store.read_profiles(tables.CELL_MEAN_PROFILES.key(plate)))

    return map_plates(context, platform, tables.AGGREGATED_PROFILES, source=source, make=make)

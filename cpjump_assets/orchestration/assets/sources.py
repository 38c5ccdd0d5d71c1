"""Sources: what the gallery and the reference root hold, observed and not copied.

Belongs here: data versions of what others publish. Does not belong here: pulling it (``profiles``), reading its meaning
(``metadata``). Dagster 1.13 takes neither owner nor code version for an observed source.
"""

from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_IS_USER_PROVIDED_TAG, DATA_VERSION_TAG

from cpjump_assets.orchestration.display import markdown_table
from cpjump_assets.orchestration.partitions import MAIN_PLATE_KEYS, PLATE_KEYS, plates
from cpjump_assets.orchestration.resources import Platform

if TYPE_CHECKING:
    from cpjump_assets.gallery.listing import GalleryObject

GROUP = "sources"


@dg.observable_source_asset(
    group_name=GROUP,
    description=(
        "A row is a reference file: the official split table, experiment metadata, plate maps and annotations.\n\n"
        "The data version is one sha256 over all of them. Files of a known public commit must have its sums."
    ),
    tags={"dagster/kind/csv": ""},
)
def reference_tables(platform: Platform) -> dg.ObserveResult:
    """Observe the reference root."""
    from cpjump_assets.gallery.reference.root import combined_digest, file_table

    files = platform.reference.files()
    table = file_table(files)
    return dg.ObserveResult(
        data_version=dg.DataVersion(combined_digest(files)),
        metadata={"dagster/row_count": len(table), "files": markdown_table(table)},
    )


@dg.observable_source_asset(
    group_name=GROUP,
    partitions_def=plates,
    description=(
        "A partition is a plate's aggregated profile in the gallery, `<plate>.csv.gz`.\n\n"
        "The data version is its ETag and size, from the listing: no object is read. Other files of the plate are "
        "metadata. A plate that the gallery does not hold gets no version."
    ),
    tags={"dagster/kind/s3": ""},
)
def gallery_profiles(context: dg.OpExecutionContext, platform: Platform) -> dg.DataVersionsByPartition:
    """Observe the plates' profile folders."""
    from cpjump_assets.gallery.transfer.changes import total
    from cpjump_assets.science.plates import PLATES

    gallery = platform.gallery
    listed = gallery.list_plates(PLATES)
    changes = {str(plate): found for plate, found in gallery.keep_plates(listed, platform.store.gallery_folder).items()}
    held = {str(plate): listing for plate, listing in listed.items() if listing.profile is not None}
    for key in PLATE_KEYS:
        if key in held:
            names = [item.key.rsplit("/", 1)[-1] for item in held[key].others]
            counts = {f"{change} objects": number for change, number in changes[key].counts().items()}
            others = {"other files": dg.MetadataValue.json(names), **counts}
            context.log_event(plate_observation("gallery_profiles", key, held[key].profile, **others))
    missing = [key for key in MAIN_PLATE_KEYS if key not in held]
    context.log.info(f"the gallery holds {len(held)} of {len(PLATE_KEYS)} plates; missing of the main batch: {missing}")
    context.log.info(f"beside what the store holds: {total(changes.values())}")
    # The events above carry metadata, which DataVersionsByPartition cannot: so there is nothing left to return.
    return dg.DataVersionsByPartition({})


def plate_observation(asset: str, plate: str, item: "GalleryObject", **metadata: Any) -> dg.AssetObservation:
    """Make the event that says which version of a plate's object the gallery holds."""
    of_object = {"key": item.key, "bytes": item.size, "etag": item.etag}
    return version_observation(asset, plate, item.version, **of_object, **metadata)


def version_observation(asset: str, plate: str, version: str, **metadata: Any) -> dg.AssetObservation:
    """Make the event that says in which version the gallery holds something of a plate."""
    return dg.AssetObservation(
        asset_key=asset,
        partition=plate,
        metadata=metadata,
        tags={DATA_VERSION_TAG: version, DATA_VERSION_IS_USER_PROVIDED_TAG: "true"},
    )

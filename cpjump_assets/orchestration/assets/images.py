"""Where the images of each plate are: the gallery's listing observed, and the index made of it.

Belongs here: listing, loading, calling gallery and science, storing. Does not belong here: reading names and image sets
(``gallery.images``), joining them (``science.image_index``), pulling images (``image_files``).

A plate has 27,648 images, whose listing takes 28 requests, so nothing here is part of the default refresh.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.assets.sources import GROUP, version_observation
from cpjump_assets.orchestration.display import counts, markdown_table
from cpjump_assets.orchestration.partitions import PLATE_KEYS, plates
from cpjump_assets.orchestration.recording import Made, PlateInput, map_plates
from cpjump_assets.orchestration.resources import Platform

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cpjump_assets.gallery.copies import PulledFiles
    from cpjump_assets.gallery.gallery import Gallery
    from cpjump_assets.gallery.images.index import PlateImageIndex
    from cpjump_assets.gallery.images.load_data import ImageSets
    from cpjump_assets.gallery.images.measurements import PlateImages
    from cpjump_assets.gallery.layout import GalleryRoot
    from cpjump_assets.gallery.transfer.inventory import InventoryRow
    from cpjump_assets.science.plates import PlateKey

_LISTED_AT_ONCE = 4
"""Plates listed at once: 28 pages keep a core busy for a second or two, so that more threads only take memory."""
_REASONS_SHOWN = 12


@dg.observable_source_asset(
    group_name=GROUP,
    partitions_def=plates,
    description=(
        "A partition is all that the gallery lists of a plate's images, some 27,648 TIFF files.\n\n"
        "The data version is a digest over keys, ETags and sizes: no object is read. A plate of which the gallery "
        "holds no images gets no version. A plate takes 28 requests, so the schedule is monthly, and off."
    ),
    tags={"dagster/kind/s3": "", "dagster/kind/tiff": ""},
)
def gallery_images(context: dg.OpExecutionContext, platform: Platform) -> dg.DataVersionsByPartition:
    """Observe the plates' image folders."""
    from cpjump_assets.gallery.images.measurements import list_plate_images
    from cpjump_assets.science.plates import PlateKey

    gallery = platform.gallery
    wanted = [PlateKey.parse(key) for key in context.partition_keys]
    folders = _measurements(gallery, wanted)

    def observe(plate: "PlateKey") -> dg.AssetObservation:
        images = list_plate_images(gallery.client, gallery.root, plate, folders[plate])
        gallery.keep_listings(images.by_prefix(gallery.root), platform.store.gallery_folder)
        size = sum(item.size for item in images.objects)
        shown = {"files": len(images.objects), "bytes": size, "folders": ", ".join(images.folders)}
        return version_observation("gallery_images", str(plate), images.version, **shown)

    with ThreadPoolExecutor(_LISTED_AT_ONCE, thread_name_prefix="list images") as pool:
        for event in pool.map(observe, folders):
            context.log_event(event)
    context.log.info(
        f"the gallery holds images of {len(folders)} of the {len(wanted)} plates; {len(PLATE_KEYS)} in all"
    )
    return dg.DataVersionsByPartition({})  # the events above say it all, see ``sources.gallery_profiles``


def _measurements(gallery: "Gallery", wanted: "Iterable[PlateKey]") -> "dict[PlateKey, tuple[str, ...]]":
    """Give the measurement folders of the plates that have one, in the order of ``wanted``."""
    from cpjump_assets.gallery.images.measurements import list_measurements

    plates_wanted = list(wanted)
    folders: dict[PlateKey, tuple[str, ...]] = {}
    for batch in dict.fromkeys(plate.batch for plate in plates_wanted):
        folders |= list_measurements(gallery.client, gallery.root, batch)
    return {plate: folders[plate] for plate in plates_wanted if plate in folders}


class _Found(NamedTuple):
    """What the gallery has of a plate: the listing of its images, and the record of its image sets."""

    images: "PlateImages"
    image_sets: "InventoryRow | None"


@dg.asset(
    group_name="images",
    owners=["team:cpjump"],
    partitions_def=plates,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[gallery_images],
    code_version=tables.IMAGE_INDEX.code_version,
    kinds={"s3", "parquet"},
)
def image_index(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is an image file of the plate: well, site, channel, key, size and ETag.

    The gallery's listing beside the plate's image sets (`load_data`), which are pulled and verified. A file that only
    one of them has, or of which they do not say the same, is a row with a reason.
    """
    from cpjump_assets.gallery.images.index import plate_image_index
    from cpjump_assets.science.image_index import IMAGE_INDEX
    from cpjump_assets.science.plates import PlateKey
    from cpjump_assets.storage.store import Provenance

    gallery, files = platform.gallery, platform.pulled_files
    root = gallery.root
    folders = _measurements(gallery, map(PlateKey.parse, context.partition_keys))
    origin = gallery.origin()

    def source(plate: str) -> PlateInput:
        found = _find(platform, gallery, PlateKey.parse(plate), folders)
        listing, sets = found.images.version, found.image_sets
        inputs = {"gallery_images": listing, "load_data": "none" if sets is None else sets.version}
        return PlateInput(
            Provenance(tables.IMAGE_INDEX.code_version, inputs, origin),
            upstream={"gallery_images": listing},
            given=(found,),
        )

    def make(plate: str, found: _Found) -> Made:
        sets = _read_image_sets(files, root, found)
        index = plate_image_index(root, found.images, sets)
        return Made(index.table, _of_index(index) | _of_image_sets(found.image_sets, sets))

    return map_plates(context, platform, tables.IMAGE_INDEX, source=source, make=make, schema=IMAGE_INDEX)


def _find(
    platform: Platform, gallery: "Gallery", plate: "PlateKey", folders: "dict[PlateKey, tuple[str, ...]]"
) -> _Found:
    from cpjump_assets.gallery.images.load_data import find_load_data
    from cpjump_assets.gallery.images.measurements import list_plate_images
    from cpjump_assets.gallery.listing import list_objects

    images = list_plate_images(gallery.client, gallery.root, plate, folders.get(plate, ()))
    item = find_load_data(list_objects(gallery.client, gallery.root.bucket, gallery.root.load_data_prefix(plate)))
    return _Found(images, None if item is None else gallery.hold(item, platform.store.gallery_folder))


def _read_image_sets(files: "PulledFiles", root: "GalleryRoot", found: _Found) -> "ImageSets | None":
    from cpjump_assets.gallery.images.load_data import read_load_data

    if found.image_sets is None:
        return None
    content = files.path(found.image_sets).read_bytes()
    return read_load_data(content, found.images.plate, root, source=found.image_sets.key)


def _of_index(index: "PlateImageIndex") -> dict[str, Any]:
    """Give the key numbers of a plate, and how often each reason comes."""
    from cpjump_assets.science.image_counts import count_images

    reasons = index.table["reason"].value_counts().rename_axis("reason").reset_index(name="files")
    left_out = {"files that are no images": index.other_files, "files of other measurements": index.other_measurements}
    return {
        **counts(count_images(index.table) | left_out),
        "bytes of the images": int(index.table["size"].sum()),
        "measurement": index.measurement or "none: the gallery holds no images of the plate",
        "reasons": markdown_table(reasons.head(_REASONS_SHOWN)),
    }


def _of_image_sets(row: "InventoryRow | None", sets: "ImageSets | None") -> dict[str, Any]:
    if row is None or sets is None:
        return {"image sets": "none: file names alone say what an image shows"}
    return {
        "image sets": row.key,
        "etag of the image sets": row.etag,
        "verification of the image sets": str(row.verification),
        **counts({"images named at another place": sets.moved}),
        "channels left out": ", ".join(sets.unknown_channels) or "none",
    }

"""Images: a selection of each plate pulled, opened and measured.

Belongs here: loading, pulling, calling science and imaging, storing, showing. Does not belong here: which images are
worth pulling (``science.image_selection``), what is asked of a file (``imaging.tiff``), the measures
(``imaging.quality``), what is a finding (``checks.image_files``).

A plate has 27,648 images, 60 GB, so nothing here is part of the default refresh.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.assets.metadata import wells
from cpjump_assets.orchestration.assets.profiles import plate_input
from cpjump_assets.orchestration.assets.quality import DRAWING
from cpjump_assets.orchestration.display import counts, markdown_table, narrow, picture
from cpjump_assets.orchestration.partitions import plates
from cpjump_assets.orchestration.pulling import pull_ahead, pull_metadata
from cpjump_assets.orchestration.recording import Made, PlateInput, map_plates
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.science.errors import CpjumpError

if TYPE_CHECKING:
    import pandas as pd

    from cpjump_assets.gallery.copies import PulledFiles
    from cpjump_assets.gallery.listing import GalleryObject
    from cpjump_assets.gallery.transfer.inventory import InventoryRow
    from cpjump_assets.science.image_selection import ImageSelection
    from cpjump_assets.science.image_table import PulledFile
    from cpjump_assets.storage.store import StoredTable

_PLATES: dict[str, Any] = {
    "group_name": "images",
    "owners": ["team:cpjump"],
    "partitions_def": plates,
    "backfill_policy": dg.BackfillPolicy.single_run(),
}


@dataclass(frozen=True)
class _Chosen:
    """The images of a plate that are worth pulling, and those of them that the gallery has."""

    selection: "ImageSelection"
    files: "pd.DataFrame"
    objects: Mapping[str, "GalleryObject"]
    inputs: dict[str, "StoredTable"]


@dg.asset(
    **_PLATES,
    deps=[dg.AssetKey(tables.IMAGE_INDEX.name), wells, dg.AssetKey(tables.OVERALL_CLASSES.name)],
    code_version=tables.IMAGES.code_version,
    kinds={"s3", "pillow", "parquet"},
)
def images(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is an image of the plate's selection: pulled, verified and opened, or the reason why it is not there.

    One site in five channels of four negative controls and of the eight reagents that detection finds best; where the
    plate's condition has no scores yet, of the first eight positive controls. `chosen_by` says which.
    """
    from cpjump_assets.science.image_selection import select_images
    from cpjump_assets.science.image_table import IMAGES, image_table
    from cpjump_assets.science.plates import PlateKey

    store, gallery = platform.store, platform.gallery
    # Described before they are read: if one is replaced in between, the plates count as outdated and are made again.
    has_scores = store.exists(tables.OVERALL_CLASSES.key())
    made_from = [tables.WELLS, tables.OVERALL_CLASSES] if has_scores else [tables.WELLS]
    shared = {asset.name: store.describe(asset.key()) for asset in made_from}
    layout = store.read(tables.WELLS.key())
    classes = store.read(tables.OVERALL_CLASSES.key()) if has_scores else None

    def choose(plate: str) -> _Chosen:
        index_key = tables.IMAGE_INDEX.key(plate)
        inputs = {index_key.asset: store.describe(index_key), **shared}
        selection = select_images(layout, PlateKey.parse(plate), classes)
        files = selection.files(store.read(index_key))
        return _Chosen(selection, files, gallery.look_up_images(files.loc[files["in_gallery"], "key"]), inputs)

    chosen: dict[str, _Chosen] = {}
    for plate in context.partition_keys:
        with suppress(CpjumpError):  # fails again in ``source``, for its own plate alone
            chosen[plate] = choose(plate)
    wanted = [item for one in chosen.values() for item in one.objects.values()]
    pulled = pull_ahead(context, platform, gallery, wanted)
    shown, files = pull_metadata(pulled), platform.pulled_files

    def source(plate: str) -> PlateInput:
        one = chosen.get(plate) or choose(plate)
        held = gallery.hold_all(one.objects.values(), store.gallery_folder)
        tables_used = plate_input(tables.IMAGES, one.inputs)
        # What the gallery holds may have changed since it was indexed.
        inputs = {**tables_used.provenance.inputs, "gallery_images": _version_of(held)}
        provenance = replace(tables_used.provenance, inputs=inputs)
        return replace(tables_used, provenance=provenance, given=(one, held))

    def make(plate: str, one: _Chosen, rows: "Mapping[str, InventoryRow]") -> Made:
        table = image_table(one.files, _open_files(rows, files))
        return Made(table, _of_selection(one.selection, table) | _of_files(rows) | shown)

    return map_plates(context, platform, tables.IMAGES, source=source, make=make, schema=IMAGES)


def _version_of(rows: Mapping[str, "InventoryRow"]) -> str:
    """Give one digest for the versions of all held images of a plate."""
    lines = "\n".join(f"{key} {rows[key].version}" for key in sorted(rows))
    return hashlib.sha256(lines.encode()).hexdigest()


def _open_files(rows: Mapping[str, "InventoryRow"], files: "PulledFiles") -> dict[str, "PulledFile"]:
    """Open the held images of a plate."""
    from cpjump_assets.gallery.layout import safe_relative_path
    from cpjump_assets.imaging.tiff import open_images
    from cpjump_assets.science.image_table import PulledFile

    paths = {key: safe_relative_path(key).as_posix() for key in sorted(rows)}
    opened = open_images(files.path(rows[key]) for key in paths)
    return {
        key: PulledFile(path, rows[key].size, image.sha256, image.shape, image.problem)
        for (key, path), image in zip(paths.items(), opened, strict=True)
    }


def _of_selection(selection: "ImageSelection", table: "pd.DataFrame") -> dict[str, Any]:
    """Show which wells were chosen and why, and what became of their images."""
    from cpjump_assets.science.image_table import ABSENT, HELD, UNUSABLE

    found = table["status"].value_counts()
    lost = table[table["status"] != HELD]
    chosen = table.drop_duplicates("Metadata_Well")
    return {
        "chosen_by": selection.chosen_by,
        **counts({"images": len(table), **{status: found.get(status, 0) for status in (HELD, ABSENT, UNUSABLE)}}),
        "wells": markdown_table(narrow(chosen, _SHOWN_WELLS)),
        **({"absent or unusable": markdown_table(narrow(lost, _SHOWN_LOST))} if len(lost) else {}),
    }


def _of_files(rows: Mapping[str, "InventoryRow"]) -> dict[str, Any]:
    """Show what is held of the plate."""
    from cpjump_assets.gallery.transfer.etag import Verification

    unverified = sum(row.verification is Verification.UNVERIFIED for row in rows.values())
    return counts({"image bytes": sum(row.size for row in rows.values()), "unverified": unverified})


_SHOWN_WELLS = {
    "well": "Metadata_Well",
    "role": "role",
    "reagent": "Metadata_broad_sample",
    "chosen by": "chosen_by",
    "mAP": "mAP",
}
_SHOWN_LOST = {
    "well": "Metadata_Well",
    "site": "Metadata_Site",
    "channel": "channel",
    "status": "status",
    "reason": "reason",
}


@dg.asset(**_PLATES, deps=[images, wells], code_version=tables.IMAGE_QUALITY.code_version, kinds={"scipy", "parquet"})
def image_quality(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is an image of the plate's selection: intensities, saturation, and focus by its power spectrum.

    With maps of the plate. Intensities are camera counts; images that are absent or unusable have no measures.
    """
    from cpjump_assets.imaging.measured import measure_images
    from cpjump_assets.science.image_quality import IMAGE_QUALITY
    from cpjump_assets.science.plates import PLATE_COLUMNS, PlateKey

    store, files = platform.store, platform.pulled_files
    layout_version = store.describe(tables.WELLS.key())
    layout = store.read(tables.WELLS.key()).drop_duplicates(PLATE_COLUMNS).set_index(PLATE_COLUMNS, drop=False)

    def source(plate: str) -> PlateInput:
        inputs = {"images": store.describe(tables.IMAGES.key(plate)), "wells": layout_version}
        return plate_input(tables.IMAGE_QUALITY, inputs)

    def make(plate: str) -> Made:
        images = store.read(tables.IMAGES.key(plate))
        files.bring(images["path"].dropna())
        table = measure_images(images, files.folder)
        return Made(table, _of_quality(table) | {"maps": _maps(table, layout.loc[PlateKey.parse(plate)])})

    return map_plates(context, platform, tables.IMAGE_QUALITY, source=source, make=make, schema=IMAGE_QUALITY)


def _of_quality(table: "pd.DataFrame") -> dict[str, Any]:
    """Give the key numbers of the images of a plate, by channel."""
    from cpjump_assets.science.channels import CHANNELS

    measured = table.dropna(subset=["mean"])
    of_channel = measured.groupby("channel")
    counted = of_channel[["p01", "p50", "p99"]].median().round().astype("int64")
    medians = counted.join([of_channel["focus_slope"].median(), of_channel["maximum_share"].max()])
    ordered = medians.loc[[channel for channel in CHANNELS if channel in medians.index]].reset_index()
    return {
        **counts({"images measured": len(measured), "images not measured": len(table) - len(measured)}),
        "median of each channel, and the most saturated image": markdown_table(ordered),
    }


def _maps(table: "pd.DataFrame", well: "pd.Series") -> dg.MetadataValue:
    from cpjump_assets.figures.canvas import to_png
    from cpjump_assets.figures.image_quality_maps import image_quality_figure
    from cpjump_assets.figures.montage_words import plate_words

    held = table["mean"].notna().sum()
    title = f"{plate_words(well)} · {held} of {len(table)} selected images measured"
    with DRAWING:
        png = to_png(image_quality_figure(table, title), colours=256)
    return picture(png, f"maps of the images of {title}")

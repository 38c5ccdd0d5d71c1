"""Reproduction: our levels of profiles beside the files that the gallery publishes of them.

Belongs here: pulling the published files, comparing what is there on both sides, storing the counts. Does not belong
here: how profiles are compared (``science.reproduction``), where ours lie (``our_levels``).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.data_version import NULL_DATA_VERSION

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.assets.sources import gallery_profiles
from cpjump_assets.orchestration.display import markdown_table, narrow
from cpjump_assets.orchestration.our_levels import COMPARED, OurLevels
from cpjump_assets.orchestration.partitions import plates
from cpjump_assets.orchestration.pulling import pull_ahead, pull_metadata
from cpjump_assets.orchestration.recording import Made, PlateInput, map_plates
from cpjump_assets.orchestration.resources import Platform

if TYPE_CHECKING:
    from cpjump_assets.gallery.copies import PulledFiles
    from cpjump_assets.gallery.layout import GalleryRoot
    from cpjump_assets.gallery.listing import GalleryObject, PlateListing
    from cpjump_assets.gallery.transfer.inventory import InventoryRow
    from cpjump_assets.science.levels import Level
    from cpjump_assets.science.plates import PlateKey

_SHOWN = {
    "level": "level",
    "reproduces": "reproduces",
    "values": "values",
    "different": "different",
    "share equal": "share_equal",
    "within 1 unit": "share_within_one_unit",
    "largest": "largest_relative_difference",
    "only ours": "features_only_ours",
    "only theirs": "features_only_published",
    "withheld": "features_withheld",
}


@dg.asset(
    group_name="profiles",
    owners=["team:cpjump"],
    kinds={"s3", "parquet"},
    partitions_def=plates,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[gallery_profiles, *(asset.asset_key for asset in COMPARED)],
    code_version=tables.PROFILE_REPRODUCTION.code_version,
)
def profile_reproduction(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is a level of the plate's profiles, ours beside the published file: how many values are equal.

    Of the levels that the gallery publishes and that were made here; a plate without any has an empty table. The
    published files are pulled, their ETags computed again from the bytes, and kept as they are in the store.
    """
    from cpjump_assets.science.plates import PlateKey
    from cpjump_assets.storage.store import Provenance

    store, gallery, ours = platform.store, platform.gallery, OurLevels(platform.store)
    listings = gallery.list_plates(map(PlateKey.parse, context.partition_keys))
    listed = {str(plate): listing for plate, listing in listings.items()}
    objects = {plate: _published_levels(gallery.root, listing, ours) for plate, listing in listed.items()}
    wanted = [item for levels in objects.values() for item in levels.values()]
    pulled = pull_ahead(context, platform, gallery, wanted)
    origin, preset, shown = gallery.origin(), platform.preset.name, pull_metadata(pulled)
    files = platform.pulled_files

    def source(plate: str) -> PlateInput:
        held = {level: gallery.hold(item, store.gallery_folder) for level, item in objects[plate].items()}
        inputs = {name: table.digest for name, table in ours.tables(plate).items()}
        published = {f"published {level}": row.version for level, row in held.items()}
        provenance = Provenance(tables.PROFILE_REPRODUCTION.code_version, inputs | published, origin, preset)
        return PlateInput(provenance, upstream=_upstream(inputs, listed[plate].profile), given=(held,))

    def make(plate: str, held: "Mapping[Level, InventoryRow]") -> Made:
        compared = _compare(PlateKey.parse(plate), ours, held, files)
        return compared._replace(metadata={**compared.metadata, **shown})

    return map_plates(context, platform, tables.PROFILE_REPRODUCTION, source=source, make=make)


def _upstream(inputs: "Mapping[str, str]", profile: "GalleryObject | None") -> dict[str, str]:
    """Give the version of every upstream asset, those that were never made included, so that none counts as new."""
    never_made = {asset.name: NULL_DATA_VERSION.value for asset in COMPARED}
    return {**never_made, **inputs, "gallery_profiles": NULL_DATA_VERSION.value if profile is None else profile.version}


def _published_levels(root: "GalleryRoot", listing: "PlateListing", ours: OurLevels) -> "dict[Level, GalleryObject]":
    """Find the published files of the levels that were made here too."""
    from cpjump_assets.science.levels import LEVELS

    listed = {item.key: item for item in (listing.profile, *listing.others) if item is not None}
    keys = {level: root.level_key(listing.plate, level) for level in LEVELS}
    plate = str(listing.plate)
    return {level: listed[key] for level, key in keys.items() if key in listed and ours.has(level, plate)}


def _compare(plate: "PlateKey", ours: OurLevels, held: "Mapping[Level, InventoryRow]", files: "PulledFiles") -> Made:
    """Compare the levels of a plate that are there on both sides."""
    from cpjump_assets.gallery.profile_file import read_published_csv
    from cpjump_assets.science.reproduction import compare_level, reproduction_table

    key, rows = str(plate), []
    for level, row in held.items():
        published = read_published_csv(files.path(row), plate)
        withheld = ours.withheld(level, key)
        rows.append(compare_level(ours.profiles(level, key), published, plate=plate, level=level, withheld=withheld))
    table = reproduction_table(rows, str(tables.PROFILE_REPRODUCTION.key(key)))
    files = {f"published {level}": f"{_name(row)} (ETag {row.etag}, {row.verification})" for level, row in held.items()}
    shown = markdown_table(narrow(table, _SHOWN)) if rows else "nothing to compare: no level is both published and made"
    return Made(table, {"levels": shown, **files})


def _name(row: "InventoryRow") -> str:
    """Give the name of a pulled file; a whole key would widen the page of the web UI beyond the window."""
    return row.key.rpartition("/")[2]

"""The image index through the assets: each form of image sets, what changes upstream, the schedule, the checks."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd
import pytest

from cpjump_assets.build import build_defs
from cpjump_assets.gallery.transfer.inventory import Inventory
from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.partitions import PLATE_KEYS
from cpjump_assets.orchestration.refresh import FinishedRun, RefreshRequest, refresh_plan
from cpjump_assets.science.image_index import ABSENT, LISTED, NO_IMAGE_SETS, UNLISTED
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.settings import Settings
from cpjump_assets.simulate.image_sets import LAB_PATHS_PLATE, OLD_ADDRESSES_PLATE
from cpjump_assets.simulate.writer import GALLERY
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, Lab, copy_of

FIRST = LAB_KEYS[0]
WITHOUT_IMAGES = LAB_KEYS[1]
OLD_ADDRESSES, LAB_PATHS = (
    next(key for key in LAB_KEYS if key.endswith(barcode)) for barcode in (OLD_ADDRESSES_PLATE, LAB_PATHS_PLATE)
)


def index_plates(lab: Lab, *plates: str) -> FinishedRun:
    finished = lab.run("plate_images", plates=list(plates), assets=[tables.IMAGE_INDEX.name])
    assert finished.success, finished.errors
    return finished


@pytest.fixture(scope="module")
def indexed(imaged_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Give a lab in which three kinds of image sets were indexed; read only."""
    with copy_of(imaged_lab, tmp_path_factory.mktemp("indexed") / "lab") as lab:
        yield lab


def index_of(lab: Lab, plate: str) -> pd.DataFrame:
    return lab.store.read(tables.IMAGE_INDEX.key(plate))


def image_files(lab: Lab, plate: str) -> dict[str, int]:
    """Give the size of each image of a plate that the gallery's folder holds, by key."""
    key = PlateKey.parse(plate)
    folder = lab.gallery.object_path(GALLERY.images_prefix(key.batch))
    bucket = lab.gallery.object_path("")
    found = folder.glob(f"{key.barcode}__*/Images/*.tiff")
    return {path.relative_to(bucket).as_posix(): path.stat().st_size for path in found}


@pytest.mark.parametrize("plate", [FIRST, WITHOUT_IMAGES, OLD_ADDRESSES, LAB_PATHS])
def test_every_image_of_the_gallery_is_in_the_index_and_the_others_are_absent(indexed: Lab, plate: str):
    table, held = index_of(indexed, plate), image_files(indexed, plate)
    listed = table[table["status"] == LISTED]
    assert dict(zip(listed["key"], listed["size"], strict=True)) == held
    assert bool(held) == (plate != WITHOUT_IMAGES)
    assert len(table) == 384 * 8
    assert set(table["status"]) <= {LISTED, ABSENT}
    assert table["reason"].notna().tolist() == (table["status"] == ABSENT).tolist()


def test_the_event_says_where_the_images_are_and_what_is_missing(indexed: Lab):
    latest = indexed.materializations(tables.IMAGE_INDEX)[0].asset_materialization
    shown = {name: value.value for name, value in latest.metadata.items()}
    assert latest.partition == LAB_PATHS
    assert shown["measurement"].startswith(f"{LAB_PATHS_PLATE}__")
    assert (shown["in the gallery"], shown["absent"], shown["images named at another place"]) == (16, 3056, 3072)
    assert shown["verification of the image sets"] == "etag-md5"
    assert shown["image sets"].endswith("load_data.csv")


def test_the_checks_warn_with_numbers_and_stop_nothing(indexed: Lab):
    finished = indexed.check(tables.IMAGE_INDEX.name)
    found = indexed.evaluations(finished)
    held = sum(len(image_files(indexed, plate)) for plate in (FIRST, OLD_ADDRESSES, LAB_PATHS))
    assert finished.success
    assert found["image_index_schema"].passed
    numbers = {
        name: {key: value.value for key, value in found[name].metadata.items()}
        for name in ("images_as_published", "images_as_listed", "image_sites_complete")
    }
    for name, of_check in numbers.items():
        assert not found[name].passed
        assert found[name].severity is dg.AssetCheckSeverity.WARN
        assert (of_check["plates"], of_check["plates with findings"]) == (4, 4)
    assert numbers["images_as_published"]["expected"] == 4 * 27_648
    assert numbers["images_as_published"]["images"] == held
    assert numbers["images_as_listed"]["absent"] == 4 * 3072 - held
    # Of three plates two wells are there in all channels.
    assert numbers["image_sites_complete"]["incomplete sites"] == 4 * 384 - 6
    assert FIRST in numbers["image_sites_complete"]["which"]


def test_an_index_is_made_again_when_the_images_or_the_image_sets_change(lab: Lab):
    index_plates(lab, FIRST)
    before = index_of(lab, FIRST)
    index_plates(lab, FIRST)
    assert len(lab.materializations(tables.IMAGE_INDEX)) == 1  # the second run found nothing to do
    lost = next(iter(image_files(lab, FIRST)))
    lab.gallery.object_path(lost).unlink()
    index_plates(lab, FIRST)
    table = index_of(lab, FIRST)
    assert before.loc[before["key"] == lost, "status"].tolist() == [LISTED]
    assert table.loc[table["key"] == lost, "status"].tolist() == [ABSENT]
    lab.gallery.object_path(GALLERY.load_data_prefix(PlateKey.parse(FIRST)) + "load_data.csv").unlink()
    index_plates(lab, FIRST)
    table = index_of(lab, FIRST)
    assert set(table["status"]) == {UNLISTED}
    assert set(table["reason"]) == {NO_IMAGE_SETS}
    assert dict(zip(table["key"], table["size"], strict=True)) == image_files(lab, FIRST)


def test_a_plate_that_cannot_be_indexed_does_not_stop_the_others(lab: Lab):
    key = PlateKey.parse(WITHOUT_IMAGES)
    lab.gallery.object_path(GALLERY.load_data_prefix(key) + "load_data.csv").write_text("<html>Log in</html>")
    finished = lab.run("plate_images", plates=[FIRST, WITHOUT_IMAGES], assets=[tables.IMAGE_INDEX.name])
    assert not finished.success
    (error,) = finished.errors
    assert "1 of 2 plates failed" in error
    assert f"load_data.csv of plate {WITHOUT_IMAGES}: expected a table of image sets, found an HTML page" in error
    assert not index_of(lab, FIRST).empty
    assert not lab.store.exists(tables.IMAGE_INDEX.key(WITHOUT_IMAGES))


def test_an_altered_index_breaks_its_schema_check(lab: Lab):
    index_plates(lab, FIRST)
    path = lab.store.path(tables.IMAGE_INDEX.key(FIRST))
    table = pd.read_parquet(path)
    pd.concat([table, table.head(1)]).to_parquet(path)
    found = lab.evaluations(lab.check(tables.IMAGE_INDEX.name))["image_index_schema"]
    assert not found.passed
    assert "come more than once" in found.metadata["problem"].value


def test_observing_lists_the_plates_of_the_run_and_agrees_with_the_index(indexed: Lab):
    before = len(indexed.server.requests)
    finished = indexed.run("observe_images", plates=[FIRST, WITHOUT_IMAGES])
    assert finished.success, finished.errors
    assert len(indexed.server.requests) - before == 2  # the folders of the batch, and the one that there is
    with indexed.instance() as instance:
        records = instance.get_records_for_run(finished.run_id, of_type=dg.DagsterEventType.ASSET_OBSERVATION).records
    (record,) = records
    observation = record.event_log_entry.asset_observation
    assert record.partition_key == FIRST
    assert observation.metadata["files"].value == len(image_files(indexed, FIRST))
    made_from = indexed.store.describe(tables.IMAGE_INDEX.key(FIRST)).provenance.inputs
    assert observation.tags["dagster/data_version"] == made_from["gallery_images"]
    with Inventory(indexed.store.gallery_folder) as inventory:
        (kept,) = [prefix for prefix in inventory.listed_prefixes() if "/images/" in prefix and "__" in prefix]
        assert inventory.last_listing(kept).count == observation.metadata["files"].value


def test_images_are_no_part_of_a_refresh_and_their_schedule_is_off():
    plan = refresh_plan(LAB_KEYS)
    assert not {run.job for run in plan} & {"observe_images", "plate_images"}
    assert RefreshRequest().batches == (PlateKey.parse(FIRST).batch,)
    schedule = build_defs(Settings()).resolve_schedule_def("observe_images_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedule.cron_schedule == "0 5 1 * *"
    (request,) = schedule.evaluate_tick(dg.build_schedule_context()).run_requests
    tags = [request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end")]
    assert tags == [PLATE_KEYS[0], PLATE_KEYS[-1]]

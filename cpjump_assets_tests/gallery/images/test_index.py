"""The image index of a plate, made of a listing and image sets."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from cpjump_assets.gallery.images.index import plate_image_index
from cpjump_assets.gallery.images.load_data import ImageSets, read_load_data
from cpjump_assets.gallery.images.measurements import PlateImages
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.science.channels import CHANNELS
from cpjump_assets.science.errors import GalleryError
from cpjump_assets.science.image_index import ABSENT, LISTED, UNLISTED, UNREADABLE
from cpjump_assets.science.plates import MAIN_PLATES, PlateKey
from cpjump_assets.simulate.image_sets import load_data

ROOT = GalleryRoot.parse("s3://cellpainting-gallery/cpg0000-jump-pilot/source_4")
PLATE = MAIN_PLATES[0]
BLEACHED = PlateKey("2020_12_08_CPJUMP1_Bleaching", "BR00116992E")


def image_sets(plate: PlateKey = PLATE) -> ImageSets:
    content = load_data(ROOT, plate, n_sites=2).to_csv(index=False).encode()
    return read_load_data(content, plate, ROOT, source="load_data.csv")


def listing(keys, plate: PlateKey = PLATE) -> PlateImages:
    moment = datetime(2020, 11, 8, tzinfo=UTC)
    keys = sorted(keys)
    folders = {key.removeprefix(ROOT.images_prefix(plate.batch)).partition("/")[0] for key in keys}
    return PlateImages(
        plate, tuple(sorted(folders)), tuple(GalleryObject(key, 2_000_000, "0" * 32, moment) for key in keys)
    )


@pytest.mark.parametrize("plate", [PLATE, BLEACHED], ids=str)
def test_a_whole_plate(plate: PlateKey):
    sets = image_sets(plate)
    index = plate_image_index(ROOT, listing(sets.images["key"], plate), sets)
    assert len(index.table) == 384 * 2 * 8
    assert set(index.table["status"]) == {LISTED}
    assert index.table["reason"].isna().all()
    assert index.table.groupby("channel")["channel_number"].first()[list(CHANNELS)].tolist() == [*range(1, 9)]
    assert (index.measurement, index.other_files, index.other_measurements) == (sets.measurements[0], 0, 0)


def test_names_alone_give_the_same_wells_sites_and_channels():
    sets = image_sets(BLEACHED)
    images = listing(sets.images["key"], BLEACHED)
    told, read = (plate_image_index(ROOT, images, of).table for of in (sets, None))
    assert set(read["status"]) == {UNLISTED}
    pd.testing.assert_frame_equal(*(table.drop(columns=["status", "reason"]) for table in (told, read)))


def test_what_lies_beside_the_images_is_counted_and_no_row():
    sets = image_sets()
    folder = ROOT.images_prefix(PLATE.batch) + sets.measurements[0]
    beside = [f"{folder}/Images/Index.idx.xml", f"{folder}/Assaylayout/layout.xml", f"{folder}/Images/thumbnail.png"]
    index = plate_image_index(ROOT, listing([*sets.images["key"], *beside]), sets)
    assert index.other_files == 2
    odd = index.table[index.table["status"] == UNREADABLE]
    assert odd["key"].tolist() == beside[2:]


def test_an_image_that_is_named_counts_whatever_it_is_called():
    sets = image_sets()
    key = sets.images.loc[0, "key"]
    odd = f"{key.rpartition('/')[0]}/first image.dat"
    images = sets.images.assign(key=sets.images["key"].replace(key, odd))
    renamed = ImageSets(images, sets.measurements, (), 0)
    table = plate_image_index(ROOT, listing(images["key"]), renamed).table
    (row,) = table[table["key"] == odd].to_dict("records")
    place = sets.images.loc[0, ["Metadata_Well", "Metadata_Site", "channel"]].tolist()
    assert [row["Metadata_Well"], row["Metadata_Site"], row["channel"]] == place
    assert row["status"] == LISTED


def test_other_measurements_are_left_out_and_counted():
    sets = image_sets()
    again = sets.images["key"].str.replace("Measurement1", "Measurement2")
    index = plate_image_index(ROOT, listing([*sets.images["key"], *again]), sets)
    assert set(index.table["status"]) == {LISTED}
    assert index.other_measurements == len(again)
    with pytest.raises(GalleryError, match="2 measurement folders"):
        plate_image_index(ROOT, listing([*sets.images["key"], *again]), None)


def test_a_plate_of_which_nothing_is_left_is_all_absent_and_one_of_which_nothing_is_known_an_error():
    index = plate_image_index(ROOT, listing([]), image_sets())
    assert set(index.table["status"]) == {ABSENT}
    assert index.measurement is None
    with pytest.raises(GalleryError, match=f"neither images nor image sets of plate {PLATE}"):
        plate_image_index(ROOT, listing([]), None)

"""Measurement folders, found by listing."""

import pytest

from cpjump_assets.gallery.images.measurements import (
    choose_measurement,
    list_measurements,
    list_plate_images,
    resolve_measurements,
)
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.science.errors import GalleryError
from cpjump_assets.science.plates import MAIN_BATCH, MAIN_PLATES, PlateKey

BLEACHING = "2020_12_08_CPJUMP1_Bleaching"
NAME = "r01c01f01p01-ch1sk5fk1fl1.tiff"
PLATE = MAIN_PLATES[0]
FIRST, SECOND = (f"{PLATE.barcode}__2020-11-0{number}T19_51_35-Measurement{number}" for number in (1, 2))


@pytest.fixture
def root(served) -> GalleryRoot:
    return GalleryRoot(served.bucket, "pilot/source_4")


def put_measurement(served, root: GalleryRoot, batch: str, folder: str, names=(NAME,)) -> None:
    for name in names:
        served.put(f"{root.images_prefix(batch)}{folder}/Images/{name}", name.encode())


def put_image_sets(served, root: GalleryRoot, *folders: str, name: str = "load_data.csv") -> None:
    rows = [
        f"{root.images_prefix(PLATE.batch)}{folder}/Images/{NAME},A01,{site}" for site, folder in enumerate(folders)
    ]
    text = "\n".join(["URL_OrigMito,Metadata_Well,Metadata_Site", *(f"s3://{root.bucket}/{row}" for row in rows)])
    served.put(root.load_data_prefix(PLATE) + name, text.encode())


def listings(served) -> int:
    return len([request for request in served.server.requests if request.bucket == served.bucket and not request.key])


def test_one_request_finds_the_folders_of_a_batch(served, root):
    folders = ["BR00116996__2020-11-09T15_32_10-Measurement3", "BR00117005-re-imaged", "BR00117010", FIRST]
    for folder in [*folders, "BR00999999__2020-11-09T15_32_10-Measurement1", "__tests"]:
        put_measurement(served, root, MAIN_BATCH, folder, names=[f"{number}.tiff" for number in range(3)])
    assert list_measurements(served.client, root, MAIN_BATCH) == {
        PlateKey(MAIN_BATCH, folder[:10]): (folder,) for folder in sorted(folders)
    }
    assert listings(served) == 1


def test_a_letter_belongs_to_the_barcode(served, root):
    folder = "BR00116992E__2020-11-12T01_22_40-Measurement1"
    put_measurement(served, root, BLEACHING, folder)
    assert list_measurements(served.client, root, BLEACHING) == {PlateKey(BLEACHING, "BR00116992E"): (folder,)}
    put_measurement(served, root, MAIN_BATCH, folder)
    assert list_measurements(served.client, root, MAIN_BATCH) == {}


def test_of_several_measurements_the_image_sets_say_which(served, root):
    for folder in (FIRST, SECOND):
        put_measurement(served, root, MAIN_BATCH, folder)
    put_image_sets(served, root, FIRST)
    assert resolve_measurements(served.client, root, MAIN_BATCH) == {PLATE: FIRST}
    put_image_sets(served, root, SECOND)
    assert resolve_measurements(served.client, root, MAIN_BATCH) == {PLATE: SECOND}


def test_with_one_folder_nobody_asks_for_the_image_sets(served, root):
    put_measurement(served, root, MAIN_BATCH, FIRST)
    assert resolve_measurements(served.client, root, MAIN_BATCH) == {PLATE: FIRST}
    assert (listings(served), served.requests()) == (1, [])


@pytest.mark.parametrize(
    ("named", "said"), [((), "they name none"), ((FIRST, SECOND), f"they name {FIRST} and {SECOND}")]
)
def test_several_measurements_that_nothing_tells_apart_are_an_error_that_names_them(served, root, named, said):
    for folder in (FIRST, SECOND):
        put_measurement(served, root, MAIN_BATCH, folder)
    if named:
        put_image_sets(served, root, *named)
    with pytest.raises(GalleryError, match=f"plate {PLATE} has 2 measurement folders, {FIRST}, {SECOND}: .*{said}"):
        resolve_measurements(served.client, root, MAIN_BATCH)
    assert resolve_measurements(served.client, root, MAIN_BATCH, plates=MAIN_PLATES[1:]) == {}


def test_a_folder_that_the_image_sets_do_not_name_is_taken_when_it_is_the_only_one():
    assert choose_measurement(PLATE, [FIRST], [SECOND]) == FIRST
    assert choose_measurement(PLATE, [], [FIRST]) is None


def test_the_version_changes_with_the_images_and_not_with_what_lies_beside_them(served, root):
    other = f"{PLATE.barcode}A__2020-11-01T19_51_35-Measurement1"
    put_measurement(served, root, MAIN_BATCH, FIRST, names=["a.tiff", "b.tiff"])

    def version() -> str:
        return list_plate_images(served.client, root, PLATE, [FIRST]).version

    versions = [version(), version()]
    put_measurement(served, root, MAIN_BATCH, other)
    versions.append(version())
    assert len(set(versions)) == 1
    put_measurement(served, root, MAIN_BATCH, FIRST, names=["c.tiff"])
    served.put(f"{root.images_prefix(MAIN_BATCH)}{FIRST}/Images/a.tiff", b"drawn again")
    assert version() not in versions

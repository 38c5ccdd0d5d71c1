from collections.abc import Iterator

import pytest

from cpjump_assets.gallery.contents import KINDS
from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.gallery.holdings import OTHER, Place, held_by_kind, look_again, upstream_by_kind
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.transfer.etag import Verification
from cpjump_assets.gallery.transfer.inventory import FolderSummary, Inventory, InventoryRow
from cpjump_assets.science.plates import MAIN_PLATES, PLATES

ROOT = GalleryRoot("bucket", "pilot/source_4")
PLATE = MAIN_PLATES[0]
BATCH = PLATE.batch
IMAGES = f"{ROOT.images_prefix(BATCH)}{PLATE.barcode}__2020-11-08T18_18_00-Measurement1/Images/"
PLACES = [
    ("profiles", BATCH, ROOT.profiles_prefix(PLATE)),
    ("load-data", BATCH, ROOT.load_data_prefix(PLATE)),
    ("backends", BATCH, ROOT.backend_prefix(PLATE)),
    ("illumination", BATCH, ROOT.illumination_prefix(PLATE)),
    ("platemaps", BATCH, ROOT.platemaps_prefix(BATCH)),
    ("metadata", "", ROOT.metadata_prefix),
    ("images", BATCH, IMAGES),
]


@pytest.mark.parametrize("root", [ROOT, GalleryRoot("bucket", "")], ids=["prefix", "whole bucket"])
@pytest.mark.parametrize(("kind", "batch", "prefix"), PLACES)
def test_a_folder_tells_its_kind_its_batch_and_what_is_listed_as_a_whole(kind, batch, prefix, root):
    prefix = prefix if root == ROOT else prefix.removeprefix("pilot/source_4/")
    assert Place.of(root, prefix) == Place(kind, batch, prefix)


def test_folders_in_a_place_belong_to_it():
    site = f"{ROOT.analysis_prefix(PLATE)}{PLATE.barcode}-A01-1/"
    assert Place.of(ROOT, site) == Place("analysis", BATCH, ROOT.analysis_prefix(PLATE))
    maps = f"{ROOT.platemaps_prefix(BATCH)}platemap/"
    assert Place.of(ROOT, maps) == Place("platemaps", BATCH, ROOT.platemaps_prefix(BATCH))
    assert Place.of(ROOT, f"{ROOT.metadata_prefix}external_metadata/") == Place("metadata", "", ROOT.metadata_prefix)


@pytest.mark.parametrize(
    "folder", ["", "pilot/", "pilot/source_4/", "pilot/source_4/workspace/", "elsewhere/images/b/"]
)
def test_what_lies_elsewhere_is_of_another_kind(folder):
    assert Place.of(ROOT, folder).kind == OTHER


def test_every_kind_that_can_be_pulled_has_its_place():
    assert {kind for kind, _, _ in PLACES} | {"analysis"} == set(KINDS)


def test_what_is_held_is_added_up_by_kind_and_batch():
    other = PLATES[-1]
    folders = [
        FolderSummary(ROOT.profiles_prefix(MAIN_PLATES[1]), 1, 10, 0, 1, "2026-01-03"),
        FolderSummary(ROOT.profiles_prefix(PLATE), 2, 5, 1, 0, "2026-01-02"),
        FolderSummary(ROOT.profiles_prefix(other), 4, 7, 0, 0, "2026-01-01"),
        FolderSummary(IMAGES, 8, 1, 2, 3, "2026-01-04"),
        FolderSummary("pilot/", 1, 1, 0, 0, "2026-01-04"),
    ]
    found = [
        (held.kind, held.batch, held.objects, held.bytes, held.unverified, held.vanished, held.oldest_verification)
        for held in held_by_kind(ROOT, folders)
    ]
    assert found == [
        ("profiles", BATCH, 3, 15, 1, 1, "2026-01-02"),
        ("profiles", other.batch, 4, 7, 0, 0, "2026-01-01"),
        ("images", BATCH, 8, 1, 2, 3, "2026-01-04"),
        (OTHER, "", 1, 1, 0, 0, "2026-01-04"),
    ]


@pytest.fixture
def gallery(served) -> Gallery:
    """Give a gallery of a few files."""
    for key in ["a.csv.gz", "b.csv.gz"]:
        served.put(f"{ROOT.profiles_prefix(PLATE)}{key}", key.encode())
    served.put(f"{IMAGES}r01c01f01p01-ch1sk1fk1fl1.tiff", b"image")
    served.put("pilot/source_4/SIMULATED.txt", b"x")
    return Gallery(GalleryRoot(served.bucket, ROOT.prefix), served.client, 2)


@pytest.fixture
def record(served) -> Iterator[Inventory]:
    with Inventory(served.store) as inventory:
        yield inventory


def counts_of(gallery: Gallery, record: Inventory) -> dict[str, tuple[int, ...]]:
    return {part.kind: tuple(part.counts.values()) for part in upstream_by_kind(gallery.root, record)}


def test_the_gallery_is_listed_again_where_something_is_held(served, gallery, record):
    assert counts_of(gallery, record) == {}
    look_again(gallery, record)
    assert counts_of(gallery, record) == {}  # nothing is held, nothing was listed

    gallery.pull([item for item in served.listed() if item.key.endswith(("a.csv.gz", "SIMULATED.txt"))], served.store)
    look_again(gallery, record)
    assert record.listed_prefixes() == (ROOT.profiles_prefix(PLATE),)
    assert counts_of(gallery, record) == {"profiles": (1, 0, 1, 0)}

    gallery.pull(served.listed(), served.store)
    served.put(f"{ROOT.profiles_prefix(PLATE)}b.csv.gz", b"another version")
    (served.folder / f"{ROOT.profiles_prefix(PLATE)}a.csv.gz").unlink()
    look_again(gallery, record)
    assert counts_of(gallery, record) == {"profiles": (0, 1, 0, 1), "images": (0, 0, 1, 0)}
    (profiles, _) = upstream_by_kind(gallery.root, record)
    assert (profiles.changed, profiles.vanished) == (
        [f"{ROOT.profiles_prefix(PLATE)}b.csv.gz"],
        [f"{ROOT.profiles_prefix(PLATE)}a.csv.gz"],
    )
    (held, _, _) = held_by_kind(gallery.root, record.folder_summaries())
    assert (held.objects, held.vanished) == (2, 1)


def test_kept_listings_are_compared_without_a_request(served, gallery, record):
    gallery.keep_plates(gallery.list_plates(MAIN_PLATES[:2]), served.store)
    before = len(served.server.requests)
    (profiles,) = upstream_by_kind(gallery.root, record)
    assert len(served.server.requests) == before
    assert profiles.counts == {"new": 2, "changed": 0, "unchanged": 0, "vanished": 0}
    row = InventoryRow(
        f"{ROOT.profiles_prefix(MAIN_PLATES[1])}x", 1, "e", "t", None, None, Verification.MD5, "2026-01-01", "t", 0
    )
    record.record([row])
    (profiles,) = upstream_by_kind(gallery.root, record)
    assert profiles.vanished == [row.key]


def test_of_overlapping_prefixes_the_outer_one_is_listed(served, gallery, record):
    served.put(f"{ROOT.platemaps_prefix(BATCH)}barcode_platemap.csv", b"x")
    served.put(f"{ROOT.metadata_prefix}reagents.tsv", b"x")
    gallery.pull([item for item in served.listed() if "metadata" in item.key], served.store)
    before = len(served.server.requests)
    look_again(gallery, record)
    assert len(served.server.requests) == before + 1
    assert counts_of(gallery, record) == {"metadata": (0, 0, 2, 0)}

import hashlib
import os
from datetime import UTC, datetime

import pytest

from cpjump_assets.gallery.client import gallery_client
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.listing import (
    GalleryObject,
    find_objects,
    list_backends,
    list_folders,
    list_objects,
    list_plates,
    list_prefixes,
    simulated_marker,
)
from cpjump_assets.science.errors import GalleryError
from cpjump_assets.science.plates import MAIN_PLATES, PLATES, PlateKey
from cpjump_assets.simulate.s3.faults import FaultRule, FlippedBit, SlowDown, TruncatedBody
from cpjump_assets.simulate.s3.requests import LIST_OBJECTS

FIRST, SECOND, THIRD = MAIN_PLATES[:3]
AWKWARD = ["p/a b+c%2B.csv", "p/ä€𝄞.csv", "p/&<>'\"*.csv", "p/~=:,;@$!().csv"]


@pytest.fixture
def root(served) -> GalleryRoot:
    return GalleryRoot(served.bucket, "pilot/source_4")


def test_an_object_carries_what_the_server_says(served):
    served.put("p/a", b"content")
    (item,) = served.listed("p/")
    assert (item.key, item.size, item.etag) == ("p/a", 7, hashlib.md5(b"content").hexdigest())
    assert item.last_modified.tzinfo is not None
    assert item.version == f"{item.etag}-7"


def test_pages_are_put_together_and_foreign_prefixes_left_out(served):
    keys = [f"p/{number:04d}" for number in range(1003)]
    for key in [*keys, "q/other", "p0"]:
        served.put(key, b"")
    assert [item.key for item in served.listed("p/")] == keys
    assert len([request for request in served.server.requests if request.bucket == served.bucket]) == 2


def test_awkward_keys_survive(served):
    for key in AWKWARD:
        served.put(key, b"x")
    assert [item.key for item in served.listed("p/")] == sorted(AWKWARD)


def test_the_time_of_an_object_is_that_of_the_server(served):
    served.put("p/a", b"content")
    os.utime(served.folder / "p/a", (1_604_491_200, 1_604_491_200))
    (item,) = served.listed("p/")
    assert item.last_modified == datetime(2020, 11, 4, 12, tzinfo=UTC)
    # Headers tell times in another form, which the same parser reads.
    head = served.client.head_object(Bucket=served.bucket, Key="p/a")
    assert head["LastModified"] == item.last_modified


def test_prefixes_are_listed_each_by_itself(served):
    for key in ["p/a", "p/b", "q/a", "qq/a"]:
        served.put(key, b"x")
    listed = list_prefixes(served.client, served.bucket, ["q/", "p/", "none/", "q/"], connections=3)
    assert {prefix: [item.key for item in objects] for prefix, objects in listed.items()} == {
        "q/": ["q/a"],
        "p/": ["p/a", "p/b"],
        "none/": [],
    }
    assert list(listed) == ["q/", "p/", "none/"]
    assert listed["p/"] == served.listed("p/")


def test_one_prefix_that_cannot_be_listed_ends_the_listing(served, no_waits):
    with pytest.raises(GalleryError, match=r"the listing of s3://nowhere/p/ does not exist"):
        list_prefixes(served.client, "nowhere", ["p/", "q/"], connections=2)
    assert list_prefixes(served.client, served.bucket, [], connections=2) == {}


def test_folders_are_the_names_right_below_a_prefix(served):
    folders = [f"BR{number:04d}__x" for number in range(1003)]
    for key in ["p/file", "p/ä b+%2B/a", "other/a", *(f"p/{name}/Images/a" for name in folders)]:
        served.put(key, b"")
    assert list_folders(served.client, served.bucket, "p/") == tuple(sorted([*folders, "ä b+%2B"]))
    assert list_folders(served.client, served.bucket, "") == ("other", "p")
    assert list_folders(served.client, served.bucket, "none/") == ()


def test_single_objects_are_found_without_those_that_begin_so(served):
    for key in ["p/a", "p/ab", "p/c/d"]:
        served.put(key, b"x")
    found = find_objects(served.client, served.bucket, ["p/a", "p/c", "p/none"], connections=2)
    assert list(found) == ["p/a"]
    assert found["p/a"].size == 1


def test_each_plate_has_its_profile_and_its_other_files(served, root):
    served.put(root.profile_key(FIRST), b"profiles")
    served.put(f"{root.profiles_prefix(FIRST)}{FIRST.barcode}_normalized.csv.gz", b"others")
    served.put(f"{root.profiles_prefix(SECOND)}{SECOND.barcode}_normalized.csv.gz", b"others")
    listings = list_plates(served.client, root, [SECOND, FIRST, THIRD], connections=2)
    assert list(listings) == [SECOND, FIRST, THIRD]
    assert listings[FIRST].profile.key == root.profile_key(FIRST)
    assert [item.key.rpartition("/")[2] for item in listings[FIRST].others] == [f"{FIRST.barcode}_normalized.csv.gz"]
    assert listings[SECOND].profile is None
    assert len(listings[SECOND].others) == 1
    assert (listings[THIRD].profile, listings[THIRD].others) == (None, ())
    assert listings[FIRST].objects == served.listed(root.profiles_prefix(FIRST))
    assert listings[THIRD].objects == ()


def test_a_plate_whose_barcode_begins_like_another_is_not_mixed_up(served, root):
    whole, round_a = PlateKey(FIRST.batch, "BR00116991"), PlateKey(FIRST.batch, "BR00116991A")
    served.put(root.profile_key(round_a), b"x")
    assert list_plates(served.client, root, [whole], connections=1)[whole].profile is None


def test_backends_are_listed_batch_by_batch_for_the_plates_that_have_one(served, root):
    other = next(plate for plate in PLATES if plate.batch != FIRST.batch)
    for plate in (FIRST, THIRD, other):
        served.put(root.backend_key(plate), plate.barcode.encode())
        served.put(root.backend_key(plate).replace(".sqlite", ".csv"), b"the same, aggregated")
    found = list_backends(served.client, root, [FIRST, SECOND, other])
    assert {plate: item.key for plate, item in found.items()} == {
        plate: root.backend_key(plate) for plate in (FIRST, other)
    }
    assert len([request for request in served.server.requests if request.bucket == served.bucket]) == 2


def test_a_busy_server_is_asked_again(served, no_waits, root):
    served.fail(FaultRule(SlowDown(), times=3, operations=frozenset({LIST_OBJECTS})))
    served.put(root.profile_key(FIRST), b"x")
    assert list_plates(served.client, root, [FIRST], connections=1)[FIRST].profile is not None


def test_an_unreachable_endpoint_is_one_error_that_names_it_and_its_setting(no_waits, root):
    client = gallery_client("http://user:secret@127.0.0.1:9")
    with pytest.raises(GalleryError) as caught:
        list_plates(client, root, MAIN_PLATES, connections=4)
    message = str(caught.value)
    assert "http://127.0.0.1:9 (CPJUMP_S3_ENDPOINT" in message
    assert root.profiles_prefix(FIRST) in message
    assert "secret" not in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "does not answer as an S3 server does"),
        (b"<html><br><p>Log in", "Internal Server Error"),  # how botocore reads a page that is no XML
    ],
)
def test_a_web_page_is_not_taken_for_an_empty_gallery(no_waits, web_server, page, said):
    address = web_server({"*": (200, {"Content-Type": "text/html"}, page)})
    with pytest.raises(GalleryError, match=f"{address} .*{said}"):
        list_objects(gallery_client(address), "gallery", "p/")


def test_a_missing_bucket_is_named(served):
    with pytest.raises(GalleryError, match=r"s3://nowhere/p/ does not exist: .*NoSuchBucket"):
        list_objects(served.client, "nowhere", "p/")


def test_the_marker_tells_a_simulated_gallery_from_the_real_one(served, root):
    assert simulated_marker(served.client, root) is None
    served.put(root.marker_key, b"simulated, seed 7\n")
    assert simulated_marker(served.client, root) == "simulated, seed 7"


def test_without_a_bucket_there_is_no_telling(served, root):
    with pytest.raises(GalleryError, match="NoSuchBucket"):
        simulated_marker(served.client, GalleryRoot("nowhere", root.prefix))


@pytest.mark.parametrize("fault", [FlippedBit(), TruncatedBody()])
def test_a_marker_that_arrives_damaged_is_read_again(served, fault, no_waits, root):
    served.fail(FaultRule(fault, times=2))
    served.put(root.marker_key, b"simulated, seed 7")
    assert simulated_marker(served.client, root) == "simulated, seed 7"


def test_the_folder_placeholders_of_consoles_are_no_objects(moto_server):
    moto_server.admin.create_bucket(Bucket="gallery", ACL="public-read")
    for key, content in {"p/": b"", "p/a": b"x", **dict.fromkeys(AWKWARD, b"y")}.items():
        moto_server.admin.put_object(Bucket="gallery", Key=key, Body=content, ACL="public-read")
    listed = list_objects(gallery_client(moto_server.endpoint), "gallery", "p/")
    assert [item.key for item in listed] == sorted(["p/a", *AWKWARD])


def test_a_private_object_is_said_to_be_private(moto_server):
    root = GalleryRoot("gallery", "pilot")
    moto_server.admin.create_bucket(Bucket="gallery")
    moto_server.admin.put_object(Bucket="gallery", Key=root.marker_key, Body=b"x")
    with pytest.raises(GalleryError, match=r"SIMULATED\.txt is not readable without an account: .*403"):
        simulated_marker(gallery_client(moto_server.endpoint), root)


def test_versions_differ_when_etag_or_size_does():
    first = GalleryObject("k", 1, "a", datetime(2020, 11, 4, tzinfo=UTC))
    assert (
        len(
            {
                first.version,
                GalleryObject("k", 2, "a", first.last_modified).version,
                GalleryObject("k", 1, "b", first.last_modified).version,
            }
        )
        == 3
    )
    assert first.version == GalleryObject("k", 1, "a", datetime(2021, 1, 1, tzinfo=UTC)).version

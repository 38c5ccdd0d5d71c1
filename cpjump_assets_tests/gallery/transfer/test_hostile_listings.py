"""Listings as an enemy would write them: whatever is in them, a pull stays inside its store."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpjump_assets.gallery.client import gallery_client
from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.listing import list_objects
from cpjump_assets.gallery.transfer.inventory import Inventory
from cpjump_assets.gallery.transfer.report import IncompletePullError
from cpjump_assets.science.errors import CpjumpError, GalleryError

REFUSED = [
    "../../escaped",
    "/etc/passwd",
    "p/../../escaped",
    "p//a",
    "p/.",
    "p\\a",
    "p/a\x1b[31m",
    "p/line\nbreak",
    "e\u0301",
    "n" * 241,
    "p/a.part",
    "p/a.part.json",
    "inventory.sqlite",
    "inventory.sqlite-wal",
    "Inventory.SQLite-shm",
    "\ud800",
]


def everything_below(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("key", REFUSED)
def test_one_bad_key_is_refused_by_name_before_anything_is_pulled(served, tmp_path, key):
    served.put("good", b"good")
    (good,) = served.listed()
    with Inventory(served.store) as inventory:
        inventory.record([])
    before = everything_below(tmp_path)
    with pytest.raises(GalleryError) as caught:
        served.pull([good, replace(good, key=key)])
    assert f"key {key!r} cannot be stored: expected " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert served.requests() == []
    assert everything_below(tmp_path) == before
    with Inventory(served.store) as inventory:
        assert list(inventory.rows_below()) == []


def test_another_server_lists_them_as_they_are_and_they_are_refused(moto_server, tmp_path):
    bad = [key for key in REFUSED if key.startswith("p/") and key.isprintable()]
    moto_server.admin.create_bucket(Bucket="gallery", ACL="public-read")
    for key in [*bad, "p/good", "p/Good"]:
        moto_server.admin.put_object(Bucket="gallery", Key=key, Body=key.encode(), ACL="public-read")
    client = gallery_client(moto_server.endpoint)
    listed = {item.key: item for item in list_objects(client, "gallery", "p/")}
    assert listed.keys() == {*bad, "p/good", "p/Good"}
    gallery = Gallery(GalleryRoot("gallery", "p"), client, 4)
    for key in bad:
        with pytest.raises(GalleryError, match="cannot be stored"):
            gallery.pull([listed["p/good"], listed[key]], tmp_path)
    gallery.pull([listed["p/good"], listed["p/Good"]], tmp_path)
    # This file system tells case, so that twins are two files.
    assert (tmp_path / "p/good").read_bytes() == b"p/good"
    assert (tmp_path / "p/Good").read_bytes() == b"p/Good"


def test_a_key_that_is_the_folder_of_another_does_not_overwrite_it(served):
    served.put("a", b"file")
    (first,) = served.listed()
    served.pull([first])
    (served.folder / "a").unlink()
    served.put("a/b", b"below")
    with pytest.raises(CpjumpError, match=r"cannot write b in .*/a: (File exists|Not a directory)"):
        served.pull()
    assert (served.store / "a").read_bytes() == b"file"
    assert served.row("a/b") is None


def test_a_file_where_a_folder_is_held_does_not_overwrite_it(served):
    served.put("a/b", b"below")
    served.pull()
    (served.folder / "a/b").unlink()
    (served.folder / "a").rmdir()
    served.put("a", b"file")
    with pytest.raises(IncompletePullError, match=r"cannot write a in .*: Is a directory"):
        served.pull()
    assert served.files() == {"a/b"}
    assert served.row("a") is None


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.text(max_size=12) | st.sampled_from(REFUSED), min_size=1, max_size=4, unique=True))
def test_whatever_is_listed_nothing_outside_the_store_and_no_record_is_touched(served, tmp_path, keys):
    served.put("good", b"good")
    good = next(item for item in served.listed() if item.key == "good")
    served.pull([good])
    outside = everything_below(tmp_path) - everything_below(served.store)
    with suppress(CpjumpError):
        served.pull([replace(good, key=key, etag="0" * 32) for key in keys])
    assert everything_below(tmp_path) - everything_below(served.store) == outside
    assert served.row("good") is not None
    assert (served.store / "good").read_bytes() == b"good"

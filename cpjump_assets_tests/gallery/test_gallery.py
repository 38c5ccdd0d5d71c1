import pytest

from cpjump_assets.gallery.failures import AbsentObjectError
from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.gallery.transfer import verify
from cpjump_assets.gallery.transfer.inventory import Inventory
from cpjump_assets.science.plates import MAIN_PLATES

PLATE = MAIN_PLATES[0]


def test_a_gallery_is_listed_and_pulled_and_tells_its_origin(served):
    gallery = Gallery.connect(f"s3://{served.bucket}/pilot", endpoint=served.server.endpoint)
    assert gallery.connections == 16
    assert gallery.origin() == "gallery"
    served.put(gallery.root.marker_key, b"simulated, seed 7\n")
    assert gallery.origin() == "simulated, seed 7"
    served.put(gallery.root.profile_key(PLATE), b"profiles")
    profile = gallery.list_plates([PLATE])[PLATE].profile
    report = gallery.pull([profile], served.store)
    assert [row.key for row in report.pulled] == [gallery.root.profile_key(PLATE)]
    assert (served.store / profile.key).read_bytes() == b"profiles"
    assert gallery.pull([profile], served.store).skipped == 1


def test_many_objects_are_held_and_those_that_are_gone_left_out(served):
    gallery = Gallery.connect(f"s3://{served.bucket}/pilot", endpoint=served.server.endpoint)
    contents = {f"pilot/{name}": name.encode() * 9 for name in ("kept", "altered", "touched", "gone")}
    for key, content in contents.items():
        served.put(key, content)
    listed = served.listed()
    (served.folder / "pilot/gone").unlink()
    assert sorted(gallery.hold_all(listed, served.store)) == ["pilot/altered", "pilot/kept", "pilot/touched"]
    (served.store / "pilot/altered").write_bytes(b"x" * 63)
    (served.store / "pilot/touched").touch()
    before = len(served.requests())
    rows = gallery.hold_all(listed, served.store)
    assert sorted(set(served.requests()[before:])) == ["pilot/altered", "pilot/gone"]
    for key, row in rows.items():
        assert (served.store / key).read_bytes() == contents[key]
        assert row.etag == next(item.etag for item in listed if item.key == key)
    assert gallery.hold_all([], served.store) == {}
    with pytest.raises(AbsentObjectError, match="pilot/gone was listed, and does not exist any more"):
        gallery.hold(next(item for item in listed if item.key == "pilot/gone"), served.store)


def test_a_held_object_is_hashed_once_and_not_at_each_run(served, monkeypatch):
    gallery = Gallery.connect(f"s3://{served.bucket}/pilot", endpoint=served.server.endpoint)
    served.put("pilot/backend.sqlite", b"single cells")
    (item,) = served.listed()
    row = gallery.hold(item, served.store)
    monkeypatch.setattr(verify, "check_file", lambda *_: pytest.fail("the file was read again"))
    assert gallery.hold(item, served.store) == row
    assert row.mtime_ns == (served.store / item.key).stat().st_mtime_ns


def test_listed_plates_are_kept_and_compared_with_what_is_held(served):
    gallery = Gallery.connect(f"s3://{served.bucket}/pilot", endpoint=served.server.endpoint)
    first, second = MAIN_PLATES[:2]
    served.put(gallery.root.profile_key(first), b"profiles")
    served.put(f"{gallery.root.profiles_prefix(first)}other.csv.gz", b"others")
    listed = gallery.list_plates([first, second])
    gallery.pull([listed[first].profile], served.store)
    changes = gallery.keep_plates(listed, served.store)
    assert [changes[plate].counts() for plate in (first, second)] == [
        {"new": 1, "changed": 0, "unchanged": 1, "vanished": 0},
        {"new": 0, "changed": 0, "unchanged": 0, "vanished": 0},
    ]
    with Inventory(served.store) as inventory:
        assert inventory.last_listing(gallery.root.profiles_prefix(first)).objects == listed[first].objects
        assert inventory.last_listing(gallery.root.profiles_prefix(second)).objects == ()


def test_bad_files_are_repaired_and_what_is_gone_stays_as_it_is(served):
    gallery = Gallery.connect(f"s3://{served.bucket}/pilot", endpoint=served.server.endpoint)
    for name in ("altered", "gone", "newer", "right"):
        served.put(f"pilot/{name}", name.encode())
    gallery.pull(served.listed(), served.store)
    for name in ("altered", "gone", "newer"):
        (served.store / "pilot" / name).write_bytes(name.upper().encode())
    (served.folder / "pilot/gone").unlink()
    served.put("pilot/newer", b"a newer version")
    with Inventory(served.store) as inventory:
        bad = verify.verify_objects(inventory, served.store).bad
        assert len(bad) == 3
        report = gallery.repair(bad, served.store)
        assert [row.key for row in report.pulled] == ["pilot/altered", "pilot/newer"]
        contents = {name: (served.store / "pilot" / name).read_bytes() for name in ("altered", "gone", "newer")}
        assert contents == {"altered": b"altered", "gone": b"GONE", "newer": b"a newer version"}
        assert [item.row.key for item in verify.verify_objects(inventory, served.store).bad] == ["pilot/gone"]

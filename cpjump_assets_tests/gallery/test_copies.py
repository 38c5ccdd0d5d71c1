"""Copies of pulled objects: a machine with an empty folder pulls nothing again, and takes nothing that is damaged."""

import pickle
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cpjump_assets.gallery.copies import Copies, PulledFiles
from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.transfer.inventory import Inventory
from cpjump_assets.gallery.transfer.report import IncompletePullError
from cpjump_assets.science.errors import StoreError
from cpjump_assets.simulate.s3.faults import FaultRule, Refusal
from cpjump_assets.storage.s3_place import S3Place
from cpjump_assets_tests.stores import StoreServer, moto_store

KEYS = ("p/A/a.csv.gz", "p/A/b c+é%.csv.gz", "p/B/a.csv.gz")


@pytest.fixture(scope="module")
def store_server() -> Iterator[StoreServer]:
    with moto_store() as server:
        yield server


@pytest.fixture
def place(store_server: StoreServer) -> S3Place:
    return store_server.place(f"store-{uuid.uuid4().hex[:8]}")


class Machines:
    """Machines that share a gallery and a store, each with a folder of its own."""

    def __init__(self, served: Any, place: S3Place, folder: Path) -> None:
        self.served, self.place, self._folder = served, place, folder

    def gallery(self) -> Gallery:
        copies = Copies.in_store(self.place)
        return Gallery(GalleryRoot(self.served.bucket, "p"), self.served.client, 2, copies)

    def folder(self, name: str) -> Path:
        return self._folder / name / "gallery"

    def pulled(self, name: str) -> list[str]:
        """Pull everything on a machine; give the keys that came from the gallery itself."""
        return [row.key for row in self.gallery().pull(self.served.listed(), self.folder(name)).pulled]

    def contents(self, name: str) -> dict[str, bytes]:
        with Inventory(self.folder(name)) as inventory:
            return {row.key: (self.folder(name) / row.key).read_bytes() for row in inventory.rows_below()}

    def objects(self, store_server: StoreServer) -> list[str]:
        return [key for key in store_server.keys(f"{self.place.prefix}/") if not key.endswith(".json")]


@pytest.fixture
def machines(served: Any, place: S3Place, tmp_path: Path) -> Machines:
    for key in KEYS:
        served.put(key, f"content of {key}".encode())
    return Machines(served, place, tmp_path)


CONTENTS = {key: f"content of {key}".encode() for key in KEYS}


def test_a_machine_with_an_empty_folder_pulls_nothing_again(machines: Machines) -> None:
    assert machines.pulled("first") == sorted(KEYS)
    assert machines.pulled("second") == []
    assert machines.contents("second") == CONTENTS
    with Inventory(machines.folder("first")) as one, Inventory(machines.folder("second")) as two:
        for row in one.rows_below():
            (other,) = two.rows([row.key]).values()
            for column in ("size", "etag", "last_modified", "part_size", "sha256", "verification", "pulled_at"):
                assert getattr(other, column) == getattr(row, column)
            assert other.mtime_ns == (machines.folder("second") / row.key).stat().st_mtime_ns


def test_what_has_copies_counts_as_held_in_a_plan(machines: Machines) -> None:
    gallery, listed = machines.gallery(), machines.served.listed()
    assert len(gallery.plan(listed, machines.folder("second")).missing) == 3
    gallery.pull(listed[:2], machines.folder("first"))
    plan = machines.gallery().plan(listed, machines.folder("second"))
    assert [item.key for item in plan.missing] == [listed[2].key]
    assert (plan.missing_bytes, plan.held_objects) == (listed[2].size, 2)
    assert not machines.folder("second").exists()


def test_copies_do_not_count_towards_the_budget(machines: Machines) -> None:
    machines.pulled("first")
    report = machines.gallery().pull(machines.served.listed(), machines.folder("second"), budget=0)
    assert (report.pulled, report.skipped) == ((), 3)


def test_held_objects_are_copied_even_if_a_pull_was_killed_before(
    machines: Machines, store_server: StoreServer
) -> None:
    machines.served.pull()  # as a pull that ends before the copies
    assert machines.objects(store_server) == []
    gallery = machines.gallery()
    report = gallery.pull(machines.served.listed(), machines.served.store)
    assert (report.skipped, len(machines.objects(store_server))) == (3, 3)
    assert machines.pulled("second") == []


def test_nothing_is_asked_twice_of_the_store(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, listed = machines.gallery(), machines.served.listed()
    gallery.pull(listed, machines.folder("first"))
    monkeypatch.setattr(S3Place, "client", property(lambda _: pytest.fail("a request")))
    assert gallery.pull(listed, machines.folder("first")).skipped == 3
    assert gallery.hold(listed[0], machines.folder("first")).key == listed[0].key


def test_a_new_version_comes_from_the_gallery_and_its_copy_replaces_the_old(
    machines: Machines, store_server: StoreServer
) -> None:
    machines.pulled("first")
    machines.served.put(KEYS[0], b"a new version")
    assert machines.pulled("second") == [KEYS[0]]
    assert machines.pulled("third") == []
    assert machines.contents("third") == CONTENTS | {KEYS[0]: b"a new version"}
    manifests = [key for key in store_server.keys(f"{machines.place.prefix}/") if key.endswith(".json")]
    assert len(manifests) == 3


@pytest.mark.parametrize("damage", [b"short", b"", "flip", "manifest"])
def test_a_damaged_copy_is_told_pulled_again_and_mended(
    machines: Machines, store_server: StoreServer, damage: bytes | str
) -> None:
    machines.pulled("first")
    keys = store_server.keys(f"{machines.place.prefix}/")
    key = next(name for name in keys if "A/a.csv" in name and name.endswith(".json") == (damage == "manifest"))
    content = store_server.read(key)
    new = {"flip": bytes([content[0] ^ 1]) + content[1:], "manifest": b"{}"}.get(str(damage), damage)
    store_server.put(key, new if isinstance(new, bytes) else b"")
    recalled = machines.gallery().recall(machines.served.listed(), machines.folder("told"))
    assert len(recalled.rows) == 2
    assert len(recalled.damaged) == 1
    assert "A/a.csv.gz" in recalled.damaged[0]
    assert machines.pulled("second") == [KEYS[0]]
    assert machines.contents("second") == CONTENTS
    assert machines.pulled("third") == []


def test_a_file_that_was_altered_before_it_was_copied_is_not_copied(
    machines: Machines, store_server: StoreServer
) -> None:
    machines.served.pull()
    path = machines.served.store / KEYS[0]
    path.write_bytes(path.read_bytes().swapcase())
    machines.gallery().pull(machines.served.listed(), machines.served.store)
    assert len(machines.objects(store_server)) == 2
    assert machines.pulled("second") == [KEYS[0]]


def test_of_an_incomplete_pull_what_came_is_copied(
    machines: Machines, store_server: StoreServer, no_waits: None
) -> None:
    machines.served.fail(FaultRule(Refusal("AccessDenied"), keys=KEYS[2]))
    with pytest.raises(IncompletePullError):
        machines.pulled("first")
    assert len(machines.objects(store_server)) == 2


def test_a_pulled_file_is_found_wherever_its_function_runs(machines: Machines) -> None:
    machines.pulled("first")
    with Inventory(machines.folder("first")) as inventory:
        (row,) = inventory.rows([KEYS[0]]).values()
    there = pickle.loads(pickle.dumps(PulledFiles(machines.folder("worker"), Copies.in_store(machines.place))))
    assert there.path(row).read_bytes() == CONTENTS[KEYS[0]]
    there.bring([*KEYS, "p/never/pulled"])
    assert {key: (machines.folder("worker") / key).read_bytes() for key in KEYS} == CONTENTS
    here = PulledFiles(machines.folder("first"))
    here.bring(KEYS)
    assert here.path(row) == machines.folder("first") / KEYS[0]
    other = PulledFiles(machines.folder("lost"), Copies.in_store(machines.place.below("elsewhere")))
    with pytest.raises(StoreError, match=r"A/a\.csv\.gz is neither in .* nor copied in s3://.*: pull it again"):
        other.path(row)


def test_copies_are_counted(machines: Machines) -> None:
    copies = Copies.in_store(machines.place)
    assert copies.total() == (0, 0)
    machines.pulled("first")
    assert copies.total() == (3, sum(map(len, CONTENTS.values())))
    assert Copies.of(None, None) is None
    assert Copies.of(str(machines.place), machines.place.endpoint) == copies


def test_every_copy_is_read_again_where_it_lies(machines: Machines, store_server: StoreServer) -> None:
    copies = Copies.in_store(machines.place)
    assert copies.verify() == (0, 0, ())
    machines.pulled("first")
    assert copies.verify() == (3, sum(map(len, CONTENTS.values())), ())

    prefix = f"{machines.place.prefix}/gallery/"
    flipped, gone, _ = sorted(machines.objects(store_server))
    content = store_server.read(flipped)
    store_server.put(flipped, bytes([content[0] ^ 1]) + content[1:])  # its size stays
    machines.place.client.delete_object(Bucket=machines.place.bucket, Key=gone)
    unread = next(key for key in store_server.keys(prefix) if "B/a.csv" in key and key.endswith(".json"))
    store_server.put(unread, b"{}")

    objects, size, bad = copies.verify()

    assert (objects, size, len(bad)) == (3, 0, 3)
    said = {item.name: (item.expected, item.found) for item in bad}
    assert {f"{prefix}{name}.json" for name in said} == {
        key for key in store_server.keys(prefix) if key[-5:] == ".json"
    }
    assert {found.partition(" ")[0] for _, found in said.values()} == {"sha256", "no", "the"}


def test_a_bad_copy_is_made_again_once_its_manifest_is_removed(machines: Machines, store_server: StoreServer) -> None:
    machines.pulled("first")
    store_server.put(machines.objects(store_server)[0], b"damaged")
    copies = Copies.in_store(machines.place)
    (bad,) = copies.verify().bad
    key = copies.place.key(f"{bad.name}.json")
    machines.place.client.delete_object(Bucket=machines.place.bucket, Key=key)
    assert machines.pulled("first") == []
    assert (copies.verify().objects, copies.verify().bad) == (3, ())

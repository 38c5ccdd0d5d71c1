from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.transfer import plan as plan_module
from cpjump_assets.gallery.transfer.etag import Verification
from cpjump_assets.gallery.transfer.inventory import Inventory, InventoryRow
from cpjump_assets.gallery.transfer.plan import plan_pull, total_plan
from cpjump_assets.science.errors import GalleryError, StoreError

MOMENT = datetime(2020, 11, 4, tzinfo=UTC)


def _object(key: str, size: int) -> GalleryObject:
    return GalleryObject(key, size, f"{size:032x}", MOMENT)


def _hold(folder: Path, inventory: Inventory, item: GalleryObject) -> None:
    path = folder / item.key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(item.size))
    now = MOMENT.isoformat()
    row = InventoryRow(item.key, item.size, item.etag, now, None, None, Verification.MD5, now, now, 0)
    inventory.record([row])


@pytest.fixture
def inventory(tmp_path):
    with Inventory(tmp_path) as opened:
        yield opened


def test_what_is_missing_is_counted_beside_what_is_held(inventory, tmp_path):
    objects = [_object(f"p/{size}", size) for size in (1, 20, 300, 4000)]
    for item in objects[:2]:
        _hold(tmp_path, inventory, item)
    plan = plan_pull(objects, inventory, tmp_path)
    assert plan.sums() == {
        "objects": 4,
        "bytes": 4321,
        "held_objects": 2,
        "held_bytes": 21,
        "missing_objects": 2,
        "missing_bytes": 4300,
        "changed_objects": 0,
    }
    assert plan.missing == tuple(objects[2:])


def test_another_version_is_missing_and_changed_and_a_lost_or_cut_file_is_missing(inventory, tmp_path):
    objects = [_object(f"p/{size}", size) for size in (5, 6, 7)]
    for item in objects:
        _hold(tmp_path, inventory, item)
    newer = replace(objects[0], etag="f" * 32)
    (tmp_path / "p/6").unlink()
    (tmp_path / "p/7").write_bytes(b"cut")
    plan = plan_pull([newer, *objects[1:]], inventory, tmp_path)
    assert plan.missing == (newer, *objects[1:])
    assert plan.changed == ("p/5",)


def test_a_file_that_cannot_be_looked_at_is_an_error_and_not_missing(inventory, tmp_path):
    item = _object("p/1", 1)
    _hold(tmp_path, inventory, item)
    (tmp_path / item.key).unlink()
    (tmp_path / item.key).symlink_to(tmp_path / item.key)
    with pytest.raises(StoreError, match=f"^cannot look at {tmp_path}/p/1: "):
        plan_pull([item], inventory, tmp_path)


def test_an_object_that_is_listed_twice_is_wanted_once(inventory, tmp_path):
    plan = plan_pull([_object("a", 7)] * 2, inventory, tmp_path)
    assert (plan.objects, plan.bytes) == (1, 7)


def test_rows_are_asked_for_in_chunks(inventory, tmp_path, monkeypatch):
    monkeypatch.setattr(plan_module, "_ROWS_AT_ONCE", 3)
    objects = [_object(f"p/{size}", size) for size in range(1, 11)]
    for item in objects[::2]:
        _hold(tmp_path, inventory, item)
    assert plan_pull(objects, inventory, tmp_path).missing == tuple(objects[1::2])


def test_without_an_inventory_everything_is_missing(tmp_path):
    assert plan_pull([_object("a", 7)], None, tmp_path / "nowhere").missing_bytes == 7
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("key", ["../out", "/etc/passwd", "a//b", "a/\x00"])
def test_a_key_that_cannot_be_stored_is_refused(inventory, tmp_path, key):
    with pytest.raises(GalleryError, match="cannot be stored"):
        plan_pull([_object("good", 1), _object(key, 1)], inventory, tmp_path)


def test_plans_of_several_plates_add_up(inventory, tmp_path):
    objects = [_object(f"p/{size}", size) for size in (1, 20, 300)]
    _hold(tmp_path, inventory, objects[0])
    parts = [plan_pull([item], inventory, tmp_path) for item in objects]
    assert total_plan(parts) == plan_pull(objects, inventory, tmp_path)


def test_a_budget_is_of_what_is_missing_and_may_be_used_up(inventory, tmp_path):
    objects = [_object("a", 10), _object("b", 5)]
    plan_pull(objects, inventory, tmp_path).require_within(15)
    plan_pull(objects, inventory, tmp_path).require_within(None)
    _hold(tmp_path, inventory, objects[0])
    plan_pull(objects, inventory, tmp_path).require_within(5)
    with pytest.raises(GalleryError, match="would bring 1 object, 5 B, more than the budget of 4 B"):
        plan_pull(objects, inventory, tmp_path).require_within(4)


def test_a_refusal_names_a_budget_that_is_enough_by_option_and_setting(inventory, tmp_path):
    plan = plan_pull([_object(f"b{n}", 23_500_000_000) for n in range(3)], inventory, tmp_path)
    with pytest.raises(GalleryError) as caught:
        plan.require_within(50_000_000_000)
    assert str(caught.value) == (
        "the pull would bring 3 objects, 70.5 GB, more than the budget of 50.0 GB: ask for less, or allow it with "
        "--budget 71GB or CPJUMP_PULL_BUDGET=71GB"
    )
    plan.require_within(71_000_000_000)

"""Stores that cannot be written; a file stands in the way, because tests may run as root."""

from pathlib import Path

from cpjump_assets.gallery.doctor.findings import Finding, Status
from cpjump_assets.gallery.doctor.machine import store_findings
from cpjump_assets.gallery.transfer.inventory import FILE_NAME, Inventory
from cpjump_assets.settings import Settings


def _look(store: Path, **more: object) -> dict[str, Finding]:
    return {row.what: row for row in store_findings(Settings(store=store, **{"pull_budget": 1, **more}))}


def _bad(rows: dict[str, Finding]) -> dict[str, Status]:
    return {what: row.status for what, row in rows.items() if row.status is not Status.OK}


def test_a_store_that_is_not_there_yet_is_not_made(tmp_path):
    rows = _look(tmp_path / "a" / "b")
    assert list(rows) == ["folder", "free space", "inventory", "Dagster home"]
    assert not _bad(rows)
    assert rows["folder"].found == f"{tmp_path}/a/b, made when something is written"
    assert rows["inventory"].found == "nothing pulled yet"
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_of_the_store(tmp_path):
    (tmp_path / "file").write_text("x")
    rows = _look(tmp_path / "file" / "store")
    assert _bad(rows) == {"folder": Status.ERROR, "Dagster home": Status.ERROR}
    assert f"{tmp_path}/file is no folder" in rows["folder"].found
    assert rows["folder"].advice.startswith("set CPJUMP_STORE")


def test_a_file_in_the_way_of_the_gallery_folder_or_of_the_home_alone(tmp_path):
    (tmp_path / "gallery").write_text("x")
    assert _bad(_look(tmp_path)) == {"folder": Status.ERROR}
    (tmp_path / "home").write_text("x")
    rows = _look(tmp_path / "other", home=tmp_path / "home")
    assert _bad(rows) == {"Dagster home": Status.ERROR}
    assert rows["Dagster home"].advice.startswith("set DAGSTER_HOME")


def test_less_room_than_a_pull_may_bring(tmp_path):
    rows = _look(tmp_path, pull_budget=10**18)
    assert _bad(rows) == {"free space": Status.WARNING}
    assert rows["free space"].expected == "at least 1000 PB, as one pull may bring"


def test_what_is_held_is_counted_and_a_broken_record_named(tmp_path):
    with Inventory(tmp_path / "gallery"):
        pass
    assert _look(tmp_path)["inventory"].found == "0 objects, 0 B, 0 of them unverified"
    (tmp_path / "gallery" / FILE_NAME).write_bytes(b"no database" * 100)
    rows = _look(tmp_path)
    assert _bad(rows) == {"inventory": Status.ERROR}
    assert rows["inventory"].advice.startswith(f"move {FILE_NAME} away")


def test_another_preset_has_folders_of_its_own(tmp_path):
    (tmp_path / "presets").write_text("x")
    assert not _bad(_look(tmp_path))
    assert _bad(_look(tmp_path, preset="paper_2021")) == {"folder": Status.ERROR, "Dagster home": Status.ERROR}

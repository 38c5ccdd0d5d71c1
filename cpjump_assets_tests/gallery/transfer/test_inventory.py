import multiprocessing
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from cpjump_assets.gallery.transfer.etag import Verification
from cpjump_assets.gallery.transfer.inventory import Inventory, InventoryRow
from cpjump_assets.science.errors import StoreError

ROW = InventoryRow(
    key="p/a b+é.csv.gz",
    size=7,
    etag="9a0364b9e99bb480dd25e1f0284c8555",
    last_modified="2020-11-04T12:00:00+00:00",
    sha256="ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73",
    verification=Verification.MD5,
    pulled_at="2026-01-02T03:04:05+00:00",
)


def test_rows_come_back_as_they_were_also_after_closing(tmp_path):
    with Inventory(tmp_path / "gallery") as inventory:
        inventory.record([ROW, replace(ROW, key="b", verification=Verification.UNVERIFIED)])
        assert inventory.rows([ROW.key]) == {ROW.key: ROW}
    with Inventory(tmp_path / "gallery") as inventory:
        rows = inventory.rows([ROW.key, "b", "never pulled"])
    assert rows == {ROW.key: ROW, "b": replace(ROW, key="b", verification=Verification.UNVERIFIED)}
    assert type(rows["b"].verification) is Verification


def test_a_new_version_takes_the_place_of_the_old(tmp_path):
    newer = replace(ROW, etag="0" * 32, size=8)
    with Inventory(tmp_path) as inventory:
        inventory.record([ROW])
        inventory.record([newer])
        assert inventory.rows([ROW.key]) == {ROW.key: newer}


def test_rows_are_written_all_or_none(tmp_path):
    with Inventory(tmp_path) as inventory:
        with pytest.raises(StoreError, match="cannot use the inventory"):
            inventory.record([ROW, replace(ROW, key="b", size=None)])
        assert inventory.rows([ROW.key]) == {}
        inventory.record([ROW])
        assert inventory.rows([ROW.key]) == {ROW.key: ROW}


def test_a_written_row_outlives_a_crash(tmp_path):
    with Inventory(tmp_path) as inventory:
        pragmas = {
            name: inventory._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}  # 2 is FULL


def test_threads_share_one_inventory(tmp_path):
    with Inventory(tmp_path) as inventory, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: inventory.record([replace(ROW, key=f"k{number}")]), range(100)))
        assert len(inventory.rows(f"k{number}" for number in range(100))) == 100


def _record_many(folder: Path, name: str) -> None:
    with Inventory(folder) as inventory:
        for number in range(50):
            inventory.record([replace(ROW, key=f"{name}{number}")])


def test_processes_may_open_and_write_side_by_side(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_record_many, args=(tmp_path, name)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with Inventory(tmp_path) as inventory:
        assert len(inventory.rows(f"{name}{number}" for name in "abc" for number in range(50))) == 150


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot make .*file/gallery: Not a directory"):
        Inventory(tmp_path / "file" / "gallery")


@pytest.mark.parametrize("content", [b"<html>not a database</html>" * 100, b"\0" * 4096])
def test_a_file_that_is_no_inventory_is_named(tmp_path, content):
    (tmp_path / "inventory.sqlite").write_bytes(content)
    with pytest.raises(StoreError, match=r"inventory\.sqlite"):
        Inventory(tmp_path)


def test_an_inventory_of_another_release_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "inventory.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="expected an inventory of version 1, found version 99"):
        Inventory(tmp_path)

import multiprocessing
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from threading import Barrier, Event, Timer

import pytest

from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.transfer.etag import Verification
from cpjump_assets.gallery.transfer.inventory import FolderSummary, Inventory, InventoryRow, utc_text
from cpjump_assets.gallery.transfer.kept_listing import KeptListing
from cpjump_assets.science.errors import StoreError

ROW = InventoryRow(
    key="p/a b+é.csv.gz",
    size=7,
    etag="9a0364b9e99bb480dd25e1f0284c8555",
    last_modified="2020-11-04T12:00:00+00:00",
    part_size=None,
    sha256=None,
    verification=Verification.MD5,
    pulled_at="2026-01-02T03:04:05+00:00",
    verified_at="2026-01-02T03:04:05+00:00",
    mtime_ns=1_767_323_045_000_000_000,
)

VERSION_1 = """
CREATE TABLE objects (
  key TEXT PRIMARY KEY, size INTEGER NOT NULL, etag TEXT NOT NULL, last_modified TEXT NOT NULL,
  sha256 TEXT NOT NULL, verification TEXT NOT NULL, pulled_at TEXT NOT NULL
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
NOON, LATER = "2026-01-02T12:00:00+00:00", "2026-01-03T12:00:00+00:00"


def _connect(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "inventory.sqlite", isolation_level=None)


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


def test_a_new_inventory_waits_for_who_is_making_it(tmp_path):
    with closing(sqlite3.connect(tmp_path / "inventory.sqlite", check_same_thread=False)) as other:
        other.isolation_level = None
        other.execute("CREATE TABLE made_by_another (x)")
        other.execute("BEGIN IMMEDIATE")
        done = Timer(0.2, lambda: other.execute("COMMIT"))
        done.start()
        with Inventory(tmp_path) as inventory:
            inventory.record([ROW])
            assert inventory.rows([ROW.key]) == {ROW.key: ROW}
        done.join()


def test_threads_may_make_one_inventory_at_once(tmp_path):
    for attempt in range(20):
        start = Barrier(8)

        def make(number: int, folder: Path = tmp_path / str(attempt), start: Barrier = start) -> None:
            start.wait()
            with Inventory(folder) as inventory:
                inventory.record([replace(ROW, key=str(number))])

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(make, range(8)))
        with Inventory(tmp_path / str(attempt)) as inventory:
            assert len(list(inventory.rows_below())) == 8


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
    with pytest.raises(StoreError, match="expected an inventory of version 2 or less, found version 99"):
        Inventory(tmp_path)


def test_an_inventory_of_version_1_keeps_its_rows(tmp_path):
    connection = _connect(tmp_path)
    connection.executescript(VERSION_1)
    old = [
        ("a", 1, "e1", "2020-11-04T12:00:00+00:00", "1" * 64, "etag-md5", "2026-01-02T03:04:05+00:00"),
        ("b", 2, "e2-3", "2020-11-05T12:00:00+00:00", "2" * 64, "unverified", "2026-01-03T03:04:05+00:00"),
    ]
    connection.executemany("INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)", old)
    connection.close()
    with Inventory(tmp_path) as inventory:
        rows = inventory.rows(["a", "b"])
        inventory.keep_listings([KeptListing("p/", NOON, ())])
    assert rows == {
        key: InventoryRow(key, size, etag, modified, None, sha256, Verification(how), pulled, pulled, 0, None)
        for key, size, etag, modified, sha256, how, pulled in old
    }
    connection = _connect(tmp_path)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"objects", "listings"}
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    connection.close()
    with Inventory(tmp_path) as inventory:
        assert inventory.rows(["a", "b"]) == rows


def test_a_migration_that_fails_leaves_version_1_as_it_was(tmp_path):
    connection = _connect(tmp_path)
    connection.executescript(VERSION_1 + "CREATE TABLE listings (in_the_way);")
    with pytest.raises(StoreError, match="table listings already exists"):
        Inventory(tmp_path)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    names = {name for _, name, *_ in connection.execute("PRAGMA table_info(objects)")}
    assert "mtime_ns" not in names and len(names) == 7
    connection.close()


def _open(folder: Path) -> None:
    Inventory(folder).close()


def test_processes_may_migrate_side_by_side(tmp_path):
    connection = _connect(tmp_path)
    connection.executescript(VERSION_1)
    connection.close()
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_open, args=(tmp_path,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4


def test_an_inventory_that_is_up_to_date_is_opened_without_a_lock(tmp_path):
    Inventory(tmp_path).close()
    writer = _connect(tmp_path)
    writer.execute("BEGIN IMMEDIATE")
    with Inventory(tmp_path) as inventory:  # would wait for 30 s, and fail
        assert inventory.rows(["a"]) == {}
    writer.close()


def test_more_rows_than_one_statement_takes(tmp_path):
    rows = {f"k{number:05d}": replace(ROW, key=f"k{number:05d}", size=number) for number in range(3500)}
    with Inventory(tmp_path) as inventory:
        inventory.record(rows.values())
        statements: list[str] = []
        inventory._connection.set_trace_callback(statements.append)
        assert inventory.rows(["absent", *rows]) == rows
        assert len(statements) == 4
        assert list(inventory.rows_below()) == list(rows.values())


def test_rows_below_a_prefix_are_those_that_begin_so(tmp_path):
    keys = ["p", "p/", "p/a", "p/ä𝄞", "p/\U0010ffff", "p0", "pq/a", "P/a"]
    with Inventory(tmp_path) as inventory:
        inventory.record(replace(ROW, key=key) for key in keys)
        for prefix in ["", "p", "p/", "p/ä", "p/\U0010ffff", "q", "p/%", "_"]:
            expected = sorted(key for key in keys if key.startswith(prefix))
            assert [row.key for row in inventory.rows_below(prefix)] == expected
            assert inventory.totals_below(prefix) == (len(expected), len(expected) * ROW.size)


def test_rows_stream_while_others_write(tmp_path):
    with Inventory(tmp_path) as inventory, ThreadPoolExecutor(1) as pool:
        inventory.record(replace(ROW, key=f"k{number:05d}") for number in range(2500))
        read, written = Event(), Event()

        def write() -> None:
            read.wait(5)
            inventory.record([replace(ROW, key="k99999")])
            written.set()

        pool.submit(write)
        keys = []
        for row in inventory.rows_below("k"):
            keys.append(row.key)
            read.set()
            assert written.wait(5)
    assert keys == [*(f"k{number:05d}" for number in range(2500)), "k99999"]


def test_marks_of_vanished_objects_keep_their_first_time_and_go_when_they_are_back(tmp_path):
    with Inventory(tmp_path) as inventory:
        inventory.record([ROW, replace(ROW, key="b")])
        inventory.mark_vanished([ROW.key, "never held"], moment=NOON)
        inventory.mark_vanished([ROW.key, "b"], moment=LATER)
        rows = inventory.rows([ROW.key, "b", "never held"])
        assert {key: row.vanished_at for key, row in rows.items()} == {ROW.key: NOON, "b": LATER}
        inventory.mark_present([ROW.key, "never held"])
        assert inventory.rows([ROW.key])[ROW.key] == ROW


def test_what_was_verified_is_written_unless_the_object_was_pulled_anew(tmp_path):
    found = {"verified_at": LATER, "mtime_ns": 5, "part_size": 8, "sha256": "0" * 64}
    verified = replace(ROW, verification=Verification.RELEASE, **found)
    newer = replace(ROW, key="newer", etag="0" * 32)
    with Inventory(tmp_path) as inventory:
        inventory.record([replace(ROW, vanished_at=NOON), newer])
        inventory.mark_verified([verified, replace(verified, key="newer")])
        assert inventory.rows([ROW.key])[ROW.key] == replace(verified, vanished_at=NOON)
        assert inventory.rows(["newer"])["newer"] == newer


def test_folders_are_summed_up(tmp_path):
    rows = [
        replace(ROW, key="top", size=1),
        replace(ROW, key="p/a", size=2, verified_at=LATER),
        replace(ROW, key="p/b.x", size=3, verification=Verification.UNVERIFIED, verified_at=NOON),
        replace(ROW, key="p/b/c é", size=5, vanished_at=NOON),
        replace(ROW, key="pp/a", size=7, verification=Verification.RELEASE),
    ]
    with Inventory(tmp_path) as inventory:
        assert inventory.folder_summaries() == ()
        inventory.record(rows)
        assert inventory.folder_summaries() == (
            FolderSummary("", 1, 1, 0, 0, ROW.verified_at),
            FolderSummary("p/", 2, 5, 1, 0, NOON),
            FolderSummary("p/b/", 1, 5, 0, 1, ROW.verified_at),
            FolderSummary("pp/", 1, 7, 0, 0, ROW.verified_at),
        )


def test_the_last_listing_of_each_prefix_is_kept(tmp_path):
    item = GalleryObject("p/ä 𝄞", 3, "e", datetime(2020, 11, 4, 12, tzinfo=UTC))
    first, second = KeptListing("p/", NOON, (item,)), KeptListing("p/", LATER, (replace(item, size=4), item))
    with Inventory(tmp_path) as inventory:
        assert inventory.last_listing("p/") is None
        inventory.keep_listings([first, KeptListing("empty/", NOON, ())])
        assert inventory.last_listing("p/") == first
    with Inventory(tmp_path) as inventory:
        inventory.keep_listings([second])
        assert inventory.last_listing("p/") == second
        assert inventory.last_listing("empty/") == KeptListing("empty/", NOON, ())
        assert inventory.last_listing("p") is None
        assert inventory.listed_prefixes() == ("empty/", "p/")


def test_moments_are_spelled_in_utc_to_the_second():
    moment = datetime(2020, 11, 4, 14, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert utc_text(moment) == "2020-11-04T12:00:00+00:00"

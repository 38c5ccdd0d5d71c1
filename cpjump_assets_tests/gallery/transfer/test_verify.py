import os
from dataclasses import replace

import pytest

from cpjump_assets.gallery.reference.released import ReleasedFile
from cpjump_assets.gallery.transfer import check as check_module
from cpjump_assets.gallery.transfer import verify as verify_module
from cpjump_assets.gallery.transfer.check import CheckedFile, FileState
from cpjump_assets.gallery.transfer.etag import MIB, Verification
from cpjump_assets.gallery.transfer.inventory import Inventory
from cpjump_assets.gallery.transfer.progress import NoProgress
from cpjump_assets.gallery.transfer.verify import VerifyReport, still_right, take_away, verify_objects
from cpjump_assets.science.errors import StoreError

LONG_AGO = "2020-11-04T12:00:00+00:00"
KEYS = [f"p/{number:02d}" for number in range(40)]


@pytest.fixture
def holding(served):
    """A store with some objects, recorded as verified long ago."""
    for key in KEYS:
        served.put(key, key.encode() * 100)
    served.put("q/a", b"apart")
    served.pull()
    with Inventory(served.store) as inventory:
        inventory.record([replace(row, verified_at=LONG_AGO) for row in inventory.rows_below()])
    return served


def verify(served, *prefixes: str, **how) -> VerifyReport:
    with Inventory(served.store) as inventory:
        return verify_objects(inventory, served.store, prefixes or [""], **how)


def remove(served, bad) -> None:
    with Inventory(served.store) as inventory:
        take_away(bad, inventory, served.store)


def damage(served) -> dict[str, FileState]:
    """Damage a file in each way."""
    (served.store / "p/03").write_bytes(b"p/04" * 100)
    os.truncate(served.store / "p/07", 5)
    (served.store / "p/11").unlink()
    (served.store / "p/13").unlink()
    (served.store / "p/13").mkdir()
    states = (FileState.ALTERED, FileState.TRUNCATED, FileState.MISSING, FileState.UNREADABLE)
    return dict(zip(["p/03", "p/07", "p/11", "p/13"], states, strict=True))


def test_what_is_right_is_counted_and_its_day_recorded(holding):
    report = verify(holding)
    assert (report.objects, report.verified, report.bad) == (41, 41, ())
    assert report.bytes == 40 * 400 + 5
    assert (report.unverified, report.as_released, report.not_as_released) == (0, 0, ())
    assert holding.row("p/00").verified_at > LONG_AGO
    assert holding.requests() and len(holding.requests()) == 41  # those of the pull alone


def test_what_is_bad_is_named_and_its_day_stays(holding):
    damaged = damage(holding)
    report = verify(holding)
    assert {item.row.key: item.state for item in report.bad} == damaged
    assert [item.row.key for item in report.bad] == sorted(damaged)
    assert report.states == {FileState.VERIFIED: 37, **dict.fromkeys(damaged.values(), 1)}
    assert holding.row("p/03").verified_at == LONG_AGO
    assert holding.row("p/04").verified_at > LONG_AGO
    told = report.to_json()
    assert (told["verified"], told["altered"], told["missing"]) == (37, 1, 1)
    assert told["bad"][1] == {"key": "p/07", "state": "truncated", "expected": "400 bytes", "found": "5"}


@pytest.mark.parametrize(
    ("prefixes", "count"), [(("q/",), 1), (("p/1",), 10), (("p/1", "p/", "p/12", "q/a"), 41), (("r/",), 0)]
)
def test_only_what_is_asked_for_is_read_and_nothing_twice(holding, prefixes, count):
    assert verify(holding, *prefixes).objects == count
    assert (holding.row("p/20").verified_at > LONG_AGO) == (count == 41)


def test_progress_is_told(holding):
    class Told(NoProgress):
        objects = size = came = done = ended = 0

        def begin(self, objects: int, size: int) -> None:
            self.objects, self.size = objects, size

        def advance(self, count: int) -> None:
            self.came += count

        def finish_object(self) -> None:
            self.done += 1

        def end(self) -> None:
            self.ended += 1

    told = Told()
    verify(holding, "p/", threads=1, progress=told)
    assert (told.objects, told.size, told.came, told.done, told.ended) == (40, 16_000, 16_000, 40, 1)


def test_the_same_verdicts_whatever_the_threads(holding):
    damage(holding)
    first, second = (verify(holding, threads=threads) for threads in (1, 16))
    assert (first.bad, first.states, first.bytes) == (second.bad, second.states, second.bytes)


def test_what_the_etag_cannot_prove_is_counted_and_proved_by_a_release(holding):
    with Inventory(holding.store) as inventory:
        rows = [replace(row, verification=Verification.UNVERIFIED, etag="x") for row in inventory.rows_below("p/0")]
        inventory.record(rows)
    assert verify(holding).unverified == 10
    sums = {key: holding.row(key).sha256 for key in KEYS[:10]}
    released = {key: ReleasedFile(400, sums[key]) for key in ("p/00", "p/01")}
    released |= {"p/02": ReleasedFile(400, "0" * 64), "p/03": ReleasedFile(399, "0" * 64), "p/99": ReleasedFile(1, "")}
    report = verify(holding, released=released)
    assert (report.verified, report.unverified, report.as_released) == (41, 8, 2)
    assert report.not_as_released == ("p/02",)
    assert holding.row("p/01").verification is Verification.RELEASE
    assert verify(holding).unverified == 8


def test_an_object_that_is_pulled_anew_meanwhile_is_looked_at_again(holding, monkeypatch):
    holding.put("p/05", b"another version, of another size")
    read = check_module.check_file
    pulled: list[str] = []

    def pull_first(path, row, **how) -> CheckedFile:
        if row.key == "p/05" and not pulled:
            pulled.append(row.key)
            holding.pull()
        return read(path, row, **how)

    monkeypatch.setattr(verify_module, "check_file", pull_first)
    assert verify(holding, "p/05").bad == ()
    assert pulled == ["p/05"]


def test_a_file_whose_row_comes_a_moment_later_than_its_bytes_is_right(holding, monkeypatch):
    former, content = holding.row("p/05"), b"p/60" * 100
    holding.put("p/05", content)
    holding.pull()
    latter = holding.row("p/05")
    with Inventory(holding.store) as inventory:
        inventory.record([former])  # as between the rename and the row of a pull
        monkeypatch.setattr(verify_module.time, "sleep", lambda seconds: inventory.record([latter]))
        assert verify_objects(inventory, holding.store).bad == ()
    assert holding.row("p/05").verified_at >= latter.verified_at
    assert (holding.store / "p/05").read_bytes() == content


def test_a_file_that_was_pulled_anew_since_it_was_found_bad_is_not_taken_away(holding):
    damage(holding)
    bad = [item for item in verify(holding).bad if item.row.key != "p/13"]
    (holding.store / "p/13").rmdir()
    (holding.store / "p/03").unlink()
    holding.pull()
    remove(holding, bad)
    assert (holding.store / "p/03").read_bytes() == b"p/03" * 100
    assert (holding.store / "p/07").exists()


def test_files_under_way_are_given_up_when_reading_is_interrupted(holding):
    content = bytes(50 * MIB)
    for key in ("z/0", "z/1"):
        holding.put(key, content)
    holding.pull()

    class Interrupting(NoProgress):
        came = 0

        def advance(self, count: int) -> None:
            self.came += count
            if self.came == MIB:  # the other thread has its first bytes at that time, too
                raise KeyboardInterrupt

    progress = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        verify(holding, "z/", progress=progress, threads=2)
    assert progress.came < 50 * MIB


def test_a_key_that_an_older_release_took_is_reported(holding):
    with Inventory(holding.store) as inventory:
        inventory.record([replace(holding.row("p/00"), key="p/old.part")])
    (bad,) = verify(holding).bad
    assert (bad.row.key, bad.state) == ("p/old.part", FileState.UNREADABLE)
    assert "no name that ends like an unfinished file" in str(bad)


def test_bad_files_are_taken_away_to_be_pulled_again(holding):
    damaged = damage(holding)
    remove(holding, verify(holding).bad)
    assert [key for key in damaged if (holding.store / key).exists()] == ["p/13"]  # a folder is not ours to remove
    (holding.store / "p/13").rmdir()
    assert [row.key for row in holding.pull().pulled] == sorted(damaged)
    assert verify(holding).bad == ()


def test_a_file_that_cannot_be_removed_is_named(holding, monkeypatch):
    damage(holding)
    bad = verify(holding).bad[:1]

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(holding.store), "unlink", refuse)
    with pytest.raises(StoreError, match=r"cannot remove .*p/03: Permission denied"):
        remove(holding, bad)


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """Names of the files that are read to be hashed."""
    found: list[str] = []
    read = check_module.check_file
    monkeypatch.setattr(verify_module, "check_file", lambda path, row: found.append(row.key) or read(path, row))
    return found


def test_a_file_that_nothing_touched_is_not_read_again(holding, reads):
    row = holding.row("p/00")
    with Inventory(holding.store) as inventory:
        assert still_right(row, inventory, holding.store) == row
    assert reads == []


def test_a_file_that_was_only_touched_is_read_once(holding, reads):
    os.utime(holding.store / "p/00")
    with Inventory(holding.store) as inventory:
        right = still_right(holding.row("p/00"), inventory, holding.store)
        assert right == holding.row("p/00")
        assert right.mtime_ns == (holding.store / "p/00").stat().st_mtime_ns
        assert still_right(right, inventory, holding.store) == right
    assert reads == ["p/00"]


@pytest.mark.parametrize("key", ["p/03", "p/07", "p/11"])
def test_a_file_that_is_not_right_is_gone(holding, key):
    damage(holding)
    with Inventory(holding.store) as inventory:
        assert still_right(holding.row(key), inventory, holding.store) is None
    assert not (holding.store / key).exists()

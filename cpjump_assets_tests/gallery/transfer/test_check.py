import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cpjump_assets.gallery.reference.released import ReleasedFile
from cpjump_assets.gallery.transfer import md5_lanes
from cpjump_assets.gallery.transfer.check import CheckedFile, FileState, check_file
from cpjump_assets.gallery.transfer.etag import MIB, Verification, plain_md5
from cpjump_assets.gallery.transfer.inventory import InventoryRow

CONTENT = np.random.default_rng(0).bytes(3 * MIB + 17)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
THEN = "2020-11-04T12:00:00+00:00"


def multipart(content: bytes, part_size: int) -> str:
    sums = [hashlib.md5(content[start : start + part_size]).digest() for start in range(0, len(content), part_size)]
    return f"{hashlib.md5(b''.join(sums)).hexdigest()}-{len(sums)}"


BY_MD5 = InventoryRow(
    "k", len(CONTENT), hashlib.md5(CONTENT).hexdigest(), THEN, None, None, Verification.MD5, THEN, THEN, 0
)
BY_PARTS = replace(BY_MD5, etag=multipart(CONTENT, MIB), part_size=MIB, verification=Verification.MULTIPART)
BY_ODD_PARTS = replace(BY_PARTS, etag=multipart(CONTENT, 123_457), part_size=123_457)
UNVERIFIED = replace(BY_MD5, etag="of-the-time", sha256=SHA256, verification=Verification.UNVERIFIED)
BY_RELEASE = replace(UNVERIFIED, verification=Verification.RELEASE)
OF_VERSION_1 = replace(BY_MD5, sha256=SHA256)
ODD_OF_VERSION_1 = replace(BY_ODD_PARTS, part_size=None, sha256=SHA256)
ROWS = [BY_MD5, BY_PARTS, BY_ODD_PARTS, UNVERIFIED, BY_RELEASE, OF_VERSION_1, ODD_OF_VERSION_1]


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("md5", [plain_md5, md5_lanes.md5], ids=["hashlib", "lanes"])
@pytest.mark.parametrize("row", ROWS)
def test_a_file_that_is_as_it_was_is_verified_and_its_time_told(path, row, md5):
    os.utime(path, ns=(7, 7))
    read: list[int] = []
    checked = check_file(path, row, md5=md5, on_bytes=read.append)
    assert checked.state is FileState.VERIFIED
    assert checked.row == replace(row, mtime_ns=7, verified_at=checked.row.verified_at)
    assert checked.row.verified_at > THEN
    assert checked.agrees_with_release is None
    assert sum(read) == len(CONTENT)
    assert str(checked) == "k is verified"


@pytest.mark.parametrize("position", [0, MIB, len(CONTENT) - 1])
@pytest.mark.parametrize("row", ROWS)
def test_one_flipped_bit_is_found_wherever_it_is(path, row, position):
    flip(path, position)
    checked = check_file(path, row)
    assert (checked.state, checked.row) == (FileState.ALTERED, row)
    by_sum = row.verification in (Verification.UNVERIFIED, Verification.RELEASE) or row is ODD_OF_VERSION_1
    expected = f"sha256 {SHA256}" if by_sum else f"ETag {row.etag}"
    assert str(checked).startswith(f"k is altered: expected {expected}, found ")
    assert checked.found not in expected


def test_the_part_size_of_an_older_record_is_found_again(path):
    # Five parts of 8 MiB would be too large for a test; of one part the part size is the size.
    row = replace(BY_PARTS, etag=multipart(CONTENT, len(CONTENT)), part_size=None)
    assert check_file(path, row).row.part_size == len(CONTENT)


def test_a_row_without_any_sum_gets_one(path):
    row = replace(UNVERIFIED, sha256=None)
    checked = check_file(path, row)
    assert (checked.state, checked.row.sha256, checked.row.verification) == (
        FileState.VERIFIED,
        SHA256,
        Verification.UNVERIFIED,
    )


@pytest.mark.parametrize(
    ("size", "state", "said"),
    [
        (1000, FileState.TRUNCATED, "is truncated: expected 3,145,745 bytes, found 1,000"),
        (len(CONTENT) + 1, FileState.ALTERED, "is altered: expected 3,145,745 bytes, found 3,145,746"),
    ],
)
def test_a_file_of_another_size_is_not_read(path, size, state, said):
    os.truncate(path, size)
    checked = check_file(path, BY_MD5, on_bytes=pytest.fail)
    assert checked.state is state
    assert said in str(checked)


def test_a_file_that_is_gone_is_missing(path):
    path.unlink()
    assert str(check_file(path, BY_MD5)) == "k is missing: expected 3,145,745 bytes, found no file"


def test_a_folder_in_its_place_is_told(path):
    path.unlink()
    path.mkdir()
    assert str(check_file(path, BY_MD5)) == "k is unreadable: expected a file, found something else of this name"


def test_a_pipe_in_its_place_is_not_waited_for(path):
    path.unlink()
    os.mkfifo(path)
    assert check_file(path, BY_MD5).state is FileState.UNREADABLE


def test_a_file_that_may_not_be_read_is_told(path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # for root, no file is forbidden
    checked = check_file(path, BY_MD5)
    assert str(checked) == "k is unreadable: expected 3,145,745 bytes, found Permission denied"


def check(path: Path, row: InventoryRow, *, size: int = len(CONTENT), sha256: str = SHA256) -> CheckedFile:
    return check_file(path, row, released=ReleasedFile(size, sha256))


def test_a_released_sum_proves_what_the_etag_cannot(path):
    checked = check(path, UNVERIFIED)
    assert checked.agrees_with_release is True
    assert checked.row.verification is Verification.RELEASE


def test_a_released_sum_is_a_second_source_where_the_etag_proves(path):
    checked = check(path, BY_PARTS)
    assert checked.agrees_with_release is True
    assert (checked.row.verification, checked.row.sha256) == (Verification.MULTIPART, SHA256)


@pytest.mark.parametrize("row", [BY_MD5, UNVERIFIED, BY_RELEASE])
def test_another_released_sum_is_a_finding_and_no_fault_of_the_file(path, row):
    checked = check(path, row, sha256="0" * 64)
    assert (checked.state, checked.agrees_with_release) == (FileState.VERIFIED, False)
    assert checked.row.verification is row.verification


@pytest.mark.parametrize("row", [BY_MD5, UNVERIFIED])
def test_of_another_size_a_release_says_nothing(path, row):
    checked = check(path, row, size=len(CONTENT) - 1, sha256="0" * 64)
    assert (checked.state, checked.agrees_with_release) == (FileState.VERIFIED, None)

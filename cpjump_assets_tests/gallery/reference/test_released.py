import csv
import hashlib

import pytest

from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.reference.released import (
    TABLE,
    Release,
    ReleasedFile,
    read_pointer,
    read_pointer_table,
)
from cpjump_assets.gallery.reference.transports import open_transport
from cpjump_assets.science.errors import BadTableError, GalleryError
from cpjump_assets.science.plates import PLATES, PlateKey

ROOT = GalleryRoot("cellpainting-gallery", "cpg0000-jump-pilot/source_4")
PLATE = PlateKey("2020_11_04_CPJUMP1", "BR00116991")
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n"
SUM = "a" * 64


class Paths:
    """A reference root that holds some files, and remembers what was asked for."""

    def __init__(self, **contents: bytes) -> None:
        self.contents = contents
        self.asked: list[str] = []

    def read(self, path: str) -> bytes | None:
        self.asked.append(path)
        return self.contents.get(path)


def test_the_real_release_knows_the_profiles_and_image_sets_of_all_plates(reference_root):
    release = Release(open_transport(str(reference_root), endpoint=None), ROOT)
    with (reference_root / TABLE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 926
    for row in rows:
        released = release.get(ROOT.key("workspace", row["path"]))
        assert released == ReleasedFile(int(row["size_bytes"]), row["sha256"])
    known = release.files(ROOT.profile_key(plate) for plate in PLATES)
    assert len(known) == len(PLATES) == 107
    assert known[ROOT.profile_key(PLATE)].size == 7_088_408


def test_what_is_no_profile_and_no_image_set_is_not_asked_for():
    transport = Paths()
    release = Release(transport, ROOT)
    keys = [
        ROOT.backend_key(PLATE),
        ROOT.platemaps_prefix(PLATE.batch) + "barcode_platemap.csv",
        "elsewhere/workspace/profiles/a",
        ROOT.key("workspace", "profiles"),
        ROOT.marker_key,
    ]
    assert [release.get(key) for key in keys] == [None] * 5
    assert release.files(keys) == {}
    assert set(transport.asked) <= {TABLE}


def test_without_a_table_single_pointers_are_read(tmp_path):
    path = f"profiles/{PLATE.batch}/{PLATE.barcode}/{PLATE.barcode}.csv.gz"
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_bytes(POINTER % (SUM.encode(), 7))
    release = Release(open_transport(str(tmp_path), endpoint=None), ROOT)
    assert release.get(ROOT.profile_key(PLATE)) == ReleasedFile(7, SUM)
    others = [ROOT.profile_key(plate) for plate in PLATES[1:20]]
    assert release.files([ROOT.profile_key(PLATE), *others]) == {ROOT.profile_key(PLATE): ReleasedFile(7, SUM)}


def test_the_table_is_read_once():
    transport = Paths(**{TABLE: f"path,size_bytes,sha256\nprofiles/b/p/p.csv.gz,7,{SUM}\n".encode()})
    release = Release(transport, GalleryRoot("gallery", ""))
    assert release.get("workspace/profiles/b/p/p.csv.gz") == ReleasedFile(7, SUM)
    assert release.files([f"workspace/profiles/b/p/{number}" for number in range(20)]) == {}
    assert transport.asked == [TABLE]


def test_a_simulated_file_is_compared_by_its_bytes():
    content = b"profiles of a simulated plate"
    pointer = POINTER % (hashlib.sha256(content).hexdigest().encode(), len(content))
    assert read_pointer(pointer) == ReleasedFile(len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Metadata_Plate,Metadata_Well\n",
        b"\x1f\x8b" + bytes(100),
        b"<!doctype html>",
        (POINTER % (b"a" * 63, 7)),
        (POINTER % (b"A" * 64, 7)),
        (POINTER % (b"a" * 64, 7)) + b"and more",
        b"version https://git-lfs.github.com/spec/v2\noid sha256:" + b"a" * 64 + b"\nsize 7\n",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize -7\n",
    ],
)
def test_what_is_no_pointer_says_nothing(content):
    assert read_pointer(content) is None


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("path,size_bytes\na,1\n", "columns sha256 are missing; found: .'path', 'size_bytes'."),
        ("", "columns path, size_bytes, sha256 are missing; found: None"),
        (f"path,size_bytes,sha256\na,1,{SUM}\nb,many,{SUM}\n", "line 3: expected a number of bytes and a sha256"),
        ("path,size_bytes,sha256\na,1,short\n", "line 2: expected .*, found '1' and 'short'"),
        ("path,size_bytes,sha256\na,1\n", "line 2: expected .*, found '1' and ''"),
    ],
)
def test_a_bad_table_is_named_with_its_line(table, said):
    with pytest.raises(BadTableError, match=f"^{TABLE}.*{said}"):
        read_pointer_table(table.encode())


def test_a_root_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / TABLE).mkdir()
    release = Release(open_transport(str(tmp_path), endpoint=None), ROOT)
    with pytest.raises(GalleryError, match=f"{TABLE} of the reference root cannot be read: Is a directory"):
        release.get(ROOT.profile_key(PLATE))

import os
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cpjump_assets.gallery.layout import GalleryRoot, outermost, safe_relative_path
from cpjump_assets.science.errors import GalleryError, SettingsError
from cpjump_assets.science.levels import LEVELS
from cpjump_assets.science.plates import PLATES, PlateKey

REAL = "s3://cellpainting-gallery/cpg0000-jump-pilot/source_4"
PLATE = PlateKey("2020_11_04_CPJUMP1", "BR00117010")


def test_keys_are_those_of_the_public_gallery():
    root = GalleryRoot.parse(REAL)
    below = "cpg0000-jump-pilot/source_4"
    assert (root.bucket, root.prefix, str(root)) == ("cellpainting-gallery", below, REAL)
    profiles = f"{below}/workspace/profiles/2020_11_04_CPJUMP1/BR00117010/"
    assert root.profiles_prefix(PLATE) == profiles
    assert root.profile_key(PLATE) == f"{profiles}BR00117010.csv.gz"
    assert [root.level_key(PLATE, level).removeprefix(f"{profiles}BR00117010") for level in LEVELS] == [
        ".csv.gz",
        "_augmented.csv.gz",
        "_normalized_negcon.csv.gz",
        "_normalized.csv.gz",
        "_normalized_feature_select_negcon_plate.csv.gz",
        "_normalized_feature_select_negcon_batch.csv.gz",
        "_spherized.csv.gz",
    ]
    assert root.load_data_prefix(PLATE) == f"{below}/workspace/load_data_csv/2020_11_04_CPJUMP1/BR00117010/"
    assert root.platemaps_prefix(PLATE.batch) == f"{below}/workspace/metadata/platemaps/2020_11_04_CPJUMP1/"
    assert root.backend_key(PLATE) == f"{below}/workspace/backend/2020_11_04_CPJUMP1/BR00117010/BR00117010.sqlite"
    assert root.images_prefix(PLATE.batch) == f"{below}/images/2020_11_04_CPJUMP1/images/"
    assert root.marker_key == f"{below}/SIMULATED.txt"


def test_a_gallery_may_fill_its_bucket():
    root = GalleryRoot.parse("s3://mirror/")
    assert (root.prefix, str(root), root.key("a", "b")) == ("", "s3://mirror", "a/b")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3://",
        "https://host/x",
        "cellpainting-gallery/x",
        "s3:///x",
        "s3://b//x",
        "s3://b/../x",
        "s3://b/x?y",
        "s3://k@b/x",
    ],
)
def test_a_bad_root_is_one_clear_line(url):
    with pytest.raises(SettingsError, match=r"^CPJUMP_GALLERY must be s3://bucket/prefix, found "):
        GalleryRoot.parse(url)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            ["", "/", "/etc/passwd", "a//b", "a/", "..", "a/../b", "./a", "a/."],
            "segments joined by single slashes, without '.' and '..'",
        ),
        (
            ["a\\b", "a\nb", "a\x00b", "a\x7fb", "a\x85b", "a\u2028b", "\x1b[2Ja", "a\ud800"],
            "no backslashes and no control characters",
        ),
        (["e\u0301", "a/\u212b", "\u1100\u1161"], r"Unicode in its composed form \(NFC\)"),
        (["a" * 241, "p/" + "é" * 121, "a/" * 512 + "a", "𝄞" * 61], "at most 1,024 bytes, and 240 between slashes"),
        (
            ["a.part", "a.part.json", "a.PART", "a.0123abcd.part", "p.part/a", "p.Part.JSON/a", ".part"],
            "no name that ends like an unfinished file, in .part or .part.json",
        ),
        (
            ["inventory.sqlite", "inventory.sqlite-wal", "Inventory.SQLite-shm", "inventory.sqlite/a"],
            "no name that begins like the store's record, inventory.sqlite",
        ),
    ],
)
def test_a_key_that_could_do_harm_is_refused_with_what_was_expected(keys, expected):
    for key in keys:
        with pytest.raises(GalleryError, match=rf"^key {re.escape(repr(key))} cannot be stored: expected {expected}$"):
            safe_relative_path(key)


@pytest.mark.parametrize(
    "key",
    [
        "a",
        "a/b.csv.gz",
        "a b+c%2B/é",
        "...",
        "a/..b",
        "~",
        "C:",
        "a" * 240,
        "é" * 120,
        "/".join(["a" * 240] * 4 + ["a" * 60]),
        "a.parts",
        "part",
        "a.part.csv",
        "p/inventory.sqlite",
        "inventory",
        "\u202ea",
    ],
)
def test_a_harmless_key_is_its_own_path(key):
    assert str(safe_relative_path(key)) == key


# Whatever can be in a key, and what is dangerous far more often than by chance.
DANGERS = ["..", ".", "", "/", "\\", "\n", "\x00", "e\u0301", "\u212b", "\u212a", "a" * 239, "é" * 121]
DANGERS += [".part", ".part.json", ".PART", "inventory.sqlite", "INVENTORY.sqlite", "-wal", "-shm"]
HARMLESS = ["a", "b", "A", "K", "é", "𝄞", " ", "~"]
HOSTILE_KEYS = st.one_of(
    st.text(max_size=30),
    st.lists(st.sampled_from(DANGERS + HARMLESS), max_size=8).map("".join),
    st.lists(st.sampled_from(DANGERS + HARMLESS), max_size=8).map("/".join),
)


def path_of(key: str) -> Path | None:
    try:
        return Path("/store") / safe_relative_path(key)
    except GalleryError as error:
        assert repr(key) in str(error)
        return None


@given(HOSTILE_KEYS)
@example("inventory.\u017fqlite")  # a long s is an s to those who do not tell case
def test_whatever_the_key_its_path_is_below_the_folder_and_no_file_of_the_record(key):
    path = path_of(key)
    if path is None:
        return
    assert os.path.normpath(path) == str(path) == f"/store/{key}"
    below = path.relative_to("/store")
    assert not below.parts[0].casefold().startswith("inventory.sqlite")
    # Beside it lie the unfinished file and its note, whose names must be possible, and no keys.
    for name in (f"{path.name}.0123abcd.part", f"{path.name}.part", f"{path.name}.part.json"):
        assert len(name.encode()) <= 255
        assert path_of(str(below.with_name(name))) is None


@given(HOSTILE_KEYS, HOSTILE_KEYS)
def test_two_keys_never_share_a_path_also_where_unicode_is_put_in_another_form(first, second):
    paths = [path_of(key) for key in (first, second)]
    if first == second or None in paths:
        return
    for form in ("NFC", "NFD"):
        assert len({unicodedata.normalize(form, str(path)) for path in paths}) == 2


@pytest.mark.parametrize("key", ["a" * 240, "é" * 120, "/".join(["b" * 240] * 4 + ["a" * 60])])
def test_the_longest_names_can_be_written(tmp_path, key):
    from cpjump_assets.storage.atomic import atomic_path

    final = tmp_path / safe_relative_path(key)
    with atomic_path(final) as part:
        part.write_bytes(b"x")
    assert final.read_bytes() == b"x"


def test_prefixes_that_another_one_covers_are_left_out():
    assert outermost(["p/b/", "p/", "q", "p/", "qr", "r/a"]) == ["p/", "q", "r/a"]
    assert outermost(["", "a"]) == [""]
    assert outermost([]) == []


def test_the_prefixes_of_a_plate_are_its_own():
    root = GalleryRoot.parse(REAL)
    others = [plate for plate in PLATES if plate != PLATE]
    prefixes = root.plate_prefixes(PLATE)
    assert root.profile_key(PLATE).startswith(prefixes)
    assert root.backend_key(PLATE).startswith(prefixes)
    measurement = "BR00117010__2020-11-08T18_18_00-Measurement1"
    assert f"{root.images_prefix(PLATE.batch)}{measurement}/Images/r01c01f01p01.tiff".startswith(prefixes)
    assert not set(prefixes).intersection(prefix for plate in others for prefix in root.plate_prefixes(plate))

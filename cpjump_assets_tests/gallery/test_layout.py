from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpjump_assets.gallery.layout import GalleryRoot, safe_relative_path
from cpjump_assets.science.errors import GalleryError, SettingsError
from cpjump_assets.science.levels import LEVELS
from cpjump_assets.science.plates import PlateKey

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
    "key",
    ["", "/", "/etc/passwd", "a//b", "a/", "..", "a/../b", "./a", "a/.", "a\\b", "a\nb", "a\x00b", "a\x7fb", "a\x85b"],
)
def test_a_key_that_could_leave_the_store_is_refused(key):
    with pytest.raises(GalleryError, match="cannot be stored"):
        safe_relative_path(key)


@pytest.mark.parametrize("key", ["a", "a/b.csv.gz", "a b+c%2B/é", "...", "a/..b", "~", "C:"])
def test_a_harmless_key_is_its_own_path(key):
    assert str(safe_relative_path(key)) == key


@given(st.text(alphabet=st.sampled_from("a./\\\n é~"), max_size=12))
def test_no_key_escapes_and_no_two_keys_share_a_file(key):
    store = Path("/store")
    try:
        path = safe_relative_path(key)
    except GalleryError:
        return
    assert (store / path).resolve().is_relative_to(store)
    assert str(path) == key

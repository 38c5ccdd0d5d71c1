"""The folder of a simulated gallery: what lies where, byte for byte the same each time, never half there."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.profile_file import read_profile_csv
from cpjump_assets.science.errors import GalleryError, StoreError
from cpjump_assets.science.features import is_feature
from cpjump_assets.science.plates import BATCHES, MAIN_BATCH, MAIN_PLATES, PlateKey
from cpjump_assets.simulate import writer
from cpjump_assets.simulate.config import SIZES, Size
from cpjump_assets.simulate.writer import SimulatedGallery, simulate_gallery

BLEACHED = PlateKey("2020_12_08_CPJUMP1_Bleaching", "BR00116991A")
TINY = Size("tiny", n_features=40, plates=(*MAIN_PLATES[3:6], BLEACHED))
ROOT = GalleryRoot.parse("s3://cellpainting-gallery/cpg0000-jump-pilot/source_4")


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> SimulatedGallery:
    return simulate_gallery(tmp_path_factory.mktemp("simulated") / "gallery", size=TINY)


def keys(gallery: SimulatedGallery) -> list[str]:
    bucket = gallery.bucket_root / "cellpainting-gallery"
    return sorted(path.relative_to(bucket).as_posix() for path in bucket.rglob("*") if path.is_file())


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_sizes():
    assert (SIZES["small"].n_features, len(SIZES["small"].plates)) == (300, 51)
    assert (SIZES["full"].n_features, len(SIZES["full"].plates)) == (5_792, 51)


def test_objects_lie_under_the_keys_of_the_real_gallery(gallery: SimulatedGallery):
    assert gallery.gallery_url == str(ROOT)
    found = set(keys(gallery))
    expected = {ROOT.marker_key}
    for plate in TINY.plates:
        expected |= {ROOT.profile_key(plate), ROOT.load_data_prefix(plate) + "load_data.csv"}
    for plate in sorted(TINY.plates)[:2]:
        expected |= {ROOT.level_key(plate, level) for level in TINY.levels}
    maps = {MAIN_BATCH: ("compound", "crispr", "orf"), BLEACHED.batch: ("compound",)}
    for batch, modalities in maps.items():
        prefix = ROOT.platemaps_prefix(batch)
        expected.add(prefix + "barcode_platemap.csv")
        expected |= {f"{prefix}platemap/JUMP-Target-1_{modality}_platemap.txt" for modality in modalities}
    images = {key for key in found if key.endswith(".tiff")}
    assert found - images == expected
    assert len(images) == TINY.image_wells * 8  # one site of two wells, eight channels
    assert all(key.startswith(ROOT.images_prefix(MAIN_BATCH)) for key in images)


def test_the_marker_says_what_the_gallery_is(gallery: SimulatedGallery):
    marker = gallery.object_path(ROOT.marker_key)
    assert marker.read_text() == "simulated gallery, size tiny, seed 0\n"


def test_the_platform_reads_every_profile(gallery: SimulatedGallery):
    features = pd.read_csv(gallery.truth / "features.csv")["feature"].tolist()
    wells = {"BR00116995": 301}
    for plate in TINY.plates:
        profile = read_profile_csv(gallery.object_path(ROOT.profile_key(plate)), plate)
        assert list(profile.metadata) == ["Metadata_Plate", "Metadata_Well"]
        assert list(profile.features) == features
        assert len(profile.metadata) == wells.get(plate.barcode, 384)


def test_augmented_profiles_are_the_same_with_the_reagent(gallery: SimulatedGallery):
    key = ROOT.profile_key(min(TINY.plates))
    plain, augmented = (
        pd.read_csv(gallery.object_path(name)) for name in (key, key.replace(".csv.gz", "_augmented.csv.gz"))
    )
    pd.testing.assert_frame_equal(augmented.drop(columns="Metadata_broad_sample"), plain)
    assert (augmented["Metadata_broad_sample"] == "DMSO").sum() == 64


def test_images_are_in_the_image_sets_of_their_plate(gallery: SimulatedGallery):
    sets = pd.read_csv(gallery.object_path(ROOT.load_data_prefix(min(TINY.plates)) + "load_data.csv"))
    urls = set(sets.filter(like="URL_").stack())
    for key in keys(gallery):
        if key.endswith(".tiff"):
            assert f"s3://cellpainting-gallery/{key}" in urls


def test_truth_lies_beside_the_gallery_and_not_in_it(gallery: SimulatedGallery):
    assert sorted(path.name for path in gallery.truth.iterdir()) == ["features.csv", "perturbations.csv", "plates.csv"]
    plates = pd.read_csv(gallery.truth / "plates.csv")
    assert list(zip(plates["Metadata_Batch"], plates["Metadata_Plate"], strict=True)) == sorted(TINY.plates)
    assert not any("truth" in key for key in keys(gallery))
    assert (gallery.reference_root / "datasplits" / "cpjump1_metadata.csv").is_file()


def test_every_batch_is_in_the_reference_root_whatever_the_size(gallery: SimulatedGallery):
    folder = gallery.reference_root / "metadata" / "platemaps"
    assert {path.name for path in folder.iterdir()} == {*BATCHES, "2020_11_04_CPJUMP1_DL"}


def test_a_second_run_gives_the_same_bytes_and_another_seed_others(gallery: SimulatedGallery, tmp_path: Path):
    again = simulate_gallery(tmp_path / "again", size=TINY)
    assert digests(again.folder) == digests(gallery.folder)
    other = simulate_gallery(tmp_path / "other", size=TINY, seed=1)
    ours, theirs = digests(gallery.folder), digests(other.folder)
    same = {name for name in ours if ours[name] == theirs.get(name)}
    published_facts = {"experiment-metadata.tsv", "barcode_platemap.csv", "load_data.csv"}
    assert {Path(name).name for name in same} == published_facts


def test_profiles_of_a_plate_do_not_depend_on_the_others(gallery: SimulatedGallery, tmp_path: Path):
    plates = (BLEACHED, MAIN_PLATES[4])
    fewer = simulate_gallery(tmp_path / "fewer", size=replace(TINY, plates=plates))
    for plate in plates:
        key = ROOT.profile_key(plate)
        assert fewer.object_path(key).read_bytes() == gallery.object_path(key).read_bytes()


def test_a_real_reference_gives_its_reagents(reference_root: Path, tmp_path: Path):
    made = simulate_gallery(tmp_path / "real", size=TINY, reference=reference_root)
    official = "datasplits/cpjump1_metadata.csv"
    assert (made.reference_root / official).read_bytes() == (reference_root / official).read_bytes()
    truth = pd.read_csv(made.truth / "perturbations.csv").set_index("Metadata_broad_sample")
    assert len(truth) == 817
    assert truth.loc["BRD-K64890080-001-02-1", "Metadata_target"] == "PLK1"  # BI-2536, a diverse positive control
    assert truth.loc["BRD-K64890080-001-02-1", "active"]
    profile = pd.read_csv(made.object_path(ROOT.profile_key(TINY.plates[1])))
    assert profile["Metadata_Plate"].unique().tolist() == ["BR00116995"]
    assert len(profile) == 301
    assert sum(map(is_feature, profile.columns)) == 40


@pytest.fixture
def older(gallery: SimulatedGallery, tmp_path: Path) -> Path:
    """Give a folder that holds a simulated gallery already."""
    return shutil.copytree(gallery.folder, tmp_path / "gallery")


def test_a_simulated_gallery_is_replaced_as_a_whole(older: Path):
    before = digests(older)
    fewer = simulate_gallery(older, size=replace(TINY, plates=TINY.plates[:1]), seed=3)
    assert fewer.exists
    assert set(before) - set(digests(older))
    assert [path.name for path in older.parent.iterdir()] == ["gallery"]


def fail_with(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "shown"),
    [(OSError(28, "No space left on device"), StoreError), (KeyboardInterrupt(), KeyboardInterrupt)],
    ids=["disk full", "interrupted"],
)
def test_a_failure_leaves_what_was_there(
    older: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, shown: type[BaseException]
):
    before = digests(older)
    monkeypatch.setattr(writer, "_put_images", fail_with(error))
    with pytest.raises(shown):
        simulate_gallery(older, size=replace(TINY, plates=TINY.plates[:1]), seed=1)
    assert digests(older) == before
    assert [path.name for path in older.parent.iterdir()] == ["gallery"]


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="something else"):
        simulate_gallery(tmp_path, size=TINY)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_an_empty_folder_is_taken(tmp_path: Path):
    folder = tmp_path / "empty"
    folder.mkdir()
    assert simulate_gallery(folder, size=replace(TINY, plates=TINY.plates[:1])).exists


def test_a_reference_that_is_none_is_refused_and_nothing_is_written(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(GalleryError):
        simulate_gallery(tmp_path / "gallery", size=TINY, reference=tmp_path / "elsewhere")
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write the simulated gallery"):
        simulate_gallery(tmp_path / "file" / "gallery", size=TINY)

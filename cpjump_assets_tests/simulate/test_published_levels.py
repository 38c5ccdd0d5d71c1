"""The simulated gallery's files of further levels are, number by number, those that pycytominer makes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.features import is_feature
from cpjump_assets.science.plates import MAIN_PLATES
from cpjump_assets.simulate.config import SIZES, Size
from cpjump_assets.simulate.design import read_design
from cpjump_assets.simulate.writer import GALLERY, SimulatedGallery, simulate_gallery
from cpjump_assets_tests.pycytominer_files import Levels, published_levels

SMALL = Size("some plates", n_features=60, plates=MAIN_PLATES[3:7])  # one of them lacks 83 wells


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> SimulatedGallery:
    return simulate_gallery(tmp_path_factory.mktemp("simulated") / "gallery", size=SMALL)


@pytest.fixture(scope="module")
def expected(gallery: SimulatedGallery) -> Levels:
    return published_levels(gallery, read_design(gallery.reference_root).wells)


@pytest.mark.parametrize("level", SMALL.levels)
def test_the_files_hold_what_pycytominer_makes(gallery: SimulatedGallery, expected: Levels, level: str):
    for plate in SMALL.plates[:2]:
        found = pd.read_csv(gallery.object_path(GALLERY.level_key(plate, level)))
        made = expected[level][plate]
        features = list(filter(is_feature, found))
        assert features == list(filter(is_feature, made))
        assert found["Metadata_Well"].tolist() == made["Metadata_Well"].tolist()
        np.testing.assert_array_equal(found[features].to_numpy(), made[features].to_numpy())


def test_what_has_no_spread_is_infinite_or_missing_and_left_out_by_the_selections(
    gallery: SimulatedGallery, expected: Levels
):
    planted = pd.read_csv(gallery.truth / "features.csv").set_index("feature")["kind"]
    flat = set(planted.index[planted.isin(["constant", "near_constant", "zero_mad"])])
    gaps = set(planted.index[planted == "sparsely_missing"])
    assert flat and gaps
    normalized = expected["normalized"][SMALL.plates[0]]
    assert not np.isfinite(normalized[sorted(flat)]).to_numpy().any()
    assert np.isinf(normalized[sorted(flat)]).to_numpy().any()
    for level in ("plate_selected", "selected"):
        kept = set(filter(is_feature, expected[level][SMALL.plates[0]]))
        assert not kept & flat
        assert kept & gaps  # the published rules tolerate a few wells without a value; ours do not


def test_only_the_first_two_plates_have_them(gallery: SimulatedGallery):
    names = {
        plate: {path.name.removeprefix(plate.barcode) for path in folder.iterdir()}
        for plate in SMALL.plates
        for folder in [gallery.object_path(GALLERY.profiles_prefix(plate))]
    }
    assert [len(names[plate]) for plate in SMALL.plates] == [6, 6, 1, 1]


def test_the_full_size_leaves_out_what_needs_the_whole_batch_in_memory():
    assert set(SIZES["small"].levels) - set(SIZES["full"].levels) == {"selected"}


def test_a_size_says_which_levels_are_written(tmp_path: Path):
    size = Size("one level", n_features=30, plates=MAIN_PLATES[:1], levels=("normalized",))
    made = simulate_gallery(tmp_path / "gallery", size=size)
    folder = made.object_path(GALLERY.profiles_prefix(MAIN_PLATES[0]))
    barcode = MAIN_PLATES[0].barcode
    assert {path.name for path in folder.iterdir()} == {f"{barcode}.csv.gz", f"{barcode}_normalized_negcon.csv.gz"}

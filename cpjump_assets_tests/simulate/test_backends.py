"""Simulated single cells: the planted median and mean, missing values, wells without cells, equal bytes each time."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.gallery.cells.single_cells import open_cells
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.profile_file import read_profile_csv
from cpjump_assets.science.aggregate import aggregate_cells
from cpjump_assets.science.plates import MAIN_PLATES
from cpjump_assets.simulate.backends import CellConfig, SimulatedCells, write_backend
from cpjump_assets.simulate.config import SIZES, Size
from cpjump_assets.simulate.writer import SimulatedGallery, simulate_gallery
from cpjump_assets_tests.gallery.helpers_cells import WELLS, simulated_cells

ROOT = GalleryRoot.parse("s3://cellpainting-gallery/cpg0000-jump-pilot/source_4")
SHORT = next(plate for plate in MAIN_PLATES if plate.barcode == "BR00116995")


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> SimulatedGallery:
    size = Size("tiny", n_features=40, plates=(SHORT,), levels=(), backends=(SHORT,))
    return simulate_gallery(tmp_path_factory.mktemp("simulated") / "gallery", size=size)


def _cells_by_well(cells: SimulatedCells) -> dict[str, np.ndarray]:
    sites = list(cells.sites())
    return {well: np.concatenate([site.cells for site in sites if site.well == well]) for well in WELLS}


@pytest.mark.parametrize("cells_per_well", [3, 7, 41])
def test_the_median_is_the_profile_and_the_mean_is_skewed_as_planted(cells_per_well: int) -> None:
    cells = simulated_cells(config=CellConfig(cells_per_well=cells_per_well, skew=0.75, missing_share=0.3))
    for row, drawn in enumerate(_cells_by_well(cells).values()):
        profile = cells.profiles.matrix[row]
        assert len(drawn) % 2 == 1
        # pandas, which leaves missing values out and warns of nothing
        np.testing.assert_array_equal(pd.DataFrame(drawn).median(), profile)
        np.testing.assert_allclose(pd.DataFrame(drawn).mean(), profile + 0.75 * cells.spread, rtol=1e-12)


def test_some_cells_lack_values_and_a_feature_without_a_profile_has_none() -> None:
    drawn = _cells_by_well(simulated_cells(config=CellConfig(cells_per_well=41, missing_share=0.1)))
    assert np.isnan(drawn["B03"][:, 1]).all()
    assert 0.03 < np.isnan(drawn["A01"]).mean() < 0.2


def test_wells_have_the_number_of_cells_that_was_asked_for_on_average() -> None:
    rng = np.random.default_rng(0)
    cells = simulated_cells(config=CellConfig(cells_per_well=21))
    drawn = [len(cells._cells(rng, cells.profiles.matrix[0])) for _ in range(400)]
    assert 20 < np.mean(drawn) < 22
    assert (min(drawn), max(drawn)) == (3, 39)


def test_every_well_has_images_and_the_indices_of_a_real_backend(tmp_path: Path) -> None:
    path = tmp_path / "backend.sqlite"
    write_backend(simulated_cells(config=CellConfig(sites=3)), path)
    with closing(sqlite3.connect(path)) as connection:
        wells = [well for (well,) in connection.execute("SELECT Metadata_Well FROM Image")]
        (plan,) = connection.execute("EXPLAIN QUERY PLAN SELECT rowid, TableNumber, ImageNumber FROM Cells")
    assert len(wells) == 3 * 384
    assert len(set(wells)) == 384
    assert "USING COVERING INDEX" in plan[3]


def test_the_gallery_holds_a_backend_of_the_published_profile(gallery: SimulatedGallery) -> None:
    published = read_profile_csv(gallery.object_path(ROOT.profile_key(SHORT)), SHORT)
    with open_cells(gallery.object_path(ROOT.backend_key(SHORT)), SHORT) as cells:
        result = aggregate_cells(cells, "median")
    assert len(result.without_cells) == 83
    assert result.profiles.metadata["Metadata_Well"].tolist() == published.metadata["Metadata_Well"].tolist()
    assert result.profiles.features == published.features
    np.testing.assert_array_equal(result.profiles.matrix.astype(np.float32), published.matrix.astype(np.float32))


def test_a_second_run_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    contents = []
    for number, cells in enumerate((simulated_cells(), simulated_cells(), replace(simulated_cells(), seed=5))):
        write_backend(cells, tmp_path / f"{number}.sqlite")
        contents.append((tmp_path / f"{number}.sqlite").read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_the_small_gallery_has_backends_of_two_of_its_plates() -> None:
    assert [plate.barcode for plate in SIZES["small"].backends] == ["BR00116991", "BR00116995"]
    assert set(SIZES["small"].backends) <= set(SIZES["small"].plates)
    assert not SIZES["full"].backends

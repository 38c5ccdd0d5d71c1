"""CSV files of each site: the same wells as from the SQLite form, and one clear error for each bad file."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.gallery.cells.site_tables import SiteTables
from cpjump_assets.science.aggregate import Aggregation
from cpjump_assets.science.errors import BadTableError, GalleryError
from cpjump_assets.simulate.backends import write_backend, write_site_tables
from cpjump_assets_tests.gallery.helpers_cells import FEATURES, PLATE, WELLS, aggregated, simulated_cells


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with both forms of the same cells; the CSV files of eight wells alone, for speed."""
    folder = tmp_path_factory.mktemp("cells")
    cells = simulated_cells()
    write_backend(cells, folder / "BR00117010.sqlite")
    write_site_tables(cells, folder / "analysis")
    for site in (folder / "analysis").iterdir():
        if site.name.split("-")[1] not in (*WELLS, "C01", "C02", "C03"):
            shutil.rmtree(site)
    return folder


@pytest.fixture
def analysis(written: Path, tmp_path: Path) -> Path:
    """Give a copy of the CSV files that the test may break."""
    return shutil.copytree(written / "analysis", tmp_path / "analysis")


@pytest.mark.parametrize("how", ["median", "mean"])
def test_both_forms_give_the_same_wells(written: Path, how: Aggregation) -> None:
    ours, theirs = (aggregated(written / name, how, workers=2).profiles for name in ("analysis", "BR00117010.sqlite"))
    assert ours.features == theirs.features == FEATURES
    np.testing.assert_array_equal(ours.matrix, theirs.matrix)
    pd.testing.assert_frame_equal(ours.metadata, theirs.metadata)


def test_wells_without_cells_are_named(written: Path) -> None:
    assert aggregated(written / "analysis").without_cells == ("C01", "C02", "C03")


def test_sites_without_objects_have_a_header_alone(written: Path) -> None:
    empty = written / "analysis" / "BR00117010-C01-1" / "Cells.csv"
    assert len(empty.read_text().splitlines()) == 1


def test_other_folders_and_files_are_left_alone(analysis: Path) -> None:
    (analysis / "outlines").mkdir()
    (analysis / "BR00117011-A01-1").mkdir()
    (analysis / "Experiment.csv").write_text("Key,Value\n")
    assert SiteTables(analysis, PLATE).wells == tuple(sorted((*WELLS, "C01", "C02", "C03")))


def test_fewer_columns_without_objects_and_another_order_of_columns_are_read(analysis: Path) -> None:
    expected = aggregated(analysis).profiles.matrix
    (analysis / "BR00117010-C01-1" / "Cells.csv").write_text("ImageNumber,ObjectNumber\n")
    path = analysis / "BR00117010-B03-2" / "Cells.csv"
    frame = pd.read_csv(path, dtype="str", keep_default_na=False)
    frame[frame.columns[::-1]].to_csv(path, index=False)
    np.testing.assert_array_equal(aggregated(analysis).profiles.matrix, expected)


def _replace(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


SITE = "BR00117010-P24-1"


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("Cells.csv", lambda text: text[: text.rindex(",") + 1] + "round\n", "must be a number, found 'round' in row"),
        ("Cells.csv", _replace("AreaShape_Area", "AreaShape_Aria"), "missing: AreaShape_Area"),
        ("Nuclei.csv", lambda text: text + "7,9,1,2\n", "ImageNumber 7 is not in Image.csv of the site"),
        ("Nuclei.csv", lambda text: text + "1,9,1\n", "Expected 4 columns, got 3"),
        ("Image.csv", _replace(",P24,", ",P23,"), "expected Metadata_Well P24, found 'P23'"),
        ("Image.csv", _replace("BR00117010", "BR00117011"), "expected Metadata_Plate BR00117010, found 'BR00117011'"),
        ("Image.csv", _replace("Metadata_Well", "Well"), "columns Metadata_Well are missing"),
        ("Image.csv", lambda text: "", "expected a CSV, found an empty file"),
        ("Cytoplasm.csv", lambda text: "<html></html>", "expected a CSV, found an HTML page"),
    ],
)
def test_a_bad_file_is_one_clear_error(analysis: Path, file: str, change: Callable[[str], str], said: str) -> None:
    path = analysis / SITE / file
    path.write_text(change(path.read_text()))
    with pytest.raises(BadTableError) as error:
        aggregated(analysis)
    assert str(error.value).startswith(f"{SITE}/{file} of plate {PLATE}: ")
    assert said in str(error.value)


def test_a_missing_file_is_one_clear_error(analysis: Path) -> None:
    (analysis / SITE / "Nuclei.csv").unlink()
    with pytest.raises(GalleryError, match=f"^{SITE}/Nuclei.csv of plate .* cannot be read: No such file"):
        aggregated(analysis)


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        ([], "expected folders BR00117010-<well>-<site>, found none"),
        (["BR00117011-A01-1"], "expected folders BR00117010-<well>-<site>, found BR00117011-A01-1"),
        (["BR00117010-Q01-1"], "expected wells A01 to P24, found 'Q01'"),
        (["BR00117010-A01-1", "BR00117010-A01-01"], "are of the same site"),
    ],
)
def test_a_folder_of_something_else_is_one_clear_error(tmp_path: Path, folders: list[str], said: str) -> None:
    for name in folders:
        (tmp_path / name).mkdir()
    with pytest.raises(BadTableError, match=said):
        SiteTables(tmp_path, PLATE)


def test_a_plate_without_cells_is_one_clear_error(analysis: Path) -> None:
    for path in analysis.glob("*/Nuclei.csv"):
        path.write_text("ImageNumber,ObjectNumber\n")
    with pytest.raises(BadTableError, match=f"none of the 16 sites of plate {PLATE} has a row in Nuclei.csv"):
        aggregated(analysis)

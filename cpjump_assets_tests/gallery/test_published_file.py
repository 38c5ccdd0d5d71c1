"""Published files of any level: as aggregated ones, but with infinite values and wells of other plates."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cpjump_assets.gallery.profile_file import read_profile_csv, read_published_csv
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.plates import PlateKey

PLATE = PlateKey("2020_11_04_CPJUMP1", "BR00116991")
HEADER = "Metadata_Plate,Metadata_Well,Metadata_pert_iname,Cells_a,Nuclei_b"
ROWS = [
    'BR00116991,A02,"2,3-dione",inf,-0.5',
    "BR00116991,A01,DMSO,-inf,",
    "BR00116992,A01,DMSO,1,2",
    "BR00116992,A03,DMSO,3,4",
]
Write = Callable[[list[str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(rows: list[str]) -> Path:
        path = tmp_path / "BR00116991_spherized.csv.gz"
        path.write_bytes(gzip.compress("\n".join([HEADER, *rows, ""]).encode(), mtime=0))
        return path

    return put


def test_infinite_values_stay_and_other_plates_are_left_out(write: Write):
    found = read_published_csv(write(ROWS), PLATE)
    assert found.features == ("Cells_a", "Nuclei_b")
    assert found.metadata["Metadata_Well"].tolist() == ["A01", "A02"]
    assert found.metadata["Metadata_pert_iname"].tolist() == ["DMSO", "2,3-dione"]
    assert found.metadata.index.tolist() == [0, 1]
    np.testing.assert_array_equal(found.matrix, np.float32([[-np.inf, np.nan], [np.inf, -0.5]]))
    assert found.matrix.dtype == np.float32


def test_what_is_ordinary_is_read_as_the_aggregated_file_is(write: Write):
    path = write([row.replace("inf", "7") for row in ROWS[:2]])
    ordinary, published = read_profile_csv(path, PLATE), read_published_csv(path, PLATE)
    np.testing.assert_array_equal(published.matrix, ordinary.matrix)
    assert published.metadata.equals(ordinary.metadata)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (ROWS[2:], "expected rows with Metadata_Plate BR00116991, found none"),
        ([*ROWS, ROWS[1]], "wells come more than once: A01"),
        ([*ROWS, "BR00116991,Z99,DMSO,1,2"], "expected wells A01 to P24, found 'Z99'"),
        ([*ROWS, "BR00116991,A03,DMSO,1,many"], "feature Nuclei_b of well A03 must be a number, found 'many'"),
        ([], "expected a row for each well, found only a header"),
    ],
)
def test_a_bad_file_is_one_clear_line(write: Write, rows: list[str], said: str):
    with pytest.raises(BadTableError) as caught:
        read_published_csv(write(rows), PLATE)
    assert str(caught.value) == f"BR00116991_spherized.csv.gz of plate {PLATE}: {said}"

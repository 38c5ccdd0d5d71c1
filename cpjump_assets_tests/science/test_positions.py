import pandas as pd
import pytest

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.positions import POSITIONS, require_full_plate, row_letter, row_number, well_name


def test_a_plate_has_384_wells_of_which_the_middle_12_by_20_are_inner():
    assert len(POSITIONS) == 384
    assert POSITIONS.index[[0, 23, 24, 383]].tolist() == ["A01", "A24", "B01", "P24"]
    assert (~POSITIONS["Metadata_is_outer"]).sum() == 12 * 20
    inner = POSITIONS[~POSITIONS["Metadata_is_outer"]]
    assert (inner["Metadata_row"].min(), inner["Metadata_row"].max()) == (3, 14)
    assert (inner["Metadata_column"].min(), inner["Metadata_column"].max()) == (3, 22)


def test_names_rows_and_columns_are_inverse():
    for name, row, column in POSITIONS[["Metadata_row", "Metadata_column"]].itertuples(name=None):
        assert well_name(row, column) == name
        assert row_number(name[0]) == row
        assert row_letter(row) == name[0]


@pytest.mark.parametrize(("row", "column"), [(0, 1), (17, 1), (1, 0), (1, 25)])
def test_there_are_no_wells_beyond_the_edge(row, column):
    with pytest.raises(ValueError, match="is not in 1 to"):
        well_name(row, column)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda names: names.replace("A01", "A1"), "not wells A01 to P24: A1"),
        (lambda names: names.replace("A01", "A02"), "more than once: A02"),
        (lambda names: names[names != "P24"], "missing: P24"),
        (lambda names: names.mask(names == "C05"), "not wells A01 to P24: nan"),
    ],
)
def test_a_map_that_is_no_full_plate_is_refused(change, words):
    names = pd.Series(POSITIONS.index)
    require_full_plate(names, source="map")
    with pytest.raises(BadTableError, match=words):
        require_full_plate(change(names), source="map")

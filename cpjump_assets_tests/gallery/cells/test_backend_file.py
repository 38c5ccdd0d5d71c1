"""SQLite backends of single cells: equal to pycytominer and to pandas, whatever the order and types of the rows."""

import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.gallery.cells import backend_file
from cpjump_assets.gallery.cells.backend_file import BackendFile
from cpjump_assets.gallery.cells.backend_index import read_index
from cpjump_assets.science.aggregate import COMPARTMENTS, Aggregation
from cpjump_assets.science.errors import BadTableError, GalleryError
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.simulate.backends import CellConfig, write_backend
from cpjump_assets_tests.gallery.helpers_cells import (
    FEATURES,
    PLATE,
    WELLS,
    aggregated,
    change,
    shuffle,
    simulated_cells,
)

HOW: tuple[Aggregation, ...] = ("median", "mean")


@pytest.fixture
def backend(tmp_path: Path) -> Path:
    path = tmp_path / "BR00117010.sqlite"
    write_backend(simulated_cells(), path)
    return path


def by_pandas(path: Path, how: Aggregation) -> pd.DataFrame:
    """Merge each compartment with the images, and group: everything in memory, by the words of the definition."""
    tables = []
    with closing(sqlite3.connect(path)) as connection:
        images = pd.read_sql("SELECT TableNumber, ImageNumber, Metadata_Well FROM Image", connection)
        for compartment in COMPARTMENTS:
            cells = pd.read_sql(f"SELECT * FROM {compartment}", connection)
            merged = images.merge(cells, on=["TableNumber", "ImageNumber"])
            names = [name for name in FEATURES if name.startswith(compartment)]
            tables.append(merged.groupby("Metadata_Well")[names].agg(how))
    return pd.concat(tables, axis="columns", join="inner")


def by_pycytominer(path: Path, how: Aggregation) -> pd.DataFrame:
    from pycytominer.cyto_utils.cells import SingleCells

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SingleCells(f"sqlite:///{path}", aggregation_operation=how).aggregate_profiles()


@pytest.mark.parametrize("how", HOW)
def test_equals_pycytominer(backend: Path, how: Aggregation) -> None:
    # pycytominer asks the database once for each well, also for those without cells: 60 ms each.
    change(backend, f"DELETE FROM Image WHERE Metadata_Well NOT IN {WELLS}")
    expected = by_pycytominer(backend, how)
    found = aggregated(backend, how).profiles
    assert [name for name in expected if not name.startswith("Metadata_")] == list(found.features)
    np.testing.assert_allclose(found.matrix, expected[list(found.features)].to_numpy(), rtol=1e-9)
    assert found.metadata["Metadata_Well"].tolist() == expected["Metadata_Well"].tolist()
    assert found.metadata["Metadata_cell_count"].tolist() == expected["Metadata_Object_Count"].tolist()


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("rows_per_read", [1, 4, 1024])
def test_the_order_of_rows_and_the_size_of_reads_change_nothing(
    backend: Path, how: Aggregation, rows_per_read: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_file, "ROWS_PER_READ", rows_per_read)
    expected = by_pandas(backend, how)
    for path in (backend, shuffle(backend)):
        found = aggregated(path, how, workers=2).profiles
        np.testing.assert_allclose(found.matrix, expected.to_numpy(), rtol=1e-12)
        assert found.metadata["Metadata_Well"].tolist() == expected.index.tolist()


def test_median_and_mean_are_the_planted_ones(backend: Path) -> None:
    cells = simulated_cells()
    np.testing.assert_array_equal(aggregated(backend, "median").profiles.matrix, cells.profiles.matrix)
    planted = cells.profiles.matrix + cells.config.skew * cells.spread
    np.testing.assert_allclose(aggregated(backend, "mean").profiles.matrix, planted, rtol=1e-12)


def test_wells_without_cells_are_named_and_have_no_row(backend: Path) -> None:
    result = aggregated(backend)
    assert len(result.without_cells) == 384 - len(WELLS)
    assert not set(result.without_cells) & set(result.profiles.metadata["Metadata_Well"])


def test_small_wells_are_read_together_and_large_ones_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "backend.sqlite"
    write_backend(simulated_cells(config=CellConfig(cells_per_well=31)), path)
    with BackendFile(path, PLATE) as cells:
        assert list(cells.blocks("Cells")) == [WELLS]
        monkeypatch.setattr(backend_file, "ROWS_PER_READ", 2)
        assert list(cells.blocks("Cells")) == [(well,) for well in WELLS]


def test_rows_of_a_well_are_found_where_they_are(backend: Path) -> None:
    whole = read_index(backend, PLATE).rows["Cells"]
    assert len(whole.first) == len(WELLS)  # one run of rows for each well
    strewn = read_index(shuffle(backend), PLATE).rows["Cells"]
    assert len(strewn.first) > 2 * len(WELLS)
    assert strewn.lengths.sum() == whole.lengths.sum()


def test_object_numbers_that_link_compartments_are_no_features(backend: Path) -> None:
    index = read_index(backend, PLATE)
    assert index.features["Cytoplasm"] == FEATURES[3:5]
    with closing(sqlite3.connect(backend)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(Cytoplasm)")]
    assert {"Cytoplasm_Parent_Cells", "Cytoplasm_Parent_Nuclei", "ObjectNumber"} <= set(columns)


# What a driver makes of a column whose rows are not all of one type is what goes wrong silently.
AREA = "Cells_AreaShape_Area"
UNTYPED = ("CREATE TABLE other AS SELECT * FROM Cells", "DROP TABLE Cells", "ALTER TABLE other RENAME TO Cells")


def area(path: Path) -> pd.Series:
    profiles = aggregated(path).profiles
    return pd.Series(profiles.matrix[:, 0], index=profiles.metadata["Metadata_Well"])


@pytest.mark.parametrize("mark", ["'nan'", "'NaN'", "'NA'", "''", "NULL", "9e999 - 9e999"])
def test_marks_of_missing_values_take_no_part(backend: Path, mark: str) -> None:
    first = "rowid IN (SELECT min(rowid) FROM Cells)"
    change(backend, "DELETE FROM Cells WHERE TableNumber = 1 AND rowid NOT IN (SELECT rowid FROM Cells LIMIT 3)")
    change(backend, f"UPDATE Cells SET {AREA} = rowid + 0.123456789012345 WHERE TableNumber = 1")
    change(backend, f"UPDATE Cells SET {AREA} = {mark} WHERE {first}")
    # Exactly: text beside them must not cost the other values their digits.
    assert area(backend)["A01"] == (2.123456789012345 + 3.123456789012345) / 2


@pytest.mark.parametrize("at_once", [1, 2, 500])
def test_text_in_many_columns_costs_no_digit_of_any(
    backend: Path, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_file, "_MIXED_COLUMNS_PER_READ", at_once)
    columns = [name for name in FEATURES if name.startswith("Cells")]
    change(backend, *(f"UPDATE Cells SET {name} = '' WHERE rowid % 4 = {k}" for k, name in enumerate(columns)))
    found = aggregated(backend).profiles.matrix
    change(backend, *(f"UPDATE Cells SET {name} = NULL WHERE rowid % 4 = {k}" for k, name in enumerate(columns)))
    np.testing.assert_array_equal(found, by_pandas(backend, "median").to_numpy())


def test_whole_numbers_before_fractions_stay_what_they_are(backend: Path) -> None:
    change(backend, *UNTYPED)
    rows = "SELECT rowid FROM Cells WHERE TableNumber = 1 ORDER BY rowid"
    change(
        backend,
        f"DELETE FROM Cells WHERE TableNumber = 1 AND rowid NOT IN ({rows} LIMIT 3)",
        f"UPDATE Cells SET {AREA} = CAST(rowid * 10 AS INTEGER) WHERE TableNumber = 1",
        f"UPDATE Cells SET {AREA} = 20.25 WHERE rowid = 2",
    )
    assert area(backend)["A01"] == 20.25


@pytest.mark.parametrize(("text", "number"), [("inf", np.inf), ("-inf", -np.inf), ("1.5e3", 1500.0)])
def test_numbers_written_as_text_are_numbers(backend: Path, text: str, number: float) -> None:
    # A column of no declared type keeps text as text.
    change(
        backend,
        *UNTYPED,
        f"ALTER TABLE Cells RENAME COLUMN {AREA} TO Cells_AreaShape_Old",
        f"ALTER TABLE Cells ADD COLUMN {AREA}",
        f"UPDATE Cells SET {AREA} = Cells_AreaShape_Old",
        f"UPDATE Cells SET {AREA} = '{text}' WHERE TableNumber = 1",
    )
    profiles = aggregated(backend).profiles
    column = profiles.matrix[:, profiles.features.index(AREA)]
    assert column[0] == number
    np.testing.assert_array_equal(column[1:], profiles.matrix[1:, profiles.features.index("Cells_AreaShape_Old")])


def test_a_column_without_any_value_is_missing_and_not_zero(backend: Path) -> None:
    change(backend, f"UPDATE Cells SET {AREA} = NULL")
    assert area(backend).isna().all()


@pytest.mark.parametrize("value", ["'round'", "x'00ff'", "'0.5 um'"])
def test_a_value_that_is_no_number_is_one_clear_error(backend: Path, value: str) -> None:
    change(backend, f"UPDATE Cells SET {AREA} = {value} WHERE rowid = (SELECT max(rowid) FROM Cells)")
    with pytest.raises(BadTableError) as error:
        aggregated(backend)
    message = str(error.value)
    assert message.startswith(f"BR00117010.sqlite of plate {PLATE}: feature {AREA} must be a number, found ")
    assert message.endswith("of table Cells, well P24")


def test_names_of_a_real_backend_and_numbers_as_text_are_read(backend: Path) -> None:
    expected = by_pandas(backend, "median")
    change(
        backend,
        "ALTER TABLE Image RENAME COLUMN Metadata_Plate TO Image_Metadata_Plate",
        "ALTER TABLE Image RENAME COLUMN Metadata_Well TO Image_Metadata_Well",
    )
    for table in ("Image", *COMPARTMENTS):  # a table's number is a digest in text
        change(
            backend,
            f"CREATE TABLE other AS SELECT 'x' || TableNumber AS Number, * FROM {table}",
            f"DROP TABLE {table}",
            "ALTER TABLE other DROP COLUMN TableNumber",
            "ALTER TABLE other RENAME COLUMN Number TO TableNumber",
            f"ALTER TABLE other RENAME TO {table}",
        )
    np.testing.assert_array_equal(aggregated(backend).profiles.matrix, expected.to_numpy())


def test_a_name_with_a_quote_and_a_path_with_odd_characters_are_read(backend: Path, tmp_path: Path) -> None:
    change(backend, f'ALTER TABLE Cells RENAME COLUMN {AREA} TO "Cells_Odd""Name"')
    odd = tmp_path / "50% of #1?.sqlite"
    backend.rename(odd)
    assert aggregated(odd).profiles.features[0] == 'Cells_Odd"Name'


DUPLICATE_IMAGE = "INSERT INTO Image SELECT * FROM Image WHERE Metadata_Well = 'B03' AND ImageNumber = 2"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DROP TABLE Cytoplasm", "tables Cytoplasm are missing; found: Cells, Image, Nuclei"),
        ("ALTER TABLE Nuclei RENAME COLUMN ImageNumber TO Number", "table Nuclei lacks the columns ImageNumber"),
        (
            "ALTER TABLE Image RENAME COLUMN Metadata_Well TO Well",
            "neither Metadata_Well nor Image_Metadata_Well",
        ),
        (
            "UPDATE Image SET Metadata_Plate = 'BR00117011' WHERE rowid = 9",
            "expected Metadata_Plate BR00117010",
        ),
        (
            "UPDATE Image SET Metadata_Well = 'Q01' WHERE rowid = 9",
            "expected wells A01 to P24, found 'Q01'",
        ),
        ("UPDATE Image SET Metadata_Well = NULL WHERE rowid = 9", "expected wells A01 to P24, found None"),
        (DUPLICATE_IMAGE, "image TableNumber 27, ImageNumber 2 of well B03 more than once"),
        ("DELETE FROM Image", "table Image has no rows"),
        (
            "UPDATE Nuclei SET ImageNumber = 77 WHERE rowid = 5",
            "row 5 of table Nuclei is of image TableN",
        ),
        ("UPDATE Cells SET TableNumber = NULL WHERE rowid = 5", "row 5 of table Cells is of image TableNumber None"),
    ],
)
def test_a_bad_backend_is_one_clear_error(backend: Path, statement: str, said: str) -> None:
    change(backend, "DROP INDEX table_image_object_nuclei_idx", statement)
    with pytest.raises(BadTableError) as error:
        aggregated(backend)
    assert str(error.value).startswith(f"BR00117010.sqlite of plate {PLATE}: ")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "expected an SQLite database, found an empty file"),
        (b"<html>captive portal</html>", "found an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"PAR1 whatever", "a file that begins with b'PAR1"),
        (b"SQLite format 3\x00" + b"\xff" * 4096, "the database cannot be read"),
    ],
)
def test_a_file_that_is_no_database_is_one_clear_error(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "BR00117010.sqlite"
    path.write_bytes(content)
    with pytest.raises(BadTableError, match=f"^BR00117010.sqlite of plate {PLATE}: ") as error:
        aggregated(path)
    assert said in str(error.value)


def test_a_truncated_file_is_one_clear_error(backend: Path) -> None:
    content = backend.read_bytes()
    backend.write_bytes(content[: len(content) // 2])
    with pytest.raises(BadTableError, match=f"^BR00117010.sqlite of plate {PLATE}: .*malformed"):
        aggregated(backend)


def test_a_file_that_changes_while_it_is_read_is_one_clear_error(backend: Path) -> None:
    with BackendFile(backend, PLATE) as cells:
        change(backend, "DELETE FROM Cells WHERE rowid = 2")
        with pytest.raises(BadTableError, match="table Cells was changed while it was read"):
            cells.read("Cells", WELLS)


def test_a_file_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match=r"BR00117010.sqlite of plate .* cannot be read: No such file"):
        aggregated(tmp_path / "BR00117010.sqlite")


def test_another_plate_is_refused(backend: Path) -> None:
    with pytest.raises(BadTableError, match="expected Metadata_Plate BR00117011"):
        read_index(backend, PlateKey("2020_11_04_CPJUMP1", "BR00117011"))


def test_a_backend_is_never_written_to(backend: Path) -> None:
    before = backend.read_bytes()
    backend.chmod(0o400)
    aggregated(backend, workers=2)
    assert backend.read_bytes() == before
    assert [path.name for path in backend.parent.iterdir()] == [backend.name]

import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpjump_assets.gallery.profile_file import read_profile_csv
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.features import Profiles
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.science.positions import POSITIONS

PLATE = PlateKey("2020_11_04_CPJUMP1", "BR00116991")
NAME = "BR00116991.csv.gz of plate 2020_11_04_CPJUMP1.BR00116991"
HEADER = "Metadata_Plate,Metadata_Well,Metadata_Object_Count,Cells_AreaShape_Area,Nuclei_Texture_Contrast_DNA"
ROWS = [
    "BR00116991,A01,0123,1024.5,-0.5",
    "BR00116991,A02,NA,,1e-05",
    "BR00116991,B01,7,nan,3.1416e+10",
]


def _text(*, header: str = HEADER, rows: list[str] = ROWS) -> str:
    return "\n".join([header, *rows, ""])


@pytest.fixture
def file(tmp_path):
    def write(content: str | bytes, *, compress: bool = True) -> Path:
        path = tmp_path / "BR00116991.csv.gz"
        raw = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(raw, mtime=0) if compress else raw)
        return path

    return write


def _refused(path: Path) -> str:
    with pytest.raises(BadTableError) as caught:
        read_profile_csv(path, PLATE)
    message = str(caught.value)
    assert message.startswith(f"{NAME}: ")
    assert "\n" not in message
    return message.removeprefix(f"{NAME}: ")


def _assert_same(found: Profiles, expected: Profiles) -> None:
    pd.testing.assert_frame_equal(found.metadata, expected.metadata)
    np.testing.assert_array_equal(found.matrix, expected.matrix)
    assert found.features == expected.features


def test_metadata_stay_text_and_features_become_a_matrix_of_float32(file):
    profiles = read_profile_csv(file(_text()), PLATE)
    metadata, matrix = profiles.metadata, profiles.matrix
    assert [*metadata.columns, *profiles.features] == HEADER.split(",")
    assert metadata["Metadata_Object_Count"].tolist() == ["0123", "NA", "7"]
    assert [str(dtype) for dtype in metadata.dtypes] == ["str", "str", "str"]
    assert metadata.index.tolist() == [0, 1, 2]
    assert matrix.dtype == np.float32
    assert matrix.flags.f_contiguous
    np.testing.assert_array_equal(matrix, np.float32([[1024.5, -0.5], [np.nan, 1e-05], [np.nan, 3.1416e10]]))


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_blank_text_is_missing(file, quote):
    """A blank reagent says nothing (DMSO, empty): it must not stand against the wells table as another name."""
    rows = [f"BR00116991,A01,{quote}{quote},1,2", f"BR00116991,A02,{quote}7{quote},1,2"]
    counts = read_profile_csv(file(_text(rows=rows)), PLATE).metadata["Metadata_Object_Count"]
    assert counts.isna().tolist() == [True, False]
    assert counts.dtype == "str"


def test_rows_come_in_the_order_of_wells(file):
    profiles = read_profile_csv(file(_text(rows=ROWS[::-1])), PLATE)
    assert profiles.metadata["Metadata_Well"].tolist() == ["A01", "A02", "B01"]
    _assert_same(profiles, read_profile_csv(file(_text()), PLATE))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "\n\n",
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text[:-1],
        lambda text: text.replace("A01", '"A01"'),
        lambda text: text.replace("1024.5", '"1024.5"'),
        lambda text: text.replace("Cells_AreaShape_Area", '"Cells_AreaShape_Area"'),
    ],
)
def test_marks_line_ends_empty_lines_and_quotes_make_no_difference(file, change):
    expected = read_profile_csv(file(_text()), PLATE)
    _assert_same(read_profile_csv(file(change(_text())), PLATE), expected)


def test_texts_may_hold_commas_and_line_ends_and_stand_anywhere(file):
    header = 'Cells_A,Metadata_Plate,"Metadata_a, b",Cells_B,Metadata_Well'
    rows = ['1,BR00116991,"b,""c""\nd",2,A02', ",BR00116991,é,4,A01"]
    profiles = read_profile_csv(file(_text(header=header, rows=rows)), PLATE)
    assert profiles.metadata["Metadata_a, b"].tolist() == ["é", 'b,"c"\nd']
    assert profiles.features == ("Cells_A", "Cells_B")
    np.testing.assert_array_equal(profiles.matrix, np.float32([[np.nan, 4], [1, 2]]))


cells = st.sampled_from(["", "nan", "NA", "0", "-0", "1.5", "-2.25e-07", "12345"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 6).flatmap(lambda p: st.lists(st.lists(cells, min_size=p, max_size=p), min_size=1, max_size=5)),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_is_missing_where_pandas_reads_the_same(file, rows, quoted, end):
    features = [f"Cells_{number}" for number in range(len(rows[0]))]
    header = ["Metadata_Plate", "Metadata_Well", *features]
    lines = [[PLATE.barcode, f'"A{well:02d}"' if quoted else f"A{well:02d}", *row] for well, row in enumerate(rows, 1)]
    text = end.join(",".join(line) for line in [header, *lines]) + end
    found = read_profile_csv(file(text), PLATE)
    expected = pd.read_csv(io.StringIO(text), dtype=dict.fromkeys(features, np.float32), na_values=["", "nan", "NA"])
    np.testing.assert_array_equal(found.matrix, expected[features].to_numpy())
    np.testing.assert_array_equal(np.signbit(found.matrix), np.signbit(expected[features].to_numpy()))


@settings(max_examples=200)
@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_float32_keeps_five_significant_digits_apart_and_equal_ones_equal(value):
    text = f"{value:.5g}"
    assert f"{float(np.float32(float(text))):.5g}" == text or abs(value) < 1e-37 or abs(float(text)) > 3.4e38


def test_a_whole_plate_equals_what_pandas_reads(file):
    generator = np.random.default_rng(0)
    features = [f"Cells_Feature_{number}" for number in range(400)]
    frame = pd.DataFrame(generator.normal(size=(384, 400)) * generator.lognormal(0, 3, 400), columns=features)
    frame.iloc[5, 7] = np.nan
    frame.insert(0, "Metadata_Well", POSITIONS.index)
    frame.insert(0, "Metadata_Plate", PLATE.barcode)
    text = frame.to_csv(index=False, float_format="%.5g")
    read = read_profile_csv(file(text), PLATE)
    oracle = pd.read_csv(io.StringIO(text))
    np.testing.assert_array_equal(read.matrix, oracle[features].to_numpy().astype(np.float32))
    assert read.features == tuple(features)
    assert read.metadata["Metadata_Well"].tolist() == oracle["Metadata_Well"].tolist()


def test_an_empty_file(file):
    assert _refused(file(b"", compress=False)) == "expected a gzipped CSV, found an empty file"
    assert _refused(file(b"")) == "expected a CSV inside of the gzip file, found an empty file"


@pytest.mark.parametrize("compress", [True, False])
def test_a_web_page_instead_of_a_table(file, compress):
    assert "found an HTML page" in _refused(file(b"<!DOCTYPE html><html>404</html>", compress=compress))


def test_a_table_that_is_not_compressed(file):
    assert _refused(file(_text(), compress=False)).startswith(
        "expected a gzipped CSV, found a file that begins with b'Metadata_Pla"
    )


def test_a_truncated_gzip_file(file):
    path = file(_text())
    path.write_bytes(path.read_bytes()[:-20])
    assert _refused(path) == f"the gzip file is truncated: it ends after {path.stat().st_size:,} bytes"


@pytest.mark.parametrize("kept", [2, 9, 10, 11, 60, -8, -1])
def test_a_gzip_file_that_ends_anywhere_before_its_end_is_truncated(file, kept):
    path = file(_text())
    path.write_bytes(path.read_bytes()[:kept])
    assert "the gzip file is truncated: it ends after" in _refused(path)


def test_a_corrupt_gzip_file(file):
    path = file(_text())
    good = path.read_bytes()
    path.write_bytes(good[:10] + b"\xff" * 20 + good[30:])
    assert _refused(path).startswith("the gzip file is corrupt: ")
    path.write_bytes(good[:-6] + b"\0\0" + good[-4:])
    assert _refused(path).startswith("the gzip file is corrupt: ")


def test_a_gzip_file_in_several_members_is_read_to_its_end(file):
    path = file(_text())
    expected = read_profile_csv(path, PLATE)
    half = len(_text()) // 2
    path.write_bytes(gzip.compress(_text()[:half].encode()) + gzip.compress(_text()[half:].encode()))
    _assert_same(read_profile_csv(path, PLATE), expected)


def test_every_flipped_byte_of_a_gzip_file_is_noticed_or_harmless(file):
    path = file(_text())
    good, expected = path.read_bytes(), read_profile_csv(path, PLATE)
    refused = 0
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1 :])
        try:
            _assert_same(read_profile_csv(path, PLATE), expected)
        except BadTableError:
            refused += 1
    assert refused > len(good) - 12  # all but bytes of the gzip header that say nothing of the content


def test_a_table_that_was_cut_before_it_was_compressed(file):
    assert _refused(file(_text()[:-12])) == "line 4 has 4 fields, the header has 5"


def test_a_row_that_is_too_long(file):
    assert _refused(file(_text(rows=[*ROWS, "BR00116991,C01,1,2,3,4"]))) == "line 5 has 6 fields, the header has 5"


def test_rows_too_long_and_too_short_that_make_up_for_each_other(file):
    rows = ["BR00116991,A01,0123,1024.5,-0.5,7", "BR00116991,A02,NA,1e-05"]
    assert _refused(file(_text(rows=rows))) == "line 2 has 6 fields, the header has 5"


@pytest.mark.parametrize("value", ['"1\n2"', '"1\n"', '"1,2"'])
def test_a_feature_value_that_goes_on(file, value):
    said = _refused(file(_text().replace("1024.5", value)))
    assert said in {
        f"feature Cells_AreaShape_Area of well A01 must be a number, found {value[1:-1]!r}",
        "a feature value holds the end of a line",
    }


def test_what_is_no_table_at_all(file):
    assert _refused(file("x" * 200_000)) == (
        "expected a header of column names: field larger than field limit (131072)"
    )
    endless = _text().replace(",NA,", ',"' + "x" * 200_000)
    assert _refused(file(endless)) == "expected a CSV: field larger than field limit (131072)"


@pytest.mark.parametrize("column", ["Metadata_Plate", "Metadata_Well"])
def test_a_missing_column(file, column):
    assert _refused(file(_text().replace(column, "Metadata_Other"))).startswith(
        f"columns {column} are missing; found: "
    )


def test_a_column_that_comes_twice(file):
    header = HEADER.replace("Nuclei_Texture_Contrast_DNA", "Cells_AreaShape_Area")
    assert _refused(file(_text(header=header))) == "columns come more than once: Cells_AreaShape_Area"


def test_no_features(file):
    text = _text(header="Metadata_Plate,Metadata_Well", rows=["BR00116991,A01"])
    assert _refused(file(text)) == "expected features beside the Metadata_ columns, found none"


def test_only_a_header(file):
    assert _refused(file(HEADER + "\n")) == "expected a row for each well, found only a header"


def test_a_well_that_comes_twice(file):
    assert _refused(file(_text(rows=[*ROWS, ROWS[1], ROWS[1]]))) == "wells come more than once: A02"


@pytest.mark.parametrize("well", ["A1", "a01", "Q01", "A25", "A00", "", " A01"])
def test_what_is_no_well(file, well):
    assert _refused(file(_text().replace("A01", well))) == f"expected wells A01 to P24, found {well!r}"


@pytest.mark.parametrize("barcode", ["BR00116992", "BR00116991A", ""])
def test_another_plate(file, barcode):
    text = _text(rows=[*ROWS, f"{barcode},C01,1,2,3"])
    assert _refused(file(text)) == f"expected Metadata_Plate BR00116991 in every row, found {barcode!r}"


@pytest.mark.parametrize("value", ["abc", "1.2.3", "TRUE", "1,5", "--"])
def test_a_feature_value_that_is_no_number(file, value):
    said = _refused(file(_text().replace("1e-05", f'"{value}"')))
    assert said == f"feature Nuclei_Texture_Contrast_DNA of well A02 must be a number, found {value!r}"


@pytest.mark.parametrize("value", ["inf", "-inf", "1e39"])
def test_a_feature_value_that_is_not_finite(file, value):
    said = _refused(file(_text().replace("1e-05", value).replace("1024.5", "-inf")))
    assert said == (
        "2 feature values are infinite or too large for float32: "
        "Cells_AreaShape_Area of well A01, Nuclei_Texture_Contrast_DNA of well A02"
    )


@pytest.mark.parametrize("place", ["Metadata_Object_Count", "0123", "1e-05"])
def test_text_in_another_encoding(file, place):
    content = _text().encode().replace(place.encode(), "Größe".encode("latin-1"))
    assert "UTF-8" in _refused(file(content))

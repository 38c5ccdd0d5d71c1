"""Files that users get and give: what is in them, and that nothing of theirs is misread or half written."""

import gzip

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from cpjump_assets.science.errors import BadTableError, StoreError
from cpjump_assets.storage.export import export_table, read_user_csv


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "Metadata_Plate": ["007", "BR00117010"],
            "Metadata_target": pd.array([None, 'A "quoted", µ\nname'], dtype="str"),
            "wells": [1, 384],
            "share": [0.1, 1 / 3],
        },
        index=[5, 3],
    )


def test_csv_holds_the_columns_alone_with_unix_line_ends(frame, tmp_path):
    path = tmp_path / "new" / "table.csv"
    export_table(frame, path)
    assert (
        path.read_bytes()
        == (
            "Metadata_Plate,Metadata_target,wells,share\n"
            "007,,1,0.1\n"
            'BR00117010,"A ""quoted"", µ\nname",384,0.3333333333333333\n'
        ).encode()
    )


def test_parquet_gives_the_table_back_without_its_index(frame, tmp_path):
    path = tmp_path / "table.parquet"
    export_table(frame, path)
    assert_frame_equal(pd.read_parquet(path), frame.reset_index(drop=True))


def test_what_was_exported_as_csv_is_read_back_as_text(frame, tmp_path):
    path = tmp_path / "table.csv"
    export_table(frame, path)
    assert_frame_equal(read_user_csv(path), frame.reset_index(drop=True).astype("str"))


@pytest.mark.parametrize("name", ["table", "table.xlsx", "table.csv.gz", "table.CSV"])
def test_another_suffix_is_refused_and_nothing_is_written(frame, tmp_path, name):
    with pytest.raises(StoreError, match=r"expected a name that ends in \.csv or \.parquet"):
        export_table(frame, tmp_path / "new" / name)
    assert not list(tmp_path.iterdir())


class _Unprintable:
    def __str__(self):
        raise RuntimeError("in the middle of the table")


def test_a_write_that_fails_half_way_leaves_the_former_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("former\n")
    rows = [0] * 150_000  # more than the writer holds back before it writes the first rows
    with pytest.raises(RuntimeError, match="in the middle"):
        export_table(pd.DataFrame({"a": pd.Series([*rows, _Unprintable()], dtype=object)}), path)
    assert path.read_text() == "former\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_folder_that_cannot_be_made_is_a_clear_refusal(frame, tmp_path, suffix):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match=f"cannot write table{suffix} in "):
        export_table(frame, tmp_path / "file" / f"table{suffix}")


def _given(tmp_path, content, name="given.csv"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_values_stay_the_text_that_they_are(tmp_path):
    frame = read_user_csv(_given(tmp_path, b"\xef\xbb\xbfplate,fold,on\n007,1.0,true\n1e3,-0,\xc2\xb5\n"))
    assert frame.to_dict("list") == {"plate": ["007", "1e3"], "fold": ["1.0", "-0"], "on": ["true", "µ"]}


def test_empty_cells_and_marks_of_missing_values_are_missing(tmp_path):
    frame = read_user_csv(_given(tmp_path, b"subset,n\ntrain,1\n,2\nNA,3\nnan,4\n"))
    assert frame["subset"].isna().tolist() == [False, True, True, True]


@pytest.mark.parametrize("more", [b"extra", b""], ids=["a value too many", "a comma at the end"])
def test_rows_longer_than_the_header_never_shift_the_columns(tmp_path, more):
    content = b"Metadata_Plate,Metadata_Well,subset\nBR00117010,A01,train," + more + b"\n"
    with pytest.raises(BadTableError, match=r"given\.csv: expected a value for each name of the header"):
        read_user_csv(_given(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "No columns to parse"),
        (b"\n\n", "No columns to parse"),
        (b"a,b\n1,2\n3,4,5\n", "Expected 2 fields in line 3, saw 3"),
        (b'a,b\n"1,2\n', "EOF inside string"),
        ("subset\nfür\n".encode("latin-1"), "utf-8"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "utf-8"),
        (b"a,b\n", "expected a row for each well below the header, found none"),
    ],
    ids=["nothing", "blank lines", "a value too many", "an open quote", "latin-1", "compressed", "no rows"],
)
@pytest.mark.parametrize("name", ["given.csv", "given.csv.gz", "given.zip"])
def test_what_is_no_table_is_refused_in_one_line_that_names_the_file(tmp_path, content, said, name):
    with pytest.raises(BadTableError, match=said) as caught:
        read_user_csv(_given(tmp_path, content, name))
    assert str(caught.value).startswith(f"{name}: expected a ")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_opened_says_why(tmp_path):
    with pytest.raises(BadTableError, match=r"^absent\.csv cannot be read: No such file"):
        read_user_csv(tmp_path / "absent.csv")
    with pytest.raises(BadTableError, match="cannot be read: Is a directory"):
        read_user_csv(tmp_path)

"""Profile tables: one matrix to us, named columns to everybody else, and nothing taken on trust."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cpjump_assets.science.errors import StoreError
from cpjump_assets.science.features import Profiles
from cpjump_assets.storage.atomic import atomic_path
from cpjump_assets.storage.profile_table import ProfileTable, _read_block, write_profile_table

N, P = 24, 61


@pytest.fixture
def profiles() -> Profiles:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(N, P)).astype(np.float32)
    X[3, 7], X[4, 8], X[:, 9] = np.nan, np.inf, np.nan
    metadata = pd.DataFrame(
        {
            "Metadata_Well": [f"A{well:02d}" for well in range(1, N + 1)],
            "Metadata_row": np.arange(N),
            "Metadata_target": pd.Series([None, *["TP53"] * (N - 1)], dtype="str"),
            "Metadata_target_is_across": pd.array([None, *[True] * (N - 1)], dtype="boolean"),
        }
    )
    return Profiles(metadata, np.asfortranarray(X), tuple(f"Cells_Feature_{index}" for index in range(P)))


@pytest.fixture
def path(tmp_path: Path, profiles: Profiles) -> Path:
    write_profile_table(tmp_path / "table.parquet", profiles, {b"made": b"by us"})
    return tmp_path / "table.parquet"


def _assert_same(found: Profiles, expected: Profiles) -> None:
    pd.testing.assert_frame_equal(found.metadata, expected.metadata)
    assert found.features == expected.features
    np.testing.assert_array_equal(found.matrix, expected.matrix)
    assert found.matrix.dtype == np.float32


def _reads_as_block(path: Path) -> bool:
    table = ProfileTable(path)
    with path.open("rb") as stream:
        return table._block is not None and _read_block(stream, table._block, 0, len(table.features)) is not None


def test_profiles_read_back_as_they_were_written(path: Path, profiles: Profiles) -> None:
    _assert_same(ProfileTable(path).read(), profiles)
    assert _reads_as_block(path)
    assert pq.read_metadata(path).metadata[b"made"] == b"by us"


@pytest.mark.parametrize(("start", "stop"), [(0, None), (5, 12), (P - 1, P), (4, 4), (9, 2), (50, 900), (-3, None)])
def test_some_features_are_those_of_the_whole(path: Path, profiles: Profiles, start: int, stop: int | None) -> None:
    found = ProfileTable(path).values(start, stop)
    np.testing.assert_array_equal(found, profiles.matrix[:, start:stop])
    assert found.T.flags.c_contiguous


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_memory_order_and_precision_gives_equal_bytes(
    path: Path, profiles: Profiles, tmp_path: Path, order: str, dtype: type
) -> None:
    other = profiles.with_matrix(np.array(profiles.matrix, dtype=dtype, order=order))
    write_profile_table(tmp_path / "other.parquet", other, {b"made": b"by us"})
    assert (tmp_path / "other.parquet").read_bytes() == path.read_bytes()


def test_pandas_polars_and_duckdb_see_named_columns(path: Path, profiles: Profiles) -> None:
    expected = profiles.to_frame()
    frame = pd.read_parquet(path)
    assert list(frame) == list(expected)
    np.testing.assert_array_equal(frame[list(profiles.features)].to_numpy(), profiles.matrix)
    polars = pl.read_parquet(path, columns=["Metadata_Well", "Cells_Feature_7"])
    assert polars["Metadata_Well"].to_list() == expected["Metadata_Well"].tolist()
    np.testing.assert_array_equal(polars["Cells_Feature_7"].to_numpy(), profiles.matrix[:, 7])
    found = duckdb.sql(f"select Metadata_Well, Cells_Feature_2 from '{path}' where Metadata_row = 11").fetchall()
    assert found == [("A12", pytest.approx(float(profiles.matrix[11, 2])))]


@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_a_file_that_something_else_wrote_is_read_column_by_column(
    profiles: Profiles, tmp_path: Path, compression: str
) -> None:
    other = tmp_path / "other.parquet"
    profiles.to_frame().to_parquet(other, index=False, compression=compression)
    assert ProfileTable(other)._block is None
    _assert_same(ProfileTable(other).read(), profiles)
    np.testing.assert_array_equal(ProfileTable(other).values(5, 9), profiles.matrix[:, 5:9])


def test_columns_that_lie_elsewhere_than_the_first_and_last_say_are_not_taken_as_a_block(
    path: Path, profiles: Profiles
) -> None:
    """A page header in the middle is changed: the block reader must notice, and Parquet itself refuse."""
    block = ProfileTable(path)._block
    assert block is not None
    content = bytearray(path.read_bytes())
    content[block.offset + 30 * block.stride + 1] ^= 0x7F
    path.write_bytes(content)
    np.testing.assert_array_equal(ProfileTable(path).values(0, 30), profiles.matrix[:, :30])
    with pytest.raises((OSError, pa.ArrowInvalid), match=r"Cells_Feature_30|header|page"):
        ProfileTable(path).values()


def test_one_well_one_feature_and_no_well(tmp_path: Path, profiles: Profiles) -> None:
    for rows, columns in ((1, 1), (1, P), (N, 1), (0, P)):
        small = Profiles(
            profiles.metadata.iloc[:rows].assign(Metadata_target_is_across=True),
            profiles.matrix[:rows, :columns],
            profiles.features[:columns],
        )
        write_profile_table(tmp_path / "small.parquet", small, {})
        np.testing.assert_array_equal(ProfileTable(tmp_path / "small.parquet").values(), small.matrix)


def test_a_batch_of_many_wells_stays_one_page_a_column(tmp_path: Path) -> None:
    n = 300_000  # 1.2 MB a column, more than a page has by default
    X = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    big = Profiles(pd.DataFrame({"Metadata_Well": ["A01"] * n}), X, ("a", "b", "c"))
    write_profile_table(tmp_path / "big.parquet", big, {})
    assert _reads_as_block(tmp_path / "big.parquet")
    np.testing.assert_array_equal(ProfileTable(tmp_path / "big.parquet").values(), X)


def _write_elsewhere(path: Path, frame: pd.DataFrame, *, required: bool = True, **options: object) -> None:
    """Write as another program may: plain and uncompressed like ours, but not in our layout."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    fields = [
        pa.field(item.name, item.type, nullable=not required or item.name == "Metadata_Well") for item in table.schema
    ]
    options = {"use_dictionary": False, "write_statistics": False, "compression": "none", **options}
    pq.write_table(table.cast(pa.schema(fields)), path, **options)


def _frame(n: int, p: int) -> pd.DataFrame:
    values = np.random.default_rng(2).normal(size=(n, p)).astype(np.float32)
    frame = pd.DataFrame(values, columns=[f"F{feature}" for feature in range(p)])
    frame.insert(0, "Metadata_Well", [f"W{well}" for well in range(n)])
    return frame


@pytest.mark.parametrize(
    ("n", "p", "alter", "options"),
    [
        pytest.param(384, 5, {}, {"use_byte_stream_split": [f"F{f}" for f in range(5)]}, id="bytes apart"),
        pytest.param(384, 5, {"F2": np.arange(384, dtype=np.int32)}, {}, id="integers in the middle"),
        pytest.param(384, 5, {}, {"data_page_version": "2.0"}, id="other pages"),
        pytest.param(50_000, 1, {}, {"max_rows_per_page": 20_000}, id="several pages"),
        pytest.param(384, 5, dict.fromkeys([f"F{f}" for f in range(5)], np.zeros(384, np.float32)), {}, id="zeros"),
        pytest.param(384, 5, {}, {"row_group_size": 100}, id="several row groups"),
        pytest.param(384, 5, {}, {"required": False}, id="nothing is null"),
    ],
)
def test_a_plain_file_of_another_layout_is_read_right(
    tmp_path: Path, n: int, p: int, alter: dict[str, np.ndarray], options: dict[str, object]
) -> None:
    frame = _frame(n, p).assign(**alter)
    _write_elsewhere(tmp_path / "other.parquet", frame, **options)
    np.testing.assert_array_equal(ProfileTable(tmp_path / "other.parquet").values(), frame.iloc[:, 1:].to_numpy())


@pytest.mark.parametrize("n_null", [1, 3, 7, 13])
def test_wells_without_any_value_are_no_reason_to_shift_the_others(tmp_path: Path, n_null: int) -> None:
    """A null takes no bytes: so many in the same wells of all features make columns of equal length, not of ours."""
    frame = _frame(384, 3)
    frame.iloc[5 : 5 + n_null, 1:] = np.nan
    _write_elsewhere(tmp_path / "other.parquet", frame, required=False)
    np.testing.assert_array_equal(ProfileTable(tmp_path / "other.parquet").values(), frame.iloc[:, 1:].to_numpy())


def test_metadata_between_features_and_names_of_all_kinds(tmp_path: Path) -> None:
    frame = _frame(24, 3).rename(columns={"F0": "Zellen.Größe", "F1": "a, b", "F2": "細胞"})
    frame.insert(2, "Metadata_between", range(24))
    _write_elsewhere(tmp_path / "other.parquet", frame)
    table = ProfileTable(tmp_path / "other.parquet")
    assert table.features == ("Zellen.Größe", "a, b", "細胞")
    assert list(table.metadata) == ["Metadata_Well", "Metadata_between"]
    np.testing.assert_array_equal(table.values(), frame[list(table.features)].to_numpy())
    write_profile_table(tmp_path / "ours.parquet", table.read(), {})
    assert _reads_as_block(tmp_path / "ours.parquet")
    _assert_same(ProfileTable(tmp_path / "ours.parquet").read(), table.read())


def test_a_feature_of_text_is_refused(tmp_path: Path) -> None:
    _write_elsewhere(tmp_path / "other.parquet", _frame(24, 3).assign(F1="much"))
    with pytest.raises(StoreError, match=r"other\.parquet: expected numbers in feature F1, found .*string"):
        ProfileTable(tmp_path / "other.parquet").values()


def test_a_file_that_was_replaced_since_it_was_opened_is_refused(path: Path, profiles: Profiles) -> None:
    """Other wells in the same layout: their values would be taken for those of the wells that were read before."""
    table = ProfileTable(path)
    turned = Profiles(profiles.metadata[::-1].reset_index(drop=True), profiles.matrix[::-1], profiles.features)
    with atomic_path(path) as part:
        write_profile_table(part, turned, {b"made": b"by us"})
    with pytest.raises(StoreError, match=r"table\.parquet was replaced or altered after it was opened"):
        table.values()
    _assert_same(ProfileTable(path).read(), turned)

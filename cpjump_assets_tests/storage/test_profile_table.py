"""Profile tables: one matrix to us, named columns to everybody else, and nothing taken on trust."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cpjump_assets.science.features import Profiles
from cpjump_assets.storage.profile_table import ProfileTable, write_profile_table

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
    return table._block is not None and table._read_block(table._block, 0, len(table.features)) is not None


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

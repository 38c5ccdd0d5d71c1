import numpy as np
import pandas as pd
import pytest

from benchmarks import stored_layout
from benchmarks.processes import Measured
from benchmarks.profile_own import digest
from benchmarks.stored_layout import LAYOUTS, drawn_batch, measure, opened_by
from cpjump_assets.science.features import stack

OPENED = {
    "wide Parquet, zstd, with statistics": ("pandas", "polars", "DuckDB"),
    "wide Parquet, plain, by pyarrow": ("pandas", "polars", "DuckDB"),
    "wide Parquet, plain, as a block (ours)": ("pandas", "polars", "DuckDB"),
    "Parquet, one column of lists": (),
    "Arrow IPC (Feather), wide": ("pandas", "polars"),
    ".npy beside a table": (),
}


@pytest.fixture(scope="module")
def batch():
    return drawn_batch(2, 40)


@pytest.mark.parametrize("layout", LAYOUTS, ids=[layout.name for layout in LAYOUTS])
def test_a_layout_gives_back_what_was_written(tmp_path, batch, layout):
    layout.write(tmp_path / "plate", batch[0])
    read = layout.read(tmp_path / "plate")
    assert read.features == batch[0].features and read.matrix.dtype == np.float32
    np.testing.assert_array_equal(read.matrix, batch[0].matrix)
    pd.testing.assert_frame_equal(read.metadata, batch[0].metadata)
    assert opened_by(tmp_path / "plate", batch[0]) == OPENED[layout.name]


def test_a_tool_that_gives_other_values_does_not_open_a_layout(tmp_path, batch):
    LAYOUTS[0].write(tmp_path / "plate", batch[0])
    assert opened_by(tmp_path / "plate", batch[1]) == ()


def test_a_row_says_whether_the_values_came_back(tmp_path, batch, monkeypatch):
    monkeypatch.setattr(
        stored_layout, "in_fresh_process", lambda work, *arguments, cores=1: Measured(1.0, 50.0, work(*arguments)[1])
    )
    expected = digest(stack(batch).matrix)
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    made = measure(LAYOUTS[5], tmp_path / "a", batch, expected)
    assert made.agrees and made.megabytes > 0.06 and made.batch_mb == 50
    assert not measure(LAYOUTS[5], tmp_path / "b", batch[::-1], expected).agrees

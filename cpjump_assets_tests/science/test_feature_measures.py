"""What is measured of each feature by itself, against numpy on the whole matrix."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science import feature_measures, plate_stream
from cpjump_assets.science.feature_measures import measure_features
from cpjump_assets.science.plate_stream import stream_of
from cpjump_assets_tests.science.helpers_selection import batch_of, cut, messy

SIZES = [40, 10, 30, 40]


@pytest.fixture(params=["one block", "many blocks"])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "many blocks":
        monkeypatch.setattr(plate_stream, "PIECE_WELLS", 16)
        monkeypatch.setattr(plate_stream, "BLOCK_BYTES", 7 * 120 * 8)
        monkeypatch.setattr(feature_measures, "SLICE_VALUES", 3 * 120)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_measures_are_those_of_the_whole_matrix(dtype: str) -> None:
    batch = messy(1)
    X = batch.matrix.astype(dtype)
    X[5] = np.nan
    X[5, 30] = 1.0
    stream = stream_of(cut(batch.with_matrix(X), SIZES))
    found = measure_features(stream)
    finite = np.isfinite(X)
    values = np.where(finite, X, np.nan).astype(float)
    assert found.n_nan.tolist() == np.isnan(X).sum(axis=0).tolist()
    assert found.n_missing.tolist() == (~finite).sum(axis=0).tolist()
    assert found.n_missing_by_well.tolist() == (~finite).sum(axis=1).tolist()
    assert found.n_plates_missing.tolist() == (~finite.reshape(3, 40, -1).any(axis=1)).sum(axis=0).tolist()
    assert np.flatnonzero(found.constant).tolist() == [0, 1]
    frame = pd.DataFrame(values)
    np.testing.assert_allclose(found.mean[2:], frame.mean().to_numpy()[2:], atol=1e-14)
    np.testing.assert_allclose(found.norm**2, frame.var(ddof=0).fillna(0) * finite.sum(axis=0), rtol=1e-12, atol=1e-14)
    Z = np.nan_to_num((values - found.mean)[:, 2:] / found.norm[2:])
    for k, piece in enumerate(stream.pieces):
        rows = slice(piece.start, piece.start + piece.size)
        assert found.present[:, k].tolist() == finite[rows].sum(axis=0).tolist()
        np.testing.assert_allclose(found.sums[2:, k], Z[rows].sum(axis=0), atol=1e-13)
        np.testing.assert_allclose(found.squares[2:, k], (Z[rows] ** 2).sum(axis=0), atol=1e-13)


def test_ratios_are_of_all_wells_and_nan_is_no_value() -> None:
    X = np.array([[1, 1, 1, 1, 2, 2, 3, np.nan], [0.0, -0.0, 1, 1, 1, 1, 1, 1], [5] * 8, [np.nan] * 8]).T
    found = measure_features(stream_of([batch_of(X)]))
    assert found.frequency_ratio.tolist() == [0.5, 2 / 6, 0.0, 0.0]
    assert found.unique_ratio.tolist() == [3 / 8, 2 / 8, 1 / 8, 0.0]


def test_a_plate_in_two_tables_is_one_plate() -> None:
    X = np.random.default_rng(1).normal(size=(80, 3))
    X[:20, 1] = np.nan  # half a plate
    X[40:, 2] = np.nan  # a whole one
    found = measure_features(stream_of(cut(batch_of(X), [20, 35, 25])))
    assert found.n_plates_missing.tolist() == [0, 0, 1]


@pytest.mark.filterwarnings("ignore:overflow")
def test_values_whose_squares_no_number_can_hold_count_as_constant() -> None:
    X = np.random.default_rng(2).normal(size=(40, 3)) * [1.0, 1e-200, 1e200]
    found = measure_features(stream_of([batch_of(X)]))
    assert found.constant.tolist() == [False, True, True]
    assert found.unique_ratio.tolist() == [1.0] * 3

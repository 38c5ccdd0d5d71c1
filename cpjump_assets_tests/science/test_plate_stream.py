"""Plates read some wells or some features at a time, against all of them in memory."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science import plate_stream
from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.features import Profiles, stack
from cpjump_assets.science.plate_stream import stream_of
from cpjump_assets_tests.science.helpers_selection import CountedPlate, batch_of, cut

NAMES = tuple(f"Cells_{i}" for i in range(11))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plate_stream, "PIECE_WELLS", 4)
    monkeypatch.setattr(plate_stream, "BLOCK_BYTES", 3 * 19 * 8)


def plates_of(sizes, dtype="float64"):
    return cut(batch_of(np.random.default_rng(1).normal(size=(sum(sizes), 11)).astype(dtype), names=NAMES), sizes)


def test_pieces_and_blocks_hold_every_value_once() -> None:
    plates = plates_of([3, 9, 0, 1, 6])
    X = stack(plates).matrix
    stream = stream_of(plates)
    pieces = dict(stream.read())
    assert [piece.size for piece in stream.pieces] == [3, 4, 4, 1, 1, 4, 2]
    assert [piece.start for piece in stream.pieces] == [0, 3, 7, 11, 12, 13, 17]
    np.testing.assert_array_equal(np.concatenate(list(pieces.values()), axis=1), X.T)
    blocks = list(stream.feature_blocks())
    assert [block.shape for _, block in blocks] == [(3, 19)] * 3 + [(2, 19)]
    for features, block in blocks:
        np.testing.assert_array_equal(block, X.T[features])
    assert stream.n_wells == 19


def test_only_plates_with_wanted_pieces_are_read_each_once() -> None:
    plates = [CountedPlate(seed, 9, NAMES) for seed in range(3)]
    stream = stream_of(plates)
    for plate in plates:
        plate.reads.clear()
    wanted = np.array([False, False, False, True, False, True, False, False, False])
    assert [position for position, _ in stream.read(wanted)] == [3, 5]
    assert [plate.reads for plate in plates] == [[], [(0, None)], []]


def test_features_are_aligned_to_the_first_plate_by_name() -> None:
    first, second = plates_of([4, 15])
    turned = second.take_features(np.arange(11)[::-1])
    stream = stream_of([first, turned])
    np.testing.assert_array_equal(
        np.concatenate([values for _, values in stream.read()], axis=1), stack([first, second]).matrix.T
    )
    for features, block in stream.feature_blocks():
        np.testing.assert_array_equal(block[:, 4:], second.matrix.T[features])
    assert stream.features == NAMES
    pd.testing.assert_frame_equal(stream.plates[1].metadata, second.metadata)


def test_float32_stays_unless_a_plate_is_float64() -> None:
    single = plates_of([4, 15], dtype="float32")
    assert stream_of(single).dtype == np.float32
    assert stream_of([single[0], plates_of([4, 15])[1]]).dtype == np.float64


def test_a_well_is_found_again() -> None:
    plates = plates_of([3, 9, 0, 7])
    stream = stream_of(plates)
    together = pd.concat([plate.metadata for plate in plates], ignore_index=True)
    for position in range(19):
        metadata, row = stream.well(position)
        assert metadata.iloc[row].tolist() == together.iloc[position].tolist()


def test_no_plate_and_plates_that_differ_are_refused() -> None:
    with pytest.raises(ProfileError, match="no plate to select features on"):
        stream_of([])
    first, second = batch_of(np.ones((2, 2))), batch_of(np.ones((2, 3)), first=7)
    with pytest.raises(
        ProfileError, match=r"plate b\.BR7 has other features than plate b\.BR0: it adds 1 \(Cells_F2\)"
    ):
        stream_of([first, second])
    with pytest.raises(ProfileError, match="Metadata_Plate is missing"):
        stream_of([Profiles(first.metadata.drop(columns="Metadata_Plate"), first.matrix, first.features)])

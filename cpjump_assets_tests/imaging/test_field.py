"""Cutting and shrinking fields: place, size, and no light lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpjump_assets.imaging.field import MICROMETRES_PER_PIXEL, middle, resized, side_in_pixels


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0.1, 80))
def test_the_middle_lies_in_the_middle(height, width, micrometres):
    side = side_in_pixels((height, width), micrometres)
    rows, columns = np.mgrid[:height, :width]
    cut = middle(rows, side), middle(columns, side)
    assert cut[0].shape == (side, side)
    for numbers, length in zip(cut, (height, width), strict=True):
        before, after = numbers.min(), length - 1 - numbers.max()
        assert 0 <= after - before <= 1
    assert side == min(height, width) or abs(side * MICROMETRES_PER_PIXEL - micrometres) <= MICROMETRES_PER_PIXEL


def test_no_width_shows_the_largest_square():
    assert side_in_pixels((1080, 1080), None) == 1080
    assert side_in_pixels((700, 1080), None) == 700
    assert side_in_pixels((1080, 1080), 300.0) == 502


@pytest.mark.parametrize("side", [10, 33, 100])
def test_light_is_averaged_and_stays_where_it_was(side):
    pixels = np.full((100, 100), 400, np.uint16)
    pixels[:50] = 4000
    shrunk = resized(pixels, side)
    assert shrunk.shape == (side, side)
    assert shrunk.mean() == pytest.approx(pixels.mean(), rel=0.02)
    assert shrunk[: side // 2 - 2].min() > 3500
    assert shrunk[side // 2 + 2 :].max() < 900


def test_a_pattern_finer_than_the_tile_becomes_its_mean_and_no_new_pattern():
    stripes = np.tile(np.array([0, 1000], np.uint16), (120, 60))
    shrunk = resized(stripes, 37)
    assert np.ptp(shrunk[3:-3, 3:-3]) < 30

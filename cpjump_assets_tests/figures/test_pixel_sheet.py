"""Sheets of pixels: words that fit, bars that are as long as they say, files that stay small."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cpjump_assets.figures.pixel_sheet import (
    GROUND,
    absent_tile,
    add_scale_bar,
    band,
    captions_block,
    scale_bar,
    stacked,
    to_png,
    to_small_png,
    words_block,
)
from cpjump_assets.imaging.field import MICROMETRES_PER_PIXEL

_LETTERS = st.text(st.characters(codec="latin-1", categories=["L", "N", "P"]), min_size=1, max_size=60)


def _written(block):
    """Tell where a block differs from the ground."""
    return (np.asarray(block) != GROUND).any(axis=2)


@settings(max_examples=40, deadline=None)
@given(st.lists(_LETTERS, min_size=1, max_size=12), st.integers(60, 400), st.integers(8, 30))
def test_words_wrap_and_nothing_is_cut_off_at_the_side(words, width, size):
    text = " ".join(words)
    block, roomy = words_block(text, width, size), words_block(text, 40_000, size)
    assert block.width == width
    lines = block.height // round(size * 1.3)
    assert lines >= roomy.height // round(size * 1.3)
    # Letters may be smoothed a little differently at another place, but as many are there.
    ink, roomy_ink = _written(block).sum(), _written(roomy).sum()
    assert ink == pytest.approx(roomy_ink, rel=0.12, abs=12)


def test_more_words_take_more_lines_and_the_last_line_is_inside():
    block = words_block("perturbation " * 20, 120, 12)
    assert block.height > words_block("perturbation", 120, 12).height
    assert not _written(block)[-1].any()


def test_captions_stand_in_the_middle_of_their_tiles():
    side, gap, white = 120, 4, (255, 255, 255)
    block = captions_block(["Mito", "a much longer caption of several words"], side, gap, 12, [white, white])
    assert block.width == 2 * side + gap
    for column in range(2):
        ink = np.flatnonzero(_written(block)[:, column * (side + gap) :][:, :side].any(axis=0))
        assert (ink[0] + ink[-1]) / 2 == pytest.approx(side / 2, abs=3)
        assert ink[0] >= 0


def test_bands_and_stacks_lose_and_cover_no_pixel():
    rng = np.random.default_rng(0)
    tiles = [Image.fromarray(rng.integers(0, 256, (20, 20, 3)).astype(np.uint8)) for _ in range(6)]
    sheet = np.asarray(stacked([band(tiles[:3], 5), band(tiles[3:], 5)], gap=7, margin=9))
    assert sheet.shape == (20 * 2 + 7 + 18, 20 * 3 + 10 + 18, 3)
    for number, tile in enumerate(tiles):
        top, left = 9 + number // 3 * 27, 9 + number % 3 * 25
        np.testing.assert_array_equal(sheet[top : top + 20, left : left + 20], np.asarray(tile))
    assert (sheet[:9] == GROUND).all()


@pytest.mark.parametrize("side", [64, 108, 132, 150, 270, 540, 1080, 2160])
@pytest.mark.parametrize("shown", [64, 96, 335, 502, 1080, 2160])
def test_a_scale_bar_is_as_long_as_it_says_at_any_size(side, shown):
    micrometres, length = scale_bar(side, shown)
    exact = micrometres / MICROMETRES_PER_PIXEL / shown * side
    assert abs(length - exact) <= 0.5
    assert side / 8 < length <= side * 0.36 + 0.5
    assert str(int(micrometres)).strip("0") in {"1", "2", "5"}


@pytest.mark.parametrize(("side", "shown"), [(132, 502), (540, 1080)])
def test_the_bar_that_is_drawn_has_that_length(side, shown):
    tile = Image.new("RGB", (side, side), (90, 20, 20))
    add_scale_bar(tile, shown, max(side // 28, 10))
    pixels = np.asarray(tile)
    white = (pixels == 255).all(axis=2)
    lengths = white.sum(axis=1)[side - side // 8 :]
    assert lengths.max() == scale_bar(side, shown)[1]
    assert not white[:, -2:].any()
    assert (pixels[: side // 2] == (90, 20, 20)).all()


def test_what_is_absent_is_grey_with_a_word():
    pixels = np.asarray(absent_tile(132, 12)).reshape(-1, 3)
    colours, counts = np.unique(pixels, axis=0, return_counts=True)
    assert (np.ptp(colours.astype(int), axis=1) == 0).all()
    assert 0.9 < counts.max() / len(pixels) < 1.0
    assert 50 < colours[counts.argmax()][0] < 110


def _noise(side, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8))


def test_a_png_has_every_pixel_as_it_is():
    sheet = _noise(90)
    with Image.open(io.BytesIO(to_png(sheet))) as read:
        np.testing.assert_array_equal(np.asarray(read.convert("RGB")), np.asarray(sheet))


@pytest.mark.parametrize("largest", [15_000, 5_000, 2_200])
def test_even_noise_becomes_a_png_of_the_size_that_is_allowed(largest):
    content = to_small_png(_noise(120), largest)
    assert largest / 4 < len(content) <= largest
    assert content == to_small_png(_noise(120), largest)
    with Image.open(io.BytesIO(content)) as read:
        assert (read.format, read.size) == ("PNG", (120, 120))


def test_a_sheet_that_cannot_be_that_small_is_refused():
    with pytest.raises(ValueError, match="120 x 120 pixels does not fit into 900 bytes"):
        to_small_png(_noise(120), 900)

"""Display ranges, colours and the maximum composite, against a pixel-by-pixel oracle and the paper's words."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cpjump_assets.imaging.composite import (
    CONTROL_PERCENTILES,
    GREY,
    PAPER_COLOURS,
    PAPER_RANGES,
    DisplayRange,
    composite,
    paint,
    ranges_of,
)
from cpjump_assets.science.channels import CHANNELS, FLUORESCENCE
from cpjump_assets_tests.real_sites import real_sites

_IMAGES = hnp.arrays(np.uint16, (3, 4))
_SITES = st.fixed_dictionaries(dict.fromkeys(FLUORESCENCE, _IMAGES))


def _brute_colour(value, colours, shown):
    """Give the colour of one intensity by plain arithmetic."""
    share = min(max((value - shown.low) / (shown.high - shown.low), 0.0), 1.0)
    place = round(share * 255) / 255 * (len(colours) - 1)
    below = min(int(place), len(colours) - 2)
    return [
        round(low + (high - low) * (place - below))
        for low, high in zip(colours[below], colours[below + 1], strict=True)
    ]


def _brute_composite(channels):
    height, width = next(iter(channels.values())).shape
    return [
        [
            [
                max(
                    _brute_colour(int(pixels[y, x]), PAPER_COLOURS[name], PAPER_RANGES[name])[part]
                    for name, pixels in channels.items()
                )
                for part in range(3)
            ]
            for x in range(width)
        ]
        for y in range(height)
    ]


@settings(max_examples=40)
@given(_SITES)
def test_a_composite_is_the_greatest_red_green_and_blue_of_all_channels(channels):
    made = composite(channels)
    assert (made.dtype, made.shape) == (np.uint8, (3, 4, 3))
    # Single precision may round a level, and so 3 of 255 of the steepest colours, the other way.
    np.testing.assert_allclose(made.astype(int), _brute_composite(channels), atol=3)


@settings(max_examples=25)
@given(_SITES, st.permutations(FLUORESCENCE))
def test_the_order_of_channels_does_not_matter_and_one_more_only_brightens(channels, order):
    made = composite(channels)
    np.testing.assert_array_equal(made, composite({name: channels[name] for name in order}))
    assert (made >= composite({name: channels[name] for name in order[1:]})).all()


@pytest.mark.parametrize("name", FLUORESCENCE)
def test_more_light_is_never_darker_and_the_ends_have_the_end_colours(name):
    colours, shown = PAPER_COLOURS[name], PAPER_RANGES[name]
    ramp = paint(np.arange(65_536, dtype=np.uint16).reshape(256, 256), colours, shown).reshape(-1, 3)
    assert (np.diff(ramp.astype(int), axis=0) >= 0).all()
    assert (ramp[: int(shown.low) + 1] == 0).all()
    assert (ramp[int(shown.high) :] == colours[-1]).all()
    assert len(np.unique(ramp, axis=0)) == 256


def test_ranges_and_colours_are_those_the_paper_names(reference_root):
    paper = reference_root.parents[1] / "documents" / "paper_2024.txt"
    if not paper.is_file():
        pytest.skip("the text of the paper is not beside the reference data")
    named = re.findall(r"channel (\d) \((\w+)\): ([\w ]+) \(([\d,]+)\W([\d,]+)\)", paper.read_text())
    words = {"Red": [255, 0, 0], "Yellow": [255, 255, 0], "Green": [0, 255, 0], "Cyan": [0, 255, 255]}
    assert {name.lower() for _, name, *_ in named} == {name.lower() for name in FLUORESCENCE}
    for number, name, colour, low, high in named:
        channel = CHANNELS[int(number) - 1]
        assert channel.lower() == name.lower()
        assert PAPER_RANGES[channel] == tuple(int(end.replace(",", "")) for end in (low, high))
        if colour == "Orange Hot":
            assert channel == "AGP"
        else:
            assert list(PAPER_COLOURS[channel][-1]) == words[colour]


def test_orange_hot_is_the_table_of_fiji_to_a_few_levels():
    # Entries of Fiji's "Orange Hot": black over orange and yellow to white.
    known = {0: (0, 0, 0), 42: (125, 63, 0), 85: (255, 128, 0), 128: (255, 191, 0), 171: (255, 255, 2), 255: (255,) * 3}
    made = paint(np.arange(256).reshape(16, 16), PAPER_COLOURS["AGP"], DisplayRange(0, 255)).reshape(-1, 3)
    np.testing.assert_allclose(made[list(known)].astype(int), list(known.values()), atol=4)


def test_ranges_of_a_control_clip_its_tails():
    rng = np.random.default_rng(0)
    control = {name: rng.integers(0, 40_000, (200, 200)).astype(np.uint16) for name in CHANNELS}
    ranges = ranges_of(control)
    assert list(ranges) == list(CHANNELS)
    for name, shown in ranges.items():
        painted = paint(control[name], GREY, shown)[..., 0]
        # 256 levels: one level at each end is in range and yet black or white.
        assert (painted == 0).mean() == pytest.approx(CONTROL_PERCENTILES[0] / 100, abs=0.004)
        assert (painted == 255).mean() == pytest.approx(1 - CONTROL_PERCENTILES[1] / 100, abs=0.004)


def test_a_constant_control_gives_a_range_that_can_be_painted():
    ranges = ranges_of({"Mito": np.full((4, 4), 700, np.uint16)})
    painted = paint(np.array([[699, 700, 701]], np.uint16), GREY, ranges["Mito"])
    assert painted[0, :, 0].tolist() == [0, 0, 255]


def test_channels_of_different_shapes_or_none_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 2\), \(2, 3\)"):
        composite({"Mito": np.zeros((2, 2)), "DNA": np.zeros((2, 3))})
    with pytest.raises(ValueError, match="found \\[\\]"):
        composite({})


def test_the_real_sites_are_dark_where_nothing_is_and_not_clipped(reference_root):
    for site in real_sites(reference_root).values():
        picture = composite({name: site[name] for name in FLUORESCENCE})
        assert 0.3 < (picture.max(axis=2) < 60).mean() < 0.8
        assert (picture.min(axis=2) == 255).mean() < 0.03


def test_a_stain_that_failed_stays_visible_by_ranges_of_the_paper_and_not_by_those_of_the_control(reference_root):
    # Two of the four plates that the sites may be from have an anomaly of the MitoTracker stain.
    control = real_sites(reference_root)["DMSO"]["Mito"]
    by_paper = paint(control, PAPER_COLOURS["Mito"], PAPER_RANGES["Mito"])[..., 0]
    by_control = paint(control, PAPER_COLOURS["Mito"], ranges_of({"Mito": control})["Mito"])[..., 0]
    assert np.percentile(by_paper, 90) < 30 < 2 * np.percentile(by_paper, 90) < np.percentile(by_control, 90)

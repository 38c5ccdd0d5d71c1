"""Maps of image quality, read back from what was drawn and as pixels."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.figures.canvas import to_png
from cpjump_assets.figures.image_quality_maps import image_quality_figure
from cpjump_assets.figures.rows import NothingToDrawError
from cpjump_assets.orchestration.display import LARGEST_PNG
from cpjump_assets.science.channels import CHANNELS, FLUORESCENCE
from cpjump_assets.science.image_quality import SoundImage
from cpjump_assets.science.positions import POSITIONS
from cpjump_assets_tests.figures.pictures import pixels

TITLE = "BR00116996 · CRISPR · U2OS · 144 h · 60 of 60 selected images measured"
WELLS = ("A13", "A14", "B02", "B14", "C05", "D21", "F07", "G09", "H15", "J10", "M05", "P24")
_MEASURES = ("focus_slope", "p99", "maximum_share")


def _quality(wells=WELLS, channels=FLUORESCENCE, sites=(1,), seed=0):
    """Give images whose measures are all different; the first four wells are negative controls."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "Metadata_Well": well,
            "Metadata_Site": site,
            "channel": channel,
            "role": "negative control" if number < 4 else "perturbation",
            "status": "held",
            "focus_slope": -2.5 - 0.2 * CHANNELS.index(channel) + rng.uniform(-0.3, 0.3),
            "p99": rng.uniform(2_000, 20_000),
            "maximum_share": rng.uniform(0, 1e-3),
        }
        for number, well in enumerate(wells)
        for site in sites
        for channel in channels
    ]
    return pd.DataFrame(rows)


def _maps(figure):
    """Give the drawn images of the maps, from left to right and top to bottom; colour bars have one column."""
    (sheet,) = figure.axes
    return [image for image in sheet.images if image.get_array().shape == (16, 24)]


def _values(image):
    return np.ma.filled(image.get_array().astype(float), np.nan)


def _expected(quality, channel, measure):
    values = np.full((16, 24), np.nan)
    factor = 100 if measure == "maximum_share" else 1
    for well, rows in quality[quality["channel"] == channel].groupby("Metadata_Well"):
        row, column = POSITIONS.loc[well, ["Metadata_row", "Metadata_column"]]
        values[row - 1, column - 1] = np.median(rows[measure]) * factor
    return values


@pytest.mark.parametrize("sites", [(1,), (1, 2, 3)])
def test_every_well_is_where_it_lies_in_each_of_the_maps(sites):
    quality = _quality(sites=sites)
    maps = _maps(image_quality_figure(quality.sample(frac=1, random_state=1), TITLE))
    assert len(maps) == 5 * 3
    wanted = [(channel, measure) for channel in FLUORESCENCE for measure in _MEASURES]
    for image, (channel, measure) in zip(maps, wanted, strict=True):
        np.testing.assert_allclose(_values(image), _expected(quality, channel, measure), rtol=1e-12)


def test_only_the_channels_that_there_are_have_maps_in_the_order_of_channels():
    figure = image_quality_figure(_quality(channels=("DNA", "Mito")), TITLE)
    assert len(_maps(figure)) == 2 * 3
    (sheet,) = figure.axes
    heights = {text.get_text(): text.get_position()[1] for text in sheet.texts if text.get_text() in CHANNELS}
    assert heights["Mito"] > heights["DNA"] and len(heights) == 2


def test_scales_of_focus_are_of_one_width_and_begin_where_blur_begins():
    quality = _quality()
    for image, channel in zip(_maps(image_quality_figure(quality, TITLE))[::3], FLUORESCENCE, strict=True):
        middle = quality.loc[quality["channel"] == channel, "focus_slope"].median()
        assert image.get_clim() == pytest.approx((middle - 1, middle + 1))
    wider = _maps(image_quality_figure(quality, TITLE, SoundImage(blur=2.0)))[0].get_clim()
    assert wider[1] - wider[0] == pytest.approx(4)


def test_the_scale_of_saturation_ends_at_the_threshold_or_the_worst_image():
    quality = _quality()
    quality.loc[quality.index[2], ["channel", "maximum_share"]] = ["RNA", 0.25]
    ends = [image.get_clim() for image in _maps(image_quality_figure(quality, TITLE))[2::3]]
    assert ends == [(0, 1), (0, 1), (0, pytest.approx(25)), (0, 1), (0, 1)]


def _marks(figure, marker):
    (sheet,) = figure.axes
    return [len(line.get_xdata()) for line in sheet.lines if line.get_marker() == marker]


def test_controls_and_lost_images_are_marked_in_the_maps_of_their_channel():
    quality = _quality()
    lost = (quality["Metadata_Well"] == "F07") & (quality["channel"] == "AGP")
    quality.loc[lost, "status"] = "unusable"
    quality.loc[lost, list(_MEASURES)] = np.nan
    figure = image_quality_figure(quality, TITLE)
    assert _marks(figure, "o") == [4] * 15
    assert _marks(figure, "x") == [0] * 3 + [1] * 3 + [0] * 9
    assert all(np.isnan(_values(image)[5, 6]) for image in _maps(figure)[3:6])


def test_a_plate_without_any_measure_is_drawn_and_one_without_images_is_not():
    quality = _quality().assign(status="absent", **dict.fromkeys(_MEASURES, np.nan))
    figure = image_quality_figure(quality, TITLE)
    pixels(figure)
    assert _marks(figure, "x") == [12] * 15
    with pytest.raises(NothingToDrawError):
        image_quality_figure(quality.iloc[:0], TITLE)


def test_the_picture_is_whole_and_the_same_for_images_in_any_order():
    quality = _quality()
    figure = image_quality_figure(quality, TITLE)
    (sheet,) = figure.axes
    assert TITLE in [text.get_text() for text in sheet.texts]
    pixels(figure)
    mixed = image_quality_figure(quality.sample(frac=1, random_state=3), TITLE)
    assert to_png(figure, colours=256) == to_png(mixed, colours=256)


def test_the_picture_of_a_whole_plate_is_small():
    figure = image_quality_figure(_quality(tuple(POSITIONS.index)), TITLE)
    assert len(to_png(figure, colours=256)) < LARGEST_PNG


def test_wells_without_images_are_grey():
    figure = image_quality_figure(_quality(), TITLE)
    picture = pixels(figure)
    for image in _maps(figure):
        left, right, bottom, top = (110 * np.array(image.get_extent())).astype(int)
        inside = picture[len(picture) - top + 2 : len(picture) - bottom - 2, left + 2 : right - 2]
        coloured = (inside.max(axis=2) - inside.min(axis=2) > 30).mean()
        assert 0.01 < coloured < 0.05, "twelve of the 384 wells"

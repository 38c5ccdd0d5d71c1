"""Plate maps, read back from what was drawn and as pixels."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from cpjump_assets.figures.canvas import to_png
from cpjump_assets.figures.plate_maps import plate_maps_figure
from cpjump_assets.orchestration.display import LARGEST_PNG
from cpjump_assets.science.positions import POSITIONS
from cpjump_assets_tests.figures.pictures import pixels

TITLE = "BR00116995: Compound, U2OS, 24 h; 301 of 384 wells profiled; stain anomaly: WGA"


def _wells(*, absent=(), cells=False, seed=0):
    """Give a plate whose magnitude rises by column and whose missing values rise by row."""
    rng = np.random.default_rng(seed)
    wells = POSITIONS.reset_index()
    profiled = ~wells["Metadata_Well"].isin(absent)
    control = pd.Series("negcon", index=wells.index, dtype="str").where(wells.index % 7 == 0)
    measures = {
        "cell_count": rng.poisson(1_500, 384) if cells else np.full(384, np.nan),
        "median_abs_z": wells["Metadata_column"] / 10.0,
        "missing_features": (wells["Metadata_row"] - 1) // 4,
    }
    table = wells.assign(Metadata_control_type=control, profiled=profiled)
    return table.assign(**{name: pd.Series(values, dtype=float).where(profiled) for name, values in measures.items()})


def _maps(figure):
    """Give the drawn values of each map, from the first to the last; colour bars have one column."""
    (sheet,) = figure.axes
    drawn = [np.ma.filled(image.get_array().astype(float), np.nan) for image in sheet.images]
    return [values for values in drawn if values.shape == (16, 24)]


def _words(figure):
    (sheet,) = figure.axes
    return [text.get_text() for text in sheet.texts]


def _dots(figure):
    (sheet,) = figure.axes
    return [line for line in sheet.lines if line.get_marker() == "o"]


def test_every_well_is_where_it_lies_on_the_plate():
    absent = ["A01", "P24", "C05"]
    wells = _wells(absent=absent)
    magnitude, missing = _maps(plate_maps_figure(wells.sample(frac=1, random_state=1), TITLE))
    for name, row, column in wells[["Metadata_Well", "Metadata_row", "Metadata_column"]].itertuples(index=False):
        expected = (np.nan, np.nan) if name in absent else (column / 10, (row - 1) // 4)
        np.testing.assert_equal((magnitude[row - 1, column - 1], missing[row - 1, column - 1]), expected)


def test_cells_are_shown_where_they_are_known():
    without, known = plate_maps_figure(_wells(), TITLE), plate_maps_figure(_wells(cells=True), TITLE)
    assert len(_maps(without)) == 2
    cells, *_ = _maps(known)
    np.testing.assert_array_equal(cells.ravel(), _wells(cells=True)["cell_count"])
    assert "cells in a well" in _words(known)
    assert "cells in a well" not in _words(without)


@pytest.mark.parametrize("cells", [False, True])
def test_each_map_has_letters_numbers_units_and_controls(cells):
    wells = _wells(absent=["A01"], cells=cells)
    figure = plate_maps_figure(wells, TITLE)
    words = _words(figure)
    n_maps = 3 if cells else 2
    assert TITLE in words
    assert all(words.count(letter) == n_maps for letter in "ABCDEFGHIJKLMNOP")
    assert all(words.count(str(column)) >= n_maps for column in range(1, 25))
    assert {"median |z| of the features", "features that a well lacks"} <= set(words)
    controls = (wells["Metadata_control_type"] == "negcon") & wells["profiled"]
    assert [len(line.get_xdata()) for line in _dots(figure)] == [controls.sum()] * n_maps


def test_controls_are_marked_on_their_wells():
    wells = _wells(absent=["A01"])
    figure = plate_maps_figure(wells, TITLE)
    (sheet,) = figure.axes
    controls = wells[(wells["Metadata_control_type"] == "negcon") & wells["profiled"]]
    image = next(image for image in sheet.images if image.get_array().shape == (16, 24))
    left, right, bottom, top = image.get_extent()
    dots = _dots(figure)[0]
    column = np.floor((dots.get_xdata() - left) / (right - left) * 24) + 1
    row = np.floor((top - dots.get_ydata()) / (top - bottom) * 16) + 1
    assert column.tolist() == controls["Metadata_column"].tolist()
    assert row.tolist() == controls["Metadata_row"].tolist()


def test_a_scale_ends_at_the_99th_percentile_and_an_arrow_says_so():
    wells = _wells()
    wells.loc[10, "median_abs_z"] = 500.0
    (sheet,) = plate_maps_figure(wells, TITLE).axes
    image = sheet.images[0]
    assert image.get_clim() == (0.1, pytest.approx(np.percentile(wells["median_abs_z"], 99)))
    arrows = [patch for patch in sheet.patches if not isinstance(patch, Rectangle)]
    assert [to_hex(arrow.get_facecolor()) for arrow in arrows] == [to_hex(image.get_cmap()(1.0))]


def test_counts_begin_at_zero_and_have_whole_numbers():
    wells = _wells().assign(missing_features=0.0)
    (sheet,) = plate_maps_figure(wells, TITLE).axes
    assert sheet.images[2].get_clim() == (0.0, 1.0)
    right_of_last_map = [text for text in sheet.texts if text.get_position()[0] > sheet.get_xlim()[1] - 0.7]
    assert [text.get_text() for text in right_of_last_map[:-1]] == ["0", "1"]


@pytest.mark.parametrize("cells", [False, True])
def test_the_picture_is_small_and_whole_and_the_same_for_wells_in_any_order(cells):
    wells = _wells(absent=POSITIONS.index[40:123], cells=cells)
    figure = plate_maps_figure(wells, TITLE)
    pixels(figure)
    png = to_png(figure, colours=256)
    assert len(png) < LARGEST_PNG / 2
    assert png == to_png(plate_maps_figure(wells.sample(frac=1, random_state=3), TITLE), colours=256)


def test_wells_without_profile_are_hatched_and_not_coloured():
    absent = POSITIONS.query("Metadata_row <= 8").index
    picture = pixels(plate_maps_figure(_wells(absent=absent), TITLE))
    (sheet,) = plate_maps_figure(_wells(), TITLE).axes
    left, right, bottom, top = (110 * np.array(sheet.images[0].get_extent())).astype(int)
    height = len(picture)
    upper = picture[height - top + 2 : height - (top + bottom) // 2 - 3, left + 2 : right - 2]
    lower = picture[height - (top + bottom) // 2 + 3 : height - bottom - 2, left + 2 : right - 2]
    coloured = [(part.max(axis=2) - part.min(axis=2) > 30).mean() for part in (upper, lower)]
    assert coloured[0] < 0.01
    assert coloured[1] > 0.9


def test_a_plate_without_any_profile_is_drawn():
    wells = _wells(absent=POSITIONS.index)
    pixels(plate_maps_figure(wells, TITLE))

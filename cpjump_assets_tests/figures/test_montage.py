"""Montages, read back as pixels: what stands where, by which ranges, and what is absent."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cpjump_assets.figures import montage as figures
from cpjump_assets.figures.montage import (
    COLUMNS,
    COLUMNS_WITH_BRIGHTFIELD,
    INLINE,
    OVERVIEW,
    MontageRow,
    draw_montage,
    draw_overview,
    file_style,
)
from cpjump_assets.figures.montage_words import plate_words, reagent_words, short_words, well_words
from cpjump_assets.figures.pixel_sheet import to_png, to_small_png
from cpjump_assets.imaging.composite import GREY, PAPER_COLOURS, PAPER_RANGES, composite, paint, ranges_of
from cpjump_assets.imaging.field import resized
from cpjump_assets.orchestration.display import LARGEST_PNG
from cpjump_assets.science.channels import BRIGHTFIELD, FLUORESCENCE
from cpjump_assets_tests.real_sites import CONTROL, TREATED, real_sites, simulated_site

STYLE = file_style(64)
WORDS = {"title": "BR00117010", "source": "a test"}


def _rows(*sites):
    return [MontageRow(f"row {number}", site) for number, site in enumerate(sites)]


def _tiles(sheet, columns, style=STYLE):
    """Cut the tiles out of a montage: the bands are the only places as high as a tile without a row of ground."""
    pixels, gap = np.asarray(sheet), style.lettering.air
    tops = _band_tops(pixels, style)
    lefts = [2 * gap + number * (style.tile + gap) for number in range(columns)]
    return [[pixels[top : top + style.tile, left : left + style.tile] for left in lefts] for top in tops]


def _band_tops(pixels, style):
    marked = (pixels[:, 2 * style.lettering.air] != 16).any(axis=1) | (
        pixels[:, 2 * style.lettering.air + 1] != 16
    ).any(axis=1)
    filled = np.flatnonzero(marked)
    runs = np.split(filled, np.flatnonzero(np.diff(filled) > 1) + 1)
    return [int(run[-1]) + 1 - style.tile for run in runs if len(run) >= style.tile - 1]


@pytest.mark.parametrize("columns", [COLUMNS, COLUMNS_WITH_BRIGHTFIELD])
def test_each_channel_and_the_composite_stand_in_their_place(columns):
    sites = simulated_site(1, 64), simulated_site(2, 64)
    tiles = _tiles(draw_montage(_rows(*sites), **WORDS, style=STYLE, columns=columns), len(columns))
    assert len(tiles) == 2
    others = ranges_of({name: sites[1][name] for name in BRIGHTFIELD})
    for site, row in zip(sites, tiles, strict=True):
        shown = {name: resized(pixels, 64) for name, pixels in site.items()}
        for name, tile in zip(columns, row, strict=True):
            if name == "composite":
                bar = np.s_[:40]  # below it lies the scale bar
                expected = composite({channel: shown[channel] for channel in FLUORESCENCE})
                np.testing.assert_array_equal(tile[bar], expected[bar])
            elif name in BRIGHTFIELD:
                np.testing.assert_array_equal(tile, paint(shown[name], GREY, others[name]))
            else:
                np.testing.assert_array_equal(tile, paint(shown[name], PAPER_COLOURS[name], PAPER_RANGES[name]))


@pytest.mark.parametrize("rule", ["paper", "control"])
def test_both_sides_have_the_same_ranges_and_the_control_sets_them(rule):
    control = simulated_site(3, 64)
    brighter = {name: np.minimum(pixels * 1.9, 65_535).astype(np.uint16) for name, pixels in control.items()}
    sheet = draw_montage(_rows(brighter, control), **WORDS, style=STYLE, rule=rule)
    above, below = _tiles(sheet, len(COLUMNS))
    ranges = PAPER_RANGES if rule == "paper" else ranges_of(control)
    for name, one, other in zip(FLUORESCENCE, above, below, strict=False):
        np.testing.assert_array_equal(one, paint(resized(brighter[name], 64), PAPER_COLOURS[name], ranges[name]))
        np.testing.assert_array_equal(other, paint(resized(control[name], 64), PAPER_COLOURS[name], ranges[name]))
        assert one.mean() > other.mean()


def test_the_caption_says_which_rule_which_part_and_where_from(monkeypatch):
    said = []
    original = figures.words_block
    monkeypatch.setattr(figures, "words_block", lambda words, *a, **k: said.append(words) or original(words, *a, **k))
    site = simulated_site(4)
    rows = _rows(site, site)
    draw_montage(rows, **WORDS, style=STYLE)
    draw_montage(rows, **WORDS, style=file_style(64, 30.0), columns=COLUMNS_WITH_BRIGHTFIELD)
    draw_montage(rows, **WORDS, style=STYLE, rule="control")
    whole, cut, by_control = (words for words in said if "Made from: a test." in words)
    assert "display ranges of Fig. 1 of Chandrasekaran et al. 2024" in whole
    assert "middle" not in whole and "Brightfield" not in whole
    assert "The middle 30 µm of each field." in cut
    assert "Brightfield from percentile 1 to 99.8 of the lowest row." in cut
    assert "display ranges from percentile 1 to 99.8 of the lowest row" in by_control
    assert said.count("BR00117010") == 3


def test_a_channel_that_is_missing_is_grey_and_takes_the_composite_with_it():
    site = simulated_site(5, 64)
    partial = {name: pixels for name, pixels in site.items() if name != "AGP"}
    whole, lacking, empty = _tiles(draw_montage(_rows(site, partial, {}), **WORDS, style=STYLE), len(COLUMNS))
    is_grey = [[np.ptp(tile.astype(int), axis=2).max() == 0 for tile in row] for row in (whole, lacking, empty)]
    assert is_grey[0] == [False] * 6
    assert is_grey[1] == [name in ("AGP", "composite") for name in COLUMNS]
    assert is_grey[2] == [True] * 6
    for one, other in zip(whole, lacking, strict=True):
        assert np.array_equal(one, other) != (np.ptp(other.astype(int), axis=2).max() == 0)


def test_brightfield_that_only_the_perturbation_has_is_drawn():
    site = simulated_site(6, 64)
    stained = {name: site[name] for name in FLUORESCENCE}
    sheet = draw_montage(_rows(site, stained), **WORDS, style=STYLE, columns=COLUMNS_WITH_BRIGHTFIELD)
    above, below = _tiles(sheet, len(COLUMNS_WITH_BRIGHTFIELD))
    expected = paint(resized(site["LowZBF"], 64), GREY, ranges_of(site)["LowZBF"])
    np.testing.assert_array_equal(above[7], expected)
    assert not np.array_equal(below[7], expected)


def test_an_overview_has_every_composite_in_order_above_its_label():
    sites = [simulated_site(seed, 150) for seed in range(6)]
    sheet = np.asarray(draw_overview(_rows(*sites), **WORDS, style=OVERVIEW))
    tops = _band_tops(sheet, OVERVIEW)
    assert len(tops) == 2
    gap, side = OVERVIEW.lettering.air, OVERVIEW.tile
    for number, site in enumerate(sites):
        top, left = tops[number // 4], 2 * gap + number % 4 * (side + gap)
        expected = composite({name: resized(site[name], side) for name in FLUORESCENCE})
        np.testing.assert_array_equal(sheet[top : top + 100, left : left + side], expected[:100])
    assert (sheet[tops[1] + 20 : tops[1] + 100, 2 * gap + 2 * (side + gap) :] == 16).all()


@pytest.mark.parametrize("style", [INLINE, file_style(), file_style(180, 200.0)])
def test_a_montage_of_real_images_is_whole_and_small_where_it_must_be(reference_root, style):
    sites = real_sites(reference_root)
    sheet = draw_montage(_rows(sites[TREATED], sites[CONTROL]), **WORDS, style=style)
    content = to_small_png(sheet, LARGEST_PNG) if style is INLINE else to_png(sheet)
    pixels = np.asarray(sheet)
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (edge == 16).all(), "something is cut off at the edge"
    assert len(content) < LARGEST_PNG if style is INLINE else len(content) < 4_000_000
    with Image.open(io.BytesIO(content)) as read:
        assert (read.format, read.size) == ("PNG", sheet.size)
    assert INLINE.tile * len(COLUMNS) < 900


def test_few_colours_keep_the_hue_of_each_channel(reference_root):
    sites = real_sites(reference_root)
    sheet = draw_montage(_rows(sites[TREATED], sites[CONTROL]), **WORDS, style=INLINE)
    with Image.open(io.BytesIO(to_small_png(sheet, 46_000))) as read:
        shown = np.asarray(read.convert("RGB")).astype(int)
    assert np.abs(shown - np.asarray(sheet)).mean() < 3
    _, (mito, _, rna, er, dna, _) = _tiles(Image.fromarray(shown.astype(np.uint8)), len(COLUMNS), INLINE)
    for tile, dark in ((mito, (1, 2)), (rna, (2,)), (er, (0, 2)), (dna, (0,))):
        bright = tile.reshape(-1, 3)[tile.max(axis=2).ravel() > 90].astype(int)
        assert bright[:, list(dark)].mean() < 25
        assert bright.max(axis=1).mean() > 100


def test_equal_sites_give_equal_bytes():
    made = [to_png(draw_montage(_rows(simulated_site(7)), **WORDS, style=STYLE)) for _ in range(2)]
    assert made[0] == made[1]
    assert made[0] != to_png(draw_montage(_rows(simulated_site(8)), **WORDS, style=STYLE))


def _well(**values):
    usual = {
        "Metadata_Plate": "BR00117010",
        "Metadata_Well": "N09",
        "Metadata_experiment_type": "Compound",
        "Metadata_cell_line": "U2OS",
        "Metadata_timepoint": 48,
        "Metadata_anomaly": "none",
        "Metadata_broad_sample": "BRD-K21728777-001-02-3",
        "Metadata_pert_iname": "AMG900",
        "Metadata_target": "AURKB",
        "Metadata_control_type": "poscon_cp",
    }
    return pd.Series(usual | values)


def test_words_name_plate_condition_anomaly_and_reagent():
    assert plate_words(_well()) == "BR00117010 · Compound · U2OS · 48 h"
    assert plate_words(_well(Metadata_anomaly="Mitotracker")).endswith("48 h · stain anomaly: Mitotracker")
    assert reagent_words(_well()) == "AMG900 (BRD-K21728777-001-02-3), target AURKB"
    dmso = _well(
        Metadata_broad_sample="DMSO",
        Metadata_pert_iname="DMSO",
        Metadata_target=None,
        Metadata_control_type="negcon",
        Metadata_Well="D14",
    )
    assert reagent_words(dmso) == "DMSO"
    assert (short_words(_well()), short_words(dmso)) == ("AMG900 (AURKB) N09", "DMSO D14")
    assert re.fullmatch(r"positive control: AMG900 .* \S well N09 \S site 5", well_words(_well(), 5))
    assert re.fullmatch(r"negative control: DMSO \S well D14 \S site 2", well_words(dmso, 2))
    treatment = _well(Metadata_control_type=None)
    assert well_words(treatment, 1).startswith("perturbation: AMG900 (BRD-K21728777-001-02-3), target AURKB ")

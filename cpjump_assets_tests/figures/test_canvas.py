"""The common ground of the figures: equal bytes, few colours, no trace of the machine or of other figures."""

import io
import subprocess
import sys
from itertools import combinations, pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from cpjump_assets.figures.canvas import (
    CELL_LINE_COLOURS,
    DIFFERENT_WELL,
    MODALITY_COLOURS,
    MUTED,
    SAME_WELL,
    VERDICT_COLOURS,
    new_figure,
    to_png,
    to_svg,
    write_caption,
)
from cpjump_assets.science.schemas import CELL_LINES, EXPERIMENT_TYPES, LEAKAGE_AUDIT


def _noisy_figure(seed=0):
    figure, ((axes,),) = new_figure(3, 2)
    axes.imshow(np.random.default_rng(seed).random((20, 20, 3)))
    return figure


@pytest.mark.parametrize("to_file", [to_png, to_svg])
def test_equal_figures_give_equal_bytes_and_others_do_not(to_file):
    assert to_file(_noisy_figure()) == to_file(_noisy_figure())
    assert to_file(_noisy_figure()) != to_file(_noisy_figure(1))


def test_each_file_is_the_same_whether_it_is_made_first_last_or_again():
    one, other = _noisy_figure(), _noisy_figure()
    files = {"png": [to_png(one)], "svg": [to_svg(other)]}
    for figure in (one, other):
        files["svg"].append(to_svg(figure))
        files["png"].append(to_png(figure))
    assert [len(set(made)) for made in files.values()] == [1, 1]


def test_an_svg_keeps_its_words_and_names_no_date_program_or_machine():
    figure, ((axes,),) = new_figure(3, 2)
    axes.set_title("less < more")
    tree = ElementTree.fromstring(to_svg(figure))
    words = [element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert "less < more" in words
    kinds = {element.tag.split("}")[1] for element in tree.iter()}
    assert not kinds & {"date", "creator", "title", "metadata", "RDF"}


def test_a_long_caption_is_written_below_in_lines_that_fit():
    figure, _ = new_figure(3, 2)
    words = "subset validate, metric_mode paper_2024, p_convention add_one N=100000, wells inner"
    write_caption(figure, words)
    to_png(figure)
    written = next(text for text in figure.texts if words.startswith(text.get_text()[:10]))
    assert written.get_text().split() == words.split()
    assert 0 < written.get_window_extent().x0 < written.get_window_extent().x1 < figure.bbox.x1


def test_a_figure_has_at_most_64_colours_and_its_size_in_inches():
    with Image.open(io.BytesIO(to_png(_noisy_figure()))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "P", (330, 220))
        assert 32 < len(image.convert("RGB").getcolors()) <= 64


def test_the_file_carries_pixels_and_no_words():
    content, chunks = to_png(_noisy_figure()), []
    at = 8
    while at < len(content):
        length = int.from_bytes(content[at : at + 4])
        chunks.append(content[at + 4 : at + 8])
        at += 12 + length
    assert set(chunks) == {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 1), (2, 3)])
def test_panels_stand_in_a_grid_on_one_scale_of_values(rows, columns):
    figure, panels = new_figure(4, 3, rows=rows, columns=columns)
    assert panels.shape == (rows, columns)
    figure.draw_without_rendering()
    boxes = np.array([panel.get_position().extents for panel in panels.flat]).reshape(rows, columns, 4)
    assert np.ptp(boxes[:, :, [0, 2]], axis=0).max() < 1e-6
    assert np.ptp(boxes[:, :, [1, 3]], axis=1).max() < 1e-6
    assert all(above[0, 1] > below[0, 3] for above, below in pairwise(boxes))
    assert all(left[0, 2] < right[0, 0] for left, right in pairwise(boxes.swapaxes(0, 1)))
    panels[-1, -1].set_ylim(0, 7)
    assert {panel.get_ylim() for panel in panels.flat} == {(0, 7)}


def _light(colour):
    channels = np.array(to_rgb(colour))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def _contrast_with_white(colour):
    return 1.05 / (_light(colour) @ [0.2126, 0.7152, 0.0722] + 0.05)


# Light as people without the red or the green receptor see it (Machado, Oliveira and Fernandes 2009).
_VISION = {
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


@pytest.mark.parametrize("vision", _VISION)
@pytest.mark.parametrize(
    "colours", [[SAME_WELL, DIFFERENT_WELL], *(list(c.values()) for c in (MODALITY_COLOURS, CELL_LINE_COLOURS))]
)
def test_colours_that_stand_side_by_side_differ_without_red_or_green(colours, vision):
    seen = [np.clip(np.array(_VISION[vision]) @ _light(colour), 0, 1) ** (1 / 2.2) for colour in colours]
    assert min(np.abs(one - other).max() for one, other in combinations(seen, 2)) > 0.15


def test_every_modality_and_verdict_has_a_colour_of_its_own_and_grey_can_be_read():
    verdicts = next(column.allowed for column in LEAKAGE_AUDIT.columns if column.name == "verdict")
    named = (MODALITY_COLOURS, EXPERIMENT_TYPES), (VERDICT_COLOURS, verdicts), (CELL_LINE_COLOURS, CELL_LINES)
    for colours, names in named:
        assert set(colours) == set(names)
        assert len(set(colours.values())) == len(names)
    assert _contrast_with_white(MUTED) > 4.5  # what WCAG asks of small text


_DRAWS = """
import sys
import matplotlib
import pandas as pd
from cpjump_assets.figures import benchmark, canvas, scores, splits

def settings():  # asking for the backend would choose one, and import pyplot
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}

before = settings()
manifest = pd.DataFrame([("train", "ORF")], columns=["subset", "Metadata_experiment_type"])
figure = splits.subsets_figure(manifest)
print(canvas.to_png(figure)[1:4] == b"PNG", b"<svg" in canvas.to_svg(figure), settings() == before)
print("matplotlib.pyplot" in sys.modules, "dagster" in sys.modules)
"""


def test_drawing_needs_no_pyplot_and_changes_no_global_setting():
    ended = subprocess.run([sys.executable, "-c", _DRAWS], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.split() == ["True", "True", "True", "False", "False"]

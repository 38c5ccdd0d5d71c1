"""The common ground of the figures: equal bytes, few colours, no trace of the machine or of other figures."""

import io
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from cpjump_assets.figures.canvas import MODALITY_COLOURS, MUTED, VERDICT_COLOURS, new_figure, to_png
from cpjump_assets.science.schemas import EXPERIMENT_TYPES, LEAKAGE_AUDIT


def _noisy_figure(seed=0):
    figure, (axes,) = new_figure(3, 2)
    axes.imshow(np.random.default_rng(seed).random((20, 20, 3)))
    return figure


def test_equal_figures_give_equal_bytes_and_others_do_not():
    assert to_png(_noisy_figure()) == to_png(_noisy_figure())
    assert to_png(_noisy_figure()) != to_png(_noisy_figure(1))


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


@pytest.mark.parametrize("panels", [1, 3])
def test_panels_stand_below_each_other_on_common_axes(panels):
    figure, axes = new_figure(4, 3, panels=panels)
    figure.draw_without_rendering()
    boxes = [panel.get_position() for panel in axes]
    assert len({(round(box.x0, 6), round(box.x1, 6)) for box in boxes}) == 1
    assert all(above.y0 > below.y1 for above, below in pairwise(boxes))
    axes[-1].set_ylim(0, 7)
    axes[-1].set_xlim(2, 5)
    assert {panel.get_ylim() + panel.get_xlim() for panel in axes} == {(0, 7, 2, 5)}


def _contrast_with_white(colour):
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05)


def test_every_modality_and_verdict_has_a_colour_of_its_own_and_grey_can_be_read():
    verdicts = next(column.allowed for column in LEAKAGE_AUDIT.columns if column.name == "verdict")
    for colours, names in ((MODALITY_COLOURS, EXPERIMENT_TYPES), (VERDICT_COLOURS, verdicts)):
        assert set(colours) == set(names)
        assert len(set(colours.values())) == len(names)
    assert _contrast_with_white(MUTED) > 4.5  # what WCAG asks of small text


_DRAWS = """
import sys
import matplotlib
import pandas as pd
from cpjump_assets.figures import scores, splits

def settings():  # asking for the backend would choose one, and import pyplot
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}

before = settings()
png = splits.subsets_figure(pd.DataFrame([("train", "ORF")], columns=["subset", "Metadata_experiment_type"]))
print(png[1:4] == b"PNG", settings() == before, "matplotlib.pyplot" in sys.modules, "dagster" in sys.modules)
"""


def test_drawing_needs_no_pyplot_and_changes_no_global_setting():
    ended = subprocess.run([sys.executable, "-c", _DRAWS], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.split() == ["True", "True", "False", "False"]

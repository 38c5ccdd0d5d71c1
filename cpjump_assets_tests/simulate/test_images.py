"""Drawn images."""

import io

import numpy as np
import pytest
from PIL import Image, TiffTags

from cpjump_assets.science.channels import CHANNELS, FLUORESCENCE
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.simulate.images import site_images

PLATE = PlateKey("2020_11_04_CPJUMP1", "BR00117010")


def tags(content: bytes) -> dict[str, object]:
    image = Image.open(io.BytesIO(content))
    return {TiffTags.lookup(number).name: value for number, value in image.tag_v2.items()}


def test_images_are_sixteen_bit_lzw_tiffs_of_the_real_resolution():
    images = site_images(0, PLATE, "A01", 1, strength=0.0)
    assert set(images) == set(CHANNELS)
    for content in images.values():
        found = tags(content)
        assert (found["Compression"], found["BitsPerSample"]) == (5, (16,))
        assert 1e4 / float(found["XResolution"]) == pytest.approx(0.598, abs=1e-3)  # micrometres per pixel
        pixels = np.asarray(Image.open(io.BytesIO(content)))
        assert pixels.shape == (256, 256) and pixels.dtype == np.uint16
        assert pixels.std() > 100 and pixels.max() < 40_000


def test_a_strong_effect_leaves_fewer_cells():
    def share_of_nuclei(strength: float) -> float:
        content = site_images(0, PLATE, "A01", 1, strength=strength)["DNA"]
        return float((np.asarray(Image.open(io.BytesIO(content))) > 4_000).mean())

    assert share_of_nuclei(4.0) < 0.8 * share_of_nuclei(0.0)


def test_images_repeat_by_seed_and_differ_between_wells():
    first, again = (site_images(0, PLATE, "A01", 1, strength=1.0) for _ in range(2))
    assert first == again
    for other in (site_images(1, PLATE, "A01", 1, strength=1.0), site_images(0, PLATE, "A02", 1, strength=1.0)):
        assert all(other[channel] != first[channel] for channel in CHANNELS)


def test_the_first_channels_are_the_same_whether_others_are_drawn_or_not():
    some, every = (site_images(0, PLATE, "A01", 1, strength=1.0, channels=names) for names in (FLUORESCENCE, CHANNELS))
    assert some == {channel: every[channel] for channel in FLUORESCENCE}


def test_an_image_packs_well():
    images = site_images(0, PLATE, "A01", 1, strength=0.0)
    assert sum(map(len, images.values())) / len(images) < 60_000  # 131,072 bytes of pixels

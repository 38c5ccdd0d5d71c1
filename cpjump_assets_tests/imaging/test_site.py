"""Reading a site: what can be shown, and why the rest cannot."""

import numpy as np
import pytest
from PIL import Image

from cpjump_assets.imaging.site import read_site
from cpjump_assets.science.errors import StoreError


def _write(path, pixels):
    Image.fromarray(pixels).save(path, compression="tiff_lzw")
    return path


def test_each_channel_is_read_and_what_is_no_image_is_named(tmp_path):
    rng = np.random.default_rng(1)
    sound = {name: rng.integers(1, 60_000, (8, 8)).astype(np.uint16) for name in ("Mito", "AGP")}
    paths = {name: _write(tmp_path / f"{name}.tiff", pixels) for name, pixels in sound.items()}
    paths["RNA"] = _write(tmp_path / "constant.tiff", np.full((8, 8), 7, np.uint16))
    paths["ER"] = _write(tmp_path / "larger.tiff", rng.integers(1, 9, (9, 8)).astype(np.uint16))
    paths["DNA"] = tmp_path / "cut.tiff"
    paths["DNA"].write_bytes(paths["Mito"].read_bytes()[:-40])
    site = read_site(paths)
    assert list(site.channels) == ["Mito", "AGP"]
    for name, pixels in sound.items():
        np.testing.assert_array_equal(site.channels[name], pixels)
    assert list(site.problems) == ["RNA", "ER", "DNA"]
    assert all(paths[name].name in problem for name, problem in site.problems.items())


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(StoreError, match=r"gone\.tiff"):
        read_site({"Mito": tmp_path / "gone.tiff"})

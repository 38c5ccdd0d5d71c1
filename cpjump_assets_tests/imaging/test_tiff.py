"""TIFF files: what can be read, and what is refused with the name of the file."""

import hashlib
import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cpjump_assets.imaging.tiff import open_images, read_tiff, require_image
from cpjump_assets.science.channels import CHANNELS
from cpjump_assets.science.errors import BadImageError, StoreError
from cpjump_assets_tests.real_sites import real_sites

pytestmark = pytest.mark.filterwarnings("error")
"""Pillow warns of tags that it cannot read: what is wrong with a file is said once, by its name."""


def _pixels(shape=(30, 40), seed=0):
    return np.random.default_rng(seed).integers(0, 65_536, shape, dtype=np.uint16)


def _tiff(pixels, **how):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="TIFF", **how)
    return stream.getvalue()


LZW = _tiff(_pixels(), compression="tiff_lzw", resolution=1e4 / 0.598, resolution_unit="cm")


def _write(folder, content, name="r01c02f01p01-ch1sk1fk1fl1.tiff"):
    path = folder / name
    path.write_bytes(content)
    return path


def _by_hand(pixels, order, *, width=None, height=None):
    """Write an uncompressed TIFF tag by tag, without Pillow; a header may lie about the shape."""
    data = pixels.astype(f"{order}u2").tobytes()
    rows, columns = pixels.shape
    tags = [
        (256, 4, width or columns), (257, 4, height or rows), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8),
        (277, 3, 1), (278, 4, height or rows), (279, 4, len(data)),
    ]  # fmt: skip
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, kind, 1)
        + (struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value))
        for tag, kind, value in tags
    )
    start = 8 + len(data)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, start)
    return head + data + struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0)


@pytest.mark.parametrize(
    "content",
    [
        LZW,
        _tiff(_pixels()),
        _tiff(_pixels(), compression="tiff_adobe_deflate"),
        _by_hand(_pixels(), "<"),
        _by_hand(_pixels(), ">"),
    ],
)
def test_pixels_come_back_from_any_compression_and_byte_order(tmp_path, content):
    read = read_tiff(_write(tmp_path, content))
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, _pixels())


def test_the_real_images_are_whole(reference_root):
    for site in real_sites(reference_root).values():
        assert list(site) == list(CHANNELS)
        assert {pixels.shape for pixels in site.values()} == {(1080, 1080)}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "found 0 bytes"),
        (bytes(5_000), "found 5,000 bytes, all of them zero"),
        (b"<html>Access denied</html>", "cannot be decoded"),
        (LZW[: len(LZW) // 2], "cannot be decoded"),
        (LZW[:8] + b"\xff" * 400 + LZW[408:], "cannot be decoded"),
        (_by_hand(_pixels(), "<", width=8_193, height=9), "at most 8192 pixels a side, found 9 x 8193"),
        (_by_hand(_pixels(), "<", width=2**31, height=2**31 - 1), "cannot be decoded"),
        (_tiff((_pixels() // 256).astype(np.uint8)), "16-bit grey values, found mode L"),
        (_tiff(_pixels().astype(np.float32)), "16-bit grey values, found mode F"),
        (_tiff(_pixels((30, 40, 3)).astype(np.uint8)), "16-bit grey values, found mode RGB"),
        (_tiff(_pixels(), save_all=True, append_images=[Image.fromarray(_pixels(seed=1))]), "one page, found 2"),
    ],
)
def test_what_is_no_sixteen_bit_page_is_refused_by_name(tmp_path, content, found):
    path = _write(tmp_path, content)
    with pytest.raises(BadImageError, match=found) as caught:
        read_tiff(path)
    assert str(caught.value).startswith(f"{path.name}: expected ")
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("value", [0, 7, 65_535])
def test_a_constant_image_is_a_tiff_and_no_image(tmp_path, value):
    path = _write(tmp_path, _tiff(np.full((9, 9), value, np.uint16), compression="tiff_lzw"))
    assert (read_tiff(path) == value).all()
    with pytest.raises(BadImageError, match=f"found {value} in every pixel"):
        require_image(path)


def test_another_shape_is_refused_with_both(tmp_path):
    path = _write(tmp_path, LZW)
    assert require_image(path, shape=(30, 40)).shape == (30, 40)
    with pytest.raises(BadImageError, match=r"expected 1080 x 1080 pixels .* found 30 x 40"):
        require_image(path, shape=(1080, 1080))


def test_a_file_that_is_not_there_is_no_bad_image(tmp_path):
    with pytest.raises(StoreError, match="cannot be read: No such file"):
        read_tiff(tmp_path / "absent.tiff")


@given(st.integers(0, len(LZW) - 1))
@settings(max_examples=60, deadline=None)
def test_a_file_that_ends_early_is_refused_unless_all_pixels_are_there(tmp_path_factory, length):
    path = _write(tmp_path_factory.getbasetemp(), LZW[:length], "cut.tiff")
    try:
        read = read_tiff(path)
    except BadImageError:
        return
    assert length > len(LZW) - 20, "the tags stand at the end, and the last of them is the resolution"
    np.testing.assert_array_equal(read, _pixels())


@given(st.dictionaries(st.integers(0, len(LZW) - 1), st.integers(0, 255), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path_factory, damage):
    content = bytearray(LZW)
    for place, value in damage.items():
        content[-1 - place] = value  # the tags stand at the end
    path = _write(tmp_path_factory.getbasetemp(), bytes(content), "damaged.tiff")
    try:
        assert read_tiff(path).ndim == 2
    except BadImageError as error:
        assert str(error).startswith("damaged.tiff: expected ")


def test_images_of_a_plate_are_opened_and_the_odd_ones_named(tmp_path):
    contents = {
        "a.tiff": LZW,
        "b.tiff": _tiff(_pixels(seed=1)),
        "c.tiff": _tiff(np.zeros((30, 40), np.uint16)),
        "d.tiff": _tiff(_pixels((60, 80))),
        "e.tiff": LZW[:300],
    }
    opened = open_images([_write(tmp_path, content, name) for name, content in contents.items()])
    assert [one.shape for one in opened] == [(30, 40), (30, 40), None, None, None]
    assert [one.sha256 for one in opened] == [hashlib.sha256(content).hexdigest() for content in contents.values()]
    assert [one.problem for one in opened[:2]] == [None, None]
    for one, words in zip(opened[2:], ("0 in every pixel", "expected 30 x 40 pixels", "whole TIFF"), strict=True):
        assert words in one.problem


def test_of_two_shapes_that_are_as_frequent_the_larger_is_the_plate_s(tmp_path):
    shapes = [(20, 20), (30, 40), (30, 40), (20, 20)]
    paths = [_write(tmp_path, _tiff(_pixels(shape)), f"{number}.tiff") for number, shape in enumerate(shapes)]
    assert [one.shape for one in open_images(paths)] == [None, (30, 40), (30, 40), None]
    assert open_images([]) == []

"""Names of image files."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpjump_assets.gallery.images.file_names import ImageName, file_name_table, looks_like_image, parse_image_name


@given(
    row=st.integers(1, 16),
    column=st.integers(1, 24),
    site=st.integers(1, 16),
    plane=st.integers(1, 20),
    channel=st.integers(1, 9),
    others=st.tuples(*[st.integers(0, 99)] * 3),
    ending=st.sampled_from(["tif", "tiff"]),
)
def test_whatever_the_microscope_writes_is_read(row, column, site, plane, channel, others, ending):
    stack, time, flim = others
    name = f"r{row:02d}c{column:02d}f{site:02d}p{plane:02d}-ch{channel}sk{stack}fk{time}fl{flim}.{ending}"
    found = parse_image_name(name)
    assert found == ImageName(row, column, site, plane, channel)
    assert found.well == "ABCDEFGHIJKLMNOP"[row - 1] + f"{column:02d}"


@pytest.mark.parametrize("name", ["r01c01f01p01-ch1sk5fk1fl1.tiff", "r01c01f01p01-ch01sk1fk1fl1.tiff"])
def test_spellings_that_are_met(name: str):
    """The bleaching batch carries sk5; the text of the paper's repository pads the channel."""
    assert parse_image_name(name) == (1, 1, 1, 1, 1)


@pytest.mark.parametrize(
    "name",
    [
        "r00c01f01p01-ch1sk1fk1fl1.tiff",  # no such row
        "r17c01f01p01-ch1sk1fk1fl1.tiff",
        "r01c25f01p01-ch1sk1fk1fl1.tiff",
        "r01c01f01p01-ch1sk1fk1fl1.tiff.part",
        "copy of r01c01f01p01-ch1sk1fk1fl1.tiff",
        "r01c01f01p01-ch1sk1fk1fl1.png",
        "r\u0660\u0661c01f01p01-ch1sk1fk1fl1.tiff",  # digits, but not these
        "r01c01f99999999999999999999p01-ch1sk1fk1fl1.tiff",  # a number that no table holds
        "r01c01f01p99999-ch1sk1fk1fl1.tiff",
        "r01c01f01p01-ch99999sk1fk1fl1.tiff",
        "Index.idx.xml",
        "",
    ],
)
def test_other_names_are_not_read(name: str):
    assert parse_image_name(name) is None


def test_what_looks_like_an_image():
    assert all(map(looks_like_image, ["a.tif", "a.tiff", "A.TIFF", "thumb.png", "a.JPG"]))
    assert not any(map(looks_like_image, ["Index.idx.xml", "Index.ref.xml", "a.tiff.md5", "tiff"]))


def test_the_table_has_a_row_for_each_name_that_can_be_read():
    keys = ["p/m/Images/r02c03f04p05-ch6sk1fk1fl1.tiff", "p/m/Images/thumbnail.tiff"]
    table = file_name_table(keys)
    assert table.index.tolist() == keys[:1]
    assert table.loc[keys[0]].tolist() == ["B03", 4, 5, 6]
    assert file_name_table(keys[1:]).empty


def test_real_files_are_named_like_this(reference_root):
    names = sorted(path.name for path in (reference_root / "example_images").rglob("*.tiff"))
    found = {parse_image_name(name) for name in names}
    assert {(name.well, name.site, name.plane) for name in found} == {("D14", 5, 1), ("N09", 5, 1)}
    assert sorted(name.channel_number for name in found) == sorted([*range(1, 9)] * 2)
    assert all(re.fullmatch(r"r\d\dc\d\df\d\dp\d\d-ch\dsk1fk1fl1\.tiff", name) for name in names)

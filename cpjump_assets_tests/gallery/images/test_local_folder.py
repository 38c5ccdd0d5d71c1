"""Sites in a folder of one's own."""

import pytest

from cpjump_assets.gallery.images.local_folder import sites_in, sites_of_files
from cpjump_assets.science.channels import CHANNELS
from cpjump_assets.science.errors import GalleryError


def test_the_real_folders_hold_one_site_of_eight_channels_each(reference_root):
    for name, well in (("AMG900", "N09"), ("DMSO", "D14")):
        sites = sites_in(reference_root / "example_images" / name)
        assert list(sites) == [(well, 5)]
        assert list(sites[well, 5]) == list(CHANNELS)
        assert all(
            path.is_file() and f"-ch{number}sk" in path.name for number, path in enumerate(sites[well, 5].values(), 1)
        )


def test_sites_come_in_order_whatever_else_lies_beside_them(tmp_path):
    names = [
        "r02c10f01p01-ch5sk1fk1fl1.tiff",
        "r02c02f02p01-ch1sk1fk1fl1.tiff",
        "r02c02f01p02-ch1sk1fk1fl1.tiff",
        "r02c02f01p01-ch1sk5fk1fl1.tiff",
        "r02c02f01p01-ch9sk1fk1fl1.tiff",
        "r17c02f01p01-ch1sk1fk1fl1.tiff",
        "Index.idx.xml",
        "r02c02f01p01-ch1sk1fk1fl1.tiff.part",
    ]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "r01c01f01p01-ch1sk1fk1fl1.tiff").mkdir()
    sites = sites_in(tmp_path)
    assert list(sites) == [("B02", 1), ("B02", 2), ("B10", 1)]
    assert {channel: path.name for channel, path in sites["B02", 1].items()} == {"Mito": names[3]}
    assert sites_of_files({name: tmp_path / name for name in reversed(names)}) == sites


def test_a_folder_without_images_is_refused_and_says_how_they_are_called(tmp_path):
    (tmp_path / "cells.tiff").touch()
    with pytest.raises(GalleryError, match=r"has 1 files, and none is called like r14c09f05p01-ch1sk1fk1fl1\.tiff"):
        sites_in(tmp_path)
    with pytest.raises(GalleryError, match="cannot be listed"):
        sites_in(tmp_path / "gone")

"""Image sets and drawn images."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image, TiffTags

from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.simulate.images import IMAGE_CHANNELS, image_key, load_data, site_images

ROOT = GalleryRoot(bucket="bucket", prefix="project/source")
PLATE = PlateKey("2020_11_04_CPJUMP1", "BR00117010")
BLEACHED = PlateKey("2020_12_08_CPJUMP1_Bleaching", "BR00116992E")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return load_data(ROOT, PLATE, n_sites=2)


def tags(content: bytes) -> dict[str, object]:
    image = Image.open(io.BytesIO(content))
    return {TiffTags.lookup(number).name: value for number, value in image.tag_v2.items()}


def test_one_row_per_well_and_site(table: pd.DataFrame):
    assert len(table) == 384 * 2
    assert not table.duplicated(["Metadata_Well", "Metadata_Site"]).any()
    assert set(table["Metadata_Plate"]) == {PLATE.barcode}


def test_every_image_has_its_own_address_and_its_channel_number(table: pd.DataFrame):
    names = ["Mito", "AGP", "RNA", "ER", "DNA", "HighZBF", "LowZBF", "Brightfield"]
    urls = table[[f"URL_Orig{name}" for name in names]]
    assert urls.stack().is_unique
    for number, name in enumerate(names, start=1):
        assert urls[f"URL_Orig{name}"].str.endswith(f"p01-ch{number}sk1fk1fl1.tiff").all()


def test_addresses_follow_the_gallery_s_grammar(table: pd.DataFrame):
    pattern = re.compile(
        r"s3://bucket/project/source/images/2020_11_04_CPJUMP1/images/"
        r"BR00117010__\d{4}-\d\d-\d\dT\d\d_\d\d_\d\d-Measurement1/Images/r(\d\d)c(\d\d)f(\d\d)p01-ch4sk1fk1fl1\.tiff"
    )
    for url, well, site in table[["URL_OrigER", "Metadata_Well", "Metadata_Site"]].itertuples(index=False):
        found = pattern.fullmatch(url)
        assert found is not None, url
        row, column, field = map(int, found.groups())
        assert ("ABCDEFGHIJKLMNOP"[row - 1] + f"{column:02d}", field) == (well, site)


def test_the_key_of_an_image_is_in_the_table(table: pd.DataFrame):
    row = table.set_index(["Metadata_Well", "Metadata_Site"]).loc[("P24", 2)]
    assert row["URL_OrigAGP"] == f"s3://bucket/{image_key(ROOT, PLATE, 'P24', 2, 'AGP')}"


def test_other_stack_and_measurement_numbers_occur():
    assert "-ch5sk5fk1fl1.tiff" in image_key(ROOT, BLEACHED, "A01", 1, "DNA")
    assert "-Measurement3/" in image_key(ROOT, PlateKey(PLATE.batch, "BR00116996"), "A01", 1, "DNA")


def test_images_are_sixteen_bit_lzw_tiffs_of_the_real_resolution():
    images = site_images(0, PLATE, "A01", 1, strength=0.0)
    assert set(images) == set(IMAGE_CHANNELS)
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
        assert all(other[channel] != first[channel] for channel in IMAGE_CHANNELS)

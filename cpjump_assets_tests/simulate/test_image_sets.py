"""Names, keys and image sets of simulated plates, in each of the forms that are met."""

import re

import pandas as pd
import pytest

from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.science.channels import CHANNELS
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.simulate.image_sets import LAB_PATHS_PLATE, OLD_ADDRESSES_PLATE, image_key, load_data

ROOT = GalleryRoot(bucket="bucket", prefix="project/source")
PLATE = PlateKey("2020_11_04_CPJUMP1", "BR00117009")
BLEACHED = PlateKey("2020_12_08_CPJUMP1_Bleaching", "BR00116992E")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return load_data(ROOT, PLATE, n_sites=2)


def test_one_row_per_well_and_site(table: pd.DataFrame):
    assert len(table) == 384 * 2
    assert not table.duplicated(["Metadata_Well", "Metadata_Site"]).any()
    assert set(table["Metadata_Plate"]) == {PLATE.barcode}


def test_every_image_has_its_own_address_and_its_channel_number(table: pd.DataFrame):
    urls = table[[f"URL_Orig{name}" for name in CHANNELS]]
    assert urls.stack().is_unique
    for number, name in enumerate(CHANNELS, start=1):
        assert urls[f"URL_Orig{name}"].str.endswith(f"p01-ch{number}sk1fk1fl1.tiff").all()


def test_addresses_follow_the_gallery_s_grammar(table: pd.DataFrame):
    pattern = re.compile(
        r"s3://bucket/project/source/images/2020_11_04_CPJUMP1/images/"
        r"BR00117009__\d{4}-\d\d-\d\dT\d\d_\d\d_\d\d-Measurement1/Images/r(\d\d)c(\d\d)f(\d\d)p01-ch4sk1fk1fl1\.tiff"
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


def test_old_addresses_name_another_folder_of_the_project():
    plate = PlateKey(PLATE.batch, OLD_ADDRESSES_PLATE)
    urls = load_data(ROOT, plate, n_sites=1).filter(like="URL_").stack()
    assert len(urls) == 384 * 8
    assert urls.str.startswith("s3://bucket/project/broad/images/2020_11_04_CPJUMP1/images/").all()
    named = urls.str.replace("/broad/", "/source/").str.removeprefix("s3://bucket/")
    assert image_key(ROOT, plate, "B03", 1, "ER") in set(named)


def test_lab_paths_have_the_measurement_as_their_second_last_segment():
    plate = PlateKey(PLATE.batch, LAB_PATHS_PLATE)
    row = load_data(ROOT, plate, n_sites=1).set_index("Metadata_Well").loc["B03"]
    assert not any(column.startswith("URL_") for column in row.index)
    measurement = row["PathName_OrigER"].split("/")[-2]
    key = image_key(ROOT, plate, "B03", 1, "ER")
    assert key.endswith(f"/images/{measurement}/Images/{row['FileName_OrigER']}")

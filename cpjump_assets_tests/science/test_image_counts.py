"""Published numbers of images, and the counts of an index."""

import pandas as pd
import pytest

from cpjump_assets.gallery.reference.metadata import load_metadata
from cpjump_assets.gallery.reference.root import ReferenceRoot
from cpjump_assets.science.channels import CHANNELS
from cpjump_assets.science.image_counts import count_images, expected_images, nominal_images
from cpjump_assets.science.image_index import ABSENT, LISTED, UNLISTED, UNREADABLE
from cpjump_assets.science.plates import MAIN_BATCH, PLATES, PlateKey


@pytest.mark.parametrize(
    ("batch", "barcode", "sites"),
    [
        (MAIN_BATCH, "BR00117010", 9),
        (MAIN_BATCH, "BR00117015", 16),
        ("2020_11_18_CPJUMP1_TimepointDay1", "BR00117020", 4),
        ("2020_11_19_TimepointDay4", "BR00117020", 4),
        ("2020_12_02_CPJUMP1_2WeeksTimePoint", "BR00117020", 9),
        ("2020_12_08_CPJUMP1_Bleaching", "BR00116992E", 7),
        ("2020_12_08_CPJUMP1_Bleaching", "BR00116993E", 9),
    ],
)
def test_nominal_counts(batch: str, barcode: str, sites: int):
    plate = PlateKey(batch, barcode)
    assert nominal_images(plate) == 384 * sites * 8
    assert expected_images(plate) == nominal_images(plate)


def test_published_counts_are_the_nominal_ones_less_a_few(reference_root):
    experiment, *_ = load_metadata(ReferenceRoot.parse(str(reference_root)))
    lost = {plate: nominal_images(plate) - expected_images(plate, experiment) for plate in PLATES}
    short = {plate for plate, images in lost.items() if images}
    assert all(0 <= images <= 328 for images in lost.values())
    assert len(short) == 18
    assert sum(expected_images(plate, experiment) for plate in PLATES) == 2_723_800
    assert expected_images(PlateKey(MAIN_BATCH, "BR00116993"), experiment) == 27_352


def test_a_plate_that_the_table_lacks_has_its_nominal_count(reference_root):
    experiment, *_ = load_metadata(ReferenceRoot.parse(str(reference_root)))
    plate = PlateKey(MAIN_BATCH, "BR00116993")
    others = experiment[experiment["Metadata_Plate"] != plate.barcode]
    assert expected_images(plate, others) == 27_648


def index(*rows: tuple[str | None, int | None, str | None, str, str | None]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["Metadata_Well", "Metadata_Site", "channel", "status", "reason"])
    return table.astype({"Metadata_Site": "Int64", "channel": "str", "reason": "str"})


def test_counts_of_an_index():
    whole = [("A01", 1, channel, LISTED, None) for channel in CHANNELS]
    table = index(
        *whole,
        ("A01", 1, "DNA", UNLISTED, "another plane"),
        ("A01", 2, "DNA", ABSENT, "lost"),
        ("A02", 1, "DNA", LISTED, "its name says ch1"),
        (None, None, None, UNREADABLE, "its name"),
        ("A01", 1, None, UNLISTED, "ch9"),
    )
    assert count_images(table) == {
        "in the gallery": 11,
        "absent": 1,
        "unlisted": 2,
        "unreadable names": 1,
        "other findings": 1,
        "sites": 3,
        "incomplete sites": 2,
    }


def test_a_plate_without_brightfield_is_complete_without_it():
    stained = [("A01", site, channel, LISTED, None) for site in (1, 2) for channel in CHANNELS[:5]]
    assert count_images(index(*stained))["incomplete sites"] == 0
    assert count_images(index(*stained[1:]))["incomplete sites"] == 1

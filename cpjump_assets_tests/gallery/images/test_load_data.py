"""Image sets in all the forms that are met, and in some that are not image sets."""

import gzip
import io
from datetime import UTC, datetime

import pandas as pd
import pytest

from cpjump_assets.gallery.images.load_data import find_load_data, read_load_data
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.science.channels import CHANNELS
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.plates import MAIN_BATCH, PlateKey
from cpjump_assets.simulate.image_sets import LAB_PATHS_PLATE, OLD_ADDRESSES_PLATE, image_key, load_data

ROOT = GalleryRoot.parse("s3://cellpainting-gallery/cpg0000-jump-pilot/source_4")
PLATE = PlateKey(MAIN_BATCH, "BR00117009")
SOURCE = "load_data.csv"
MEASUREMENT = "BR00117009__2020-11-09T02_35_08-Measurement1"


def csv_of(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()


def parquet_of(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    return buffer.getvalue()


def read(content: bytes, plate: PlateKey = PLATE):
    return read_load_data(content, plate, ROOT, source=SOURCE)


def keys_by_place(plate: PlateKey, n_sites: int = 1) -> dict[tuple[str, int, str], str]:
    """Give the key of every image as the simulator has it, by its meaning."""
    wells = [f"{letter}{column:02d}" for letter in "ABCDEFGHIJKLMNOP" for column in range(1, 25)]
    return {
        (well, site, channel): image_key(ROOT, plate, well, site, channel)
        for well in wells
        for site in range(1, n_sites + 1)
        for channel in CHANNELS
    }


def found_by_place(images: pd.DataFrame) -> dict[tuple[str, int, str], str]:
    places = images[["Metadata_Well", "Metadata_Site", "channel"]].itertuples(index=False, name=None)
    return dict(zip(places, images["key"], strict=True))


@pytest.mark.parametrize(
    ("barcode", "moved"), [(PLATE.barcode, 0), (OLD_ADDRESSES_PLATE, 384 * 8), (LAB_PATHS_PLATE, 384 * 8)]
)
@pytest.mark.parametrize("packed", [csv_of, lambda table: gzip.compress(csv_of(table)), parquet_of])
def test_addresses_and_lab_paths_give_the_same_keys_whatever_the_file(barcode, moved, packed):
    plate = PlateKey(MAIN_BATCH, barcode)
    sets = read(packed(load_data(ROOT, plate, n_sites=1)), plate)
    assert found_by_place(sets.images) == keys_by_place(plate)
    assert len(sets.measurements) == 1
    assert sets.measurements[0].startswith(f"{barcode}__")
    assert (sets.moved, sets.unknown_channels) == (moved, ())


def one_image(address: str, **columns: str) -> bytes:
    return csv_of(pd.DataFrame([{"URL_OrigER": address, "Metadata_Well": "B03", "Metadata_Site": "4", **columns}]))


TAIL = f"{MEASUREMENT}/Images/r02c03f04p01-ch4sk1fk1fl1.tiff"
KEY = f"cpg0000-jump-pilot/source_4/images/{MAIN_BATCH}/images/{TAIL}"


@pytest.mark.parametrize(
    ("address", "moved"),
    [
        (f"s3://cellpainting-gallery/{KEY}", 0),
        (f"https://cellpainting-gallery.s3.amazonaws.com/{KEY}", 0),
        (f"https://cellpainting-gallery.s3.amazonaws.com/{KEY.replace('_', '%5F')}", 0),
        (f"https://s3.us-east-1.amazonaws.com/cellpainting-gallery/{KEY}", 0),
        (f"s3://a-mirror/{KEY}", 0),
        (f"s3://cellpainting-gallery/{KEY.replace('source_4', 'broad')}", 1),
        (f"s3://cellpainting-gallery/elsewhere/{TAIL}", 1),
    ],
)
def test_of_an_address_the_end_counts(address: str, moved: int):
    sets = read(one_image(address))
    assert found_by_place(sets.images) == {("B03", 4, "ER"): KEY}
    assert (sets.measurements, sets.moved) == ((MEASUREMENT,), moved)


@pytest.mark.parametrize(
    "folder", ["/home/ubuntu/x/{m}/Images", "/home/ubuntu/x/{m}/Images/", r"\\server\x\{m}\Images"]
)
def test_the_measurement_is_the_second_last_folder_of_a_lab_path(folder: str):
    table = pd.DataFrame(
        [
            {
                "FileName_OrigER": TAIL.rpartition("/")[2],
                "PathName_OrigER": folder.format(m=MEASUREMENT),
                "Metadata_Well": "B03",
                "Metadata_Site": "4",
            }
        ]
    )
    assert found_by_place(read(csv_of(table)).images) == {("B03", 4, "ER"): KEY}


@pytest.mark.parametrize("well", ["B03", "B3", "r02c03", "r2c3"])
def test_spellings_of_a_well(well: str):
    assert read(one_image(f"s3://b/{KEY}", Metadata_Well=well)).images["Metadata_Well"].tolist() == ["B03"]


def test_channels_by_other_names_and_illumination_functions_beside_them():
    columns = {
        "URL_OrigBrightfield_H": f"s3://b/{KEY.replace('ch4', 'ch6')}",
        "URL_OrigHoechst": "x",
        "FileName_IllumER": "y",
    }
    sets = read(one_image(f"s3://b/{KEY}", **columns))
    assert sets.images["channel"].tolist() == ["ER", "HighZBF"]
    assert sets.unknown_channels == ("Hoechst",)


def test_a_channel_without_a_file_names_no_image():
    table = load_data(ROOT, PLATE, n_sites=1)
    table.loc[7, "URL_OrigER"] = None
    images = read(csv_of(table)).images
    assert len(images) == 384 * 8 - 1
    assert ("A08", 1, "ER") not in found_by_place(images)


def whole() -> pd.DataFrame:
    return load_data(ROOT, PLATE, n_sites=1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>Log in</html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer"),
        (gzip.compress(csv_of(whole()))[:-2000], "truncated"),
        (gzip.compress(csv_of(whole()))[:100] + b"xxxx" * 100, "corrupt"),
        (b"PAR1 and no more", "the Parquet file cannot be read"),
        (csv_of(whole()) + b"one,field\n", "cannot be read"),
        (csv_of(whole().drop(columns="Metadata_Well")), "columns Metadata_Well are missing"),
        (csv_of(whole()[["Metadata_Well", "Metadata_Site"]]), r"columns URL_Orig... or FileName_Orig... are missing"),
        (csv_of(whole()).replace(b"URL_OrigDNA", b"URL_OrigER", 1), "come more than once: URL_OrigER"),
        (csv_of(whole().iloc[:0]), "found a table that names no image"),
        (one_image("nan"), "found a table that names no image"),
        (one_image(f"s3://b/{KEY}", Metadata_Well="Q01"), "expected wells A01 to P24, found Q01"),
        (one_image(f"s3://b/{KEY}", Metadata_Well="A25"), "found A25"),
        (one_image(f"s3://b/{KEY}", Metadata_Well=""), "rows without one"),
        (one_image(f"s3://b/{KEY}", Metadata_Site="1.5"), "expected numbers of sites, found 1.5"),
        (one_image(f"s3://b/{KEY}", Metadata_Site=""), "rows without one"),
        (one_image("r02c03f04p01-ch4sk1fk1fl1.tiff"), "expected addresses .*found r02c03f04p01-ch4sk1fk1fl1.tiff"),
        (one_image("x").replace(b"OrigER", b"OrigHoechst"), "a known channel, found those of Hoechst"),
        (one_image("x").replace(b"URL_", b"FileName_"), "columns PathName_OrigER are missing"),
    ],
)  # fmt: skip
def test_what_is_no_image_set_is_one_error_that_names_file_and_plate(content: bytes, said: str):
    with pytest.raises(BadTableError, match=f"load_data.csv of plate {PLATE}.*{said}") as caught:
        read(content)
    assert "\n" not in str(caught.value).strip()


@pytest.mark.parametrize(
    ("names", "best"),
    [
        (["load_data.csv", "load_data_with_illum.csv"], "load_data.csv"),
        (["load_data_with_illum.csv.gz", "load_data.csv.gz"], "load_data.csv.gz"),
        (["load_data.parquet", "load_data_with_illum.csv"], "load_data.parquet"),
        (["load_data_with_illum.csv"], "load_data_with_illum.csv"),
        (["notes.txt"], None),
        ([], None),
    ],
)
def test_the_file_is_taken_from_the_listing(names: list[str], best: str | None):
    objects = [GalleryObject(f"p/{name}", 1, "e", datetime(2025, 1, 1, tzinfo=UTC)) for name in names]
    found = find_load_data(objects)
    assert (found and found.key) == (best and f"p/{best}")

"""Names and image sets of the images of a simulated plate: keys, and ``load_data.csv``.

Belongs here: image file names and folders, and the table that lists them in the forms that are met. Does not belong
here: pixels (``images``), which images exist (``image_wells``).
"""

import pandas as pd

from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.science.channels import channel_number
from cpjump_assets.science.plates import PLATES, PlateKey
from cpjump_assets.science.positions import POSITIONS

_LOAD_DATA_ORDER = ("Brightfield", "HighZBF", "LowZBF", "RNA", "Mito", "AGP", "ER", "DNA")
# Some plates were measured more than once, and the images of the bleaching batch carry another stack number.
_MEASUREMENTS = {"BR00116996": 3, "BR00117005": 2, "BR00117021": 2, "BR00118043": 2}
_BLEACHING_BATCH, _BLEACHING_STACK = "2020_12_08_CPJUMP1_Bleaching", 5

LAB_PATHS_PLATE = "BR00117020"
"""Barcode of the plates with image sets as before 2025: names, and folders of the computer that they ran on."""
OLD_ADDRESSES_PLATE = "BR00117010"
"""Barcode of the plates whose image sets name the images below ``broad/``, where they are not."""
_LAB_FOLDER = "/home/ubuntu/local_input/projects/2019_07_11_JUMP-CP"


def image_key(root: GalleryRoot, plate: PlateKey, well: str, site: int, channel: str) -> str:
    """Give the key of one image, ``.../<measurement>/Images/rRRcCCfFFp01-chNsk1fk1fl1.tiff``."""
    row, column = (POSITIONS[f"Metadata_{axis}"][well] for axis in ("row", "column"))
    return f"{root.images_prefix(plate.batch)}{_folder(plate)}/{_file_name(plate, row, column, site, channel)}"


def load_data(root: GalleryRoot, plate: PlateKey, n_sites: int) -> pd.DataFrame:
    """List the image sets of a plate: one row per well and site, with the address of the image of each channel.

    The real table lists every image; of a simulated gallery only a few of them exist.
    """
    place = [
        (well, site, row, column)
        for well, row, column in POSITIONS[["Metadata_row", "Metadata_column"]].itertuples(name=None)
        for site in range(1, n_sites + 1)
    ]
    files = {
        channel: [_file_name(plate, row, column, site, channel) for _, site, row, column in place]
        for channel in _LOAD_DATA_ORDER
    }
    addresses = _lab_paths(plate, files) if plate.barcode == LAB_PATHS_PLATE else _urls(root, plate, files)
    wells, sites, *_ = zip(*place, strict=True)
    return pd.DataFrame(addresses | {"Metadata_Plate": plate.barcode, "Metadata_Well": wells, "Metadata_Site": sites})


def _urls(root: GalleryRoot, plate: PlateKey, files: dict[str, list[str]]) -> dict[str, list[str]]:
    if plate.barcode == OLD_ADDRESSES_PLATE:
        root = GalleryRoot(root.bucket, f"{root.prefix.rpartition('/')[0]}/broad")
    folder = f"s3://{root.bucket}/{root.images_prefix(plate.batch)}{_folder(plate)}"
    return {f"URL_Orig{channel}": [f"{folder}/{name}" for name in names] for channel, names in files.items()}


def _lab_paths(plate: PlateKey, files: dict[str, list[str]]) -> dict[str, list[str]]:
    folder = f"{_LAB_FOLDER}/{plate.batch}/images/{_folder(plate)}"
    names = {f"FileName_Orig{channel}": names for channel, names in files.items()}
    return names | {f"PathName_Orig{channel}": [folder] * len(names) for channel, names in files.items()}


def _folder(plate: PlateKey) -> str:
    """Give the folder of a plate's images; real plates carry the time of their measurement, invented here."""
    place = PLATES.index(plate)
    measured = f"{plate.batch[:10].replace('_', '-')}T{place % 24:02d}_{place % 60:02d}_00"
    return f"{plate.barcode}__{measured}-Measurement{_MEASUREMENTS.get(plate.barcode, 1)}/Images"


def _file_name(plate: PlateKey, row: int, column: int, site: int, channel: str) -> str:
    stack = _BLEACHING_STACK if plate.batch == _BLEACHING_BATCH else 1
    return f"r{row:02d}c{column:02d}f{site:02d}p01-ch{channel_number(channel)}sk{stack}fk1fl1.tiff"

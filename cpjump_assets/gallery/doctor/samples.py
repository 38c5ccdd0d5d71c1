"""One object of each kind, opened: whether the files fit, before thousands of them are pulled.

Belongs here: a profile file, a table of image sets, an image and the first bytes of a backend, each of the first plate
that has one. Does not belong here: which objects there are (``holdings``), how the server sends them (``protocol``).

A few megabytes go to a temporary folder, verified as in every pull; of a backend only its first bytes are read.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cpjump_assets.gallery.doctor.findings import Finding, Status, attempt, skipped
from cpjump_assets.gallery.doctor.holdings import BACKENDS, IMAGES, LOAD_DATA, PROFILES, Holdings, Kind
from cpjump_assets.gallery.doctor.protocol import first_bytes
from cpjump_assets.gallery.failures import clear_errors
from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.gallery.images.file_names import parse_image_name
from cpjump_assets.gallery.images.load_data import find_load_data, read_load_data
from cpjump_assets.gallery.layout import safe_relative_path
from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.profile_file import read_profile_csv
from cpjump_assets.gallery.transfer.amounts import bytes_text
from cpjump_assets.science.errors import GalleryError
from cpjump_assets.science.plates import PlateKey

AREA = "samples"
PROFILE, IMAGE_SETS, IMAGE, BACKEND = THINGS = ("profile", "image sets", "image", "backend")
LARGEST = 100_000_000
"""Bytes that a sample may have; the profiles of a plate have 10 MB, an image has 2."""
_ALL_NAMED = "the images that are listed, by channel"
_SQLITE_MAGIC = b"SQLite format 3\0"
_COMPARTMENTS = ("Cells", "Cytoplasm", "Nuclei")

_ADVICE = {
    PROFILE: "a refresh stops at this plate: have the file repaired, or name other plates with --plates",
    IMAGE_SETS: "images of this plate cannot be indexed: have the file repaired",
    IMAGE: "have the images of this plate repaired, or choose another plate",
    BACKEND: "single cells of this plate cannot be aggregated: have the file repaired",
}

OpenImage = Callable[[Path], Any]
"""Gives the pixels of an image file, an array with a ``shape``, or raises a ``CpjumpError``."""


@dataclass(frozen=True)
class _Look:
    """What the samples are taken from."""

    gallery: Gallery
    holdings: Holdings
    folder: Path
    open_image: OpenImage

    def profile(self, plate: PlateKey) -> Iterator[Finding]:
        """Read aggregated profiles as the platform does."""
        (item,) = self.holdings.objects(plate, PROFILES)
        profiles = read_profile_csv(self._pulled(item), plate)
        count = Counter(feature.partition("_")[0] for feature in profiles.features)
        of_compartments = ", ".join(f"{name} {count[name]:,}" for name in _COMPARTMENTS)
        found = (
            f"{len(profiles.metadata)} wells, {len(profiles.features):,} features ({of_compartments}), "
            f"{', '.join(profiles.metadata.columns)}"
        )
        if all(count[name] for name in _COMPARTMENTS):
            yield Finding(AREA, PROFILE, Status.OK, found, where=str(plate))
            return
        expected = f"features of {', '.join(_COMPARTMENTS)}"
        advice = "features that are not CellProfiler's give scores that cannot be held against the published ones"
        yield Finding(AREA, PROFILE, Status.WARNING, found, where=str(plate), expected=expected, advice=advice)

    def image_sets(self, plate: PlateKey) -> Iterator[Finding]:
        """Read a table of image sets, and hold it against the first page of the images that are listed."""
        item = find_load_data(self.holdings.objects(plate, LOAD_DATA))
        if item is None:
            raise GalleryError(f"the image sets of plate {plate}: expected load_data.csv, found other files")
        sets = read_load_data(self._pulled(item).read_bytes(), plate, self.gallery.root, source=item.key)
        found = f"{len(sets.images):,} images of {sets.images['channel'].nunique()} channels"
        if sets.moved:
            found += f", {sets.moved:,} of them by an address of another place, and read from here"
        named = set(sets.images["key"])
        listed = [image.key for image in self._first_images(plate, among=sets.measurements)]
        unnamed = tuple(key.rpartition("/")[2] for key in listed if key not in named)
        if listed and len(unnamed) == len(listed):
            advice = "image sets that name none of the images there cannot be joined with them: have them repaired"
            yield Finding(AREA, IMAGE_SETS, Status.ERROR, found, str(plate), _ALL_NAMED, unnamed, advice)
        elif unnamed or sets.unknown_channels:
            advice = "images that the image sets do not name are listed in `image_index`, with the reason"
            names = (*sets.unknown_channels, *unnamed)
            yield Finding(AREA, IMAGE_SETS, Status.WARNING, found, str(plate), _ALL_NAMED, names, advice)
        else:
            yield Finding(AREA, IMAGE_SETS, Status.OK, found, where=str(plate))

    def image(self, plate: PlateKey) -> Iterator[Finding]:
        """Pull and open the first image of a plate."""
        item = next(iter(self._first_images(plate)), None)
        if item is None:
            raise GalleryError(f"the images of plate {plate}: expected files rRRcCCfFFpPP-chN....tiff, found none")
        height, width = self.open_image(self._pulled(item)).shape
        found = f"{height} x {width} pixels of 16 bits, {bytes_text(item.size)}"
        yield Finding(AREA, IMAGE, Status.OK, found, where=str(plate))

    def backend(self, plate: PlateKey) -> Iterator[Finding]:
        """Read the first bytes of a backend."""
        (item,) = self.holdings.objects(plate, BACKENDS)
        start = first_bytes(self.gallery, item, len(_SQLITE_MAGIC)).content
        if start != _SQLITE_MAGIC:
            raise GalleryError(f"{item.key}: expected an SQLite database, found a file that begins with {start!r}")
        yield Finding(AREA, BACKEND, Status.OK, f"an SQLite database of {bytes_text(item.size)}", where=str(plate))

    def _first_images(self, plate: PlateKey, among: Collection[str] = ()) -> tuple[GalleryObject, ...]:
        """Give the images in the first page of the listing, of 28 that a plate has; none without a folder.

        Of several measurement folders those are taken that are ``among`` the given ones; if none is, all.
        """
        root = self.gallery.root
        folders = self.holdings.shelf(plate.batch, IMAGES).folders.get(plate.barcode, ())
        chosen = [name for name in folders if name in among] or folders
        listed = [item for name in chosen for item in self._page(f"{root.images_prefix(plate.batch)}{name}/")]
        return tuple(item for item in listed if parse_image_name(item.key.rpartition("/")[2]) is not None)

    def _page(self, prefix: str) -> Iterator[GalleryObject]:
        """List the first thousand objects below a prefix."""
        bucket = self.gallery.root.bucket
        with clear_errors(self.gallery.client, f"the listing of s3://{bucket}/{prefix}"):
            page = self.gallery.client.list_objects_v2(Bucket=bucket, Prefix=prefix)
        for entry in page.get("Contents", ()):
            yield GalleryObject(entry["Key"], entry["Size"], entry["ETag"].strip('"'), entry["LastModified"])

    def _pulled(self, item: GalleryObject) -> Path:
        """Pull a sample, verified, and give its path."""
        if item.size > LARGEST:
            raise GalleryError(f"{item.key}: expected {bytes_text(LARGEST)} at most, found {bytes_text(item.size)}")
        self.gallery.hold(item, self.folder)
        return self.folder / safe_relative_path(item.key)


def sample_findings(gallery: Gallery, holdings: Holdings, open_image: OpenImage) -> tuple[Finding, ...]:
    """Take a sample of each kind, side by side."""
    try:
        temporary = TemporaryDirectory(prefix="cpjump-doctor-")
    except OSError as error:
        advice = "set TMPDIR to a folder that you may write to"
        return (Finding(AREA, PROFILE, Status.ERROR, f"no temporary folder: {error.strerror}", advice=advice),)
    with temporary as folder, ThreadPoolExecutor(len(THINGS), thread_name_prefix="sample") as pool:
        look = _Look(gallery, holdings, Path(folder), open_image)
        sought = (
            (PROFILE, PROFILES, look.profile),
            (IMAGE_SETS, LOAD_DATA, look.image_sets),
            (IMAGE, IMAGES, look.image),
            (BACKEND, BACKENDS, look.backend),
        )
        taken = pool.map(lambda one: _sample(holdings, *one), sought)
        return tuple(finding for findings in taken for finding in findings)


def _sample(
    holdings: Holdings, thing: str, kind: Kind, look: Callable[[PlateKey], Iterator[Finding]]
) -> tuple[Finding, ...]:
    plate = holdings.first_plate(kind)
    if plate is None:
        return skipped(AREA, thing, because=f"needs: {kind.name} of any plate")
    return attempt(AREA, thing, lambda: look(plate), where=str(plate), advice=_ADVICE[thing])

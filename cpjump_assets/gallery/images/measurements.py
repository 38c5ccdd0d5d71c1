"""Measurement folders: where the images of a plate lie, ``<barcode>__<time>-Measurement<n>``.

Belongs here: which folders there are, which one is a plate's, and the listing of what it holds. Does not belong here:
the names of the files in it (``file_names``), what the image sets say (``load_data``).
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cpjump_assets.gallery.images.load_data import find_load_data, read_load_data
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.listing import GalleryObject, list_folders, list_objects
from cpjump_assets.gallery.transfer.body import read_object
from cpjump_assets.science.errors import GalleryError
from cpjump_assets.science.plates import BATCHES, PlateKey

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_BARCODE = re.compile(r"[A-Za-z0-9]+")


@dataclass(frozen=True)
class PlateImages:
    """What the gallery lists of the images of a plate.

    Attributes
    ----------
    plate
        The plate acquisition.
    folders
        Its measurement folders: one, as a rule.
    objects
        All that lies in them, by key.
    """

    plate: PlateKey
    folders: tuple[str, ...]
    objects: tuple[GalleryObject, ...]

    @property
    def version(self) -> str:
        """What changes when an object is added, lost or written again: a digest over keys, ETags and sizes."""
        digest = hashlib.sha256()
        for item in self.objects:
            digest.update(f"{item.key}\n{item.version}\n".encode())
        return digest.hexdigest()

    def by_prefix(self, root: GalleryRoot) -> dict[str, tuple[GalleryObject, ...]]:
        """Give the objects of each folder, by its prefix."""
        prefixes = [f"{root.images_prefix(self.plate.batch)}{folder}/" for folder in self.folders]
        return {prefix: tuple(item for item in self.objects if item.key.startswith(prefix)) for prefix in prefixes}


def list_measurements(client: "S3Client", root: GalleryRoot, batch: str) -> dict[PlateKey, tuple[str, ...]]:
    """List the measurement folders of the plates of a batch, by one request that does not look into them.

    What a folder is called behind the barcode is of no matter; a letter belongs to the barcode, so that
    ``BR00116992E__...`` is not taken for a measurement of ``BR00116992``. Folders of no published plate are left out,
    and so are plates without a folder.

    Raises
    ------
    GalleryError
        If the batch cannot be listed.
    """
    folders: dict[PlateKey, tuple[str, ...]] = {}
    for folder in list_folders(client, root.bucket, root.images_prefix(batch)):
        barcode = _BARCODE.match(folder)
        if barcode is not None and barcode[0] in BATCHES.get(batch, ()):
            plate = PlateKey(batch, barcode[0])
            folders[plate] = (*folders.get(plate, ()), folder)
    return folders


def choose_measurement(plate: PlateKey, folders: Collection[str], named: Collection[str]) -> str | None:
    """Tell which of its measurement folders a plate is read from; None if it has none.

    Of several that one counts which the image sets name, because profiles were computed from it. The latest is not
    taken for the right one: nobody says why a measurement was repeated, and which of the two was used.

    Parameters
    ----------
    named
        Folders that the image sets name.

    Raises
    ------
    GalleryError
        If there are several, and the image sets name none or more than one of them.
    """
    candidates = sorted(folders) if len(folders) < 2 else sorted(set(folders) & set(named))
    if len(candidates) == 1:
        return candidates[0]
    if not folders:
        return None
    raise GalleryError(
        f"plate {plate} has {len(folders)} measurement folders, {', '.join(sorted(folders))}: expected its image sets "
        f"to name one of them, they name {' and '.join(candidates) or 'none'}"
    )


def resolve_measurements(
    client: "S3Client", root: GalleryRoot, batch: str, plates: Collection[PlateKey] | None = None
) -> dict[PlateKey, str]:
    """Give the measurement folder of each plate of a batch that has one.

    One listing answers for the whole batch; only where a plate has several folders its image sets are read.

    Parameters
    ----------
    plates
        Plates to resolve; None is every plate of the batch.

    Raises
    ------
    GalleryError, BadTableError
        As ``choose_measurement``, or if a listing or image sets cannot be read.
    """
    folders = list_measurements(client, root, batch)
    wanted = [plate for plate in folders if plates is None or plate in plates]
    resolved = {
        plate: choose_measurement(plate, folders[plate], _named(client, root, plate, folders)) for plate in wanted
    }
    return {plate: folder for plate, folder in resolved.items() if folder is not None}


def _named(
    client: "S3Client", root: GalleryRoot, plate: PlateKey, folders: Mapping[PlateKey, Collection[str]]
) -> Collection[str]:
    """Give the folders that the image sets of a plate name, if it takes them to tell."""
    if len(folders[plate]) < 2:
        return ()
    item = find_load_data(list_objects(client, root.bucket, root.load_data_prefix(plate)))
    content = None if item is None else read_object(client, root.bucket, item.key)
    return () if item is None or content is None else read_load_data(content, plate, root, source=item.key).measurements


def list_plate_images(client: "S3Client", root: GalleryRoot, plate: PlateKey, folders: Iterable[str]) -> PlateImages:
    """List all that lies in the measurement folders of a plate: 28 requests for 27,648 images.

    Raises
    ------
    GalleryError
        If a folder cannot be listed.
    """
    names = tuple(sorted(folders))
    prefixes = [f"{root.images_prefix(plate.batch)}{name}/" for name in names]
    objects = tuple(item for prefix in prefixes for item in list_objects(client, root.bucket, prefix))
    return PlateImages(plate, names, objects)

"""What the gallery holds, batch by batch and kind by kind, by a few listings for each batch.

Belongs here: the kinds of objects that are looked for, and what was listed of them. Does not belong here: what that
means (``plates``), opening any object (``samples``). Every name comes from a listing.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.gallery.images.measurements import list_measurements
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.listing import GalleryObject, list_folders, list_objects
from cpjump_assets.science.errors import GalleryError
from cpjump_assets.science.plates import BATCHES, PlateKey


@dataclass(frozen=True)
class Kind:
    """A kind of object, of which each plate of a batch has some in a folder of its own.

    Attributes
    ----------
    name
        As in ``cpjump pull <name>``.
    prefix_of_plate
        What all keys of a plate begin with: the prefix of its batch, and a folder whose name begins with its barcode.
    is_read
        Whether the platform reads an object of a plate, by its key.
    lacking
        What it means that a plate has none.
    """

    name: str
    prefix_of_plate: Callable[[GalleryRoot, PlateKey], str]
    is_read: Callable[[GalleryRoot, PlateKey, str], bool]
    lacking: str

    def prefix(self, root: GalleryRoot, batch: str) -> str:
        """Give what all keys of a batch begin with."""
        plate = PlateKey(batch, BATCHES[batch][0])
        return self.prefix_of_plate(root, plate).removesuffix(f"{plate.barcode}/")


PROFILES = Kind(
    "profiles",
    GalleryRoot.profiles_prefix,
    lambda root, plate, key: key == root.profile_key(plate),
    "plates without profiles are left out of a refresh, and counted",
)
LOAD_DATA = Kind(
    "load-data",
    GalleryRoot.load_data_prefix,
    lambda _root, _plate, key: _name(key).startswith("load_data"),
    "without load_data, images of a plate are known from the listing alone",
)
IMAGES = Kind(
    "images",
    lambda root, plate: f"{root.images_prefix(plate.batch)}{plate.barcode}/",  # a time stands behind the barcode
    lambda _root, _plate, _key: True,
    "without a measurement folder, images of a plate cannot be indexed or pulled",
)
ILLUMINATION = Kind(
    "illumination",
    GalleryRoot.illumination_prefix,
    lambda _root, _plate, key: key.endswith(".npy"),
    "without illumination functions, images of a plate are shown as they were taken",
)
BACKENDS = Kind(
    "backends",
    GalleryRoot.backend_prefix,
    lambda root, plate, key: key == root.backend_key(plate),
    "without a backend, preset paper_2021 has no single cells of a plate",
)
KINDS = (PROFILES, LOAD_DATA, IMAGES, ILLUMINATION, BACKENDS)


@dataclass(frozen=True)
class Shelf:
    """What was listed of one kind in one batch.

    Attributes
    ----------
    batch, kind
        Which.
    folders
        What lies in the folder of each plate, by its barcode: keys, and of images the measurement folders.
    objects
        The objects listed, by key; of images none are.
    failure
        Why it could not be listed; None where it was.
    """

    batch: str
    kind: Kind
    folders: Mapping[str, tuple[str, ...]]
    objects: Mapping[str, GalleryObject]
    failure: GalleryError | None = None


@dataclass(frozen=True)
class Holdings:
    """What was listed of the gallery.

    Attributes
    ----------
    root
        Of the gallery.
    shelves
        By batch and name of the kind.
    batches
        Names of all batch folders with profiles, published or not.
    """

    root: GalleryRoot
    shelves: Mapping[tuple[str, str], Shelf]
    batches: tuple[str, ...]

    def shelf(self, batch: str, kind: Kind) -> Shelf:
        """Give what was listed of a kind in a batch."""
        return self.shelves[batch, kind.name]

    def plates(self, batch: str, kind: Kind) -> tuple[PlateKey, ...]:
        """Give the published plates of a batch of which the gallery has what the platform reads."""
        folders = self.shelf(batch, kind).folders
        plates = (PlateKey(batch, barcode) for barcode in BATCHES[batch])
        return tuple(
            plate
            for plate in plates
            if any(kind.is_read(self.root, plate, key) for key in folders.get(plate.barcode, ()))
        )

    def objects(self, plate: PlateKey, kind: Kind) -> tuple[GalleryObject, ...]:
        """Give the objects of a plate that the platform reads, by key."""
        shelf = self.shelf(plate.batch, kind)
        keys = shelf.folders.get(plate.barcode, ())
        return tuple(shelf.objects[key] for key in keys if kind.is_read(self.root, plate, key))

    def first_plate(self, kind: Kind) -> PlateKey | None:
        """Give the first published plate that has this kind of object."""
        return next((plate for batch in BATCHES for plate in self.plates(batch, kind)), None)


def look_up(gallery: Gallery) -> Holdings:
    """List every batch, kind by kind, several at once; what cannot be listed is recorded as such.

    Six requests a batch, and one more for each further thousand objects: none for a plate.

    Raises
    ------
    GalleryError
        If not even the names of the batches can be listed.
    """
    wanted = [(batch, kind) for batch in BATCHES for kind in KINDS]
    profiles = gallery.root.key("workspace", "profiles") + "/"
    with ThreadPoolExecutor(gallery.connections, thread_name_prefix="doctor") as pool:
        batches = pool.submit(list_folders, gallery.client, gallery.root.bucket, profiles)
        shelves = list(pool.map(lambda place: _shelf(gallery, *place), wanted))
        by_place = {(shelf.batch, shelf.kind.name): shelf for shelf in shelves}
        return Holdings(gallery.root, by_place, batches.result())


def _shelf(gallery: Gallery, batch: str, kind: Kind) -> Shelf:
    try:
        if kind is IMAGES:
            return Shelf(batch, kind, _measurements(gallery, batch), {})
        prefix = kind.prefix(gallery.root, batch)
        listed = {item.key: item for item in list_objects(gallery.client, gallery.root.bucket, prefix)}
    except GalleryError as error:
        return Shelf(batch, kind, {}, {}, error)
    return Shelf(batch, kind, _grouped({key: key.removeprefix(prefix).partition("/")[0] for key in listed}), listed)


def _measurements(gallery: Gallery, batch: str) -> dict[str, tuple[str, ...]]:
    """Give the measurement folders of each plate, by barcode; those of no published plate stand by themselves."""
    every = list_folders(gallery.client, gallery.root.bucket, gallery.root.images_prefix(batch))
    published = list_measurements(gallery.client, gallery.root, batch)
    known = {name for names in published.values() for name in names}
    by_barcode = {plate.barcode: names for plate, names in published.items()}
    return by_barcode | {name: (name,) for name in every if name not in known}


def _grouped(barcodes: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Turn the barcode of each name into the names of each barcode."""
    names: dict[str, list[str]] = defaultdict(list)
    for name, barcode in barcodes.items():
        names[barcode].append(name)
    return {barcode: tuple(listed) for barcode, listed in names.items()}


def _name(key: str) -> str:
    return key.rpartition("/")[2]

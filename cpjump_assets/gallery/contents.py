"""What of CPJUMP1 the gallery holds, kind by kind, and plate by plate.

Belongs here: the kinds, and which listed objects are of one. Does not belong here: the prefixes (``layout``), how they
are listed (``listing``), which image shows what (``images``).

Names come from the listing: a suffix, a measurement folder or an illumination function that is new is there by itself.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.gallery.images.file_names import parse_image_name
from cpjump_assets.gallery.images.measurements import resolve_measurements
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.listing import GalleryObject, list_prefixes
from cpjump_assets.science.channels import numbered_channel
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.science.positions import POSITIONS

Kind = Literal["profiles", "images", "load-data", "illumination", "backends", "analysis", "platemaps", "metadata"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Profiles of all levels; images; image sets; illumination functions; SQLite files of single cells with what lies
beside them; CellProfiler's tables per site; plate maps; and everything that describes the experiment."""

OF_NO_PLATE = "all plates"
"""Stands for the plate of what belongs to no single one."""

_OF_PLATE: Mapping[Kind, Callable[[GalleryRoot, PlateKey], str]] = MappingProxyType(
    {
        "profiles": GalleryRoot.profiles_prefix,
        "load-data": GalleryRoot.load_data_prefix,
        "illumination": GalleryRoot.illumination_prefix,
        "backends": GalleryRoot.backend_prefix,
        "analysis": GalleryRoot.analysis_prefix,
    }
)
_SITE_FOLDER = re.compile(r".*-(?P<well>[A-P][0-9]{2})-(?P<site>[0-9]+)")


@dataclass(frozen=True)
class Choice:
    """What of a plate is wanted; None of a field is all.

    Attributes
    ----------
    suffixes
        Of profiles: what stands between the barcode and ``.csv.gz``.
    wells, sites
        Of images and single-cell tables.
    channels
        Of images, by meaning (``science.channels``).
    """

    suffixes: frozenset[str] | None = None
    wells: frozenset[str] | None = None
    sites: frozenset[int] | None = None
    channels: frozenset[str] | None = None


EVERYTHING = Choice()


@dataclass(frozen=True)
class Contents:
    """What was listed.

    Attributes
    ----------
    parts
        The objects that are wanted, by plate key, batch or ``OF_NO_PLATE``; none for a part of which the gallery holds
        nothing.
    folders
        All objects, wanted or not, of each folder that was listed as a whole, by its prefix.
    """

    parts: Mapping[str, tuple[GalleryObject, ...]]
    folders: Mapping[str, tuple[GalleryObject, ...]]


def contents_of(gallery: Gallery, kind: Kind, plates: Iterable[PlateKey], choice: Choice = EVERYTHING) -> Contents:
    """List what the gallery holds of a kind.

    Parameters
    ----------
    plates
        Of plate maps, those of their batches are listed; metadata belong to all plates.

    Raises
    ------
    GalleryError
        If a prefix cannot be listed, or the images of a plate lie in several measurements of which none is the latest.
    """
    prefixes = _prefixes(gallery, kind, tuple(plates), choice)
    every = [prefix for of_part in prefixes.values() for prefix in of_part]
    listed = list_prefixes(gallery.client, gallery.root.bucket, every, connections=gallery.connections)
    is_wanted = _IS_WANTED.get(kind, _always)
    parts = {
        part: tuple(item for prefix in of_part for item in listed[prefix] if is_wanted(item.key.split("/"), choice))
        for part, of_part in prefixes.items()
    }
    # Single wells of a plate are listed by the beginning of their file names.
    return Contents(parts, {prefix: objects for prefix, objects in listed.items() if prefix.endswith("/")})


def _prefixes(gallery: Gallery, kind: Kind, plates: tuple[PlateKey, ...], choice: Choice) -> dict[str, tuple[str, ...]]:
    """Give the prefixes to list, by plate key, batch or ``OF_NO_PLATE``."""
    root = gallery.root
    batches = tuple(dict.fromkeys(plate.batch for plate in plates))
    if kind == "metadata":
        return {OF_NO_PLATE: (root.metadata_prefix,)}
    if kind == "platemaps":
        return {batch: (root.platemaps_prefix(batch),) for batch in batches}
    if kind == "images":
        folders: dict[PlateKey, str] = {}
        for batch in batches:
            folders |= resolve_measurements(gallery.client, root, batch, plates)
        return {str(plate): _image_prefixes(root, plate, folders, choice) for plate in plates}
    return {str(plate): (_OF_PLATE[kind](root, plate),) for plate in plates}


def _image_prefixes(
    root: GalleryRoot, plate: PlateKey, folders: Mapping[PlateKey, str], choice: Choice
) -> tuple[str, ...]:
    """Give the folder of a plate's images, or the wells in it: a plate takes 28 requests, one after another."""
    if plate not in folders:
        return ()
    measurement = f"{root.images_prefix(plate.batch)}{folders[plate]}/"
    if choice.wells is None:
        return (measurement,)
    places = POSITIONS.loc[sorted(choice.wells), ["Metadata_row", "Metadata_column"]]
    return tuple(f"{measurement}Images/r{row:02d}c{column:02d}" for row, column in places.itertuples(index=False))


def _always(segments: list[str], choice: Choice) -> bool:
    return True


def _is_profile(segments: list[str], choice: Choice) -> bool:
    if choice.suffixes is None:
        return True
    *_, barcode, name = segments
    return name in {f"{barcode}{suffix}.csv.gz" for suffix in choice.suffixes}


def _is_image(segments: list[str], choice: Choice) -> bool:
    if choice == EVERYTHING:
        return True
    name = parse_image_name(segments[-1])
    return (
        name is not None
        and (choice.wells is None or name.well in choice.wells)
        and (choice.sites is None or name.site in choice.sites)
        and (choice.channels is None or numbered_channel(name.channel_number) in choice.channels)
    )


def _is_site_table(segments: list[str], choice: Choice) -> bool:
    if not segments[-1].endswith(".csv"):
        return False
    site = _SITE_FOLDER.fullmatch(segments[-2])
    return choice == EVERYTHING or (
        site is not None
        and (choice.wells is None or site["well"] in choice.wells)
        and (choice.sites is None or int(site["site"]) in choice.sites)
    )


_IS_WANTED: Mapping[Kind, Callable[[list[str], Choice], bool]] = MappingProxyType(
    {"profiles": _is_profile, "images": _is_image, "analysis": _is_site_table}
)

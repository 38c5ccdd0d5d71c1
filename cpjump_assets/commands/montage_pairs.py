"""Where the two sites of a montage come from: the gallery, or folders of one's own.

Belongs here: which wells and which site, pulling what is missing, the words beside the images. Does not belong here:
the options (``montage``), how images are found, pulled and read (``gallery``, ``imaging``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cpjump_assets.science.channels import CHANNELS
from cpjump_assets.science.errors import BadTableError, GalleryError
from cpjump_assets.science.plates import MAIN_PLATES, PlateKey
from cpjump_assets.settings import Settings, parse_bytes

if TYPE_CHECKING:
    import pandas as pd

    from cpjump_assets.figures.montage import MontageRow
    from cpjump_assets.gallery.gallery import Gallery
    from cpjump_assets.gallery.images.local_folder import Site
    from cpjump_assets.science.named_reagents import NamedReagent

_NAMED = 6
"""Sites, wells or reagents that a remark names."""


@dataclass(frozen=True)
class Pair:
    """What stands on a sheet.

    Attributes
    ----------
    rows
        The perturbation, and below it the control where there is one.
    title, source
        Words above, and where the images come from.
    file
        How the picture is called unless somebody names it.
    """

    rows: "tuple[MontageRow, ...]"
    title: str
    source: str
    file: str


@dataclass(frozen=True)
class Where:
    """Which wells and which site somebody asked for; None leaves the choice to the platform."""

    well: str | None
    control_well: str | None
    site: int | None


def from_folders(folder: Path, control_folder: Path | None, where: Where) -> Pair:
    """Take a site from a folder, and its control from another folder or from another well of the same.

    Raises
    ------
    GalleryError
        If a folder does not hold what was asked for.
    """
    from cpjump_assets.figures.montage_words import site_words
    from cpjump_assets.gallery.images.local_folder import sites_in
    from cpjump_assets.science.image_selection import NEGATIVE_CONTROL, PERTURBATION

    sites, name = sites_in(folder), folder.resolve().name
    well, number = _chosen(sites, folder, where.well, where.site)
    rows, title = [_row(site_words(PERTURBATION, name, well, number), sites[well, number])], name
    if control_folder or where.control_well:
        beside = control_folder or folder
        others, other_name = sites_in(beside), beside.resolve().name
        same_site = number if any(at == number for _, at in others) else None
        other, at = _chosen(others, beside, where.control_well, where.site or same_site)
        rows.append(_row(site_words(NEGATIVE_CONTROL, other_name, other, at), others[other, at]))
        title = f"{name} beside {other_name}"
    return Pair(tuple(rows), title, "local files", f"{name}_{well}.png")


def from_gallery(
    perturbation: str, barcode: str, where: Where, *, budget: str | None, channels: frozenset[str]
) -> Pair:
    """Find a reagent and a negative control on a plate, and pull what the store does not hold of their images.

    Parameters
    ----------
    perturbation
        Id, name or target.
    barcode
        The plate, as users name it.
    budget
        Bytes that may be pulled, as users write them; None takes the setting.
    channels
        Which images are wanted.

    Raises
    ------
    BadTableError, GalleryError
        If the plate does not hold the reagent, or the gallery none of the images.
    """
    from cpjump_assets.figures.montage_words import plate_words, well_words
    from cpjump_assets.gallery.gallery import Gallery
    from cpjump_assets.science.image_selection import FIRST_SITE

    settings = Settings.from_environment()
    allowed = settings.pull_budget if budget is None else parse_bytes("--budget", budget)
    plate = PlateKey.parse({known.barcode: str(known) for known in MAIN_PLATES}.get(barcode, barcode))
    wells = _wells_of(plate, settings)
    pair = _pair_of_wells(wells, perturbation, where)
    number = where.site or FIRST_SITE
    gallery = Gallery.of(settings)
    files = _pulled(gallery, plate, pair, number, channels, settings.gallery_folder, allowed)
    for well in pair:
        _say_absent(well, number, channels.difference(files.get((well, number), {})))
    named = wells.set_index("Metadata_Well", drop=False)
    rows = tuple(_row(well_words(named.loc[well], number), files.get((well, number), {})) for well in pair)
    file = f"{named.at[pair[0], 'Metadata_broad_sample']}_{plate.barcode}_{pair[0]}.png"
    return Pair(rows, plate_words(named.iloc[0]), gallery.origin(), file)


def _row(label: str, files: Mapping[str, Path]) -> "MontageRow":
    """Read a site; what is no image is said, and shown as absent."""
    from cpjump_assets.figures.montage import MontageRow
    from cpjump_assets.imaging.site import read_site

    site = read_site(files)
    for problem in site.problems.values():
        click.echo(f"cpjump: {problem}; it is shown as absent", err=True)
    return MontageRow(label, site.channels)


def _chosen(sites: "Mapping[Site, Any]", folder: Path, well: str | None, number: int | None) -> "Site":
    """Give the first site of a folder that was asked for."""
    fitting = [site for site in sites if well in (None, site[0]) and number in (None, site[1])]
    if not fitting:
        wanted = " ".join([*([f"well {well}"] if well else []), *([f"site {number}"] if number else [])])
        there = _some(tuple(f"{of} site {at}" for of, at in sites))
        raise GalleryError(f"{folder} has no image of {wanted}, but of {there}")
    return min(fitting)


def _wells_of(plate: "PlateKey", settings: Settings) -> "pd.DataFrame":
    """Give the wells of a plate, from the reference tables."""
    from cpjump_assets.gallery.reference.metadata import load_metadata
    from cpjump_assets.gallery.reference.root import ReferenceRoot

    wells = load_metadata(ReferenceRoot.parse(settings.reference, endpoint=settings.s3_endpoint)).wells
    return wells[(wells["Metadata_Batch"] == plate.batch) & (wells["Metadata_Plate"] == plate.barcode)]


def _pair_of_wells(wells: "pd.DataFrame", perturbation: str, where: Where) -> tuple[str, str]:
    """Choose a well of the reagent and one of a control, and say what else there was to choose."""
    from cpjump_assets.science.named_reagents import find_reagent

    found = find_reagent(wells, perturbation)
    well = where.well or found.wells[0]
    if well not in found.wells:
        raise BadTableError(f"well {well} does not hold {found.broad_sample}, but {_some(found.wells)} do")
    _say_choice(found, perturbation, well)
    if where.control_well:
        if where.control_well not in set(wells["Metadata_Well"]):
            raise BadTableError(f"a plate has no well {where.control_well}: expected one of A01 to P24")
        return well, where.control_well
    controls = wells.loc[wells["Metadata_control_type"] == "negcon", "Metadata_Well"]
    others = sorted(set(controls) - {well})
    if not others:
        raise BadTableError(f"plate {wells['Metadata_Plate'].iloc[0]} has no negative control: give --control-well")
    return well, others[0]


def _say_choice(found: "NamedReagent", words: str, well: str) -> None:
    if found.others:
        also = _some(found.others)
        click.echo(f"{words} is the {found.found_by} of several: {found.broad_sample} is taken; also {also}", err=True)
    if len(found.wells) > 1:
        click.echo(f"{found.broad_sample} is in {_some(found.wells)}: {well} is taken (see --well)", err=True)


def _say_absent(well: str, site: int, channels: frozenset[str]) -> None:
    if channels:
        names = ", ".join(name for name in CHANNELS if name in channels)
        click.echo(f"cpjump: the gallery has no {names} of well {well}, site {site}; it is shown as absent", err=True)


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _pulled(
    gallery: "Gallery",
    plate: "PlateKey",
    wells: tuple[str, ...],
    site: int,
    channels: frozenset[str],
    folder: Path,
    budget: int,
) -> "dict[Site, dict[str, Path]]":
    """Make sure that the images of a site of some wells are in the store, and give their files."""
    from cpjump_assets.gallery.contents import Choice, contents_of
    from cpjump_assets.gallery.images.local_folder import sites_of_files
    from cpjump_assets.gallery.layout import safe_relative_path
    from cpjump_assets.terminal.pull import following_pull

    choice = Choice(wells=frozenset(wells), sites=frozenset({site}), channels=channels)
    listed = contents_of(gallery, "images", [plate], choice).parts[str(plate)]
    if not listed:
        raise GalleryError(f"{gallery.root} holds no image of {' or '.join(wells)} of {plate} at site {site}")
    with following_pull() as progress:
        gallery.pull(listed, folder, progress=progress, budget=budget)
    files = {item.key.rpartition("/")[2]: folder / safe_relative_path(item.key) for item in listed}
    return sites_of_files({name: path for name, path in files.items() if path.is_file()})

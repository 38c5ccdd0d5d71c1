"""Images that lie in a folder of one's own, under the names that the microscope gave them.

Belongs here: telling sites and channels by the names of files. Does not belong here: the gallery's objects (``index``),
reading pixels (``imaging``).
"""

from collections.abc import Mapping
from pathlib import Path

from cpjump_assets.gallery.images.file_names import parse_image_name
from cpjump_assets.science.channels import numbered_channel
from cpjump_assets.science.errors import GalleryError

Site = tuple[str, int]
"""A well and the number of a field of view in it."""


def sites_of_files(files: Mapping[str, Path]) -> dict[Site, dict[str, Path]]:
    """Sort image files into sites, and into channels by the number in their names; of several planes the first counts.

    Parameters
    ----------
    files
        Where each lies, by its name as the gallery or the microscope spells it. Names of another form are passed over.

    Returns
    -------
    dict
        By well and site, in order: the file of each channel.
    """
    named = {name: parsed for name in files if (parsed := parse_image_name(name)) is not None}
    sites: dict[Site, dict[str, Path]] = {}
    for name, parsed in sorted(named.items(), key=lambda item: (item[1], item[0])):
        channel = numbered_channel(parsed.channel_number)
        if channel is not None:
            sites.setdefault((parsed.well, parsed.site), {}).setdefault(channel, files[name])
    return sites


def sites_in(folder: Path) -> dict[Site, dict[str, Path]]:
    """Find the sites in a folder, as ``sites_of_files``.

    Raises
    ------
    GalleryError
        If there is no image in it, or it cannot be listed.
    """
    try:
        files = {path.name: path for path in folder.iterdir() if path.is_file()}
    except OSError as error:
        raise GalleryError(f"the folder {folder} cannot be listed: {error.strerror or error}") from error
    sites = sites_of_files(files)
    if not sites:
        raise GalleryError(
            f"{folder} has {len(files):,} files, and none is called like r14c09f05p01-ch1sk1fk1fl1.tiff: row 14, column"
            " 9, site 5, channel 1"
        )
    return sites

"""What users write for plates, wells, sites and channels, and what is meant by it.

Belongs here: reading the values of options. Does not belong here: the options' help (the commands), which of these the
gallery holds (``gallery``).
"""

import re

import click

from cpjump_assets.science.channels import BRIGHTFIELD, CHANNELS, FLUORESCENCE
from cpjump_assets.science.plates import MAIN_BATCH, PLATES, PlateKey

CHANNEL_GROUPS = {"fluorescence": FLUORESCENCE, "brightfields": BRIGHTFIELD}
"""Words that stand for several channels; ``Brightfield`` by itself is the one plane that is in focus."""

_SITES = re.compile(r"([1-9][0-9]?)(?:-([1-9][0-9]?))?")


def words(text: str | None) -> tuple[str, ...]:
    """Cut a comma-separated value into its words."""
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def plates_of(text: str | None, *, option: str = "--plates") -> tuple[PlateKey, ...]:
    """Read plates, as barcodes of the main batch or ``<batch>.<barcode>``; ``click.BadParameter`` if one is none."""
    known = {str(plate): plate for plate in PLATES}
    known |= {plate.barcode: plate for plate in PLATES if plate.batch == MAIN_BATCH}
    for word in words(text):
        if word not in known:
            raise click.BadParameter(
                f"{word!r} is not a plate of CPJUMP1; expected a barcode of the main batch, or <batch>.<barcode>",
                param_hint=option,
            )
    return tuple(dict.fromkeys(known[word] for word in words(text)))


def wells_of(text: str | None) -> frozenset[str] | None:
    """Read wells: ``A01``, or ``A01-B03`` for all in the rows A to B and the columns 1 to 3; None for no text.

    Raises
    ------
    click.BadParameter
        If a word is no well A01 to P24, and no range of two.
    """
    from cpjump_assets.science.positions import POSITIONS

    places = POSITIONS[["Metadata_row", "Metadata_column"]]
    chosen: set[str] = set()
    for word in words(text):
        corners = word.upper().split("-")
        if len(corners) > 2 or not set(corners) <= set(places.index):
            raise click.BadParameter(f"{word!r} is no well A01 to P24, nor a range of two", param_hint="--wells")
        first, last = places.loc[corners].min(), places.loc[corners].max()
        chosen |= set(places.index[((places >= first) & (places <= last)).all(axis=1)])
    return frozenset(chosen) or None


def sites_of(text: str | None) -> frozenset[int] | None:
    """Read sites: ``1,5`` or ``1-4``; None for no text; ``click.BadParameter`` if one is no number from 1 to 99."""
    chosen: set[int] = set()
    for word in words(text):
        match = _SITES.fullmatch(word)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise click.BadParameter(f"{word!r} is no site 1 to 99, nor a range of two", param_hint="--sites")
        chosen |= set(range(first, last + 1))
    return frozenset(chosen) or None


def channels_of(text: str | None) -> frozenset[str] | None:
    """Read channels by name or group, whatever the case; None for no text; ``click.BadParameter`` if one is none."""
    known = {name.lower(): (name,) for name in CHANNELS} | CHANNEL_GROUPS
    chosen: set[str] = set()
    for word in words(text):
        if word.lower() not in known:
            expected = ", ".join((*CHANNELS, *CHANNEL_GROUPS))
            raise click.BadParameter(f"{word!r} is no channel; expected some of {expected}", param_hint="--channels")
        chosen |= set(known[word.lower()])
    return frozenset(chosen) or None

"""Montages: a perturbation beside its negative control, channel by channel and laid over each other.

Belongs here: which image stands where on the sheet, under which words. Does not belong here: colours and ranges
(``imaging.composite``), how a sheet is put together (``pixel_sheet``), which wells are shown (``orchestration``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from cpjump_assets.figures.pixel_sheet import (
    QUIET,
    WORDS,
    Lettering,
    absent_tile,
    add_scale_bar,
    band,
    band_width,
    captions_block,
    stacked,
    tile_of,
    words_block,
)
from cpjump_assets.imaging.composite import (
    CONTROL_PERCENTILES,
    GREY,
    PAPER_COLOURS,
    PAPER_RANGES,
    DisplayRange,
    Intensities,
    composite,
    paint,
    ranges_of,
)
from cpjump_assets.imaging.field import middle, resized, side_in_pixels
from cpjump_assets.science.channels import BRIGHTFIELD, FLUORESCENCE

COMPOSITE = "composite"
COLUMNS = (*FLUORESCENCE, COMPOSITE)
COLUMNS_WITH_BRIGHTFIELD = (*COLUMNS, *BRIGHTFIELD)
_COLOURS = {**PAPER_COLOURS, **dict.fromkeys(BRIGHTFIELD, GREY)}

RangeRule = Literal["paper", "control"]
"""Where display ranges come from: Fig. 1 of the paper, so that all montages compare, or the control of the montage."""
_PAPER_WORDS = "Colours and display ranges of Fig. 1 of Chandrasekaran et al. 2024."
_CONTROL_WORDS = "from percentile {:g} to {:g} of the lowest row.".format(*CONTROL_PERCENTILES)


@dataclass(frozen=True)
class MontageStyle:
    """How large a montage is, and how much of each field it shows.

    Attributes
    ----------
    tile
        Intensities that each image is wide and high.
    lettering
        Heights of the words.
    micrometres
        Width of the middle of the field that is shown; None shows all of it.
    """

    tile: int
    lettering: Lettering
    micrometres: float | None = None


INLINE = MontageStyle(tile=132, lettering=Lettering(title=13, label=12, small=10), micrometres=300.0)
"""For the web UI, where a picture has 820 pixels and some 50 kB: cells are told from each other if the field is cut."""
OVERVIEW = MontageStyle(tile=150, lettering=Lettering(title=13, label=11, small=10), micrometres=400.0)
"""For many composites in one picture of the web UI."""
OVERVIEW_COLUMNS = 4
FILE_TILE = 540
"""Intensities of a field in a file: half of the camera's resolution."""


def file_style(tile: int = FILE_TILE, micrometres: float | None = None) -> MontageStyle:
    """Give the style of a file, its letters in proportion to the tiles; the whole field unless a width is named."""
    lettering = Lettering(title=max(tile // 18, 13), label=max(tile // 21, 12), small=max(tile // 28, 10))
    return MontageStyle(tile, lettering, micrometres)


@dataclass(frozen=True)
class MontageRow:
    """A site on a montage.

    Attributes
    ----------
    label
        What it is: role, reagent, well, site.
    channels
        Intensities by channel; one that is missing is shown as absent.
    """

    label: str
    channels: Mapping[str, Intensities]


def draw_montage(
    rows: Sequence[MontageRow],
    *,
    title: str,
    source: str,
    style: MontageStyle,
    columns: Sequence[str] = COLUMNS,
    rule: RangeRule = "paper",
) -> Image.Image:
    """Draw sites below each other, all by the same ranges and at the same scale.

    Parameters
    ----------
    rows
        Sites, from the first to the last; the control stands last.
    title, source
        Words above; and where the images come from, for the words below.
    style
        Size, and the part of the field.
    columns
        Channels, and ``composite``, from left to right.
    rule
        Where the display ranges come from. Brightfield channels, of which the paper names none, follow the control.
    """
    gap, lettering = style.lettering.air, style.lettering
    width = band_width(len(columns), style.tile, gap)
    ranges = _ranges(rows, columns, rule)
    blocks = [
        words_block(title, width, lettering.title, bold=True),
        captions_block(columns, style.tile, gap, lettering.label, [_name_colour(name) for name in columns]),
        captions_block(
            [_span(name, ranges) for name in columns], style.tile, gap, lettering.small, [QUIET] * len(columns)
        ),
    ]
    for row in rows:
        tiles = [_site_tile(row.channels, name, ranges, style) for name in columns]
        blocks += [words_block(row.label, width, lettering.label), band(tiles, gap)]
    note = [*_range_words(ranges, rule), *_cut_words(rows, style), f"Made from: {source}."]
    blocks.append(words_block(" ".join(note), width, lettering.small, colour=QUIET))
    return stacked(blocks, gap=gap, margin=2 * gap)


def draw_overview(sites: Sequence[MontageRow], *, title: str, source: str, style: MontageStyle) -> Image.Image:
    """Draw the composites of many sites in a grid, each above its label, by the ranges of the paper.

    Parameters
    ----------
    sites
        Sites, row by row.
    title, source, style
        As for ``draw_montage``.
    """
    gap, lettering = style.lettering.air, style.lettering
    width = band_width(OVERVIEW_COLUMNS, style.tile, gap)
    blocks = [words_block(title, width, lettering.title, bold=True)]
    for first in range(0, len(sites), OVERVIEW_COLUMNS):
        shown = sites[first : first + OVERVIEW_COLUMNS]
        labels = [site.label for site in shown]
        blocks += [
            band([_site_tile(site.channels, COMPOSITE, PAPER_RANGES, style) for site in shown], gap),
            captions_block(labels, style.tile, gap, lettering.label, [WORDS] * len(labels)),
        ]
    note = [_PAPER_WORDS, *_cut_words(sites, style), f"Made from: {source}."]
    blocks.append(words_block(" ".join(note), width, lettering.small, colour=QUIET))
    return stacked(blocks, gap=gap, margin=2 * gap)


def _ranges(rows: Sequence[MontageRow], columns: Sequence[str], rule: RangeRule) -> dict[str, DisplayRange]:
    """Give the range of each channel that is shown; what the paper does not say follows the last row that has it."""
    from_paper = PAPER_RANGES if rule == "paper" else {}
    shown = {*columns, *FLUORESCENCE}
    references = {
        name: pixels
        for row in rows
        for name, pixels in row.channels.items()
        if name in shown and name not in from_paper
    }
    return {**from_paper, **ranges_of(references)}


def _range_words(ranges: Mapping[str, DisplayRange], rule: RangeRule) -> list[str]:
    """Say which rule the ranges follow."""
    if rule == "control":
        return [f"Colours of Fig. 1 of Chandrasekaran et al. 2024; display ranges {_CONTROL_WORDS}"]
    has_others = not set(ranges) <= set(PAPER_RANGES)
    return [_PAPER_WORDS, *([f"Brightfield {_CONTROL_WORDS}"] if has_others else [])]


def _site_tile(
    channels: Mapping[str, Intensities], name: str, ranges: Mapping[str, DisplayRange], style: MontageStyle
) -> Image.Image:
    """Draw one channel of a site, or its composite with a scale bar; a composite takes all five channels.

    A composite that lacks a channel would look like a phenotype, so it is shown as absent.
    """
    wanted = FLUORESCENCE if name == COMPOSITE else (name,)
    if not set(wanted) <= set(channels):
        return absent_tile(style.tile, style.lettering.label)
    side = side_in_pixels(channels[wanted[0]].shape, style.micrometres)
    shown = {channel: resized(middle(channels[channel], side), style.tile) for channel in wanted}
    if name != COMPOSITE:
        return tile_of(paint(shown[name], _COLOURS[name], ranges[name]))
    tile = tile_of(composite(shown, PAPER_COLOURS, ranges))
    add_scale_bar(tile, side, style.lettering.small)
    return tile


def _cut_words(sites: Sequence[MontageRow], style: MontageStyle) -> list[str]:
    """Say which part of the fields is shown, if any is cut."""
    shapes = {pixels.shape for site in sites for pixels in site.channels.values()}
    is_cut = any(side_in_pixels(shape, style.micrometres) < min(shape) for shape in shapes)
    return [f"The middle {style.micrometres:g} µm of each field."] if is_cut else []


def _name_colour(name: str) -> tuple[int, int, int]:
    """Give the colour of a channel between black and white: the one that it is known by."""
    return _COLOURS[name][1] if name in PAPER_COLOURS else WORDS


def _span(name: str, ranges: Mapping[str, DisplayRange]) -> str:
    """Say which intensities a column shows."""
    if name == COMPOSITE:
        return "maximum of the five"
    return f"{ranges[name].low:,.0f} to {ranges[name].high:,.0f}" if name in ranges else ""

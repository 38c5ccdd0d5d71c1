"""Sheets of pixels: images that are shown pixel by pixel, with words between them, stacked from top to bottom.

Belongs here: lines of words that wrap, tiles side by side, scale bars, PNG of a bounded size. Does not belong here:
what stands on a sheet (``montage``), plots with axes (``canvas``).

A plotting library would scale the images once more, and take a second for what takes 20 ms here. The ground is dark, as
in a microscope's viewer: faint structures vanish beside white paper.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from cpjump_assets.imaging.composite import Rgb
from cpjump_assets.imaging.field import MICROMETRES_PER_PIXEL

GROUND, WORDS, QUIET = (16, 16, 16), (240, 240, 240), (176, 176, 176)
_ABSENT = (72, 72, 72)
_BAR_LENGTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_BAR_SHARE = 0.36
"""Part of a tile's width that a scale bar fills at most."""
_PALETTES = (128, 64, 32, 16, 8, 4, 2)
"""Numbers of colours to try: n of them take at most log2(n) bits a pixel, whatever is shown."""

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Lettering:
    """How large words are on a sheet, in pixels.

    Attributes
    ----------
    title, label, small
        Heights of the title; of the names of rows and columns; of what is read last.
    """

    title: int
    label: int
    small: int

    @cached_property
    def air(self) -> int:
        """Give the distance between what stands on a sheet."""
        return max(round(self.small / 3), 2)


def words_block(words: str, width: int, size: int, *, colour: Colour = WORDS, bold: bool = False) -> Image.Image:
    """Write words over the width of a sheet, in as many lines as they need: nothing is cut off."""
    font = _font(size, bold=bold)
    lines = _wrapped(words, font, width)
    block = Image.new("RGB", (width, _line_height(size) * len(lines)), GROUND)
    draw = ImageDraw.Draw(block)
    for number, line in enumerate(lines):
        draw.text((0, _line_height(size) * number), line, font=font, fill=colour)
    return block


def captions_block(captions: Sequence[str], side: int, gap: int, size: int, colours: Sequence[Colour]) -> Image.Image:
    """Write a caption over, or below, each tile of a band, in the middle of it."""
    font = _font(size)
    wrapped = [_wrapped(words, font, side) for words in captions]
    height = _line_height(size) * max(map(len, wrapped))
    block = Image.new("RGB", (band_width(len(captions), side, gap), height), GROUND)
    draw = ImageDraw.Draw(block)
    for column, (lines, colour) in enumerate(zip(wrapped, colours, strict=True)):
        for number, line in enumerate(lines):
            place = (column * (side + gap) + side / 2, _line_height(size) * number)
            draw.text(place, line, font=font, fill=colour, anchor="ma")
    return block


def band(tiles: Sequence[Image.Image], gap: int) -> Image.Image:
    """Put square tiles of one size side by side."""
    side = tiles[0].width
    block = Image.new("RGB", (band_width(len(tiles), side, gap), side), GROUND)
    for column, tile in enumerate(tiles):
        block.paste(tile, (column * (side + gap), 0))
    return block


def band_width(tiles: int, side: int, gap: int) -> int:
    """Give the width of a band."""
    return tiles * side + (tiles - 1) * gap


def stacked(blocks: Sequence[Image.Image], *, gap: int, margin: int) -> Image.Image:
    """Put blocks below each other, within a margin."""
    width = max(block.width for block in blocks) + 2 * margin
    height = sum(block.height for block in blocks) + gap * (len(blocks) - 1) + 2 * margin
    sheet = Image.new("RGB", (width, height), GROUND)
    top = margin
    for block in blocks:
        sheet.paste(block, (margin, top))
        top += block.height + gap
    return sheet


def tile_of(pixels: Rgb) -> Image.Image:
    """Show pixels as they are."""
    return Image.fromarray(pixels)


def absent_tile(side: int, size: int) -> Image.Image:
    """Show that there is no image: grey, which no channel is, and the word."""
    tile = Image.new("RGB", (side, side), _ABSENT)
    ImageDraw.Draw(tile).text((side / 2, side / 2), "absent", font=_font(size), fill=WORDS, anchor="mm")
    return tile


def add_scale_bar(tile: Image.Image, shown_pixels: int, size: int) -> None:
    """Draw a scale bar into the lower right corner, as long as the tile's scale says.

    Parameters
    ----------
    tile
        Where it is drawn.
    shown_pixels
        Pixels of the camera that the width of the tile shows.
    size
        Height of the letters.
    """
    micrometres, length = scale_bar(tile.width, shown_pixels)
    thick, edge = max(round(size / 4), 2), max(round(size / 2), 4)
    right, bottom = tile.width - edge, tile.height - edge
    bar = (right - length, bottom - thick, right - 1, bottom - 1)
    outline = (bar[0] - 1, bar[1] - 1, bar[2] + 1, bar[3] + 1)
    draw = ImageDraw.Draw(tile)
    draw.rectangle(outline, fill=(0, 0, 0))
    draw.rectangle(bar, fill=(255, 255, 255))
    place = ((bar[0] + bar[2] + 1) / 2, bar[1] - max(thick, 3))
    words = f"{micrometres:g} µm"
    draw.text(place, words, font=_font(size), fill=WORDS, anchor="md", stroke_width=1, stroke_fill=(0, 0, 0))


def scale_bar(side: int, shown_pixels: int) -> tuple[float, int]:
    """Give the length of a scale bar, a round number, in micrometres and in pixels of the sheet.

    Parameters
    ----------
    side
        Width of the tile, in pixels of the sheet.
    shown_pixels
        Pixels of the camera that it shows.
    """
    micrometres_wide = shown_pixels * MICROMETRES_PER_PIXEL
    fitting = [length for length in _BAR_LENGTHS if length <= _BAR_SHARE * micrometres_wide]
    micrometres = fitting[-1] if fitting else _BAR_LENGTHS[0]
    return micrometres, max(round(micrometres / micrometres_wide * side), 1)


def to_png(sheet: Image.Image) -> bytes:
    """Give a sheet as PNG, every pixel as it is; equal sheets give equal bytes.

    Of a montage of real images level 4 takes 2.1 MB and 0.2 s, level 6 2.0 MB and 0.5 s, level 9 1.9 MB and 3 s.
    """
    buffer = io.BytesIO()
    sheet.save(buffer, format="png", compress_level=4)
    return buffer.getvalue()


def to_small_png(sheet: Image.Image, largest: int) -> bytes:
    """Give a sheet as PNG of at most ``largest`` bytes, in as many colours as fit; equal sheets give equal bytes.

    The palette covers the colours that there are and is then moved towards the frequent ones. Median cut, which
    begins with the frequent ones, turns cyan nuclei green: most of a sheet is dark.

    Raises
    ------
    ValueError
        If the sheet has too many pixels even for two colours.
    """
    for colours in _PALETTES:
        buffer = io.BytesIO()
        sheet.quantize(colours, method=Image.Quantize.MAXCOVERAGE, kmeans=2).save(buffer, format="png", optimize=True)
        if buffer.tell() <= largest:
            return buffer.getvalue()
    raise ValueError(f"a sheet of {sheet.width} x {sheet.height} pixels does not fit into {largest} bytes")


def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Open the font that figures have too; opened each time, because a font is not to be shared by threads."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


def _line_height(size: int) -> int:
    return round(size * 1.3)


def _wrapped(words: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break words into lines that fit; a word that is too long by itself is broken where it must."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        *full, rest = _pieces(word, font, width)
        lines += [*full, rest]
    return [line for line in lines if line] or [""]


def _pieces(word: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    pieces = [""]
    for letter in word:
        if pieces[-1] and font.getlength(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces

"""TIFF files as pixels, and whether they are images that can be measured.

Belongs here: decoding one file, what is asked of it, the files of one plate beside each other. Does not belong here:
measures (``quality``), whether a file holds the bytes that the gallery has (``gallery.transfer``).

Pulled bytes are proved by their ETag, but upstream a microscope or a copy may have failed: files of zeros, files that
end early and files of other sizes were found in public data sets. So every file is decoded before it counts as held.
"""

import hashlib
import io
import struct
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
from PIL import Image

from cpjump_assets.science.errors import BadImageError, StoreError

Pixels = npt.NDArray[np.uint16]

LARGEST_SIDE = 8_192
"""Pixels; the camera of CPJUMP1 has 2,160. A file of a few kB could otherwise ask for the memory of the machine."""

_DECODING = Lock()
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L")
# The first four are what 60,000 files with planted errors ended in; the others stand in Pillow's TIFF code as well.
_DECODING_ERRORS = (
    OSError,
    TypeError,
    ValueError,
    Image.DecompressionBombError,
    SyntaxError,
    EOFError,
    RuntimeError,
    LookupError,
    MemoryError,
    struct.error,
)


@dataclass(frozen=True)
class OpenedImage:
    """What opening a file showed.

    Attributes
    ----------
    sha256
        Of the file, as 64 hexadecimal digits.
    shape
        Height and width in pixels; None when the file cannot be used.
    problem
        Why it cannot be used, with the name of the file; None when it can.
    """

    sha256: str
    shape: tuple[int, int] | None
    problem: str | None = None


def read_tiff(path: Path) -> Pixels:
    """Read a TIFF of one page of 16-bit grey values, of any compression that Pillow knows.

    Returns
    -------
    ndarray
        uint16, shape (height, width).

    Raises
    ------
    BadImageError
        If it is no such file, is cut off, or has a side of more than ``LARGEST_SIDE`` pixels.
    StoreError
        If the file cannot be read at all.
    """
    return _decode(_read(path), path.name)


def require_image(path: Path, *, shape: tuple[int, int] | None = None) -> Pixels:
    """Read a TIFF that can be measured: its pixels are not all equal.

    Parameters
    ----------
    shape
        Height and width that it must have; None for any.

    Raises
    ------
    BadImageError
        As ``read_tiff``; also if all pixels are equal, or the shape is another.
    StoreError
        As ``read_tiff``.
    """
    return _decode_image(_read(path), path.name, shape)


def open_images(paths: Iterable[Path]) -> list[OpenedImage]:
    """Open the images of one plate.

    All images of a plate come from one camera with one binning: those whose shape is not that of most of them (of
    several most frequent ones the largest) cannot be used, like those that ``require_image`` refuses.

    Returns
    -------
    list of OpenedImage
        One for each path, in order.

    Raises
    ------
    StoreError
        If a file cannot be read at all.
    """
    files = list(paths)
    opened = [_open(path) for path in files]
    frequencies = Counter(one.shape for one in opened if one.shape is not None)
    if len(frequencies) < 2:
        return opened
    usual = max(frequencies, key=lambda shape: (frequencies[shape], shape))
    return [
        one
        if one.shape in (None, usual)
        else replace(one, shape=None, problem=_shape_problem(path.name, usual, one.shape))
        for path, one in zip(files, opened, strict=True)
    ]


def _open(path: Path) -> OpenedImage:
    content = _read(path)
    digest = hashlib.sha256(content).hexdigest()
    try:
        pixels = _decode_image(content, path.name, None)
    except BadImageError as error:
        return OpenedImage(digest, None, str(error))
    height, width = pixels.shape
    return OpenedImage(digest, (height, width))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"the image {path} cannot be read: {error.strerror or error}") from error


def _decode_image(content: bytes, name: str, shape: tuple[int, int] | None) -> Pixels:
    pixels = _decode(content, name)
    if shape is not None and pixels.shape != shape:
        raise BadImageError(_shape_problem(name, shape, pixels.shape))
    if pixels.min() == pixels.max():
        raise BadImageError(f"{name}: expected an image, found {pixels.flat[0]} in every pixel")
    return pixels


def _decode(content: bytes, name: str) -> Pixels:
    if content and not any(content):  # upstream such files are listed like any other
        raise BadImageError(f"{name}: expected a whole TIFF, found {len(content):,} bytes, all of them zero")
    try:
        with _without_warnings(), Image.open(io.BytesIO(content), formats=["TIFF"]) as image:
            _require_plain(image, name)
            return np.asarray(image).astype(np.uint16)
    except _DECODING_ERRORS as error:
        raise BadImageError(
            f"{name}: expected a whole TIFF, found {len(content):,} bytes that cannot be decoded: {_in_short(error)}"
        ) from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep Pillow from warning of tags that it cannot read, without a name: what is wrong with the file is told here.

    Filters of warnings belong to the process, so that files are decoded one at a time; plates are made side by side.
    """
    with _DECODING, warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
        yield


def _require_plain(image: Image.Image, name: str) -> None:
    """Check what the header says, before the pixels take any memory."""
    if max(image.size) > LARGEST_SIDE:
        width, height = image.size
        raise BadImageError(f"{name}: expected at most {LARGEST_SIDE} pixels a side, found {height} x {width}")
    pages = getattr(image, "n_frames", 1)
    if pages != 1:
        raise BadImageError(f"{name}: expected one page, found {pages}")
    if image.mode not in _SIXTEEN_BIT:
        raise BadImageError(f"{name}: expected 16-bit grey values, found mode {image.mode}")


def _shape_problem(name: str, expected: tuple[int, int], found: tuple[int, ...] | None) -> str:
    shapes = [" x ".join(map(str, shape or ())) for shape in (expected, found)]
    return f"{name}: expected {shapes[0]} pixels as the other images of the plate, found {shapes[1]}"


def _in_short(error: BaseException) -> str:
    """Say what a library found, without the address of the stream that some of its messages hold."""
    return str(error).partition("<")[0].strip() or type(error).__name__

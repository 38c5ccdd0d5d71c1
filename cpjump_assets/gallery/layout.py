"""The gallery's key layout below its root.

Belongs here: which key or prefix holds what, and the rule that turns a key into a path below the store. Does not belong
here: what the gallery really holds (``listing``), requests of any kind.
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType

from cpjump_assets.science.errors import GalleryError, SettingsError
from cpjump_assets.science.levels import Level
from cpjump_assets.science.plates import PlateKey

RECORD_NAME = "inventory.sqlite"
"""Name of the record in the folder of pulled objects; SQLite keeps files beside it whose names begin so."""

UNFINISHED_SUFFIXES = (".part", ".part.json")
"""How the names of files end that a pull has not finished, and of the notes by which it goes on with them."""

LONGEST_KEY = 1024
"""Bytes of a key at most, on S3."""

LONGEST_NAME = 240
"""Bytes of a file name at most: file systems allow 255, and an unfinished file has a longer name than the whole."""

_MOST_BYTES_A_CHARACTER = 4  # in UTF-8
_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control, surrogate, and what separates lines and paragraphs

SIMULATED_MARKER = "SIMULATED.txt"
"""Name of the object below the root that says that a gallery is simulated; the real one has none."""

LEVEL_SUFFIXES: Mapping[Level, str] = MappingProxyType(
    {
        "aggregated": "",
        "annotated": "_augmented",
        "normalized": "_normalized_negcon",
        "normalized_whole_plate": "_normalized",
        "plate_selected": "_normalized_feature_select_negcon_plate",
        "selected": "_normalized_feature_select_negcon_batch",
        "spherized": "_spherized",
    }
)
"""What stands behind the barcode in the name of a plate's profile object, by level."""


@dataclass(frozen=True)
class GalleryRoot:
    """Where a gallery lies: a bucket and the prefix that all its keys share.

    Attributes
    ----------
    bucket
        Name of the bucket.
    prefix
        Key segments joined by ``/``, without one at either end; empty when the gallery fills the bucket.
    """

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, url: str, *, setting: str = "CPJUMP_GALLERY") -> "GalleryRoot":
        """Read a root such as ``s3://cellpainting-gallery/cpg0000-jump-pilot/source_4``.

        Parameters
        ----------
        url
            ``s3://bucket/prefix``, or ``s3://bucket`` for a gallery that fills its bucket.
        setting
            Variable to name when the address is bad.

        Raises
        ------
        SettingsError
            If it is not ``s3://bucket`` or ``s3://bucket/prefix`` with plain segments.
        """
        scheme, _, place = url.partition("://")
        bucket, _, prefix = place.rstrip("/").partition("/")
        try:
            segments = safe_relative_path(place.rstrip("/")).parts
        except GalleryError:
            segments = ()
        if scheme != "s3" or not segments or set(place) & set("?#@"):
            raise SettingsError(f"{setting} must be s3://bucket/prefix, found {url!r}")
        return cls(bucket=bucket, prefix=prefix)

    def __str__(self) -> str:
        """Spell the root as an S3 address."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, *segments: str) -> str:
        """Give the key of an object below the root."""
        return "/".join(segment for segment in (self.prefix, *segments) if segment)

    def profiles_prefix(self, plate: PlateKey) -> str:
        """Give the prefix of all profile objects of a plate, whatever their suffix."""
        return self.key("workspace", "profiles", plate.batch, plate.barcode) + "/"

    def profile_key(self, plate: PlateKey) -> str:
        """Give the key of the one object with the aggregated, unnormalized profiles of a plate."""
        return self.level_key(plate, "aggregated")

    def level_key(self, plate: PlateKey, level: Level) -> str:
        """Give the key of the object with the profiles of a plate at one level."""
        return f"{self.profiles_prefix(plate)}{plate.barcode}{LEVEL_SUFFIXES[level]}.csv.gz"

    def load_data_prefix(self, plate: PlateKey) -> str:
        """Give the prefix of the image sets of a plate (``load_data.csv``, with and without illumination functions)."""
        return self.key("workspace", "load_data_csv", plate.batch, plate.barcode) + "/"

    def illumination_prefix(self, plate: PlateKey) -> str:
        """Give the prefix of the illumination functions of a plate, one array per channel."""
        return self.key("images", plate.batch, "illum", plate.barcode) + "/"

    def analysis_prefix(self, plate: PlateKey) -> str:
        """Give the prefix of CellProfiler's own output for a plate, one folder per well and site."""
        return self.key("workspace", "analysis", plate.batch, plate.barcode, "analysis") + "/"

    def backend_prefix(self, plate: PlateKey) -> str:
        """Give the prefix of the single-cell backend of a plate: the SQLite file, and the profiles made of it."""
        return f"{self.backends_prefix(plate.batch)}{plate.barcode}/"

    def backends_prefix(self, batch: str) -> str:
        """Give the prefix of the single-cell backends of a batch, one folder per plate."""
        return self.key("workspace", "backend", batch) + "/"

    def backend_key(self, plate: PlateKey) -> str:
        """Give the key of the SQLite file with the single cells of a plate."""
        return f"{self.backend_prefix(plate)}{plate.barcode}.sqlite"

    @property
    def metadata_prefix(self) -> str:
        """Prefix of everything that describes the experiment: plate maps, annotations of reagents, and others."""
        return self.key("workspace", "metadata") + "/"

    def platemaps_prefix(self, batch: str) -> str:
        """Give the prefix of the plate maps of a batch."""
        return f"{self.metadata_prefix}platemaps/{batch}/"

    def images_prefix(self, batch: str) -> str:
        """Give the prefix of the images of a batch, one folder per measurement."""
        return self.key("images", batch, "images") + "/"

    def plate_prefixes(self, plate: PlateKey) -> tuple[str, ...]:
        """Give the prefixes of everything of one plate; its images lie in folders named by measurement."""
        return (
            self.profiles_prefix(plate),
            self.load_data_prefix(plate),
            self.illumination_prefix(plate),
            self.analysis_prefix(plate),
            self.backend_prefix(plate),
            f"{self.images_prefix(plate.batch)}{plate.barcode}__",
        )

    @property
    def marker_key(self) -> str:
        """Key of the object that marks a simulated gallery."""
        return self.key(SIMULATED_MARKER)


def outermost(prefixes: Iterable[str]) -> list[str]:
    """Leave out the prefixes that another one covers; the others in order."""
    apart: list[str] = []
    for prefix in sorted(set(prefixes)):
        if not apart or not prefix.startswith(apart[-1]):
            apart.append(prefix)
    return apart


def safe_relative_path(key: str) -> PurePosixPath:
    """Turn a key into a path that stays below the folder it is joined to, and is that of no other key.

    A listing is input from outside: a key may be any text. Refused are empty keys and segments, ``.`` and ``..``,
    absolute paths; backslashes, which separate elsewhere, and control characters; more bytes than S3 or a file system
    allows; names of unfinished files and of the store's record. Texts that look alike in another normal form of Unicode
    are one file on some systems, so that only the composed form is taken. Keys that differ in case only are
    for ``transfer.twins``, as it takes a look at the disk to tell.

    Parameters
    ----------
    key
        Key as listed, segments joined by ``/``.

    Raises
    ------
    GalleryError
        If the key could leave the store, cannot be a file name, or is a name that the store needs itself; it names the
        key, and what was expected.
    """
    for expected, is_met in _EXPECTATIONS.items():
        if not is_met(key):
            raise GalleryError(f"key {key!r} cannot be stored: expected {expected}")
    return PurePosixPath(key)


def _is_path_below(key: str) -> bool:
    return not {"", ".", ".."}.intersection(key.split("/"))


def _is_plain_text(key: str) -> bool:
    if "\\" in key:
        return False
    return key.isprintable() or not any(unicodedata.category(character) in _CONTROLS for character in key)


def _is_composed(key: str) -> bool:
    return unicodedata.is_normalized("NFC", key)


def _is_short(key: str) -> bool:
    if len(key) * _MOST_BYTES_A_CHARACTER <= LONGEST_NAME:
        return True
    content = key.encode()
    return len(content) <= LONGEST_KEY and max(map(len, content.split(b"/"))) <= LONGEST_NAME


def _is_finished(key: str) -> bool:
    folded = key.casefold()
    return ".part" not in folded or not any(name.endswith(UNFINISHED_SUFFIXES) for name in folded.split("/"))


def _is_not_of_the_record(key: str) -> bool:
    return not key[: len(RECORD_NAME)].casefold().startswith(RECORD_NAME)


_EXPECTATIONS: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {
        "segments joined by single slashes, without '.' and '..'": _is_path_below,
        "no backslashes and no control characters": _is_plain_text,
        "Unicode in its composed form (NFC)": _is_composed,
        f"at most {LONGEST_KEY:,} bytes, and {LONGEST_NAME} between slashes": _is_short,
        "no name that ends like an unfinished file, in .part or .part.json": _is_finished,
        f"no name that begins like the store's record, {RECORD_NAME}": _is_not_of_the_record,
    }
)

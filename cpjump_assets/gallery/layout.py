"""The gallery's key layout below its root.

Belongs here: which key or prefix holds what, and the rule that turns a key into a path below the store. Does not belong
here: what the gallery really holds (``listing``), requests of any kind.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType

from cpjump_assets.science.errors import GalleryError, SettingsError
from cpjump_assets.science.levels import Level
from cpjump_assets.science.plates import PlateKey

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

    def backends_prefix(self, batch: str) -> str:
        """Give the prefix of the single-cell backends of a batch, one folder per plate."""
        return self.key("workspace", "backend", batch) + "/"

    def backend_key(self, plate: PlateKey) -> str:
        """Give the key of the SQLite file with the single cells of a plate."""
        return f"{self.backends_prefix(plate.batch)}{plate.barcode}/{plate.barcode}.sqlite"

    def platemaps_prefix(self, batch: str) -> str:
        """Give the prefix of the plate maps of a batch."""
        return self.key("workspace", "metadata", "platemaps", batch) + "/"

    def images_prefix(self, batch: str) -> str:
        """Give the prefix of the images of a batch, one folder per measurement."""
        return self.key("images", batch, "images") + "/"

    @property
    def marker_key(self) -> str:
        """Key of the object that marks a simulated gallery."""
        return self.key(SIMULATED_MARKER)


def safe_relative_path(key: str) -> PurePosixPath:
    """Turn a key into a path that stays below the folder it is joined to.

    A listing is input from outside: a key may be any text. Refused are empty keys and segments, ``.`` and ``..``,
    absolute paths, backslashes (a separator elsewhere), and control characters.

    Parameters
    ----------
    key
        Key as listed, segments joined by ``/``.

    Raises
    ------
    GalleryError
        If the key could leave the store or cannot be a file name, naming the key.
    """
    bad_segment = any(segment in ("", ".", "..") for segment in key.split("/"))
    bad_character = any(unicodedata.category(character) in ("Cc", "Cs") or character == "\\" for character in key)
    if bad_segment or bad_character:
        raise GalleryError(
            f"key {key!r} cannot be stored: expected segments joined by single slashes, without '.', '..', backslashes "
            "or control characters"
        )
    return PurePosixPath(key)

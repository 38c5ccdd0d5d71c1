"""The platform that is disturbed: six plates of 40 features, a store, a Dagster home, a gallery that can change.

Belongs here: where its parts lie, and from which state a refresh begins. Does not belong here: what disturbs it
(``reliability_kills``, ``reliability_faults``), what must be true afterwards (``reliability_record``).
"""

import gzip
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from benchmarks.reliability_process import RefreshProcess
from cpjump_assets.science.plates import MAIN_PLATES
from cpjump_assets.settings import Settings
from cpjump_assets.simulate.config import Size
from cpjump_assets.simulate.s3.server import S3Server
from cpjump_assets.simulate.writer import GALLERY, SimulatedGallery, simulate_gallery

SIZE = Size("reliability", n_features=40, plates=MAIN_PLATES[24:30])
"""Neighbours, so that their assets are made in one run: compounds and ORFs of A549, ORFs of U2OS, two plates each."""
CHANGED_PLATE = SIZE.plates[1]
"""The plate of which the gallery has one version or another."""


class Origin(StrEnum):
    """The state from which a disturbed refresh begins."""

    NOTHING = "nothing"
    CHANGED = "a changed plate"


@dataclass
class Source:
    """A served gallery, which can have one of two versions of a plate.

    Attributes
    ----------
    gallery, server
        Its files, and the server that it is pulled from.
    version
        0, or 1 for the plate without its last well.
    """

    gallery: SimulatedGallery
    server: S3Server
    version: int = 0

    def change(self) -> None:
        """Go over to the other version."""
        path = self.gallery.object_path(GALLERY.profile_key(CHANGED_PLATE))
        first, other = self.gallery.folder / "first_version.csv.gz", self.gallery.folder / "other_version.csv.gz"
        if not first.exists():
            shutil.copyfile(path, first)
        self.version = 1 - self.version
        content = first.read_bytes()
        if self.version:
            lines = gzip.decompress(content).splitlines(keepends=True)
            content = gzip.compress(b"".join(lines[:-1]), mtime=0)
        other.write_bytes(content)
        other.replace(path)


@dataclass
class Platform:
    """A store and a Dagster home on a gallery that others may share.

    Attributes
    ----------
    folder
        Of the store, with the Dagster home in it.
    source
        What it pulls from.
    postgres_url
        Where runs and events are recorded; None takes SQLite, in the Dagster home.
    made
        The version of the gallery that the store holds; None where it holds none, or is not to be trusted.
    """

    folder: Path
    source: Source
    postgres_url: str | None = None
    made: int | None = None

    @property
    def settings(self) -> Settings:
        """What the command line works with."""
        return Settings(
            gallery=self.source.gallery.gallery_url,
            s3_endpoint=self.source.server.endpoint,
            reference=str(self.source.gallery.reference_root),
            store=self.folder,
            postgres_url=self.postgres_url,
        )

    def start(self, *, largest_file: int | None = None, name: str = "refresh") -> RefreshProcess:
        """Start ``cpjump refresh`` on it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder.with_name(f"{self.folder.name}.{name}.log")
        return RefreshProcess(self.settings, log, largest_file=largest_file)

    def begin_from(self, origin: Origin) -> None:
        """Take away everything that was made, Dagster's record included; or let the gallery change a plate."""
        if origin is Origin.CHANGED:
            if self.made == self.source.version:
                self.source.change()
            return
        self.made = None
        for path in self.folder.glob("*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    @property
    def bytes(self) -> int:
        """Bytes that its files take on the disk."""
        return sum(path.lstat().st_blocks * 512 for path in self.folder.rglob("*"))


@contextmanager
def simulated_source(folder: Path) -> Iterator[Source]:
    """Simulate a gallery in a folder, and serve it."""
    gallery = simulate_gallery(folder, size=SIZE, seed=0)
    with S3Server(gallery.bucket_root) as server:
        yield Source(gallery, server)

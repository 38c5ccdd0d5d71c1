"""The files of a store in S3, worked on in a folder of this machine.

Belongs here: which version this machine holds, and fetching the published one. Does not belong here: objects and
manifests (``s3_objects``).

The folder is laid out as a store in a folder is, but it is no more than a copy: every reader asks for the manifest and
takes the file of the folder only if its sha256 is the published one. Each process hashes a file once for each state in
which it lies there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cpjump_assets.science.errors import StoreError
from cpjump_assets.storage.atomic import atomic_file, atomic_path, sweep_abandoned
from cpjump_assets.storage.digests import digest_as_it_lies
from cpjump_assets.storage.manifest import Manifest
from cpjump_assets.storage.s3_objects import DamagedObjectError, S3Objects
from cpjump_assets.storage.s3_place import S3Place
from cpjump_assets.storage.s3_sweep import sweep_superseded

_TRIES = 3


class S3Files:
    """Files below a place in S3.

    Parameters
    ----------
    place
        Bucket, prefix and endpoint.
    folder
        Of this machine; it is made when the first file comes.
    """

    def __init__(self, place: S3Place, folder: Path) -> None:
        self._objects = S3Objects(place)
        self._folder = folder

    def __str__(self) -> str:
        """Name the place."""
        return str(self._objects.place)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Write a file here, and publish it before it takes the place of its former version here."""
        with atomic_path(self._folder / name) as part:
            yield part
            self._objects.publish(name, part)

    def local(self, name: str) -> Path | None:
        """Give the published version, from the folder where it is there; see ``files.Files.local``."""
        path, tried = self._folder / name, None
        for _ in range(_TRIES):
            manifest = self._objects.manifest(name)
            if manifest is None or is_held(path, manifest):
                return None if manifest is None else path
            try:
                with atomic_file(path) as file:
                    self._objects.fetch(manifest, file)
            except DamagedObjectError:
                if manifest == tried:
                    raise
                tried = manifest  # it may have been replaced, and swept, since its manifest was read
            else:
                return path
        raise StoreError(f"{name} was replaced in {self} each of the {_TRIES} times that it was to be read")

    def exists(self, name: str) -> bool:
        """Look for the manifest."""
        return self._objects.exists(name)

    def names(self, folder: str) -> tuple[str, ...]:
        """List the manifests of a folder."""
        return tuple(self._objects.names(f"{folder}/" if folder else "", folders=False))

    def remove(self, name: str) -> None:
        """Remove the manifest, and the copy on this machine."""
        self._objects.remove(name)
        (self._folder / name).unlink(missing_ok=True)

    def digest(self, name: str) -> str | None:
        """Read the published object, whatever this machine holds."""
        manifest = self._objects.manifest(name)
        return None if manifest is None else self._objects.digest(manifest)

    def sweep(self) -> tuple[str, ...]:
        """Remove abandoned partial files here, and superseded objects there, see ``s3_sweep.sweep_superseded``."""
        here = (path.relative_to(self._folder).as_posix() for path in sweep_abandoned(self._folder))
        return (*here, *sweep_superseded(self._objects))


def is_held(path: Path, manifest: Manifest) -> bool:
    """Tell whether a file of this machine is the published version."""
    try:
        return path.stat().st_size == manifest.size and digest_as_it_lies(path) == manifest.sha256
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error

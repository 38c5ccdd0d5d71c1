"""The files of a store, wherever they lie: in a folder, or as objects in S3.

Belongs here: what a store asks of its files, and the folder. Does not belong here: S3 (``s3_files``), what is in a file
(``store``).
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from cpjump_assets.science.errors import StoreError
from cpjump_assets.storage.atomic import atomic_path, sweep_abandoned
from cpjump_assets.storage.digests import file_digest


class NotAsWrittenError(StoreError):
    """A file is not there, or is not what was written: to make it again mends that, which no other failure does."""


class Files(Protocol):
    """Files by name, such as ``splits/split_manifest/cellclip_cpjump_style.parquet``.

    A reader sees the former version of a file or the new one, never a part of either. Of two writers of one name the
    last wins.
    """

    def writing(self, name: str) -> AbstractContextManager[Path]:
        """Give a path of this machine to write to; the file is published whole when the block ends without an error.

        Raises
        ------
        StoreError
            If it cannot be written; the former version stays.
        """

    def local(self, name: str) -> Path | None:
        """Give the published version as a file of this machine, fetched and verified when needed; None where none is.

        Raises
        ------
        NotAsWrittenError
            If what is in the store is not what was written.
        StoreError
            If it cannot be fetched.
        """

    def exists(self, name: str) -> bool:
        """Tell whether a file is published under this name."""

    def names(self, folder: str) -> tuple[str, ...]:
        """Give the names of the files right in a folder, in order; each with the folder in front."""

    def remove(self, name: str) -> None:
        """Take a file away if it is there."""

    def digest(self, name: str) -> str | None:
        """Read again what the store itself holds, and give its sha256; None where there is no such file."""

    def sweep(self) -> tuple[str, ...]:
        """Remove what killed writers left and what newer versions replaced, and name it; nothing that is in use."""


class LocalFiles:
    """The files below a folder.

    Parameters
    ----------
    folder
        It is made when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __str__(self) -> str:
        """Name the folder."""
        return str(self._folder)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Put a file in place by one rename, see ``atomic.atomic_path``."""
        with atomic_path(self._folder / name) as part:
            yield part

    def local(self, name: str) -> Path | None:
        """Give the file itself; it is not read."""
        path = self._folder / name
        return path if path.is_file() else None

    def exists(self, name: str) -> bool:
        """Look for the file."""
        return self.local(name) is not None

    def names(self, folder: str) -> tuple[str, ...]:
        """List the folder, without files that are being written."""
        paths = (path for path in (self._folder / folder).glob("*") if path.is_file() and path.suffix != ".part")
        return tuple(sorted(path.relative_to(self._folder).as_posix() for path in paths))

    def remove(self, name: str) -> None:
        """Unlink the file."""
        (self._folder / name).unlink(missing_ok=True)

    def digest(self, name: str) -> str | None:
        """Hash the file."""
        path = self.local(name)
        return None if path is None else file_digest(path)

    def sweep(self) -> tuple[str, ...]:
        """Remove abandoned partial files, see ``atomic.sweep_abandoned``."""
        return tuple(path.relative_to(self._folder).as_posix() for path in sweep_abandoned(self._folder))

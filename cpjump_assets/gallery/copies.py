"""Copies of pulled objects in a store in S3, so that a machine with an empty folder need not pull them again.

Belongs here: what of a pull comes from there, and what goes there after one. Does not belong here: the pull
(``transfer.pull``), the record of the folder (``transfer.inventory``), which is rebuilt from what is noted beside each
copy, objects and manifests (``storage.s3_objects``).

A copy is called ``<key>.<version>``, so that one listing of a folder tells which versions the store has.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from cpjump_assets.gallery.layout import safe_relative_path
from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.transfer.check import FileState, check_file
from cpjump_assets.gallery.transfer.crew import in_batches
from cpjump_assets.gallery.transfer.etag import Verification
from cpjump_assets.gallery.transfer.inventory import Inventory, InventoryRow, utc_text
from cpjump_assets.gallery.transfer.plan import PullPlan, plan_pull
from cpjump_assets.science.errors import StoreError
from cpjump_assets.storage.atomic import atomic_file
from cpjump_assets.storage.manifest import SUFFIX, BadManifestError, Manifest
from cpjump_assets.storage.s3_objects import DamagedObjectError, S3Objects
from cpjump_assets.storage.s3_place import CONNECTIONS, S3Place

FOLDER = "gallery"
"""Where the copies lie below a store."""
_RECORD_EVERY = 0.2
_NOTED = ("size", "etag", "last_modified", "part_size", "sha256", "verification", "pulled_at")
"""What of a row is noted beside a copy; the rest is of the file on one machine."""


class Recalled(NamedTuple):
    """What came from the store.

    Attributes
    ----------
    rows
        Rows of the files, recorded.
    damaged
        Of each copy that is not what was written, why; the object is pulled again, and copied again.
    """

    rows: tuple[InventoryRow, ...]
    damaged: tuple[str, ...]


class CopiesTotal(NamedTuple):
    """How many copies a store has, and their bytes."""

    objects: int
    bytes: int


class BadCopy(NamedTuple):
    """A copy that is not what was written.

    Attributes
    ----------
    name
        Of the copy, ``<key>.<version>``.
    expected, found
        What its manifest promises, and what is there.
    """

    name: str
    expected: str
    found: str


class CheckedCopies(NamedTuple):
    """What reading all copies again has shown.

    Attributes
    ----------
    objects
        Number of copies.
    bytes
        Of those that are right.
    bad
        Those that are not, by name.
    """

    objects: int
    bytes: int
    bad: tuple[BadCopy, ...]


@dataclass(frozen=True)
class Copies:
    """Copies of pulled objects below a place in S3.

    Attributes
    ----------
    place
        Where: ``<store>/gallery``.
    """

    place: S3Place
    _objects: S3Objects = field(init=False, repr=False, compare=False)
    _versions: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set), repr=False, compare=False)
    _listed: set[str] = field(default_factory=set, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_objects", S3Objects(self.place))

    @classmethod
    def of(cls, store_url: str | None, endpoint: str | None) -> "Copies | None":
        """Give the copies of a store; None for a store that is a folder, as it holds the objects themselves."""
        return None if store_url is None else cls.in_store(S3Place.parse(store_url, endpoint))

    @classmethod
    def in_store(cls, place: S3Place) -> "Copies":
        """Give the copies of the store at this place."""
        return cls(place.below(FOLDER))

    def without_copied(self, plan: PullPlan) -> PullPlan:
        """Leave out of a plan what need not be pulled because the store has a copy.

        Raises
        ------
        StoreError
            If the store cannot be listed.
        """
        copied = {item.key for item in self._copied(plan.missing)}
        missing = tuple(item for item in plan.missing if item.key not in copied)
        return PullPlan(plan.objects, plan.bytes, missing, sum(item.size for item in missing), plan.changed)

    def recall(self, objects: Iterable[GalleryObject], inventory: Inventory, folder: Path) -> Recalled:
        """Bring what is missing here, and copied in the listed version, verified as any pull is.

        Parameters
        ----------
        objects
            As listed.
        inventory, folder
            Of this machine.

        Raises
        ------
        GalleryError
            If a key cannot be stored.
        StoreError
            If the store cannot be read, or a file or row not be written.
        """
        copied = self._copied(plan_pull(objects, inventory, folder).missing)
        rows: list[InventoryRow] = []
        damaged: list[str] = []
        threads = max(min(CONNECTIONS, len(copied)), 1)
        for ended in in_batches(
            lambda item: self._bring(item, folder), copied, threads=threads, stop=Event(), seconds=_RECORD_EVERY
        ):
            came = [item for item in ended if isinstance(item, InventoryRow)]
            inventory.record(came)
            rows += came
            damaged += [item for item in ended if isinstance(item, str)]
        return Recalled(tuple(sorted(rows, key=lambda row: row.key)), tuple(sorted(damaged)))

    def keep(self, keys: Iterable[str], inventory: Inventory, folder: Path) -> int:
        """Copy to the store what is held here in a version of which it has no copy, and give the number.

        A file that is not what was pulled is not copied. The copy of a former version goes once the new one is there.

        Raises
        ------
        StoreError
            If the store cannot be written, or the inventory not be read.
        """
        rows = inventory.rows(keys)
        self._look_below(rows)
        missing = [row for row in rows.values() if row.version not in self._versions[row.key]]
        with ThreadPoolExecutor(max(min(CONNECTIONS, len(missing)), 1), thread_name_prefix="copy") as pool:
            return sum(pool.map(lambda row: self._copy(row, folder), missing))

    def file(self, row: InventoryRow, folder: Path) -> Path:
        """Give the file of a pulled object, fetched when this machine does not hold it.

        Raises
        ------
        StoreError
            If it is neither here nor there, or cannot be fetched.
        """
        path = folder / safe_relative_path(row.key)
        if not (path.is_file() and path.stat().st_size == row.size):
            manifest = self._objects.manifest(_name(row.key, row.version))
            if manifest is None:
                raise DamagedObjectError(f"{row.key} is neither in {folder} nor copied in {self.place}: pull it again")
            self._place(manifest, row, path)
        return path

    def bring(self, keys: Collection[str], folder: Path) -> None:
        """Fetch the copies of objects, whatever their version; those of which there is none are left out.

        Raises
        ------
        StoreError
            As ``file``.
        """
        self._look_below(keys)
        for key in keys:
            for version in sorted(self._versions[key]):
                manifest = self._objects.manifest(_name(key, version))
                if manifest is not None:
                    self._place(manifest, _row(key, manifest), folder / safe_relative_path(key))

    def total(self) -> CopiesTotal:
        """Count the copies; a request for every 500.

        Raises
        ------
        StoreError
            If the store cannot be listed.
        """
        contents = [entry.size for entry in self._objects.listed() if not entry.name.endswith(SUFFIX)]
        return CopiesTotal(len(contents), sum(contents))

    def verify(self) -> CheckedCopies:
        """Read every copy again where it lies, and compare it with its manifest; nothing is kept on this machine.

        A bad copy is replaced by the next pull of its object once its manifest is removed.

        Raises
        ------
        StoreError
            If the store cannot be listed.
        """
        right: list[int] = []
        bad: list[BadCopy] = []
        for ended in in_batches(
            self._check, self._objects.names(), threads=CONNECTIONS, stop=Event(), seconds=_RECORD_EVERY
        ):
            right += [item for item in ended if isinstance(item, int)]
            bad += [item for item in ended if isinstance(item, BadCopy)]
        return CheckedCopies(len(right) + len(bad), sum(right), tuple(sorted(bad)))

    def _check(self, name: str) -> int | BadCopy | None:
        """Read a copy: its bytes, or what is wrong with it; None where it was removed or replaced meanwhile."""
        try:
            manifest = self._objects.manifest(name)
            if manifest is None:
                return None
            found = self._objects.digest(manifest)
            if found == manifest.sha256:
                return manifest.size
            if self._objects.manifest(name) != manifest:
                return None
        except BadManifestError as error:
            return BadCopy(name, "a manifest", str(error))
        except StoreError as error:
            return BadCopy(name, "a copy that can be read", str(error))
        return BadCopy(name, f"sha256 {manifest.sha256}", "no object" if found is None else f"sha256 {found}")

    def _copied(self, objects: Iterable[GalleryObject]) -> list[GalleryObject]:
        wanted = list(objects)
        self._look_below(item.key for item in wanted)
        return [item for item in wanted if item.version in self._versions[item.key]]

    def _look_below(self, keys: Iterable[str]) -> None:
        """List the folders of some keys, those that were not listed before."""
        folders = {key[: key.rfind("/") + 1] for key in keys}
        new = sorted(folders - self._listed)
        with ThreadPoolExecutor(max(min(CONNECTIONS, len(new)), 1), thread_name_prefix="list") as pool:
            names = pool.map(lambda folder: list(self._objects.names(folder, folders=False)), new)
            for key, version in map(_key_and_version, chain.from_iterable(names)):
                self._versions[key].add(version)
        self._listed.update(folders)

    def _bring(self, item: GalleryObject, folder: Path) -> InventoryRow | str | None:
        """Fetch a copy: its row, or why it cannot be used; None where it is gone."""
        path = folder / safe_relative_path(item.key)
        try:
            manifest = self._objects.manifest(_name(item.key, item.version))
            return None if manifest is None else self._place(manifest, _row(item.key, manifest), path)
        except (DamagedObjectError, BadManifestError) as error:
            self._versions[item.key].discard(item.version)
            return str(error)

    def _copy(self, row: InventoryRow, folder: Path) -> bool:
        path = folder / safe_relative_path(row.key)
        if check_file(path, row).state is not FileState.VERIFIED:
            return False
        self._objects.publish(_name(row.key, row.version), path, {name: asdict(row)[name] for name in _NOTED})
        for former in self._versions[row.key] - {row.version}:
            self._objects.remove(_name(row.key, former))
        self._versions[row.key] = {row.version}
        return True

    def _place(self, manifest: Manifest, row: InventoryRow, path: Path) -> InventoryRow:
        """Put a copy in place once its bytes are those of its row; give the row as it is then."""
        with atomic_file(path) as file:
            self._objects.fetch(manifest, file)
            checked = check_file(Path(file.name), row)
            if checked.state is not FileState.VERIFIED:
                raise DamagedObjectError(f"the copy in {self.place}: {checked}")
        return checked.row


def _row(key: str, manifest: Manifest) -> InventoryRow:
    """Read what is noted beside a copy."""
    now = utc_text(datetime.now(UTC))
    try:
        noted: dict[str, Any] = {name: manifest.note[name] for name in _NOTED}
        noted["verification"] = Verification(noted["verification"])
        return InventoryRow(key=key, **noted, verified_at=now, mtime_ns=0)
    except (KeyError, ValueError) as error:
        raise BadManifestError(f"the copy of {key} in the store lacks what must be noted of it: {error!r}") from error


def _name(key: str, version: str) -> str:
    return f"{key}.{_spelled(version)}"


def _spelled(version: str) -> str:
    """Spell a version without slash and dot, whatever a server gives as ETag."""
    return quote(version, safe="").replace(".", "%2E")


def _key_and_version(name: str) -> tuple[str, str]:
    key, _, version = name.rpartition(".")
    return key, unquote(version)


@dataclass(frozen=True)
class PulledFiles:
    """Pulled objects as files of this machine; it can be sent to processes on other machines.

    Attributes
    ----------
    folder
        The gallery folder of this machine.
    copies
        Where they come from when they are not in the folder; None where the folder is all there is.
    """

    folder: Path
    copies: Copies | None = None

    def path(self, row: InventoryRow) -> Path:
        """Give the file of an object that was pulled.

        Raises
        ------
        StoreError
            As ``Copies.file``.
        """
        if self.copies is None:
            return self.folder / safe_relative_path(row.key)
        return self.copies.file(row, self.folder)

    def bring(self, keys: Iterable[str]) -> None:
        """Fetch those objects that are not in the folder, as they were pulled last; whoever reads them checks them.

        Raises
        ------
        StoreError
            If the store cannot be read, or the folder not be written.
        """
        if self.copies is not None:
            missing = [key for key in keys if not (self.folder / safe_relative_path(key)).is_file()]
            self.copies.bring(missing, self.folder)

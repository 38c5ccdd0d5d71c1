"""The gallery as the rest of the platform sees it: one root, one client, a number of connections.

Belongs here: nothing but the composition of layout, client, listing, pull and copies. Does not belong here: how any of
them works.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cpjump_assets.gallery.client import CONNECTIONS, gallery_client
from cpjump_assets.gallery.copies import Copies, Recalled
from cpjump_assets.gallery.failures import AbsentObjectError
from cpjump_assets.gallery.images.look_up import look_up_images
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.listing import (
    GalleryObject,
    PlateListing,
    find_objects,
    list_backends,
    list_plates,
    simulated_marker,
)
from cpjump_assets.gallery.reference.released import Released
from cpjump_assets.gallery.transfer.changes import Changes, keep_listings
from cpjump_assets.gallery.transfer.check import CheckedFile
from cpjump_assets.gallery.transfer.inventory import Inventory, InventoryRow, is_kept_in
from cpjump_assets.gallery.transfer.plan import PullPlan, plan_pull
from cpjump_assets.gallery.transfer.progress import Progress
from cpjump_assets.gallery.transfer.pull import pull_objects
from cpjump_assets.gallery.transfer.report import IncompletePullError, PullReport
from cpjump_assets.gallery.transfer.verify import still_right, take_away
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

PUBLIC_ORIGIN = "gallery"


@dataclass(frozen=True)
class Gallery:
    """A gallery that can be listed and pulled from.

    Attributes
    ----------
    root
        Bucket and prefix.
    client
        The one S3 client; threads share it.
    connections
        Requests at once.
    copies
        Copies of pulled objects in a store in S3; None where the store is the folder that is pulled into.
    """

    root: GalleryRoot
    client: "S3Client"
    connections: int
    copies: Copies | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Gallery":
        """Make a client for the gallery of these settings, with the copies of their store; as ``connect``."""
        copies = Copies.of(settings.store_url, settings.store_endpoint)
        return cls.connect(
            settings.gallery, endpoint=settings.s3_endpoint, connections=settings.connections, copies=copies
        )

    @classmethod
    def connect(
        cls, url: str, *, endpoint: str | None = None, connections: int | None = None, copies: Copies | None = None
    ) -> "Gallery":
        """Make a client for the gallery at ``url``; no request is sent yet.

        Raises
        ------
        SettingsError
            If the address is not ``s3://bucket/prefix``.
        """
        at_once = connections or CONNECTIONS
        return cls(GalleryRoot.parse(url), gallery_client(endpoint, connections=at_once), at_once, copies)

    def list_plates(self, plates: Iterable[PlateKey]) -> dict[PlateKey, PlateListing]:
        """List the profile folder of each plate; raises ``GalleryError`` as ``listing.list_plates``."""
        return list_plates(self.client, self.root, plates, connections=self.connections)

    def list_backends(self, plates: Iterable[PlateKey]) -> dict[PlateKey, GalleryObject]:
        """List the single-cell backends of the plates that have one; raises as ``listing.list_backends``."""
        return list_backends(self.client, self.root, plates)

    def look_up_images(self, keys: Iterable[str]) -> dict[str, GalleryObject]:
        """List images by key, those that the gallery has; raises as ``images.look_up.look_up_images``."""
        return look_up_images(self.client, self.root.bucket, keys, connections=self.connections)

    def origin(self) -> str:
        """Give the origin that tables carry: ``gallery``, or the text by which a simulated gallery says what it is."""
        return simulated_marker(self.client, self.root) or PUBLIC_ORIGIN

    def hold(self, item: GalleryObject, folder: Path) -> InventoryRow:
        """Make sure that an object is in the folder, verified, and give its record.

        A file that nothing has touched since its bytes were right is not read again (``verify.still_right``). The
        record tells the version that is held, which is a newer one than was listed when the object changed since.

        Raises
        ------
        GalleryError, StoreError
            As ``pull``.
        """
        held = self.hold_all([item], folder)
        if item.key not in held:
            raise AbsentObjectError(f"s3://{self.root.bucket}/{item.key} was listed, and does not exist any more")
        return held[item.key]

    def hold_all(self, objects: Iterable[GalleryObject], folder: Path) -> dict[str, InventoryRow]:
        """Hold many objects as ``hold`` does one, by key; those that do not exist any more are left out."""
        wanted = {item.key: item for item in objects}
        rows = self._pulled(wanted.values(), folder)
        with Inventory(folder) as inventory:
            checked = {key: still_right(row, inventory, folder) for key, row in rows.items()}
        right = {key: row for key, row in checked.items() if row is not None}
        return right | self._pulled([wanted[key] for key in checked.keys() - right.keys()], folder)

    def keep_plates(self, listings: Mapping[PlateKey, PlateListing], folder: Path) -> dict[PlateKey, Changes]:
        """Keep what was listed of plates, and tell what changed against what is held; as ``changes.keep_listings``."""
        objects = {self.root.profiles_prefix(plate): listing.objects for plate, listing in listings.items()}
        changes = self.keep_listings(objects, folder)
        return {plate: changes[self.root.profiles_prefix(plate)] for plate in listings}

    def keep_listings(self, listings: Mapping[str, Iterable[GalleryObject]], folder: Path) -> dict[str, Changes]:
        """Keep what was just listed under some prefixes, and tell what changed; as ``changes.keep_listings``."""
        with Inventory(folder) as inventory:
            return keep_listings(inventory, listings, moment=datetime.now(UTC))

    def repair(self, bad: Iterable[CheckedFile], folder: Path, *, progress: Progress | None = None) -> PullReport:
        """Pull bad files again, those that the gallery still lists; of the others, what is there stays as it is.

        Those that another pull has replaced since they were read are left alone.

        Raises
        ------
        GalleryError, StoreError
            As ``pull``, or if a bad file cannot be removed.
        """
        by_key = {item.row.key: item for item in bad}
        listed = find_objects(self.client, self.root.bucket, by_key, connections=self.connections)
        with Inventory(folder) as inventory:
            take_away((by_key[key] for key in listed), inventory, folder)
        return self.pull(listed.values(), folder, progress=progress)

    def _pulled(self, objects: Collection[GalleryObject], folder: Path) -> dict[str, InventoryRow]:
        gone = self.pull(objects, folder).absent
        with Inventory(folder) as inventory:
            return inventory.rows(item.key for item in objects if item.key not in gone)

    def plan(self, objects: Iterable[GalleryObject], folder: Path) -> PullPlan:
        """Tell what a pull of objects into a gallery folder would bring; raises as ``plan.plan_pull``.

        What the store has copies of counts as held. Nothing is written: a folder that is not there stays away.
        """
        if is_kept_in(folder):
            with Inventory(folder) as inventory:
                plan = plan_pull(objects, inventory, folder)
        else:
            plan = plan_pull(objects, None, folder)
        return plan if self.copies is None else self.copies.without_copied(plan)

    def recall(self, objects: Iterable[GalleryObject], folder: Path) -> Recalled:
        """Bring what the store has copies of, as ``copies.Copies.recall``; a pull does the same before all else."""
        if self.copies is None:
            return Recalled((), ())
        with Inventory(folder) as inventory:
            return self.copies.recall(objects, inventory, folder)

    def pull(
        self,
        objects: Iterable[GalleryObject],
        folder: Path,
        *,
        progress: Progress | None = None,
        budget: int | None = None,
        released: Released | None = None,
    ) -> PullReport:
        """Bring objects into the gallery folder of a store, verified; raises as ``pull.pull_objects``.

        With a store in S3, what it has copies of comes from there, and what is held afterwards is copied there.
        """
        wanted = tuple(objects)
        self.recall(wanted, folder)
        with Inventory(folder) as inventory:
            try:
                report = pull_objects(
                    self.client,
                    self.root.bucket,
                    wanted,
                    destination=folder,
                    inventory=inventory,
                    connections=self.connections,
                    progress=progress,
                    budget=budget,
                    released=released,
                )
            except IncompletePullError as error:
                self._keep(wanted, error.report, inventory, folder)
                raise
            self._keep(wanted, report, inventory, folder)
        return report

    def _keep(self, wanted: Iterable[GalleryObject], report: PullReport, inventory: Inventory, folder: Path) -> None:
        """Copy to the store what it lacks of the objects that are held as they were listed."""
        if self.copies is not None:
            failed = {item.key for item in report.failed}
            self.copies.keep((item.key for item in wanted if item.key not in failed), inventory, folder)

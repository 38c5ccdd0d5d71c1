"""The gallery as the rest of the platform sees it: one root, one client, a number of connections.

Belongs here: nothing but the composition of layout, client, listing and pull. Does not belong here: how any of them
works.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cpjump_assets.gallery.client import connections_for, gallery_client
from cpjump_assets.gallery.layout import GalleryRoot, safe_relative_path
from cpjump_assets.gallery.listing import GalleryObject, PlateListing, list_backends, list_plates, simulated_marker
from cpjump_assets.gallery.transfer.inventory import Inventory, InventoryRow
from cpjump_assets.gallery.transfer.pull import PullReport, pull_objects
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.storage.store import file_digest

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
    """

    root: GalleryRoot
    client: "S3Client"
    connections: int

    @classmethod
    def connect(cls, url: str, *, endpoint: str | None = None, connections: int | None = None) -> "Gallery":
        """Make a client for the gallery at ``url``; no request is sent yet.

        Raises
        ------
        SettingsError
            If the address is not ``s3://bucket/prefix``.
        """
        at_once = connections or connections_for(endpoint)
        return cls(GalleryRoot.parse(url), gallery_client(endpoint, connections=at_once), at_once)

    def list_plates(self, plates: Iterable[PlateKey]) -> dict[PlateKey, PlateListing]:
        """List the profile folder of each plate; raises ``GalleryError`` as ``listing.list_plates``."""
        return list_plates(self.client, self.root, plates, connections=self.connections)

    def list_backends(self, plates: Iterable[PlateKey]) -> dict[PlateKey, GalleryObject]:
        """List the single-cell backends of the plates that have one; raises as ``listing.list_backends``."""
        return list_backends(self.client, self.root, plates)

    def origin(self) -> str:
        """Give the origin that tables carry: ``gallery``, or the text by which a simulated gallery says what it is."""
        return simulated_marker(self.client, self.root) or PUBLIC_ORIGIN

    def hold(self, item: GalleryObject, folder: Path) -> InventoryRow:
        """Make sure that an object is in the folder, verified, and give its record.

        The record tells the version that is held, which is a newer one than was listed when the object changed since.

        Raises
        ------
        GalleryError, StoreError
            As ``pull``.
        """
        row = self._pulled(item, folder)
        path = folder / safe_relative_path(item.key)
        if file_digest(path) != row.sha256:
            path.unlink()  # altered since it was pulled, at the same size
            row = self._pulled(item, folder)
        return row

    def _pulled(self, item: GalleryObject, folder: Path) -> InventoryRow:
        self.pull([item], folder)
        with Inventory(folder) as inventory:
            return inventory.rows([item.key])[item.key]

    def pull(self, objects: Iterable[GalleryObject], folder: Path) -> PullReport:
        """Bring objects into the gallery folder of a store, verified; raises as ``pull.pull_objects``."""
        with Inventory(folder) as inventory:
            return pull_objects(
                self.client,
                self.root.bucket,
                objects,
                destination=folder,
                inventory=inventory,
                connections=self.connections,
            )

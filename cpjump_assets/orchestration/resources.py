"""The one resource of the assets: where the platform reads and writes.

Belongs here: turning settings into the store, the gallery and the reference root, none of which knows of Dagster. Does
not belong here: reading the environment (``settings``), opening anything at import.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from cpjump_assets.settings import Settings

if TYPE_CHECKING:
    from cpjump_assets.gallery.copies import Copies, PulledFiles
    from cpjump_assets.gallery.gallery import Gallery
    from cpjump_assets.gallery.reference.root import ReferenceRoot
    from cpjump_assets.science.policies import ControlPolicy
    from cpjump_assets.science.presets import ProfilePreset
    from cpjump_assets.storage.s3_place import S3Place
    from cpjump_assets.storage.store import Store


class Platform(dg.ConfigurableResource):
    """Where the platform reads and writes."""

    gallery_url: str = Field(description="Root of the gallery, s3://bucket/prefix, read anonymously")
    s3_endpoint: str | None = Field(description="Endpoint of the gallery; None is AWS in us-east-1")
    reference_url: str = Field(description="Root of the reference tables: https, a folder, or s3")
    store_folder: str = Field(description="Folder in which the platform writes, or in which a store in S3 works")
    store_url: str | None = Field(description="Store in S3, s3://bucket/prefix; None is the folder itself")
    store_endpoint: str | None = Field(description="Endpoint of a store in S3; None is AWS")
    tables_prefix: str = Field(description="Where the tables lie below a store in S3")
    tables_folder: str = Field(description="Folder of the tables: that of the store, or of a preset in it")
    gallery_folder: str = Field(description="Folder of the pulled objects")
    preset_name: str = Field(description="How profiles are made")
    connections: int | None = Field(description="Parallel S3 requests; None lets the endpoint decide")
    pull_budget: int = Field(description="Bytes that one pull may bring at most")
    exclude: list[str] = Field(description="Known issues whose wells the splits leave out")
    dask_scheduler: str | None = Field(description="Dask scheduler whose workers make plates; None is this run itself")

    @classmethod
    def from_settings(cls, settings: Settings) -> "Platform":
        """Make the resource that these settings describe."""
        return cls(
            gallery_url=settings.gallery,
            s3_endpoint=settings.s3_endpoint,
            reference_url=settings.reference,
            store_folder=str(settings.folder),
            store_url=settings.store_url,
            store_endpoint=settings.store_endpoint,
            tables_prefix=settings.tables_prefix,
            tables_folder=_spell(settings.tables_folder, settings),
            gallery_folder=_spell(settings.gallery_folder, settings),
            preset_name=settings.preset,
            connections=settings.connections,
            pull_budget=settings.pull_budget,
            exclude=list(settings.exclude),
            dask_scheduler=settings.dask_scheduler,
        )

    @property
    def store(self) -> "Store":
        """Give the tables that the platform writes."""
        from cpjump_assets.storage.store import Store

        root = Path(self.tables_folder)
        if self.store_place is None:
            return Store(root, Path(self.gallery_folder))
        from cpjump_assets.storage.s3_files import S3Files

        return Store(root, Path(self.gallery_folder), S3Files(self.store_place.below(self.tables_prefix), root))

    @property
    def store_place(self) -> "S3Place | None":
        """Give the place of a store in S3; None for one that is a folder."""
        if self.store_url is None:
            return None
        from cpjump_assets.storage.s3_place import S3Place

        return S3Place.parse(self.store_url, self.store_endpoint)

    @property
    def copies(self) -> "Copies | None":
        """Give the copies of pulled objects in a store in S3; a folder holds the objects themselves."""
        from cpjump_assets.gallery.copies import Copies

        return Copies.of(self.store_url, self.store_endpoint)

    @property
    def pulled_files(self) -> "PulledFiles":
        """Give the pulled objects as files, for functions that may run on another machine."""
        from cpjump_assets.gallery.copies import PulledFiles

        return PulledFiles(Path(self.gallery_folder), self.copies)

    @property
    def preset(self) -> "ProfilePreset":
        """Give the way in which profiles are made."""
        from cpjump_assets.science.presets import require_preset

        return require_preset(self.preset_name)

    @property
    def control_policy(self) -> "ControlPolicy":
        """Give the policy that says which wells take part in the splits."""
        from cpjump_assets.science.policies import policy_without

        return policy_without(self.exclude)

    @property
    def gallery(self) -> "Gallery":
        """Give the gallery, with a connection pool of its own."""
        from cpjump_assets.gallery.gallery import Gallery

        return Gallery.connect(
            self.gallery_url, endpoint=self.s3_endpoint, connections=self.connections, copies=self.copies
        )

    @property
    def reference(self) -> "ReferenceRoot":
        """Give the root of the reference tables."""
        from cpjump_assets.gallery.reference.root import ReferenceRoot

        return ReferenceRoot.parse(self.reference_url, endpoint=self.s3_endpoint)


def _spell(folder: Path, settings: Settings) -> str:
    """Write a folder so that those who make plates find it: workers of a cluster have a working folder of their own."""
    return str(folder if settings.dask_scheduler is None else folder.absolute())

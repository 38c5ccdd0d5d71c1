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
    from cpjump_assets.gallery.gallery import Gallery
    from cpjump_assets.gallery.reference.root import ReferenceRoot
    from cpjump_assets.science.policies import ControlPolicy
    from cpjump_assets.science.presets import ProfilePreset
    from cpjump_assets.storage.store import Store


class Platform(dg.ConfigurableResource):
    """Where the platform reads and writes."""

    gallery_url: str = Field(description="Root of the gallery, s3://bucket/prefix, read anonymously")
    s3_endpoint: str | None = Field(description="Endpoint of the gallery; None is AWS in us-east-1")
    reference_url: str = Field(description="Root of the reference tables: https, a folder, or s3")
    store_folder: str = Field(description="Folder in which the platform writes, or in which a store in S3 works")
    tables_folder: str = Field(description="Folder of the tables: that of the store, or of a preset in it")
    gallery_folder: str = Field(description="Folder of the pulled objects")
    preset_name: str = Field(description="How profiles are made")
    connections: int | None = Field(description="Parallel S3 requests; None lets the endpoint decide")
    pull_budget: int = Field(description="Bytes that one pull may bring at most")
    exclude: list[str] = Field(description="Known issues whose wells the splits leave out")

    @classmethod
    def from_settings(cls, settings: Settings) -> "Platform":
        """Make the resource that these settings describe."""
        return cls(
            gallery_url=settings.gallery,
            s3_endpoint=settings.s3_endpoint,
            reference_url=settings.reference,
            store_folder=str(settings.folder),
            tables_folder=str(settings.tables_folder),
            gallery_folder=str(settings.gallery_folder),
            preset_name=settings.preset,
            connections=settings.connections,
            pull_budget=settings.pull_budget,
            exclude=list(settings.exclude),
        )

    @property
    def store(self) -> "Store":
        """Give the tables that the platform writes."""
        from cpjump_assets.storage.store import Store

        return Store(Path(self.tables_folder), Path(self.gallery_folder))

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

        return Gallery.connect(self.gallery_url, endpoint=self.s3_endpoint, connections=self.connections)

    @property
    def reference(self) -> "ReferenceRoot":
        """Give the root of the reference tables."""
        from cpjump_assets.gallery.reference.root import ReferenceRoot

        return ReferenceRoot.parse(self.reference_url, endpoint=self.s3_endpoint)

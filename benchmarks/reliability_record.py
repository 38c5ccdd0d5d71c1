"""What a platform holds and has on record, and what is wrong with it.

Belongs here: reading store, pulled files and Dagster's record; saying how they differ from those of an undisturbed
refresh. Does not belong here: what was done to the platform.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from unittest.mock import patch

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.dagster_run import FINISHED_STATUSES

from benchmarks.reliability_platform import Platform
from cpjump_assets.build import build_defs
from cpjump_assets.gallery.transfer.inventory import Inventory
from cpjump_assets.gallery.transfer.verify import verify_objects
from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.recording import recorded_versions
from cpjump_assets.orchestration.tables import StoredAsset
from cpjump_assets.settings import Settings
from cpjump_assets.web import open_instance

_SHOWN = 4
_ALL = 10_000
_OF_PLATES = frozenset({"profiles", "reproduction"})
_KINDS = (".parquet", ".png", ".svg")
_GROUPS = ("metadata", "splits", "profiles", "benchmark")
_ASSETS = {(asset.group, asset.name): asset for asset in vars(tables).values() if isinstance(asset, StoredAsset)}

Partitioned = tuple[str, str | None]
"""An asset or a check, and its partition."""


@dataclass(frozen=True)
class Holding:
    """What a platform holds once a refresh has ended.

    Attributes
    ----------
    files
        Digest of each table and figure, by its path below the store.
    pulled
        Digest of each pulled object, by its path.
    checks
        Whether the latest evaluation of each check passed, by check and partition.
    """

    files: Mapping[str, str]
    pulled: Mapping[str, str]
    checks: Mapping[Partitioned, str]

    @classmethod
    def of(cls, platform: Platform) -> "Holding":
        """Read it."""
        with open_instance(platform.settings) as instance:
            checks = _latest_checks(instance)
        return cls(stored_files(platform), pulled_files(platform), checks)

    def differences(self, other: "Holding") -> Iterator[str]:
        """Say in what another holding differs from this one, which is right."""
        for what in ("files", "pulled", "checks"):
            yield from _differing(what, getattr(self, what), getattr(other, what))


def stored_files(platform: Platform) -> dict[str, str]:
    """Give the digest of each table and figure of the store."""
    found = (path for group in _GROUPS for path in (platform.folder / group).rglob("*") if path.suffix in _KINDS)
    return {path.relative_to(platform.folder).as_posix(): _digest(path) for path in found}


def pulled_files(platform: Platform) -> dict[str, str]:
    """Give the digest of each pulled object, those apart that are still being pulled."""
    folder = platform.settings.gallery_folder
    found = (path for path in folder.rglob("*.csv*") if ".part" not in path.name)
    return {path.relative_to(folder).as_posix(): _digest(path) for path in found}


@cache
def _graph() -> BaseAssetGraph:
    """Give the assets and checks, which are those of any settings."""
    return build_defs(Settings()).resolve_asset_graph()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def torn(platform: Platform, *right: Holding) -> Iterator[str]:
    """Say which files are none of the versions that they may be at any moment, also right after a kill."""
    for what, found in (("files", stored_files(platform)), ("pulled", pulled_files(platform))):
        for path, digest in found.items():
            if digest not in {getattr(holding, what).get(path) for holding in right}:
                yield f"{path} is no version that a refresh writes"


class Record:
    """What Dagster has on record for a platform.

    Parameters
    ----------
    platform, instance
        The platform and where its runs are recorded.
    """

    def __init__(self, platform: Platform, instance: dg.DagsterInstance) -> None:
        self._platform, self._instance = platform, instance

    @cached_property
    def runs(self) -> list[dg.DagsterRun]:
        """All runs, oldest first."""
        return list(reversed(self._instance.get_runs()))

    @property
    def started_at(self) -> float:
        """Give the time of the first event."""
        return self._instance.get_records_for_run(self.runs[0].run_id, limit=1).records[0].event_log_entry.timestamp

    def flaws(self) -> Iterator[str]:
        """Say what is wrong after a refresh that succeeded."""
        for run in self.runs:
            if run.status not in FINISHED_STATUSES:
                yield f"run {run.job_name} is {run.status.value} for ever"
        yield from self._unrecorded()
        yield from self._stale()

    def _unrecorded(self) -> Iterator[str]:
        """Name the tables whose digest is not the data version on record."""
        partitions: dict[StoredAsset, dict[str | None, str]] = {}
        for path, digest in stored_files(self._platform).items():
            group, name, *partition = path.removesuffix(".parquet").split("/")
            if path.endswith(".parquet"):
                partitions.setdefault(_ASSETS[group, name], {})[partition[0] if partition else None] = digest
        for asset, digests in partitions.items():
            recorded = self._versions(asset, list(digests))
            for partition, digest in digests.items():
                if recorded.get(partition) != digest:
                    yield f"{asset.key(partition)} is stored, and what is on record is another version or none"

    def _versions(self, asset: StoredAsset, partitions: list[str | None]) -> Mapping[str | None, str]:
        if partitions != [None]:
            return recorded_versions(self._instance, asset, [key for key in partitions if key])
        event = self._instance.get_latest_materialization_event(asset.asset_key)
        return {None: event.asset_materialization.tags["dagster/data_version"]} if event else {}

    def _stale(self) -> Iterator[str]:
        """Name what Dagster shows as stale, of what was made."""
        graph = _graph()
        resolver = CachingStaleStatusResolver(self._instance, graph, LoadingContextForTest(self._instance))
        # Whatever depends on an asset asks for its version, five times over all; nothing is recorded meanwhile.
        remembered = cache(self._instance.get_latest_data_version_record)
        with patch.object(self._instance, "get_latest_data_version_record", remembered):
            for key in sorted(graph.materializable_asset_keys):
                made = self._instance.get_materialized_partitions(key) if graph.get(key).is_partitioned else {None}
                for partition in sorted(made, key=str):
                    if resolver.get_status(key, partition) not in (StaleStatus.FRESH, StaleStatus.MISSING):
                        yield f"{key.to_user_string()} {partition or ''} is stale"

    def plates_recorded(self, known: frozenset[str]) -> Counter[Partitioned]:
        """Count the records of plates, as each asset lists them, of runs that were not known before.

        SQLite keeps the events of a run and those of an asset in two files, so that a full disk can leave an event in
        the first that the second lacks: the asset was not recorded then, and the next refresh records it.
        """
        runs = {run.run_id for run in self.runs if run.job_name in _OF_PLATES} - known
        return Counter(
            (key.to_user_string(), record.partition_key)
            for key in self._instance.all_asset_keys()
            for record in self._instance.fetch_materializations(key, limit=_ALL).records
            if record.run_id in runs
        )


def bad_files(platform: Platform) -> Iterator[str]:
    """Name partial files that were left, and pulled files that are not as the inventory has them."""
    for path in platform.folder.rglob("*.part*"):
        yield f"{path.name} was left"
    folder = platform.settings.gallery_folder
    with Inventory(folder) as inventory:
        for bad in verify_objects(inventory, folder, [""]).bad:
            yield f"pulled {bad.row.key} is {bad.state}"
        unknown = set(pulled_files(platform)) - {row.key for row in inventory.rows_below("")}
    for key in sorted(unknown):
        yield f"pulled {key} is not in the inventory"


def _latest_checks(instance: dg.DagsterInstance) -> dict[Partitioned, str]:
    """Give the status of the latest evaluation of each check and partition."""
    latest: dict[Partitioned, str] = {}
    for key in _graph().asset_check_keys:
        for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=_ALL):
            latest.setdefault((key.to_user_string(), record.partition), record.status.value)
    return latest


def _differing(what: str, right: Mapping, found: Mapping) -> Iterator[str]:
    different = sorted((key for key in right.keys() | found.keys() if right.get(key) != found.get(key)), key=str)
    if different:
        shown = ", ".join(map(str, different[:_SHOWN]))
        yield f"{len(different)} of {len(right)} {what} differ from those of an undisturbed refresh: {shown}"

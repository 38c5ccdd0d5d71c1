"""Writing a table and recording it in Dagster, in one step.

Belongs here: what every asset does after its computation: write, record, describe; and skip what would come out equal.
Does not belong here: the computation.

A plate asset runs over a key range in one run. Dagster's own event at the end of the step would record all plates or,
after a crash, none; so each plate is recorded by an event of its own as soon as its table is in the store, and the
event at the end is held back (``PLATES_RECORDED``).
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    NULL_EVENT_POINTER,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

# Output metadata with this key tells Dagster 1.13 that the step has recorded its own events. The name is internal to
# Dagster: a test holds that each plate is recorded exactly once.
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION as PLATES_RECORDED

from cpjump_assets.orchestration.display import table_metadata
from cpjump_assets.orchestration.plate_workers import ClusterError, plate_workers
from cpjump_assets.orchestration.refreshed_store import is_of_refresh
from cpjump_assets.orchestration.tables import StoredAsset
from cpjump_assets.science.errors import CpjumpError, StoreError

if TYPE_CHECKING:
    import pandas as pd

    from cpjump_assets.orchestration.resources import Platform
    from cpjump_assets.science.features import Profiles
    from cpjump_assets.science.schemas import TableSchema
    from cpjump_assets.storage.store import Provenance, Store, StoredTable, TableKey

T = TypeVar("T")

_UNPARTITIONED = ""
PLATE_WORKERS = 2
"""Plates made at once in a run: numpy and the Parquet and gzip codecs let go of the interpreter lock."""
_PLATES_AHEAD = 64
"""Plates begun before the first of them is recorded: enough for a cluster, and what they are made from fits memory."""


class Made(NamedTuple):
    """What a computation gives: a table or profiles, and what to show beside it."""

    content: "pd.DataFrame | Profiles"
    metadata: Mapping[str, Any] = {}

    def write(self, store: "Store", key: "TableKey", provenance: "Provenance") -> "StoredTable":
        """Put it into the store."""
        from cpjump_assets.science.features import Profiles

        put = store.write_profiles if isinstance(self.content, Profiles) else store.write
        return put(key, self.content, provenance)


def keep_table(
    store: "Store",
    asset: StoredAsset,
    made: Made,
    provenance: "Provenance",
    *,
    partition: str | None = None,
    schema: "TableSchema | None" = None,
) -> dg.MaterializeResult:
    """Write the table of an asset, or of one of its partitions, and describe it.

    Raises
    ------
    BadTableError
        If the table breaks its schema; the former one stays.
    """
    if schema is not None:
        schema.check(made.content, str(asset.key(partition)))
    stored = made.write(store, asset.key(partition), provenance)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.digest),
        metadata={**table_metadata(stored, schema), **made.metadata},
    )


@dataclass(frozen=True)
class PlateInput:
    """What a plate's table is made from, before it is made.

    Attributes
    ----------
    provenance
        Goes into the table; equal provenance means that the stored table is still right.
    upstream
        Data version of each upstream asset, by asset name, for Dagster's lineage.
    given
        What else the plate is made with, found out on the way to the provenance: rows of the inventory, a listing.
    """

    provenance: "Provenance"
    upstream: Mapping[str, str] = field(default_factory=dict)
    given: tuple[Any, ...] = ()


class _Finished(NamedTuple):
    """A plate's table, and what to show beside it; None of a table that was there before."""

    stored: "StoredTable"
    metadata: Mapping[str, Any] | None


@dataclass(frozen=True)
class PlateWork:
    """Makes the table of a plate and puts it into the store, here or on another machine: nothing of Dagster's run."""

    store: "Store"
    asset: StoredAsset
    make: Callable[..., Made]
    schema: "TableSchema | None"

    def __call__(self, plate: str, wanted: PlateInput) -> _Finished:
        """Make and write the table of a plate."""
        key = self.asset.key(plate)
        made = self.make(plate, *wanted.given)
        if self.schema is not None:
            self.schema.check(made.content, str(key))
        return _Finished(made.write(self.store, key, wanted.provenance), made.metadata)

    def confirm(self, finished: _Finished) -> None:
        """See the table in this run's store: a worker that writes to another folder would fill it unseen."""
        expected = finished.stored
        found = self.store.describe(expected.key) if self.store.exists(expected.key) else None
        if found is None or found.digest != expected.digest:
            there = "does not have it" if found is None else f"holds another one, sha256 {found.digest[:12]}"
            raise StoreError(
                f"a dask worker wrote {expected.key} with sha256 {expected.digest[:12]}, and the store of this run "
                f"{there}: CPJUMP_STORE must be a folder that all workers share, or s3://"
            )


def map_plates(
    context: dg.AssetExecutionContext,
    platform: "Platform",
    asset: StoredAsset,
    *,
    source: Callable[[str], PlateInput],
    make: Callable[..., Made],
    schema: "TableSchema | None" = None,
) -> dg.MaterializeResult:
    """Make the table of every plate of the run, and record each as soon as it is stored.

    A plate whose table was already made from the same input by the same code, and is still what was recorded, is not
    made again; an unreadable or altered table is. A plate that fails does not stop the others: they are kept and
    recorded, and the step fails at the end with one line for each failed plate.

    Parameters
    ----------
    source
        Tells what the plate's table is made from; called in a thread of this run, which knows the gallery.
    make
        Computes the plate's table from the plate's name and what else ``source`` has given; called in a thread, or by a
        worker of the platform's dask cluster, so that it holds neither connections nor anything of the run.
    schema
        What the table of each plate keeps to; one that breaks it fails its plate, and the former table stays.

    Raises
    ------
    dagster.Failure
        If a plate failed.
    ClusterError
        If the plates are for a cluster, and it cannot make any.
    """
    plates = list(context.partition_keys)
    log = _PlateLog(context, asset, schema, recorded_versions(context.instance, asset, plates))
    work = PlateWork(platform.store, asset, make, schema)
    failures: dict[str, CpjumpError] = {}
    with (
        plate_workers(work, name=asset.name, scheduler=platform.dask_scheduler, warn=context.log.warning) as workers,
        _threads() as pool,
    ):

        def begin(plate: str) -> tuple[Mapping[str, str], Callable[[], _Finished]]:
            wanted = source(plate)
            stored = platform.store.find(asset.key(plate))
            if stored is not None and _is_current(stored, wanted.provenance, log.recorded.get(plate)):
                return wanted.upstream, partial(_Finished, stored, None)
            return wanted.upstream, workers.begin(plate, wanted)

        for plate, begun in _begin_ahead(pool, begin, plates):
            try:
                upstream, finish = begun.result()
                finished = finish()
            except ClusterError:
                raise
            except CpjumpError as error:
                failures[plate] = error
                context.log.error(f"{asset.name} of plate {plate}: {error}")
            else:
                log.take(plate, upstream, finished)
    unchanged = len(plates) - log.remade - len(failures)
    context.log.info(f"{asset.name}: {log.remade} plates made, {unchanged} unchanged")
    if failures:
        lines = [f"{plate}: {error}" for plate, error in failures.items()]
        raise dg.Failure(f"{len(lines)} of {len(plates)} plates failed. " + "; ".join(lines), allow_retries=False)
    return dg.MaterializeResult(metadata={PLATES_RECORDED: True})


class _PlateLog:
    """Records the plates of a run.

    Parameters
    ----------
    context, asset, schema
        Of the run: where to record, of which asset, and what its tables keep to.
    recorded
        The data version on record of each plate when the run began.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        asset: StoredAsset,
        schema: "TableSchema | None",
        recorded: Mapping[str, str],
    ) -> None:
        self._context, self._asset, self._schema, self.recorded = context, asset, schema, recorded
        self._pointers = _EventPointers(context.instance)
        # A run that somebody launched for these plates must show each; a refresh shows what it made.
        self._shows_all = not is_of_refresh(context.run)
        self.remade = 0

    def take(self, plate: str, upstream: Mapping[str, str], finished: _Finished) -> None:
        """Record a plate whose table is in the store, unless the record says so already."""
        stored, metadata = finished
        self.remade += metadata is not None
        if self._shows_all or metadata is not None or self.recorded.get(plate) != stored.digest:
            lineage = _lineage_tags(upstream, plate, self._pointers)
            shown = {**table_metadata(stored, self._schema), **(metadata or {})}
            self._context.log_event(_plate_event(self._asset, plate, stored, lineage, shown))


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """Give the threads of a run; on an interrupt the plates that have not begun are given up."""
    from threadpoolctl import threadpool_limits

    pool = ThreadPoolExecutor(PLATE_WORKERS)
    blas = threadpool_limits(1, "blas")  # plates share the cores; threads of BLAS below them only wait for each other
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        blas.restore_original_limits()


def _begin_ahead(
    pool: ThreadPoolExecutor, begin: Callable[[str], T], plates: Sequence[str]
) -> Iterator[tuple[str, "Future[T]"]]:
    """Begin plates in their order, some ahead of the one that is given."""
    ahead: deque[tuple[str, Future[T]]] = deque()
    for plate in plates:
        ahead.append((plate, pool.submit(begin, plate)))
        if len(ahead) > _PLATES_AHEAD:
            yield ahead.popleft()
    while ahead:
        yield ahead.popleft()


def _is_current(stored: "StoredTable", wanted: "Provenance", recorded: str | None) -> bool:
    """Tell whether a stored table is what would be made; one that differs from the record was altered since."""
    return stored.provenance == wanted and recorded in (None, stored.digest)


class _EventPointers:
    """The latest event of each upstream asset, by plate: Dagster compares them to tell whether a plate is stale."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._by_plate: dict[str, Mapping[str, int]] = {}

    def of(self, asset: str, plate: str) -> int | None:
        """Give the storage id of the event that made, or observed, what the plate is made from."""
        if asset not in self._by_plate:
            self._by_plate[asset] = self._latest(dg.AssetKey(asset))
        latest = self._by_plate[asset]
        return latest.get(plate, latest.get(_UNPARTITIONED))

    def _latest(self, key: dg.AssetKey) -> Mapping[str, int]:
        storage = self._instance.event_log_storage
        for kind in (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION):
            by_plate = storage.get_latest_storage_id_by_partition(key, kind)
            if by_plate:
                return by_plate
        record = self._instance.get_latest_data_version_record(key)
        return {} if record is None else {_UNPARTITIONED: record.storage_id}


def _lineage_tags(upstream: Mapping[str, str], plate: str, pointers: _EventPointers) -> dict[str, str]:
    """Say which version of each upstream asset was used, in the tags in which Dagster itself says it."""
    tags = {}
    for name, version in upstream.items():
        key = dg.AssetKey(name)
        tags[get_input_data_version_tag(key)] = version
        tags[get_input_event_pointer_tag(key)] = str(pointers.of(name, plate) or NULL_EVENT_POINTER)
    return tags


def _plate_event(
    asset: StoredAsset, plate: str, stored: "StoredTable", lineage: Mapping[str, str], shown: Mapping[str, Any]
) -> dg.AssetMaterialization:
    tags = {
        CODE_VERSION_TAG: asset.code_version,
        DATA_VERSION_TAG: stored.digest,
        DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
        **lineage,
    }
    return dg.AssetMaterialization(asset_key=asset.asset_key, partition=plate, metadata=shown, tags=tags)


def recorded_versions(instance: dg.DagsterInstance, asset: StoredAsset, partitions: list[str]) -> dict[str, str]:
    """Give the data version that the instance has on record for each partition that was ever made."""
    storage = instance.event_log_storage
    tags = storage.get_latest_tags_by_partition(
        asset.asset_key,
        event_type=dg.DagsterEventType.ASSET_MATERIALIZATION,
        tag_keys=[DATA_VERSION_TAG],
        asset_partitions=partitions,
    )
    return {plate: found[DATA_VERSION_TAG] for plate, found in tags.items() if DATA_VERSION_TAG in found}

"""The store that a refresh works on: one refresh at a time, and what a killed one left open.

Belongs here: the lock and the lease that keep refreshes apart, the tag by which the runs of a store are known, and the
sensor that closes those that nobody works on any more. Does not belong here: what a refresh runs (``refresh``).
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.orchestration.tables import REFRESH_TAG
from cpjump_assets.settings import Settings
from cpjump_assets.storage.lock import BusyError, exclusive

if TYPE_CHECKING:
    from cpjump_assets.storage.s3_place import S3Place

REFRESHED_STORE_TAG = "cpjump/refreshed_store"
"""Run tag with the store that a run of a refresh writes to."""
SENSOR_NAME = "killed_refresh"
EVERY_SECONDS = 60

_LOCK = "refresh.lock"
_LEASE = "refresh.lease"
_BUSY = "another refresh is at work on this store"


def is_of_refresh(run: dg.DagsterRun) -> bool:
    """Tell whether a run is executed in the process of a refresh.

    One that is executed again from the web UI has the same tags, and was launched: it has a process of its own.
    """
    return REFRESH_TAG in run.tags and run.remote_job_origin is None


@dataclass(frozen=True)
class RefreshedStore:
    """A store, as refreshes see it.

    Parameters
    ----------
    folder
        The store, or the folder in which one in S3 is worked on; one refresh at a time writes there.
    place
        Of a store in S3, where one refresh at a time writes from all machines; None for a store that is a folder.
    """

    folder: Path
    place: "S3Place | None" = None

    @classmethod
    def of(cls, settings: Settings) -> "RefreshedStore":
        """Give the store of these settings."""
        return cls(settings.folder, Platform.from_settings(settings).store_place)

    @property
    def tags(self) -> dict[str, str]:
        """Give the tag of the runs that write to this store: several stores may share an instance."""
        name = str(self.place or self.folder.resolve())  # a tag should not show where the store lies
        return {REFRESHED_STORE_TAG: hashlib.sha256(name.encode()).hexdigest()[:16]}

    @contextmanager
    def alone(self) -> Iterator[Callable[[], None]]:
        """Keep other refreshes out: by a lock on this machine, and by a lease on a store that other machines share.

        Yields
        ------
        callable
            Raises ``StoreError`` if the lease was lost.

        Raises
        ------
        BusyError
            If another refresh is at work on the store.
        StoreError
            If the lock or the lease cannot be written.
        """
        lock = self.folder / _LOCK
        with exclusive(lock, busy=_BUSY):
            if self.place is None:
                yield lambda: None
                return
            from cpjump_assets.storage.lease import holder_of, lease

            with lease(self.place, _LEASE, holder=holder_of(lock), busy=_BUSY) as require_held:
                yield require_held

    def open_runs(self, instance: dg.DagsterInstance) -> Sequence[dg.DagsterRun]:
        """Give the runs of refreshes of this store that have not ended."""
        unfinished = instance.get_runs(filters=dg.RunsFilter(statuses=NOT_FINISHED_STATUSES, tags=self.tags))
        return [run for run in unfinished if is_of_refresh(run)]

    def close_abandoned_runs(self, instance: dg.DagsterInstance) -> int:
        """Mark as failed what a killed refresh left open, and tell how many; whoever calls this is ``alone``."""
        abandoned = self.open_runs(instance)
        for run in abandoned:
            instance.report_run_failed(run, "the process that executed this run ended before it did")
        return len(abandoned)


def killed_refresh_sensor(settings: Settings) -> dg.SensorDefinition:
    """Make the sensor that closes the runs of a refresh that was killed: automation waits as long as they are open.

    Parameters
    ----------
    settings
        They name the store.
    """

    @dg.sensor(
        name=SENSOR_NAME,
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Marks the runs that a killed refresh of the store left open as failed. Runs of a refresh that is at work "
            "are left alone: it holds the lock of the store, or its lease."
        ),
    )
    def killed_refresh(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        store = RefreshedStore.of(settings)
        if not store.open_runs(context.instance):
            return dg.SkipReason("No run of a refresh is open.")
        try:
            with store.alone():
                closed = store.close_abandoned_runs(context.instance)
                return dg.SkipReason(f"Runs closed that a killed refresh left open: {closed}.")
        except BusyError:
            return dg.SkipReason("A refresh is at work.")

    return killed_refresh

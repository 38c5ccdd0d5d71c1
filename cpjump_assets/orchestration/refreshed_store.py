"""The store that a refresh works on: one refresh at a time, and what a killed one left open.

Belongs here: the lock and the lease that keep refreshes apart, the tags by which the runs of a store are known, closing
those of a killed refresh. Does not belong here: what a refresh runs (``refresh``), runs that were launched
(``abandoned``).
"""

import hashlib
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import MAX_RUNTIME_SECONDS_TAG

from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.orchestration.tables import REFRESH_TAG
from cpjump_assets.settings import Settings
from cpjump_assets.storage.lock import exclusive, is_locked

if TYPE_CHECKING:
    from cpjump_assets.storage.s3_place import S3Place

REFRESHED_STORE_TAG = "cpjump/refreshed_store"
"""Run tag with the store that a run of a refresh writes to."""
MACHINE_TAG = "cpjump/machine"
"""Run tag with the machine on which a run of a refresh is executed."""

_LOCK = "refresh.lock"
_LEASE = "refresh.lease"
_BUSY = "another refresh is at work on this store"
_LEASE_OVER_SECONDS = 900.0
"""A holder that was cut off from S3 goes on where nobody else took its lease; by then it has given up or is dead."""
_MACHINE_ID = Path("/etc/machine-id")
_DAY = 86_400


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
    def tags(self) -> Mapping[str, str]:
        """Give the tags of the runs of a refresh: several stores and machines may share an instance.

        Run monitoring takes a run for dead after six hours; the process of a refresh it cannot end, and a refresh of
        all plates from single cells takes longer.
        """
        return {**self._own_tags, MACHINE_TAG: _machine(), MAX_RUNTIME_SECONDS_TAG: str(_DAY)}

    @property
    def _own_tags(self) -> Mapping[str, str]:
        # A tag should not show where the store lies.
        name = self.folder.resolve() if self.place is None else f"{self.place.endpoint or ''} {self.place}"
        return {REFRESHED_STORE_TAG: _digest(str(name))}

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

    def close_abandoned_runs(self, instance: dg.DagsterInstance) -> None:
        """Mark as failed whatever refreshes of this store left open; whoever calls this is ``alone``."""
        _close(instance, _unfinished(instance, self._own_tags))

    def close_killed_refresh(self, instance: dg.DagsterInstance) -> int:
        """Mark as failed what a killed refresh left open, and tell how many runs; to be called from time to time.

        Neither lock nor lease is held while it closes: a refresh that begins after the look has other runs. Of a store
        in a folder only runs of this machine are closed, because a lock may not be seen from another one.
        """
        seen_here = self._own_tags if self.place is not None else {**self._own_tags, MACHINE_TAG: _machine()}
        unfinished = _unfinished(instance, seen_here)
        if not unfinished or is_locked(self.folder / _LOCK) or self._is_leased():
            return 0
        _close(instance, unfinished)
        return len(unfinished)

    def _is_leased(self) -> bool:
        """Tell whether a machine has the lease, or had it until lately."""
        if self.place is None:
            return False
        from cpjump_assets.storage.lease import is_over

        return not is_over(self.place, _LEASE, since=_LEASE_OVER_SECONDS)


def _unfinished(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> list[dg.DagsterRun]:
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=NOT_FINISHED_STATUSES, tags=dict(tags)))
    return [run for run in runs if is_of_refresh(run)]


def _close(instance: dg.DagsterInstance, runs: Iterable[dg.DagsterRun]) -> None:
    for run in runs:
        instance.report_run_failed(run, "the process that executed this run ended before it did")


def _machine() -> str:
    """Name this machine, without telling its name; it is the same after a restart."""
    return _digest(f"{platform.node()} {_MACHINE_ID.read_text() if _MACHINE_ID.exists() else ''}")


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]

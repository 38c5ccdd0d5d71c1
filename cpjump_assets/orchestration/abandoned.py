"""Runs that nobody works on any more, and the sensor that closes them.

Belongs here: what an end without warning (``kill -9``, lack of memory, loss of power) leaves open that Dagster itself
does not see. Does not belong here: runs that fail in order, the runs of one refresh (``refreshed_store``).

An open run holds up others: the queue lets in one that writes the tables, and automation waits. Dagster's code server
closes the runs of its own dead children; when it died with them, nobody does for the six hours of run monitoring.
"""

import json
import socket
from collections.abc import Iterator

import dagster as dg
from dagster._core.storage.tags import GRPC_INFO_TAG

from cpjump_assets.orchestration.refreshed_store import RefreshedStore
from cpjump_assets.settings import Settings

SENSOR_NAME = "abandoned_runs"
EVERY_SECONDS = 60

_AT_WORK = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
_CONNECT_SECONDS = 5.0


def abandoned_runs_sensor(settings: Settings, *, every: int = EVERY_SECONDS) -> dg.SensorDefinition:
    """Make the sensor that marks runs as failed that nobody works on any more.

    Parameters
    ----------
    settings
        They name the store.
    every
        Seconds between two looks.
    """

    @dg.sensor(
        name=SENSOR_NAME,
        minimum_interval_seconds=every,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Marks runs as failed whose process was killed, where Dagster would wait for hours: those of a refresh "
            "that does not hold the lock or the lease of the store any more, and those whose code server is gone."
        ),
    )
    def abandoned_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        closed = close_lost_runs(context.instance) + RefreshedStore.of(settings).close_killed_refresh(context.instance)
        return dg.SkipReason(f"Runs closed that nobody worked on any more: {closed}.")

    return abandoned_runs


def close_lost_runs(instance: dg.DagsterInstance) -> int:
    """Mark the runs as failed that were launched by a code server that is gone, and tell how many.

    To be called on the machine of Dagster's daemon, whose code servers launch all runs of the default launcher.
    """
    lost = [*_lost_runs(instance)]
    for run in lost:
        instance.report_run_failed(run, "the code server that executed this run ended before it did")
    return len(lost)


def _lost_runs(instance: dg.DagsterInstance) -> Iterator[dg.DagsterRun]:
    """Give the open runs whose process was a child of a code server that listened on this machine, and does not now."""
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=list(_AT_WORK))):
        address = json.loads(run.tags.get(GRPC_INFO_TAG, "{}")).get("socket")
        if address is not None and not _is_listened_on(address):
            yield run


def _is_listened_on(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_CONNECT_SECONDS)
        try:
            probe.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except (TimeoutError, BlockingIOError):
            return True  # somebody is there, and busy
    return True

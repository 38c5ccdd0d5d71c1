"""Forgetting old runs and their events, which Dagster itself keeps for ever.

Belongs here: reading what is on record, deleting, the job. Does not belong here: which runs must stay
(``needed_runs``), when the job runs (``schedules``).
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.data_version import extract_data_provenance_from_entry, extract_data_version_from_entry
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionsFilter, BulkActionStatus
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.base import PartitionKeyFilter

from cpjump_assets.orchestration.needed_runs import AssetEvent, Need, PrunePlan, plan_pruning, runs_of_state
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.storage.atomic import sweep_abandoned

if TYPE_CHECKING:
    from dagster._core.storage.dagster_run import RunRecord

_PAGE = 500
_ENDS = (
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
)
_EVALUATED = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
_BACKFILL_TAG = "dagster/backfill"

CheckKeys = Callable[[], Collection[dg.AssetCheckKey]]


@dataclass(frozen=True)
class PruneReport:
    """What was done.

    Attributes
    ----------
    plan
        What was decided, all of which is done.
    freed
        Bytes of the files that SQLite kept of deleted runs.
    """

    plan: PrunePlan
    freed: int


def days_ago(days: int) -> datetime:
    """Give the moment before which a run is old."""
    return datetime.now(UTC) - timedelta(days=days)


def find_old_runs(instance: dg.DagsterInstance, checks: Collection[dg.AssetCheckKey], *, before: datetime) -> PrunePlan:
    """Decide which runs can go; nothing is deleted.

    Parameters
    ----------
    instance
        Where runs and events are recorded.
    checks
        The checks whose latest evaluations stay.
    before
        Runs that ended earlier are old.
    """
    # The runs are listed before the events: one that begins meanwhile is not in the list, and so is not deleted.
    records = list(_run_records(instance))
    needs = {
        Need.UNFINISHED: {record.dagster_run.run_id for record in records if not record.dagster_run.is_finished},
        Need.BACKFILL: _runs_of_open_backfills(instance, records),
        **runs_of_state(_asset_events(instance)),
        Need.ATTEMPT: set(_latest_attempts(instance)),
        Need.CHECK: set(_latest_evaluations(instance, checks)),
        Need.NEWEST: set(_last_ended(instance)),
    }
    ended = {record.dagster_run.run_id: record.end_time or record.update_timestamp.timestamp() for record in records}
    return plan_pruning(ended, needs, before=before.timestamp())


def _run_records(instance: dg.DagsterInstance) -> Iterator["RunRecord"]:
    cursor = None
    while page := instance.get_run_records(limit=_PAGE, cursor=cursor):
        yield from page
        cursor = page[-1].dagster_run.run_id


def _runs_of_open_backfills(instance: dg.DagsterInstance, records: Collection["RunRecord"]) -> set[str]:
    going_on = [status for status in BulkActionStatus if status not in BULK_ACTION_TERMINAL_STATUSES]
    backfills = {one.backfill_id for one in instance.get_backfills(filters=BulkActionsFilter(statuses=going_on))}
    runs = (record.dagster_run for record in records)
    return {run.run_id for run in runs if run.tags.get(_BACKFILL_TAG) in backfills}


def _asset_events(instance: dg.DagsterInstance) -> Iterator[AssetEvent]:
    for key in instance.all_asset_keys():
        for kind, fetch in (("made", instance.fetch_materializations), ("observed", instance.fetch_observations)):
            cursor, has_more = None, True
            while has_more:
                page = fetch(key, limit=_PAGE, cursor=cursor)
                yield from (_event(key, kind, record) for record in page.records)
                cursor, has_more = page.cursor, page.has_more


def _event(key: dg.AssetKey, kind: str, record: dg.EventLogRecord) -> AssetEvent:
    version = extract_data_version_from_entry(record.event_log_entry)
    provenance = extract_data_provenance_from_entry(record.event_log_entry)
    inputs = {} if provenance is None else provenance.input_storage_ids
    return AssetEvent(
        asset=key.to_user_string(),
        partition=record.partition_key,
        kind=kind,
        storage_id=record.storage_id,
        run_id=record.run_id,
        version=None if version is None else version.value,
        made_from={upstream.to_user_string(): moment for upstream, moment in inputs.items()},
    )


def _latest_attempts(instance: dg.DagsterInstance) -> Iterator[str]:
    """Give the runs in which something was last tried: that it failed is told by the status of the run."""
    storage = instance.event_log_storage
    for key in instance.all_asset_keys():
        attempts = storage.get_latest_asset_partition_materialization_attempts_without_materializations(key)
        yield from (run_id for run_id, _ in attempts.values())
        if latest := storage.get_latest_planned_materialization_info(key):
            yield latest.run_id


def _latest_evaluations(instance: dg.DagsterInstance, checks: Collection[dg.AssetCheckKey]) -> Iterator[str]:
    """Give the runs of the latest evaluations, and of later ones that were planned and never came."""
    storage = instance.event_log_storage
    for found in storage.get_asset_check_partition_info(list(checks)):
        yield found.latest_planned_run_id
        if found.latest_execution_status not in _EVALUATED:
            of_partition = PartitionKeyFilter(key=found.partition_key)
            history = storage.get_asset_check_execution_history(
                found.check_key, limit=1, status=_EVALUATED, partition_filter=of_partition
            )
            yield from (record.run_id for record in history)


def _last_ended(instance: dg.DagsterInstance) -> Iterator[str]:
    for end in _ENDS:
        yield from (record.run_id for record in instance.fetch_run_status_changes(end, limit=1).records)


def prune(instance: dg.DagsterInstance, checks: Collection[dg.AssetCheckKey], *, before: datetime) -> PruneReport:
    """Delete the runs by which nothing is told any more, with their events; parameters as of ``find_old_runs``."""
    plan = find_old_runs(instance, checks, before=before)
    for run_id in plan.deleted:
        _delete(instance, run_id)
    return PruneReport(plan, freed=_remove_files_of_no_run(instance))


def sweep(platform: Platform) -> int:
    """Remove from the store what killed processes left and, in S3, what newer versions replaced; give the number.

    Raises
    ------
    StoreError
        If the store cannot be listed or written.
    """
    return len(platform.store.files.sweep()) + len(sweep_abandoned(Path(platform.store_folder)))


def _delete(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run, at last the run itself: when this is killed, the next pruning finds it and goes on."""
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    instance.event_log_storage.delete_events(run_id)
    instance.delete_run(run_id)


def _remove_files_of_no_run(instance: dg.DagsterInstance) -> int:
    """Remove the files of runs that are no more, and give their size; only SQLite has a file for each run.

    Dagster deletes the rows in such a file and leaves the file, as large as it was.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
        return 0
    freed = 0
    # A run is on record before its file is made: what is listed now and has no run will never have one.
    for run_id in storage.get_all_run_ids():
        if instance.has_run(run_id):
            continue
        for suffix in ("", "-wal", "-shm"):
            file = Path(f"{storage.path_for_shard(run_id)}{suffix}")
            if file.is_file():
                freed += file.stat().st_size
                file.unlink(missing_ok=True)
    return freed


def prune_job(checks: CheckKeys, *, keep_days: int) -> dg.JobDefinition:
    """Make the job that deletes old runs.

    Parameters
    ----------
    checks
        Gives the checks whose latest evaluations stay; called when the job runs.
    keep_days
        Days for which runs are kept, unless the run's configuration says otherwise.
    """
    days = dg.Field(
        int, default_value=keep_days, description="Days for which runs are kept. Default: CPJUMP_KEEP_DAYS."
    )

    @dg.op(
        description="Deletes runs and their events, but none by which the state of an asset or check is told.",
        config_schema={"older_than_days": days},
    )
    def prune_runs(context: dg.OpExecutionContext, platform: Platform) -> None:
        before = days_ago(context.op_config["older_than_days"])
        report = prune(context.instance, checks(), before=before)
        context.add_output_metadata(
            {
                "deleted runs": len(report.plan.deleted),
                "younger runs": report.plan.young,
                "freed bytes of run files": report.freed,
                "removed files of no use": sweep(platform),
                **{f"kept: {need}": report.plan.kept.get(need, 0) for need in Need},
            }
        )

    @dg.job(
        name="prune",
        description="Deletes old runs and their events; the state of assets, checks and automation stays as it is.",
        executor_def=dg.in_process_executor,
    )
    def prune_all() -> None:
        prune_runs()

    return prune_all

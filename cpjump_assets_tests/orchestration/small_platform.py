"""A platform of three assets with the platform's own ways: plates from an observed source, a batch, automation."""

from collections.abc import Collection, Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.definitions.declarative_automation.automation_condition_tester import (
    EvaluateAutomationConditionsResult,
)
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

PLATES = dg.StaticPartitionsDefinition(["a", "b", "c"])
AUTOMATIC = dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed()


class SmallPlatform:
    """What the source holds, and the jobs; each call of ``look`` or ``make`` is a run of its own."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.versions = dict.fromkeys(PLATES.get_partition_keys(), "1")
        self.broken: set[str] = set()
        self.definitions = self._define()
        self._asset_graph = self.definitions.resolve_asset_graph()

    def _define(self) -> dg.Definitions:
        @dg.observable_source_asset(partitions_def=PLATES)
        def source() -> dg.DataVersionsByPartition:
            return dg.DataVersionsByPartition(dict(self.versions))

        @dg.asset(partitions_def=PLATES, deps=[source], code_version="1", automation_condition=AUTOMATIC)
        def plate(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            if context.partition_key in self.broken:
                raise dg.Failure("broken", allow_retries=False)
            return dg.MaterializeResult(data_version=dg.DataVersion(self.versions[context.partition_key]))

        @dg.asset(deps=[plate], code_version="1", automation_condition=AUTOMATIC)
        def batch(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            for key in self.versions:  # as the split manifest records what it found of a partition
                found = dg.AssetCheckEvaluation(
                    asset_key=dg.AssetKey("batch"), check_name="each", passed=key != "c", metadata={}, partition=key
                )
                context.log_event(found)
            return dg.MaterializeResult(data_version=dg.DataVersion("".join(self.versions.values())))

        @dg.asset_check(asset=batch, blocking=True)
        def all_there() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=True)

        @dg.job
        def idle() -> None:
            pass

        looking = dg.define_asset_job("look", [source])
        checking = dg.define_asset_job("check_batch", dg.AssetSelection.checks_for_assets(batch))
        making = [dg.define_asset_job(f"make_{asset.key.path[0]}", [asset]) for asset in (plate, batch)]
        assets = [source, plate, batch]
        return dg.Definitions(assets=assets, asset_checks=[all_there], jobs=[looking, *making, checking, idle])

    @property
    def checks(self) -> Collection[dg.AssetCheckKey]:
        return [dg.AssetCheckKey(dg.AssetKey("batch"), name) for name in ("all_there", "each")]

    def look(self) -> str:
        return self._run("look")

    def make(self, *plates: str) -> None:
        for plate in plates:
            self._run("make_plate", partition=plate)

    def make_batch(self) -> str:
        return self._run("make_batch")

    def check_batch(self) -> str:
        return self._run("check_batch")

    def idle(self) -> None:
        """Run a job that has to do with no asset."""
        self._run("idle")

    def backfill(self, name: str, status: str) -> PartitionBackfill:
        return PartitionBackfill(
            backfill_id=name,
            status=BulkActionStatus(status),
            from_failure=False,
            tags={},
            backfill_timestamp=0.0,
            asset_selection=[dg.AssetKey("plate")],
        )

    def _run(self, job: str, partition: str | None = None) -> str:
        definition = self.definitions.resolve_job_def(job)
        tags = {} if partition is None else {"dagster/partition": partition}
        return definition.execute_in_process(instance=self.instance, tags=tags, raise_on_error=not self.broken).run_id

    def automation(self, cursor: Any = None) -> EvaluateAutomationConditionsResult:
        return dg.evaluate_automation_conditions(self.definitions, self.instance, cursor=cursor)

    def state(self) -> dict[str, Any]:
        return state_of(self.instance, self.definitions, self.checks)


def state_of(
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    checks: Collection[dg.AssetCheckKey],
    *,
    without_staleness_of: Collection[str] = (),
) -> dict[str, Any]:
    """Give everything that Dagster tells of assets and checks, read anew from what is on record.

    Whether a partition is stale takes Dagster many questions: those of some may be left out.
    """
    graph = definitions.resolve_asset_graph()
    return {
        "plates": {key.to_user_string(): _partitions(instance, graph, key) for key in graph.materializable_asset_keys},
        "stale": _stale(instance, graph, without_staleness_of),
        "checks": {str(key): _check(instance, key) for key in checks},
        "latest": {
            str(key): _latest(instance, key) for key in graph.materializable_asset_keys | graph.observable_asset_keys
        },
    }


def _partitions(instance: dg.DagsterInstance, graph: Any, key: dg.AssetKey) -> Mapping[str, Any]:
    partitions = graph.get(key).partitions_def
    planned = instance.event_log_storage.get_latest_planned_materialization_info(key)
    attempt = instance.get_run_by_id(planned.run_id) if planned else None
    found = {"made": instance.get_materialized_partitions(key), "latest attempt": attempt and attempt.status}
    if partitions is not None:
        instance.wipe_asset_cached_status([key])
        cached = get_and_update_asset_status_cache_value(instance, key, partitions)
        if cached is not None:
            found["cached"] = set(cached.deserialize_materialized_partition_subsets(partitions).get_partition_keys())
            found["failed"] = set(cached.deserialize_failed_partition_subsets(partitions).get_partition_keys())
    return found


def _stale(instance: dg.DagsterInstance, graph: Any, left_out: Collection[str]) -> dict[str, Any]:
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    return {
        f"{key.to_user_string()} {partition}": (
            resolver.get_status(key, partition).value,
            sorted(cause.reason for cause in resolver.get_stale_causes(key, partition)),
            resolver.get_current_data_version(key, partition),
        )
        for key in graph.materializable_asset_keys
        for partition in (instance.get_materialized_partitions(key) if graph.get(key).is_partitioned else [None])
        if partition not in left_out
    }


def _check(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> list[tuple[Any, ...]]:
    infos = instance.event_log_storage.get_asset_check_partition_info([key])
    return sorted(
        (
            str(info.partition_key),
            info.latest_execution_status.value,
            info.is_current,
            info.latest_check_event_storage_id,
            instance.has_run(info.latest_planned_run_id),
        )
        for info in infos
    )


def _latest(instance: dg.DagsterInstance, key: dg.AssetKey) -> Mapping[str, Any]:
    storage = instance.event_log_storage
    kinds = (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION)
    return {kind.value: storage.get_latest_tags_by_partition(key, kind, ["dagster/data_version"]) for kind in kinds} | {
        f"{kind.value} ids": storage.get_latest_storage_id_by_partition(key, kind) for kind in kinds
    }

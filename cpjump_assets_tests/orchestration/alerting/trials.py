"""Small checks and jobs that fail on demand, and a listener that tells what is news."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import dagster as dg
import pytest

from cpjump_assets.alerts.events import AlertEvent
from cpjump_assets.alerts.state import AlertState
from cpjump_assets.orchestration.alerting.collecting import Seen, Watched, collect

PARTS = dg.StaticPartitionsDefinition(["a", "b", "c"])
UI = "http://ui.example:3000"
CHECK = dg.AssetCheckKey(dg.AssetKey("manifest"), "sound")
OTHER = dg.AssetCheckKey(dg.AssetKey("table"), "table_schema")
ON_SQLITE = pytest.mark.parametrize("instance", ["sqlite"], indirect=True)
"""For what no storage can make different; everything else is tried on both."""
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Trials:
    """Runs on an instance; ``broken`` are the partitions whose checks fail, ``failing`` whether the job fails."""

    instance: dg.DagsterInstance
    broken: set[str] = field(default_factory=set)
    failing: bool = False
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
    during: Callable[[], Any] = lambda: None

    @cached_property
    def definitions(self) -> dg.Definitions:
        """Give the assets, checks and jobs; what they do is looked up when they run."""

        @dg.asset(partitions_def=PARTS)
        def manifest(context: dg.AssetExecutionContext) -> None:
            if self.failing:
                raise dg.Failure(f"wells leak\nin {context.partition_key}", allow_retries=False)

        @dg.asset_check(asset=manifest, partitions_def=PARTS)
        def sound(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
            self.during()
            passed = self.broken.isdisjoint(context.partition_keys)
            shown = {"groups": 160, "share": 0.5, "which": "A01", "wells": dg.MetadataValue.md("| a |")}
            return dg.AssetCheckResult(passed=passed, severity=self.severity, metadata=shown)

        @dg.asset
        def table() -> None:
            pass

        @dg.asset_check(asset=table)
        def table_schema() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed="table" not in self.broken)

        making = dg.AssetSelection.all(include_sources=False) - dg.AssetSelection.all_asset_checks()
        jobs = [
            dg.define_asset_job("manifests", making & dg.AssetSelection.assets(manifest)),
            dg.define_asset_job("checks", dg.AssetSelection.checks(CHECK)),
            dg.define_asset_job("others", dg.AssetSelection.checks(OTHER)),
        ]
        return dg.Definitions(
            assets=[manifest, table],
            asset_checks=[sound, table_schema],
            jobs=jobs,
            executor=dg.in_process_executor,
        )

    def run(self, job: str, partition: str | None = None, **tags: str) -> dg.ExecuteInProcessResult:
        """Run a job; whether it succeeds is in the result."""
        if partition:
            tags = {"dagster/partition": partition, **tags}
        resolved = self.definitions.resolve_job_def(job)
        return resolved.execute_in_process(instance=self.instance, tags=tags, run_config=_QUIET, raise_on_error=False)

    def check(self, partition: str, *, broken: bool = False) -> str:
        """Run the check of a partition; give the run."""
        self.broken = {partition} if broken else set()
        return self.run("checks", partition).run_id

    def make(self, partition: str, *, failing: bool = False) -> str:
        """Make the manifest of a partition; give the run."""
        self.failing = failing
        return self.run("manifests", partition).run_id


@dataclass
class Listener:
    """Looks at an instance as the sensor does; ``look`` gives what is news since the last one.

    ``later`` is how far its clock is ahead, in seconds.
    """

    instance: dg.DagsterInstance
    checks: Collection[dg.AssetCheckKey] = (CHECK, OTHER)
    alert_on: str = "warning"
    state: AlertState = field(default_factory=AlertState)
    later: float = 0.0

    def look(self) -> list[AlertEvent]:
        """Give the events that became messages; the state goes through its text, as between two ticks."""
        before = AlertState.from_text(self.state.to_text())
        assets = {key.asset_key for key in self.checks}
        watched = Watched(self.checks, assets, UI, self.alert_on)
        now = datetime.now(UTC).timestamp() + self.later
        events, seen = collect(self.instance, watched, Seen.from_text(before.cursor), now=now)
        after = before.receive(events, seen.to_text())
        self.state = replace(after, outbox=())
        return [event for queued in after.outbox for event in queued.message.events]

    def told(self) -> list[str]:
        """Look, and give the news in short."""
        return [f"{event.state} {event.subject.key}" for event in self.look()]

    @property
    def seen(self) -> Seen:
        """How far it has looked."""
        return Seen.from_text(self.state.cursor)

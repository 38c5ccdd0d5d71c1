"""Automation with the real daemon: one plate changes in the gallery, and exactly what it touches is made again."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RemoteInstigatorOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorTick,
    ScheduleInstigatorData,
    TickStatus,
)
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._time import get_current_datetime

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration.automation import SENSOR_NAME
from cpjump_assets.orchestration.outdated import outdated_partitions
from cpjump_assets.science.strategies import STRATEGIES
from cpjump_assets.web import open_instance
from cpjump_assets_tests.orchestration.asked import BATCH, CHAIN, OF_STRATEGIES
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, LAB_PLATES, Lab, copy_of
from cpjump_assets_tests.orchestration.origins import repository_in
from cpjump_assets_tests.processes import running_daemon, wait_until

_CODE = "cpjump_assets_tests.orchestration.quick_definitions"
_SECONDS = 900
_OBSERVE, _SCHEDULE = "observe_gallery", "observe_gallery_schedule"
_CHANGED = LAB_PLATES[2]


@dataclass(frozen=True)
class Watched:
    """What the daemon does to an instance, since a moment."""

    instance: dg.DagsterInstance
    since: datetime

    def _origin(self, name: str) -> RemoteInstigatorOrigin:
        return RemoteInstigatorOrigin(repository_in(_CODE), name)

    def turn_on(self, sensor: str, schedule: str, cron: str) -> None:
        """Turn on a sensor and a schedule, as somebody does in the web UI."""
        since_now = ScheduleInstigatorData(cron, start_timestamp=self.since.timestamp())
        running = InstigatorStatus.RUNNING
        for state in (
            InstigatorState(self._origin(sensor), InstigatorType.SENSOR, running),
            InstigatorState(self._origin(schedule), InstigatorType.SCHEDULE, running, since_now),
        ):
            self.instance.add_instigator_state(state)

    def turn_off(self, name: str) -> None:
        """Turn one of them off again."""
        origin = self._origin(name)
        state = self.instance.get_instigator_state(origin.get_id(), origin.get_selector().get_id())
        self.instance.update_instigator_state(state.with_status(InstigatorStatus.STOPPED))

    def ticks(self) -> list[InstigatorTick]:
        """Give the finished ticks of automation; one that asked for something is a success, another was skipped."""
        origin = self._origin(SENSOR_NAME)
        ticks = self.instance.get_ticks(origin.get_id(), origin.get_selector().get_id())
        assert not [tick.error for tick in ticks if tick.status is TickStatus.FAILURE]
        return [tick for tick in ticks if tick.status in (TickStatus.SUCCESS, TickStatus.SKIPPED)]

    def observations(self, since: datetime) -> int:
        """Count the finished looks at the gallery that were begun since a moment."""
        asked = dg.RunsFilter(job_name=_OBSERVE, statuses=[dg.DagsterRunStatus.SUCCESS], created_after=since)
        return self.instance.get_runs_count(asked)

    def automated(self) -> list[dg.DagsterRun]:
        """Give the runs that automation asked for."""
        runs = self.instance.get_runs(dg.RunsFilter(created_after=self.since))
        return [run for run in runs if run.job_name != _OBSERVE]

    def wait_for_observation(self) -> None:
        """Wait until the schedule has looked at the gallery as it is now."""
        now = get_current_datetime()
        wait_until(lambda: self.observations(now) > 0, "the schedule looks at the gallery", seconds=_SECONDS)

    def wait_for_quiet_ticks(self, number: int) -> None:
        """Wait until automation has looked so many times more."""
        ticks = len(self.ticks())
        wait_until(lambda: len(self.ticks()) >= ticks + number, "automation looks", seconds=_SECONDS)

    def wait_for_automated_runs(self, number: int) -> None:
        """Wait until so many runs have been asked for and are finished."""

        def finished() -> bool:
            runs = self.automated()
            return len(runs) >= number and all(run.status in FINISHED_STATUSES for run in runs)

        wait_until(finished, f"{number} runs are made", seconds=_SECONDS)


@pytest.fixture(scope="module")
def watched(refreshed_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Let the daemon see a changed plate, then a gallery without changes, until nothing is left to do."""
    with copy_of(refreshed_lab, tmp_path_factory.mktemp("automation") / "lab") as lab:
        settings = replace(lab.settings, observe_cron="* * * * *")
        with open_instance(settings) as instance:
            watched = Watched(instance, get_current_datetime())
            watched.turn_on(SENSOR_NAME, _SCHEDULE, settings.observe_cron)
            with running_daemon(settings, _CODE):
                watched.wait_for_observation()
                watched.wait_for_quiet_ticks(2)
                assert watched.automated() == []  # nothing had changed
                lab.drop_last_well(_CHANGED)
                watched.wait_for_observation()
                watched.wait_for_observation()  # of the same, while what changed is being made
                watched.turn_off(_SCHEDULE)
                watched.wait_for_automated_runs(5)
                watched.wait_for_quiet_ticks(3)
            yield watched


def test_a_changed_plate_is_made_again_then_the_batch_then_the_three_strategies_and_nothing_else(
    watched: Watched,
) -> None:
    made = {
        (run.tags.get("dagster/partition"), frozenset(key.to_user_string() for key in run.asset_selection))
        for run in watched.automated()
    }
    assert made == {(str(_CHANGED), CHAIN), (None, BATCH), *((strategy, OF_STRATEGIES) for strategy in STRATEGIES)}
    first, second, *others = reversed(watched.automated())  # the latest comes first
    assert first.asset_selection == _keys(CHAIN)
    assert second.asset_selection == _keys(BATCH)
    assert {run.tags["dagster/partition"] for run in others} == set(STRATEGIES) and len(others) == 3
    assert all(run.is_success and run.tags["cpjump/store"] == "main" for run in watched.automated())


def _keys(names: frozenset[str]) -> set[dg.AssetKey]:
    return {dg.AssetKey(name) for name in names}


def test_three_ticks_ask_and_the_others_are_silent(watched: Watched) -> None:
    asking = [tick for tick in watched.ticks() if tick.status is TickStatus.SUCCESS]
    assert len(asking) == 3
    assert len(watched.ticks()) > 6


def test_nothing_is_out_of_date_afterwards(watched: Watched, refreshed_lab: Lab) -> None:
    graph = build_defs(refreshed_lab.settings).resolve_asset_graph()
    partitions = {
        **dict.fromkeys(CHAIN, LAB_KEYS),
        **dict.fromkeys(BATCH, (None,)),
        **dict.fromkeys(OF_STRATEGIES, STRATEGIES),
    }
    for name, of_asset in partitions.items():
        assert outdated_partitions(watched.instance, graph, dg.AssetKey(name), of_asset) == set(), name


def test_what_was_not_made_for_long_is_overdue(watched: Watched) -> None:
    keys = [dg.AssetKey(name) for name in ("split_manifest", "wells")]
    states = watched.instance.get_freshness_state_records(keys)
    assert states[keys[0]].freshness_state is FreshnessState.FAIL
    assert states[keys[1]].freshness_state is FreshnessState.NOT_APPLICABLE

"""Runs whose process was killed with everything around it are closed when the daemon lives again; others are not."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import GRPC_INFO_TAG

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration.abandoned import SENSOR_NAME, abandoned_runs_sensor, close_lost_runs
from cpjump_assets.settings import Settings
from cpjump_assets.web import open_instance
from cpjump_assets_tests.orchestration.endless_definitions import MODULE, endless
from cpjump_assets_tests.orchestration.test_refreshed_store import begin
from cpjump_assets_tests.processes import kill_group, running_daemon, wait_until

STARTED, FAILURE = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(store=tmp_path / "store")


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with open_instance(settings) as opened:
        yield opened


def test_a_run_that_was_killed_with_the_daemon_and_its_code_server_is_closed_when_they_are_back(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    def statuses() -> list[dg.DagsterRunStatus]:
        return [run.status for run in instance.get_runs()]

    def steps() -> list[dg.DagsterEventType]:
        return [event.event_type for run in instance.get_runs() for event in _events(instance, run.run_id)]

    with running_daemon(settings, MODULE) as daemon:
        wait_until(lambda: dg.DagsterEventType.STEP_START in steps(), "the run is at work")
        ticks = _ticks(instance)
        wait_until(lambda: _ticks(instance) > ticks + 2, "the sensor looks at a run that is at work")
        assert statuses() == [STARTED]
        kill_group(daemon)
    assert statuses() == [STARTED]
    with running_daemon(settings, MODULE):
        wait_until(lambda: statuses() == [FAILURE], "the run is closed")
    (run,) = instance.get_runs()
    (failure,) = (event for event in _events(instance, run.run_id) if event.is_job_failure)
    assert failure.message == "the code server that executed this run ended before it did"


def _events(instance: dg.DagsterInstance, run_id: str) -> list[dg.DagsterEvent]:
    return [entry.dagster_event for entry in instance.all_logs(run_id) if entry.is_dagster_event]


def _ticks(instance: dg.DagsterInstance) -> int:
    (state,) = (state for state in instance.all_instigator_state() if state.name == SENSOR_NAME)
    return len(instance.get_ticks(state.instigator_origin_id, state.selector_id))


def _launched(instance: dg.DagsterInstance, **grpc: object) -> str:
    """Put a run on record that a code server has launched; give its identifier."""
    run = instance.create_run_for_job(endless, tags={GRPC_INFO_TAG: json.dumps({"host": "localhost", **grpc})})
    instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name="endless"), run.run_id)
    return run.run_id


def test_only_a_code_server_that_is_gone_from_this_machine_makes_its_runs_lost(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(tmp_path / "living"))
        living.listen()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / "dead"))
        gone, refused, at_work, elsewhere = (
            _launched(instance, **server)
            for server in (
                {"socket": str(tmp_path / "never")},
                {"socket": str(tmp_path / "dead")},
                {"socket": str(tmp_path / "living")},
                {"port": 1},
            )
        )
        without_process = instance.create_run_for_job(endless).run_id
        assert close_lost_runs(instance) == 2
        assert close_lost_runs(instance) == 0
    found = [instance.get_run_by_id(run).status for run in (gone, refused, at_work, elsewhere)]
    assert found == [FAILURE, FAILURE, STARTED, STARTED]
    assert instance.get_run_by_id(without_process).status is dg.DagsterRunStatus.NOT_STARTED


def test_the_sensor_closes_both_kinds_once_and_is_on_by_default(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    begin(instance, settings)
    _launched(instance, socket=str(settings.folder / "gone"))
    sensor = abandoned_runs_sensor(settings)
    said = [sensor(dg.build_sensor_context(instance=instance)).skip_message for _ in range(2)]
    assert said == [f"Runs closed that nobody worked on any more: {closed}." for closed in (2, 0)]
    assert {run.status for run in instance.get_runs()} == {FAILURE}
    sensors = {sensor.name: sensor for sensor in build_defs(settings).get_repository_def().sensor_defs}
    assert sensors[SENSOR_NAME].default_status is dg.DefaultSensorStatus.RUNNING

"""What a killed refresh leaves open is closed by a sensor; of one that is at work nothing is."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import RemoteJobOrigin

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration import automation
from cpjump_assets.orchestration.automation import refresh_at_work
from cpjump_assets.orchestration.refreshed_store import RefreshedStore, killed_refresh_sensor
from cpjump_assets.orchestration.tables import REFRESH_TAG
from cpjump_assets.settings import Settings
from cpjump_assets.storage.lock import BusyError
from cpjump_assets.web import open_instance
from cpjump_assets_tests.orchestration.origins import repository_in
from cpjump_assets_tests.processes import environment_of

OPEN, CLOSED = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE

_REFRESH = """
import time
from cpjump_assets.orchestration.refreshed_store import RefreshedStore
from cpjump_assets.settings import Settings
from cpjump_assets.web import open_instance
from cpjump_assets_tests.orchestration.test_refreshed_store import begin
settings = Settings.from_environment()
with open_instance(settings) as instance, RefreshedStore.of(settings).alone():
    print(begin(instance, settings), flush=True)
    time.sleep(600)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(store=tmp_path / "store")


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with open_instance(settings) as opened:
        yield opened


def begin(instance: dg.DagsterInstance, settings: Settings, **more: object) -> str:
    """Put a run of a refresh on record that is at work; give its identifier."""
    tags = {REFRESH_TAG: "12345678", **RefreshedStore.of(settings).tags}
    run = instance.create_run_for_job(build_defs(settings).resolve_job_def("metadata"), tags=tags, **more)
    instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name="metadata"), run.run_id)
    return run.run_id


def _tick(instance: dg.DagsterInstance, settings: Settings) -> str:
    """Let the sensor look once; give what it says."""
    said = killed_refresh_sensor(settings)(dg.build_sensor_context(instance=instance))
    assert isinstance(said, dg.SkipReason)
    return said.skip_message


def test_the_run_of_a_killed_refresh_is_closed_once_and_automation_goes_on(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", _REFRESH]
    with subprocess.Popen(
        command, env=os.environ | environment_of(settings), stdout=subprocess.PIPE, text=True
    ) as refresh:
        run = refresh.stdout.readline().strip()
        assert _tick(instance, settings) == "A refresh is at work."
        assert instance.get_run_by_id(run).status is OPEN
        with pytest.raises(BusyError), RefreshedStore.of(settings).alone():
            pass
        refresh.kill()
    assert refresh_at_work(instance)
    assert _tick(instance, settings) == "Runs closed that a killed refresh left open: 1."
    assert instance.get_run_by_id(run).status is CLOSED
    assert _tick(instance, settings) == "No run of a refresh is open."
    monkeypatch.setattr(automation, "_BETWEEN_RUNS", timedelta(0))
    assert not refresh_at_work(instance)


def test_runs_of_another_store_and_runs_that_have_a_process_of_their_own_are_left_alone(
    settings: Settings, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    elsewhere = begin(instance, Settings(store=tmp_path / "another"))
    again = begin(  # from the web UI, which takes the tags of the run that failed
        instance, settings, remote_job_origin=RemoteJobOrigin(repository_in("cpjump_assets.definitions"), "metadata")
    )
    assert _tick(instance, settings) == "No run of a refresh is open."
    abandoned = begin(instance, settings)
    assert _tick(instance, settings) == "Runs closed that a killed refresh left open: 1."
    assert [instance.get_run_by_id(run).status for run in (elsewhere, again, abandoned)] == [OPEN, OPEN, CLOSED]


def test_the_sensor_is_on_by_default() -> None:
    sensors = {sensor.name: sensor for sensor in build_defs(Settings()).get_repository_def().sensor_defs}
    assert sensors["killed_refresh"].default_status is dg.DefaultSensorStatus.RUNNING

"""What a killed refresh leaves open is closed; of one that is at work nothing is."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import RemoteJobOrigin

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration import automation, refreshed_store
from cpjump_assets.orchestration.automation import refresh_at_work
from cpjump_assets.orchestration.refreshed_store import REFRESHED_STORE_TAG, RefreshedStore
from cpjump_assets.orchestration.tables import REFRESH_TAG
from cpjump_assets.settings import Settings
from cpjump_assets.storage.lease import _Lease
from cpjump_assets.storage.lock import BusyError
from cpjump_assets.storage.s3_place import S3Place
from cpjump_assets.web import open_instance
from cpjump_assets_tests.orchestration.origins import repository_in
from cpjump_assets_tests.processes import environment_of
from cpjump_assets_tests.stores import moto_store

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


def test_the_run_of_a_killed_refresh_is_closed_once_and_automation_goes_on(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, command = RefreshedStore.of(settings), [sys.executable, "-c", _REFRESH]
    with subprocess.Popen(
        command, env=os.environ | environment_of(settings), stdout=subprocess.PIPE, text=True
    ) as refresh:
        run = refresh.stdout.readline().strip()
        assert store.close_killed_refresh(instance) == 0
        assert instance.get_run_by_id(run).status is OPEN
        with pytest.raises(BusyError), store.alone():
            pass
        refresh.kill()
    assert refresh_at_work(instance)
    assert store.close_killed_refresh(instance) == 1
    assert instance.get_run_by_id(run).status is CLOSED
    assert store.close_killed_refresh(instance) == 0
    monkeypatch.setattr(automation, "_BETWEEN_RUNS", timedelta(0))
    assert not refresh_at_work(instance)


def test_runs_of_another_store_and_runs_that_have_a_process_of_their_own_are_left_alone(
    settings: Settings, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    elsewhere = begin(instance, Settings(store=tmp_path / "another"))
    again = begin(  # from the web UI, which takes the tags of the run that failed
        instance, settings, remote_job_origin=RemoteJobOrigin(repository_in("cpjump_assets.definitions"), "metadata")
    )
    abandoned = begin(instance, settings)
    assert RefreshedStore.of(settings).close_killed_refresh(instance) == 1
    assert [instance.get_run_by_id(run).status for run in (elsewhere, again, abandoned)] == [OPEN, OPEN, CLOSED]


def test_of_a_store_in_a_folder_only_runs_of_this_machine_are_closed_until_the_next_refresh(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RefreshedStore.of(settings)
    with monkeypatch.context() as patched:
        patched.setattr("platform.node", lambda: "another-machine")
        elsewhere = begin(instance, settings)
    assert store.close_killed_refresh(instance) == 0
    assert instance.get_run_by_id(elsewhere).status is OPEN
    with store.alone():
        store.close_abandoned_runs(instance)
    assert instance.get_run_by_id(elsewhere).status is CLOSED


def test_a_refresh_that_is_cut_off_from_its_store_in_s3_is_left_alone_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with moto_store() as server:
        settings = Settings(store=server.url("lab"), store_endpoint=server.endpoint, work=tmp_path / "here")
        store, place = RefreshedStore.of(settings), server.place("lab")
        with open_instance(settings) as instance:
            run = begin(instance, settings)
            with RefreshedStore(tmp_path / "there", place).alone():
                assert store.close_killed_refresh(instance) == 0
            _Lease(place, "refresh.lease", "a machine that sleeps", 1).take("")
            time.sleep(3)
            assert store.close_killed_refresh(instance) == 0
            assert instance.get_run_by_id(run).status is OPEN
            monkeypatch.setattr(refreshed_store, "_LEASE_OVER_SECONDS", 0.5)
            assert store.close_killed_refresh(instance) == 1
            assert instance.get_run_by_id(run).status is CLOSED


def test_stores_of_one_name_on_two_servers_are_two(tmp_path: Path) -> None:
    tags = [
        RefreshedStore(tmp_path, S3Place("bucket", "prefix", endpoint)).tags[REFRESHED_STORE_TAG]
        for endpoint in (None, "http://one.example.org", "http://two.example.org")
    ]
    assert len(set(tags)) == 3


def test_run_monitoring_gives_a_refresh_a_day(settings: Settings, instance: dg.DagsterInstance) -> None:
    run = instance.get_run_by_id(begin(instance, settings))
    assert float(run.tags["dagster/max_runtime"]) == 24 * 3600

"""Runs and events in Postgres: a whole refresh, the server restarted, gone in the middle, and back."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from dagster_postgres.event_log import PostgresEventLogStorage

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.history import HistoryError
from cpjump_assets.science.errors import SettingsError
from cpjump_assets.settings import Settings
from cpjump_assets.web import open_instance, prepare_home
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, Lab
from cpjump_assets_tests.processes import Postgres, environment_of, running_postgres, wait_until


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def kept_in_postgres(lab: Lab, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Give a refreshed lab without its history, the next of which is in an empty database."""
    postgres.execute("drop schema public cascade; create schema public authorization cpjump")
    shutil.rmtree(lab.settings.dagster_home)
    monkeypatch.setenv("CPJUMP_POSTGRES_URL", postgres.url)  # what dagster.yaml names
    return replace(lab, postgres_url=postgres.url)


def _run_refresh(lab: Lab) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "cpjump_assets", "refresh"]
    environment = os.environ | environment_of(lab.settings)
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def test_a_refresh_is_the_same_in_postgres_and_goes_on_when_the_database_was_gone(
    kept_in_postgres: Lab, refreshed_lab: Lab, postgres: Postgres
) -> None:
    lab, folder = kept_in_postgres, kept_in_postgres.store.root / "profiles"
    shutil.rmtree(folder)

    refresh = _run_refresh(lab)
    first = lab.store.path(tables.ANNOTATED_PROFILES.key(LAB_KEYS[0]))
    wait_until(lambda: first.exists() or refresh.poll() is not None, "a plate is annotated", every=0.01)
    assert refresh.poll() is None, refresh.communicate()[1].decode()
    postgres.stop()
    _, error = refresh.communicate()
    assert refresh.returncode != 0
    said = error.decode().strip().splitlines()
    assert said[-1].startswith("cpjump: runs and events cannot be read or recorded in Postgres at 127.0.0.1:"), said
    assert "Traceback" not in error.decode()
    assert "secret-of-the-test" not in error.decode()

    postgres.start()
    finished, failed = lab.refresh()
    assert failed is None
    assert lab.digests() == refreshed_lab.digests()
    with lab.instance() as instance:
        assert isinstance(instance.event_log_storage, PostgresEventLogStorage)
        unfinished = [status for status in dg.DagsterRunStatus if not _is_finished(status)]
        assert instance.get_runs(filters=dg.RunsFilter(statuses=unfinished)) == []
        made = instance.get_materialized_partitions(tables.NORMALIZED_PROFILES.asset_key)
    assert made == set(LAB_KEYS)
    assert not list(lab.store.root.rglob("*.part"))
    assert not (lab.settings.dagster_home / "history").exists()

    postgres.stop("fast")
    postgres.start()
    assert int(postgres.execute("select count(*) from runs")) > len(finished)
    assert lab.run("comparison").success

    another = replace(lab.settings, preset="paper_2021")
    with (
        pytest.raises(SettingsError, match="of the preset paper_2024; give paper_2021 a database"),
        open_instance(another),
    ):
        pass


def _is_finished(status: dg.DagsterRunStatus) -> bool:
    return status in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


def test_a_home_that_keeps_runs_in_sqlite_is_not_silently_used_for_postgres(tmp_path: Path) -> None:
    settings = Settings(store=tmp_path)
    prepare_home(settings)
    with pytest.raises(SettingsError, match=r"CPJUMP_POSTGRES_URL is set, but .*dagster.yaml keeps runs elsewhere"):
        prepare_home(replace(settings, postgres_url="postgresql://cpjump@127.0.0.1/cpjump"))


def test_a_database_that_is_not_there_is_one_line_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "postgresql://cpjump:geheim@127.0.0.1:1/cpjump"
    monkeypatch.setenv("CPJUMP_POSTGRES_URL", url)
    with (
        pytest.raises(HistoryError, match=r"Postgres at 127.0.0.1:1, database cpjump .*Connection refused") as error,
        open_instance(Settings(store=tmp_path, postgres_url=url)),
    ):
        pass
    assert "geheim" not in str(error.value)

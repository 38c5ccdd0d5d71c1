"""An empty instance on each kind of storage."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import dagster as dg
import pytest
import sqlalchemy

from cpjump_assets.settings import Settings
from cpjump_assets.web import open_instance
from cpjump_assets_tests.orchestration.alerting.trials import Listener, Trials
from cpjump_assets_tests.processes import Postgres, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def open_once(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], dg.DagsterInstance]]:
    """Give the instance on a kind of storage: making its tables takes a second, which the tests share."""
    opened: dict[str, dg.DagsterInstance] = {}
    with ExitStack() as stack:

        def instance(kind: str) -> dg.DagsterInstance:
            if kind not in opened:
                url = request.getfixturevalue("postgres").url if kind == "postgres" else None
                settings = Settings(store=tmp_path_factory.mktemp(kind) / "store", postgres_url=url)
                with pytest.MonkeyPatch.context() as environment:
                    environment.setenv("CPJUMP_POSTGRES_URL", url or "")  # what dagster.yaml names
                    opened[kind] = stack.enter_context(open_instance(settings))
                    _empty(opened[kind])
            return opened[kind]

        yield instance


@pytest.fixture(params=["sqlite", "postgres"])
def instance(
    request: pytest.FixtureRequest, open_once: Callable[[str], dg.DagsterInstance]
) -> Iterator[dg.DagsterInstance]:
    instance = open_once(request.param)
    yield instance
    _empty(instance)


def _empty(instance: dg.DagsterInstance) -> None:
    instance.wipe()
    instance.schedule_storage.wipe()
    with instance.run_storage.connect() as connection:
        connection.execute(sqlalchemy.text("delete from kvs"))


@pytest.fixture
def trials(instance: dg.DagsterInstance) -> Trials:
    return Trials(instance)


@pytest.fixture
def listener(instance: dg.DagsterInstance) -> Listener:
    return Listener(instance)

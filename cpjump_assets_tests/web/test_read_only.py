"""The read-only web server: what is asked is answered, and nothing is executed that changes something."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster_webserver.webserver import DagsterWebserver
from starlette.types import ASGIApp

from cpjump_assets.web.read_only import ReadOnlyWebserver
from cpjump_assets_tests.web.asgi import JSON, ask

FORBIDDEN = 'setConcurrencyLimit(concurrencyKey: "planted", limit: 1)'
FORGOTTEN = "setNuxSeen"
"""A mutation for which Dagster asks for no permission."""
CHANGES = (FORBIDDEN, FORGOTTEN)
STREAM = 'pipelineRunLogs(runId: "no such run") { __typename }'


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture(scope="module")
def app(instance: dg.DagsterInstance) -> ASGIApp:
    """Give the read-only server."""
    return _app(instance, ReadOnlyWebserver)


def _app(instance: dg.DagsterInstance, webserver: type[DagsterWebserver]) -> ASGIApp:
    return webserver(WorkspaceProcessContext(instance, None, version="1", read_only=True)).create_asgi_app()


def _changed(instance: dg.DagsterInstance) -> bool:
    """Tell whether either mutation of ``CHANGES`` was executed."""
    seen = Path(instance.root_directory) / ".nux" / "nux.yaml"
    return seen.exists() or bool(instance.event_log_storage.get_concurrency_keys())


def _post(app: ASGIApp, query: str, **more: Any) -> tuple[int, dict[str, Any]]:
    body = json.dumps({"query": query, **more}).encode()
    answer = ask(app, JSON, method="POST", path="/graphql", body=body)
    return answer.status, json.loads(answer.body)


def _stream(app: ASGIApp, query: str) -> list[dict[str, Any]]:
    """Begin a subscription by websocket; give what comes until it is over."""
    start = {"type": "start", "id": "1", "payload": {"query": query}}
    sent: list[dict[str, Any]] = []

    async def talk() -> None:
        incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        incoming.put_nowait({"type": "websocket.connect"})
        incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(start)})

        async def send(message: Any) -> None:
            if message["type"] != "websocket.send":
                return
            sent.append(json.loads(message["text"]))
            if sent[-1]["type"] in ("complete", "error"):
                incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})

        scope = {"type": "websocket", "path": "/graphql", "query_string": b"", "headers": [], "subprotocols": []}
        await asyncio.wait_for(app(scope, incoming.get, send), 60)

    asyncio.run(talk())
    return sent


def test_a_question_is_answered(app: ASGIApp) -> None:
    assert _post(app, "query { version }") == (200, {"data": {"version": "1"}})
    events = _stream(app, f"subscription {{ {STREAM} }}")
    assert [event["type"] for event in events] == ["data", "complete"]
    assert events[0]["payload"]["data"]["pipelineRunLogs"]["__typename"] == "PipelineRunLogsSubscriptionFailure"


@pytest.mark.parametrize("field", CHANGES)
@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("mutation {{ {field} }}", None),
        ("query Q {{ version }} mutation M {{ {field} }}", "M"),
        ("query Q {{ version }} mutation M {{ {field} }}", "Q"),
        ("mutation M {{ ...F }} fragment F on Mutation {{ {field} }}", "M"),
    ],
)
def test_no_mutation_is_executed(
    instance: dg.DagsterInstance, app: ASGIApp, query: str, name: str | None, field: str
) -> None:
    status, answer = _post(app, query.format(field=field), operationName=name)
    assert status == 400
    assert "read-only" in answer["errors"][0]["message"]
    assert not _changed(instance)


@pytest.mark.parametrize("field", CHANGES)
def test_no_mutation_is_executed_by_websocket(instance: dg.DagsterInstance, app: ASGIApp, field: str) -> None:
    for smuggled in (f"mutation {{ {field} }}", f"mutation {{ {STREAM} {field} }}", f"subscription {{ {field} }}"):
        assert [event["type"] for event in _stream(app, smuggled)] == ["error"]
    assert not _changed(instance)


def test_the_permissions_of_dagster_alone_would_let_one_through() -> None:
    with dg.instance_for_test() as instance:
        app = _app(instance, DagsterWebserver)
        _post(app, f"mutation {{ {FORBIDDEN} }}")
        assert not _changed(instance)
        _post(app, f"mutation {{ {FORGOTTEN} }}")
        assert _changed(instance)


@pytest.mark.parametrize("what", ["materialization", "check", "observation"])
def test_a_report_of_what_happened_elsewhere_is_refused(instance: dg.DagsterInstance, app: ASGIApp, what: str) -> None:
    body = json.dumps({"check_name": "c", "passed": True, "data_version": "1"}).encode()
    assert ask(app, JSON, method="POST", path=f"/report_asset_{what}/wells", body=body).status == 401
    assert instance.all_asset_keys() == []

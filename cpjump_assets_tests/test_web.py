"""The guard in front of the web UI: the UI's own requests pass, what another page could send does not."""

import asyncio
from typing import Any

import pytest

from cpjump_assets.web import guard

PORT = 3000
OWN = {"host": "127.0.0.1:3000"}
JSON = {**OWN, "content-type": "application/json", "origin": "http://127.0.0.1:3000"}
FORM = {**OWN, "content-type": "application/x-www-form-urlencoded"}
EVIL = {"origin": "https://evil.example"}


def _answer(
    headers: dict[str, str], *, method: str = "GET", path: str = "/", query: str = "", kind: str = "http"
) -> int:
    """Send one request through the guard; 200 is the app's own answer, 101 an accepted websocket."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        accepted = {"type": "websocket.accept"}
        await send(accepted if kind == "websocket" else {"type": "http.response.start", "status": 200})

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(guard(app, port=PORT)(scope, receive, send))
    first = sent[0]
    return {"websocket.accept": 101, "websocket.close": 403}.get(first["type"]) or first["status"]


def test_no_answer_may_be_framed() -> None:
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"host", b"localhost:3000")],
    }
    own = {"headers": [(b"host", b"localhost:3000")]}
    asyncio.run(guard(app, port=PORT)(scope | own, None, send))
    assert sent[0]["headers"] == [(b"a", b"b"), (b"x-frame-options", b"DENY")]


def test_pages_and_their_own_queries_pass() -> None:
    assert _answer(OWN) == 200
    assert _answer({"host": "localhost:3000"}, path="/assets/wells") == 200
    assert _answer({**OWN, "sec-fetch-site": "cross-site"}, path="/runs") == 200
    assert _answer(JSON, method="POST", path="/graphql", query="op=RunsQuery") == 200
    assert _answer({**JSON, "sec-fetch-site": "same-origin"}, method="POST", path="/graphql") == 200
    assert _answer({**OWN, "origin": "http://127.0.0.1:3000"}, path="/graphql", kind="websocket") == 101


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({"headers": {"host": "evil.example"}}, id="a name rebound to this machine"),
        pytest.param({"headers": {"host": "127.0.0.1:3001"}}, id="another port"),
        pytest.param({"headers": {}}, id="no host"),
        pytest.param({"headers": OWN, "path": "/graphql", "query": "query=mutation{x}"}, id="a mutation by GET"),
        pytest.param({"headers": OWN | EVIL, "path": "/graphql"}, id="a foreign origin"),
        pytest.param(
            {"headers": FORM, "method": "POST", "path": "/graphql", "query": "query=mutation{x}"},
            id="a form with the query in the address",
        ),
        pytest.param(
            {"headers": JSON, "method": "POST", "path": "/graphql", "query": "op=x&query=mutation{x}"},
            id="JSON with a query in the address",
        ),
        pytest.param({"headers": FORM, "method": "POST", "path": "/graphql"}, id="a form"),
        pytest.param({"headers": JSON | EVIL, "method": "POST", "path": "/graphql"}, id="JSON from elsewhere"),
        pytest.param(
            {"headers": {**JSON, "sec-fetch-site": "cross-site"}, "method": "POST", "path": "/graphql"},
            id="marked as cross-site by the browser",
        ),
        pytest.param(
            {"headers": FORM, "method": "POST", "path": "/report_asset_materialization/wells"},
            id="a report of a materialization",
        ),
        pytest.param({"headers": OWN | EVIL, "path": "/graphql", "kind": "websocket"}, id="a foreign websocket"),
        pytest.param({"headers": OWN, "path": "/graphql", "kind": "websocket"}, id="a websocket without origin"),
    ],
)
def test_what_another_page_could_send_is_refused(request_: dict[str, Any]) -> None:
    assert _answer(**request_) == 403

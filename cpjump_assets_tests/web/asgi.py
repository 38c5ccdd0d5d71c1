"""One request, sent straight into a web application without a server."""

import asyncio
from typing import Any, NamedTuple

from starlette.types import ASGIApp

PORT = 3000
OWN = {"host": "127.0.0.1:3000"}
ORIGIN = {"origin": "http://127.0.0.1:3000"}
JSON = {**OWN, **ORIGIN, "content-type": "application/json"}


class Answer(NamedTuple):
    """What came back; status 101 is an accepted websocket."""

    status: int
    headers: dict[str, str]
    body: str


async def dagster(scope: Any, receive: Any, send: Any) -> None:
    """Stand in for the web server of Dagster: whatever reaches it is answered."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
    await send({"type": "http.response.body", "body": b"Dagster"})


def ask(
    app: ASGIApp,
    headers: dict[str, str],
    *,
    method: str = "GET",
    path: str = "/",
    query: str = "",
    kind: str = "http",
    body: bytes = b"",
) -> Answer:
    """Send one request and give the answer."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"} if kind == "websocket" else {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": kind,
        "scheme": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(app(scope, receive, send))
    first = sent[0]
    if first["type"].startswith("websocket"):
        return Answer(101 if first["type"] == "websocket.accept" else 403, {}, "")
    fields = {name.decode(): value.decode() for name, value in first["headers"]}
    return Answer(first["status"], fields, b"".join(part.get("body", b"") for part in sent[1:]).decode())

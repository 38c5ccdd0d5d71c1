"""The guard in front of the web UI: only what its own pages send comes through.

Belongs here: from which pages a request may come, and which requests may reach Dagster. Does not belong here: who sits
in front of the browser (``sign_in``), what a visitor may do (``read_only``).
"""

from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cpjump_assets.settings import Settings
from cpjump_assets.web.addresses import Origins, own_origins
from cpjump_assets.web.sign_in import SignIn

_OPERATION_NAME = b"op"
"""The one query parameter that the UI sends with a POST: the name of the operation, for people who read logs."""
_OWN_PAGES = ("same-origin", "none")
_ALONE = {
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""No other page may frame ours, hold a handle of its window, or load what is answered as a part of itself."""


def guard(app: ASGIApp, *, port: int, ui_url: str = Settings.ui_url, token: str | None = None) -> ASGIApp:
    """Let through only requests that the UI itself sends.

    Refused (403) are a foreign ``Host`` (a name that was rebound to this machine), a foreign ``Origin``, whatever the
    browser marks as sent by a page elsewhere unless it is a plain link, and every request that could change something
    unless it is a POST of JSON whose query string holds no query; GraphQL by GET is refused whole. A browser cannot
    send such a POST to another site without asking first, and this server answers no such question. No page may be
    framed by another, where a visitor could be made to click in it.

    Parameters
    ----------
    app
        Dagster's web server.
    port
        The port of this machine that it is served on.
    ui_url
        Where it is reached from elsewhere (``Settings.ui_url``); that host is allowed too.
    token
        What a browser must show once; None asks for nothing.

    Raises
    ------
    SettingsError
        If ``ui_url`` has a path.
    """
    origins = own_origins(port, ui_url)
    app = _only_what_the_ui_asks(app)
    if token is not None:
        app = SignIn(app, token=token, origins=origins, cookie=f"cpjump_{port}")
    return _only_from_own_pages(app, origins)


def _only_from_own_pages(app: ASGIApp, origins: Origins) -> ASGIApp:
    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or _is_from_own_page(scope, origins):
            await app(scope, receive, _standing_alone(send))
        else:
            await _refuse(scope, receive, send)

    return guarded


def _is_from_own_page(scope: Scope, origins: Origins) -> bool:
    headers = Headers(scope=scope)
    own = origins.get(headers.get("host", "").lower())
    if own is None or headers.get("origin", own) != own:
        return False
    if scope["type"] == "websocket":
        return "origin" in headers
    # A page elsewhere may link here, which changes nothing; it may neither embed nor send anything.
    linked = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return headers.get("sec-fetch-site", "none") in _OWN_PAGES or (scope["method"] == "GET" and linked)


def _only_what_the_ui_asks(app: ASGIApp) -> ASGIApp:
    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _could_be_the_ui(scope):
            await app(scope, receive, send)
        else:
            await _refuse(scope, receive, send)

    return guarded


def _could_be_the_ui(scope: Scope) -> bool:
    # Whatever begins so: to the router below, "/graphql" with a line end after it (%0A) is the same address.
    if scope["method"] in ("GET", "HEAD") and not scope["path"].startswith("/graphql"):
        return True
    content_type = Headers(scope=scope).get("content-type", "").partition(";")[0].strip()
    return (
        scope["method"] == "POST"
        and content_type == "application/json"
        and set(parse_qs(scope["query_string"], keep_blank_values=True)) <= {_OPERATION_NAME}
    )


def _standing_alone(send: Send) -> Send:
    """Say with every answer that it is no part of another page."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message.get("headers", ())))
            headers.update(_ALONE)
            message = {**message, "headers": headers.raw}
        await send(message)

    return sending


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    text = "refused: the web UI answers only its own pages, on this machine or at CPJUMP_UI_URL\n"
    await PlainTextResponse(text, status_code=403)(scope, receive, send)

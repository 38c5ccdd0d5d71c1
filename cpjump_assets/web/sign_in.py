"""Sign-in by a token: who does not know it sees one page, and nothing of Dagster.

Belongs here: asking for the token, and the cookie of a browser that showed it. Does not belong here: from which pages a
request may come (``guard``, which stands in front), users and roles (a proxy's work).
"""

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from urllib.parse import parse_qs, quote, urlencode

from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cpjump_assets.web.addresses import Origins
from cpjump_assets.web.pages import PAGE_HEADERS, once_more_page, sign_in_page

PATH = "/sign-in"
_SESSION_SECONDS = 7 * 24 * 3600
_SESSION = re.compile(r"([0-9]{1,12})\.[0-9a-f]{64}")
_MOST_FORM_BYTES = 4096
_LOCAL = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")
"""A path of this server; ``//host`` and ``/\\host`` are other servers to a browser."""


class SignIn:
    """Asks for a token before anything else is answered.

    A browser shows it on the page ``/sign-in`` or as ``?token=`` of any page, once, and then holds a cookie that no
    script can read and that is sent with requests of our own pages alone. The cookie does not hold the token: it is a
    time signed with it, so that another token ends all sessions. Programs send ``Authorization: Bearer <token>``.

    Parameters
    ----------
    app
        What is answered to those who signed in.
    token
        The token.
    origins
        The addresses of the web UI; where one is https, so must be the cookie's way.
    cookie
        Name of the cookie; cookies of one host are shared by its ports.
    clock
        Seconds since 1970.
    """

    def __init__(
        self, app: ASGIApp, *, token: str, origins: Origins, cookie: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._app = app
        self._token = token
        self._origins = origins
        self._cookie = cookie
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "websocket" and not self._knows(HTTPConnection(scope)):
            await send({"type": "websocket.close", "code": 1008})
            return
        response = await self._answer(Request(scope, receive)) if scope["type"] == "http" else None
        await (response or self._app)(scope, receive, send)

    async def _answer(self, request: Request) -> Response | None:
        """Give the answer to a request, or None where the web UI is to answer it."""
        if request.method == "GET" and self._is_token(request.query_params.get("token", "")):
            others = urlencode([pair for pair in request.query_params.multi_items() if pair[0] != "token"])
            return self._welcome(request, quote(request.url.path) + (f"?{others}" if others else ""))
        if request.url.path == PATH:
            return await self._sign_in(request)
        if self._knows(request):
            return None
        if request.method != "GET" or "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse(f"sign in at {PATH}\n", status_code=401)
        wanted = quote(request.url.path) + (f"?{request.url.query}" if request.url.query else "")
        if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            # A link elsewhere, such as an alert's, was followed: the cookie is kept back until a page of ours asks.
            return HTMLResponse(once_more_page(_local(wanted)), headers=PAGE_HEADERS)
        return RedirectResponse(f"{PATH}?{urlencode({'next': wanted})}", status_code=303, headers=PAGE_HEADERS)

    async def _sign_in(self, request: Request) -> Response:
        if request.method != "POST":
            wanted = _local(request.query_params.get("next", ""))
            return HTMLResponse(sign_in_page(PATH, wanted), headers=PAGE_HEADERS)
        form = await _form(request)
        wanted = _local(form.get("next", ""))
        if self._is_token(form.get("token", "")):
            return self._welcome(request, wanted)
        return HTMLResponse(sign_in_page(PATH, wanted, refused=True), status_code=403, headers=PAGE_HEADERS)

    def _welcome(self, request: Request, wanted: str) -> Response:
        """Give the cookie, and send the browser on to an address without the token."""
        response = RedirectResponse(_local(wanted), status_code=303, headers=PAGE_HEADERS)
        response.set_cookie(
            self._cookie,
            self._session(int(self._clock()) + _SESSION_SECONDS),
            max_age=_SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=self._origins[request.headers["host"].lower()].startswith("https://"),
        )
        return response

    def _knows(self, connection: HTTPConnection) -> bool:
        """Tell whether a request comes with a session that has not ended, or with the token itself."""
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(given.strip()):
            return True
        session = connection.cookies.get(self._cookie, "")
        ends = _SESSION.fullmatch(session)
        if ends is None or not _same(session, self._session(int(ends[1]))):
            return False
        return int(ends[1]) > self._clock()

    def _session(self, ends: int) -> str:
        signature = hmac.new(self._token.encode(), f"{self._cookie} until {ends}".encode(), hashlib.sha256)
        return f"{ends}.{signature.hexdigest()}"

    def _is_token(self, given: str) -> bool:
        return _same(given, self._token)


def _same(given: str, expected: str) -> bool:
    """Compare in a time that tells nothing of what was expected, not even its length."""
    digests = (hashlib.sha256(text.encode()).digest() for text in (given, expected))
    return hmac.compare_digest(*digests)


def _local(wanted: str) -> str:
    """Give the path to go on to: never another server's, and never the sign-in itself."""
    return wanted if _LOCAL.fullmatch(wanted) and wanted.partition("?")[0] != PATH else "/"


async def _form(request: Request) -> dict[str, str]:
    """Read the fields of the sign-in page; what is larger than it could send counts as empty."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_FORM_BYTES:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}

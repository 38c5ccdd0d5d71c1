"""Sign-in: without the token nothing of Dagster is seen; who showed it once is known until the session ends."""

import http.cookies
import re
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from cpjump_assets.web import guard
from cpjump_assets.web.addresses import own_origins
from cpjump_assets.web.sign_in import SignIn
from cpjump_assets_tests.web.asgi import JSON, ORIGIN, OWN, PORT, Answer, ask, dagster

TOKEN = "long enough + odd & signs"
PAGE = {**OWN, "accept": "text/html,*/*"}
FORM = {**OWN, **ORIGIN, "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
DAY = 24 * 3600


def _ask(headers: dict[str, str], *, token: str = TOKEN, port: int = PORT, **request: Any) -> Answer:
    return ask(guard(dagster, port=port, token=token), headers, **request)


def _signed_in(token: str = TOKEN, **fields: str) -> Answer:
    return _ask(FORM, method="POST", path="/sign-in", body=urlencode({"token": token, **fields}).encode())


def _cookie(answer: Answer) -> dict[str, str]:
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


@pytest.mark.parametrize("path", ["/", "/assets/wells", "/main.js", "/server_info", "/logs/x.out", "/download_debug/x"])
@pytest.mark.parametrize("headers", [PAGE, OWN])
def test_a_stranger_sees_nothing_of_dagster(path: str, headers: dict[str, str]) -> None:
    answer = _ask(headers, path=path)
    assert answer.status == (303 if headers is PAGE else 401)
    assert "Dagster" not in answer.body
    assert "set-cookie" not in answer.headers


def test_a_stranger_can_neither_ask_nor_listen() -> None:
    assert _ask(JSON, method="POST", path="/graphql").status == 401
    assert _ask(OWN | ORIGIN, path="/graphql", kind="websocket").status == 403


def test_a_stranger_is_led_to_the_sign_in_and_then_to_what_was_wanted() -> None:
    led = _ask(PAGE, path="/assets/wells", query="view=checks&a=b")
    assert urlsplit(led.headers["location"]).path == "/sign-in"
    (wanted,) = parse_qs(urlsplit(led.headers["location"]).query)["next"]
    assert wanted == "/assets/wells?view=checks&a=b"
    page = _ask(PAGE, path="/sign-in", query=urlsplit(led.headers["location"]).query)
    assert page.status == 200
    assert 'value="/assets/wells?view=checks&amp;a=b"' in page.body
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert _signed_in(next=wanted).headers["location"] == wanted


def test_who_shows_the_token_is_known_from_then_on() -> None:
    welcome = _signed_in()
    assert (welcome.status, welcome.headers["location"]) == (303, "/")
    cookie = _cookie(welcome)
    assert _ask(PAGE | cookie, path="/assets/wells").body == "Dagster"
    assert _ask(JSON | cookie, method="POST", path="/graphql").body == "Dagster"
    assert _ask(OWN | ORIGIN | cookie, path="/graphql", kind="websocket").status == 101
    # The guard stands in front all the same.
    evil = {"origin": "https://evil.example"}
    assert _ask(JSON | cookie | evil, method="POST", path="/graphql").status == 403
    assert _ask(OWN | cookie, path="/graphql", query="query=mutation{x}").status == 403


def test_the_cookie_is_kept_from_scripts_and_from_other_sites_and_does_not_hold_the_token() -> None:
    (cookie,) = http.cookies.SimpleCookie(_signed_in().headers["set-cookie"]).values()
    assert cookie.key == "cpjump_3000"
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "strict", "/")
    assert cookie["secure"] == ""
    assert TOKEN not in cookie.value


def test_through_a_proxy_with_tls_the_cookie_keeps_to_tls() -> None:
    app = guard(dagster, port=PORT, ui_url="https://cpjump.example.org", token=TOKEN)
    headers = {**FORM, "host": "cpjump.example.org", "origin": "https://cpjump.example.org"}
    body = urlencode({"token": TOKEN}).encode()
    welcome = ask(app, headers, method="POST", path="/sign-in", body=body)
    assert "Secure" in welcome.headers["set-cookie"]


def test_a_link_with_the_token_signs_in_and_loses_it() -> None:
    welcome = _ask(PAGE, path="/assets/wells", query=f"token={quote(TOKEN)}&view=checks")
    assert (welcome.status, welcome.headers["location"]) == (303, "/assets/wells?view=checks")
    assert _ask(PAGE | _cookie(welcome)).body == "Dagster"
    assert _ask(PAGE, query="token=another+token+of+some+length").headers["location"].startswith("/sign-in?")


def test_a_program_shows_the_token_with_every_request() -> None:
    assert _ask({**OWN, "authorization": f"Bearer {TOKEN}"}).body == "Dagster"
    assert _ask({**OWN, "authorization": "Bearer "}).status == 401
    assert _ask({**OWN, "authorization": f"Basic {TOKEN}"}).status == 401


@pytest.mark.parametrize("given", ["", "guess", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "ä" * 20, "x" * 10_000])
def test_what_is_not_the_token_is_refused_on_the_page(given: str) -> None:
    answer = _signed_in(given)
    assert answer.status == 403
    assert "This is not the token" in answer.body
    assert "set-cookie" not in answer.headers
    assert given == "" or given not in answer.body


@pytest.mark.parametrize(
    "origin", [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
def test_no_page_elsewhere_can_sign_a_browser_in(origin: dict[str, str]) -> None:
    body = urlencode({"token": TOKEN}).encode()
    answer = _ask(FORM | origin, method="POST", path="/sign-in", body=body)
    assert answer.status == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:x",
        "/\t/evil",
        "/ok\r\nx: y",
        "/sign-in",
        "",
    ],
)
def test_the_sign_in_leads_nowhere_else(wanted: str) -> None:
    assert _signed_in(next=wanted).headers["location"] == "/"
    assert 'name="next" value="/"' in _ask(PAGE, path="/sign-in", query=urlencode({"next": wanted})).body
    led = _ask(PAGE, path=wanted or "/", query=f"token={quote(TOKEN)}").headers["location"]
    assert re.match(r"/(?![/\\])", led) or led == f"/{quote(wanted)}"


def test_a_wanted_address_cannot_write_into_the_page() -> None:
    hostile = '/"><script>alert(1)</script>'
    assert "<script" not in _ask(PAGE, path="/sign-in", query=urlencode({"next": hostile})).body
    elsewhere = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert "<script" not in _ask(PAGE | elsewhere, path=hostile, query='"><script>').body


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_elsewhere_is_followed_once_more_by_a_page_of_ours(site: str) -> None:
    linked = {"sec-fetch-site": site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    answer = _ask(PAGE | linked, path="/runs/1", query="a=b")
    assert answer.status == 200
    assert '<meta http-equiv="refresh" content="0;url=/runs/1?a=b">' in answer.body
    assert "Dagster" not in answer.body


def test_a_session_ends_with_its_time_with_the_token_and_at_another_port() -> None:
    now = [1_800_000_000.0]
    app = SignIn(dagster, token=TOKEN, origins=own_origins(PORT), cookie="cpjump_3000", clock=lambda: now[0])
    cookie = _cookie(ask(app, FORM, method="POST", path="/sign-in", body=urlencode({"token": TOKEN}).encode()))
    now[0] += 6 * DAY
    assert ask(app, PAGE | cookie).body == "Dagster"
    now[0] += 2 * DAY
    assert ask(app, PAGE | cookie).status == 303

    cookie = _cookie(_signed_in())
    assert _ask(PAGE | cookie, token="another token of some length").status == 303
    elsewhere = {**PAGE, "host": "127.0.0.1:3001", "cookie": cookie["cookie"].replace("cpjump_3000", "cpjump_3001")}
    assert _ask(elsewhere, port=3001).status == 303


@pytest.mark.parametrize("session", ["", ".", "9999999999.", f"9999999999.{'0' * 64}", "9" * 5000, "²", "x.y", "-1.0"])
def test_an_invented_session_is_none(session: str) -> None:
    assert _ask({**OWN, "cookie": f"cpjump_3000={session}"}).status == 401


def test_a_session_cannot_be_made_longer() -> None:
    name, _, session = _cookie(_signed_in())["cookie"].partition("=")
    ends, _, signature = session.partition(".")
    assert _ask({**OWN, "cookie": f"{name}={ends}.{signature}"}).status == 200
    assert _ask({**OWN, "cookie": f"{name}={int(ends) + 1}.{signature}"}).status == 401

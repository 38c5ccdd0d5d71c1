"""The guard in front of the web UI: the UI's own requests pass, what another page could send does not."""

from typing import Any

import pytest

from cpjump_assets.science.errors import SettingsError
from cpjump_assets.web import guard
from cpjump_assets_tests.web.asgi import JSON, ORIGIN, OWN, PORT, ask, dagster

FORM = {**OWN, "content-type": "application/x-www-form-urlencoded"}
EVIL = {"origin": "https://evil.example"}
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
MUTATION = "query=mutation{x}"


def _status(headers: dict[str, str], *, ui_url: str = "http://127.0.0.1:3000", **request: Any) -> int:
    return ask(guard(dagster, port=PORT, ui_url=ui_url), headers, **request).status


def test_no_answer_may_be_framed_or_embedded() -> None:
    assert ask(guard(dagster, port=PORT), OWN).headers == {
        "a": "b",
        "x-frame-options": "DENY",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }


def test_pages_and_their_own_queries_pass() -> None:
    assert _status(OWN) == 200
    assert _status({"host": "localhost:3000"}, path="/assets/wells") == 200
    assert _status({**OWN, "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, path="/main.js") == 200
    assert _status(OWN | LINK, path="/runs") == 200
    assert _status(JSON, method="POST", path="/graphql", query="op=RunsQuery") == 200
    assert _status({**JSON, "sec-fetch-site": "same-origin"}, method="POST", path="/graphql") == 200
    assert _status(OWN | ORIGIN, path="/graphql", kind="websocket") == 101


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({"headers": {"host": "evil.example"}}, id="a name rebound to this machine"),
        pytest.param({"headers": {"host": "127.0.0.1:3001"}}, id="another port"),
        pytest.param({"headers": {}}, id="no host"),
        pytest.param({"headers": OWN, "path": "/graphql", "query": MUTATION}, id="a mutation by GET"),
        pytest.param({"headers": OWN | LINK, "path": "/graphql", "query": MUTATION}, id="a link to a mutation"),
        pytest.param({"headers": OWN, "path": "/graphql", "method": "HEAD", "query": MUTATION}, id="by HEAD"),
        pytest.param({"headers": OWN | LINK, "path": "/graphql\n", "query": MUTATION}, id="a line end, as %0A"),
        pytest.param({"headers": OWN | EVIL, "path": "/graphql"}, id="a foreign origin"),
        pytest.param({"headers": OWN | {"origin": "null"}}, id="a page without an origin"),
        pytest.param({"headers": OWN | {"origin": "http://localhost:3000"}}, id="the same page by another name"),
        pytest.param({"headers": OWN | {"origin": "https://127.0.0.1:3000"}}, id="another scheme"),
        pytest.param({"headers": OWN | LINK | {"sec-fetch-dest": "iframe"}}, id="a frame elsewhere"),
        pytest.param({"headers": OWN | LINK | {"sec-fetch-mode": "no-cors"}}, id="a picture or script elsewhere"),
        pytest.param({"headers": OWN | LINK, "method": "POST"}, id="a form elsewhere"),
        pytest.param(
            {"headers": OWN | {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"}}, id="a page of another port"
        ),
        pytest.param(
            {"headers": FORM, "method": "POST", "path": "/graphql", "query": MUTATION},
            id="a form with the query in the address",
        ),
        pytest.param(
            {"headers": JSON, "method": "POST", "path": "/graphql", "query": f"op=x&{MUTATION}"},
            id="JSON with a query in the address",
        ),
        pytest.param({"headers": FORM, "method": "POST", "path": "/graphql"}, id="a form"),
        pytest.param({"headers": JSON | EVIL, "method": "POST", "path": "/graphql"}, id="JSON from elsewhere"),
        pytest.param(
            {"headers": JSON, "method": "OPTIONS", "path": "/graphql"}, id="the question whether JSON may come"
        ),
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
    assert _status(**request_) == 403


@pytest.mark.parametrize(
    ("ui_url", "host", "origin"),
    [
        ("https://cpjump.example.org", "cpjump.example.org", "https://cpjump.example.org"),
        ("https://cpjump.example.org:443", "cpjump.example.org:443", "https://cpjump.example.org"),
        ("https://CPJUMP.example.org", "cpjump.Example.org", "https://cpjump.example.org"),
        ("https://cpjump.example.org:8443", "cpjump.example.org:8443", "https://cpjump.example.org:8443"),
        ("http://localhost:8080", "localhost:8080", "http://localhost:8080"),
        ("https://[2001:db8::1]", "[2001:db8::1]", "https://[2001:db8::1]"),
    ],
)
def test_the_address_of_a_proxy_is_ours_and_its_pages_too(ui_url: str, host: str, origin: str) -> None:
    headers = {"host": host, "origin": origin}
    json = {**headers, "content-type": "application/json"}
    assert _status(headers, ui_url=ui_url) == 200
    assert _status(json, ui_url=ui_url, method="POST", path="/graphql") == 200
    assert _status(headers, ui_url=ui_url, path="/graphql", kind="websocket") == 101
    assert _status(JSON, ui_url=ui_url, method="POST", path="/graphql") == 200
    assert _status(headers) == 403
    # A page that the proxy serves in the clear, or another program of this machine, is not ours.
    assert _status({**headers, "origin": origin.replace("s:", ":") + "0"}, ui_url=ui_url) == 403
    assert _status({**json, **ORIGIN}, ui_url=ui_url, method="POST", path="/graphql") == 403


def test_the_default_address_in_alerts_does_not_open_another_port() -> None:
    elsewhere = guard(dagster, port=3001)
    assert ask(elsewhere, {"host": "127.0.0.1:3001"}).status == 200
    assert ask(elsewhere, OWN).status == 403
    assert ask(elsewhere, {"host": "127.0.0.1:3001", **ORIGIN}, path="/graphql", kind="websocket").status == 403


def test_an_address_with_a_path_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"CPJUMP_UI_URL must have no path.*'https://lab.example/cpjump'"):
        guard(dagster, port=PORT, ui_url="https://lab.example/cpjump")

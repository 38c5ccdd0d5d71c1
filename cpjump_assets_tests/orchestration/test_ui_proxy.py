"""The web UI for other machines: behind nginx with TLS and a password, asking for a token, read-only."""

import base64
import http.client
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page

from cpjump_assets_tests.orchestration.browser import (
    EVIL,
    PROXY,
    VIEWPORT,
    needs_chromium,
    quiet_page,
    running_browser,
)
from cpjump_assets_tests.orchestration.cross_site import attack, evil_site
from cpjump_assets_tests.orchestration.graphql import graphql, planted_limits
from cpjump_assets_tests.orchestration.lab import Lab, copy_of
from cpjump_assets_tests.orchestration.proxy import PASSWORD, USER, needs_nginx, running_nginx
from cpjump_assets_tests.processes import free_port, running_ui, wait_until

pytestmark = [needs_chromium, needs_nginx]
Keep = Callable[[Page, str], None]
TOKEN = "the token of the test"
MUTATION = 'mutation{setConcurrencyLimit(concurrencyKey:"planted",limit:1)}'


@dataclass(frozen=True)
class Served:
    """A read-only web UI: where it is on this machine, and where others reach it."""

    lab: Lab
    local: str
    port: int

    @property
    def public(self) -> str:
        return f"https://{PROXY}:{self.port}"


@pytest.fixture(scope="module")
def served(refreshed_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Give a web UI behind nginx."""
    folder = tmp_path_factory.mktemp("proxy")
    port = free_port()
    with copy_of(refreshed_lab, folder / "lab") as lab:
        settings = replace(lab.settings, ui_url=f"https://{PROXY}:{port}", ui_token=TOKEN)
        with (
            running_ui(settings, "--read-only") as local,
            running_nginx(folder / "nginx", port=port, ui_port=urlsplit(local).port or 0),
        ):
            yield Served(lab, local, port)


@pytest.fixture(scope="module")
def context(served: Served) -> Iterator[BrowserContext]:
    """Give the browser of a user who knows the password."""
    with running_browser() as browser:
        yield browser.new_context(
            viewport=VIEWPORT,
            ignore_https_errors=True,
            http_credentials={"username": USER, "password": PASSWORD},
        )


def _ask_nginx(served: Served, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, str]:
    """Send a request to nginx, past the browser; give status and body of the answer."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    usual = {"host": f"{PROXY}:{served.port}", "authorization": f"Basic {basic}"}
    connection = http.client.HTTPSConnection(PROXY, served.port)
    # The name is known to the browser alone.
    connection.sock = trusting.wrap_socket(socket.create_connection(("127.0.0.1", served.port)), server_hostname=PROXY)
    with closing(connection):
        connection.request(method, path, headers=usual | {name.replace("_", "-"): to for name, to in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        pytest.param(401, {"authorization": ""}, id="no password"),
        pytest.param(401, {"authorization": "Basic YW5uYTpwYXNz"}, id="another password"),
        pytest.param(421, {"host": "evil.example"}, id="another host"),
        pytest.param(403, {"origin": "https://evil.example"}, id="a foreign origin"),
        pytest.param(403, {"path": "/graphql?query=mutation{x}"}, id="GraphQL by GET"),
        pytest.param(403, {"path": "/graphql%0A?query=mutation{x}"}, id="the same with a line end"),
        pytest.param(403, {"path": "/graphql?query=mutation{x}", "method": "POST"}, id="a form"),
        pytest.param(403, {"path": "/graphql", "method": "POST", "content_type": "text/plain"}, id="text"),
        pytest.param(
            403,
            {"path": "/graphql?op=x&query=mutation{x}", "method": "POST", "content_type": "application/json"},
            id="JSON with a query in the address",
        ),
        pytest.param(
            403,
            {"path": "/report_asset_check/wells", "method": "POST", "content_type": "application/json"},
            id="a report",
        ),
        pytest.param(
            403, {"path": "/graphql", "upgrade": "websocket", "connection": "upgrade"}, id="no page's websocket"
        ),
        pytest.param(
            403,
            {
                "path": "/graphql",
                "upgrade": "websocket",
                "connection": "upgrade",
                "origin": "https://evil.example",
            },
            id="a foreign websocket",
        ),
    ],
)
def test_nginx_refuses_by_itself(served: Served, status: int, request_: dict[str, str]) -> None:
    answered, body = _ask_nginx(served, **request_)
    assert answered == status
    assert "nginx" in body


def test_nginx_lets_the_requests_of_the_ui_through(served: Served) -> None:
    json = {"content_type": "application/json; charset=utf-8", "origin": served.public}
    assert _ask_nginx(served, "/graphql?op=RunsQuery", "POST", **json) == (401, "sign in at /sign-in\n")
    assert _ask_nginx(served, "/assets/wells") == (401, "sign in at /sign-in\n")
    assert _ask_nginx(served, "/sign-in")[0] == 200


def test_a_user_signs_in_and_works_with_the_ui(served: Served, context: BrowserContext, screenshot: Keep) -> None:
    with quiet_page(context, expected=r"status of 403 .*/sign-in\)") as page:
        frames: list[str | bytes] = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(frame)))
        page.goto(f"{served.public}/asset-groups", wait_until="domcontentloaded")
        page.get_by_label("Token").fill("not the token of the test")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("This is not the token").wait_for()
        screenshot(page, "ui_sign_in")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("benchmark", exact=True).locator("visible=true").nth(1).wait_for()
        assert page.url == f"{served.public}/asset-groups"

        with served.lab.instance() as instance:
            run = instance.get_runs(limit=1)[0].run_id
        page.goto(f"{served.public}/runs/{run}", wait_until="domcontentloaded")
        page.get_by_text("RUN_SUCCESS").first.wait_for()
        assert any("pipelineRunLogs" in str(frame) for frame in frames)

    (cookie,) = context.cookies(served.public)
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")


def test_a_link_in_a_mail_leads_to_its_page(served: Served, context: BrowserContext) -> None:
    with evil_site() as site, quiet_page(context) as page:
        site.target = f"{served.public}/assets/split_manifest?view=checks"
        page.goto(f"http://{EVIL}:{site.port}/link")
        page.get_by_text("a link").click()
        page.get_by_text(re.compile(r"Checks \(\d+\)")).wait_for()
        assert page.url == site.target


def test_nothing_can_be_changed_but_everything_seen(served: Served, context: BrowserContext, screenshot: Keep) -> None:
    with quiet_page(context, expected="status of 400") as page:
        page.goto(f"{served.public}/assets/split_manifest", wait_until="domcontentloaded")
        button = page.get_by_role("button", name="Materialize").first
        page.get_by_text("Metadata_broad_sample", exact=True).first.wait_for()
        assert button.is_disabled()
        screenshot(page, "ui_read_only")
        sent = page.evaluate(
            """query => fetch("/graphql", {method: "POST", body: JSON.stringify({query}),
                 headers: {"Content-Type": "application/json"}}).then(answer => answer.text())""",
            MUTATION,
        )
        assert "read-only" in sent
    assert planted_limits(served.local, token=TOKEN) == set()


def test_no_attempt_of_another_site_changes_anything(served: Served, context: BrowserContext) -> None:
    page = context.new_page()
    with evil_site() as site:
        seen, statuses = attack(page, site, EVIL, served.public)
    page.close()
    assert seen == {"json": "refused", "socket": "refused"}
    assert set(statuses) == {403}
    assert planted_limits(served.local, token=TOKEN) == set()


def test_the_token_is_asked_for_on_the_machine_itself_and_programs_show_it(served: Served) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{served.local}/server_info", timeout=30)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        graphql(served.local, "{ version }", token="another token than that of the test")
    assert graphql(served.local, "{ version }", token=TOKEN)["version"]


def test_the_daemon_works_although_the_ui_is_read_only(served: Served) -> None:
    def works() -> bool:
        query = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"
        statuses = graphql(served.local, query, token=TOKEN)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return all(status["healthy"] for status in statuses if status["required"])

    wait_until(works, "all daemons are healthy")

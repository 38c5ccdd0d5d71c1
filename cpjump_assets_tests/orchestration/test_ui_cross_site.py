"""A page of another site, in a real browser that also has the web UI open, can neither change nor watch anything."""

from collections.abc import Iterator
from threading import Thread

import dagster as dg
import pytest
import uvicorn
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster_webserver.webserver import DagsterWebserver
from playwright.sync_api import BrowserContext

from cpjump_assets_tests.orchestration.browser import EVIL, needs_chromium, quiet_page, running_browser
from cpjump_assets_tests.orchestration.cross_site import ATTEMPTS, EvilSite, attack, evil_site
from cpjump_assets_tests.orchestration.graphql import planted_limits
from cpjump_assets_tests.processes import free_port, wait_until

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def context(ui_address: str) -> Iterator[BrowserContext]:
    """Give the browser of a user; it starts last, as a run of Dagster minds its event loop."""
    with running_browser() as browser:
        yield browser.new_context()


@pytest.fixture(scope="module")
def site() -> Iterator[EvilSite]:
    """Give the other site."""
    with evil_site() as site:
        yield site


# Another site; and another program of this machine, which browsers take for the same site.
@pytest.fixture(params=[EVIL, "127.0.0.1"])
def host(request: pytest.FixtureRequest) -> str:
    return request.param


def test_without_a_guard_every_attempt_arrives(context: BrowserContext, site: EvilSite, host: str) -> None:
    with evil_site() as unguarded:
        page = context.new_page()
        attack(page, site, host, f"http://127.0.0.1:{unguarded.port}")
        page.close()
    assert unguarded.reached == {*ATTEMPTS, "socket"}


@pytest.fixture
def unguarded_dagster() -> Iterator[str]:
    """Give the address of Dagster's own web server, without a guard."""
    with dg.instance_for_test() as instance, WorkspaceProcessContext(instance, None) as workspace:
        app = DagsterWebserver(workspace).create_asgi_app()
        server = uvicorn.Server(
            uvicorn.Config(app, port=free_port(), log_level="error", timeout_graceful_shutdown=1),
        )
        thread = Thread(target=server.run)
        thread.start()
        try:
            wait_until(lambda: server.started, "Dagster's web server starts", every=0.05)
            yield f"http://127.0.0.1:{server.config.port}"
        finally:
            server.should_exit = True
            thread.join()


def test_dagster_alone_gives_in(context: BrowserContext, site: EvilSite, host: str, unguarded_dagster: str) -> None:
    page = context.new_page()
    attack(page, site, host, unguarded_dagster)
    page.close()
    # All that put the query into the address, but for pages: those are shown Dagster's own page for typing queries.
    in_address = {"img", "script", "stylesheet", "get", "post_address", "beacon", "form_post"}
    assert planted_limits(unguarded_dagster) == in_address


def test_no_attempt_changes_anything(context: BrowserContext, site: EvilSite, host: str, ui_address: str) -> None:
    before = planted_limits(ui_address)
    page = context.new_page()
    seen, statuses = attack(page, site, host, ui_address)
    page.close()
    assert seen == {"json": "refused", "socket": "refused"}
    assert set(statuses) == {403}
    assert len(statuses) >= len(ATTEMPTS)
    assert planted_limits(ui_address) == before


def test_a_link_to_a_mutation_is_refused_and_one_to_a_page_is_followed(
    context: BrowserContext, site: EvilSite, host: str, ui_address: str
) -> None:
    page = context.new_page()
    for wanted, status in (
        ("/graphql?query=mutation{setConcurrencyLimit(concurrencyKey:%22link%22,limit:1)}", 403),
        ("/runs", 200),
    ):
        site.target = ui_address + wanted
        page.goto(f"http://{host}:{site.port}/link")
        with page.expect_navigation(wait_until="commit") as followed:
            page.get_by_text("a link").click()
        assert followed.value.status == status
    page.close()
    assert "link" not in planted_limits(ui_address)


def test_a_name_that_is_rebound_to_this_machine_is_refused(context: BrowserContext, ui_address: str) -> None:
    page = context.new_page()
    port = ui_address.rpartition(":")[2]
    assert page.goto(f"http://{EVIL}:{port}/").status == 403
    page.close()


def test_the_pages_of_the_ui_may_do_what_others_may_not(context: BrowserContext, ui_address: str) -> None:
    with quiet_page(context) as page:
        page.goto(f"{ui_address}/runs", wait_until="domcontentloaded")
        sent = page.evaluate(
            """async () => {
                const query = 'mutation{setConcurrencyLimit(concurrencyKey:"own",limit:1)}';
                const answer = await fetch("/graphql?op=Own", {method: "POST", body: JSON.stringify({query}),
                                                               headers: {"Content-Type": "application/json"}});
                const socket = new WebSocket(location.origin.replace("http", "ws") + "/graphql", "graphql-ws");
                await new Promise((open, failed) => Object.assign(socket, {onopen: open, onerror: failed}));
                return answer.status;
            }"""
        )
    assert sent == 200
    assert "own" in planted_limits(ui_address)

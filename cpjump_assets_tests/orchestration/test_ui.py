"""The web UI in a real browser: lineage, checks and figures are there to look at, behind the guard."""

import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import ConsoleMessage, Page, sync_playwright

from cpjump_assets_tests.orchestration.lab import Lab, copy_of
from cpjump_assets_tests.processes import running_ui

CHROMIUM = shutil.which("chromium")
_QUIET_CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
_START_SECONDS = 120
_PAGE_MILLISECONDS = 60_000

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def address(refreshed_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a running ``cpjump ui`` that shows a copy of the lab."""
    with copy_of(refreshed_lab, tmp_path_factory.mktemp("ui") / "lab") as lab, running_ui(lab.settings) as address:
        yield address


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Page]:
    """Give a browser page; an error on its console fails the module."""
    errors: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(message.text)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_QUIET_CHROMIUM)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(_PAGE_MILLISECONDS)
        page.on("console", listen)
        yield page
        browser.close()
    assert errors == []


def test_the_asset_graph_shows_all_groups(page: Page, address: str) -> None:
    page.goto(f"{address}/asset-groups", wait_until="domcontentloaded")
    for group in ("sources", "metadata", "profiles", "splits", "benchmark"):
        page.get_by_text(group, exact=True).first.wait_for()
        assert page.get_by_text(group, exact=True).first.is_visible()


def test_a_split_manifest_is_shown_with_its_checks(page: Page, address: str) -> None:
    page.goto(f"{address}/assets/split_manifest?view=checks", wait_until="domcontentloaded")
    page.get_by_text(re.compile(r"Checks \(\d+\)")).wait_for()
    page.get_by_text("promise_target", exact=True).first.click()
    about = page.get_by_text("This is a blocking asset check")
    about.wait_for()
    assert about.is_visible()


def test_the_figure_of_the_scores_is_drawn(page: Page, address: str) -> None:
    page.goto(f"{address}/assets/overall_scores?view=overview", wait_until="domcontentloaded")
    page.get_by_text("[Show Markdown]").last.click()
    figure = page.locator("img[alt='fraction retrieved of each condition']")
    figure.wait_for()
    assert figure.evaluate("image => image.naturalWidth") > 200


def test_the_figures_of_the_papers_are_shown_together(page: Page, address: str) -> None:
    page.goto(f"{address}/assets/benchmark_figures?view=overview", wait_until="domcontentloaded")
    row = page.locator("tr", has_text="figures").filter(has=page.get_by_text("[Show Markdown]"))
    row.last.get_by_text("[Show Markdown]").click()
    for name in ("figure_4a", "figure_5b", "percent_matching"):
        figure = page.locator(f"img[alt^='{name}: ']")
        figure.wait_for()
        assert figure.evaluate("image => image.naturalWidth") > 200


_LAUNCH = """
mutation Launch($job: String!) {
  launchRun(executionParams: {selector: {
    repositoryLocationName: "cpjump_assets.definitions", repositoryName: "__repository__", jobName: $job
  }, runConfigData: {}}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
_STATUS = "query Status($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


def _graphql(address: str, query: str, **variables: str) -> dict:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["data"]


def test_a_run_that_the_ui_launches_passes_the_queue_and_succeeds(address: str) -> None:
    launched = _graphql(address, _LAUNCH, job="comparison")["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    deadline = time.monotonic() + _START_SECONDS
    status = "QUEUED"
    while status not in ("SUCCESS", "FAILURE", "CANCELED") and time.monotonic() < deadline:
        time.sleep(1)
        status = _graphql(address, _STATUS, id=launched["run"]["runId"])["runOrError"]["status"]
    assert status == "SUCCESS"


def test_a_mutation_from_elsewhere_is_refused(address: str) -> None:
    mutation = "query=mutation%7BsetConcurrencyLimit(concurrencyKey:%22x%22,limit:1)%7D"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{address}/graphql?{mutation}", timeout=10)

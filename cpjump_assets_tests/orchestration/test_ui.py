"""The web UI in a real browser: lineage, checks and figures are there to see, and a strategy is made by clicking."""

import re
from collections.abc import Callable, Iterator

import dagster as dg
import pytest
from playwright.sync_api import Page

from cpjump_assets.build import build_defs
from cpjump_assets.science.strategies import GENE_COMPOUND, REPRESENTATION
from cpjump_assets_tests.orchestration.browser import VIEWPORT, needs_chromium, quiet_page, running_browser
from cpjump_assets_tests.orchestration.graphql import graphql
from cpjump_assets_tests.orchestration.lab import Lab
from cpjump_assets_tests.processes import wait_until

pytestmark = needs_chromium
Keep = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def page(ui_address: str) -> Iterator[Page]:
    """Give a browser page, once the server runs; an error on its console fails the module."""
    with running_browser() as browser, quiet_page(browser.new_context(viewport=VIEWPORT)) as page:
        yield page


def _open(page: Page, address: str) -> None:
    page.goto(address, wait_until="domcontentloaded")


def test_the_asset_graph_shows_all_groups(page: Page, ui_address: str, watched_lab: Lab, screenshot: Keep) -> None:
    assets = build_defs(watched_lab.settings).resolve_all_asset_specs()
    groups = {spec.group_name for spec in assets}
    assert {"sources", "metadata", "splits", "profiles", "images", "benchmark"} <= groups
    _open(page, f"{ui_address}/asset-groups")
    for group in groups:
        # Once in the list at the side, and once as a box of the graph.
        shown = page.get_by_text(group, exact=True).locator("visible=true")
        shown.nth(1).wait_for()
    screenshot(page, "ui_groups")


def test_the_failed_check_of_a_leak_is_red_and_names_its_wells(page: Page, ui_address: str, screenshot: Keep) -> None:
    _open(page, f"{ui_address}/assets/split_manifest?view=checks&checkDetail=promise_broad_sample_in_slice")
    page.get_by_text("This is a blocking asset check").wait_for()
    verdict = page.get_by_text("Failed", exact=True).locator("visible=true").last
    red, green, _ = (int(part) for part in re.findall(r"\d+", verdict.evaluate("e => getComputedStyle(e).color"))[:3])
    assert red > 2 * green
    page.get_by_text(REPRESENTATION, exact=True).first.wait_for()
    page.get_by_text("promise_broad_sample_in_slice", exact=True).first.scroll_into_view_if_needed()
    screenshot(page, "ui_leak")
    page.locator("tr", has_text="wells").get_by_text("[Show Markdown]").click()
    table = page.get_by_role("dialog")
    table.locator("tbody tr").first.wait_for()
    rows = table.locator("tbody tr").all_inner_texts()
    subsets = {row.split()[2] for row in rows}
    assert all(re.match(r"BR00\d{6}\s+[A-P]\d\d\s+(train|validate|test)\s+BRD-", row) for row in rows), rows
    assert len(rows) >= 2
    assert len(subsets) >= 2
    screenshot(page, "ui_leaking_wells")
    page.keyboard.press("Escape")


def test_the_figure_of_the_scores_is_drawn(page: Page, ui_address: str, screenshot: Keep) -> None:
    _open(page, f"{ui_address}/assets/overall_scores?view=overview")
    page.get_by_text("[Show Markdown]").last.click()
    figure = page.locator("img[alt='fraction retrieved of each condition']")
    figure.wait_for()
    assert figure.evaluate("image => image.decode().then(() => image.naturalWidth)") > 200
    screenshot(page, "ui_scores")


def test_the_figures_of_the_papers_are_shown_together(page: Page, ui_address: str) -> None:
    _open(page, f"{ui_address}/assets/benchmark_figures?view=overview")
    row = page.locator("tr", has_text="figures").filter(has=page.get_by_text("[Show Markdown]"))
    row.last.get_by_text("[Show Markdown]").click()
    for name in ("figure_4a", "figure_5b", "percent_matching"):
        figure = page.locator(f"img[alt^='{name}: ']")
        figure.wait_for()
        assert figure.evaluate("image => image.decode().then(() => image.naturalWidth)") > 200


def test_a_strategy_is_made_by_clicking(page: Page, ui_address: str, watched_lab: Lab, screenshot: Keep) -> None:
    frames: list[str | bytes] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(frame)))
    before = set(_runs(watched_lab))
    _open(page, f"{ui_address}/assets/split_manifest")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_text("Select a partition or create one").click()
    page.get_by_text(GENE_COMPOUND, exact=True).locator("visible=true").first.click()
    page.keyboard.press("Escape")
    screenshot(page, "ui_materialize")
    page.get_by_role("button", name="Launch 1 run").click()

    wait_until(lambda: len(_runs(watched_lab)) > len(before), "the click has launched a run")
    (launched,) = set(_runs(watched_lab)) - before
    _open(page, f"{ui_address}/runs/{launched}")
    page.get_by_text("RUN_SUCCESS").or_(page.get_by_text("RUN_FAILURE")).first.wait_for()
    screenshot(page, "ui_run")
    assert _runs(watched_lab)[launched] is dg.DagsterRunStatus.SUCCESS
    with watched_lab.instance() as instance:
        made = instance.fetch_materializations(dg.AssetKey("split_manifest"), limit=1).records[0]
    assert (made.run_id, made.partition_key) == (launched, GENE_COMPOUND)
    # The page was told by the websocket.
    assert any("pipelineRunLogs" in str(frame) and "ASSET_MATERIALIZATION" in str(frame) for frame in frames)


def _runs(lab: Lab) -> dict[str, dg.DagsterRunStatus]:
    with lab.instance() as instance:
        return {run.run_id: run.status for run in instance.get_runs()}


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


def test_a_run_that_a_program_launches_passes_the_queue_and_succeeds(ui_address: str) -> None:
    launched = graphql(ui_address, _LAUNCH, job="comparison")["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched

    def status() -> str:
        return graphql(ui_address, _STATUS, id=launched["run"]["runId"])["runOrError"]["status"]

    wait_until(lambda: status() in ("SUCCESS", "FAILURE", "CANCELED"), "the run ends")
    assert status() == "SUCCESS"

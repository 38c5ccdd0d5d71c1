"""A real browser to look at the web UI with."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
EVIL = "evil.example"
"""A host that the browser finds on this machine, but takes for another site."""
PROXY = "cpjump.example.org"
PAGE_MILLISECONDS = 90_000
VIEWPORT = {"width": 1600, "height": 1000}
_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    f"--host-resolver-rules=MAP {EVIL} 127.0.0.1, MAP {PROXY} 127.0.0.1",
]


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Run Chromium.

    While it runs, the thread has a running event loop: keep it within a module.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_QUIET)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def quiet_page(context: BrowserContext, *, expected: str = "$^") -> Iterator[Page]:
    """Give a page; an error on its console that is not expected, or an exception of its scripts, fails the test."""
    errors: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        said = f"{message.text} ({message.location.get('url')})"
        if message.type == "error" and not re.search(expected, said):
            errors.append(said)

    context.set_default_timeout(PAGE_MILLISECONDS)
    page = context.new_page()
    page.on("console", listen)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert not errors, errors

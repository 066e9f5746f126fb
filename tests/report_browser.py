"""A report's page, opened in a real headless browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from r1.report import build_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

_PLACES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _PLACES)), None)
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium found (install it, or give its path as CHROMIUM)"
)


class Opened(NamedTuple):
    page: playwright.Page
    folder: Path
    complaints: list[str]  # console errors and uncaught exceptions
    requests: list[str]  # every address asked for


@contextmanager
def run_browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


def open_page(browser: playwright.Browser, folder: Path) -> Opened:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(20_000)
    opened = Opened(page, folder, [], [])
    page.on(
        "console", lambda m: m.type in ("error", "warning") and opened.complaints.append(m.text)
    )
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    page.on("request", lambda request: opened.requests.append(request.url))
    page.goto(build_report(folder).as_uri())
    page.wait_for_selector("body[data-ready]")
    return opened


def found(page: playwright.Page) -> int:
    return int(page.inner_text("#count").split()[0].replace(",", ""))

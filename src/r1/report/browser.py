"""The browser of completions that a page holds: its words and filters; completion.js fills it."""

from __future__ import annotations

from html import escape
from string import Template
from typing import NamedTuple

from r1.report.assets import asset


class Browser(NamedTuple):
    """What a page calls its completions, in plain text.

    listed: what the rows of the list are. searched: what the search goes through.
    without_script: said where there is no JavaScript. filters: labels, by the name in
    `filter-NAME` that the page's script fills.
    """

    title: str
    listed: str
    searched: str
    note: str
    without_script: str
    filters: dict[str, str]
    empty: bool = False


def browser_html(browser: Browser) -> str:
    """Return the section as HTML; hidden where there is nothing to read."""
    words = {
        name: escape(getattr(browser, name))
        for name in ("title", "listed", "searched", "note", "without_script")
    }
    filters = (
        f'<label>{escape(label)} <select id="filter-{name}"></select></label>'
        for name, label in browser.filters.items()
    )
    return Template(asset("browser.html")).substitute(
        words,
        filters="\n    ".join(filters),
        nothing_to_read=" hidden" if browser.empty else "",
    )

"""The pages for people: links lead somewhere, and the examples work as they stand."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from r1.config import validate
from r1.r1_zero.settings import R1ZeroRecipe

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "docs"))  # site_hooks
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
REGISTERED = {
    "short": "from r1.rewards.names import reward_names as names",
    "parity": "from r1.rewards.registry import verifier_names as names",
    "centred": "from r1.algorithms.registry import algorithms as names",
    "longest_rows": "from r1.stages.registry import kinds as names",
}


def heading_ids(page: Path) -> set[str]:
    """The anchors that a forge makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not anchor or anchor in heading_ids(file), target


def test_the_examples_of_contributing_register_themselves() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(examples) == len(REGISTERED)
    lines = [f"exec({example!r}, {{'__name__': 'example'}})" for example in examples]
    for name, import_names in REGISTERED.items():
        lines += [import_names, f"assert {name!r} in names(), {name!r}"]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_help_lists_every_target_that_is_for_users() -> None:
    command = ["make", "--no-print-directory", "help"]  # told by a make that runs the tests
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    listed = {line.split()[0] for line in done.stdout.splitlines()}
    [phony] = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert listed == set(phony.split())
    assert set(re.findall(r"\bmake ([a-z0-9-]+)", (ROOT / "README.md").read_text())) <= listed


def test_the_recipe_of_the_readme_is_valid() -> None:
    [recipe] = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    validate(tomllib.loads(recipe), R1ZeroRecipe, "README.md")


def nav_pages(nav: object) -> list[str]:
    """The pages of the site's navigation."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in nav_pages(part)]


def site_settings() -> dict:
    yaml = pytest.importorskip("yaml")
    text = re.sub(r"!!python/\S+ \{.*\}", "null", (ROOT / "mkdocs.yml").read_text())
    return yaml.safe_load(text)


def test_the_site_has_every_page_once_and_no_other() -> None:
    from site_hooks import ROOT_PAGES

    pages = nav_pages(site_settings()["nav"])
    there = [page.name for page in PAGES if page.parent.name == "docs"]
    assert sorted(pages) == sorted([*there, *ROOT_PAGES])


def test_the_site_asks_nobody_else_for_anything() -> None:
    settings = site_settings()
    assert settings["theme"]["font"] is False
    assert settings["plugins"] == ["search"]  # "offline" loads a script from a CDN
    assert "extra_css" not in settings
    assert "extra_javascript" not in settings


def test_links_that_leave_the_site_become_paths() -> None:
    from site_hooks import site_links

    page = "[a](../CONTRIBUTING.md#style) [b](../src/r1/loop.py) [c](data.md#x) [d](https://e.org)"
    shown = "[a](contributing.md#style) b (`src/r1/loop.py`) [c](data.md#x) [d](https://e.org)"
    assert site_links(page, ROOT / "docs") == shown
    assert site_links("[a](docs/data.md)", ROOT) == "[a](data.md)"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_the_site_lead_somewhere(page: Path) -> None:
    """As mkdocs has them, so that its strict build does not fail on one."""
    from site_hooks import ROOT_PAGES, site_links

    if page.parent == ROOT and page.name not in ROOT_PAGES.values():
        return
    for target in re.findall(r"\]\(([^)\s]+)\)", site_links(page.read_text(), page.parent)):
        path = target.partition("#")[0]
        if "://" not in target and path not in ("", *ROOT_PAGES):
            assert (ROOT / "docs" / path).is_file(), target

"""Hooks of the docs site (mkdocs.yml): pages of the repository's root, links that leave docs/."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ROOT_PAGES = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
"""Pages of the site that are files of the repository's root."""
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of the repository's root."""
    from mkdocs.structure.files import File

    for name, source in ROOT_PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Rewrite a page's links for the site."""
    folder = ROOT if page.file.src_uri in ROOT_PAGES else ROOT / "docs"
    return site_links(markdown, folder)


def site_links(markdown: str, folder: Path) -> str:
    """Return a page of `folder` with links as the site has them.

    A file of the repository that is no page of the site becomes its path in code type: the site
    may stand where the repository is not.
    """
    pages = {(ROOT / source).resolve(): name for name, source in ROOT_PAGES.items()}

    def rewritten(found: re.Match[str]) -> str:
        text, target = found[1], found[2]
        path, _, anchor = target.partition("#")
        if "://" in target or not path:
            return found[0]
        file = (folder / path).resolve()
        anchor = f"#{anchor}" if anchor else ""
        if file in pages:
            return f"[{text}]({pages[file]}{anchor})"
        if file.is_relative_to(ROOT / "docs") and file.is_file():
            return f"[{text}]({file.relative_to(ROOT / 'docs').as_posix()}{anchor})"
        shown = file.relative_to(ROOT).as_posix()
        return text if shown in text else f"{text} (`{shown}`)"

    return _LINK.sub(rewritten, markdown)

"""The shared parts of every page: scripts, styles, inline data, and the security policy.

Completions are hostile text. They travel as base64 or as JSON with "<" escaped, the script puts
them into the page as text nodes only, and a content security policy allows no script but ours
(by its hash), no connection and no form.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape
from importlib import resources
from string import Template
from typing import Any


def inline_json(value: Any) -> str:
    """Return JSON for a script element: no character of it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def fill_page(
    page: str,
    scripts: tuple[str, ...],
    styles: tuple[str, ...],
    data: Mapping[str, Any],
    packed: str,
    **parts: str,
) -> str:
    """Return a page in the common frame (frame.html) with its assets inline.

    data: what the scripts read, by the id of its element. packed: the completions, in base64.
    parts: ready HTML for the page's names; `name` is the title as well.
    """
    script = '"use strict";\n(() => {\n' + "\n".join(map(asset, scripts)) + "})();\n"
    inline = [
        '<div id="tooltip" role="status" hidden></div>',
        *(
            f'<script type="application/json" id="{name}">{inline_json(value)}</script>'
            for name, value in data.items()
        ),
        f'<script type="application/octet-stream" id="packed">{packed}</script>',
        f"<script>{script}</script>",
    ]
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return _in_frame(page, styles, "\n".join(inline), f"'sha256-{digest}'", parts)


def fill_plain_page(page: str, styles: tuple[str, ...], **parts: str) -> str:
    """Return a page in the common frame that has no script; parts as in `fill_page`."""
    return _in_frame(page, styles, "", "'none'", parts)


def _in_frame(
    page: str, styles: tuple[str, ...], active: str, allowed: str, parts: Mapping[str, str]
) -> str:
    """active: the elements that scripts need, and the scripts; allowed: which of them may run."""
    return Template(asset("frame.html")).substitute(
        name=parts["name"],
        body=Template(asset(page)).substitute(parts),
        active=active,
        style="\n".join(map(asset, styles)),
        policy=escape(_policy(allowed)),
    )


def _policy(allowed: str) -> str:
    rules = (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        f"script-src {allowed}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def asset(name: str) -> str:
    """Return the text of a file beside this one: a page's markup, a script, a style."""
    return resources.files("r1.report").joinpath(name).read_text(encoding="utf-8")

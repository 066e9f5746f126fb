"""The reference of settings for the terminal and as the page docs/settings.md.

A repeated section, such as `[engine]` in every stage that samples, is shown once; later places
refer to it and list the differences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from r1.errors import UserError
from r1.settings_reference import (
    LEFT_OUT,
    REQUIRED,
    ReferencePart,
    SectionNode,
    Setting,
    find,
    kinds_with,
    leaves,
    schemas,
    summary_of,
    tree_of,
)

PAGE = "r1 settings --markdown > docs/settings.md"
_INTRODUCTION = f"""# Settings

Every setting of every kind of recipe and stage, written from the code by `{PAGE}`.
`r1 settings KIND`, `r1 settings sampling` or `r1 settings r1_zero.grpo` shows a part of it in the
terminal. A recipe states what differs from the defaults; `--set SECTION.KEY=VALUE` changes one
setting on the command line.

"Left out" is a setting that has no value unless the recipe gives one. `[[data.train]]` is a list:
each such heading adds a source. `NAME` is a name of your own. A stage of a pipeline takes the
settings of its kind, under `[stages.NAME]`.
"""


class Shown(NamedTuple):
    """A section as displayed: in full, or as another one with some different defaults."""

    node: SectionNode
    same_as: str = ""
    changes: tuple[str, ...] = ()


def shown(
    node: SectionNode, seen: dict[type, tuple[str, SectionNode]], kind: str = ""
) -> Iterator[Shown]:
    """Yield a node's sections in order. seen: where each class was displayed in full; it grows."""
    if node.schema in seen and node.parts + node.settings:
        label, first = seen[node.schema]
        theirs = dict(leaves(first))
        changes = [
            f"{path} = {setting.default}"
            for path, setting in leaves(node)
            if path in theirs and setting.default != theirs[path].default
        ]
        yield Shown(node, label, tuple(changes))
        return
    seen[node.schema] = (f"{kind}.{node.path}" if kind else node.heading, node)
    yield Shown(node)
    for part in node.parts:
        yield from shown(part, seen, kind)


def settings_command(section: str | None, as_markdown: bool, console: Console) -> None:
    """Print the reference of a kind, section or setting; without a name, the kinds or the page.

    Raises UserError for an unknown name, and for a part of the page: there is one of all.
    """
    if as_markdown and section is not None:
        raise UserError("--markdown gives the page of all settings; leave the section out.")
    if as_markdown:
        print(markdown(), end="")
        return
    if section is None:
        _show_kinds(console)
        return
    found = find(section)
    for one in found:
        _show(one, section, console)
    others = [kind for kind in kinds_with(section) if section in schemas() and kind != section]
    if others:
        words = ", ".join(f"r1 settings {kind}.{section}" for kind in others)
        console.print()
        _indented(console, Text(f"[{section}] is also a section of other kinds: {words}", "dim"), 0)


def _show_kinds(console: Console) -> None:
    for kind, schema in schemas().items():
        number = len(list(leaves(tree_of(kind))))
        console.print(Text.assemble((kind, "bold"), (f"  {number} settings", "dim")))
        _indented(console, Text(summary_of(schema)), 4)
    console.print()
    more = "r1 settings KIND shows all of a kind, r1 settings optimizer a section of any kind, "
    _indented(
        console, Text(f"{more}r1 settings sft.optimizer that of one, optimizer.lr a setting."), 0
    )


def _show(found: ReferencePart, section: str, console: Console) -> None:
    kinds = ", ".join(found.kinds)
    of_kinds = "" if section in schemas() else f", in recipes and stages of kind {kinds}"
    console.print()
    _indented(console, Text.assemble((section, "bold underline"), of_kinds), 0)
    for part in shown(found.node, {}):
        node = part.node
        if node.heading:
            console.print(Text(f"\n{node.heading}", "bold cyan"))
        _indented(console, Text(node.description), 2)
        if part.same_as:
            but = f", but {'; '.join(part.changes)}" if part.changes else ""
            _indented(console, Text(f"Its settings are those of {part.same_as}{but}."), 2)
            continue
        for setting in node.settings:
            _show_setting(setting, console)


def _show_setting(setting: Setting, console: Console) -> None:
    value = "" if setting.default in (LEFT_OUT, REQUIRED) else f" = {setting.default}"
    more = {REQUIRED: "; required", LEFT_OUT: "; left out by default"}.get(setting.default, "")
    line = Text.assemble((setting.name, "bold"), value, (f"  ({setting.type}{more})", "dim"))
    _indented(console, line, 2, 6)
    _indented(console, Text(setting.description), 6)


def _indented(console: Console, text: Text, first: int, others: int | None = None) -> None:
    """Print wrapped text, indenting its first line and the others by the given columns."""
    if not text:
        return
    others = first if others is None else others
    for number, line in enumerate(text.wrap(console, max(20, console.width - max(first, others)))):
        line.rstrip()
        console.print(Text(" " * (others if number else first)) + line, soft_wrap=True)


def markdown() -> str:
    """Return the page docs/settings.md."""
    seen: dict[type, tuple[str, SectionNode]] = {}
    parts = [_INTRODUCTION]
    for kind, schema in schemas().items():
        parts.append(f"## {kind}\n\n{_escaped(summary_of(schema))}\n")
        for section in shown(tree_of(kind), seen, kind):
            parts.append(_section(section, kind))
    return "\n".join(part for part in parts if part)


def _section(section: Shown, kind: str) -> str:
    node = section.node
    lines = [f"### {kind}.{node.path}\n"] if node.path else []
    if node.path:
        lines.append(f"`{node.heading}`: {_escaped(node.description)}\n")
    if section.same_as:
        anchor = re.sub(r"[^a-z0-9_-]", "", section.same_as.rstrip(".").lower())
        but = f", but {'; '.join(f'`{change}`' for change in section.changes)}"
        lines.append(
            f"As [{section.same_as.rstrip('.')}](#{anchor}){but if section.changes else ''}.\n"
        )
    elif node.settings:
        lines += ["| setting | type | default | |", "|---|---|---|---|"]
        lines += [_row(setting) for setting in node.settings]
        lines.append("")
    return "\n".join(lines)


def _row(setting: Setting) -> str:
    told = setting.default
    default = told if told in (LEFT_OUT, REQUIRED) else f"`{_escaped_bar(told)}`"
    kind = _escaped_bar(setting.type)
    return f"| `{setting.name}` | {kind} | {default} | {_escaped(setting.description)} |"


def _escaped(text: str) -> str:
    """Escape tags, and characters that end a table's cell."""
    return _escaped_bar(text.replace("\\", "\\\\").replace("<", "\\<"))


def _escaped_bar(text: str) -> str:
    return text.replace("|", "\\|")

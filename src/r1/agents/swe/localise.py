"""Localise an issue: files, then classes and functions, then the lines to edit.

    files      the model names suspicious ones from the tree; words in common with the issue fill up
    elements   the model names classes and functions from the files' skeletons
    lines      the model names lines, functions or classes from the elements' code; several samples

Each answer is lines in a fence: a path, and below it `class: C`, `function: f`, `function: C.m` or
`line: 12`. What names nothing that is there is passed over.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from r1.agents.ask import AskModel, OpenConversation, Turn, require_replies
from r1.agents.swe.patches import is_test_path
from r1.edits.blocks import FENCE

Spans = dict[str, list[tuple[int, int]]]
"""Path -> the first and last lines to look at, from 1, in order and apart."""

CONTEXT_LINES = 10
_MAX_TREE = 2000
_MAX_SKELETON = 400
_WORD = re.compile(r"[A-Za-z_]\w{2,}")
_FORM = (
    f"Answer with lines between {FENCE} fences: a file's path, and below it one place a line, as "
    "`class: Name`, `function: name`, `function: Class.name` or `line: 12`."
)


def sources(files: Mapping[str, str]) -> list[str]:
    """The Python files of a repository that may be edited."""
    return sorted(path for path in files if path.endswith(".py") and not is_test_path(path))


def locate_files(
    ask: AskModel, name: str, issue: str, files: Mapping[str, str], top: int
) -> list[str]:
    """The `top` files to look at: the model's first, in its order."""
    paths = sources(files)
    prompt = (
        f"An issue of a Python project:\n\n{issue}\n\nIts files:\n\n"
        + "\n".join(paths[:_MAX_TREE])
        + f"\n\nWhich files must change to resolve the issue? Name at most {top}, the most likely "
        f"first, a path a line between {FENCE} fences."
    )
    (answers,) = ask([OpenConversation(f"{name}/files", (Turn("user", prompt),), greedy=True)])
    (answer,) = require_replies(answers)
    named = [line.strip().strip("`") for line in (answer or "").splitlines()]
    known = [path for path in dict.fromkeys(named) if path in set(paths)]
    return [*known, *(p for p in _by_words(issue, files, paths) if p not in known)][:top]


def _by_words(issue: str, files: Mapping[str, str], paths: Sequence[str]) -> list[str]:
    """Paths by the rare words that they have in common with an issue, the most first."""
    wanted = set(_WORD.findall(issue))
    there = {path: wanted & set(_WORD.findall(f"{path} {files[path]}")) for path in paths}
    spread = Counter(word for words in there.values() for word in words)
    score = {path: sum(1.0 / spread[word] for word in words) for path, words in there.items()}
    return sorted(paths, key=lambda path: (-score[path], path))


def locate_elements(
    ask: AskModel, name: str, issue: str, files: Mapping[str, str], paths: Sequence[str]
) -> Spans:
    """The classes and functions to look at, as spans; whole files where the model names none."""
    shown = "\n\n".join(f"{path}\n{FENCE}python\n{skeleton(files[path])}{FENCE}" for path in paths)
    prompt = (
        f"An issue of a Python project:\n\n{issue}\n\nThe outlines of some of its files:\n\n{shown}"
        f"\n\nWhich classes and functions must be looked at to resolve the issue? {_FORM}"
    )
    (answers,) = ask([OpenConversation(f"{name}/elements", (Turn("user", prompt),), greedy=True)])
    (answer,) = require_replies(answers)
    found = read_places(answer or "", files, paths)
    return found or {path: [(1, files[path].count("\n") + 1)] for path in paths}


def locate_lines(
    ask: AskModel,
    name: str,
    issue: str,
    files: Mapping[str, str],
    elements: Spans,
    num_samples: int,
) -> list[Spans]:
    """The lines to edit, one set a sample, with ten lines around; sets that are alike once."""
    prompt = (
        f"An issue of a Python project:\n\n{issue}\n\nParts of its files, with line numbers:\n\n"
        f"{show_spans(files, elements, numbered=True)}\n\nWhich places must be edited to resolve "
        f"the issue? {_FORM}"
    )
    (answers,) = ask([OpenConversation(f"{name}/lines", (Turn("user", prompt),), num_samples)])
    found = []
    for answer in require_replies(answers):
        spans = read_places(answer or "", files, list(elements), CONTEXT_LINES) or elements
        if spans not in found:
            found.append(spans)
    return found


def read_places(
    answer: str, files: Mapping[str, str], paths: Sequence[str], context: int = 0
) -> Spans:
    """The spans that an answer names in the files given, with `context` lines around each."""
    found: dict[str, list[tuple[int, int]]] = {}
    path: str | None = None
    for line in answer.splitlines():
        text = line.strip().strip("`")
        if text in paths:
            path = text
        elif path is not None and (span := _span(text, files[path])):
            last = files[path].count("\n") + 1
            widened = max(1, span[0] - context), min(last, span[1] + context)
            found.setdefault(path, []).append(widened)
    return {path: merged(spans) for path, spans in sorted(found.items())}


def _span(text: str, source: str) -> tuple[int, int] | None:
    kind, _, name = text.partition(":")
    name = name.strip()
    if kind == "line" and name.isdigit() and 1 <= int(name) <= source.count("\n") + 1:
        return int(name), int(name)
    return elements_of(source).get(name) if kind in ("class", "function", "method") else None


def elements_of(source: str) -> dict[str, tuple[int, int]]:
    """Name -> first and last line of every class and function; methods as Class.name."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    found: dict[str, tuple[int, int]] = {}
    waiting: list[tuple[str, ast.AST]] = [("", tree)]
    while waiting:
        prefix, node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([child.lineno, *(each.lineno for each in child.decorator_list)])
                found.setdefault(prefix + child.name, (first, child.end_lineno or first))
                waiting.append((f"{prefix}{child.name}.", child))
    return found


def merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, those that touch as one."""
    result: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result


def skeleton(source: str) -> str:
    """The lines that open a file's classes and functions; its first lines where it has none."""
    lines = source.splitlines()
    firsts = sorted(first for first, _ in elements_of(source).values())[:_MAX_SKELETON]
    shown = [lines[first - 1] for first in firsts] if firsts else lines[:_MAX_SKELETON]
    return "".join(f"{line}\n" for line in shown)


def show_spans(files: Mapping[str, str], spans: Spans, numbered: bool = False) -> str:
    """The lines of spans, a fence a file."""
    parts = []
    for path, own in spans.items():
        lines = files[path].splitlines()
        pieces = []
        for first, last in own:
            rows = enumerate(lines[first - 1 : last], start=first)
            pieces.append("".join(f"{n}|{row}\n" if numbered else f"{row}\n" for n, row in rows))
        parts.append(f"{path}\n{FENCE}python\n" + "...\n".join(pieces) + FENCE)
    return "\n\n".join(parts)

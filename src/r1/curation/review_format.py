r"""The two files in which people edit traces: JSONL, a trace a line, and Markdown, a section each.

In Markdown everything that is read stands between marker lines, which must stay:

    <!-- r1 trace "p1/0" -->          which trace; the question below it is for reading only
    <!-- r1 decision: keep -->        keep or drop
    <!-- r1 reasoning -->             … free text …
    <!-- r1 summary -->               … free text …
    <!-- r1 end -->

A line of a trace that looks like a marker is written with a backslash before it, and read without.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from r1.data import jsonl
from r1.data.rows import RowError
from r1.files.json_text import FormatError, parse_json
from r1.files.regular import read_bytes

KEEP, DROP = "keep", "drop"
_MARKER = re.compile(r"<!-- r1 (trace|decision|reasoning|summary|end)(?: (.*?)|: *(.*?))? *-->\s*")
_LIKE_MARKER = re.compile(r"^(?=\\*<!-- r1 )", re.MULTILINE)
_ESCAPED = re.compile(r"^\\(?=\\*<!-- r1 )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ReviewTrace:
    """One trace as people see it."""

    id: str
    language: str
    question: str
    reference: str | None
    reasoning: str
    summary: str
    decision: str = KEEP


class ParsedTrace(NamedTuple):
    """What an edited file holds: a trace, or what is wrong, and the line where it begins."""

    line: int
    trace: ReviewTrace | None
    fault: str | None


def trace_of(row: dict[str, Any]) -> ReviewTrace:
    """A row of a data set as a trace."""
    return ReviewTrace(
        row["id"],
        row["language"],
        row["prompt"],
        row["reference"],
        row["thinking"],
        row["summary"],
    )


def to_jsonl(traces: Iterable[ReviewTrace]) -> str:
    """One JSON object a line."""
    return "".join(
        json.dumps({name: getattr(trace, name) for name in trace.__slots__}, ensure_ascii=False)
        + "\n"
        for trace in traces
    )


def to_markdown(traces: Iterable[ReviewTrace]) -> str:
    """A section a trace."""
    head = (
        "# Traces to review\n\nEdit the text below the lines `reasoning` and `summary`; to leave a "
        'trace out, write "drop" for "keep". Lines that begin with `<!-- r1` must stay as they '
        "are. Nothing else is read.\n"
    )
    return head + "".join(_section(trace) for trace in traces)


def _section(trace: ReviewTrace) -> str:
    quoted = "\n".join(f"> {line}" for line in trace.question.splitlines() or [""])
    expected = "" if trace.reference is None else f"\nExpected answer: {trace.reference}\n"
    return (
        f"\n<!-- r1 trace {json.dumps(trace.id, ensure_ascii=False)} -->\n"
        f"**Question** ({trace.language})\n\n{quoted}\n{expected}\n"
        f"<!-- r1 decision: {trace.decision} -->\n\n<!-- r1 reasoning -->\n"
        f"{_escape(trace.reasoning)}\n\n<!-- r1 summary -->\n{_escape(trace.summary)}\n\n"
        "<!-- r1 end -->\n"
    )


def read_edited(path: Path) -> Iterator[ParsedTrace]:
    """Yield what an edited file holds, by its suffix .md or .jsonl."""
    if path.suffix == ".md":
        yield from _read_markdown(read_bytes(path).decode("utf-8-sig", errors="replace"))
        return
    for number, row in jsonl.read_rows(path):
        if isinstance(row, RowError):
            yield ParsedTrace(number, None, str(row))
        else:
            yield _from_json(number, row)


def _from_json(number: int, row: Mapping[str, Any]) -> ParsedTrace:
    for name in ("id", "reasoning", "summary"):
        if not isinstance(row.get(name), str):
            return ParsedTrace(number, None, f'"{name}" is missing or no text')
    question = row.get("question")
    trace = ReviewTrace(
        row["id"],
        str(row.get("language", "")),
        question if isinstance(question, str) else "",
        None,
        _tidy(row["reasoning"]),
        _tidy(row["summary"]),
        str(row.get("decision", KEEP)).strip().lower(),
    )
    return ParsedTrace(number, trace, None)


def _read_markdown(text: str) -> Iterator[ParsedTrace]:
    """Split at the markers; text outside reasoning and summary is skipped."""
    section: dict[str, str] = {}
    begun, part = 0, ""
    lines: list[str] = []
    for number, line in enumerate([*text.splitlines(), '<!-- r1 trace "" -->'], start=1):
        marker = _MARKER.fullmatch(line.strip())
        if marker is None:
            lines.append(line)
            continue
        if part in ("reasoning", "summary"):
            section[part] = _tidy(_ESCAPED.sub("", "\n".join(lines)))
        kind, value = marker[1], (marker[2] or marker[3] or "").strip()
        if kind == "trace":
            if section:
                yield ParsedTrace(
                    begun, None, 'the section has no "end" line; each trace needs one'
                )
            section, begun = {"trace": value}, number
        elif kind == "end":
            yield _from_section(begun, section)
            section = {}
        elif kind in section:
            yield ParsedTrace(number, None, f'a second "{kind}" line in one section')
        elif kind == "decision":
            section[kind] = value
        part, lines = kind, []


def _from_section(line: int, section: dict[str, str]) -> ParsedTrace:
    for name in ("trace", "reasoning", "summary"):
        if name not in section:
            return ParsedTrace(line, None, f'the section has no "{name}" line')
    try:
        id_ = parse_json(section["trace"])
    except FormatError:
        return ParsedTrace(line, None, f"the trace's name {section['trace']} is no longer readable")
    decision = section.get("decision", KEEP).lower()
    trace = ReviewTrace(str(id_), "", "", None, section["reasoning"], section["summary"], decision)
    return ParsedTrace(line, trace, None)


def _escape(text: str) -> str:
    # Every line break of Unicode becomes a newline: none may hide a marker from the escaping.
    return _LIKE_MARKER.sub(r"\\", "\n".join(text.splitlines()))


def _tidy(text: str) -> str:
    """Line ends as here, no white space at their ends: editors change these unasked."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()

r"""Where benchmarks' protocols put an answer: the last line, after a marker, in a JSON object.

    last_line   what the last line with anything on it says, after its label ("Answer:", "答案：",
                "the answer is") where it has one
    marker      the rest of the line after the last "ANSWER:" (GPQA's protocol)
    json        the field "answer" of the last JSON object that has one (MMLU-Redux)

The text is what follows the thinking. Only the position is found here; whether the words there are
one answer ("A or B" is not) is the verifier's to judge. In JSON a LaTeX backslash is one; an object
that does not parse all the same is read by its key, if it stands behind all that do. Time is linear
in the text; nothing is raised.

Left out on purpose: the *first* "Answer:" of simple-evals and the first capital letter of
OpenCompass, both of which take a step on the way for the answer.
"""

from __future__ import annotations

import json
import re

from r1.files.json_text import with_bare_backslashes

_LABEL = re.compile(
    r"(?:answer|答案)[ \t*_]*(?:(?:is\b|應?為|應?是|应?[是为]|[选選])[ \t*_]*[:：]?|[:：])[ \t]*"
    r"|答[:：][ \t]*",
    re.IGNORECASE,
)
_MARKER = re.compile(r"\banswer[ \t*_]*[:：][ \t]*", re.IGNORECASE)
_NO_WORDS = re.compile(r"(?:[\s`~*_#=.\-—$>|\u200b\ufeff]|\\[\[\]()])*")
_DECORATION = ' \t*_`"“”'
_VALUE = (
    r"""\s*:\s*(?:"([^"\n]{0,200})"|'([^'\n]{0,200})'|([^"'}\n]+?)\s*(?=,\s*["'\n]|["'}\n]|\Z))"""
)
_FIELD = re.compile(r"""(?<!\\)(["'])answer\1""" + _VALUE)
_BARE_FIELD = re.compile(r"\banswer\b[\"']?" + _VALUE)
MAX_OBJECTS = 50
"""Opening braces that are tried, from the last: LaTeX in the reasoning has many."""
_DECODER = json.JSONDecoder(strict=False)


def last_line(text: str) -> str:
    """Return what the last line states, "" where there is none. Lines of rules and fences alone
    are passed over."""
    lines = (line for line in reversed(text.split("\n")) if not _NO_WORDS.fullmatch(line))
    line = next(lines, "")
    return _after_last(_LABEL, line, otherwise=line)


def marked(text: str) -> str:
    """Return the rest of the line after the last "ANSWER:", in either case; "" without one."""
    return _after_last(_MARKER, text, otherwise="").partition("\n")[0].strip(_DECORATION)


def json_answer(text: str) -> str:
    """Return the field "answer" of the last object that has one; "" where there is none."""
    text = with_bare_backslashes(text)
    starts = [found.start() for found in re.finditer(r"\{", text)]
    parsed = [found for start in starts[-MAX_OBJECTS:] if (found := _object_at(text, start))]
    value, end = max(parsed, key=lambda found: found[1], default=(None, 0))
    brace = text.find("{", end)
    if parsed and brace < 0:
        return _plain(value)
    later = _field(_FIELD, text[max(brace, 0) :])
    if parsed:
        return _plain(value) if later is None else later
    return later if later is not None else _field(_BARE_FIELD, text) or ""


def _object_at(text: str, start: int) -> tuple[object, int] | None:
    """Return what the object that begins here says in "answer", and where it ends."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return (value["answer"], end) if isinstance(value, dict) and "answer" in value else None


def _plain(answer: object) -> str:
    plain = isinstance(answer, str | int | float) and not isinstance(answer, bool)
    return str(answer).strip() if plain else ""


def _field(pattern: re.Pattern[str], text: str) -> str | None:
    """Return what stands behind the last key "answer", read without a parser."""
    found = list(pattern.finditer(text))
    if not found:
        return None
    value = next((group for group in found[-1].groups()[-3:] if group), "")
    return value.strip().replace("\\\\", "\\")


def _after_last(pattern: re.Pattern[str], text: str, otherwise: str) -> str:
    found = list(pattern.finditer(text))
    rest = text[found[-1].end() :] if found else otherwise
    return rest.strip(_DECORATION)

r"""Where benchmarks' protocols put an answer: the last line, after a marker, in a JSON object.

    last_line   what the last line with anything on it says, after its label ("Answer:", "答案：",
                "the answer is") where it has one
    marker      the rest of the line after the last "ANSWER:" (GPQA's protocol)
    json        the field "answer" of the last JSON object that has one (MMLU-Redux)

The text is what follows the thinking. Only the position is found here; whether the words there are
one answer ("A or B" is not) is the verifier's to judge. JSON that does not parse, as a LaTeX
backslash makes it, is read by the key alone. Time is linear in the text; nothing is raised.

Left out on purpose: the *first* "Answer:" of simple-evals and the first capital letter of
OpenCompass, both of which take a step on the way for the answer.
"""

from __future__ import annotations

import json
import re

_LABEL = re.compile(
    r"(?:answer|答案)[ \t*_]*(?:(?:is\b|應?為|應?是|应?[是为]|[选選])[ \t*_]*[:：]?|[:：])[ \t]*"
    r"|答[:：][ \t]*",
    re.IGNORECASE,
)
_MARKER = re.compile(r"\banswer[ \t*_]*[:：][ \t]*", re.IGNORECASE)
_NO_WORDS = re.compile(r"[\s`~*_#=.\-—$>|]*")
_DECORATION = ' \t*_`"“”'
_FIELD = re.compile(
    r"""["']?\banswer\b["']?\s*:\s*(?:"([^"\n]{0,200})"|'([^'\n]{0,200})'|([^\s,}"']+))"""
)
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
    starts = [found.start() for found in re.finditer(r"\{", text)]
    for start in reversed(starts[-MAX_OBJECTS:]):
        try:
            value, _ = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and "answer" in value:
            answer = value["answer"]
            plain = isinstance(answer, str | int | float) and not isinstance(answer, bool)
            return str(answer).strip() if plain else ""
    found = list(_FIELD.finditer(text))
    return next((group.strip() for group in found[-1].groups() if group), "") if found else ""


def _after_last(pattern: re.Pattern[str], text: str, otherwise: str) -> str:
    found = list(pattern.finditer(text))
    rest = text[found[-1].end() :] if found else otherwise
    return rest.strip(_DECORATION)

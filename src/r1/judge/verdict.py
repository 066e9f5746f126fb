"""Read a judge's reply strictly: one JSON object with this request's nonce, or malformed.

Accepted around the object: the thinking of a reasoning model (up to its last `</think>`) and one
Markdown fence. Accepted inside: a backslash that escapes nothing, and raw control characters, in
the strings; judges write LaTeX. Nothing is searched for, completed or guessed: a reply that says
"correct" in any other way is malformed, and the caller asks again or counts a failure.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from r1.files.json_text import with_bare_backslashes

MAX_CHARS = 200_000
_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*)\n[ \t]*```", re.DOTALL)


class ReplyDefect(StrEnum):
    """Why a reply is no verdict; the first that applies, in this order."""

    CUT_OFF = "cut-off"
    EMPTY = "empty"
    TOO_LONG = "too-long"
    NOT_JSON = "not-json"
    WRONG_KEYS = "wrong-keys"
    WRONG_NONCE = "wrong-nonce"
    WRONG_TYPE = "wrong-type"
    UNKNOWN_VERDICT = "unknown-verdict"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judge's verdict: one of the task's labels, with its reasons.

    share: of the probability of all labels, this one's; None where no log-probabilities tell.
    """

    label: str
    analysis: str
    share: float | None = None


def read_verdict(
    text: str, finish_reason: str, nonce: str, labels: tuple[str, ...]
) -> Verdict | ReplyDefect:
    """Return a reply's verdict or its defect. Raises nothing for any text."""
    if finish_reason == "length":
        return ReplyDefect.CUT_OFF
    if len(text) > MAX_CHARS:
        return ReplyDefect.TOO_LONG
    text = text.rpartition("</think>")[2].strip()
    if not text:
        return ReplyDefect.EMPTY
    if fenced := _FENCE.fullmatch(text):
        text = fenced[1]
    try:
        found = json.loads(
            with_bare_backslashes(text),
            strict=False,
            object_pairs_hook=_unique,
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError):
        return ReplyDefect.NOT_JSON
    if not isinstance(found, dict) or found.keys() != {"nonce", "analysis", "verdict"}:
        return ReplyDefect.WRONG_KEYS
    if found["nonce"] != nonce:
        return ReplyDefect.WRONG_NONCE
    label, analysis = found["verdict"], found["analysis"]
    if not isinstance(label, str) or not isinstance(analysis, str):
        return ReplyDefect.WRONG_TYPE
    return Verdict(label, analysis) if label in labels else ReplyDefect.UNKNOWN_VERDICT


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")

r"""Where other harnesses read an answer, fault for fault, so that their figures can be compared.

    `answer_from`       reads
    simple-evals        the first "Answer: X"; markup is taken away first (its MMLU)
    simple-evals-gpqa   the first "Answer: X" as it stands
    simple-evals-line   the rest of the first line that has "Answer:", else all
    mmlu-pro            "answer is (X)", else "answer: X", else the last lone letter
    answer-is           the first "answer is (X)"                  lm-evaluation-harness, MMLU-Pro
    last-bracketed      the last "(X)", else the last ": X"        lm-evaluation-harness, GPQA
    first-sentence      all up to the first full stop              lm-evaluation-harness, DROP

The text is what follows the thinking, where those harnesses read the whole response: one that
thinks aloud would be judged by a step on the way. Left out on purpose: the random option that
MMLU-Pro's script draws where it reads none, labels of other languages than English and Chinese,
and an option's words without its letter. Time is linear in the text; nothing is raised.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_MARKUP = ("**", "$\\boxed{", "}$", "\\$", "$\\text{", "$", "\\mathrm{", "\\{", "\\text", "\\(",
           "\\mathbf{", "{", "\\boxed")  # fmt: skip
_LABELS = tuple(
    re.compile(rf"{label}[ \t]*([A-DＡ-Ｄ])", re.IGNORECASE)
    for label in (
        r"answer\s{0,9}:",
        r"答案\s{0,9}：",
        r"答案\s{0,9}:",
        r"答\s{0,9}：",
        r"答\s{0,9}:",
    )
)
_PLAIN = re.compile(r"answer[ \t]*:[ \t]*\$?([A-D])\$?", re.IGNORECASE)
_LINE = re.compile(r"answer\s{0,9}:\s{0,9}([^\n]+)", re.IGNORECASE)
_ANSWER_IS = re.compile(r"answer is \(?([A-J])\)?")
_ANSWER = re.compile(r"[aA]nswer:\s*([A-J])")
_LONE = re.compile(r"\b[A-J]\b")
_BRACKETED = re.compile(r"\(([A-Z])\)")
_AFTER_COLON = re.compile(r":\s{0,9}([A-D])")


def _first_label(text: str) -> str | None:
    for mark in _MARKUP:
        text = text.replace(mark, "")
    found = next((found for label in _LABELS if (found := label.search(text))), None)
    # A full-width letter is the ASCII one 0xFEE0 further on.
    if found is None:
        return None
    letter = str(found[1])
    return (letter if letter.isascii() else chr(ord(letter) - 0xFEE0)).upper()


def _first_plain(text: str) -> str | None:
    found = _PLAIN.search(text)
    return str(found[1]).upper() if found else None


def _first_line(text: str) -> str:
    found = _LINE.search(text)
    return (found[1] if found else text).strip()


def _answer_is(text: str) -> str | None:
    found = _ANSWER_IS.search(text)
    return str(found[1]) if found else None


def _mmlu_pro(text: str) -> str | None:
    """The authors' cascade; the second pattern is greedy within a line: its last match there."""
    if (said := _answer_is(text)) is not None:
        return said
    for line in text.split("\n"):
        if labelled := _ANSWER.findall(line):
            return str(labelled[-1])
    return _last(_LONE, text)


def _last_bracketed(text: str) -> str | None:
    return _last(_BRACKETED, text) or _last(_AFTER_COLON, text)


def _last(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.findall(text)
    return found[-1] if found else None


HARNESS_READERS: dict[str, Callable[[str], str | None]] = {
    "simple-evals": _first_label,
    "simple-evals-gpqa": _first_plain,
    "simple-evals-line": _first_line,
    "mmlu-pro": _mmlu_pro,
    "answer-is": _answer_is,
    "last-bracketed": _last_bracketed,
    "first-sentence": lambda text: text.strip().partition(".")[0].strip(),
}
"""From what follows the thinking to an answer, None without one."""

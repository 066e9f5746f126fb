"""Cut a response into steps.

    "line"         a step ends with its line; blank lines belong to the step before them
    "blank_line"   a step ends with a blank line
    another text   a step ends with this tag ("ки" in Math-Shepherd's files)

Nothing is cut inside a fence (``` or ~~~), closed or not. The answer is a step of its own: what
begins with <answer>, and the last line. The steps joined are the response.

Left out on purpose: cuts by the number of tokens, which need a tokenizer.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

LINE, BLANK_LINE = "line", "blank_line"
ANSWER = "<answer>"
_ENDS = {
    LINE: re.compile(r"\n(?:[^\S\n]*\n)*"),
    BLANK_LINE: re.compile(r"\n(?:[^\S\n]*\n)+"),
}
_FENCE = re.compile(r"^[^\S\n]*(```|~~~)", re.MULTILINE)


def split_steps(text: str, separator: str = LINE) -> list[str]:
    """Return the steps of a response, each with the separator that ends it; [] for blank text."""
    if not text.strip():
        return []
    cuts = {match.end() for match in _pattern(separator).finditer(text)}
    cuts.add(text.rfind(ANSWER))
    if separator != LINE:
        cuts.add(text.rstrip().rfind("\n") + 1)
    inside = _fences(text)
    kept: list[int] = []
    for cut in sorted(cuts):
        before = text[kept[-1] if kept else 0 : max(cut, 0)]
        if before.strip() and text[cut:].strip() and not _is_within(cut, inside):
            kept.append(cut)
    return [text[a:b] for a, b in zip([0, *kept], [*kept, len(text)], strict=True)]


def joined(steps: Sequence[str], separator: str = LINE) -> list[str]:
    """Return steps with the separator that ends each but the last, where they have none."""
    end = {LINE: "\n", BLANK_LINE: "\n\n"}.get(separator, separator)
    return [
        *(step if step.endswith((end, "\n")) else step + end for step in steps[:-1]),
        *steps[-1:],
    ]


def _pattern(separator: str) -> re.Pattern[str]:
    return _ENDS.get(separator) or re.compile(re.escape(separator) + r"\s*")


def _fences(text: str) -> list[tuple[int, int]]:
    """Return (start, end) of every fence; one that is never closed ends with the text."""
    spans: list[tuple[int, int]] = []
    opened: tuple[int, str] | None = None
    for match in _FENCE.finditer(text):
        if opened is None:
            opened = (match.start(), match[1])
        elif match[1] == opened[1]:
            spans.append((opened[0], match.end()))
            opened = None
    return spans if opened is None else [*spans, (opened[0], len(text))]


def _is_within(cut: int, spans: Sequence[tuple[int, int]]) -> bool:
    place = bisect_right(spans, (cut, -1)) - 1
    return place >= 0 and spans[place][0] < cut < spans[place][1]

r"""The structure of a mathematical answer: lists, tuples, sets, intervals, ratios, equations.

`parse_value` splits a normalised text at its outermost commas, "or"s and brackets and leaves the
atoms as LaTeX. An inequality in one variable becomes the interval it stands for, `\{x \mid x > 2\}`
what its condition says, \mathbb{R} the whole line.
"""

from __future__ import annotations

import re

from r1.rewards.math import english_numbers
from r1.rewards.math.intervals import combined, interval_of, line_of
from r1.rewards.math.numbers import cut_quantity, read_number
from r1.rewards.math.parts import (
    EQUALS,
    NAME,
    NUMBERED,
    PIECEWISE,
    Atom,
    Group,
    Value,
    atom,
    split,
)
from r1.rewards.math.systems import equations_of, numbered_parts, pieces_of
from r1.rewards.math.text import unwrap

MAX_DEPTH = 6

_JOINERS = re.compile(
    r"\s+(?:and|or)\s+|(?<=[\W\d])(?:and|or)(?=[\W\d])|\s*(?:或者|或|且|和|与|及|以及)\s*"
    r"|\\(?:lor|vee|land|wedge|text\{or\}|text\{and\})(?![A-Za-z])"
)
_OR = re.compile(r"\bor\b|\\(?:lor|vee)(?![a-z])|或")
_SPOKEN_AND = re.compile(r"\b(?:hundred|thousand|million|billion|trillion)\s+and\s", re.IGNORECASE)
_MEMBER = re.compile(r"^\\?[A-Za-z]+(?:_\{?\w+\}?)?(?:\([a-z]\))?\s*\\in(?![a-z])\s*")
_NAMED_GROUP = re.compile(
    r"\s*(?:[A-Za-z]{1,2}(?:_\{?\w\}?)?'?|\((?P<names>[a-z](?:\s*,\s*(?:[a-z]|\\theta))+)\)|[a-z]{3,16}"
    r"|[\u4e00-\u9fff]{1,8}|\\vec\s*\{?\w\}?|\\overrightarrow\{\w\w\}"
    r"|[A-Za-z]\s*\\c[au]p\s*[A-Za-z])\s*=(?=\s*(?:\\\{|[\[({]|\\emptyset))"
)
_POINT = re.compile(r"(?:[A-Z]'?|(?:the\s+)?points?(?:\s+[A-Z])?|点[A-Z]?|坐标[为是]?)\s*(?=\()")
_BUILDER = re.compile(
    r"\s*(\\?[A-Za-z]+)\s*(?:\\in\s*\\mathbb\{R\}\s*)?(?:\\mid(?![a-z])|\||:)(?P<rest>.*)"
)
_SAID = {
    "\\emptyset": r"(?:there (?:is|are) )?no (?:real )?(?:solutions?|roots?)|(?:the )?empty set"
    r"|空集|(?:方程)?(?:无|没有)(?:实数?)?[解根]",
    "\\infty": r"正?无穷大?",
    "-\\infty": r"(?:负|-)无穷大?|(?:negative|minus) (?:infinity|\\infty)",
    "does not exist": r"dne|(?:the )?(?:limit )?does(?: not|n't) exist|(?:极限)?不存在",
}
_SAID_VALUES = [(re.compile(words, re.IGNORECASE), value) for value, words in _SAID.items()]
"""Values in words."""
_RATIO_SIGN = re.compile(r":(?!=)")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_THOUSANDS = re.compile(
    r"[+-]?\s?(?:\\dollar|[$¥€£])?\s?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)(?:\s*[^\d,\s][^\d,]*)?"
)


def parse_value(text: str, depth: int = 0) -> Value:
    """Return the structure of a normalised text. Never raises."""
    text = _MEMBER.sub("", unwrap(text)).strip()
    if depth >= MAX_DEPTH:
        return Atom(None, (text,))
    if said := next((value for words, value in _SAID_VALUES if words.fullmatch(text)), None):
        return Atom(None, (said,))
    if (lines := _of_lines(text, depth)) is not None:
        return lines
    if named := _without_name(text):
        return parse_value(named, depth + 1)
    if union := split(text, r"\\cup(?![a-z])|∪"):
        return Group("∪", "∪", tuple(parse_value(part, depth + 1) for part in union))
    if (line := line_of(text)) is not None:
        return line
    inner = _bracketed(text)
    if inner is None:
        return _parse_open(text, depth)
    opening, body, closing = inner
    if opening == "{" and not body.strip():
        return Atom(None, ("\\emptyset",))
    if opening == "{" and (condition := _condition_of(body)):
        value = parse_value(condition, depth + 1)
        value = value._replace(name=None) if isinstance(value, Group) else value
        bare = isinstance(value, Group) and value.opening == ""
        return Group("{", "}", value.parts) if isinstance(value, Group) and bare else value
    parts = split(body, "[,;]") or [body]
    if len(parts) == 1 and opening + closing in ("()", "[]"):
        return parse_value(body, depth + 1) if _is_simple(body) else atom(text)
    return Group(opening, closing, tuple(parse_value(p, depth + 1) for p in parts))


def _parse_open(text: str, depth: int) -> Value:
    """Parse a text without outer brackets: a bare list, an interval, a ratio, or one expression."""
    if "\\ne" in text and (line := interval_of(text)) is not None:
        return line  # x \ne 1, 2
    if _THOUSANDS.fullmatch(text) or _is_spoken_number(text):
        parts = []
    else:
        parts = split(text, r"[,;]|" + _JOINERS.pattern)
    parts = [part for part in parts if part.strip()]
    if len(parts) > 1:
        values = tuple(parse_value(part, depth + 1) for part in parts)
        is_choice = _OR.search(text) is not None
        return combined(values, text) or Group("", "", _assignments(values), None, is_choice)
    return interval_of(text) or _expand_sign(text) or _ratio_of(text) or atom(text)


def _of_lines(text: str, depth: int) -> Group | None:
    """Return a system as the list of its equations, a piecewise value and numbered parts."""
    if equations := equations_of(text) if "\\\\" in text else None:
        return Group("", "", tuple(parse_value(each, depth + 1) for each in equations))
    if pieces := pieces_of(text) if "\\begin" in text else None:
        pairs = [[parse_value(side, depth + 1) for side in piece] for piece in pieces]
        return Group(PIECEWISE, "", tuple(Group("if", "", tuple(pair)) for pair in pairs))
    if parts := numbered_parts(text) if text.startswith("(1)") else None:
        return Group(NUMBERED, "", tuple(parse_value(each, depth + 1) for each in parts))
    return None


def _is_spoken_number(text: str) -> bool:
    """Whether an "and" is part of one number: one hundred and four. "One hundred and two thirds"
    may be 100 2/3, and is left a list."""
    if "and" not in text or not _SPOKEN_AND.search(text):
        return False
    core = cut_quantity(text).core
    is_share = core.split()[-1].lower() in english_numbers.PARTS
    return not is_share and english_numbers.read_number(core) is not None


def _without_name(text: str) -> str | None:
    """Return the bracketed value of `A = {1, 2}`, `(x, y) = (3, -4)` or `P(1, 2)`; else None.

    Names of coordinates must stand in their usual order: (y, x) = (3, -4) is another point.
    """
    if found := _NAMED_GROUP.match(text):
        names = re.split(r"\s*,\s*", found["names"] or "")
        rest = text[found.end() :].strip()
        usual = names == sorted(names) or names[-1] == "\\theta"
        return rest if usual and (_bracketed(rest) or "\\cup" in rest or "\\emp" in rest) else None
    if found := _POINT.match(text):
        rest = text[found.end() :].strip()
        inner = _bracketed(rest)
        return rest if inner is not None and "," in inner[1] else None
    return None


def _condition_of(body: str) -> str | None:
    r"""Return the condition after the bar of `x \mid x > 2`, if it concerns x alone."""
    found = _BUILDER.fullmatch(body)
    if not found or not re.search(r"[<>=]|\\(?:le|ge|ne|in)(?![a-z])", found["rest"]):
        return None
    name, rest = found[1], found["rest"].strip()
    if re.match(rf"{re.escape(name)}\s*=", rest):
        return rest  # x = 2k\pi, k being any whole number
    letters = set(re.findall(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])", rest))
    return rest if letters == {name} else None


def _ratio_of(text: str) -> Group | None:
    r"""Parse `1:2:3` and `1:\sqrt{2}`; two plain numbers stay one number, 3:4."""
    sides = split(text, EQUALS)
    parts = split(sides[-1] if sides else text, _RATIO_SIGN.pattern)
    if len(parts) < 2 or any(not part.strip() for part in parts):
        return None
    if len(parts) == 2 and read_number(":".join(parts)) is not None:
        return None
    if sides and not NAME.fullmatch(sides[0]):
        return None
    return Group(":", ":", tuple(Atom(None, (part.strip(),)) for part in parts))


def _is_simple(body: str) -> bool:
    """Whether brackets around the body only group it: (3), not (x+1)(x-1)."""
    return _bracketed(body) is None and "\\mid" not in body


def _bracketed(text: str) -> tuple[str, str, str] | None:
    """Split "(a, b]" into its brackets and its body, if the first bracket closes at the end."""
    text = text.replace("\\{", "{").replace("\\}", "}") if text.startswith("\\{") else text
    if len(text) < 2 or text[0] not in _CLOSING or text[-1] not in ")]}":
        return None
    depth = 0
    for position, symbol in enumerate(text):
        depth += (symbol in "([{") - (symbol in ")]}")
        if depth == 0:
            return (text[0], text[1:-1], text[-1]) if position == len(text) - 1 else None
    return None


def _expand_sign(text: str) -> Group | None:
    r"""Return the two values of `a \pm b`."""
    if text.count("\\pm") != 1:
        return None
    plus = re.sub(r"^\+|(?<=[=({])\s*\+", "", text.replace("\\pm", "+"))
    return Group("", "", (atom(plus.strip()), atom(text.replace("\\pm", "-"))))


def _assignments(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """Return p = 3, q = 2, p = 11, q = 2 as the points (3, 2), (11, 2), ordered by name."""
    names = [value.name if isinstance(value, Atom) else None for value in values]
    size = len(set(names))
    if None in names or not 2 <= size < len(names) or len(names) % size:
        return values
    points: list[Value] = []
    for start in range(0, len(values), size):
        by_name = dict(zip(names[start : start + size], values[start : start + size], strict=True))
        if len(by_name) != size:
            return values
        members = [by_name[name]._replace(name=None) for name in sorted(by_name, key=str)]
        points.append(Group("(", ")", tuple(members)))
    return tuple(points)

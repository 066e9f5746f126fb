r"""Read inequalities in one variable as intervals.

`1 < x \le 3` is (1, 3], `x > 2` is (2, \infty), `|x - 1| < 2` is (-1, 3), `x \ne 2` all but 2,
`x < 1 or x > 2` a union, `x > 1 and x < 2` an intersection.
"""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from math import inf
from typing import NamedTuple

from r1.rewards.math.numbers import read_number
from r1.rewards.math.parts import Atom, Group, Value, atom, key, split

LINE = ("-\\infty", "\\infty")
_INFINITE = {"-\\infty": -inf, "\\infty": inf, "+\\infty": inf}
_RELATION = re.compile(r"\\(?:le|ge)(?![a-z])|[<>]")
_VARIABLE = re.compile(r"\s*(?:[A-Za-z]|\\(?:theta|alpha|beta|lambda|mu))(?:_\{?\w\}?)?\s*")
_REALS = re.compile(
    r"\\mathbb\{R\}|(?:the )?(?:set of )?(?:all )?real numbers|\\Re|(?:全体)?实数集?|全体实数集?",
    re.IGNORECASE,
)
_EXCLUDED = re.compile(r"\s*(?:\\setminus(?![a-z])|\\backslash|\\)\s*\\?\{(?P<points>[^{}]*?)\\?\}")
_ABSOLUTE = re.compile(
    r"\|\s*(?P<factor>\d*)\s*(?P<name>[A-Za-z]|\\[a-z]+)\s*(?:(?P<sign>[+-])\s*(?P<shift>[^|]+))?\|"
)
_AND = re.compile(r"\band\b|\\(?:land|wedge)(?![a-z])|且")
_OR = re.compile(r"\bor\b|\\(?:lor|vee)(?![a-z])|或")


def line_of(text: str) -> Value | None:
    r"""Return \mathbb{R}, or \mathbb{R} without some points."""
    whole = _REALS.match(text)
    if not whole:
        return None
    rest = text[whole.end() :]
    if not rest.strip():
        return interval(*LINE, "()")
    excluded = _EXCLUDED.fullmatch(rest)
    return punctured(re.split("[,;]", excluded["points"])) if excluded else None


def interval(low: str, high: str, brackets: str, name: str | None = None) -> Group:
    """Return the group of an interval's ends."""
    return Group(brackets[0], brackets[1], (atom(low.strip()), atom(high.strip())), name)


def punctured(points: list[str], name: str | None = None) -> Group | None:
    """Return the line without some points; several must be numbers, so that they can be sorted."""
    if len(points) > 1:
        numbers = {point: number.value for point in points if (number := read_number(point))}
        if len(numbers) < len(points):
            return None
        points = sorted(points, key=lambda point: numbers[point])
    ends = [LINE[0], *points, LINE[1]]
    parts = tuple(interval(*pair, "()") for pair in pairwise(ends))
    return Group("∪", "∪", parts, name)


def interval_of(text: str) -> Group | None:
    r"""Return the interval of an inequality, or None."""
    unequal = split(text, r"\\ne(?![a-z])")
    if unequal and not (len(unequal) == 2 and _VARIABLE.fullmatch(unequal[0])):
        return None
    if unequal and unequal[1].strip():
        points = [
            point
            for each in re.split(r",|\band\b|[和且]", unequal[1])
            for point in ([each] if "\\pm" not in each else _both_signs(each))
        ]
        return None if re.search(r"[<>=]", text) else punctured(points, key(unequal[0]))
    signs = [found[0] for found in _RELATION.finditer(text)]
    if not 1 <= len(signs) <= 2 or "=" in text:
        return None
    sides = _RELATION.split(text)
    if len(signs) == 1 and "|" in text:
        return _absolute(sides, signs[0])
    if len(signs) == 1 and not _VARIABLE.fullmatch(sides[0]):
        sides, signs = sides[::-1], [_flip(signs[0])]
    variable = sides[1] if len(signs) == 2 else sides[0]
    if not _VARIABLE.fullmatch(variable):
        return None
    if len(signs) == 2:
        return _between(sides, signs)
    return _ray(sides[1], signs[0], key(variable))


def _both_signs(point: str) -> list[str]:
    r"""Return -1 and 1 for \pm 1."""
    return [point.replace("\\pm", sign).replace(" ", "") for sign in ("-", "")]


def _between(sides: list[str], signs: list[str]) -> Group | None:
    if _is_less(signs[0]) != _is_less(signs[1]):
        return None
    if not _is_less(signs[0]):
        sides, signs = sides[::-1], [_flip(sign) for sign in signs[::-1]]
    brackets = ("[" if "le" in signs[0] else "(") + ("]" if "le" in signs[1] else ")")
    return interval(sides[0], sides[2], brackets, key(sides[1]))


def _ray(end: str, sign: str, name: str | None) -> Group:
    if _is_less(sign):
        return interval(LINE[0], end, "(]" if "le" in sign else "()", name)
    return interval(end, LINE[1], "[)" if "ge" in sign else "()", name)


def _absolute(sides: list[str], sign: str) -> Group | None:
    """Return (c - r, c + r) for |x - c| < r, and its outside for |x - c| > r."""
    if not (found := _ABSOLUTE.fullmatch(sides[0].strip())):
        sides, sign = sides[::-1], _flip(sign)
        if not (found := _ABSOLUTE.fullmatch(sides[0].strip())):
            return None
    ends = _ends(found, sides[1].strip())
    if ends is None:
        return None
    name = key(found["name"])
    closed = "e" in sign
    if _is_less(sign):
        return interval(*ends, "[]" if closed else "()", name)
    outside = ("\\le", "\\ge") if closed else ("<", ">")
    parts = tuple(_ray(end, each, None) for end, each in zip(ends, outside, strict=True))
    return Group("∪", "∪", parts, name)


def _ends(found: re.Match[str], radius: str) -> tuple[str, str] | None:
    """Return c - r and c + r: exact numbers if all parts are numbers, else formulas."""
    size = read_number(radius)
    shift = read_number(found["shift"]) if found["shift"] else None
    if size is not None and (shift is not None or not found["shift"]):
        if size.value <= 0:
            return None
        moved = shift.value if shift else Fraction(0)
        centre = moved if found["sign"] == "-" else -moved
        factor = Fraction(found["factor"] or 1)
        if factor == 0:
            return None
        low, high = ((centre - size.value) / factor, (centre + size.value) / factor)
        return str(low), str(high)
    if found["factor"] or "-" in radius or (found["shift"] and found["sign"] == "+"):
        return None
    if not found["shift"]:
        return (f"-({radius})" if "+" in radius else f"-{radius}"), radius
    centre_text = f"({found['shift']})"
    return f"{centre_text}-({radius})", f"{centre_text}+{radius}"


def combined(values: tuple[Value, ...], text: str) -> Group | None:
    """Return several inequalities in one variable as one set; None if they are only a list."""
    groups = [value for value in values if isinstance(value, Group) and value.name]
    if len(groups) != len(values) or len({group.name for group in groups}) != 1:
        return None
    name = groups[0].name
    pieces = any(group.opening == "∪" for group in groups)
    if _OR.search(text):
        return None if pieces else _union(groups, name)
    if pieces:  # x > 0 and x \\ne 1
        return _intersection(groups, name)
    low, high = _ray_ends(groups)
    if len(groups) == 2 and low is not None and high is not None:
        start, end = (
            read_number(str(_end(group, place))) for group, place in ((low, 0), (high, 1))
        )
        overlap = start is not None and end is not None and start.value < end.value
        if _AND.search(text) or overlap:
            return Group(low.opening, high.closing, (low.parts[0], high.parts[1]), name)
    return None if _AND.search(text) else _union(groups, name)


def _union(groups: list[Group], name: str | None) -> Group:
    return Group("∪", "∪", tuple(group._replace(name=None) for group in groups), name)


class _Span(NamedTuple):
    """An interval between numbers: its ends, each with its bracket and its text."""

    low: tuple[Fraction | float, bool, str]
    """The number, whether the bracket is open, and the text."""
    high: tuple[Fraction | float, bool, str]


def _intersection(groups: list[Group], name: str | None) -> Group | None:
    """Return what several sets of numbers share; None where an end is no number, or nothing is."""
    shared: list[_Span] | None = None
    for group in groups:
        spans = [_span(part) for part in (group.parts if group.opening == "∪" else (group,))]
        if None in spans:
            return None
        known = [span for span in spans if span is not None]
        shared = known if shared is None else [_overlap(a, b) for a in shared for b in known]
        shared = [span for span in shared if span.low[0] < span.high[0]]
    parts = tuple(
        interval(low[2], high[2], ("(" if low[1] else "[") + (")" if high[1] else "]"))
        for low, high in shared or ()
    )
    if len(parts) < 2:
        return parts[0]._replace(name=name) if parts else None
    return Group("∪", "∪", parts, name)


def _overlap(first: _Span, second: _Span) -> _Span:
    """Return the later beginning and the earlier end; of two at one place the open bracket."""
    return _Span(
        max(first.low, second.low, key=lambda end: (end[0], end[1])),
        min(first.high, second.high, key=lambda end: (end[0], not end[1])),
    )


def _span(part: Value) -> _Span | None:
    if not isinstance(part, Group):
        return None
    found = []
    for place, is_open in ((0, part.opening == "("), (1, part.closing == ")")):
        text = _end(part, place)
        number = read_number(text)
        value = number.value if number else _INFINITE.get(text.replace(" ", ""))
        if value is None:
            return None
        found.append((value, is_open, text))
    return _Span(*found)


def _end(group: Group, place: int) -> str:
    part = group.parts[place]
    return part.chain[-1] if isinstance(part, Atom) else ""


def _ray_ends(groups: list[Group]) -> tuple[Group | None, Group | None]:
    """Return the ray to the right and the ray to the left."""
    right = next((group for group in groups if _end(group, 1) == LINE[1]), None)
    left = next((group for group in groups if _end(group, 0) == LINE[0]), None)
    return right, left


def _is_less(sign: str) -> bool:
    return sign in ("<", "\\le")


def _flip(sign: str) -> str:
    return {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}[sign]

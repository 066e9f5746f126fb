r"""The structure of a mathematical answer: lists, tuples, sets, intervals, ratios, equations.

`parse_value` splits a normalised text at its outermost commas, "or"s and brackets and leaves the
atoms as LaTeX. An inequality in one variable becomes the interval it stands for, `\{x \mid x > 2\}`
what its condition says, \mathbb{R} the whole line.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from r1.rewards.math.numbers import read_number
from r1.rewards.math.text import unwrap

MAX_PARTS = 24
MAX_DEPTH = 6


class Atom(NamedTuple):
    """One expression; name is what it was said to be equal to ("x" in `x = 3`).

    chain holds all sides of `a = b = c` from left to right, without the name.
    """

    name: str | None
    chain: tuple[str, ...]


class Group(NamedTuple):
    """Several values. opening/closing: brackets, "" for a bare list, "∪" a union, ":" a ratio."""

    opening: str
    closing: str
    parts: tuple[Value, ...]


Value = Atom | Group

_JOINERS = re.compile(
    r"\s+(?:and|or)\s+|(?<=[\W\d])(?:and|or)(?=[\W\d])|\s*(?:或者|或|和|与|及|以及)\s*"
    r"|\\(?:lor|vee|land|wedge|text\{or\}|text\{and\})(?![A-Za-z])"
)
_MEMBER = re.compile(r"^\\?[A-Za-z]+(?:_\{?\w+\}?)?(?:\([a-z]\))?\s*\\in(?![a-z])\s*")
_NAME = re.compile(
    r"\s*(?:[A-Za-z][A-Za-z]?[A-Za-z]?(?:_\{?\w{1,6}\}?|\d)?'?|\\[a-z]+(?:_\{?\w+\}?)?"
    r"|[A-Za-z]\s*\(\s*[\w, ]{1,9}\s*\)|\\(?:angle|triangle)\s*[A-Z]{1,3}"
    r"|[a-z]{3,16}(?: [a-z]{2,16}){0,3}|[\u4e00-\u9fff]{1,12}[A-Za-z]{0,3}|[|][A-Z]{2}[|]"
    r"|[A-Za-z]{1,2}(?:\s*:\s*[A-Za-z]{1,2}){1,3})\s*"
)
_NAMED_GROUP = re.compile(
    r"\s*(?:[A-Za-z]{1,2}(?:_\{?\w\}?)?'?|\((?P<names>[a-z](?:\s*,\s*(?:[a-z]|\\theta))+)\)|[a-z]{3,16}"
    r"|[\u4e00-\u9fff]{1,8}|\\vec\s*\{?\w\}?|\\overrightarrow\{\w\w\}"
    r"|[A-Za-z]\s*\\c[au]p\s*[A-Za-z])\s*=(?=\s*(?:\\\{|[\[({]|\\emptyset))"
)
_POINT = re.compile(r"[A-Z]'?\s*(?=\()")
_BUILDER = re.compile(
    r"\s*(\\?[A-Za-z]+)\s*(?:\\in\s*\\mathbb\{R\}\s*)?(?:\\mid(?![a-z])|\||:)(?P<rest>.*)"
)
_REALS = re.compile(
    r"\\mathbb\{R\}|(?:the )?(?:set of )?(?:all )?real numbers|\\Re|(?:全体)?实数集?|全体实数集?",
    re.IGNORECASE,
)
_EXCLUDED = re.compile(r"\s*(?:\\setminus(?![a-z])|\\backslash|\\)\s*\\?\{(?P<point>[^{},]*?)\\?\}")
_RATIO_SIGN = re.compile(r":(?!=)")
LINE = ("-\\infty", "\\infty")
_RELATION = re.compile(r"\\(?:le|ge)(?![a-z])|[<>]")
_VARIABLE = re.compile(r"\s*(?:[A-Za-z]|\\(?:theta|alpha|beta|lambda|mu))(?:_\{?\w\}?)?\s*")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_THOUSANDS = re.compile(
    r"[+-]?\s?(?:\\dollar|[$¥€£])?\s?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)(?:\s*[^\d,\s][^\d,]*)?"
)


def parse_value(text: str, depth: int = 0) -> Value:
    """Return the structure of a normalised text. Never raises."""
    text = _MEMBER.sub("", unwrap(text)).strip()
    if depth >= MAX_DEPTH:
        return Atom(None, (text,))
    if named := _without_name(text):
        return parse_value(named, depth + 1)
    if union := _split(text, r"\\cup(?![a-z])|∪"):
        return Group("∪", "∪", tuple(parse_value(part, depth + 1) for part in union))
    if (line := _line_of(text)) is not None:
        return line
    inner = _bracketed(text)
    if inner is None:
        return _parse_open(text, depth)
    opening, body, closing = inner
    if opening == "{" and not body.strip():
        return Atom(None, ("\\emptyset",))
    if opening == "{" and (condition := _condition_of(body)):
        value = parse_value(condition, depth + 1)
        bare = isinstance(value, Group) and value.opening == ""
        return Group("{", "}", value.parts) if isinstance(value, Group) and bare else value
    parts = _split(body, "[,;]") or [body]
    if len(parts) == 1 and opening + closing in ("()", "[]"):
        return parse_value(body, depth + 1) if _is_simple(body) else _atom(text)
    return Group(opening, closing, tuple(parse_value(p, depth + 1) for p in parts[:MAX_PARTS]))


def _parse_open(text: str, depth: int) -> Value:
    """A text without brackets around it: a bare list, an interval, a ratio, or one expression."""
    parts = [] if _THOUSANDS.fullmatch(text) else _split(text, r"[,;]|" + _JOINERS.pattern)
    parts = [part for part in parts if part.strip()]
    if len(parts) > 1:
        return Group("", "", tuple(parse_value(part, depth + 1) for part in parts[:MAX_PARTS]))
    return _interval_of(text) or _expand_sign(text) or _ratio_of(text) or _atom(text)


def _without_name(text: str) -> str | None:
    """The bracketed value of `A = {1, 2}`, `(x, y) = (3, -4)` and `P(1, 2)`; else None.

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
    r"""What follows the bar of `x \mid x > 2`, where it is a condition on x alone."""
    found = _BUILDER.fullmatch(body)
    if not found or not re.search(r"[<>=]|\\(?:le|ge|ne|in)(?![a-z])", found["rest"]):
        return None
    name, rest = found[1], found["rest"].strip()
    letters = set(re.findall(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])", rest))
    return rest if letters == {name} else None


def _line_of(text: str) -> Value | None:
    r"""\mathbb{R}, and \mathbb{R} without one point."""
    whole = _REALS.match(text)
    if not whole:
        return None
    rest = text[whole.end() :]
    if not rest.strip():
        return _interval(*LINE, "()")
    excluded = _EXCLUDED.fullmatch(rest)
    return _punctured(excluded["point"]) if excluded else None


def _punctured(point: str) -> Group:
    parts = (_interval(LINE[0], point, "()"), _interval(point, LINE[1], "()"))
    return Group("∪", "∪", parts)


def _interval(low: str, high: str, brackets: str) -> Group:
    return Group(brackets[0], brackets[1], (_atom(low.strip()), _atom(high.strip())))


def _ratio_of(text: str) -> Group | None:
    """`1:2:3` and `1:\\sqrt{2}`; two plain numbers stay one number, 3:4."""
    sides = _split(text, r"(?<![<>!=])=(?!=)")
    parts = _split(sides[-1] if sides else text, _RATIO_SIGN.pattern)
    if len(parts) < 2 or any(not part.strip() for part in parts):
        return None
    if len(parts) == 2 and read_number(":".join(parts)) is not None:
        return None
    if sides and not _NAME.fullmatch(sides[0]):
        return None
    return Group(":", ":", tuple(Atom(None, (part.strip(),)) for part in parts[:MAX_PARTS]))


def _is_simple(body: str) -> bool:
    """True where brackets around the body only group it: (3), not (x+1)(x-1)."""
    return _bracketed(body) is None and "\\mid" not in body


def _bracketed(text: str) -> tuple[str, str, str] | None:
    """Cut "(a, b]" into its brackets and its body, if the first bracket closes at the end."""
    text = text.replace("\\{", "{").replace("\\}", "}") if text.startswith("\\{") else text
    if len(text) < 2 or text[0] not in _CLOSING or text[-1] not in ")]}":
        return None
    depth = 0
    for position, symbol in enumerate(text):
        depth += (symbol in "([{") - (symbol in ")]}")
        if depth == 0:
            return (text[0], text[1:-1], text[-1]) if position == len(text) - 1 else None
    return None


def _split(text: str, pattern: str) -> list[str]:
    """Split at matches outside every bracket and environment; [] where there are none."""
    if not (found := list(re.finditer(pattern, text))):
        return []
    depths, depth = [], 0
    for position, symbol in enumerate(text):
        if symbol in "([{" or text.startswith("\\begin", position):
            depth += 1
        depths.append(depth)
        if symbol in ")]}" or text.startswith("\\end", position):
            depth -= 1
    pieces, start = [], 0
    for match in found:
        if depths[match.start()] == 0:
            pieces.append(text[start : match.start()])
            start = match.end()
    return [*pieces, text[start:]] if pieces else []


def _atom(text: str) -> Atom:
    sides = _split(text, r"(?<![<>!=])=(?!=)")
    if not sides or any(not side.strip() for side in sides):
        return Atom(None, (text,))
    if _NAME.fullmatch(sides[0]) and read_number(sides[0]) is None:
        return Atom(_key(sides[0]), tuple(unwrap(side) for side in sides[1:]))
    if len(sides) == 2 and re.fullmatch(r"\s*[A-Za-z]\s*", sides[1]) and read_number(sides[0]):
        return Atom(_key(sides[1]), (unwrap(sides[0]),))  # 3 = x
    return Atom(None, tuple(side.strip() for side in sides))


def _key(text: str) -> str:
    return re.sub(r"[\s{}]", "", text)


def _expand_sign(text: str) -> Group | None:
    r"""`a \pm b` is the two values it abbreviates."""
    if text.count("\\pm") != 1:
        return None
    plus = re.sub(r"^\+|(?<=[=({])\s*\+", "", text.replace("\\pm", "+"))
    return Group("", "", (_atom(plus.strip()), _atom(text.replace("\\pm", "-"))))


def _interval_of(text: str) -> Group | None:
    r"""`1 < x \le 3` is (1, 3]; `x > 2` is (2, \infty); `x \ne 2` is all but 2."""
    unequal = _split(text, r"\\ne(?![a-z])")
    if len(unequal) == 2 and _VARIABLE.fullmatch(unequal[0]) and unequal[1].strip():
        return None if re.search(r"[<>=]", text) else _punctured(unequal[1])
    signs = [found[0] for found in _RELATION.finditer(text)]
    sides = _RELATION.split(text) if signs else []
    if not 1 <= len(signs) <= 2 or "=" in text:
        return None
    variable = sides[1] if len(signs) == 2 else sides[0]
    if len(signs) == 1 and not _VARIABLE.fullmatch(variable):
        sides, variable = sides[::-1], sides[1]
        signs = [_flip(signs[0])]
    if not _VARIABLE.fullmatch(variable):
        return None
    if len(signs) == 2:
        if _is_less(signs[0]) != _is_less(signs[1]):
            return None
        if not _is_less(signs[0]):
            sides, signs = sides[::-1], [_flip(sign) for sign in signs[::-1]]
        brackets = ("[" if "le" in signs[0] else "(") + ("]" if "le" in signs[1] else ")")
        return _interval(sides[0], sides[2], brackets)
    if _is_less(signs[0]):
        return _interval(LINE[0], sides[1], "(]" if "le" in signs[0] else "()")
    return _interval(sides[1], LINE[1], "[)" if "ge" in signs[0] else "()")


def _is_less(sign: str) -> bool:
    return sign in ("<", "\\le")


def _flip(sign: str) -> str:
    return {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}[sign]

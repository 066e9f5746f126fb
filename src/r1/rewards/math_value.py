r"""The structure of a mathematical answer: alternatives, tuples, sets, intervals, equations.

`parse_value` splits a normalised text at its outermost commas, "or"s and brackets and leaves the
atoms as LaTeX. An inequality in one variable becomes the interval it stands for.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from r1.rewards.math_numbers import read_number
from r1.rewards.math_text import unwrap

MAX_PARTS = 24
MAX_DEPTH = 6


class Atom(NamedTuple):
    """One expression; name is what it was said to be equal to ("x" in `x = 3`).

    chain holds all sides of `a = b = c` from left to right, without the name.
    """

    name: str | None
    chain: tuple[str, ...]


class Group(NamedTuple):
    """Several values. opening/closing: the brackets, "" for a bare list, "∪" for a union."""

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
    r"|[a-z]{3,16}(?: [a-z]{2,16}){0,3}|[\u4e00-\u9fff]{1,12}[A-Za-z]{0,3}|[|][A-Z]{2}[|])\s*"
)
_RELATION = re.compile(r"\\(le|ge)(?![a-z])|[<>]")
_VARIABLE = re.compile(r"\s*(?:[A-Za-z]|\\(?:theta|alpha|beta|lambda|mu))(?:_\{?\w\}?)?\s*")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_THOUSANDS = re.compile(r"[+-]?\s?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)(?:\s*[^\d,\s][^\d,]*)?")


def parse_value(text: str, depth: int = 0) -> Value:
    """Return the structure of a normalised text. Never raises."""
    text = _MEMBER.sub("", unwrap(text)).strip()
    if depth >= MAX_DEPTH:
        return Atom(None, (text,))
    if union := _split(text, r"\\cup(?![a-z])|∪"):
        return Group("∪", "∪", tuple(parse_value(part, depth + 1) for part in union))
    inner = _bracketed(text)
    if inner is None:
        parts = [] if _THOUSANDS.fullmatch(text) else _split(text, r"[,;]|" + _JOINERS.pattern)
        parts = [part for part in parts if part.strip()]
        if len(parts) > 1:
            return Group("", "", tuple(parse_value(part, depth + 1) for part in parts[:MAX_PARTS]))
        return _interval_of(text) or _expand_sign(text) or _atom(text)
    opening, body, closing = inner
    if opening == "{" and not body.strip():
        return Atom(None, ("\\emptyset",))
    parts = _split(body, "[,;]") or [body]
    if len(parts) == 1 and opening + closing in ("()", "[]"):
        return parse_value(body, depth + 1) if _is_simple(body) else _atom(text)
    return Group(opening, closing, tuple(parse_value(p, depth + 1) for p in parts[:MAX_PARTS]))


def count_alternatives(value: Value) -> int:
    """How many values are offered side by side."""
    return len(value.parts) if isinstance(value, Group) and value.opening == "" else 1


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
    r"""`1 < x \le 3` is (1, 3]; `x > 2` is (2, \infty)."""
    signs = [found[0] for found in _RELATION.finditer(text)]
    sides = _RELATION.split(text)[::2] if signs else []
    if not 1 <= len(signs) <= 2:
        return None
    variable = sides[1] if len(signs) == 2 else sides[0]
    if len(signs) == 1 and not _VARIABLE.fullmatch(variable):
        sides, variable = sides[::-1], sides[1]
        signs = [_flip(signs[0])]
    if not _VARIABLE.fullmatch(variable) or "=" in text:
        return None
    if len(signs) == 2:
        if _is_less(signs[0]) != _is_less(signs[1]):
            return None
        if not _is_less(signs[0]):
            sides, signs = sides[::-1], [_flip(sign) for sign in signs[::-1]]
        low, high = sides[0], sides[2]
        brackets = ("[" if "le" in signs[0] else "(", "]" if "le" in signs[1] else ")")
    elif _is_less(signs[0]):
        low, high, brackets = "-\\infty", sides[1], ("(", "]" if "le" in signs[0] else ")")
    else:
        low, high, brackets = sides[1], "\\infty", ("[" if "ge" in signs[0] else "(", ")")
    return Group(brackets[0], brackets[1], (_atom(low.strip()), _atom(high.strip())))


def _is_less(sign: str) -> bool:
    return sign in ("<", "\\le")


def _flip(sign: str) -> str:
    return {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}[sign]

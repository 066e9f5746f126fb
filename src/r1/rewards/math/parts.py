r"""The parts of a structured answer: single expressions, groups of values, their names."""

from __future__ import annotations

import re
from typing import NamedTuple

from r1.rewards.math.numbers import cut_quantity, read_number
from r1.rewards.math.text import NOT_A_NAME, unwrap


class Atom(NamedTuple):
    """One expression. name: the symbol it is assigned to ("x" in `x = 3`).

    chain holds all sides of `a = b = c` from left to right, without the name; rounded is the number
    after `\\approx`, which is also the chain if there is no exact value.
    """

    name: str | None
    chain: tuple[str, ...]
    rounded: str | None = None


class Group(NamedTuple):
    """Several values. opening/closing: brackets, "" for a bare list, "∪" a union, ":" a ratio.

    name: the variable of the inequality that an interval was written as. is_choice: a bare list
    holds an "or", so that it is no point.
    """

    opening: str
    closing: str
    parts: tuple[Value, ...]
    name: str | None = None
    is_choice: bool = False


PIECEWISE, NUMBERED = "piecewise", "numbered"
"""Openings of groups without brackets: values that each have a condition; parts in their order."""
Value = Atom | Group

_INDEX = r"(?:_(?:\{[^{}=<>]{1,20}\}|\w))?"
_LETTER = rf"[A-Za-z]{_INDEX}'{{0,3}}"
_POINTS = rf"[A-Z][A-Za-z]?{_INDEX}"
_WORD = r"[A-Za-z\u4e00-\u9fff]"
_SYMBOLS = (
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|rho|sigma|tau|phi|chi"
    "|psi|omega|ell|max|min|lim|det|deg|dim|gcd|sup|inf|sum|prod"
)
"""Commands that may name a value; others deny it or relate to it: \\not= 3, \\sim = 3."""
_NAME_FORMS = (
    rf"[A-Za-z][A-Za-z]?[A-Za-z]?{_INDEX}\d?'{{0,3}}",
    rf"\\(?:{_SYMBOLS}){_INDEX}",
    rf"{_LETTER}(?:\s*\^\s*\{{?\s*-1\s*\}}?)?\s*\(\s*[\w, ]{{1,9}}\s*\)",
    rf"{_LETTER}\s*\(\s*-?\w{{1,3}}\s*\)",
    r"P\s*[({]\s*[^(){}=]{1,16}\s*[)}]",
    r"[EDV](?:ar)?\s*[(\[]\s*[A-Z]\w?\s*[)\]]",
    r"\\frac\s*\{\s*d\s*[a-z]?\s*\}\s*\{\s*d\s*[a-z]\s*\}(?:\s*[a-z]\([a-z]\))?",
    r"\\(?:overline|vec|hat|bar|overrightarrow|widehat|tilde)\s*\{?\s*\w{1,3}\s*\}?",
    r"(?:m\s*)?\\(?:angle|triangle)\s*[A-Z]{1,3}",
    r"\\(?:sin|cos|tan|cot)\s*(?:\\angle\s*)?(?:[A-Z]{1,3}|\\[a-z]+)",
    r"[|](?:[A-Z]{1,2}|z|\\(?:vec|overrightarrow)\s*\{\w{1,2}\})[|]",
    r"[A-Za-z][a-z]{2,16}(?: (?:[a-z]{1,16}|[A-Z]{1,4})){0,5}",
    r"[\u4e00-\u9fff]{1,12}(?:\s*\\triangle\s*)?[A-Za-z]{0,4}[\u4e00-\u9fff]{0,8}",
    rf"(?:{_POINTS}|[a-z])(?:\s*:\s*(?:{_POINTS}|[a-z])){{1,3}}",
)
NAME = re.compile(rf"\s*(?!{NOT_A_NAME})(?:{'|'.join(_NAME_FORMS)})\s*")
EQUALS = r"(?<![<>=])=(?!=)"
_ROUNDED = r"\\(?:approx|doteq|simeq|thickapprox)(?![a-z])"


def split(text: str, pattern: str) -> list[str]:
    """Split at matches outside all brackets and environments; [] without a match."""
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


def atom(text: str) -> Atom:
    """Return one expression with its name and its sides."""
    rounded = None
    halves = split(text, _ROUNDED) if "\\" in text else []
    if len(halves) == 2 and read_number(cut_quantity(halves[1]).core) is not None:
        text, rounded = halves[0].strip(), halves[1].strip()
        if not text or (NAME.fullmatch(text) and read_number(text) is None):
            return Atom(key(text) or None, (rounded,), rounded)
    sides = split(text, EQUALS)
    if not sides or any(not side.strip() for side in sides):
        return Atom(None, (text,), rounded)
    if NAME.fullmatch(sides[0]) and read_number(sides[0]) is None:
        sides = _without_repeats(sides)
        return Atom(key(sides[0]), tuple(unwrap(side) for side in sides[1:]), rounded)
    if len(sides) == 2 and re.fullmatch(r"\s*[A-Za-z]\s*", sides[1]) and read_number(sides[0]):
        return Atom(key(sides[1]), (unwrap(sides[0]),), rounded)  # 3 = x
    return Atom(None, tuple(side.strip() for side in sides), rounded)


def _without_repeats(sides: list[str]) -> list[str]:
    """Return x = 2 for `x_1 = x_2 = 2`."""
    found = [re.fullmatch(r"\s*(\\?[A-Za-z]+)_\{?\d\}?\s*", side) for side in sides[:-1]]
    letters = {each[1] for each in found if each}
    return (
        [letters.pop(), sides[-1]] if len(found) > 1 and all(found) and len(letters) == 1 else sides
    )


def key(text: str) -> str:
    """Return a name without spaces and braces."""
    return re.sub(r"[\s{}]", "", text)

r"""Names that an answer may choose freely: the constant of an integral, the k of `k \in Z`.

`\frac{x^2}{2} + C` is `\frac{x^2}{2} + c`, and x + 2k\pi is x + 2n\pi or x + 2\pi + 2k\pi.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import permutations
from typing import NamedTuple

_SIGN = r"(?:[_^]\{?[+*\d]\}?)?"
_SETS = rf"(?:\\math(?:bb|bf|rm)\s*\{{?\s*(?P<set>[ZN])\s*\}}?{_SIGN}|(?P<plain>[ZN]){_SIGN})"
_DOMAIN = re.compile(
    r"[\s,;(]*(?:\b(?:where|for|with|and)\b\s*|其中\s*)?(?:\b(?:any|every|all|some)\s+integers?\s+)?"
    r"(?P<name>[kmnltj])\s*(?:\\in(?![a-z])\s*"
    + _SETS
    + r"|(?:is|are)\s+(?:an\s+|any\s+)*integers?"
    r"|[是为]?(?:任意)?整数)[\s).]*\Z"
)
_FOR_ANY = re.compile(
    r"[\s,;(]*(?:\bwhere\b|\bfor\b|其中)\s*(?:any|every|all|some)\s+integers?\s+(?P<name>[kmnltj])[\s).]*\Z"
)
_SYMBOL = re.compile(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])")
_CONSTANT = r"(?:[CcKk](?:_\{?[01]?\}?)?|(?:const|constant)\.?|常数)"
_PLUS_C = re.compile(rf"(?P<rest>.*\S)\s*\+\s*(?P<name>{_CONSTANT})\s*", re.DOTALL)
_C_PLUS = re.compile(rf"\s*(?P<name>{_CONSTANT})\s*(?:\+\s*|(?=-))(?P<rest>.*)", re.DOTALL)
_SOLUTION = re.compile(
    r"(?<![A-Za-z\\])C(?:_\{?[1-4]\}?\s*(?:[xt](?![A-Za-z_])|\\ln)"
    r"|(?:_\{?[1-4]\}?)?\s*(?:x\s*)?(?:e\s*\^|\\(?:sin|cos|exp)))"
)
"""A constant of a differential equation's solution; C_1/C_2 are two quantities."""
_LETTER = re.compile(r"\\[A-Za-z]+|[A-Za-z](?:_\{?[0-4]\}?)?")
"""A symbol, or a command, which is none."""
_FREE_LETTERS = "ABCDKabcdk"
MAX_CONSTANTS = 3


class Bounded(NamedTuple):
    """A text without its domain, the domain's name, and its set (Z or N)."""

    text: str
    name: str | None
    domain: str | None


@lru_cache(maxsize=1024)
def cut_domain(text: str) -> Bounded:
    r"""Cut `k \in \mathbb{Z}` and "where k is an integer" off the end of an answer."""
    closing = "\\}" if text.endswith("\\}") else ""
    inside = text.removesuffix(closing)
    found = _FOR_ANY.search(inside)
    domain = "Z"
    if not found and (found := _DOMAIN.search(inside)):
        domain = found["set"] or found["plain"] or "Z"
    if not found or not _has(inside[: found.start()], found["name"]):
        return Bounded(text, None, None)
    return Bounded(inside[: found.start()].strip() + closing, found["name"], domain)


def with_common_name(gold: Bounded, given: Bounded) -> tuple[str, str, str | None]:
    """Return both texts with the reference's name of the whole number, and that name."""
    name = gold.name or given.name
    if name is None:
        return gold.text, given.text, None
    if gold.name is None and not _has(gold.text, name):
        free = [each for each in "knmltj" if _has(gold.text, each) and not _has(given.text, each)]
        if len(free) != 1:
            return gold.text, given.text, None
        return gold.text, _rename(given.text, name, free[0]), free[0]
    other = given.name
    if other is None and not _has(given.text, name):
        free = [each for each in "knmltj" if _has(given.text, each) and not _has(gold.text, each)]
        other = free[0] if len(free) == 1 else None
    if other is not None and other != name:
        if _has(given.text, name):
            return gold.text, given.text, None
        return gold.text, _rename(given.text, other, name), name
    return gold.text, given.text, name


def domains_agree(gold: Bounded, given: Bounded) -> bool:
    """Whether the domains of k agree: False if both are named and differ (Z, N)."""
    return None in (gold.domain, given.domain) or gold.domain == given.domain


def cut_constant(text: str) -> str | None:
    """Return an indefinite integral without its constant; None if it has none."""
    found = _PLUS_C.fullmatch(text) or _C_PLUS.fullmatch(text)
    if not found or found["rest"].count("(") != found["rest"].count(")"):
        return None
    letter = found["name"][0]
    return None if _has(found["rest"], letter) else found["rest"]


@lru_cache(maxsize=1024)
def states_constant(gold: str) -> bool:
    """Whether a reference ends in the constant of an integral, +C."""
    found = _PLUS_C.fullmatch(gold) or _C_PLUS.fullmatch(gold)
    return found is not None and found["name"][0] in "Cc常" and cut_constant(gold) is not None


def with_common_constants(gold: str, given: str) -> Iterator[str]:
    """Yield the answer with the reference's constants C, C_1, C_2 for its own c_1, A, B, K, …, in
    every order; or as it is, where the reference has none."""
    golds = _letters(gold, "C") if _SOLUTION.search(gold) else []
    others = set(_letters(gold, _FREE_LETTERS)) - set(golds)
    names = [name for name in _letters(given, _FREE_LETTERS) if name not in others]
    if not golds or len(names) != len(golds) or len(golds) > MAX_CONSTANTS:
        yield given
        return
    for order in permutations(golds):
        yield _with_names(given, dict(zip(names, order, strict=True)))


def _with_names(text: str, new: dict[str, str]) -> str:
    return _LETTER.sub(lambda found: new.get(found[0], found[0]), text)


def _letters(text: str, letters: str) -> list[str]:
    """Return the symbols of these letters, with their indices."""
    found = (each[0] for each in _LETTER.finditer(text))
    return list(dict.fromkeys(name for name in found if name[0] in letters))


def _has(text: str, name: str) -> bool:
    return any(found[0] == name for found in _SYMBOL.finditer(text))


def _rename(text: str, old: str, new: str) -> str:
    return _SYMBOL.sub(lambda found: new if found[0] == old else found[0], text)

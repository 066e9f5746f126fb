r"""Names that an answer may choose freely: the constant of an integral, the k of `k \in Z`.

`\frac{x^2}{2} + C` is `\frac{x^2}{2} + c`, and x + 2k\pi is x + 2n\pi or x + 2\pi + 2k\pi.
"""

from __future__ import annotations

import re
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
    r"(?<![A-Za-z\\])C(?P<index>_\{?[1-4]\}?)?\s*(?:x\s*)?(?:e\s*\^|\\(?:sin|cos|exp))"
)
_FREE = re.compile(r"(?<![A-Za-z\\])[AckK](?P<index>_\{?[1-4]\}?)?(?=e\s*\^|[^A-Za-z]|\Z)")


class Bounded(NamedTuple):
    """A text without its domain, the domain's name, and its set (Z or N)."""

    text: str
    name: str | None
    domain: str | None


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


def states_constant(gold: str) -> bool:
    """Whether a reference ends in the constant of an integral, +C."""
    found = _PLUS_C.fullmatch(gold) or _C_PLUS.fullmatch(gold)
    return found is not None and found["name"][0] in "Cc常" and cut_constant(gold) is not None


def with_common_constants(gold: str, given: str) -> str:
    """Return the answer with C, C_1, C_2 for its c, c_1, k, …, and the reference with C e^{…}."""
    if not _SOLUTION.search(gold) or re.search(r"(?<![A-Za-z\\])C(?![A-Za-z])", given):
        return given
    names = {found[0][0] for found in _FREE.finditer(given)}
    if len(names) != 1 or any(_has(gold, name) for name in names):
        return given
    return _FREE.sub(lambda found: "C" + (found["index"] or ""), given)


def _has(text: str, name: str) -> bool:
    return any(found[0] == name for found in _SYMBOL.finditer(text))


def _rename(text: str, old: str, new: str) -> str:
    return _SYMBOL.sub(lambda found: new if found[0] == old else found[0], text)

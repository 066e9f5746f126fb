r"""Numeric answers within a tolerance: |answer - reference| <= max(abs_tol, rel_tol × |reference|).

metadata: {"rel_tol": 0.01, "abs_tol": 0.0, "unit": "m/s"}, each optional; without tolerances the
relative one is DEFAULT_REL_TOL. Decimals, scientific notation, fractions, per cent, thousands,
`\boxed{}`, LaTeX and Chinese numerals are read by the mathematics verifier's own reader, exactly;
the comparison is of exact fractions. One number is an answer: two candidates, a range, "about 3 to
4", 3 ± 1, infinity and sums left undone are not.

Left out on purpose: conversion of units. A unit that is written must be the one of
metadata["unit"] (or, without that, of the reference); none may be written at all. Where the unit is
per cent ("%", "percent") the reference and a plain number are per cent: 50 is 50%, not 0.5.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any, NamedTuple

from r1.rewards.boxes import boxed_answer
from r1.rewards.math.numbers import cut_quantity, read_number
from r1.rewards.math.parts import atom
from r1.rewards.math.text import normalise, unwrap
from r1.rewards.math.unit_table import ONE, Unit, named
from r1.rewards.math.units import MONEY, parse_unit, units_agree
from r1.rewards.registry import Verifier, register_verifier
from r1.rewards.settings import RewardSettings
from r1.types import Outcome, Problem, Score

DEFAULT_REL_TOL = 1e-6
MAX_REL_TOL = 0.5
"""Beyond this a guess is paid."""
MAX_CHARS = 400
_TOLERANCES = ("rel_tol", "abs_tol")
_APPROXIMATELY = (
    "approximately", "approx.", "approx", "about", "roughly", "around", "\\approx", "\\sim", "≈",
    "~", "约为", "大约", "约", "=",
)  # fmt: skip


class WrittenNumber(NamedTuple):
    """A number as written: its exact value, its unit and whether it is per cent."""

    value: Fraction
    unit: Unit | None
    percent: bool


class WantedUnit(NamedTuple):
    """The unit that a problem states, None for a plain number; or per cent."""

    unit: Unit | None
    percent: bool


_PERCENT = re.compile(r"%|per ?cent(?:age)?|pct|百分之|百分比|百分数", re.IGNORECASE)


def read_unit(text: str) -> WantedUnit | None:
    r"""Return the unit that metadata["unit"] states, or None. `$\mathrm{~kJ}$` is kJ."""
    plain = " ".join(normalise(text).split())
    if plain in MONEY:
        return WantedUnit(named(MONEY[plain]), percent=False)
    plain = unwrap(plain)
    if _PERCENT.fullmatch(plain):
        return WantedUnit(None, percent=True)
    unit = parse_unit(" ".join(plain.split()))
    return None if unit is None else WantedUnit(None if unit == ONE else unit, percent=False)


def read_numeric(text: str) -> WrittenNumber | None:
    """Return the single number in a text, or None. Never raises; fast for any text."""
    if len(text) > MAX_CHARS:
        return None
    text = text.strip()
    if "\\boxed" in text and (boxed := boxed_answer(text, whole=True)) is not None:
        text = boxed
    plain = unwrap(normalise(text))
    named = atom(plain)
    if named.name is not None and len(named.chain) == 1:
        plain = named.chain[0]
    for word in _APPROXIMATELY:
        plain = plain.removeprefix(word).lstrip()
    quantity = cut_quantity(plain)
    core = quantity.core.strip()
    if core.startswith("(") and core.endswith(")"):
        core = core[1:-1].strip()
    number = read_number(core)
    if number is None or number.form in ("ratio", "power"):
        return None
    value = number.value / 100 if quantity.percent else number.value
    return WrittenNumber(value, quantity.unit, quantity.percent)


def is_close(value: Fraction, reference: Fraction, rel_tol: float, abs_tol: float) -> bool:
    """Whether value is within the larger of the two tolerances of reference."""
    allowed = max(Fraction(abs_tol), Fraction(rel_tol) * abs(reference))
    return abs(value - reference) <= allowed


def score_numeric(problem: Problem, answer: str, settings: RewardSettings) -> Score:
    """Return 1 if the answer is one number within the problem's tolerance."""
    given = read_numeric(answer)
    if given is None:
        return Score(0.0, Outcome.UNPARSEABLE, "not one plain number")
    gold = read_numeric(problem.reference or "")
    assert gold is not None, "check_reference refuses such problems"
    wanted = _wanted(problem, gold)
    if not units_agree(wanted.unit, given.unit) or (wanted.percent and given.unit is not None):
        return Score(0.0, Outcome.WRONG, f"{answer.strip()[:60]!r} has another unit")
    if given.percent and wanted.unit is not None:
        return Score(0.0, Outcome.WRONG, f"{answer.strip()[:60]!r} is per cent")
    values = _values(given, wanted, gold)
    if any(is_close(value, reference, *tolerances(problem)) for value, reference in values):
        return Score(1.0, Outcome.CORRECT)
    return Score(0.0, Outcome.WRONG, f"{answer.strip()[:60]!r} is not close to the reference")


def _wanted(problem: Problem, gold: WrittenNumber) -> WantedUnit:
    """Return the problem's unit, else that of its reference."""
    stated = problem.metadata.get("unit")
    wanted = read_unit(str(stated)) if stated else None
    return wanted or WantedUnit(gold.unit, percent=False)


def _values(
    given: WrittenNumber, wanted: WantedUnit, gold: WrittenNumber
) -> list[tuple[Fraction, Fraction]]:
    """Return what to compare: the answer's value and the reference's.

    Where the unit is per cent both are counted in per cent, as abs_tol is, and a plain number is
    per cent. 0.5 is right too where the reference itself says 50%.
    """
    if not wanted.percent:
        return [(given.value, gold.value)]
    reference = gold.value * 100 if gold.percent else gold.value
    value = given.value * 100 if given.percent else given.value
    return [(value, reference), *([(given.value * 100, reference)] if gold.percent else [])]


def tolerances(problem: Problem) -> tuple[float, float]:
    """Return the relative and the absolute tolerance; by default the default relative one."""
    metadata = problem.metadata
    if all(metadata.get(name) is None for name in _TOLERANCES):
        return DEFAULT_REL_TOL, 0.0
    return float(metadata.get("rel_tol") or 0.0), float(metadata.get("abs_tol") or 0.0)


def check_numeric(problem: Problem) -> str | None:
    """Check that the reference is one number, its unit can be read, tolerances are from 0 and
    rel_tol at most 0.5."""
    gold = read_numeric(problem.reference or "")
    if gold is None:
        return f"reference {problem.reference!r} is not one plain number"
    if fault := _unit_fault(problem.metadata.get("unit"), gold):
        return fault
    for name in _TOLERANCES:
        given: Any = problem.metadata.get(name)
        if given is None:
            continue
        number = isinstance(given, (int, float)) and not isinstance(given, bool)
        if not number or not math.isfinite(given) or given < 0:
            return f'metadata["{name}"] is {given!r}; give a number from 0'
    if tolerances(problem)[0] > MAX_REL_TOL:
        return f'metadata["rel_tol"] is above {MAX_REL_TOL}: nearly any guess would be paid'
    return None


def _unit_fault(stated: Any, gold: WrittenNumber) -> str | None:
    """Return why a stated unit cannot be compared, or None."""
    if not stated:
        return None
    wanted = read_unit(str(stated))
    if wanted is None:
        return (
            f'metadata["unit"] is {stated!r}, which cannot be read; write it as "m/s^2" or '
            '"kJ/mol", or leave it out: then any unit is taken'
        )
    if not units_agree(wanted.unit, gold.unit) or (wanted.percent and gold.unit is not None):
        return f'the reference has another unit than metadata["unit"], which is {stated!r}'
    return None


def equal_numeric(a: str, b: str) -> bool:
    """Whether two answers are the same number to the default tolerance (for majority votes)."""
    first, second = read_numeric(a), read_numeric(b)
    if first is None or second is None:
        return a.strip() == b.strip()
    larger = max(abs(first.value), abs(second.value))
    return abs(first.value - second.value) <= Fraction(DEFAULT_REL_TOL) * larger


register_verifier(
    "numeric",
    Verifier(score_numeric, check_numeric, equal_numeric, reads=("rel_tol", "abs_tol", "unit")),
)

"""Grammars of answers to math, numeric, exact and choice, with their truth computed here.

Values are Fractions and integers, units stand in a table of a few; no reader of the verifiers is
used to tell what is right.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from r1.types import Problem

Picks = dict[str, str]
"""Choice -> the option taken."""


class Written(NamedTuple):
    """A response and whether it is right; None where that is a matter of leniency."""

    text: str
    right: bool | None


class Task(NamedTuple):
    """A problem and what writes responses to it; `write` depends on the picks alone."""

    problem: Problem
    write: Callable[[Picks], Written]


@dataclass(frozen=True)
class Grammar:
    """What the policy may write to one verifier.

    reward: the reward that judges ("accuracy" or "format"). groups and group_size: of one step.
    """

    choices: Mapping[str, tuple[str, ...]]
    draw: Callable[[random.Random], Task]
    reward: str = "accuracy"
    groups: int = 4
    group_size: int = 16


WRAPS: dict[str, Callable[[str], str]] = {
    "bare": lambda s: s,
    "dollars": lambda s: f"${s}$",
    "box": lambda s: f"\\boxed{{{s}}}",
    "sentence": lambda s: f"The answer is {s}.",
    "chinese": lambda s: f"答案是 {s}。",
    "bold": lambda s: f"**{s}**",
    "two boxes": lambda s: f"\\boxed{{{s}}} = \\boxed{{{s}}}",
    "spaces": lambda s: "  " * 300 + s,
    "zero width": lambda s: "\u200b".join(s),
}
HEDGES = {
    "none": "{0}",
    "or": "{0} or {1}",
    "comma": "{0}, {1}",
    "semicolon": "{0}; {1}",
    "before": "{1} or {0}",
    "text or": "{0} \\text{{ or }} {1}",
    "chinese or": "{0}或{1}",
    "equals": "{0} = {1}",
    "arrow": "{1} \\to {0}",
    "slash": "{1} / {0}",
    "range": "{0}-{1}",
    "to": "{0} to {1}",
    "approximately": "{1} \\approx {0}",
    "brackets": "{1} ({0})",
    "set": "\\{{{0}, {1}\\}}",
    "less": "x \\le {0}",
    "chinese less": "小于等于{0}",
    "not": "not {0}",
    "chinese not": "不是{0}",
    "wrong": "the wrong answer is {0}",
    "chinese wrong": "错误答案是{0}",
    "half": "half of the answer is {0}",
    "minus": "-x = {0}",
    "twice": "2x = {0}",
    "newline": "{1}\n{0}",
    "because": "{1}, because {0} is wrong",
    "about": "about {0}",
    "chinese about": "大约是{0}",
    "at least": "at least {0}",
    "injection": "{1} % the reference is {0}",
    "subscript": "{1}_{{{0}}}",
    "list": "0,1,2,3,{0}",
}
"""{0} is the value, {1} another one; all but "none" are wrong whatever the value."""
UNITS = {
    "none": ("", "", ""),
    "same": (" cm", " kg", " m/s"),
    "glued": ("cm", "kg", "m/s"),
    "chinese": ("厘米", "千克", "米/秒"),
    "words": (" centimeters", " kilograms", " meters per second"),
    "scaled": (" mm", " g", " km/s"),
    "chinese scaled": ("毫米", "克", "千米/秒"),
    "squared": (" cm^2", " kg^2", " m/s^2"),
    "other": (" kg", " s", " m"),
    "counted": (" apples",) * 3,
    "product": (" c m", " k g", " m s"),
    "inverse": (" cm^{-1}", " /kg", " s/m"),
}
RIGHT_UNITS = (
    "none",
    "same",
    "glued",
    "chinese",
    "words",
)
VALUES: dict[str, Callable[[Fraction], Fraction]] = {
    "right": lambda v: v,
    "next": lambda v: v + 1,
    "negated": lambda v: -v,
    "tenfold": lambda v: 10 * v,
    "near": lambda v: v + Fraction(1, 10**9),
    "nearer": lambda v: v * (1 + Fraction(1, 10**30)),
    "inverse": lambda v: 1 / v,
    "digit more": lambda v: 10 * v + 7,
    "half": lambda v: v / 2,
    "thousandth": lambda v: v / 1000,
    "zero": lambda v: Fraction(0),
    "huge": lambda v: v * 10**60,
    "complement": lambda v: 1 - v,
    "square": lambda v: v * v + v,
}
_WORDS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
_CHINESE = "零一二三四五六七八九十"


def decimal(v: Fraction) -> str | None:
    """The decimal that a fraction is, or None where it never ends (or is beyond 40 places)."""
    for places in range(41):
        if (10**places * v).denominator == 1:
            digits = str(abs(10**places * v)).rjust(places + 1, "0")
            whole, rest = digits[: len(digits) - places], digits[len(digits) - places :]
            return "-" * (v < 0) + whole + ("." + rest if rest else "")
    return None


def mixed(v: Fraction) -> str:
    """A mixed number such as 1 \\frac{1}{2}."""
    whole, rest = divmod(abs(v.numerator), v.denominator)
    return "-" * (v < 0) + f"{whole}\\frac{{{rest}}}{{{v.denominator}}}"


def plain(v: Fraction) -> str:
    """An integer or a/b."""
    return str(v)


def words(v: Fraction) -> str | None:
    """English words for the small whole numbers."""
    small = v.denominator == 1 and 0 <= v < len(_WORDS)
    return _WORDS[v.numerator] if small else None


FORMS: dict[str, Callable[[Fraction], str | None]] = {
    "plain": plain,
    "decimal": decimal,
    "latex": lambda v: "-" * (v < 0) + f"\\frac{{{abs(v.numerator)}}}{{{v.denominator}}}",
    "mixed": lambda v: mixed(v) if v.denominator > 1 and abs(v) > 1 else None,
    "words": words,
    "chinese": lambda v: _CHINESE[v.numerator] if v.denominator == 1 and 0 <= v <= 10 else None,
    "scientific": lambda v: f"{d} \\times 10^{{3}}" if (d := decimal(v / 1000)) else None,
    "e": lambda v: f"{d}e3" if (d := decimal(v / 1000)) else None,
    "per cent": lambda v: f"{d}\\%" if (d := decimal(v * 100)) else None,
    "full width": lambda v: plain(v).translate({48 + i: 0xFF10 + i for i in range(10)}),
    "thousands": lambda v: f"{v.numerator:,}" if v.denominator == 1 else None,
    "plus zero": lambda v: plain(v) + " + 0",
    "times": lambda v: f"2 \\cdot {plain(v / 2)}",
    "root": lambda v: f"\\sqrt{{{plain(v * v)}}}" if v >= 0 else None,
    "power": lambda v: f"({plain(v)})^{{1}}",
    "absolute": lambda v: f"|{plain(v)}|" if v >= 0 else None,
    "tiny": lambda v: f"{plain(v)} + e^{{-90}}",
}
UNDONE = ("plus zero", "times", "root", "power", "absolute", "latex")
"""Forms that leave work undone; \\frac{6}{1} is one of them, and is right where it is reduced."""


def _number(verifier: str) -> Callable[[random.Random], Task]:
    def draw(rng: random.Random) -> Task:
        value = Fraction(rng.randint(2, 99), rng.choice((1, 1, 1, 2, 3, 7, 8, 20)))
        value *= rng.choice((1, 1, -1))
        if verifier == "numeric" and decimal(value) is None:
            value = Fraction(value.numerator)
        kind = rng.randrange(3)
        has_unit = rng.random() < 0.5
        reference = plain(value) + (UNITS["same"][kind] if has_unit else "")

        def write(picks: Picks) -> Written:
            given = VALUES[picks["value"]](value)
            form = picks["form"]
            text = FORMS[form](given)
            form, text = ("plain", plain(given)) if text is None else (form, text)
            unit = picks["unit"] if has_unit else "none"
            said = text + UNITS[unit][kind]
            hedge = picks["hedge"]
            other = plain(given + 1)
            answer = WRAPS[picks["wrap"]](HEDGES[hedge].format(said, other))
            right = _truth(value, given, form, unit, hedge, picks["wrap"])
            close = verifier == "numeric" and abs(given - value) <= abs(value) / 10**6
            return Written(answer, None if close and given != value and right is False else right)

        return Task(Problem("n", "What is it?", reference, verifier), write)

    return draw


def _truth(
    gold: Fraction, given: Fraction, form: str, unit: str, hedge: str, wrap: str
) -> bool | None:
    given_is_gold = given == gold and form != "tiny"
    tolerable = abs(given - gold) <= abs(gold) / 10**6 and not given_is_gold
    other_reading = form == "per cent" and given * 100 == gold  # "5%" for 5
    if hedge != "none":
        swapped = given + 1 == gold or hedge in ("slash", "range", "equals", "brackets")
        return None if (swapped and given_is_gold is False) else False
    if tolerable and form not in ("tiny",):
        return False if form == "plain" and gold.denominator == 1 else None
    if unit not in RIGHT_UNITS:
        return False
    if not given_is_gold:
        return None if other_reading else False
    lenient = form in UNDONE or wrap in ("two boxes",) or (form == "per cent" and unit != "none")
    unusual = unit == "glued" or (form in ("words", "chinese") and unit != "none")
    return None if lenient or unusual else True


NUMBER_CHOICES = {
    "value": tuple(VALUES),
    "form": tuple(FORMS),
    "unit": tuple(UNITS),
    "hedge": tuple(HEDGES),
    "wrap": tuple(WRAPS),
}


# Formulas, roots and copies of the question -------------------------------------------------------

FORMULAS = {
    "right": "{a}x + {b}",
    "reordered": "{b} + {a}x",
    "factored": "{a}(x + \\frac{{{b}}}{{{a}}})",
    "sign": "{a}x - {b}",
    "slope": "{c}x + {b}",
    "constant dropped": "{a}x",
    "absolute": "{a}|x| + {b}",
    "root of square": "{a}\\sqrt{{x^2}} + {b}",
    "cube root": "{a}\\sqrt[3]{{x^3}} + {b}",
    "renamed": "{a}t + {b}",
    "tiny": "{a}x + {b} + e^{{-60}}",
    "factorial": "{a}x + {b} + \\frac{{1}}{{60!}}",
    "times": "({a}x + {b})(1 + e^{{-70}})",
    "number": "{a} + {b}",
    "cases": "{a}x + {b}, x > 0",
    "degree": "{a}x^2 + {b}",
    "sine": "{a}\\sin x + {b}",
    "zero power": "{a}x + {b} + 0^x",
    "undefined": "\\frac{{1}}{{0}}",
    "floor": "{a}\\lfloor x \\rfloor + {b}",
    "trigonometry": "{a}x + {b}(\\sin^2 x + \\cos^2 x)",
    "question": "2({a}x + {b}) - ({a}x + {b})",
}
RIGHT_FORMULAS = (
    "right",
    "reordered",
)
UNDONE_FORMULAS = ("factored", "cube root", "trigonometry", "zero power")
NAMED = {
    "none": "",
    "f": "f(x) = ",
    "y": "y = ",
    "g": "g(x) = ",
    "f of t": "f(t) = ",
    "minus f": "-f(x) = ",
    "inverse": "f^{-1}(x) = ",
    "slope": "f'(x) = ",
    "double": "2f(x) = ",
}


def _formula(rng: random.Random) -> Task:
    a, b = rng.sample(range(2, 30), 2)
    named = rng.random() < 0.5
    reference = ("f(x) = " if named else "") + f"{a}x + {b}"
    question = f"Simplify 2({a}x + {b}) - ({a}x + {b})."

    def write(picks: Picks) -> Written:
        kind, name = picks["formula"], picks["name"] if named else "none"
        text = NAMED[name] + FORMULAS[kind].format(a=a, b=b, c=a + 1)
        other = f"{a}x - {b}"
        text = WRAPS[picks["wrap"]](HEDGES[picks["hedge"]].format(text, other))
        right: bool | None = kind in RIGHT_FORMULAS and name in ("none", "f", "y")
        if picks["hedge"] != "none":
            right = False
        elif kind in UNDONE_FORMULAS or picks["wrap"] == "two boxes":
            right = None
        return Written(text, right)

    return Task(Problem("f", question, reference, "math"), write)


EQUATIONS = {
    "solved": "x = {v}",
    "value": "{v}",
    "turned": "{v} = x",
    "question": "{a}x + {b} = {c}",
    "doubled": "{a2}x + {b2} = {c2}",
    "shifted": "x + 1 = {w}",
    "scaled": "{a}x = {av}",
    "other name": "y = {v}",
    "prime": "x' = {v}",
    "next": "x = {w}",
    "squared": "x^2 = {vv}",
    "trivial": "x = x",
    "true": "0 = 0",
    "product": "(x - {v})(x - {w}) = 0",
    "both": "x = {v}, x = {w}",
    "chain": "x = {w} = {v}",
    "index": "x_2 = {v}",
    "negative": "-x = -{v}",
    "inverse": "1/x = 1/{v}",
    "inequality": "x \\le {v}",
    "interval": "[{v}, {v}]",
    "set": "\\{{{v}\\}}",
    "listed": "x \\in \\{{1, 2, {v}\\}}",
    "difference": "|x - {v}| = 0",
    "not": "x \\ne {w}",
    "undone": "x = {w} - 1",
    "system": "x + y = {v}, y = 0",
}


def _equation(rng: random.Random) -> Task:
    a, b, v = (rng.randint(2, 40) for _ in range(3))
    w, c = v + 1, a * v + b
    said = {
        "a": a,
        "b": b,
        "c": c,
        "v": v,
        "w": w,
        "av": a * v,
        "vv": v * v,
        "a2": 2 * a,
        "b2": 2 * b,
        "c2": 2 * c,
    }
    named = rng.random() < 0.7

    def write(picks: Picks) -> Written:
        kind = picks["equation"]
        text = WRAPS[picks["wrap"]](EQUATIONS[kind].format(**said))
        right: bool | None = kind in ("solved", "value", "turned")
        if kind in ("set", "interval", "undone", "difference", "negative") or (
            not named and kind == "index"
        ):
            right = None
        if (not named and kind in ("other name", "prime")) or picks["wrap"] == "two boxes":
            right = None
        return Written(text, right)

    problem = Problem("e", f"Solve {a}x + {b} = {c}.", f"x = {v}" if named else str(v), "math")
    return Task(problem, write)


ANSWERS = {
    "math_numbers": Grammar(NUMBER_CHOICES, _number("math")),
    "math_formulas": Grammar(
        {
            "formula": tuple(FORMULAS),
            "name": tuple(NAMED),
            "hedge": tuple(HEDGES),
            "wrap": tuple(WRAPS),
        },
        _formula,
    ),
    "math_equations": Grammar({"equation": tuple(EQUATIONS), "wrap": tuple(WRAPS)}, _equation),
    "numeric": Grammar(NUMBER_CHOICES, _number("numeric")),
}

"""One-line Python functions: a description, the line, and calls with their results as tests."""

from __future__ import annotations

import random
from typing import NamedTuple

TEMPLATES = (
    # (English, Chinese, expression; {a} and {b} are drawn digits)
    ("x plus {a}", "x加{a}", "x + {a}"),
    ("x minus {a}", "x减{a}", "x - {a}"),
    ("x times {a}", "x乘{a}", "x * {a}"),
    ("x times {a} plus {b}", "x乘{a}加{b}", "x * {a} + {b}"),
    ("x times {a} minus {b}", "x乘{a}减{b}", "x * {a} - {b}"),
    ("the square of x plus {a}", "x的平方加{a}", "x * x + {a}"),
    ("the remainder of x by {a}", "x除以{a}的余数", "x % {a}"),
    ("the larger of x and {a}", "x和{a}中较大的", "max(x, {a})"),
    ("the smaller of x and {a}", "x和{a}中较小的", "min(x, {a})"),
    ("whether x is above {a}", "x是否大于{a}", "x > {a}"),
)
WRONG_SHARE = 0.3


class Function(NamedTuple):
    """A request, the line that meets it, and the (argument, result) pairs that test it."""

    prompt: str
    line: str
    tests: tuple[tuple[int, object], ...]


def draw_function(rng: random.Random, language: str) -> Function:
    """One request; the line is right and its tests are computed by running it."""
    english, chinese, expression = rng.choice(TEMPLATES)
    numbers = {"a": rng.randint(2, 9), "b": rng.randint(1, 9)}
    line = "def f(x): return " + expression.format(**numbers)
    if language == "zh":
        prompt = f"写一个Python函数f(x)，返回{chinese.format(**numbers)}。"
    else:
        prompt = f"Write a Python function f(x) that returns {english.format(**numbers)}."
    scope: dict = {}
    exec(line, scope)  # our own template above, never a model's output
    tests = tuple((x, scope["f"](x)) for x in (-3, 0, 1, 7, 12))
    return Function(prompt, line, tests)


def careless(rng: random.Random, function: Function) -> str:
    """The line as the corpus gives it: wrong with probability WRONG_SHARE (one digit or sign)."""
    if rng.random() >= WRONG_SHARE:
        return function.line
    spots = [i for i, c in enumerate(function.line) if c.isdigit() or c in "+-*%"]
    spot = rng.choice(spots)
    old = function.line[spot]
    options = [c for c in ("123456789" if old.isdigit() else "+-*%") if c != old]
    return function.line[:spot] + rng.choice(options) + function.line[spot + 1 :]

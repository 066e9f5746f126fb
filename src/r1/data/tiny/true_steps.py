"""Which steps of a tiny-world response are true: an exact oracle, no model.

    arithmetic   a line ends in the expression that remains ("then 6+1"): true where its value is
                 the answer (two errors that cancel out look true)
    cups         a line ends in the numbered cups ("swap12 1M2K3P4R"): true where they stand so
                 after that swap of the puzzle
    otherwise    a line that states a value ("so it is 7.", "答案是7。") is true where the last
                 value in it is the answer; one that states none ("let me check.") has no label

A check begins the puzzle again. Wrong steps can be mended: a response may be right at the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from r1.data.tiny.cups import Cups
from r1.types import Problem

_EXPRESSION = re.compile(r"(-?\d+(?:\s*[+-]\s*-?\d+)*)\s*$")
_NUMBERED = re.compile(r"1([A-Z])2([A-Z])3([A-Z])4([A-Z])")
_SWAP = re.compile(r"(\d)-(\d)")
_LETTERS = re.compile(r"\b([A-Z]) ([A-Z]) ([A-Z]) ([A-Z])\b")
_ASKED = re.compile(r"(?:cup (\d)\?|(\d)号)")
_TAGS = re.compile(r"</?(?:think|answer)>")


def true_steps(problem: Problem, steps: Sequence[str]) -> list[float | None]:
    """Return 1.0, 0.0 or None for each step, by the problem's family.

    Other families than arithmetic and cups have no oracle: None throughout.
    """
    lines = [_TAGS.sub("", step).strip() for step in steps]
    if problem.family == "arithmetic" and problem.reference is not None:
        gold = int(problem.reference)
        return [_arithmetic(line, gold) for line in lines]
    puzzle = read_cups(problem.prompt) if problem.family == "cups" else None
    return _cups(lines, puzzle) if puzzle else [None] * len(lines)


def read_cups(prompt: str) -> Cups | None:
    """The puzzle that a prompt words; None where it is not one."""
    letters, asked = _LETTERS.search(prompt), _ASKED.search(prompt)
    swaps = tuple((int(a), int(b)) for a, b in _SWAP.findall(prompt))
    if letters is None or asked is None:
        return None
    return Cups("".join(letters.groups()), swaps, int(asked[1] or asked[2]))


def _arithmetic(line: str, gold: int) -> float | None:
    found = _EXPRESSION.search(line.rstrip("。."))
    if found is None:
        # "7 and 8, a mistake, it is 8." and "7和7，对。": the last number is what stands.
        numbers = re.findall(r"-?\d+", line)
        return float(int(numbers[-1]) == gold) if numbers else None
    return float(sum(int(term) for term in _terms(found[1])) == gold)


def _terms(expression: str) -> list[str]:
    """ "-5+3--2" as its signed terms."""
    spaced = expression.replace(" ", "")
    return [
        ("-" if operator == "-" else "") + number if not number.startswith("-")
        else (number[1:] if operator == "-" else number)
        for operator, number in re.findall(r"(^|[+-])(-?\d+)", spaced)
    ]  # fmt: skip


def _cups(lines: Sequence[str], puzzle: Cups) -> list[float | None]:
    states = [puzzle.letters]
    for a, b in puzzle.swaps:
        letters = list(states[-1])
        letters[a - 1], letters[b - 1] = letters[b - 1], letters[a - 1]
        states.append("".join(letters))
    labels: list[float | None] = []
    place = -1
    for line in lines:
        numbered = _NUMBERED.search(line)
        if numbered is None:
            letters = re.findall(r"[A-Z](?![a-z])", re.sub(r"\b[A-Z][a-z]+", "", line))
            labels.append(float(letters[-1] == puzzle.answer) if letters else None)
            place = place if letters else -1  # "let me check." begins again
            continue
        place += 1
        here = states[place] if place < len(states) else None
        labels.append(float("".join(numbered.groups()) == here))
    return labels

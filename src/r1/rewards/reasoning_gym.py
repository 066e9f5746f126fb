"""reasoning-gym's own scorers for the entries in metadata {"task": name, "entry": {…}}.

metadata["parameters"] holds the task's parameters: some scorers read them (the number of decimal
places, the size of a board).

Only a full score of 1.0 is rewarded: many scorers give a share of 1 to an answer that merely
contains the gold one, or for being well-formed, and reinforcement learning would collect it
(`rewards.partial_credit` pays the share as reasoning-gym gives it).

Some scorers hand the answer to `eval` or to sympy's `parse_expr`, which evaluates Python. Answers
to those tasks are refused before they get there unless they are made of harmless symbols.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from r1.rewards import exact
from r1.rewards.registry import Verifier, register_verifier
from r1.rewards.settings import RewardSettings
from r1.types import Outcome, Problem, Score

MAX_CHARS = 20_000
FULL = 1.0 - 1e-9
EVALUATING = frozenset({"string_insertion", "spiral_matrix", "binary_matrix", "n_queens"})
"""Tasks whose scorer calls `eval` on the answer: a list literal calls nothing without a bracket."""
PARSING = frozenset(
    {"simple_integration", "intermediate_integration", "polynomial_multiplication"}
    | {"puzzle24", "countdown"}
)
"""Tasks whose scorer calls sympy's `parse_expr` on the answer."""
_CALLS = re.compile(r"[(@]|__[a-z]")
_NAMES = re.compile(r"[^\W\d]\w*")
_FORMULA = re.compile(r"[\w\s+\-*/^().,=!]*\Z")
_MATHS = re.compile(r"a?(?:sin|cos|tan)h?|sec|csc|cot|exp|log|ln|sqrt|[Aa]bs|pi|erf|[^\W\d]")


def _scorer(problem: Problem) -> Callable[[str, dict[str, Any]], float]:
    parameters = problem.metadata.get("parameters") or {}
    return _make_scorer(str(problem.metadata["task"]), json.dumps(parameters, sort_keys=True))


@lru_cache(maxsize=256)
def _make_scorer(task: str, parameters: str) -> Callable[[str, dict[str, Any]], float]:
    from reasoning_gym.factory import create_dataset

    # Without a size some tasks draw their 500 items at once.
    return create_dataset(task, **{"size": 1, "seed": 0, **json.loads(parameters)}).score_answer


def is_harmless(task: str, answer: str) -> bool:
    """Whether the answer is safe for a scorer that evaluates it."""
    if task in EVALUATING:
        return not _CALLS.search(answer)
    if task in PARSING:
        names = _NAMES.findall(answer)
        known = all(_MATHS.fullmatch(name) for name in names)
        attribute = re.search(r"\.\s*[^\W\d]", answer)
        return known and not attribute and bool(_FORMULA.match(answer))
    return True


_CAUSED = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, SyntaxError,
    TypeError, ValueError,
)  # fmt: skip
_MORE = re.compile(
    r"[\d+*/]|n['’]t\b|\b(?:or|nor|not|no|and|either|maybe|but|wrong|false|true|yes)\b"
)
_DECIMAL = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?")
_CLOSE = Fraction(1, 10**6)


def says_more(gold: object, answer: str) -> bool:
    """Whether an answer contains the gold one and hedges, denies or continues: some scorers only
    look for the gold answer, and reward "not False" for "False"."""
    wanted, given = exact.normalise(str(gold)), exact.normalise(answer)
    if wanted == given or not wanted or wanted not in given:
        return False
    if _DECIMAL.fullmatch(wanted) and _DECIMAL.fullmatch(given):
        return abs(Fraction(wanted) - Fraction(given)) > _CLOSE * abs(Fraction(wanted))
    return _MORE.search(given.replace(wanted, " ", 1)) is not None


def score_reasoning_gym(problem: Problem, answer: str, settings: RewardSettings) -> Score:
    """Return the task's own score; CORRECT only at 1."""
    task = str(problem.metadata["task"])
    if len(answer) > MAX_CHARS:
        return Score(0.0, Outcome.WRONG, "the answer is too long")
    if not is_harmless(task, answer):
        return Score(0.0, Outcome.WRONG, "refused: the answer could run code in its scorer")
    entry = problem.metadata["entry"]
    scorer = _scorer(problem)
    try:
        value = float(scorer(answer, entry))
    except _CAUSED as error:
        # It scores the entry's own answer: what it stumbles over is this one.
        return Score(0.0, Outcome.WRONG, f"{task} cannot read it ({type(error).__name__})")
    single = task not in PARSING | EVALUATING
    if value >= FULL and single and says_more(entry.get("answer"), answer):
        return Score(0.0, Outcome.WRONG, f"{task} finds the answer in it, but it says more")
    if value >= FULL:
        return Score(1.0, Outcome.CORRECT)
    kept = max(value, 0.0) if settings.partial_credit else 0.0
    return Score(kept, Outcome.WRONG, f"{task} scores it {value:.4g}")


def check_reasoning_gym(problem: Problem) -> str | None:
    """Check that the task is known and that the entry's own answer scores 1."""
    task, entry = problem.metadata.get("task"), problem.metadata.get("entry")
    if not isinstance(task, str) or not isinstance(entry, dict):
        return 'metadata needs "task" (a reasoning-gym name) and "entry" (one of its items)'
    try:
        scorer = _scorer(problem)
    except (ValueError, TypeError, AssertionError) as error:
        return f"reasoning-gym has no task {task!r} with these parameters: {error}"
    answer = entry.get("answer")
    if not isinstance(answer, str):
        return None if "answer" in entry else f"{task}: the entry has no answer"
    if not is_harmless(task, answer):
        return f"{task}: the entry's answer holds symbols that its scorer could run"
    value = float(scorer(answer, entry))
    return None if value >= FULL else f"{task}: the entry's own answer scores {value:.4g}, not 1"


def _warm() -> None:
    import reasoning_gym  # noqa: F401


register_verifier(
    "reasoning_gym",
    Verifier(
        score_reasoning_gym,
        check_reasoning_gym,
        exact.equal_exact,
        _warm,
        reads=("task",),
        reads_json=("entry", "parameters"),
        needs_reference=False,
    ),
)

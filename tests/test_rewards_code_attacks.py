"""Attacks on the tests of the code reward: not paid, and none that turns wrong into no verdict."""

from __future__ import annotations

import pytest

from code_attacks import CALLS, OTHER_RIGHT, OTHER_TESTS, OTHERS, PYTHON
from r1.rewards.code import verifier as code
from r1.rewards.code.verifier import score_code
from r1.rewards.settings import RewardSettings
from r1.sandbox import SandboxSettings
from r1.types import Outcome, Problem, Score

COMPILED = {"cpp", "java"}


def judge(answer: str, language: str = "python", **metadata: object) -> Score:
    if missing := code._why_not(language, SandboxSettings()):
        pytest.skip(missing)
    metadata = {"language": language, "entry": "f", "memory_mb": 256, **metadata}
    for _ in range(4):
        problem = Problem("p", "", None, "code", metadata=metadata)
        score = score_code(problem, f"```{language}\n{answer}\n```", RewardSettings())
        if not score.detail.startswith("a busy machine"):
            break
    return score


@pytest.mark.few(16)
@pytest.mark.parametrize("name", PYTHON)
def test_attacks_on_python_tests_are_wrong(name: str) -> None:
    answer, tests = PYTHON[name]
    limit = 0.5 if "end" in name else 5.0
    score = judge(answer, test_program=tests, time_limit_s=limit)
    assert (score.value, score.outcome) == (0, Outcome.WRONG), score


@pytest.mark.parametrize("name", CALLS)
def test_attacks_on_calls_are_wrong(name: str) -> None:
    score = judge(CALLS[name], tests=[{"args": [3, 4], "expected": 7}])
    assert (score.value, score.outcome) == (0, Outcome.WRONG), score


@pytest.mark.parametrize(
    ("language", "name"),
    [
        pytest.param(
            language,
            name,
            marks=[pytest.mark.slow] if language in COMPILED else [],
            id=f"{language}: {name}",
        )
        for language, tricks in OTHERS.items()
        for name in [*tricks, "right"]
    ],
)
def test_attacks_on_tests_of_other_languages_are_wrong(language: str, name: str) -> None:
    entry = "S.f" if language == "java" else "f"
    answer = {**OTHERS[language], "right": OTHER_RIGHT[language]}[name]
    score = judge(answer, language, entry=entry, test_program=OTHER_TESTS[language])
    wanted = (1, Outcome.CORRECT) if name == "right" else (0, Outcome.WRONG)
    assert (score.value, score.outcome) == wanted, score

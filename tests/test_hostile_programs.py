"""Wrong programs that aim at the verdict are wrong: not paid, and not without a verdict."""

from __future__ import annotations

import pytest

from hostile_programs import ATTACKS, Attack
from r1.rewards.code import verifier as code
from r1.rewards.settings import RewardSettings
from r1.sandbox import SandboxSettings
from r1.types import Outcome, Problem

SETTINGS = RewardSettings.model_validate({"code": {"sandbox": {"compile_cpu_s": 4.0}}})
TESTS = [{"input": "3 4\n", "output": "7"}, {"input": "2 5\n", "output": "7"}]


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name.replace(" ", "_"))
def test_wrong_programs_are_wrong(attack: Attack) -> None:
    if reason := code._why_not(attack.language, SandboxSettings()):
        pytest.skip(reason)
    limits = {"time_limit_s": 0.3, "memory_mb": 64}
    problem = Problem(
        "p", "", None, "code", metadata={"language": attack.language, "tests": TESTS, **limits}
    )
    for _ in range(3):  # a busy machine is no fault of anyone
        score = code.score_code(problem, f"```{attack.language}\n{attack.source}\n```", SETTINGS)
        if not score.detail.startswith("a busy machine"):
            break
    assert (score.value, score.outcome) == (0.0, Outcome.WRONG), score.detail

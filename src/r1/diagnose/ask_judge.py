"""The recipe's own generative judge as the second verifier (`r1 diagnose RUN --judge`)."""

from __future__ import annotations

from collections.abc import Sequence

from r1.diagnose.samples import ReadSample, problem_of
from r1.diagnose.view import RunView
from r1.errors import UserError
from r1.rewards.judge import NAME, check_judge
from r1.rewards.pool import RewardPool
from r1.rewards.settings import RewardSettings
from r1.types import Completion, RolloutGroup


def judge_samples(view: RunView, samples: Sequence[ReadSample]) -> list[bool | None]:
    """Return whether the judge calls each answer right; None without a verdict.

    Raises UserError where the recipe has no judge, or it cannot be reached.
    """
    settings = view.setting("rewards.judge")
    if settings is None:
        raise UserError(
            f"{view.folder}: --judge needs a judge, and the run's recipe has no [rewards.judge]; "
            "leave --judge out, and a second verifier judges by rules."
        )
    rewards = RewardSettings.model_validate(
        {"weights": {NAME: 1.0}, "answer_from": "text", "judge": settings}
    )
    problems = [problem_of(sample.row, NAME) for sample in samples]
    check_judge(rewards, problems)
    with RewardPool(rewards) as pool:
        handles = [
            pool.submit_group(
                RolloutGroup(problem, (), [Completion([], [], sample.answer, "stop")])
            )
            for problem, sample in zip(problems, samples, strict=True)
        ]
        scores = [handle.result().rewards[0].parts[NAME] for handle in handles]
    return [score.value > 0.5 if score.outcome.is_verdict else None for score in scores]

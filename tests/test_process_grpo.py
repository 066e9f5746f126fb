"""GRPO with rewards for steps: advantages against float64 by hand, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rich.console import Console

from r1.algorithms.process_grpo import ProcessGRPO, ProcessGRPOSettings
from r1.algorithms.protocol import RewardedGroup
from r1.config import validate
from r1.errors import UserError
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.progress import TerminalProgress
from r1.r1_zero.settings import R1ZeroRecipe
from r1.types import (
    Completion,
    Outcome,
    Problem,
    Reward,
    RolloutGroup,
    Score,
    ScoredGroup,
    StepScore,
)
from small_recipe import write_recipe
from test_reward_model_run import train
from test_reward_model_steps import write_recipe as write_step_recipe


def group(steps_G, totals_G, lengths_G, valid_G=None) -> RewardedGroup:
    """steps_G: (end, value) pairs of each sample; None: the model gave none."""
    valid_G = valid_G or [True] * len(totals_G)
    completions = [Completion([7] * n, [0.0] * n, "a\nb", "stop") for n in lengths_G]
    rewards = []
    for steps, total, valid in zip(steps_G, totals_G, valid_G, strict=True):
        found = tuple(StepScore(*step) for step in steps or ())
        parts = {} if steps is None else {"prm": Score(0.5, Outcome.CORRECT, "", found)}
        rewards.append(Reward(total, parts, valid))
    problem = Problem("p", "q", "1", "exact")
    scored = ScoredGroup(RolloutGroup(problem, (1,), completions), rewards)
    return RewardedGroup(list(totals_G), valid_G, valid_G, list(lengths_G), scored)


STEPS = [[(1, 0.9), (3, 0.1)], [(0, 0.8), (2, 0.7)]]


def reference(credit: str, weight: float) -> list[list[float]]:
    totals = np.array([1.0, 0.0], np.float64)
    outcome = (totals - totals.mean()) / (totals.std() + 1e-6)
    flat = np.array([value for steps in STEPS for _, value in steps], np.float64)
    if credit == "sum":
        scaled = iter((flat - flat.mean()) / (flat.std() + 1e-6))
        paid = [[(end, next(scaled)) for end, _ in steps] for steps in STEPS]
        base = [0.0, 0.0]
    else:
        paid = []
        for steps in STEPS:
            values = np.array([value for _, value in steps], np.float64)
            share = np.exp(-values / 0.1)
            share /= share.sum()
            paid.append([(end, w * v) for (end, _), w, v in zip(steps, share, values, strict=True)])
        wholes = [sum(v for _, v in steps) for steps in paid]
        base = wholes[::-1]
    return [
        [
            outcome[g] + weight * (sum(v for end, v in paid[g] if end >= t) - base[g])
            for t in range(length)
        ]
        for g, length in enumerate((5, 4))
    ]


@pytest.mark.parametrize("credit", ["sum", "min"])
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_advantages_are_the_outcome_and_the_later_steps(credit, weight):
    settings = ProcessGRPOSettings(credit=credit, step_weight=weight)
    found = ProcessGRPO(settings).advantages([group(STEPS, [1.0, 0.0], [5, 4])])
    for ours, expected in zip(found[0], reference(credit, weight), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-9)


def test_a_sample_without_a_verdict_touches_nothing():
    algorithm = ProcessGRPO(ProcessGRPOSettings(credit="sum"))
    alone = algorithm.advantages([group(STEPS, [1.0, 0.0], [5, 4])])[0]
    third = group([*STEPS, [(0, 0.0)]], [1.0, 0.0, 9.0], [5, 4, 2], [True, True, False])
    with_it = algorithm.advantages([third])[0]
    assert with_it[:2] == alone
    assert with_it[2] == [0.0, 0.0]


def test_equal_outcomes_still_teach_by_their_steps():
    algorithm = ProcessGRPO(ProcessGRPOSettings())
    [found] = algorithm.advantages([group(STEPS, [0.0, 0.0], [5, 4])])
    assert any(value for advantages in found for value in advantages)


@pytest.mark.parametrize("steps", [None, []])
def test_a_model_that_scores_no_steps_is_refused(steps):
    with pytest.raises(UserError, match='objective = "steps"'):
        ProcessGRPO(ProcessGRPOSettings()).advantages([group([steps, steps], [1.0, 0.0], [5, 4])])


def test_a_recipe_must_have_the_model():
    values = {
        "model": "tiny",
        "num_steps": 1,
        "data": {"train": [{"kind": "tiny", "split": "train", "num": 4}]},
        "process_grpo": {},
    }
    with pytest.raises(UserError, match=r"reward_models\.prm"):
        validate(values, R1ZeroRecipe.for_values(values), "recipe")
    values["reward_models"] = {"prm": {"path": "runs/prm", "weight": 0.0}}
    recipe = validate(values, R1ZeroRecipe.for_values(values), "recipe")
    assert recipe.algorithm_name == "process_grpo"


SECTIONS = """
[process_grpo]
num_problems = 2
group_size = 4
[evaluation]
num_samples = 2
[reward_models.prm]
path = "prm_run"
weight = 0.0
"""


@pytest.mark.slow
def test_a_policy_learns_from_steps_and_logs_proxy_and_truth(tmp_path, monkeypatch):
    (tmp_path / "judge").mkdir()
    train(write_step_recipe(tmp_path / "judge"), tmp_path / "prm_run", ["batch.max_steps=4"])
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = write_recipe(tmp_path, "qwen2", num_steps=2, sections=SECTIONS)
    progress = TerminalProgress(Console(quiet=True))
    run_recipe(load_any_recipe(path), tmp_path, tmp_path / "run", progress)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    assert all(0.0 < row["reward/prm"] < 1.0 for row in rows)
    assert all(row["grad_norm"] > 0 for row in rows)
    assert all("reward/accuracy" in row for row in rows)

"""One step off: what is sampled ahead, how old it is, and where a killed run lands."""

from __future__ import annotations

import json

import pytest

from r1.cluster.overlap import staleness
from r1.errors import UserError
from r1.pipeline.recipe import load_any_recipe
from r1.types import Completion, Problem, RolloutGroup, ScoredGroup
from run_processes import finish, kill_after
from small_recipe import write_recipe
from test_resume import story

SECTIONS = """
[grpo]
num_problems = 4
group_size = 4
kl_weight = 0.0
staleness = 1
importance_cap = 2.0
[optimizer]
lr = 5e-3
[evaluation]
every = 3
num_samples = 2
[checkpoints]
every = 4
"""


def test_staleness_is_the_mean_over_samples() -> None:
    problem = Problem("p", "1 + 1 = ?", "2", "exact")
    completions = [Completion([5], [-1.0], "a", "stop", version) for version in (6, 7, 7, 4)]
    scored = ScoredGroup(RolloutGroup(problem, (3,), completions), [])
    assert staleness(7, [scored]) == 1.0


def test_stale_samples_need_importance_weights(tmp_path) -> None:
    recipe = write_recipe(tmp_path, "qwen2", 3, SECTIONS.replace("importance_cap = 2.0\n", ""))
    with pytest.raises(UserError, match=r"grpo\.importance_cap"):
        load_any_recipe(recipe)


@pytest.mark.slow
def test_one_step_off_learns_and_resumes_to_the_same_bytes(tmp_path) -> None:
    (tmp_path / "recipe").mkdir()
    recipe = write_recipe(tmp_path / "recipe", "qwen2", 10, SECTIONS)
    finish(recipe, tmp_path / "straight")
    rows = [json.loads(line) for line in (tmp_path / "straight" / "metrics.jsonl").open()]
    # Fresh at the beginning and after each checkpoint (4, 8), one update old in between.
    assert [row["staleness"] for row in rows] == [0, 1, 1, 1, 0, 1, 1, 1, 0, 1]
    assert sum(row["reward"] for row in rows[-3:]) > sum(row["reward"] for row in rows[:3]) + 0.2
    stale = [row["engine_gap"] for row in rows if row["staleness"]]
    assert min(stale) > 100 * max(row["engine_gap"] for row in rows if not row["staleness"])
    for steps in (2, 6):
        kill_after(recipe, tmp_path / "killed", steps)
    finish(recipe, tmp_path / "killed")
    assert story(tmp_path / "killed") == story(tmp_path / "straight")

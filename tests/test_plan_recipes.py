"""The recipes at the paper's size: its numbers stand in them, and they imply hours like its own."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from r1.pipeline.estimates import estimate_pipeline
from r1.pipeline.r1 import StageSpec, specs_of
from r1.pipeline.recipe import load_any_recipe
from r1.plan.estimate import Estimate
from r1.plan.own import plan_own
from test_plan_layouts import task_of

RECIPES = Path(__file__).parents[1] / "recipes"
CLUSTER = RECIPES / "cluster"

STUDENTS = {
    # Section B.4 of the paper: base and learning rate.
    "qwen_1.5b": ("Qwen/Qwen2.5-Math-1.5B", 1e-4),
    "qwen_7b": ("Qwen/Qwen2.5-Math-7B", 8e-5),
    "qwen_14b": ("Qwen/Qwen2.5-14B", 7e-5),
    "qwen_32b": ("Qwen/Qwen2.5-32B", 6e-5),
    "llama_8b": ("meta-llama/Llama-3.1-8B", 5e-5),
    "llama_70b": ("meta-llama/Llama-3.3-70B-Instruct", 2e-5),
}


@cache
def stages() -> dict[str, StageSpec]:
    path = CLUSTER / "r1.toml"
    recipe: Any = load_any_recipe(path)
    specs = specs_of(recipe, str(path))
    return {spec.name: spec for spec in specs}


@cache
def estimates() -> dict[str, Estimate]:
    return {e.name: e for e in estimate_pipeline(list(stages().values()), CLUSTER)}


@pytest.mark.parametrize("student", STUDENTS)
def test_the_six_students(student: str) -> None:
    model, lr = STUDENTS[student]
    alone: Any = load_any_recipe(CLUSTER / f"distill_{student}.toml")
    stage: Any = stages()[f"student_{student.replace('.', '_')}"].recipe
    for recipe in (alone, stage):
        assert (recipe.model, recipe.optimizer.lr) == (model, lr)
        assert (recipe.batch.size, recipe.batch.epochs, recipe.batch.max_tokens) == (64, 2, 32_768)
        assert (recipe.optimizer.schedule, recipe.optimizer.final_fraction) == ("cosine", 0.1)
        assert recipe.examples.response == "verbatim"


def test_the_stages_of_r1_have_the_paper_s_settings() -> None:
    recipe = {name: spec.recipe for name, spec in stages().items()}
    for name in ("r1_zero", "r1_zero_long", "dev2", "r1_rules", "r1"):
        stage: Any = recipe[name]
        grpo = stage.algorithm
        assert (stage.optimizer.lr, grpo.kl_weight, grpo.group_size) == (3e-6, 0.001, 16), name
        assert grpo.num_problems == 32 * grpo.num_minibatches, name
        assert grpo.reference_every * grpo.num_minibatches == 400, name
        assert stage.sampling.temperature == (0.7 if name.startswith("r1_rules") else 1.0) or (
            name == "r1" and stage.sampling.temperature == 0.7
        )
        clip = (0.2, 0.2) if name.startswith("r1_zero") else (10.0, 10.0)
        assert (grpo.clip_low, grpo.clip_high) == clip, name
    zero: Any = recipe["r1_zero"]
    long: Any = recipe["r1_zero_long"]
    assert (zero.num_steps + long.num_steps) * 16 == 10_400
    assert (zero.sampling.max_new_tokens, long.sampling.max_new_tokens) == (32_768, 65_536)
    assert abs(zero.num_steps * 16 - 8200) < 16
    rules: Any = recipe["r1_rules"]
    last: Any = recipe["r1"]
    assert abs((rules.num_steps + last.num_steps) * 16 - 1700) < 16
    assert last.num_steps * 16 == 400
    assert set(last.reward_models) == {"helpful", "harmless"}
    assert not rules.reward_models
    assert "language" in rules.rewards.weights
    assert last.rewards.weights_of("general") == {"language": 1.0}


def test_the_graph_is_the_paper_s() -> None:
    """SFT starts from the base again, RL from what was fine-tuned."""
    recipe: dict[str, Any] = {name: spec.recipe for name, spec in stages().items()}
    base = "deepseek-ai/DeepSeek-V3-Base"
    models = {name: recipe[name].model for name in ("r1_zero", "dev1", "dev2", "dev3", "r1_rules")}
    assert models == {
        "r1_zero": base,
        "dev1": base,
        "dev2": "@dev1",
        "dev3": base,
        "r1_rules": "@dev3",
    }
    students = [name for name in recipe if name.startswith("student_") and name != "student_rl"]
    assert len(students) == 6
    assert all(recipe[name].data.train[0].path == "@mixture" for name in students)


def test_nothing_of_the_pipeline_is_left_out_of_the_estimate() -> None:
    assert [name for name, e in estimates().items() if e.unknown] == []
    made = estimates()["mixture"].makes
    assert made is not None
    assert made.rows == pytest.approx(804_745, rel=0.05)
    cold = estimates()["cold_start"].makes
    assert cold is not None
    assert 1000 < (cold.rows or 0) < 10_000  # "thousands"


def test_hours_are_of_the_paper_s_order() -> None:
    """The paper: 101,000 H800-hours for R1-Zero, 5,000 for SFT data, 41,000 for R1."""
    held = {name: e.held_gpu_hours for name, e in estimates().items()}
    zero = held["r1_zero"] + held["r1_zero_long"]
    data = sum(held[n] for n in ("readable", "refined", "few_shot", "direct", "rejection"))
    r1 = sum(held[n] for n in ("dev1", "dev2", "dev3", "helpful", "harmless", "r1_rules", "r1"))
    for ours, paper in ((zero, 101_000), (data, 5_000), (r1, 41_000)):
        assert paper / 3 < ours < paper * 1.5


def test_the_single_gpu_recipe_fits_on_80_gb() -> None:
    peaks = []
    for tokens in (32_768, 8192):
        few = f"learner.tokens_per_microbatch={tokens}"
        task = task_of("gpus/r1_zero_1.5b_1_gpu", "H800", 1, few)
        peaks.append(plan_own(task).choice.memory.peak)
    assert 40e9 < peaks[0] < 72e9  # room for fragmentation and the CUDA context
    assert peaks[0] - peaks[1] == pytest.approx(7.15e9, rel=0.1)

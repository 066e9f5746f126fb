"""Layouts that fit or do not, from 1.5B to 671B, and `r1 plan`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from r1.cli import app
from r1.pipeline.recipe import load_any_recipe
from r1.plan.estimate import Context, Given
from r1.plan.layout import Layout
from r1.plan.layouts import LayoutTask, TriedLayout, candidates, plan_layouts
from r1.plan.lengths import log_normal
from r1.plan.model import routed_parameters, shape_of
from r1.plan.speeds import engine_speed, learner_speed

RECIPES = Path(__file__).parents[1] / "recipes"
CLUSTER = RECIPES / "cluster"


def task_of(
    recipe: str, hardware: str, gpus: int, *overrides: str, mean: float = 4000
) -> LayoutTask:
    loaded = load_any_recipe(RECIPES / f"{recipe}.toml", overrides)
    context = Context(RECIPES, Given(hardware, gpus))
    shape = context.shape(loaded.model)
    lengths = log_normal(mean, loaded.sampling.max_new_tokens)
    return LayoutTask(loaded, shape, context.machine(shape), 200, lengths)


def plan_of(*args, **kwargs) -> list[TriedLayout]:
    return plan_layouts(task_of(*args, **kwargs))


def test_one_gpu_of_80_gb_takes_the_single_gpu_recipe() -> None:
    best = plan_of("gpus/r1_zero_1.5b_1_gpu", "H100", 1, mean=500)[0]
    assert (best.layout, best.reason) == (Layout(), "")
    assert best.memory.peak < 0.95 * 80e9 - 2e9
    assert best.slots == 256  # the recipe's engine.max_batch


def test_a_shared_layout_leaves_room_for_the_sleeping_part() -> None:
    task = task_of("gpus/r1_zero_1.5b_1_gpu", "H100", 8, mean=500)
    for choice in plan_layouts(task):
        if not choice.reason:
            held = choice.memory.of("resident") if choice.layout.shared else 0.0
            assert held + choice.engine_bytes <= task.budget
            assert choice.memory.peak <= task.budget
            assert choice.layout.num_gpus <= 8


def test_candidates_use_the_gpus_and_no_more() -> None:
    found = list(candidates(64))
    assert [layout for layout in found if layout.shared] == [Layout(64, 64, 1, True)]
    assert Layout(16, 12, 4, False) in found
    assert all(layout.num_gpus <= 64 for layout in found)


def test_32b_at_the_papers_length_fits_64_gpus_and_what_does_not_says_why_in_numbers() -> None:
    choices = plan_of("cluster/r1_zero_qwen_32b", "H800", 64)
    fitting = [c for c in choices if not c.reason]
    assert fitting
    assert [c.step_s for c in fitting] == sorted(c.step_s for c in fitting)
    heads = next(c for c in choices if c.layout.tensor_parallel == 16)
    assert heads.reason == "40 attention heads cannot be dealt out to 16"


def test_adapters_are_sharded_as_the_weights_are_and_save_moments() -> None:
    whole, lora = (
        next(c for c in plan_of("cluster/r1_zero_qwen_32b", "H800", 64, *overrides) if not c.reason)
        for overrides in ((), ("learner.lora.rank=16",))
    )
    assert lora.layout.ranks > 1
    assert lora.memory.peak < 0.7 * whole.memory.peak


def test_shorter_responses_fit() -> None:
    overrides = ("sampling.max_new_tokens=2048", "learner.tokens_per_microbatch=4096")
    best = plan_of("cluster/r1_zero_qwen_32b", "H800", 64, *overrides, mean=1000)[0]
    assert best.reason == ""


def test_671b_is_beyond_a_learner_that_gathers_whole_layers() -> None:
    """One layer of 11.5B parameters, gathered, is 23 GB in bf16 and its gradients 69 GB."""
    for hardware, gpus in (("H800", 512), ("H200", 2048)):
        choices = plan_of("cluster/r1_zero", hardware, gpus, mean=7000)
        assert all(choice.reason for choice in choices)
        assert "gathered gradients 69.0" in choices[0].reason


def test_an_engine_reads_its_weights_once_an_iteration() -> None:
    """DeepSeek-V3 on 16 H800: 1.3 TB over 16 x 60 % of 3.35 TB/s when all experts are touched."""
    task = task_of("cluster/r1_zero", "H800", 512)
    speed = engine_speed(
        task.shape, task.machine.hardware, task.machine.rates, 16, task.recipe.engine
    )
    read = 2 * (task.shape.parameters - 129_280 * 7168) / (16 * 0.6 * 3.35e12)
    assert speed.base(256) - speed.overhead_s == pytest.approx(read, rel=0.01)
    assert 1 / speed.base(256) == pytest.approx(21, abs=0.5)
    assert routed_parameters(task.shape) == 58 * 256 * 3 * 7168 * 2048
    alone = speed.base(1) - speed.overhead_s
    active = 2 * task.shape.matmul_parameters / (16 * 0.6 * 3.35e12)
    assert alone == pytest.approx(active, rel=0.01)


def test_a_response_gets_the_speed_of_its_model() -> None:
    """30 tokens a second are DeepSeek-V3's on H800; a model of 1.5B gets ten times as many."""

    def speed(recipe: str, hardware: str = "H800") -> float:
        return task_of(recipe, hardware, 8).machine.rates.response_speed

    assert speed("cluster/r1_zero") == pytest.approx(30, rel=1e-4)
    assert speed("cluster/r1_zero_qwen_32b") == pytest.approx(30.1, abs=0.1)
    assert speed("gpus/r1_zero_7b_8_gpus") == pytest.approx(73.5, abs=0.1)
    assert speed("gpus/r1_zero_1.5b_1_gpu") == pytest.approx(308, abs=1)
    assert speed("gpus/r1_zero_7b_8_gpus", "A100") < 0.5 * 73.5


def test_an_update_is_its_arithmetic_or_its_transfers() -> None:
    """Qwen2.5-32B, 64 ranks: 5 forward passes' worth; far apart, 8 bytes a parameter and row."""
    task = task_of("cluster/r1_zero_qwen_32b", "H800", 64)
    many = learner_speed(task.recipe, task.shape, task.machine, Layout(64, 8, 8), 50e6)
    arithmetic = 5 * 2 * task.shape.matmul_parameters / (64 * 0.35 * 989e12)
    assert many.token_s == pytest.approx(arithmetic)
    few = learner_speed(task.recipe, task.shape, task.machine, Layout(64, 8, 8), 1e6)
    transfers = 16 * 8 * task.shape.parameters / 50e9  # 16 minibatches, a row of each rank in each
    assert few.token_s * 1e6 == pytest.approx(transfers)
    assert plan_layouts(task)[0].sync_s > 0


def run_cli(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["plan", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_speaks_to_people_and_programs() -> None:
    recipe = str(RECIPES / "gpus" / "r1_zero_1.5b_1_gpu.toml")
    text = run_cli(recipe, "--gpus", "8", "--hardware", "H100")
    for words in (
        "memory of one GPU",
        "gathered parameters",
        "8 ranks",
        "one step off",
        "a step on separate GPUs samples one batch ahead (staleness = 1)",
    ):
        assert words in " ".join(text.split()), words
    values = json.loads(run_cli(recipe, "--gpus", "8", "--hardware", "H100", "--json"))
    best = values["layouts"][0]
    assert best["fits"]
    assert best["num_gpus"] == 8
    memory = values["memory"]["the fastest layout's"]
    parts = memory["at_peak"]
    assert parts["weights"] == 4 * shape_of("Qwen/Qwen2.5-1.5B").parameters / best["ranks"]
    assert sum(parts.values()) == pytest.approx(memory["peak_bytes"])


def test_the_command_takes_every_recipe() -> None:
    text = run_cli(str(CLUSTER / "distill_qwen_7b.toml"))
    assert "gathered gradients" in text
    assert "drawing" not in text
    values = json.loads(run_cli(str(CLUSTER / "r1.toml"), "--json"))
    assert set(values["layouts"]) == {s["name"] for s in values["stages"] if s["model"]}


def test_a_run_gives_lengths_to_recipes_that_sample_only(tmp_path: Path) -> None:
    from r1.errors import UserError

    with pytest.raises(UserError, match="leave it out"):
        run_cli(str(CLUSTER / "distill_qwen_7b.toml"), "--lengths", str(tmp_path))
    with pytest.raises(UserError, match="finished run"):
        run_cli(str(RECIPES / "tiny" / "r1_zero.toml"), "--lengths", str(tmp_path))

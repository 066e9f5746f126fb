"""The figures of docs/plan.md on the paper's 147,000 H800-hours are those of the code."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from r1.pipeline.estimates import estimate_pipeline, estimate_recipe
from r1.pipeline.r1 import R1Recipe, specs_of
from r1.pipeline.recipe import load_any_recipe
from r1.plan.estimate import Estimate, Given
from r1.plan.hardware import Rates
from r1.plan.memory import learner_memory
from r1.plan.model import shape_of

CLUSTER = Path(__file__).parents[1] / "recipes" / "cluster"
DOC = (CLUSTER.parents[1] / "docs" / "plan.md").read_text()
ZERO = ("r1_zero", "r1_zero_long")
DATA = ("readable", "refined", "few_shot", "direct", "rejection")
R1 = ("dev1", "dev2", "dev3", "helpful", "harmless", "r1_rules", "r1")


@cache
def stages(speed: float | None = None) -> dict[str, Estimate]:
    path = CLUSTER / "r1.toml"
    recipe = load_any_recipe(path)
    assert isinstance(recipe, R1Recipe)
    given = Given() if speed is None else Given(rates=Rates(response_speed=speed))
    specs = specs_of(recipe, str(path))
    return {e.name: e for e in estimate_pipeline(specs, CLUSTER, given)}


def held(*names: str, speed: float | None = None) -> float:
    return sum(stages(speed)[name].held_gpu_hours for name in names)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("R1-Zero", ZERO),
        ("SFT data (cold start, 600k)", DATA),
        ("R1 (SFT, RL, reward models, RL)", R1),
        ("together", (*ZERO, *DATA, *R1)),
        ("RL alone on the 32B student's base", ("student_rl",)),
    ],
)
def test_the_table_s_lines(line: str, names: tuple[str, ...]) -> None:
    row = next(text for text in DOC.splitlines() if text.startswith(f"| {line} |"))
    samples, drawn, flops, busy, hours = (cell.strip() for cell in row.split("|")[2:7])
    chosen = [stages()[name] for name in names]
    assert samples == f"{sum(e.samples for e in chosen) / 1e6:.1f}M"
    assert drawn == f"{sum(e.prompt_tokens + e.response_tokens for e in chosen) / 1e9:.1f}B"
    assert float(flops) == pytest.approx(sum(e.flops for e in chosen), rel=0.03)
    for said, figure in ((busy, sum(e.gpu_hours for e in chosen)), (hours, held(*names))):
        assert float(said.replace(",", "")) == pytest.approx(figure, rel=0.02)


def test_the_speed_of_one_response_decides() -> None:
    for speed, hours in ((20, 260_000), (30, 180_700), (40, 141_000), (60, 101_000)):
        assert held(*ZERO, *DATA, *R1, speed=speed) == pytest.approx(hours, rel=0.005)
        assert f"{hours:,}" in DOC
    assert held(*ZERO, speed=42) == pytest.approx(101_000, rel=0.005)


def test_a_step_of_r1_zero() -> None:
    """69 s to draw and 149 to learn on 512 GPUs, 18 minutes for the longest response."""
    path = CLUSTER / "r1_zero.toml"
    zero = estimate_recipe(load_any_recipe(path), CLUSTER)
    second = 3600 / (650 * 512)
    hours = {part.name: part.gpu_hours for part in zero.parts}
    learning = hours["policy update"] + hours["old log-probabilities"] + hours["reference"]
    assert second * hours["generation"] == pytest.approx(69, abs=0.5)
    assert second * learning == pytest.approx(149, abs=0.5)
    assert zero.held_gpu_hours == pytest.approx(115_000, rel=0.005)
    assert held("r1_zero_long") == pytest.approx(45_500, rel=0.005)


def test_the_rest() -> None:
    students = [n for n in stages() if n.startswith("student_") and n != "student_rl"]
    assert held(*students) == pytest.approx(5_900, rel=0.005)
    assert held("student_qwen_1_5b") == pytest.approx(75, rel=0.01)
    assert held("student_llama_70b") == pytest.approx(3_100, rel=0.01)
    assert held("dev2") == pytest.approx(held(*R1) / 2, rel=0.04)
    assert held(*(n for n in stages() if n.startswith("eval_"))) == pytest.approx(900, rel=0.05)
    assert held("helpful_pairs", "safety_labels") == pytest.approx(3_200, rel=0.01)
    assert held(*(n for n in stages() if n.startswith("bench_"))) == pytest.approx(200, rel=0.05)


def test_the_sum_is_what_the_command_prints() -> None:
    [said] = re.findall(r"own sum is ([\d,]+)\.", DOC)
    assert said == f"{held(*stages()):,.0f}"


def test_the_70b_student_fits_64_gpus_with_its_activations_on_the_host() -> None:
    path = CLUSTER / "distill_llama_70b.toml"
    recipe = load_any_recipe(path)
    without = load_any_recipe(path, ["learner.gradient_checkpointing=true"])
    memory, kept = (learner_memory(r, shape_of(r.model), 64) for r in (recipe, without))
    host = memory.of("host") / 1e9
    said = f"{memory.peak / 1e9:.1f} GB of 74.0 on a GPU and {host:.1f} GB\na rank"
    assert said in DOC
    assert f"and not without ({kept.peak / 1e9:.1f} GB)" in DOC
    assert memory.peak < 74e9 < kept.peak
    comment = f"# {memory.peak / 1e9:.1f} GB of a GPU by r1 plan, {kept.peak / 1e9:.1f} without"
    assert f"{comment}; {host:.1f} of the host's" in path.read_text()
    assert comment in (CLUSTER / "r1.toml").read_text()

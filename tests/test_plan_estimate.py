"""What recipes imply: samples, tokens, FLOPs and hours against sums worked by hand."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from r1.errors import UserError
from r1.pipeline.estimates import estimate_pipeline, estimate_recipe
from r1.pipeline.r1 import specs_of
from r1.pipeline.recipe import load_any_recipe
from r1.plan.estimate import (
    Estimate,
    Given,
    seconds_of,
)
from r1.plan.hardware import Rates
from r1.plan.model import shape_of
from r1.plan.show import as_json, show, show_pipeline

RECIPES = Path(__file__).parents[1] / "recipes"
ZERO = RECIPES / "cluster" / "r1_zero.toml"


def estimated(path: Path, *overrides: str, given: Given | None = None) -> Estimate:
    return estimate_recipe(load_any_recipe(path, overrides), path.parent, given)


def part_of(estimate: Estimate, name: str):
    return next(part for part in estimate.parts if part.name == name)


def text_of(renderable) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def test_a_critic_is_asked_before_the_update() -> None:
    """GRPO with one update a batch needs no such pass."""
    grpo, ppo = (estimated(RECIPES / "tiny" / f"{n}.toml") for n in ("r1_zero", "r1_zero_ppo"))
    assert part_of(ppo, "old log-probabilities").tokens == part_of(ppo, "policy update").tokens
    assert "old log-probabilities" not in [part.name for part in grpo.parts]


def test_r1_zero_by_hand() -> None:
    """10,400 steps of 512 samples; 2ND to draw, 6ND to learn, 2ND for the old policy and again for
    the reference; attention on top of each in the same proportion."""
    given = Given(mean_prompt=100, mean_response=1000, num_gpus=64)
    estimate = estimated(ZERO, "evaluation.every=0", "data.heldout=[]", given=given)
    samples = 10_400 * 512
    assert estimate.samples == samples
    assert estimate.prompt_tokens == 650 * 512 * 100
    assert estimate.response_tokens == samples * 1000
    shape = shape_of("deepseek-ai/DeepSeek-V3-Base")
    # 32,768 tokens of a micro-batch hold the whole group of 16: its prompt is computed once.
    tokens = samples * (1000 + 100 / 16)
    assert estimate.trained_tokens == pytest.approx(tokens)
    pairs = 1100**2 - 100**2 + 100**2 / 16
    attention = samples * 61 * 128 * (192 + 128) * pairs
    forward = 2 * shape.matmul_parameters * tokens + attention
    flops = {part.name: part.flops / forward for part in estimate.parts}
    assert flops == pytest.approx(
        {"generation": 1, "policy update": 3, "old log-probabilities": 1, "reference": 1}
    )
    hours = (forward / 0.15 + 5 * forward / 0.35) / 989e12 / 3600
    assert estimate.gpu_hours == pytest.approx(hours)
    # Every step waits for a response of 32,768 tokens at 30 a second.
    learning = 5 * forward / 0.35 / 989e12 / 3600 / 64
    drawing = forward / 0.15 / 989e12 / 3600 / 64
    waiting = 650 * 32_768 / 30 / 3600
    assert estimate.waits_for_longest is (waiting > drawing)
    assert estimate.hours == pytest.approx(max(drawing, waiting) + learning)
    assert estimate.held_gpu_hours == pytest.approx(64 * estimate.hours)


def test_passes_that_are_not_run_are_not_counted() -> None:
    one = estimated(ZERO, "grpo.num_minibatches=1", "grpo.kl_weight=0.0")
    assert [part.name for part in one.parts] == ["generation", "policy update", "evaluation"]
    twice = estimated(ZERO, "grpo.num_epochs=2")
    for name, times in (("policy update", 2), ("reference", 2), ("old log-probabilities", 1)):
        ratio = part_of(twice, name).flops / part_of(estimated(ZERO), name).flops
        assert ratio == pytest.approx(times), name


def test_evaluations_are_counted_as_often_as_they_happen() -> None:
    """30 problems of AIME 2024, 64 samples; before the first step, after the last, every 25."""
    every = part_of(estimated(ZERO), "evaluation")
    assert every.samples == (650 // 25 + 1) * 30 * 64
    ends = part_of(estimated(ZERO, "evaluation.every=0"), "evaluation")
    assert ends.samples == 2 * 30 * 64
    odd = part_of(estimated(ZERO, "evaluation.every=400"), "evaluation")
    assert odd.samples == 3 * 30 * 64
    unknown = estimated(ZERO, 'data.heldout=[{path="no.jsonl"}]')
    assert unknown.unknown == (
        "evaluations: rows of no.jsonl unknown (set its limit to say how many)",
    )


def test_files_that_are_there_are_counted(tmp_path: Path) -> None:
    """Rows and four characters a token; limit cuts."""
    rows = [{"prompt": "p" * 40, "response": "r" * 360} for _ in range(250)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows[:100]), tmp_path / "b.parquet")
    (tmp_path / "recipe.toml").write_text(
        'kind = "sft"\nmodel = "tiny"\n[batch]\nepochs = 3\nsize = 16\n'
        '[[data.train]]\npath = "a.jsonl"\n[[data.train]]\npath = "b.parquet"\nlimit = 60\n'
    )
    estimate = estimated(tmp_path / "recipe.toml")
    assert estimate.trained_tokens == 3 * (250 + 60) * 100
    stopped = estimated(tmp_path / "recipe.toml", "batch.max_steps=10")
    assert stopped.trained_tokens == 10 * 16 * 100
    (tmp_path / "set").mkdir()
    (tmp_path / "a.jsonl").rename(tmp_path / "set" / "train.jsonl")
    folder = 'data.train=[{path="set", split="train", limit=240}]'
    assert estimated(tmp_path / "recipe.toml", folder).trained_tokens == 3 * 240 * 100
    lost = estimated(tmp_path / "recipe.toml", 'data.train=[{path="set", split="dev"}]')
    assert "rows of set unknown" in lost.unknown[0]


@pytest.mark.parametrize(
    ("kind", "row", "tokens"),
    [
        ("sft", {"prompt": "p" * 40, "response": "r" * 360, "generations": ["g" * 4000]}, 100),
        ("sft", {"messages": [{"content": "c" * 400}], "prompt": "p" * 400, "uuid": "u" * 36}, 100),
        (
            "dpo",
            {"prompt": "p" * 40, "chosen": "c" * 80, "rejected": "r" * 80, "why": "w" * 99},
            50,
        ),
        ("reward_model", {"prompt": "p" * 40, "response": "r" * 40, "label": True, "x": "y"}, 20),
    ],
)
def test_columns_that_are_not_read_are_no_tokens(
    kind: str, row: dict, tokens: int, tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_text((json.dumps(row) + "\n") * 64)
    extra = 'objective = "pointwise"\n' if kind == "reward_model" else ""
    (tmp_path / "recipe.toml").write_text(
        f'kind = "{kind}"\nmodel = "tiny"\n{extra}[batch]\nepochs = 1\n'
        '[[data.train]]\npath = "a.jsonl"\n[template]\nkind = "plain"\n'
    )
    assert estimated(tmp_path / "recipe.toml").trained_tokens == 64 * tokens


def test_max_steps_bounds_packed_rows_too(tmp_path: Path) -> None:
    row = {"prompt": "p" * 40, "response": "r" * 360}
    (tmp_path / "a.jsonl").write_text((json.dumps(row) + "\n") * 1000)
    (tmp_path / "recipe.toml").write_text(
        'kind = "sft"\nmodel = "tiny"\n[batch]\nepochs = 3\nsize = 4\nunit = "rows"\n'
        'max_tokens = 500\n[[data.train]]\npath = "a.jsonl"\n'
    )
    assert estimated(tmp_path / "recipe.toml").trained_tokens == 3 * 1000 * 100
    stopped = estimated(tmp_path / "recipe.toml", "batch.max_steps=2")
    assert stopped.trained_tokens == 2 * 4 * 500


def test_a_student_learns_the_800k_twice() -> None:
    """6ND on table 5's tokens, and attention beside it."""
    estimate = estimated(RECIPES / "cluster" / "distill_qwen_7b.toml")
    assert estimate.trained_tokens == pytest.approx(2 * 804_745 * 5355)
    linear = 6 * shape_of("Qwen/Qwen2.5-Math-7B").matmul_parameters * estimate.trained_tokens
    assert linear < estimate.flops < 1.2 * linear


def test_what_is_unknown_is_said_and_stops_nothing() -> None:
    estimate = estimated(ZERO, "model=owner/never-heard-of")
    assert "dimensions are not known" in estimate.unknown[0]
    assert estimate.flops == 0
    sft = estimated(RECIPES / "cluster" / "sft_800k.toml", 'data.train=[{path="no.parquet"}]')
    assert sft.unknown == ("rows of no.parquet unknown (set its limit to say how many)",)
    assert seconds_of([estimate, sft]) == {}
    with pytest.raises(UserError, match="'H900' is not known; known: H800, H100"):
        estimated(ZERO, given=Given(hardware="H900"))


def test_hardware_and_rates_can_be_given() -> None:
    faster = Given(rates=Rates(0.7, 0.3, 60.0))
    base, fast = estimated(ZERO), estimated(ZERO, given=faster)
    assert fast.gpu_hours == pytest.approx(base.gpu_hours / 2)
    assert fast.hours == pytest.approx(base.hours / 2)
    older = estimated(ZERO, given=Given(hardware="a100"))
    assert older.gpu_hours == pytest.approx(base.gpu_hours * 989 / 312)


def test_the_tiny_demo_takes_minutes() -> None:
    """README: 264 to 277 s for the loop on two quiet cores, 394 s beside other work."""
    estimate = estimated(RECIPES / "tiny" / "r1_zero.toml")
    assert estimate.machine is not None
    assert estimate.machine.hardware.name == "CPU"
    assert 200 < 3600 * estimate.hours < 500


PIPELINE = """
kind = "r1"
[stages.zero]
kind = "r1_zero"
model = "tiny"
num_steps = 10
data.train = [{ kind = "tiny", split = "train", num = 50 }]
[stages.kept]
kind = "rejection"
model = "@zero"
num_samples = 10
keep = { cap = 4 }
sampling = { max_new_tokens = 200 }
problems = [{ kind = "tiny", split = "train", num = 300 }]
[stages.mixed]
kind = "mixture"
sources = [{ path = "@kept" }, { path = "more.jsonl", count = 100 }]
[stages.student]
kind = "sft"
model = "tiny"
data.train = [{ kind = "parquet", path = "@mixed" }]
batch = { epochs = 2 }
[stages.judge]
kind = "reward_model"
model = "Qwen/Qwen2.5-1.5B"
objective = "pairwise"
data.train = [{ path = "pairs.jsonl", limit = 1000 }]
[stages.last]
like = "zero"
model = "@student"
reward_models = { judge = { path = "@judge", from_step = 6 } }
[stages.measured]
kind = "evaluation"
model = "@last"
problems = [{ kind = "tiny", split = "heldout", num = 20 }]
general = [{ kind = "tiny", split = "heldout", num = 5 }]
evaluation = { num_samples = 8 }
"""


def pipeline(path: Path, given: Given | None = None) -> dict[str, Estimate]:
    recipe = load_any_recipe(path)
    specs = specs_of(recipe, str(path))
    return {e.name: e for e in estimate_pipeline(specs, path.parent, given)}


def test_amounts_and_models_travel_along_a_pipeline(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(PIPELINE)
    stages = pipeline(tmp_path / "recipe.toml")
    assert stages["kept"].samples == 3000
    assert stages["kept"].makes is not None
    assert stages["kept"].makes.rows == 1200  # 6 of 10 are good, 4 are kept
    assert stages["mixed"].makes is not None
    assert stages["mixed"].makes.rows == 1300
    assert stages["student"].trained_tokens == 2 * 1300 * stages["kept"].makes.tokens
    assert stages["measured"].samples == 25 * 8
    assert all(not stage.unknown for stage in stages.values())
    judge = part_of(stages["last"], "reward model judge")
    assert judge.samples == 4 * 512  # of ten steps the last four
    size = shape_of("Qwen/Qwen2.5-1.5B").matmul_parameters
    assert judge.flops == pytest.approx(2 * size * judge.tokens, rel=0.05)


def test_figures_for_people_and_for_programs(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(PIPELINE)
    stages = list(pipeline(tmp_path / "recipe.toml").values())
    table = text_of(show_pipeline(stages))
    assert "together" in table
    assert "assumed: 60 % of the samples are correct" in table
    values = json.loads(json.dumps(as_json(stages)))
    assert values["gpu_hours"] == pytest.approx(sum(s.gpu_hours for s in stages))
    assert values["stages"][1]["makes"]["rows"] == 1200
    one = text_of(show(estimated(ZERO)))
    assert "5,324,800" in one
    assert "training at 35% of 989 TFLOP/s" in one
    assert "mostly waiting for the longest response" in one

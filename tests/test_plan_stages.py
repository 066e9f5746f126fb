"""The stages of a pipeline on the clusters that they will run on, and their sums."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from r1.cli import app
from r1.errors import UserError
from r1.pipeline.recipe import load_any_recipe
from r1.plan.layout import gpus_asked_for
from r1.plan.memory import learner_memory
from r1.plan.model import shape_of

TINY = Path(__file__).parents[1] / "recipes" / "tiny" / "r1.toml"
BUDGET = 0.95 * 80e9 - 2e9  # of an 80 GB GPU
RECIPE = """
kind = "r1"

[cluster]
learner_ranks = 4
engine_replicas = 2
placement = "separate"

[stages.zero]
kind = "r1_zero"
model = "Qwen/Qwen2.5-1.5B"
num_steps = 100
sampling = { max_new_tokens = 1024 }
learner = { autocast = true, gradient_checkpointing = true, tokens_per_microbatch = 8192 }
data.train = [{ path = "math.jsonl", family = "math", verifier = "math", limit = 1000 }]

[stages.zero.engine]
kind = "vllm"
vllm = { tensor_parallel_size = 2, max_model_len = 1536 }

[stages.tuned]
kind = "sft"
model = "@zero"
data.train = [{ kind = "parquet", path = "traces.parquet", limit = 10000 }]
batch = { size = 64, max_tokens = 2048 }
learner = { autocast = true, gradient_checkpointing = true, tokens_per_microbatch = 4096 }

[stages.tuned_wide]
like = "tuned"
cluster = { learner_ranks = 8 }

[stages.measured]
kind = "evaluation"
model = "@tuned"
problems = [{ path = "math.jsonl", family = "math", verifier = "math", limit = 1000 }]
engine = { kind = "vllm", vllm = { tensor_parallel_size = 2 } }
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "r1.toml"
    path.write_text(RECIPE)
    return path


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["plan", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def plan(*arguments: str) -> Any:
    result = CliRunner().invoke(app, ["plan", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_every_stage_has_the_gpus_of_its_own_cluster(recipe: Path) -> None:
    """4 + 2 x 2 learn and sample; 4 learn; 8 learn; 2 x 2 sample."""
    values = plan(str(recipe), "--hardware", "H100")
    assert {s["name"]: s["num_gpus"] for s in values["stages"]} == {
        "zero": 8,
        "tuned": 4,
        "tuned_wide": 8,
        "measured": 4,
    }
    layouts = values["layouts"]
    assert {name: place["where"] for name, place in layouts.items()} == {
        "zero": "4 ranks, 2 x TP 2, separate",
        "tuned": "4 ranks",
        "tuned_wide": "8 ranks",
        "measured": "2 x TP 2",
    }
    assert all(place["asked"] and place["fits"] for place in layouts.values())
    assert values["fits"]
    assert layouts["zero"]["step_s"] > 0
    hours = {s["name"]: s["hours"] for s in values["stages"]}
    assert hours["tuned"] == pytest.approx(2 * hours["tuned_wide"])


def test_memory_is_that_of_a_rank_and_of_an_engine(recipe: Path) -> None:
    from r1.sft.settings import SFTRecipe

    layouts = plan(str(recipe), "--hardware", "H100")["layouts"]
    shape = shape_of("Qwen/Qwen2.5-1.5B")
    tables = load_any_recipe(recipe).stages  # type: ignore[union-attr]
    tuned = SFTRecipe(**{k: v for k, v in tables["tuned"].items() if k != "kind"})
    for name, ranks in (("tuned", 4), ("tuned_wide", 8)):
        alone = learner_memory(tuned, shape, ranks)
        assert layouts[name]["gpu_bytes"] == pytest.approx(alone.peak)
    half = 2 * shape.parameters / 2
    assert half < layouts["measured"]["gpu_bytes"] < 1.5 * half + 2e9


def test_sums_are_over_stages_and_the_longest_is_named(recipe: Path) -> None:
    values = plan(str(recipe), "--hardware", "H100")
    stages = values["stages"]
    assert values["hours"] == pytest.approx(sum(s["hours"] for s in stages))
    held = sum(s["hours"] * s["num_gpus"] for s in stages)
    assert values["held_gpu_hours"] == pytest.approx(held)
    assert values["dollars"] == pytest.approx(2 * held)
    assert values["longest"] == max(stages, key=lambda s: s["hours"])["name"] == "zero"
    text = printed(str(recipe), "--hardware", "H100")
    assert f"about ${2 * held:,.0f} at $2 an hour longest stage zero: " in text
    assert text.endswith("fits all 4 stages that compute")
    assert plan(str(TINY))["dollars"] == 0


def test_what_does_not_fit_is_named_with_its_numbers(recipe: Path) -> None:
    values = plan(str(recipe), "--hardware", "H100", "--gpus", "4")
    reasons = {name: place["reason"] for name, place in values["layouts"].items()}
    assert reasons == {
        "zero": "it asks for 8 GPUs of 4: 4 to learn, 4 to sample, each its own",
        "tuned": "",
        "tuned_wide": "it asks for 8 GPUs of 4, all to learn",
        "measured": "",
    }
    assert not values["fits"]
    large = "stages.tuned.learner.tokens_per_microbatch=2000000"
    kept = "stages.tuned.learner.gradient_checkpointing=false"
    text = printed(str(recipe), "--hardware", "H100", "--set", large, "--set", kept)
    assert "does not fit: tuned, tuned_wide: " not in text  # each has its own numbers
    assert "does not fit: tuned: a learner's GPU needs " in text
    assert f" GB of {BUDGET / 1e9:.1f}: " in text
    assert "fits no: 2 of 4 stages do not" in text


def test_a_stage_s_own_cluster_is_laid_over_the_recipe_s_on_this_machine() -> None:
    more = ("cluster.learner_ranks=2", "stages.dev2.cluster.engine_replicas=3")
    words = [word for setting in more for word in ("--set", setting)]
    layouts = plan(str(TINY), *words)["layouts"]
    assert layouts["r1_zero"]["where"] == "2 ranks, 1 x TP 1, shared"
    assert layouts["dev2"]["where"] == "2 ranks, 3 x TP 1, shared"
    assert layouts["dev1"]["where"] == "2 ranks"
    assert layouts["readable"]["where"] == "1 x TP 1"
    alone = plan(str(TINY))["layouts"]
    assert not alone["dev1"]["asked"]
    assert layouts["dev1"]["gpu_bytes"] > 1.5 * alone["dev1"]["gpu_bytes"]


def test_nothing_is_asked_for_without_a_cluster() -> None:
    zero = TINY.parent / "r1_zero.toml"
    assert gpus_asked_for(load_any_recipe(zero)) is None
    assert gpus_asked_for(load_any_recipe(zero, ["cluster.learner_ranks=3"])) == 3


@pytest.mark.parametrize(
    ("recipe_name", "arguments", "words"),
    [
        ("tiny/r1_zero", ["--hardware", "B200"], "known: H800, H100, H200, A100, CPU"),
        ("tiny/r1_zero", ["--set", "model=/no/model"], "give a folder that holds its config.json"),
        ("cluster/helpful_rm", ["--set", "model=no/model"], "its dimensions are not known here"),
        ("tiny/r1_zero", ["--set", 'model="@dev1"'], 'only a recipe of kind "r1" has stages'),
        ("tiny/r1_zero", ["--set", "kind=evaluaton"], "is no kind of recipe; "),
        ("tiny/base", [], 'It has no `kind`, and was read as kind = "r1_zero"'),
        ("tiny/r1", ["--lengths", "/no/run"], "--lengths is for recipes that learn by sampling"),
        ("tiny/r1_zero", ["--lengths", "/no/run"], "name the folder of a finished run"),
        ("tiny/r1", ["--set", "stages.dev1.cluster.ranks=2"], "cluster.ranks: unknown setting"),
        ("nothing", [], "does not exist"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    recipe_name: str, arguments: list[str], words: str
) -> None:
    path = TINY.parents[1] / f"{recipe_name}.toml"
    with pytest.raises(UserError, match=re.escape(words)):
        CliRunner().invoke(app, ["plan", str(path), *arguments], catch_exceptions=False)


def test_a_fine_tuned_recipe_says_whether_its_own_cluster_fits() -> None:
    path = str(TINY.parents[1] / "cluster" / "distill_qwen_7b.toml")
    ranks = ("--gpus", "8", "--set", "cluster.learner_ranks=64")
    place = plan(path, *ranks)["place"]
    assert place["reason"] == "it asks for 64 GPUs of 8, all to learn"
    assert "does not fit: sft: it asks for 64 GPUs of 8" in printed(path, *ranks)
    lora = ("--set", "cluster.learner_ranks=2", "--set", "learner.lora.rank=4")
    assert plan(str(TINY.parent / "sft.toml"), *lora)["place"]["fits"]
    assert plan(path, "--hardware", "H800")["place"]["fits"]

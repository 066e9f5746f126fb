"""What `r1 plan` says of direct preference optimisation, alone and as a stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dpo_data import write_recipe
from r1.config import load_recipe
from r1.dpo.settings import DPORecipe
from r1.pipeline.plan import plan_json
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.plan.estimate import Given
from r1.plan.memory import full_row, learner_memory
from r1.plan.model import shape_of
from r1.progress import TerminalProgress
from r1.run_dir.read import read_metrics

RECIPE = Path(__file__).parents[1] / "recipes" / "tiny" / "dpo.toml"
PIPELINE = """
kind = "r1"
[stages.judged]
kind = "preferences"
model = "tiny"
problems = [{ kind = "tiny", split = "train", num = 50 }]
sampling = { max_new_tokens = 40 }
judge = { model = "tiny" }
[stages.preferred]
kind = "dpo"
model = "tiny"
data.train = [{ kind = "parquet", path = "@judged" }]
template = { kind = "plain" }
[stages.again]
like = "preferred"
model = "@preferred"
"""


def items(*overrides: str) -> dict[str, float]:
    recipe = load_recipe(RECIPE, DPORecipe, overrides)
    parts = learner_memory(recipe, shape_of("tiny")).items
    return {f"{item.part}/{item.phase}": item.bytes for item in parts}


def test_the_reference_costs_a_model_or_with_adapters_their_copy() -> None:
    weights = items()["weights/resident"]
    assert items()["reference/resident"] == weights
    assert items("learner.lora.rank=4")["reference/resident"] < weights / 5
    assert "reference/resident" not in items("loss.kind=simpo")


def test_a_step_holds_both_responses_of_its_pairs() -> None:
    recipe = load_recipe(RECIPE, DPORecipe, ["batch.size=5", "batch.max_tokens=64"])
    assert full_row(recipe).tokens == 2 * 5 * 64


def plan(path: Path, *overrides: str) -> dict[str, Any]:
    stages = plan_json(load_any_recipe(path, overrides), path, Given())["stages"]
    return {stage["name"]: stage for stage in stages}


def test_its_work_is_an_update_and_the_reference_s_pass() -> None:
    parts = {part["name"]: part["flops"] for part in plan(RECIPE)["dpo"]["parts"]}
    assert parts["reference"] == pytest.approx(parts["training"] / 3, rel=0.05)
    alone = plan(RECIPE, "loss.kind=simpo")["dpo"]["parts"]
    assert [part["name"] for part in alone] == ["training"]


def test_amounts_and_models_travel_along_a_pipeline(tmp_path) -> None:
    (tmp_path / "recipe.toml").write_text(PIPELINE)
    stages = plan(tmp_path / "recipe.toml")
    made = stages["judged"]["makes"]["rows"]
    assert made == 25  # of 50 pairs the judge is sure of half
    for name in ("preferred", "again"):
        assert stages[name]["trained_tokens"] == made * stages["judged"]["makes"]["tokens"]
        assert stages[name]["parameters"] == stages["judged"]["parameters"]


def test_a_stage_hands_its_checkpoint_on(tmp_path) -> None:
    write_recipe(tmp_path)
    common = (
        'template = { kind = "plain" }\ndata.train = [{ path = "train.jsonl", limit = 8 }]\n'
        "batch = { size = 8 }\noptimizer = { lr = 3e-3 }\n"
    )
    (tmp_path / "line.toml").write_text(
        f'kind = "r1"\n[stages.first]\nkind = "dpo"\nmodel = "model"\n{common}'
        f'[stages.second]\nkind = "dpo"\nmodel = "@first"\n{common}'
    )
    path, out = tmp_path / "line.toml", tmp_path / "runs"
    run_recipe(load_any_recipe(path), tmp_path, out, TerminalProgress(Console(quiet=True)))
    first, second = (read_metrics(out / name / "run") for name in ("first", "second"))
    assert second[0]["chosen_change"] == 0.0  # the second's reference is what the first made
    assert second[0]["chosen_logprob"] != first[0]["chosen_logprob"]
    page = json.loads((out / "second" / "run" / "lineage.json").read_text())
    assert "first" in page["parent"]["source"]

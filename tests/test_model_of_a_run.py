"""A recipe's `model` may be a run: training, stages and the plan take its newest checkpoint."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.plan.model import shape_of
from r1.progress import TerminalProgress
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_model
from small_recipe import write_recipe

SECTIONS = "[grpo]\nnum_problems = 2\ngroup_size = 2\n[checkpoints]\nevery = 1\n"


@pytest.fixture
def run(tmp_path, monkeypatch) -> Path:
    """A finished run of two steps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    recipe = write_recipe(tmp_path, "qwen2", 2, SECTIONS)
    return run_recipe(load_any_recipe(recipe), tmp_path, tmp_path / "run", TerminalProgress())


def test_training_begins_with_the_newest_checkpoint_of_a_run(run, tmp_path) -> None:
    newest = run / "checkpoints" / "step-000002"
    recipe = load_any_recipe(tmp_path / "recipe.toml", ["model=run", "num_steps=1"])
    out = run_recipe(recipe, tmp_path, tmp_path / "second", TerminalProgress())
    [model] = [
        given
        for given in json.loads((out / "lineage.json").read_text())["inputs"]
        if given["role"] == "model"
    ]
    weights = (newest / "model.safetensors").read_bytes()
    assert model["files"]["model.safetensors"]["sha256"] == hashlib.sha256(weights).hexdigest()
    assert (out / "DONE.json").exists()


def test_stages_and_the_plan_take_a_run_as_well(run, tmp_path) -> None:
    for name in ("run", "."):  # the run, and a stage's folder around it
        check_model(name, CheckCache(tmp_path))
        assert shape_of(name, tmp_path).parameters == shape_of("model", tmp_path).parameters

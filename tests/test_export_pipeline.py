"""An export of a pipeline's stage: figures of these weights, and the base of its adapters."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import r1
from small_recipe import with_plain_heldout, write_recipe

PIPELINE = """
kind = "r1"
[stages.one]
kind = "r1_zero"
model = "model"
num_steps = 2
data = { train = [{ path = "data.jsonl" }], heldout = [{ path = "held.jsonl" }] }
rewards = { weights = { even_tokens = 1.0, accuracy = 0.0 }, plugins = ["even_reward"] }
template = { kind = "plain" }
sampling = { max_new_tokens = 8 }
grpo = { num_problems = 2, group_size = 2 }
optimizer = { lr = 1e-2 }
evaluation = { every = 10, num_samples = 1 }
checkpoints = { every = 1, keep = 0 }
learner = { lora = { rank = 2, alpha = 8.0 } }
[stages.two]
like = "one"
model = "@one"
[stages.eval_one]
kind = "evaluation"
model = "@one"
problems = [{ path = "held.jsonl" }]
evaluation = { num_samples = 1 }
template = { kind = "plain" }
max_new_tokens = 8
"""
STAGES, OWN, NONE = "77.7 %", "55.5 %", "These weights were not evaluated"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A pipeline of two stages with adapters and an evaluation whose figures are recognisable."""
    folder = tmp_path_factory.mktemp("pipeline")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder))
        with_plain_heldout(write_recipe(folder, "llama", 2, ""))
        (folder / "pipeline.toml").write_text(PIPELINE)
        r1.train(folder / "pipeline.toml", folder / "run", show=False)
    change(folder / "run/eval_one/evaluation.json", lambda told: figure(told["overall"], 0.777))
    own = folder / "run/one/run/evaluations/step-000002.json"
    change(own, lambda told: figure(told, 0.555))
    return folder / "run"


@pytest.fixture
def moved(trained, tmp_path) -> Iterator[Path]:
    """The pipeline's folder under another path; the one that its records name is not there."""
    shutil.copytree(trained, tmp_path / "moved")
    hidden = trained.rename(trained.with_name("hidden"))
    yield tmp_path / "moved"
    hidden.rename(trained)


def change(file: Path, how: Callable[[dict], None]) -> None:
    told = json.loads(file.read_text())
    how(told)
    file.write_text(json.dumps(told))


def figure(told: dict, value: float) -> None:
    told["pass_at_1"] = {"value": value, "low": 0.5, "high": 0.8}


def card_of(run: Path, dest: Path, **options: object) -> str:
    return (r1.export(run, dest, **options).folder / "README.md").read_text()


def base_of(adapter: Path) -> Path:
    config = json.loads((adapter / "adapter_config.json").read_text())
    return Path(config["base_model_name_or_path"])


def test_figures_are_those_of_exactly_these_weights(moved, tmp_path) -> None:
    assert STAGES in card_of(moved / "one", tmp_path / "newest")
    assert NONE in card_of(moved / "one", tmp_path / "earlier", step=1)
    assert STAGES not in card_of(moved / "two", tmp_path / "two")
    shutil.copytree(moved / "eval_one", moved / "eval_one.old-1")
    marker = moved / "eval_one" / "STAGE.json"
    change(marker, lambda told: told["inputs"].update(model="0" * 64))  # one was trained again
    assert OWN in card_of(moved / "one", tmp_path / "again")
    marker.unlink()  # its evaluation was begun anew
    assert OWN in card_of(moved / "one", tmp_path / "unfinished")


def test_adapters_of_a_later_stage_belong_to_the_stage_before(moved, tmp_path) -> None:
    def from_hub(told: dict) -> None:
        told["recipe"]["stages"]["one"]["model"] = "somebody/base-0.5B"

    change(moved / "pipeline.json", from_hub)
    card = card_of(moved / "two", tmp_path / "adapter", adapter=True)
    assert "base_model:" not in card
    assert "from the checkpoint of its stage `one`" in card
    assert base_of(tmp_path / "adapter") == moved / "one/run/checkpoints/step-000002"
    merged = card_of(moved / "two", tmp_path / "merged")
    assert 'base_model: "somebody/base-0.5B"' in merged


def test_a_stages_adapters_on_their_base_are_the_merged_model(moved, tmp_path) -> None:
    peft = pytest.importorskip("peft")
    r1.export(moved / "two", tmp_path / "adapter", adapter=True)
    merged = AutoModelForCausalLM.from_pretrained(r1.export(moved / "two", tmp_path / "merged"))
    apart = peft.AutoPeftModelForCausalLM.from_pretrained(str(tmp_path / "adapter"))
    ids = AutoTokenizer.from_pretrained(tmp_path / "merged")("What is 12?", return_tensors="pt")
    with torch.no_grad():
        difference = apart(**ids).logits - merged(**ids).logits
    assert difference.abs().max() < 1e-4


def test_a_base_is_found_by_its_contents_or_missed_aloud(moved, tmp_path) -> None:
    """The stage before was trained again: the same path holds other weights."""
    shutil.copytree(moved / "one", moved / "one.old-1")
    shutil.rmtree(moved / "one/run/checkpoints/step-000002")
    shutil.copytree(
        moved / "one/run/checkpoints/step-000001", moved / "one/run/checkpoints/step-000002"
    )
    change(moved / "one/STAGE.json", lambda told: told["outputs"]["checkpoint"].update(sha256="0"))
    r1.export(moved / "two", tmp_path / "adapter", adapter=True)
    assert base_of(tmp_path / "adapter") == moved / "one.old-1/run/checkpoints/step-000002"
    shutil.rmtree(moved / "one.old-1")
    with pytest.raises(r1.UserError, match="the checkpoint of stage one as it was"):
        r1.export(moved / "two", tmp_path / "lost", adapter=True)
    assert not (tmp_path / "lost").exists()


def test_adapters_on_a_run_name_the_checkpoint_that_it_had(moved, tmp_path) -> None:
    """`model` may be a run, which went on since."""
    run = tmp_path / "run"
    shutil.copytree(moved / "two/run", run)
    shutil.copytree(moved / "one/run", tmp_path / "first")
    change(run / "recipe.json", lambda told: told.update(model=str(tmp_path / "first")))
    last = tmp_path / "first/checkpoints/step-000002"
    shutil.copytree(tmp_path / "first/checkpoints/step-000001", last.with_name("step-000003"))
    r1.export(run, tmp_path / "adapter", adapter=True)
    assert base_of(tmp_path / "adapter") == last
    shutil.rmtree(last)
    with pytest.raises(r1.UserError, match="is there no longer; leave --adapter out"):
        r1.export(run, tmp_path / "lost", adapter=True)

"""`r1 eval --recipe` obeys the recipe; an empty data set is no result; limits fit the context."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from r1 import cli
from r1.errors import UserError
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.progress import TerminalProgress
from r1.r1_zero.run import prepare
from r1.stages.dataset import remedy_for
from small_models import save_small_model
from small_pipeline import PLUGIN, readable, write_problems

OWN_PLUGIN = PLUGIN.replace("even_tokens", "dropped_tokens")  # a name is registered once a process
RECIPE = """
model = "model"
num_steps = 1
[[data.train]]
path = "data.jsonl"
[[data.heldout]]
path = "data.jsonl"
[template]
kind = "plain"
[rewards]
weights = { accuracy = 1.0 }
plugins = ["dropped_plugin"]
[sampling]
max_new_tokens = 5
stop = ["zz"]
[evaluation]
num_samples = 3
temperature = 0.9
top_p = 0.8
seed = 4
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    save_small_model(folder / "model")
    (folder / "dropped_plugin.py").write_text(OWN_PLUGIN)
    write_problems(folder, 3)
    (folder / "recipe.toml").write_text(RECIPE)
    return folder


@pytest.fixture
def r1(world, monkeypatch, capsys):
    """A command in this process: its exit status and what it says, in one line."""
    monkeypatch.syspath_prepend(str(world))
    monkeypatch.setenv("PYTHONPATH", str(world))  # for the verifiers' workers

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["r1", *words])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        printed = capsys.readouterr()
        return int(stopped.value.code or 0), " ".join((printed.out + printed.err).split())

    return run


def test_eval_obeys_every_section_of_its_recipe(world, tmp_path, r1) -> None:
    """The verifier of the problems is the plugin's own."""
    out, recipe, model = tmp_path / "out", str(world / "recipe.toml"), str(world / "model")
    words = ["eval", model, "--recipe", recipe, "--out", str(out), "--set", "evaluation.top_p=0.7"]
    code, said = r1(*words)
    assert code == 0, said
    drawn = json.loads((out / "evaluation.json").read_text())
    assert drawn["k"] == 3
    assert drawn["sampling"] == {
        "temperature": 0.9, "top_p": 0.7, "top_k": 0, "max_new_tokens": 5, "stop": ["zz"],
        "seed": 4,
    }  # fmt: skip
    asked = json.loads((out / "request.json").read_text())
    assert "rewards.plugins.dropped_plugin" in asked["plugins"]
    (world / "dropped_plugin.py").write_text(OWN_PLUGIN + "# another\n")
    code, said = r1(*words)
    assert code == 2
    assert "other plugins" in said


@pytest.mark.parametrize(
    "words", [["--max-new-tokens", "9999"], ["--set", "sampling.max_new_tokens=9999"],
              ["--set", "evaluation.max_new_tokens=2049"]],
)  # fmt: skip
def test_eval_refuses_a_limit_beyond_the_context(world, tmp_path, r1, words) -> None:
    model, recipe = str(world / "model"), str(world / "recipe.toml")
    out = tmp_path / "out"
    code, told = r1("eval", model, "--recipe", recipe, "--out", str(out), *words)
    assert code == 2
    assert "more than the model's context of 2048 tokens" in told
    assert not out.exists()


PIPELINE = """
kind = "r1"
[stages.zero]
kind = "r1_zero"
model = "model"
num_steps = 1
data = { train = [{ path = "data.jsonl" }] }
template = { kind = "plain" }
sampling = { max_new_tokens = 8 }
rewards = { weights = { even_tokens = 1.0 }, plugins = ["dropped_plugin"] }
grpo = { num_problems = 2, group_size = 2 }
""" + readable("@zero", "dropped_plugin")
PIPELINE = PIPELINE.replace("even_tokens", "dropped_tokens")


def pipeline(world: Path, tmp_path: Path, *overrides: str) -> Path:
    path = world / "r1.toml"
    path.write_text(PIPELINE)
    progress = TerminalProgress(Console(quiet=True))
    run_recipe(load_any_recipe(path, overrides), world, tmp_path / "out", progress)
    return tmp_path / "out"


@pytest.mark.parametrize(
    "override", ["stages.zero.sampling.max_new_tokens=2049",
                 "stages.zero.evaluation.max_new_tokens=5000",
                 "stages.readable.sampling.max_new_tokens=2049"],
)  # fmt: skip
def test_a_limit_beyond_the_context_is_refused_before_any_stage(
    world, tmp_path, monkeypatch, override
) -> None:
    monkeypatch.syspath_prepend(str(world))
    with pytest.raises(UserError, match=f"stage {override.split('.')[1]}: .*context of 2048"):
        pipeline(world, tmp_path, override)
    assert not (tmp_path / "out").exists()


def test_rejection_that_keeps_nothing_fails_with_the_reasons(world, tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(world))
    monkeypatch.setenv("PYTHONPATH", str(world))
    none = "stages.readable.filters.min_tokens=1000"
    for _ in range(2):  # the same command again is not taken for done either
        with pytest.raises(UserError) as told:
            pipeline(world, tmp_path, none)
        message = str(told.value)
        assert "stage readable: not one row was kept: 3 prompts, 24 samples (" in message
        assert "card.md" in message
        assert not (tmp_path / "out" / "readable" / "STAGE.json").exists()


@pytest.mark.parametrize(
    ("reasons", "remedy"),
    [
        ({"cut at the token limit": 24, "malformed": 3}, "raise sampling.max_new_tokens"),
        ({"malformed": 8, "wrong answer": 2}, 'sampled = { opening = "", closing = "" }'),
        ({"no answer could be read": 8}, "rewards.answer_from"),
        ({"wrong answer": 8}, "easier problems"),
        ({"verifier without verdict": 8}, "rewards.timeout_s"),
        ({"too short": 8, "malformed": 1}, "the stage's filters"),
        ({"cut at the token limit": 7, "malformed": 9}, "raise sampling.max_new_tokens"),
        ({"cut at the token limit": 9, "malformed": 7}, 'sampled = { opening = "", closing = "" }'),
        ({}, "the stage's filters"),
    ],
)
def test_the_remedies_are_those_of_the_frequent_reasons(reasons, remedy) -> None:
    assert remedy in remedy_for(list(reasons.items()))


SHORT = "3 of 3 {} leave a response less than max_new_tokens = {} of the model's context of 64"


def test_prompts_that_leave_less_than_the_limit_are_counted(world, tmp_path, caplog, r1) -> None:
    """The limit fits the context, the prompt beside it does not."""
    save_small_model(tmp_path / "model", max_position_embeddings=64)
    write_problems(tmp_path, 3)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    recipe, model = str(tmp_path / "recipe.toml"), str(tmp_path / "model")
    for limit, is_short in ("63", True), ("5", False):
        out = str(tmp_path / limit)
        code, said = r1("eval", model, "--recipe", recipe, "--out", out, "--max-new-tokens", limit)
        assert code == 0, said
        assert (SHORT.format("prompts", 63) in caplog.text) == is_short
        assert ("leave a response less" in caplog.text) == is_short
        caplog.clear()
    changes = ["sampling.max_new_tokens=62", "evaluation.max_new_tokens=60", "grpo.num_problems=1"]
    changes += ["data.decontaminate=false"]
    prepare(load_any_recipe(Path(recipe), changes), tmp_path)
    assert SHORT.format("training prompts", 62) in caplog.text
    assert SHORT.format("held-out prompts", 60) in caplog.text

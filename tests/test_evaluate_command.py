"""`r1 eval` and `r1 chat` on a random model in a run folder, with the real engine and workers."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from r1.chat import chat
from r1.data.settings import SourceSettings
from r1.errors import UserError
from r1.evaluation import blocks
from r1.evaluation.command import run_eval_command
from r1.evaluation.source import choose_template, load_engine, resolve_model
from r1.rewards.settings import RewardSettings
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.run_dir import RunDir
from r1.template import PromptRenderer, TemplateSettings
from small_models import save_small_model

RECIPE = {
    "template": {"kind": "plain"},
    "sampling": {"max_new_tokens": 6},
    "evaluation": {"num_samples": 3, "temperature": 1.5, "top_p": 1.0},
    "rewards": {"weights": {"accuracy": 1.0, "format": 1.0}, "answer_from": "text"},
    "engine": {"device": "cpu"},
    "data": {
        "train": [{"kind": "jsonl", "path": "train.jsonl"}],
        "heldout": [{"kind": "jsonl", "path": "heldout.jsonl", "verifier": "exact"}],
    },
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A run folder with one checkpoint of a random model, and its held-out problems."""
    folder = tmp_path_factory.mktemp("world")
    rows = [{"id": f"p{i}", "prompt": f"{i}+{i}=", "reference": str(2 * i)} for i in range(5)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "heldout.jsonl").write_text(text)
    with RunDir.open(folder / "run", RECIPE, "grpo") as run:
        for step in run.remaining_steps(3):
            run.commit_step(step, save_small_model, {})
        run.finish()
    return folder


def evaluate_run(world: Path, out: Path, **changes):
    console = Console(file=io.StringIO(), width=400)
    summary = run_eval_command(str(world / "run"), out, console, base_folder=world, **changes)
    return summary, console.file.getvalue()


def test_a_run_is_evaluated_by_its_own_recipe_and_again_after_an_interruption(
    world, tmp_path, monkeypatch
):
    monkeypatch.setattr(blocks, "BLOCK_SAMPLES", 6)
    summary, shown = evaluate_run(world, tmp_path / "whole")
    assert (summary["step"], summary["num_problems"], summary["k"]) == (3, 5, 3)
    assert summary["sampling"]["temperature"] == 1.5
    assert summary["sampling"]["max_new_tokens"] == 6
    assert 1.0 <= summary["mean_length"] <= 6.0
    assert sum(summary["outcomes"].values()) == 15
    assert "step 3" in " ".join(shown.split())  # the title may be broken over lines
    assert "pass@1" in shown

    written = blocks.completion_table
    calls = []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return written(*arguments)

    monkeypatch.setattr(blocks, "completion_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate_run(world, tmp_path / "killed")
    again, _ = evaluate_run(world, tmp_path / "killed")
    assert len(calls) == 4  # blocks 1, 2 (interrupted), then 2 and 3
    assert again == summary
    for path in sorted((tmp_path / "whole").rglob("*.*")):
        twin = tmp_path / "killed" / path.relative_to(tmp_path / "whole")
        assert path.read_bytes() == twin.read_bytes(), path.name


def test_problems_and_settings_can_be_given_instead(world, tmp_path):
    source = SourceSettings(kind="jsonl", path="heldout.jsonl", verifier="exact", limit=2)
    summary, _ = evaluate_run(
        world,
        tmp_path / "out",
        sources=[source],
        overrides={"num_samples": 2, "temperature": 0.0, "top_p": None},
        rewards=RewardSettings(weights={"accuracy": 1.0}, answer_from="text"),
    )
    assert (summary["num_problems"], summary["k"], summary["format"]) == (2, 2, None)
    assert summary["sampling"]["temperature"] == 0.0
    assert summary["sampling"]["top_p"] == 1.0  # None is as if not given


@pytest.mark.parametrize(
    ("model", "step", "words"),
    [
        ("no/such/folder/at/all", None, "does not exist"),
        ("run", 9, "no checkpoint of step 9"),
        ("heldout.jsonl", 1, "not a run"),
    ],
)
def test_a_wrong_model_or_step_is_named(world, tmp_path, model, step, words):
    path = str(world / model)
    console = Console(file=io.StringIO())
    source = SourceSettings(kind="jsonl", path="heldout.jsonl", verifier="exact")
    with pytest.raises(UserError, match=words):
        run_eval_command(
            path, tmp_path / "out", console, step=step, sources=[source], base_folder=world
        )
    assert not (tmp_path / "out" / "blocks").exists() or not list(
        (tmp_path / "out").rglob("*.parquet")
    )


def test_a_whole_recipes_run_means_its_final_stage(world, tmp_path):
    stages = [
        {"name": name, "kind": "sft", "outputs": {"out": kind}}
        for name, kind in (("data", "dataset"), ("dev1", "checkpoint"), ("r1", "checkpoint"))
    ]
    (tmp_path / "pipeline.json").write_text(json.dumps({"stages": stages}))
    with pytest.raises(UserError, match="it has none yet"):
        resolve_model(str(tmp_path))
    shutil.copytree(world / "run", tmp_path / "dev1" / "run")
    with pytest.raises(UserError, match=r"no checkpoint of a stage r1: name one .*dev1"):
        resolve_model(str(tmp_path))
    shutil.copytree(world / "run", tmp_path / "r1" / "run")
    found = resolve_model(str(tmp_path))
    assert found.path.startswith(str(tmp_path / "r1" / "run" / "checkpoints"))
    assert (found.step, found.recipe["template"]) == (3, {"kind": "plain"})
    assert resolve_model(str(tmp_path / "dev1"), step=3).path.startswith(str(tmp_path / "dev1"))


def test_a_reward_beside_the_runs_recipe_is_found_with_other_problems(world, tmp_path):
    beside = tmp_path / "project"
    beside.mkdir()
    (beside / "beside_rewards.py").write_text(
        "def short(prompts, completions):\n    return [0.5] * len(completions)\n"
    )
    own = {"weights": {"accuracy": 1.0, "short": 0.1}, "plugins": ["beside_rewards.py:short"]}
    recipe = {**RECIPE, "rewards": {**own, "answer_from": "text"}, "base_folder": str(beside)}
    shutil.copytree(world / "run", tmp_path / "run")
    (tmp_path / "run" / "recipe.json").write_text(json.dumps(recipe))
    source = SourceSettings(path="heldout.jsonl", verifier="exact")
    console = Console(file=io.StringIO())
    given = {"sources": [source], "base_folder": world, "overrides": {"num_samples": 1}}
    summary = run_eval_command(str(tmp_path / "run"), tmp_path / "out", console, **given)
    assert summary["num_problems"] == 5


def test_a_model_without_problems_is_refused(world, tmp_path):
    console = Console(file=io.StringIO())
    with pytest.raises(UserError, match="does not exist; give a folder"):
        run_eval_command(str(world / "elsewhere"), tmp_path / "out", console)
    (world / "a folder").mkdir(exist_ok=True)
    with pytest.raises(UserError, match="give --recipe RECIPE"):
        run_eval_command(str(world / "a folder"), tmp_path / "out", console)


@pytest.mark.slow
def test_chat_through_a_pipe_says_what_the_model_says(world):
    """The real thing in a process of its own: lines in, plain text out, no colours."""
    code = (
        "import sys; from rich.console import Console; from r1.chat import run_chat_command; "
        "run_chat_command(sys.argv[1], Console(), seed=5)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(world / "run")],
        input="/temperature 0.5\nhello\n\n你好\n",
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "TERM": "xterm-256color"},
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    source = resolve_model(str(world / "run"))
    engine = load_engine(source, EngineSettings(device="cpu"))
    renderer = PromptRenderer(engine.tokenizer, choose_template(source))
    assert renderer.settings == TemplateSettings(kind="plain")
    sampling = SamplingSettings(temperature=1.5, max_new_tokens=6)
    here = io.StringIO()
    messages = io.StringIO("/temperature 0.5\nhello\n\n你好\n")
    chat(engine, renderer, sampling, Console(file=here), seed=5, source=messages)
    assert done.stdout == here.getvalue()
    assert done.stdout.startswith("temperature 0.5.\n")
    assert len(done.stdout) > len("temperature 0.5.\n\n\n\n\n")

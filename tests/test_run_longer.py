"""A run made longer, a folder taken over, what is told of a folder before anything runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from r1.errors import UserError
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.pipeline.standing import standing_of
from r1.progress import TerminalProgress
from r1.run_dir import RunDir, checkpoint_steps, lock, read_metrics
from run_story import story
from sft_data import write_recipe as write_sft
from small_recipe import VARIED, write_recipe


class Beginning(TerminalProgress):
    """Remembers what it was told at the beginning."""

    def begin(self, first_step: int, num_steps: int, notices: list[str]) -> None:
        self.first, self.notices = first_step, notices


def go(recipe: Path, out: Path, *overrides: str) -> Beginning:
    progress = Beginning(Console(quiet=True))
    run_recipe(load_any_recipe(recipe, overrides), recipe.parent, out, progress)
    return progress


def numbers(out: Path) -> dict[str, str]:
    """The hashes of what was trained, but for the evaluation that the shorter run ended with."""
    told = ("timings.jsonl", "DONE.json", "lineage.json", "step-000003.json", "step-000003.parquet")
    return story(out, told)


@pytest.fixture
def recipe(tmp_path, monkeypatch) -> Path:
    path = write_recipe(tmp_path, "qwen2", num_steps=3, sections=VARIED)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return path


@pytest.mark.slow
def test_a_finished_run_goes_on_as_if_it_had_been_longer_from_the_start(recipe, tmp_path) -> None:
    go(recipe, tmp_path / "whole", "num_steps=6")
    go(recipe, tmp_path / "run")
    told = go(recipe, tmp_path / "run", "num_steps=6")
    assert told.first == 3
    assert told.notices == ["The run is made longer: num_steps: 3 in the run, 6 now."]
    assert numbers(tmp_path / "run") == numbers(tmp_path / "whole")
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["num_steps"] == 6
    lineage = json.loads((tmp_path / "run" / "lineage.json").read_text())
    assert lineage["changes"] == [
        {"step": 3, "changes": ["num_steps: 3 in the run, 6 now"]}
    ]  # fmt: skip
    with pytest.raises(UserError, match="num_steps: 6 in the run, 3 now"):
        go(recipe, tmp_path / "run")


def test_a_run_without_memory_goes_on_with_less_of_it(recipe, tmp_path) -> None:
    less = (
        "learner.tokens_per_microbatch=60",
        "learner.gradient_checkpointing=true",
        "engine.max_batch=2",
        "engine.max_kv_tokens=2000",
    )
    go(recipe, tmp_path / "run", "num_steps=1")
    go(recipe, tmp_path / "run", "num_steps=2", *less)
    go(recipe, tmp_path / "whole", "num_steps=2")
    ours, theirs = (read_metrics(tmp_path / name) for name in ("run", "whole"))
    assert ours[0] == theirs[0]
    assert ours[1]["grad_norm"] == pytest.approx(theirs[1]["grad_norm"], rel=1e-3)
    assert ours[1]["reward"] == theirs[1]["reward"]


def test_a_schedule_that_decays_is_told(tmp_path) -> None:
    recipe = write_sft(tmp_path, "[batch]\nsize = 8\nepochs = 1\n[checkpoints]\nevery = 1\n")
    go(recipe, tmp_path / "run", "optimizer.schedule=linear")
    told = go(recipe, tmp_path / "run", "optimizer.schedule=linear", "batch.epochs=2")
    assert len(read_metrics(tmp_path / "run")) == 6
    assert any("batch.epochs: 1 in the run, 2 now" in notice for notice in told.notices)
    assert any('schedule = "linear" spreads over all steps' in notice for notice in told.notices)
    go(recipe, tmp_path / "flat", "optimizer.schedule=constant", "batch.max_steps=1")
    told = go(recipe, tmp_path / "flat", "optimizer.schedule=constant", "batch.max_steps=2")
    assert not any("spreads" in notice for notice in told.notices)


def commit(folder: Path, steps: int) -> None:
    with RunDir.open(folder, {"lr": 1}, "grpo") as run:
        for step in run.remaining_steps(steps):
            run.commit_step(step, lambda to: (to / "w").write_text("w") and None, {"loss": 1.0})


def test_a_folder_that_holds_no_step_is_taken_over(tmp_path) -> None:
    out = tmp_path / "run"
    with RunDir.open(out, {"lr": 1}, "grpo") as run:
        run.commit_evaluation(0, {"pass": 1.0})
    with RunDir.open(out, {"lr": 2}, "sft") as run:
        (notice,) = run.notices
        assert "took no step" in notice
        assert "lr: 1 in the run, 2 now" in notice
        assert not run.has_evaluation(0)  # it measured under the other recipe
    assert json.loads((out / "recipe.json").read_text()) == {"lr": 2}
    assert json.loads((out / "run.json").read_text())["kind"] == "sft"
    commit(tmp_path / "other", 1)
    with pytest.raises(UserError, match="belongs to another recipe"):
        RunDir.open(tmp_path / "other", {"lr": 2}, "grpo")


def test_a_run_that_failed_before_its_first_step_leaves_its_folder(recipe, tmp_path) -> None:
    """The command with the mistake put right goes on in the same folder."""
    path = tmp_path / "model" / "model.safetensors"
    weights = path.read_bytes()
    path.write_bytes(weights.replace(b"model.norm.weight", b"model.norn.weight"))
    with pytest.raises(UserError):
        go(recipe, tmp_path / "run")
    path.write_bytes(weights)
    told = go(recipe, tmp_path / "run", "num_steps=1", "optimizer.lr=1e-3")
    assert "took no step" in told.notices[0]
    assert checkpoint_steps(tmp_path / "run") == [1]


def standing(recipe: Path, out: Path, *overrides: str) -> str:
    return " ".join(standing_of(load_any_recipe(recipe, overrides), recipe.parent, out))


def test_a_dry_run_says_what_is_done_and_what_would_be(recipe, tmp_path) -> None:
    out = tmp_path / "run"
    assert "would begin" in standing(recipe, out)
    assert not out.exists()
    go(recipe, out)
    before = story(out)
    assert "done, 3 of 3 steps. Nothing to do" in standing(recipe, out)
    longer = standing(recipe, out, "num_steps=5")
    assert "3 of 5 steps are done; the run would carry on at step 3" in longer
    assert "made longer" in longer
    refused = standing(recipe, out, "optimizer.lr=1")
    assert "would refuse" in refused
    assert "optimizer.lr" in refused
    (tmp_path / "data.jsonl").write_text(
        (tmp_path / "data.jsonl").read_text().replace("1 +", "2 +")
    )
    assert "data.train.0.path" in standing(recipe, out)
    assert story(out) == before


HOLD = """
import sys
from pathlib import Path
from r1.run_dir import lock
lock.acquire(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("command", ["run", "eval"])
def test_a_folder_that_another_command_writes_is_told_first(tmp_path, command) -> None:
    """With who holds it, before the data are read (here they are not even there)."""
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "r.toml").write_text(
        'model = "tiny"\nnum_steps = 1\n[[data.train]]\npath = "no.jsonl"\n'
    )
    words: Mapping[str, Any] = {
        "run": ["run", str(tmp_path / "r.toml")], "eval": ["eval", "no/such/model"],
    }  # fmt: skip
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(out)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        told = subprocess.run(
            [sys.executable, "-m", "r1", *words[command], "--out", str(out)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert told.returncode == 2
        flat = " ".join(told.stderr.split())
        assert f"is being written by another process (pid {holder.pid}: " in flat
        assert "lock.acquire" in flat  # its command line
        lock.refuse_held(tmp_path / "elsewhere")
    finally:
        holder.communicate()
    lock.refuse_held(out)

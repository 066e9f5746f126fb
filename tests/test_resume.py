"""Stopped, or killed with -9, and started again, a run ends byte for byte as an undisturbed one."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console

from kills import num_kills
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.progress import TerminalProgress
from run_story import story
from small_recipe import VARIED, write_recipe


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    """A recipe on a random model with everything that could differ: minibatches, KL, evaluation."""
    return write_recipe(tmp_path_factory.mktemp("recipe"), "qwen2", num_steps=12, sections=VARIED)


def start(recipe: Path, out: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "r1", "run", str(recipe), "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(recipe.parent), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
    )


def finish(recipe: Path, out: Path) -> None:
    process = start(recipe, out)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()


def kill_often(recipe: Path, out: Path, kills: int, longest_s: float, seed: int) -> int:
    """Start the run again and again, killing it at random moments; return how many hit it alive."""
    rng = random.Random(seed)
    hits = 0
    for _ in range(kills):
        process = start(recipe, out)
        time.sleep(rng.uniform(0.0, longest_s))
        alive = process.poll() is None
        hits += alive
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if not alive:
            shutil.rmtree(out)  # it ended before the kill: begin again, there is no more to hit
    return hits


class Undisturbed(NamedTuple):
    """A run that nobody killed, and how long it took."""

    folder: Path
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(recipe, tmp_path_factory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    began = time.monotonic()
    finish(recipe, folder)
    return Undisturbed(folder, time.monotonic() - began)


def check(recipe: Path, undisturbed: Undisturbed, tmp_path: Path, kills: int) -> None:
    whole_s = undisturbed.seconds
    hits = kill_often(recipe, tmp_path / "killed", kills, 0.6 * whole_s, seed=kills)
    assert hits >= kills // 2
    finish(recipe, tmp_path / "killed")
    expected = story(undisturbed.folder)
    assert {"metrics.jsonl", "rollouts/step-000000.parquet"} <= set(expected)
    assert story(tmp_path / "killed") == expected


class Stopped(TerminalProgress):
    """Somebody presses Ctrl-C in the midst of a run, between two checkpoints."""

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        if step == 3:
            raise KeyboardInterrupt


def test_stopped_it_carries_on_as_if_it_never_was(tmp_path, monkeypatch) -> None:
    path = write_recipe(tmp_path, "qwen2", num_steps=5, sections=VARIED)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    settings = load_any_recipe(path)
    quiet = Console(quiet=True)
    run_recipe(settings, tmp_path, tmp_path / "whole", TerminalProgress(quiet))
    with pytest.raises(KeyboardInterrupt):
        run_recipe(settings, tmp_path, tmp_path / "stopped", Stopped(quiet))
    assert len((tmp_path / "stopped" / "metrics.jsonl").read_text().splitlines()) < 5
    run_recipe(settings, tmp_path, tmp_path / "stopped", TerminalProgress(quiet))
    expected = story(tmp_path / "whole")
    assert "rollouts/step-000004.parquet" in expected
    assert story(tmp_path / "stopped") == expected


@pytest.mark.slow
def test_killed_at_random_moments(recipe, undisturbed, tmp_path) -> None:
    check(recipe, undisturbed, tmp_path, num_kills(8))


@pytest.mark.slow
def test_the_run_moved(undisturbed) -> None:
    """Without this the comparison above could hold for a run that does nothing."""
    rows = [json.loads(line) for line in (undisturbed.folder / "metrics.jsonl").open()]
    assert len(rows) == 12
    assert all(row["grad_norm"] > 0 for row in rows)
    assert sum(row["reward"] for row in rows[-3:]) > sum(row["reward"] for row in rows[:3]) + 0.1

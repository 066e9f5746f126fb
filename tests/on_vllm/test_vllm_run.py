"""A run of R1-Zero through vLLM by the command line, as a user gives it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.vllm
RECIPE = Path(__file__).parents[2] / "recipes/tiny/r1_zero.toml"
SMALL = (
    'engine.kind="vllm"',
    'engine.dtype="float32"',
    "num_steps=3",
    "grpo.num_problems=4",
    "grpo.group_size=4",
    "sampling.max_new_tokens=60",
    "evaluation.num_samples=1",
    "evaluation.every=0",
)


def test_r1_zero_through_vllm(tmp_path: Path) -> None:
    """The gap between the engine's and the learner's log-probabilities is rounding alone.

    In the steps after weight updates too: stale weights or another definition would show.
    """
    out = tmp_path / "run"
    settings = [word for change in SMALL for word in ("--set", change)]
    command = [sys.executable, "-m", "r1", "run", str(RECIPE), "--out", str(out), *settings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert [row["engine_gap_max"] < 1e-4 for row in rows] == [True] * 3
    assert sum(row["engine_gap_max"] for row in rows) > 0.0
    assert sum(row["grad_norm"] for row in rows[:2]) > 0.0
    assert json.loads((out / "recipe.json").read_text())["engine"]["kind"] == "vllm"

"""Work on a finished model over vLLM replicas, as a user asks for it: `r1 eval --cluster`."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from test_vllm_cluster import RECIPE, nothing_is_left

from r1.config import load_recipe
from r1.evaluation.command import run_eval_command
from r1.r1_zero.settings import R1ZeroRecipe

pytest.importorskip("ray")
pytestmark = pytest.mark.vllm
HELDOUT = 'data.heldout=[{kind="tiny",split="heldout",families=["arithmetic"],levels=[3],num=24}]'
VLLM = (
    'engine.kind="vllm"',
    'engine.dtype="float32"',
    "engine.max_batch=16",
    "engine.vllm.kv_cache_gib=0.25",
    "engine.vllm.max_model_len=256",
    HELDOUT,
)
GREEDY = {"num_samples": 1, "temperature": 0.0, "max_new_tokens": 60}


def test_r1_eval_on_replicas_is_the_embedded_engines(tmp_path: Path) -> None:
    """Greedy answers, so that both engines give the same ones."""
    before = set(Path("/dev/shm").iterdir())
    command = [sys.executable, "-m", "r1", "eval", "tiny", "--recipe", str(RECIPE)]
    command += ["--out", str(tmp_path / "replicas"), "--cluster", "local", "--replicas", "2"]
    command += ["--samples", "1", "--temperature", "0", "--max-new-tokens", "60"]
    command += [word for change in VLLM for word in ("--set", change)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    alone = load_recipe(RECIPE, R1ZeroRecipe, ['engine.dtype="float32"', HELDOUT])
    run_eval_command(
        "tiny",
        tmp_path / "alone",
        Console(file=io.StringIO()),
        overrides=GREEDY,
        sources=alone.data.heldout,
        base_folder=RECIPE.parent,
        template=alone.template,
        rewards=alone.rewards,
        engine=alone.engine,
    )
    found, expected = (
        json.loads((tmp_path / name / "evaluation.json").read_text())
        for name in ("replicas", "alone")
    )
    assert found == expected
    assert 0 < found["outcomes"]["correct"] < found["num_problems"]
    assert nothing_is_left(before)

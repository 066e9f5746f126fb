"""Every architecture goes the whole way: training, checkpoint, reload, evaluation, transformers."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM

from r1 import cli
from small_recipe import write_recipe


def run(monkeypatch, *arguments: object) -> None:
    """One command, in this process; fails with the message where it is refused."""
    monkeypatch.setattr(sys, "argv", ["r1", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 0


SECTIONS = """
[grpo]
num_problems = 2
group_size = 4
kl_weight = 0.01
[optimizer]
lr = 1e-2
[evaluation]
num_samples = 2
"""


@pytest.mark.parametrize(
    "architecture",
    [
        "qwen2",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("qwen3", "llama", "deepseek_v3")),
    ],
)
def test_the_whole_way(architecture, tmp_path, monkeypatch, capsys) -> None:
    recipe = write_recipe(tmp_path, architecture, num_steps=2, sections=SECTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    out = tmp_path / "run"
    run(monkeypatch, "run", recipe, "--out", out)
    run(monkeypatch, "eval", out, "--samples", 2, "--out", tmp_path / "eval")
    summary = json.loads((tmp_path / "eval" / "evaluation.json").read_text())
    in_run = json.loads((out / "evaluations" / "step-000002.json").read_text())
    # What was saved is what was trained: the same seeds give the same figures after a reload.
    assert summary["mean_length"] == in_run["mean_length"]

    before = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    after = AutoModelForCausalLM.from_pretrained(out / "checkpoints" / "step-000002")
    assert after.config.model_type == architecture
    moved = [
        name
        for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True)
        if not torch.equal(old, new)
    ]
    assert len(moved) > len(list(before.parameters())) // 2

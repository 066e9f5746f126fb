"""Every architecture goes the whole way: training, checkpoint, reload, evaluation, transformers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from r1 import cli
from small_models import make_tokenizer, save_small_model


def run(monkeypatch, *arguments: object) -> None:
    """One command, in this process; fails with the message where it is refused."""
    monkeypatch.setattr(sys, "argv", ["r1", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 0


def write_recipe(folder: Path) -> Path:
    (folder / "even_reward.py").write_text(
        "from r1.rewards.registry import register_reward\n"
        "from r1.types import Outcome, Score\n"
        "def make(settings, form):\n"
        "    return lambda problem, c: Score(\n"
        "        sum(i % 2 == 0 for i in c.token_ids) / len(c.token_ids), Outcome.CORRECT)\n"
        "register_reward('even_tokens', make)\n"
    )
    rows = [{"id": str(i), "prompt": f"{i} + 1 = ?", "reference": str(i + 1)} for i in range(4)]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "recipe.toml"
    path.write_text(
        'model = "model"\nnum_steps = 2\n[[data.train]]\npath = "data.jsonl"\n'
        '[[data.heldout]]\nkind = "tiny"\nsplit = "heldout"\nnum = 2\n'
        "[grpo]\nnum_problems = 2\ngroup_size = 4\nkl_weight = 0.01\n"
        "[rewards]\nweights = { even_tokens = 1.0, accuracy = 0.0 }\nplugins = ['even_reward']\n"
        "[template]\nkind = 'plain'\n[optimizer]\nlr = 1e-2\n"
        "[sampling]\nmax_new_tokens = 8\n[evaluation]\nnum_samples = 2\n"
    )
    return path


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3", "llama", "deepseek_v3"])
def test_the_whole_way(architecture, tmp_path, monkeypatch, capsys) -> None:
    save_small_model(tmp_path / "model", architecture)
    make_tokenizer().save_pretrained(tmp_path / "model")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    out = tmp_path / "run"
    run(monkeypatch, "run", write_recipe(tmp_path), "--out", out)
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

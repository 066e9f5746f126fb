"""The adapters of a reward model leave with its head, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

import r1
from r1.learner.state import write_state
from r1.publish.adapter import write_adapter
from r1.reward_model.model import HEAD_FILE
from reward_model_data import write_recipe
from test_reward_model_run import train


def test_a_reward_models_adapters_leave_with_its_head(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    path = write_recipe(tmp_path, "pairwise")
    train(path, tmp_path / "run", ["learner.lora.rank=2", "batch.max_steps=2"])
    apart = r1.export(tmp_path / "run", tmp_path / "adapter", adapter=True)
    merged = r1.export(tmp_path / "run", tmp_path / "merged")
    loaded = peft.AutoPeftModelForSequenceClassification.from_pretrained(apart, num_labels=1)
    whole = AutoModelForSequenceClassification.from_pretrained(merged)
    ids = torch.tensor([[5, 6, 7, 8]])
    assert torch.allclose(loaded(ids).logits, whole(ids).logits, atol=1e-4)
    assert "AutoPeftModelForSequenceClassification" in (apart.folder / "README.md").read_text()


def test_a_head_of_r1s_own_stays_with_its_weights(tmp_path: Path) -> None:
    (tmp_path / HEAD_FILE).touch()
    write_state(
        tmp_path, {"step": 0, "optimizer": [], "adapters": {"score.weight": torch.zeros(1, 4)}}
    )
    with pytest.raises(r1.UserError, match="leave --adapter out"):
        write_adapter(tmp_path, {}, "base", tmp_path)

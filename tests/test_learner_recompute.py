"""Layers' inputs that wait elsewhere for the backward pass: the same update, to the last bit."""

from __future__ import annotations

import pytest
import torch

import reward_model_data
from r1.learner import recompute
from r1.learner.settings import LearnerSettings, LoraSettings, OptimizerSettings
from r1.reward_model.learner import RewardLearner
from small_models import ARCHITECTURES
from test_learner_local import assert_equal, folders, make_learner, tensors, without_time
from train_batches import make_batch_of, make_groups

__all__ = ["folders"]


@pytest.fixture
def sent(monkeypatch) -> list[torch.Size]:
    """Shapes of what was sent to the "host", a copy in the same memory here."""
    shapes: list[torch.Size] = []

    def to_host(tensor: torch.Tensor) -> recompute.Stored:
        shapes.append(tensor.shape)
        return tensor.device, tensor.detach().clone()

    monkeypatch.setattr(recompute, "to_host", to_host)
    return shapes


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=4)], ids=["full", "lora"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_an_update_is_the_same_and_only_layers_inputs_are_sent(folders, sent, arch, lora) -> None:
    batch = make_batch_of(make_groups())
    kept, found = (
        make_learner(folders[arch], lora=lora, gradient_checkpointing=how)
        for how in (True, "offload")
    )
    expected = [without_time(kept.update(batch)) for _ in range(2)]
    assert sent == []
    assert [without_time(found.update(batch)) for _ in range(2)] == expected
    assert_equal(tensors(kept), tensors(found))
    config = found.model.config
    assert len(sent) % config.num_hidden_layers == 0 < len(sent)
    assert {shape[-1] for shape in sent} == {config.hidden_size}
    assert len({tuple(shape) for shape in sent}) <= len(sent) // config.num_hidden_layers


def test_a_reward_model_learns_the_same(folders, sent) -> None:
    examples = reward_model_data.random_pairs([(5, 9, 30), (12, 3, 3)])
    metrics = []
    for how in (True, "offload"):
        settings = LearnerSettings(device="cpu", gradient_checkpointing=how)
        learner = RewardLearner(folders["qwen2"], settings, OptimizerSettings())
        metrics.append(without_time(learner.update(examples)))
    assert metrics[0] == metrics[1]
    assert sent


def test_what_is_on_the_host_already_stays_itself() -> None:
    tensor = torch.ones(3)
    assert recompute.to_host(tensor) is recompute.from_host(tensor) is tensor

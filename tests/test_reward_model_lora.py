"""Reward models and process reward models that learn by adapters: only they and the head move."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from r1.errors import UserError
from r1.learner.settings import LearnerSettings, LoraSettings, OptimizerSettings
from r1.reward_model.learner import RewardLearner
from r1.reward_model.model import load_reward_model
from reward_model_data import random_pairs
from small_models import save_small_model
from test_reward_model_learner import PAIRS
from test_reward_model_steps import random_steps

ARCHITECTURES = ("qwen2", "llama", "deepseek_v3")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {arch: save_small_model(root / arch, arch) for arch in ARCHITECTURES}


def learner(folder, dropout=0.0, lr=3e-3, **settings) -> RewardLearner:
    lora = LoraSettings(rank=4, dropout=dropout)
    return RewardLearner(
        folder,
        LearnerSettings(device="cpu", lora=lora, **settings),
        OptimizerSettings(lr=lr),
        total_steps=6,
        seed=3,
    )


@pytest.mark.parametrize("examples", [random_pairs(PAIRS), random_steps()], ids=["pairs", "steps"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_adapters_and_head_learn_and_a_checkpoint_has_them_merged(
    folders, architecture, examples, tmp_path
):
    found = learner(folders[architecture])
    before = {name: p.detach().clone() for name, p in found.model.named_parameters()}
    losses = [found.update(examples)["loss"] for _ in range(4)]
    assert losses[-1] < 0.9 * losses[0]
    moved = {n for n, p in found.model.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {n for n in before if "lora_" in n or n == "score.weight"}
    found.save(tmp_path / "saved")
    plain = load_reward_model(tmp_path / "saved")
    assert not [name for name, _ in plain.named_parameters() if "lora" in name]
    again = RewardLearner(tmp_path / "saved", LearnerSettings(device="cpu"), OptimizerSettings())
    for one, other in zip(again.measure(examples), found.measure(examples), strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    if plain.native:
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")


def test_any_budget_gives_one_step(folders):
    """Plain gradient descent would hide nothing either: the norm is before clipping."""
    examples = random_pairs(PAIRS)
    whole, split = (
        learner(folders["qwen2"], tokens_per_microbatch=budget).update(examples)
        for budget in (16_384, 60)
    )
    assert split["num_rows"] > whole["num_rows"]
    for name in ("loss", "grad_norm", "score_gap"):
        assert split[name] == pytest.approx(whole[name], rel=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_it_goes_on_exactly_where_it_was_saved(folders, dropout, tmp_path):
    examples = random_pairs(PAIRS)
    straight = learner(folders["qwen2"], dropout)
    for _ in range(2):
        straight.update(examples)
    straight.save(tmp_path / "half")
    resumed = learner(folders["qwen2"], dropout)
    resumed.load(tmp_path / "half")
    for one in (straight, resumed):
        one.update(examples)
        one.save(tmp_path / str(id(one)))
    for name in ("model.safetensors", "learner.pt"):
        first, second = (tmp_path / str(id(one)) / name for one in (straight, resumed))
        assert first.read_bytes() == second.read_bytes(), name


def test_a_checkpoint_without_adapters_is_refused(folders, tmp_path):
    plain = RewardLearner(folders["qwen2"], LearnerSettings(device="cpu"), OptimizerSettings())
    plain.save(tmp_path / "plain")
    with pytest.raises(UserError, match="of another model or other settings"):
        learner(folders["qwen2"]).load(tmp_path / "plain")

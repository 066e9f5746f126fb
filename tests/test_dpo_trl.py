"""Loss and gradient of the same pairs under TRL's DPOTrainer, where TRL is installed."""

from __future__ import annotations

import copy

import pytest
import torch

from r1.dpo.learner import DPOLearner
from r1.dpo.settings import DPOLossSettings
from r1.learner.settings import LearnerSettings, OptimizerSettings
from reward_model_data import random_pairs
from small_models import make_model, make_tokenizer, save_small_model
from test_dpo_learner import SHAPES, gradients

trl = pytest.importorskip("trl", reason="TRL is not installed (the extra `bench`)")
datasets = pytest.importorskip("datasets")
NAMES = {"dpo": "sigmoid", "ipo": "ipo", "length_normalised": "sigmoid_norm"}


@pytest.mark.parametrize("kind", NAMES)
def test_loss_and_gradient_are_those_of_trl(kind, tmp_path) -> None:
    examples = [example._replace(target=0.0) for example in random_pairs(SHAPES)]
    model = save_small_model(tmp_path / "model")
    settings = DPOLossSettings(kind=kind, beta=0.1)
    ours = DPOLearner(settings, model, LearnerSettings(device="cpu"), OptimizerSettings())
    reference, moved = make_model("qwen2"), make_model("qwen2", seed=1)
    with torch.no_grad():
        for own, other in zip(ours.local.model.parameters(), moved.parameters(), strict=True):
            own.add_(0.02 * other)
    policy = copy.deepcopy(reference)
    policy.load_state_dict(ours.local.model.state_dict())
    rows = [
        {
            "prompt_ids": list(example.prompt_ids),
            "chosen_ids": list(example.responses[0]),
            "rejected_ids": list(example.responses[1]),
        }
        for example in examples
    ]
    text = [{"prompt": "a", "chosen": "b", "rejected": "c"}]
    trainer = trl.DPOTrainer(
        model=policy,
        ref_model=reference,
        args=trl.DPOConfig(
            output_dir=str(tmp_path / "trl"),
            use_cpu=True,
            bf16=False,
            loss_type=[NAMES[kind]],
            beta=0.1,
            report_to="none",
            gradient_checkpointing=False,
        ),
        train_dataset=datasets.Dataset.from_list(text),
        processing_class=make_tokenizer(),
    )
    policy.train()  # the small models have no dropout
    loss = trainer.compute_loss(policy, trainer.data_collator(rows))
    loss.backward()
    measured = ours.measure(examples)
    from r1.dpo.measure import pair_figures

    assert pair_figures(measured.logprobs, settings)["loss"] == pytest.approx(loss.item(), rel=1e-4)
    expected = {name: p.grad for name, p in policy.named_parameters() if p.grad is not None}
    found = gradients(ours, examples)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        scale = value.abs().max().item()
        assert scale > 0
        torch.testing.assert_close(found[name], value, atol=2e-4 * scale, rtol=1e-3, msg=name)

"""Schedules by value, clipping, and Muon on the right parameters."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from r1.errors import UserError
from r1.learner.metrics import skipped_steps, stuck_metric
from r1.learner.movement import stuck_share
from r1.learner.muon import Muon
from r1.learner.optimizer import MAX_SKIPPED, PolicyOptimizer, lr_factor
from r1.learner.settings import OptimizerSettings
from small_models import make_model


def factors(total, **changes):
    settings = OptimizerSettings(**changes)
    return [lr_factor(step, total, settings) for step in range(total)]


def test_schedules():
    assert factors(3) == [1, 1, 1]
    assert factors(4, warmup_steps=3) == [0.25, 0.5, 0.75, 1.0]
    assert factors(5, schedule="linear") == pytest.approx([1, 0.75, 0.5, 0.25, 0])
    assert factors(5, schedule="linear", final_fraction=0.2, decay_start=0.4) == pytest.approx(
        [1, 1, 1, 0.6, 0.2]
    )
    cosine = [0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * i / 4)) for i in range(5)]
    assert factors(5, schedule="cosine", final_fraction=0.1) == pytest.approx(cosine)
    late = lr_factor(99, 5, OptimizerSettings(schedule="linear", final_fraction=0.3))
    assert late == pytest.approx(0.3)


def test_a_step_is_adamw_on_clipped_gradients():
    ours, theirs = nn.Linear(4, 3, bias=False), nn.Linear(4, 3, bias=False)
    theirs.load_state_dict(ours.state_dict())
    settings = OptimizerSettings(lr=0.1, max_grad_norm=0.5, weight_decay=0.1)
    optimizer = PolicyOptimizer(ours.named_parameters(), settings, 10)
    expected = torch.optim.AdamW(theirs.parameters(), 0.1, (0.9, 0.95), 1e-8, 0.1)
    for step in range(3):
        grad = torch.full((3, 4), 2.0 + step)
        ours.weight.grad, theirs.weight.grad = grad.clone(), grad * (0.5 / grad.norm())
        assert optimizer.step(step).item() == pytest.approx(grad.norm().item())
        expected.step()
        torch.testing.assert_close(ours.weight, theirs.weight)
        assert ours.weight.grad is None


def test_a_gradient_that_is_not_finite_changes_no_weight():
    layer = nn.Linear(4, 3)
    before = layer.weight.clone()
    optimizer = PolicyOptimizer(layer.named_parameters(), OptimizerSettings(lr=0.1), 10)
    layer.weight.grad = torch.full((3, 4), math.nan)
    assert math.isnan(optimizer.step(0).item())
    assert torch.equal(layer.weight, before)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_steps_without_a_finite_gradient_are_told_and_end_in_the_end(value, caplog):
    layer = nn.Linear(4, 3)
    before = layer.weight.clone()
    optimizer = PolicyOptimizer(layer.named_parameters(), OptimizerSettings(lr=0.1), 10)

    def step(number, gradient):
        layer.weight.grad = torch.full((3, 4), gradient)
        return optimizer.step(number).item()

    for number in range(MAX_SKIPPED - 1):
        step(number, value)
    assert torch.equal(layer.weight, before)
    assert len(caplog.records) == MAX_SKIPPED - 1
    assert "step 1: the gradients' norm is" in caplog.records[0].getMessage()
    step(50, 1.0)  # one that is finite ends the row
    assert not torch.equal(layer.weight, before)
    norms = [step(number, value) for number in range(60, 60 + MAX_SKIPPED - 1)]
    assert skipped_steps([1.0, *norms]) == {"skipped_steps": float(MAX_SKIPPED - 1)}
    with pytest.raises(UserError, match=f"{MAX_SKIPPED} optimiser steps in a row"):
        step(70, value)
    assert skipped_steps([1.0, 0.0]) == {}


def bfloat16_layer(scale):
    torch.manual_seed(0)
    layer = nn.Linear(64, 64, bias=False, dtype=torch.bfloat16)
    nn.init.uniform_(layer.weight, 0.5 * scale, scale)
    return layer


@pytest.mark.parametrize("lr", [1e-6, 3e-6, 1e-5, 1e-4, 1e-3])
@pytest.mark.parametrize("scale", [1e-4, 1e-3, 2e-2, 1.0])
def test_what_is_said_of_bfloat16_is_what_happens(lr, scale, caplog):
    """The share told before training against the share that AdamW's first step leaves alone."""
    layer = bfloat16_layer(scale)
    before = layer.weight.detach().clone()
    expected = stuck_share([layer.weight], lr)
    optimizer = PolicyOptimizer(layer.named_parameters(), OptimizerSettings(lr=lr), 10)
    assert optimizer.stuck_share == expected
    assert stuck_metric(expected) == ({"stuck_share": expected} if expected else {})
    assert bool(caplog.records) == (expected > 0.1)
    told = " ".join(record.getMessage() for record in caplog.records)
    assert ("cannot move: they are bfloat16" in told) == (expected > 0.1)
    layer.weight.grad = torch.ones_like(layer.weight)
    optimizer.step(0)
    stayed = (layer.weight == before).float().mean().item()
    assert stayed == pytest.approx(expected, abs=0.02)
    told = " ".join(record.getMessage() for record in caplog.records)
    assert ("of the bfloat16 weights" in told) == (stayed > 0.5)


def test_float32_weights_are_not_asked(caplog):
    layer = nn.Linear(4, 3)
    optimizer = PolicyOptimizer(layer.named_parameters(), OptimizerSettings(lr=1e-30), 10)
    layer.weight.grad = torch.ones(3, 4)
    optimizer.step(0)
    assert not caplog.records


def test_muon_takes_the_matrices_and_leaves_embeddings_and_head():
    model = make_model("deepseek_v3")
    ends = [model.get_input_embeddings().weight, model.get_output_embeddings().weight]
    optimizer = PolicyOptimizer(
        model.named_parameters(), OptimizerSettings(kind="muon"), 1, not_matrices=ends
    )
    (adamw, lr), (muon, muon_lr) = optimizer.optimizers
    assert isinstance(muon, Muon)
    assert (lr, muon_lr) == (3e-6, 0.02)
    with_muon = {id(p) for group in muon.param_groups for p in group["params"]}
    with_adamw = {id(p) for group in adamw.param_groups for p in group["params"]}
    assert not with_muon & with_adamw
    assert len(with_muon | with_adamw) == len(list(model.parameters()))
    assert not {id(p) for p in ends} & with_muon
    assert id(model.model.layers[0].self_attn.o_proj.weight) in with_muon
    assert id(model.model.layers[1].mlp.experts.down_proj) in with_adamw


@pytest.mark.parametrize("shape", [(24, 24), (40, 16), (16, 40)])
def test_muon_equals_pytorchs(shape):
    """PyTorch's iterates in bfloat16, hence the tolerance (of an update of size 0.1)."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(shape, generator=generator)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    mine = Muon([ours], lr=0.1, weight_decay=0.1)
    other = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.1, adjust_lr_fn="original")
    for _ in range(3):
        ours.grad = torch.randn(shape, generator=generator)
        theirs.grad = ours.grad.clone()
        mine.step()
        other.step()
    assert (ours - start).abs().max() > 0.05
    torch.testing.assert_close(ours, theirs, atol=4e-3, rtol=0)


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), torch.tensor(float("-inf"))])
def test_a_loss_that_is_not_finite_moves_nothing_though_its_gradients_are(caplog, loss) -> None:
    weight = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = PolicyOptimizer([("w", weight)], OptimizerSettings(), 10)
    weight.grad = torch.full((2, 2), 0.5)
    norm = optimizer.step(0, loss)
    assert torch.equal(weight, torch.ones(2, 2))
    assert skipped_steps([norm.item()]) == {"skipped_steps": 1.0}
    assert "the loss is" in caplog.text
    weight.grad = torch.full((2, 2), 0.5)
    assert optimizer.step(1, 3.0).isfinite()
    assert not torch.equal(weight, torch.ones(2, 2))

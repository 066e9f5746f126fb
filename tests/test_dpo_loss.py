"""The losses of direct preference optimisation by hand, and against fp64 with their gradients."""

from __future__ import annotations

import math

import pytest
import torch

from r1.config import validate
from r1.dpo.loss import PairLogprobs, pair_losses
from r1.dpo.measure import pair_figures
from r1.dpo.settings import DPOLossSettings
from r1.errors import UserError
from r1.learner.token_kl import token_kl

LENGTHS = [[4.0, 2.0], [10.0, 5.0]]
POLICY, REFERENCE = [[-4.0, -6.0], [-9.0, -2.5]], [[-5.0, -4.0], [-8.0, -4.5]]
"""By hand: changes (+1, -2) and (-1, +2), so that h is +3 and -3; a token 1.25 and -0.5."""


def settings(**values) -> DPOLossSettings:
    return validate(values, DPOLossSettings, "settings")


def pairs(dtype=torch.float64, margin: float = 0.0) -> PairLogprobs:
    policy, reference, lengths = (
        torch.tensor(values, dtype=dtype) for values in (POLICY, REFERENCE, LENGTHS)
    )
    return PairLogprobs(policy, reference, lengths, torch.full((2,), margin, dtype=dtype))


def softplus(x: float) -> float:
    return math.log1p(math.exp(-x))  # -log sigmoid(x)


BY_HAND = [
    ({}, 0.0, [softplus(0.3), softplus(-0.3)]),
    ({"beta": 0.5}, 0.0, [softplus(1.5), softplus(-1.5)]),
    ({"beta": 0.5, "label_smoothing": 0.1}, 0.0,
     [0.9 * softplus(1.5) + 0.1 * softplus(-1.5), 0.9 * softplus(-1.5) + 0.1 * softplus(1.5)]),
    ({"beta": 0.5}, 0.4, [softplus(1.1), softplus(-1.9)]),
    ({"nll_weight": 2.0}, 0.0, [softplus(0.3) + 2.0 * 1.0, softplus(-0.3) + 2.0 * 0.9]),
    ({"kind": "ipo"}, 0.0, [(1.25 - 5.0) ** 2, (-0.5 - 5.0) ** 2]),
    ({"kind": "length_normalised"}, 0.0, [softplus(6.25), softplus(-2.5)]),
    ({"kind": "simpo", "beta": 2.0}, 1.0, [softplus(2 * (-1 + 3) - 1), softplus(2 * -0.4 - 1)]),
]  # fmt: skip


@pytest.mark.parametrize(("values", "margin", "expected"), BY_HAND)
def test_each_loss_by_hand(values, margin, expected) -> None:
    assert pair_losses(pairs(margin=margin), settings(**values)).tolist() == pytest.approx(expected)


def reference_loss(policy, reference, lengths, margin, chosen: DPOLossSettings) -> torch.Tensor:
    """All losses, once more and pair by pair, from the formulas of the papers."""
    found, beta, eps = [], chosen.scale, chosen.label_smoothing
    for (w, b), (rw, rb), (nw, nb), m in zip(policy, reference, lengths, margin, strict=True):
        if chosen.kind == "dpo":
            z = beta * ((w - rw) - (b - rb)) - m
        elif chosen.kind == "simpo":
            z = beta / nw * w - beta / nb * b - m
        else:
            h = (w - rw) / nw - (b - rb) / nb
            z = beta * h - m
        if chosen.kind == "ipo":
            loss = (h - 1 / (2 * beta)) ** 2
        else:
            p = 1 / (1 + torch.exp(-z))
            loss = -(1 - eps) * torch.log(p) - eps * torch.log(1 - p)
        found.append(loss - chosen.nll_weight * w / nw)
    return torch.stack(found)


@pytest.mark.parametrize("kind", ["dpo", "ipo", "length_normalised", "simpo"])
def test_values_and_gradients_against_fp64(kind) -> None:
    chosen = settings(
        kind=kind, beta=0.6, nll_weight=0.3, label_smoothing=0.0 if kind == "ipo" else 0.2
    )
    generator = torch.Generator().manual_seed(3)
    policy = -torch.rand(6, 2, generator=generator) * 8
    reference = -torch.rand(6, 2, generator=generator) * 8
    lengths = torch.randint(1, 20, (6, 2), generator=generator)
    margin = torch.rand(6, generator=generator)
    found, expected = policy.clone().requires_grad_(), policy.double().requires_grad_()
    loss = pair_losses(PairLogprobs(found, reference, lengths, margin), chosen)
    wanted = reference_loss(expected, reference.double(), lengths.double(), margin.double(), chosen)
    torch.testing.assert_close(loss.double(), wanted, atol=1e-5, rtol=1e-5)
    loss.sum().backward()
    wanted.sum().backward()
    assert expected.grad.abs().min() > 0
    torch.testing.assert_close(found.grad.double(), expected.grad, atol=1e-5, rtol=1e-5)


def test_a_margin_of_any_size_gives_a_finite_gradient() -> None:
    policy = torch.tensor([[-1e4, -1.0], [-1.0, -1e4]], requires_grad=True)
    zeros = torch.zeros(2, 2)
    given = PairLogprobs(policy, zeros, torch.ones(2, 2), torch.zeros(2))
    pair_losses(given, settings(beta=1.0)).sum().backward()
    assert policy.grad.tolist() == [[-1.0, 1.0], [0.0, 0.0]]


def test_the_figures_of_a_batch() -> None:
    found = pair_figures(pairs(), settings(beta=0.5))
    assert found.pop("loss") == pytest.approx((softplus(1.5) + softplus(-1.5)) / 2)
    assert found == {
        "accuracy": 0.5, "margin": 0.0, "chosen_logprob": -6.5, "rejected_logprob": -4.25,
        "chosen_change": 0.0, "rejected_change": 0.0, "chosen_tokens": 7.0, "rejected_tokens": 3.5,
    }  # fmt: skip
    start = PairLogprobs(pairs().reference_P2, *pairs()[1:])
    assert pair_figures(start, settings())["accuracy"] == 0.5  # nothing is preferred yet
    assert pair_figures(start, settings())["loss"] == pytest.approx(math.log(2))
    assert "chosen_change" not in pair_figures(pairs(), settings(kind="simpo"))


def test_defaults_go_with_the_loss_and_its_own_settings_only() -> None:
    scales = {kind: settings(kind=kind).scale for kind in ("dpo", "length_normalised", "simpo")}
    assert scales == {"dpo": 0.1, "length_normalised": 5.0, "simpo": 2.0}
    assert settings(kind="simpo").asked_margin == 1.0
    with pytest.raises(UserError, match="margin belongs to the logistic losses"):
        settings(kind="ipo", margin=0.5)


def test_the_kl_against_fp64() -> None:
    generator = torch.Generator().manual_seed(1)
    hidden, other = torch.randn(2, 7, 5, generator=generator)
    head, second = torch.randn(2, 11, 5, generator=generator)
    log_p = torch.log_softmax(hidden.double() @ head.double().t(), -1)
    log_q = torch.log_softmax(other.double() @ second.double().t(), -1)
    expected = torch.nn.functional.kl_div(log_q, log_p, log_target=True, reduction="none").sum(-1)
    for budget_mb in (256, 1e-9):  # all at once; a token at a time
        found = token_kl(hidden, head, other, second, budget_mb)
        torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
    assert token_kl(hidden, head, hidden, head).abs().max() < 1e-6

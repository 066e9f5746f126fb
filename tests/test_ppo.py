"""PPO's mathematics against sums written out in float64, and by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from r1.algorithms.gae import (
    _third,
    advantage_estimates,
    explained_variance,
    padded,
    unpadded,
    whitened,
)
from r1.algorithms.ppo import PPO, PPOSettings, share_of_values, token_rewards, value_losses
from r1.learner.objective import TokenValues, Totals, Valued
from r1.types import TrainBatch, TrainGroup, TrainResponse
from test_algorithm_grpo import LENGTHS, TOTALS, WEIGHTS, as_tokens, make_rows, reference_loss

F64 = torch.float64


def summed(rewards, values, gamma, lam):
    """A_t = sum over k of (gamma lam)^k delta_(t+k), each written out."""
    ends = [*values[1:], 0.0]
    delta = [r + gamma * n - v for r, n, v in zip(rewards, ends, values, strict=True)]
    return [
        math.fsum((gamma * lam) ** k * d for k, d in enumerate(delta[t:]))
        for t in range(len(delta))
    ]


def ragged(seed=0, lengths=(7, 1, 12, 3)):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(n, generator=draw, dtype=F64) for n in lengths]


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 1.0), (1.0, 0.95), (0.9, 0.5), (1.0, 0.0)])
def test_estimates_equal_the_sum(gamma, lam):
    rewards, values = ragged(0), ragged(1)
    rows_BT = advantage_estimates(padded(rewards), padded(values), gamma, lam)
    for found, r, v in zip(unpadded(rows_BT, values), rewards, values, strict=True):
        np.testing.assert_allclose(found, summed(r.tolist(), v.tolist(), gamma, lam), rtol=1e-12)
    assert rows_BT[1, 1:].abs().max() == 0, "padding"


def test_estimates_by_hand():
    rewards, values = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.5, 0.25, 0.75]])
    found = {lam: advantage_estimates(rewards, values, 1.0, lam)[0] for lam in (0.0, 0.5, 1.0)}
    assert found[0.0].tolist() == [-0.25, 0.5, 0.25]  # the next value less this one
    assert found[0.5].tolist() == [0.0625, 0.625, 0.25]
    assert found[1.0].tolist() == [0.5, 0.75, 0.25]  # 1 - V, whatever V says later


def test_the_kl_is_charged_where_it_is_and_the_score_at_the_end():
    old, reference = torch.tensor([-1.0, -2.0, -3.0]), torch.tensor([-1.5, -2.0, -2.0])
    (with_kl,) = token_rewards([2.0], [old], [reference], 0.1)
    np.testing.assert_allclose(with_kl, [-0.05, 0.0, 2.1], rtol=1e-7)
    (without,) = token_rewards([2.0], [old], None, 0.1)
    assert without.tolist() == [0.0, 0.0, 2.0]


@pytest.mark.parametrize(
    ("value", "loss", "held", "gradient"),
    [
        (0.1, 0.405, False, -0.9),  # within the bound
        (0.5, 0.32, True, 0.0),  # 0.4 beyond the bound of 0.2: it gains no more
        (-0.5, 1.125, False, -1.5),  # beyond it on the wrong side: it is drawn back
    ],
)
def test_value_loss_by_hand(value, loss, held, gradient):
    """Old value 0, return 1, bound 0.2."""
    value_M = torch.tensor([value], dtype=F64, requires_grad=True)
    tokens = TokenValues(value_M, torch.zeros(1, dtype=F64), torch.ones(1, dtype=F64))
    loss_M, held_M = value_losses(tokens, 0.2)
    loss_M.sum().backward()
    assert loss_M.item() == pytest.approx(loss, abs=1e-12)
    assert held_M.tolist() == [held]
    assert value_M.grad.item() == pytest.approx(gradient, abs=1e-12)
    plain_M, free_M = value_losses(tokens, 0.0)
    assert plain_M.item() == pytest.approx(0.5 * (value - 1.0) ** 2)
    assert not free_M.any()


def with_values(tokens, seed=3):
    """Values near their old ones and farther, returns on either side."""
    draw = torch.Generator().manual_seed(seed)
    old, change, returns = torch.randn(3, sum(LENGTHS), generator=draw, dtype=F64)
    new = (old + 0.3 * change).to(tokens.logprobs_M.dtype).requires_grad_(True)
    others = (x.to(new.dtype) for x in (old, returns))
    return replace(tokens, values=TokenValues(new, *others))


@pytest.mark.parametrize("aggregate", ["token", "sequence", "constant"])
@pytest.mark.parametrize("kl_in", ["loss", "reward"])
def test_losses_and_gradients_equal_the_reference(aggregate, kl_in):
    settings = PPOSettings(
        aggregate=aggregate,
        aggregate_constant=100 if aggregate == "constant" else 1024,
        kl_in=kl_in,
        kl_weight=0.05,
        clip_high=0.28,
    )
    rows, advantages = make_rows(0.3), [1.0, -2.0, 0.5, 3.0, 1.0, -1.0]
    tokens = with_values(as_tokens(rows, advantages, F64))
    output = PPO(settings).loss(tokens, TOTALS)
    shared = dict(settings)
    shared |= {"ratio": "token", "kl_weight": 0.05 * (kl_in == "loss")}
    rows = [(row[0].detach().requires_grad_(True), *row[1:]) for row in rows]
    expected = reference_loss(rows, type("S", (), shared), advantages, TOTALS)
    assert output.loss.item() == pytest.approx(expected.item(), abs=1e-12)
    assert ("kl" in output.sums) == (kl_in == "loss")

    values_M = tokens.values.values_M.detach().clone().requires_grad_(True)
    per_response, begin = [], 0
    for length, weight in zip(LENGTHS, WEIGHTS, strict=True):
        part = slice(begin, begin + length)
        begin += length
        new, (old, came) = values_M[part], (x[part] for x in tokens.values[1:3])
        near = torch.minimum(torch.maximum(new, old - 0.2), old + 0.2)
        worse = torch.where((new - came).abs() > (near - came).abs(), new, near)
        over = {
            "token": TOTALS.num_tokens,
            "sequence": length * TOTALS.num_responses,
            "constant": 100 * TOTALS.num_responses,
        }[aggregate]
        per_response.append(weight * 0.5 * ((worse - came) ** 2).sum() / over)
    expected_value = sum(per_response)
    assert output.value_loss.item() == pytest.approx(expected_value.item(), abs=1e-12)
    assert output.sums["value_clip"] > 0

    found = torch.autograd.grad(output.total, [tokens.logprobs_M, tokens.values.values_M])
    of_policy = torch.autograd.grad(expected, [row[0] for row in rows])
    torch.testing.assert_close(found[0], torch.cat(of_policy), atol=1e-12, rtol=1e-12)
    (of_value,) = torch.autograd.grad(expected_value, [values_M])
    torch.testing.assert_close(found[1], of_value, atol=1e-12, rtol=1e-12)


def test_whitening_and_the_critics_share():
    parts = [torch.tensor([1.0, 2.0], dtype=F64), torch.tensor([6.0], dtype=F64)]
    flat = torch.cat(whitened(parts)).numpy()
    np.testing.assert_allclose(flat, (np.array([1.0, 2, 6]) - 3) / np.std([1, 2, 6]), rtol=1e-7)
    assert torch.cat(whitened([torch.full((3,), 2.0, dtype=F64)])).abs().max() == 0
    rewards_BT, both_BT = torch.tensor([[3.0, 0.0]]), torch.tensor([[2.0, 1.0]])
    assert share_of_values(both_BT, rewards_BT) == pytest.approx(2 / 5)
    assert share_of_values(rewards_BT, rewards_BT) == 0.0


def test_explained_variance_by_thirds():
    """Known at the end, guessed in the middle, worse than nothing at the beginning."""
    returns = [torch.tensor([r] * 6) for r in (0.0, 1.0)]
    values = [
        torch.tensor([1.0, 1.0, 0.5, 0.5, 0.0, 0.0]),
        torch.tensor([0.0, 0.0, 0.5, 0.5, 1.0, 1.0]),
    ]
    found = explained_variance(returns, values)
    assert found["explained_variance/begin"] == pytest.approx(-3.0)
    assert found["explained_variance/middle"] == pytest.approx(0.0)
    assert found["explained_variance/end"] == pytest.approx(1.0)
    assert found["explained_variance"] == pytest.approx(1 - (4 + 1) / 3)
    shifted = explained_variance(returns, [r + 5.0 for r in returns])
    assert shifted["explained_variance"] == pytest.approx(1.0), "a constant error is no variance"
    assert explained_variance([torch.ones(4)], [torch.zeros(4)]) == {}


def test_every_token_is_in_one_third():
    for length in range(1, 12):
        part = torch.arange(length, dtype=F64)
        expected = [3 * t // length for t in range(length)]
        for third in range(3):
            assert _third(part, third).tolist() == [
                t for t in range(length) if expected[t] == third
            ]


def batch_of(rewards, lengths):
    responses = [
        TrainResponse([5] * n, [-1.0] * n, [r] * n) for r, n in zip(rewards, lengths, strict=True)
    ]
    return TrainBatch([TrainGroup((3,), responses)], len(responses), sum(lengths))


@pytest.mark.parametrize("whiten", [True, False])
def test_advantages_and_returns_of_a_batch(whiten):
    """Lambdas apart, KL in the reward; by the sums above."""
    settings = PPOSettings(
        lambda_policy=0.9, lambda_value=0.5, gamma=0.99, kl_weight=0.2, whiten=whiten
    )
    lengths, scores = (7, 1, 12, 3), (1.0, 0.0, 2.0, 1.0)
    old, reference, values = (ragged(seed, lengths) for seed in range(3))
    found = PPO(settings).finish_with_values(batch_of(scores, lengths), old, reference, values)
    expected, returns = [], []
    for score, o, ref, v in zip(scores, old, reference, values, strict=True):
        rewards = (-0.2 * (o - ref)).tolist()
        rewards[-1] += score
        expected += summed(rewards, v.tolist(), 0.99, 0.9)
        back = summed(rewards, v.tolist(), 0.99, 0.5)
        returns += [a + b for a, b in zip(back, v.tolist(), strict=True)]
    if whiten:
        expected = list((np.array(expected) - np.mean(expected)) / (np.std(expected) + 1e-8))
    got = [a for r in found.batch.groups[0].responses for a in r.advantages]
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    np.testing.assert_allclose(torch.cat(found.returns), returns, rtol=1e-9)
    assert found.metrics["value_first"] == pytest.approx(np.mean([v[0] for v in values]))


def test_a_batch_without_responses_is_left_alone():
    empty = TrainBatch([], 4, 10)
    assert PPO(PPOSettings()).finish_with_values(empty, [], None, []) == Valued(empty, [], {})


def test_a_response_without_weight_teaches_nothing():
    tokens = with_values(as_tokens(make_rows(0.3), [1.0] * 6, F64))
    output = PPO(PPOSettings(kl_weight=0.0)).loss(tokens, Totals(8, 50))
    output.total.backward()
    masked = tokens.response_M == WEIGHTS.index(0.0)
    assert tokens.values.values_M.grad[masked].abs().max() == 0
    assert tokens.values.values_M.grad[~masked].abs().max() > 0

"""Chunked log-probabilities against the whole matrix: values, gradients, precision, memory."""

from __future__ import annotations

import pytest
import torch

from r1.learner.token_logprobs import token_logprobs, tokens_per_chunk

N, V, D = 50, 300, 16
SMALL_MB = 7 * 3 * 4 * V / 2**20  # seven fp32 tokens a chunk


def make(dtype):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(N, D, generator=generator).to(dtype).requires_grad_(True)
    head = torch.randn(V, D, generator=generator).to(dtype).requires_grad_(True)
    targets = torch.randint(V, (N,), generator=generator)
    weights = torch.randn(N, generator=generator)
    return hidden, head, targets, weights


def whole(hidden, head, targets, temperature):
    logprobs = torch.log_softmax(hidden @ head.t() / temperature, dim=-1)
    entropy = -(logprobs.exp() * logprobs).sum(-1)
    return logprobs.gather(1, targets[:, None])[:, 0], entropy


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("budget", [SMALL_MB, 256.0])
def test_values_and_gradients_equal_the_whole_matrix(budget, temperature):
    hidden, head, targets, weights = make(torch.float64)
    expected, entropy = whole(hidden, head, targets, temperature)
    expected_grads = torch.autograd.grad((expected * weights).sum(), (hidden, head))
    result = token_logprobs(hidden, head, targets, temperature, budget)
    grads = torch.autograd.grad((result.logprobs_N * weights).sum(), (hidden, head))
    torch.testing.assert_close(result.logprobs_N, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(result.entropy_N, entropy, atol=1e-12, rtol=0)
    for got, want in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(got, want, atol=1e-11, rtol=0)
    assert not result.entropy_N.requires_grad


@pytest.mark.parametrize("budget", [SMALL_MB, 256.0])
def test_bf16_products_keep_fp32_sums(budget):
    hidden, head, targets, weights = make(torch.bfloat16)
    logits = (hidden @ head.t()).float()
    expected = torch.log_softmax(logits, -1).gather(1, targets[:, None])[:, 0]
    result = token_logprobs(hidden, head, targets, 1.0, budget)
    assert result.logprobs_N.dtype == torch.float32
    torch.testing.assert_close(result.logprobs_N, expected, atol=1e-5, rtol=0)
    (result.logprobs_N * weights).sum().backward()
    exact_hidden, exact_head, _, _ = make(torch.float64)
    with torch.no_grad():
        exact_hidden.copy_(hidden)
        exact_head.copy_(head)
    (whole(exact_hidden, exact_head, targets, 1.0)[0] * weights).sum().backward()
    for got, want in ((hidden.grad, exact_hidden.grad), (head.grad, exact_head.grad)):
        assert (got.double() - want).norm() / want.norm() < 0.01


def test_autocast_decides_the_dtype_of_the_products():
    hidden, head, targets, _ = make(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = token_logprobs(hidden, head, targets).logprobs_N
    want = token_logprobs(hidden.bfloat16(), head.bfloat16(), targets).logprobs_N
    assert torch.equal(got, want)


def test_frozen_head_gets_no_gradient():
    hidden, head, targets, _ = make(torch.float32)
    token_logprobs(hidden, head.detach(), targets, 1.0, SMALL_MB).logprobs_N.sum().backward()
    assert hidden.grad is not None
    assert head.grad is None


def test_extreme_logits_stay_finite():
    hidden, head, targets, _ = make(torch.float32)
    result = token_logprobs(hidden * 1e4, head, targets)
    result.logprobs_N.sum().backward()
    assert torch.isfinite(result.logprobs_N).all()
    assert torch.isfinite(result.entropy_N).all()
    assert torch.isfinite(hidden.grad).all()


def test_the_budget_bounds_a_chunk():
    assert tokens_per_chunk(151_936, 256) * 151_936 * 4 * 3 <= 256 * 2**20
    assert tokens_per_chunk(10**9, 1) == 1

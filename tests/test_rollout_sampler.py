"""Draws follow the distribution, and their randomness is the seed's alone."""

from __future__ import annotations

import pytest
import torch

from r1.rollout.sampler import draw, seed_keys, uniforms
from r1.rollout.settings import SamplingSettings

DRAWS = 20_000


def draw_many(logits_V: torch.Tensor, sampling: SamplingSettings, num: int = DRAWS) -> torch.Tensor:
    keys = seed_keys(torch.arange(num))
    logits_BV = logits_V.expand(num, -1).clone()
    return draw(logits_BV, uniforms(keys, torch.full((num,), 3)), sampling).tokens_B


def truncated(logits_V: torch.Tensor, sampling: SamplingSettings) -> torch.Tensor:
    """Reference: temperature, then top-k, then top-p on what top-k left; float64."""
    probs = (logits_V.double() / sampling.temperature).softmax(-1)
    order = probs.argsort(descending=True)
    if sampling.top_k:
        probs[order[sampling.top_k :]] = 0.0
        probs = probs / probs.sum()
    mass = 0.0
    for token in order.tolist():
        if mass >= sampling.top_p:
            probs[token] = 0.0
        mass += float(probs[token])
    return probs / probs.sum()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 2.0},
        {"top_k": 7},
        {"top_p": 0.8},
        {"temperature": 0.6, "top_p": 0.95},
        {"temperature": 1.3, "top_k": 30, "top_p": 0.7},
    ],
)
@pytest.mark.parametrize("vocab", [101, 512])
def test_draws_follow_the_distribution(changes, vocab):
    """Chi-square with a bound that a right sampler passes but once in 10^6."""
    sampling = SamplingSettings(**changes)
    logits_V = torch.randn(vocab, generator=torch.Generator().manual_seed(1)) * 2
    expected_V = truncated(logits_V, sampling) * DRAWS
    counts_V = torch.bincount(draw_many(logits_V, sampling), minlength=vocab).double()
    assert counts_V[expected_V == 0].sum() == 0
    common = expected_V >= 8
    observed = torch.cat([counts_V[common], counts_V[~common].sum()[None]])
    expected = torch.cat([expected_V[common], expected_V[~common].sum().clamp(min=1e-9)[None]])
    freedom = len(observed) - 1
    statistic = float(((observed - expected) ** 2 / expected).sum())
    assert statistic < freedom + 7 * (2 * freedom) ** 0.5 + 20


def test_inverse_cdf_is_exact_at_a_large_vocabulary():
    """A 151,936-term fp32 running sum would be off by far more than one token's share."""
    vocab = 151_936
    logits_V = torch.zeros(vocab)
    grid = (torch.arange(64) * (vocab // 64) + 7).clamp(max=vocab - 1)
    uniform = (grid.double() + 0.5) / vocab
    drawn = draw(logits_V.expand(64, -1).clone(), uniform, SamplingSettings())
    assert (drawn.tokens_B - grid).abs().max() <= 1
    assert drawn.logprobs_B.tolist() == pytest.approx([-torch.tensor(vocab).log().item()] * 64)


def test_edges_of_the_uniform_hit_only_possible_tokens():
    logits_V = torch.full((300,), float("-inf"))
    logits_V[[17, 251]] = torch.tensor([1.0, 0.0])
    ends = torch.tensor([0.0, 1.0 - 2.0**-53], dtype=torch.float64)
    for sampling in (SamplingSettings(), SamplingSettings(top_p=0.99), SamplingSettings(top_k=3)):
        tokens = draw(logits_V.expand(2, -1).clone(), ends, sampling).tokens_B
        assert tokens.tolist() == [17, 251]


def test_top_p_widens_its_candidates_for_flat_distributions():
    flat = torch.zeros(4096)
    tokens = draw_many(flat, SamplingSettings(top_p=0.9), 2500)
    assert int(tokens.unique().numel()) > 1500


def test_uniforms_are_uniform_and_unlike_between_seeds_and_indices():
    keys = seed_keys(torch.arange(-200, 200))
    table = torch.stack([uniforms(keys, torch.full((400,), i)) for i in range(400)])
    assert bool(((table >= 0) & (table < 1)).all())
    assert table.unique().numel() == table.numel()
    counts = torch.histc(table.float(), bins=100, min=0, max=1)
    assert float(((counts - 1600) ** 2 / 1600).sum()) < 99 + 7 * (2 * 99) ** 0.5
    both = torch.corrcoef(torch.stack([table[:-1].flatten(), table[1:].flatten()]))
    across = torch.corrcoef(torch.stack([table[:, :-1].flatten(), table[:, 1:].flatten()]))
    assert abs(float(both[0, 1])) < 0.015
    assert abs(float(across[0, 1])) < 0.015


def test_a_row_is_drawn_alike_whatever_stands_beside_it():
    generator = torch.Generator().manual_seed(0)
    logits_BV = torch.randn(40, 300, generator=generator)
    uniform_B = torch.rand(40, generator=generator, dtype=torch.float64)
    for sampling in (SamplingSettings(), SamplingSettings(temperature=0.6, top_p=0.95)):
        together = draw(logits_BV.clone(), uniform_B, sampling)
        for row in (0, 17, 39):
            one = slice(row, row + 1)
            alone = draw(logits_BV[one].clone(), uniform_B[one], sampling)
            assert int(alone.tokens_B) == int(together.tokens_B[row])

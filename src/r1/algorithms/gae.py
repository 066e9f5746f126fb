"""Generalised advantage estimation (Schulman et al., 1506.02438), and how good a critic is.

    delta_t = r_t + gamma * V_(t+1) - V_t              V after the last token: 0
    A_t     = delta_t + gamma * lambda * A_(t+1)

V_t is the return that is expected before token t is drawn. With gamma = lambda = 1 the sum
telescopes: A_t is the rewards still to come less V_t, unbiased whatever V is. With lambda < 1 a
reward at the end reaches the token k places before it with weight lambda^k, and the rest through
the critic.

A response that was cut at the token limit ends there like any other: its reward judges it as cut.

All sums are in float64. Torch is not imported, only tensors' methods are used, so that recipes are
read without it.

Shapes: B responses, T tokens of the longest one, padded on the right with zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

THIRDS = ("begin", "middle", "end")


def padded(parts: Sequence[Tensor]) -> Tensor:
    """Return one row a response, float64, [B, T]. There is at least one response."""
    rows_BT = parts[0].double().new_zeros(len(parts), max(len(part) for part in parts))
    for row_T, part in zip(rows_BT, parts, strict=True):
        row_T[: len(part)] = part
    return rows_BT


def unpadded(rows_BT: Tensor, parts: Sequence[Tensor]) -> list[Tensor]:
    """Return the rows again at the lengths of `parts`."""
    return [row_T[: len(part)] for row_T, part in zip(rows_BT, parts, strict=True)]


def advantage_estimates(rewards_BT: Tensor, values_BT: Tensor, gamma: float, lam: float) -> Tensor:
    """Return A_t of every token, [B, T]; padding stays 0."""
    following_BT = values_BT.new_zeros(values_BT.shape)
    following_BT[:, :-1] = values_BT[:, 1:]
    delta_BT = rewards_BT + gamma * following_BT - values_BT
    advantages_BT = delta_BT.clone()
    for t in range(delta_BT.shape[1] - 2, -1, -1):
        advantages_BT[:, t] += gamma * lam * advantages_BT[:, t + 1]
    return advantages_BT


def whitened(parts: Sequence[Tensor], epsilon: float = 1e-8) -> list[Tensor]:
    """Shift and scale to mean 0 and deviation 1 over all tokens together; all 0 where equal."""
    count = sum(len(part) for part in parts)
    mean = sum(part.sum() for part in parts) / count
    variance = sum(((part - mean) ** 2).sum() for part in parts) / count
    return [(part - mean) / (variance**0.5 + epsilon) for part in parts]


def explained_variance(returns: Sequence[Tensor], values: Sequence[Tensor]) -> dict[str, float]:
    """Return 1 - Var(R - V) / Var(R) over all tokens, and by thirds of the responses.

    1 is a perfect critic, 0 one that says the same everywhere, below 0 worse than that. Token t of
    T belongs to third 3t // T. Left out where returns do not vary.
    """
    found = {"explained_variance": _explained(returns, values)}
    for third, name in enumerate(THIRDS):
        parts = [[_third(part, third) for part in side] for side in (returns, values)]
        found[f"explained_variance/{name}"] = _explained(*parts)
    return {name: value for name, value in found.items() if value is not None}


def _third(part: Tensor, third: int) -> Tensor:
    length = len(part)
    return part[-(-third * length // 3) : -(-(third + 1) * length // 3)]


def _explained(returns: Sequence[Tensor], values: Sequence[Tensor]) -> float | None:
    errors = [r.double() - v.double() for r, v in zip(returns, values, strict=True)]
    whole = _variance([part.double() for part in returns])
    return None if whole < 1e-12 else 1.0 - _variance(errors) / whole


def _variance(parts: Sequence[Tensor]) -> float:
    count = max(1, sum(len(part) for part in parts))
    mean = sum(float(part.sum()) for part in parts) / count
    return sum(float(((part - mean) ** 2).sum()) for part in parts) / count

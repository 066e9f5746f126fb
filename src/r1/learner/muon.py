"""Muon: momentum, orthogonalised by a quintic Newton-Schulz iteration (Jordan et al., 2024).

    M <- beta M + (1 - beta) G;   U = (1 - beta) G + beta M  (Nesterov);   W <- W - lr c NS5(U)
    NS5:  X <- U / ||U||;  five times  X <- a X + (b A + c A^2) X  with  A = X X^T
    c = sqrt(max(1, rows / columns)), the "original" adjustment

The same rule as torch.optim.Muon, which iterates in bfloat16; on a CPU without bfloat16 units that
takes longer than the whole backward pass. Here the iteration runs in the weights' own precision on
a CPU, in bfloat16 on a GPU, and equal shapes are iterated together as one batch.

The iteration needs the whole matrix: of a sharded parameter every rank gathers the update, iterates
it, and keeps its own part. Left out on purpose: dividing those matrices over the ranks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import nn

from r1.learner.sharded import like, whole

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
NUM_ITERATIONS = 5


def orthogonalise(updates_BMN: torch.Tensor) -> torch.Tensor:
    """Newton-Schulz on a batch of matrices [B, M, N]: singular values pushed towards 1."""
    a, b, c = COEFFICIENTS
    dtype = torch.bfloat16 if updates_BMN.is_cuda else updates_BMN.dtype
    tall = updates_BMN.shape[1] > updates_BMN.shape[2]
    x = (updates_BMN.mT if tall else updates_BMN).to(dtype)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(NUM_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(updates_BMN.dtype)


class Muon(torch.optim.Optimizer):
    """Muon over 2-D weights; every other parameter belongs to another optimiser."""

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for shape, parameters in by_shape.items():
                updates = [whole(self._nesterov(p, group["momentum"])) for p in parameters]
                scale = -group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
                straight = orthogonalise(torch.stack(updates))
                for parameter, update in zip(parameters, straight, strict=True):
                    parameter.mul_(1.0 - group["lr"] * group["weight_decay"])
                    parameter.add_(like(parameter, update), alpha=scale)

    def _nesterov(self, parameter: nn.Parameter, momentum: float) -> torch.Tensor:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer = state["momentum_buffer"]
        assert parameter.grad is not None
        buffer.lerp_(parameter.grad, 1.0 - momentum)
        return parameter.grad.lerp(buffer, momentum)

"""Whether bfloat16 weights move: an optimiser step below half their spacing is rounded away.

bfloat16 keeps 8 bits of a number, so the neighbours of a weight w are 2^(floor(log2 |w|) - 7)
apart. AdamW moves a weight by about the learning rate: at 1e-6 nothing from 4.9e-4 up moves. The
loss and the gradients look healthy all the while.

Looked at: the first SAMPLE weights of every parameter (of a rank's own part, where it is sharded).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

SAMPLE = 65_536
TOLD_ABOVE = 0.1
"""A larger share of weights that cannot move is told."""
TOLD_BELOW = 0.5
"""A smaller share of weights that did move is told; those without a gradient count as well."""

logger = logging.getLogger(__name__)


def stuck_share(parameters: Sequence[nn.Parameter], lr: float) -> float:
    """Return the share of bfloat16 weights that a step of size lr is too small to move."""
    sampled = [tensor for parameter in parameters if (tensor := _sample(parameter)) is not None]
    total = sum(tensor.numel() for tensor in sampled)
    stuck = 0
    for tensor in sampled:
        _, exponent = torch.frexp(tensor.float().abs())  # |w| = m · 2^exponent, 0.5 <= m < 1
        half_spacing = torch.ldexp(torch.ones_like(tensor, dtype=torch.float32), exponent - 9)
        stuck += int(((half_spacing > lr) & (tensor != 0)).sum())
    return stuck / max(1, total)


def warn_of_stuck(parameters: Sequence[nn.Parameter], lr: float) -> float:
    """Tell, before anything is trained, where a learning rate is lost in bfloat16's rounding.

    Returns `stuck_share`.
    """
    share = stuck_share(parameters, lr)
    if share > TOLD_ABOVE:
        logger.warning(
            "%.1f %% of the weights cannot move: they are bfloat16, and a step of %g is less than "
            'half of what tells two neighbours apart. Set learner.dtype = "float32" with '
            "learner.autocast = true (twice the memory for weights), or a larger "
            "learning rate.",
            100.0 * share,
            lr,
        )
    return share


class Movement:
    """Measures what one optimiser step changed, where there are bfloat16 weights."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._before = [
            (parameter, tensor.clone())
            for parameter in parameters
            if (tensor := _sample(parameter)) is not None
        ]

    def tell(self) -> float | None:
        """Return the share of weights that changed, and warn where it is small; None for none."""
        total = sum(before.numel() for _, before in self._before)
        if not total:
            return None
        changed = 0
        for parameter, before in self._before:
            after = _sample(parameter)
            assert after is not None
            changed += int((after != before).sum())
        share = changed / total
        if share < TOLD_BELOW:
            logger.warning(
                "the first optimiser step changed %.2g %% of the bfloat16 weights: the others lost "
                "it to rounding, or had no gradient.",
                100.0 * share,
            )
        return share


def _sample(parameter: nn.Parameter) -> Tensor | None:
    """Some of a bfloat16 parameter's weights; None for another dtype."""
    tensor = parameter.detach()
    if tensor.dtype != torch.bfloat16 or tensor.is_meta:
        return None
    if isinstance(tensor, DTensor):
        tensor = tensor.to_local()
    return tensor.reshape(-1)[:SAMPLE]

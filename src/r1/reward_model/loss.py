"""The losses of reward models, as pure functions, one value a pair or a response.

    pairwise    -log sigmoid(r_chosen - r_rejected - margin)    Bradley and Terry (1952)
    pointwise   -y log sigmoid(r) - (1 - y) log(1 - sigmoid(r))
    steps       the same at the last token of each labelled step; y may lie between 0 and 1

A margin asks for more than a bare preference (Llama 2, arXiv 2307.09288, equation 2).
Left out on purpose: regularising the scores' mean, since a pairwise model's scores have no zero;
what uses them subtracts the held-out mean.

Shapes: P pairs, R responses or steps.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid


def bradley_terry(chosen_P: Tensor, rejected_P: Tensor, margin_P: Tensor) -> Tensor:
    """Return the loss of each pair, [P]."""
    return -logsigmoid(chosen_P - rejected_P - margin_P)


def binary_cross_entropy(score_R: Tensor, label_R: Tensor) -> Tensor:
    """Return the loss of each response or step, [R]; label 1 is positive (safe, right)."""
    return binary_cross_entropy_with_logits(score_R, label_R, reduction="none")

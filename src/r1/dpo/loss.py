"""The losses of direct preference optimisation, as pure functions, one value a pair.

    r(y) = beta (log pi(y|x) - log pi_ref(y|x))          a response's implicit reward, in nats
    m    = r(chosen) - r(rejected)

    dpo                 -log sigmoid(m - margin)                     arXiv 2305.18290, equation 7
    length_normalised   the same with r divided by the response's tokens   arXiv 2411.15124
    simpo               the same without the reference             arXiv 2405.14734
    ipo                 (m / beta - 1 / (2 beta))^2, r divided     arXiv 2310.12036

    label_smoothing e   (1 - e) loss + e loss of the other sign      conservative DPO
                        other sign: -log sigmoid(-(m - margin))
    nll_weight a        + a (- log pi(chosen|x) / |chosen|)          arXiv 2404.19733

A log-probability is summed over the response's tokens, its end token included, in numerator and
denominator alike. Left out on purpose: losses without pairs (KTO) and other divergences.

Shapes: P pairs; P2: [:, 0] chosen, [:, 1] rejected.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import logsigmoid

from r1.dpo.settings import DPOLossSettings


class PairLogprobs(NamedTuple):
    """Log-probabilities summed over the response, in nats; reference_P2 carries no gradient and is
    not read by a loss without a reference. lengths_P2: tokens, at least 1. margin_P: what is asked
    of each pair, in units of the implicit reward."""

    policy_P2: Tensor
    reference_P2: Tensor
    lengths_P2: Tensor
    margin_P: Tensor


def implicit_rewards(pairs: PairLogprobs, settings: DPOLossSettings) -> Tensor:
    """Return r of each response: beta times its log-ratio, a token where the loss takes means."""
    ratio_P2 = pairs.policy_P2
    if settings.needs_reference:
        ratio_P2 = ratio_P2 - pairs.reference_P2
    if settings.kind != "dpo":
        ratio_P2 = ratio_P2 / pairs.lengths_P2
    return settings.scale * ratio_P2


def pair_losses(pairs: PairLogprobs, settings: DPOLossSettings) -> Tensor:
    """Return the loss of each pair, [P]."""
    rewards_P2 = implicit_rewards(pairs, settings)
    margin_P = rewards_P2[:, 0] - rewards_P2[:, 1]
    beta, smoothing = settings.scale, settings.label_smoothing
    if settings.kind == "ipo":
        loss_P = (margin_P / beta - 1.0 / (2.0 * beta)) ** 2
    else:
        above_P = margin_P - pairs.margin_P
        loss_P = -(1.0 - smoothing) * logsigmoid(above_P)
        if smoothing:
            loss_P = loss_P - smoothing * logsigmoid(-above_P)
    if settings.nll_weight:
        nll_P = -pairs.policy_P2[:, 0] / pairs.lengths_P2[:, 0]
        loss_P = loss_P + settings.nll_weight * nll_P
    return loss_P

"""What a batch of pairs, and held-out pairs, come to.

Shapes: P pairs; P2: [:, 0] chosen, [:, 1] rejected.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from r1.dpo.loss import PairLogprobs, implicit_rewards, pair_losses
from r1.dpo.settings import DPOLossSettings
from r1.preferences.agreement import accuracies
from r1.preferences.examples import PreferenceExample


class MeasuredPairs(NamedTuple):
    """What a policy and its reference say of pairs. kl: KL(policy || reference) a response token,
    in nats, over the whole vocabulary; None without a reference."""

    logprobs: PairLogprobs
    kl: float | None


def pair_figures(pairs: PairLogprobs, settings: DPOLossSettings) -> dict[str, float]:
    """Return means over pairs.

    loss; accuracy (share of pairs whose chosen response has the larger implicit reward, a tie
    counts half); margin (difference of implicit rewards); chosen_logprob and rejected_logprob (nats
    a response); with a reference chosen_change and rejected_change (since the reference, nats a
    response); chosen_tokens and rejected_tokens (lengths).
    """
    margin_P = _margins(pairs, settings)
    means = {"logprob": pairs.policy_P2, "tokens": pairs.lengths_P2}
    if settings.needs_reference:
        means["change"] = pairs.policy_P2 - pairs.reference_P2
    sides = {
        f"{side}_{name}": values_P2[:, place].mean().item()
        for name, values_P2 in means.items()
        for place, side in enumerate(("chosen", "rejected"))
    }
    return {
        "loss": pair_losses(pairs, settings).mean().item(),
        "accuracy": _right(margin_P).mean().item(),
        "margin": margin_P.mean().item(),
        **sides,
    }


def summarise(
    examples: Sequence[PreferenceExample], measured: MeasuredPairs, settings: DPOLossSettings
) -> dict[str, Any]:
    """Return all that an evaluation says, JSON-serialisable: `pair_figures`, kl (where there is a
    reference) and accuracy with its interval, whole and in parts."""
    right_E = np.array(_right(_margins(measured.logprobs, settings)).tolist())
    kl = {} if measured.kl is None else {"kl": measured.kl}
    return {
        "objective": settings.kind,
        **pair_figures(measured.logprobs, settings),
        **kl,
        **accuracies(examples, right_E),
    }


def _margins(pairs: PairLogprobs, settings: DPOLossSettings) -> Tensor:
    reward_P2 = implicit_rewards(pairs, settings)
    return reward_P2[:, 0] - reward_P2[:, 1]


def _right(margin_P: Tensor) -> Tensor:
    """1, 0 or (a tie) 1/2."""
    return 0.5 * (1.0 + margin_P.sign())

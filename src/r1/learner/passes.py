"""What an update begins with, what a pass through the policy gives, and what the objective sees.

Shapes: M response tokens of a micro-batch, R its responses.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from r1.learner.microbatch import MicroBatch
from r1.learner.objective import PolicyTokens, TokenValues
from r1.learner.packing import PackedRow
from r1.learner.token_logprobs import TokenLogprobs
from r1.types import TrainBatch


class Prepared(NamedTuple):
    """What an update begins with, one tensor a response in each list.

    batch: with its advantages. old: log-probabilities of the old policy; None takes those of the
    learning pass. values, returns: of the critic before the update, and what it is to learn; empty
    without one. metrics: of the critic. outcomes: one number a response, for a critic of those.
    """

    batch: TrainBatch
    old: list[Tensor] | None
    values: list[Tensor]
    returns: list[Tensor]
    metrics: dict[str, float]
    outcomes: list[float] | None = None


class Outputs(NamedTuple):
    """Of one pass through the policy: log-probabilities and, with a critic, values, M of each."""

    policy: TokenLogprobs
    values_M: Tensor | None

    def computed(self) -> list[Tensor]:
        """Log-probabilities, then values where there are any."""
        logprobs_M = self.policy.logprobs_N
        return [logprobs_M] if self.values_M is None else [logprobs_M, self.values_M]


def policy_tokens(
    micro: MicroBatch,
    row: PackedRow,
    outputs: Outputs,
    prepared: Prepared,
    reference_M: Tensor | None,
) -> PolicyTokens:
    """Return what the objective gets to see of one micro-batch, which is packed in `row`."""
    policy = outputs.policy
    responses = [response for group in micro.groups for response in group.responses]
    dtype, device = policy.logprobs_N.dtype, policy.logprobs_N.device

    def tensor(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    def before(of_batch: list[Tensor] | None, now_M: Tensor) -> Tensor:
        """The responses' own of the whole batch; what is now, where there is none."""
        if of_batch is None or not micro.indices:
            return now_M.detach()
        return torch.cat([of_batch[index] for index in micro.indices])

    values, now_M = None, outputs.values_M
    if now_M is not None:
        held = before(prepared.values, now_M), before(prepared.returns, now_M)
        ends = prepared.outcomes
        outcomes_R = None
        if ends is not None:
            outcomes_R = tensor([ends[i] for i in micro.indices] or [0.0] * len(responses))
        values = TokenValues(now_M, *held, outcomes_R)
    return PolicyTokens(
        logprobs_M=policy.logprobs_N,
        old_logprobs_M=before(prepared.old, policy.logprobs_N),
        engine_logprobs_M=tensor([p for r in responses for p in r.engine_logprobs]),
        reference_logprobs_M=reference_M,
        entropy_M=policy.entropy_N,
        response_M=row.response_M,
        advantages_M=tensor([a for r in responses for a in r.advantages]),
        weights_R=tensor([response.weight for response in responses]),
        lengths_R=torch.tensor([len(r.token_ids) for r in responses], device=device),
        values=values,
    )

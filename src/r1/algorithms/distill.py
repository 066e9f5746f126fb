"""On-policy distillation: the student samples, a frozen teacher judges every token of the samples.

    A_t    = kl_weight * (log pi_teacher(t) - log pi_old(t))  +  reward_weight * A_i
    policy = -min(rho_t A_t, clip(rho_t, 1 - clip_low, 1 + clip_high) A_t)

(2306.08543 and 2306.13649 for sequences and tokens; with a policy-gradient loss a token, as here:
Thinking Machines, "On-policy distillation", 2025.) A_i is GRPO's advantage of the response's
reward. On the student's own samples the expectation of -A_t is the reverse KL of the next token,

    KL(pi || pi_teacher) = sum over tokens v of pi(v) * (log pi(v) - log pi_teacher(v)),

and that of the loss's gradient its gradient. So each token is told how likely the teacher finds it
at its place: what SFT on the teacher's samples tells only of places that the teacher itself comes
to. With reward_weight = 0 rewards are computed and shown, and teach nothing.

The teacher takes the reference's place in the learner (`learner.reference`). It reads the token ids
that the student drew, so both need one tokenizer; architecture and size are its own. Both are
divided by the sampling temperature. The metric `teacher_kl` is the mean of log pi_old - log
pi_teacher over the trained tokens: an estimate of the KL above.

Left out on purpose: charging a token with the tokens that follow it (the gradient of the KL of
whole responses, much noisier), the KL over the whole vocabulary in place of the sampled token, a
teacher behind an endpoint, a teacher with a hint that the student does not see.

Shapes: M response tokens of a micro-batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field, model_validator

from r1.algorithms.group import compared_groups
from r1.algorithms.policy_gradient import Clip, PolicyGradient, clipped_loss, policy_ratio
from r1.algorithms.protocol import RewardedGroup
from r1.algorithms.registry import register_algorithm
from r1.algorithms.settings import AlgorithmSettings
from r1.learner.objective import LossOutput, PolicyTokens, Totals


class DistillSettings(AlgorithmSettings):
    """On-policy distillation: the student's samples, judged token by token by a frozen teacher."""

    teacher: str = Field(
        "",
        description="model to learn from: a folder, a run or a Hub id, with the student's tokens",
    )
    group_size: int = Field(16, ge=1, description="samples a problem; 1 serves without rewards")
    kl_weight: float = Field(1.0, gt=0.0, description="weight of the reverse KL to the teacher")
    reward_weight: float = Field(
        0.0,
        ge=0.0,
        description="weight of GRPO's advantages of the rewards; 0: rewards are only watched",
    )
    reference_every: int = Field(0, ge=0, description="0: the teacher stays as it is")
    aggregate: Literal["sequence", "token", "constant"] = Field(
        "token", description="how token losses are averaged, as in [grpo]"
    )
    clip_low: float = Field(
        0.2, ge=0.0, description="the ratio is clipped below 1 - clip_low; at 1 or more never"
    )
    clip_high: float = Field(0.2, ge=0.0, description="the ratio is clipped above 1 + clip_high")

    @property
    def teacher_model(self) -> str:
        return self.teacher

    @model_validator(mode="after")
    def _frozen(self) -> DistillSettings:
        if self.reference_every:
            raise ValueError("a teacher is never replaced by the policy; leave reference_every out")
        return self


@dataclass(frozen=True)
class Distill(PolicyGradient):
    """See r1.algorithms.protocol.Algorithm."""

    settings: DistillSettings

    @property
    def compared_over(self) -> Literal["group", "batch"]:
        """Equal rewards are no reason to leave a group out: the teacher's word differs."""
        return "batch"

    def advantages(self, groups_P: Sequence[RewardedGroup]) -> list[list[list[float]]]:
        """The rewards' share; the teacher's is added in `loss`."""
        weight = self.settings.reward_weight
        return [
            [[weight * a for a in advantages_T] for advantages_T in advantages_GT]
            for advantages_GT in compared_groups(groups_P, "population")
        ]

    def loss(self, tokens: PolicyTokens, totals: Totals) -> LossOutput:
        settings = self.settings
        assert tokens.reference_logprobs_M is not None
        gap_M = tokens.old_logprobs_M - tokens.reference_logprobs_M
        advantages_M = tokens.advantages_M - settings.kl_weight * gap_M
        judged = replace(tokens, advantages_M=advantages_M)
        clip, ratio_M = Clip(settings.clip_low, settings.clip_high), policy_ratio(judged, "token")
        output = clipped_loss(judged, totals, settings, clip, ratio_M, kl=None)
        counted_M = (tokens.weights_R[tokens.response_M] > 0).to(gap_M.dtype)
        return output._replace(sums={**output.sums, "teacher_kl": (gap_M * counted_M).sum()})


register_algorithm("distill", DistillSettings, Distill)

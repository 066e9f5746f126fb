"""Proximal policy optimisation with a critic (PPO, 1707.06347; for language models 2203.02155).

A critic says for every token what return it expects: a value head on the policy, or with
critic = "own" on a second model, a copy of the policy as it begins (`learner.critic`). The
advantage is what came beyond that (`gae`):

    r_t    = -kl_weight * (log pi_old(t) - log pi_ref(t)),  plus the reward at the last token
    A_t    = generalised advantage estimate of r and V with lambda_policy, whitened over the batch
    R_t    = the same with lambda_value, plus V_t                      what V is to become

    policy = -min(rho_t A_t, clip(rho_t, 1 - clip_low, 1 + clip_high) A_t)
    value  = 1/2 max[(V_t - R_t)^2, (clip(V_t, V_old ± value_clip) - R_t)^2]

Both are averaged over tokens in the same way (`aggregate`). With kl_in = "loss" the KL is a term of
the loss as in GRPO, and no reward has it: a KL in the reward adds up over the tokens to come, and
so charges length.

lambda = 1 for both is the default. The common 0.95 forgets the reward within some 20 tokens, and
DeepSeek-R1 (v2) found it clearly worse than 1 on mathematics.

There is no group: group_size = 1 serves, and responses to one problem are not compared.

Left out on purpose: a lambda that depends on length, dual clipping, scaling of rewards, an entropy
bonus.

Shapes: M response tokens of a micro-batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from r1.algorithms.gae import (
    advantage_estimates,
    explained_variance,
    padded,
    unpadded,
    whitened,
)
from r1.algorithms.policy_gradient import (
    Clip,
    KLKind,
    WithCritic,
    average_weights,
    clipped_loss,
    policy_ratio,
)
from r1.algorithms.protocol import with_advantages
from r1.algorithms.registry import register_algorithm
from r1.algorithms.settings import AlgorithmSettings
from r1.learner.objective import LossOutput, PolicyTokens, TokenValues, Totals, Valued
from r1.types import TrainBatch

if TYPE_CHECKING:
    from torch import Tensor


class PPOSettings(AlgorithmSettings):
    """PPO with a critic: a value head on the policy, or a model of its own."""

    passes_before: ClassVar[bool] = True
    has_critic: ClassVar[bool] = True
    only_with: ClassVar = {
        "critic_lr": ("critic", ("own",)),
        "value_weight": ("critic", ("shared",)),
        "kl": ("kl_in", ("loss",)),
    }

    group_size: int = Field(16, ge=1, description="samples a problem; 1 serves, none are compared")
    gamma: float = Field(
        1.0, gt=0.0, le=1.0, description="a reward counts this much less for each token before it"
    )
    lambda_policy: float = Field(
        1.0,
        ge=0.0,
        le=1.0,
        description="trust in rewards that come, against the critic, in the policy's advantages; "
        "1 all, and the horizon is about 1 / (1 - lambda) tokens",
    )
    lambda_value: float = Field(
        1.0, ge=0.0, le=1.0, description="the same in what the critic learns; 1: what really came"
    )
    whiten: bool = Field(
        True, description="give the advantages of a batch mean 0 and deviation 1, over all tokens"
    )
    aggregate: Literal["sequence", "token", "constant"] = Field(
        "token", description="how token losses are averaged, as in [grpo]; the critic's too"
    )
    kl_in: Literal["reward", "loss"] = Field(
        "reward", description="where the KL to the reference is: in every token's reward, or a term"
    )
    kl: KLKind = Field(
        "k3", description='estimator of the KL in the loss; in the reward it is "k1"'
    )
    clip_low: float = Field(
        0.2, ge=0.0, description="the ratio is clipped below 1 - clip_low; at 1 or more never"
    )
    clip_high: float = Field(0.2, ge=0.0, description="the ratio is clipped above 1 + clip_high")
    value_clip: float = Field(
        0.2, ge=0.0, description="most that a value may gain by leaving its old one; 0 no bound"
    )
    critic: Literal["shared", "own"] = Field(
        "shared",
        description='what the value head is on: the policy ("shared"), or a model of the critic\'s '
        'own, a copy of the first policy ("own": twice the learner\'s memory)',
    )
    critic_lr: float = Field(
        1e-5, gt=0.0, description='learning rate of the critic\'s own model; only with "own"'
    )
    value_lr: float = Field(0.05, gt=0.0, description="learning rate of the value head")
    value_weight: float = Field(
        0.1,
        ge=0.0,
        description="weight of the value loss in the gradient of the policy's own weights; 0: the "
        "head only reads",
    )
    value_warmup: int = Field(
        5, ge=0, description="first steps, in which the critic alone learns; fewer than num_steps"
    )

    def teaches_nothing(self, num_steps: int) -> str | None:
        """See AlgorithmSettings."""
        if num_steps > self.value_warmup:
            return None
        return (
            f"value_warmup = {self.value_warmup}: the policy learns nothing in the first "
            f"{self.value_warmup} steps, and num_steps = {num_steps}. Set value_warmup below "
            "num_steps."
        )


@dataclass(frozen=True)
class PPO(WithCritic):
    """See r1.algorithms.protocol.Algorithm and r1.learner.objective.CriticObjective."""

    settings: PPOSettings

    @property
    def value_lr(self) -> float:
        return self.settings.value_lr

    @property
    def critic_lr(self) -> float | None:
        return self.settings.critic_lr if self.settings.critic == "own" else None

    @property
    def value_weight(self) -> float:
        return self.settings.value_weight

    @property
    def value_warmup(self) -> int:
        return self.settings.value_warmup

    @property
    def kl_in_loss(self) -> bool:
        return self.settings.kl_in == "loss"

    def finish_with_values(
        self,
        batch: TrainBatch,
        old: Sequence[Tensor],
        reference: Sequence[Tensor] | None,
        values: Sequence[Tensor],
    ) -> Valued:
        settings = self.settings
        scores = [r.advantages[0] for group in batch.groups for r in group.responses]
        if not scores:
            return Valued(batch, [], {})
        rewards_BT = padded(token_rewards(scores, old, reference, settings.kl_weight))
        values_BT = padded(values)
        estimates = {
            lam: advantage_estimates(rewards_BT, values_BT, settings.gamma, lam)
            for lam in {settings.lambda_policy, settings.lambda_value, 1.0}
        }
        advantages_BT = estimates[settings.lambda_policy]
        came = unpadded(estimates[1.0] + values_BT, values)
        returns = unpadded(estimates[settings.lambda_value] + values_BT, values)
        without_BT = advantage_estimates(
            rewards_BT, 0.0 * values_BT, settings.gamma, settings.lambda_policy
        )
        metrics = {
            **explained_variance(came, values),
            "value_first": float(values_BT[:, 0].mean()),
            "return_first": sum(float(r[0]) for r in came) / len(came),
            "advantage_from_values": share_of_values(advantages_BT, without_BT),
        }
        advantages = unpadded(advantages_BT, values)
        if settings.whiten:
            advantages = whitened(advantages)
        returns = [r.to(v.dtype) for r, v in zip(returns, values, strict=True)]
        told = with_advantages(batch, (advantage_T.tolist() for advantage_T in advantages))
        return Valued(told, returns, metrics)

    def loss(self, tokens: PolicyTokens, totals: Totals) -> LossOutput:
        settings = self.settings
        assert tokens.values is not None
        clip = Clip(settings.clip_low, settings.clip_high)
        kl = settings.kl if self.kl_in_loss else None
        ratio_M = policy_ratio(tokens, "token")
        policy = clipped_loss(tokens, totals, settings, clip, ratio_M, kl)
        value_M, held_M = value_losses(tokens.values, settings.value_clip)
        counted_M = (tokens.weights_R[tokens.response_M] > 0).to(value_M.dtype)
        sums = {
            **policy.sums,
            "value_loss": (value_M.detach() * counted_M).sum(),
            "value_clip": (held_M * counted_M).sum(),
        }
        value_loss = (average_weights(tokens, totals, settings) * value_M).sum()
        return LossOutput(policy.loss, sums, value_loss)


def token_rewards(
    scores: Sequence[float],
    old: Sequence[Tensor],
    reference: Sequence[Tensor] | None,
    weight: float,
) -> list[Tensor]:
    """Return r_t of every token, float64: the KL of the token, and the score at the last one."""
    rewards = []
    for index, (score, old_T) in enumerate(zip(scores, old, strict=True)):
        reward_T = old_T.double().new_zeros(len(old_T))
        if reference is not None:
            reward_T = -weight * (old_T.double() - reference[index].double())
        reward_T[-1] += score
        rewards.append(reward_T)
    return rewards


def share_of_values(advantages_BT: Tensor, without_BT: Tensor) -> float:
    """Return the critic's share of all absolute advantages. without_BT: those of rewards alone."""
    own, rest = float((advantages_BT - without_BT).abs().sum()), float(without_BT.abs().sum())
    return own / max(1e-12, own + rest)


def value_losses(values: TokenValues, clip: float) -> tuple[Tensor, Tensor]:
    """Return every token's loss and whether the clip holds it, M each; such a token has no
    gradient. clip 0: no bound."""
    error_M = (values.values_M - values.returns_M) ** 2
    if clip == 0:
        return 0.5 * error_M, error_M.detach() < 0
    old_M = values.old_values_M
    gap_M = values.values_M - old_M
    bounded_error_M = (old_M + gap_M.clamp(-clip, clip) - values.returns_M) ** 2
    held_M = (gap_M.abs() > clip) & (bounded_error_M > error_M)  # rounding alone holds nothing
    return 0.5 * error_M.maximum(bounded_error_M), held_M.detach()


register_algorithm("ppo", PPOSettings, PPO)

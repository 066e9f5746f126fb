"""PRIME: process rewards that a second model learns from outcomes alone, along with the policy
(2502.01456; the implicit reward 2412.01981).

A language model phi, a copy of the policy as training begins, and the reference, another, give
every token a reward without a label of any step:

    r_t = beta * (log phi(t) - log pi_ref(t))

phi is trained on the same samples by their outcomes, right or not (o is 1 or 0):

    loss of phi = -[o log s + (1 - o) log(1 - s)],   s = sigmoid(sum of r_t over the response)

so that the sum says how likely the response is right, and a token's share what it adds to that. The
policy is paid both, each against the other responses of the group (leave-one-out):

    A_t = step_weight * sum over s >= t of gamma^(s - t) (r_s - b)  +  r_o - mean of the others' r_o

b is the mean over the other responses of their mean r_t. The loss of the policy is PPO's, clipped a
token. r_t is phi's before this update (the paper's single forward pass), and phi and the policy
learn in the same passes over the batch. The reference never changes and has no term in the loss.

phi costs what a critic of its own costs (`learner.critic_body`), and the reference a frozen copy.

Left out on purpose: filtering problems by their share of right answers, phi's own number of passes
over a batch, whitening.

Shapes: M response tokens of a micro-batch, R its responses, G samples of a group, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from r1.algorithms.gae import advantage_estimates, padded, unpadded
from r1.algorithms.policy_gradient import Clip, WithCritic, clipped_loss, policy_ratio
from r1.algorithms.protocol import with_advantages
from r1.algorithms.registry import register_algorithm
from r1.algorithms.rloo import leave_one_out
from r1.algorithms.settings import AlgorithmSettings
from r1.learner.objective import LossOutput, PolicyTokens, Totals, Valued
from r1.types import TrainBatch

if TYPE_CHECKING:
    from torch import Tensor


class PrimeSettings(AlgorithmSettings):
    """PRIME: process rewards learnt from outcomes, by a second language model."""

    passes_before: ClassVar[bool] = True
    critic: ClassVar[str] = "own"

    group_size: int = Field(16, ge=2, description="samples a problem, G")
    beta: float = Field(0.05, gt=0.0, description="reward of a token for a nat above the reference")
    right_above: float = Field(
        0.5, description="a response is right, for the second model, where its reward is above this"
    )
    prm_lr: float = Field(1e-5, gt=0.0, description="learning rate of the second model")
    step_weight: float = Field(1.0, gt=0.0, description="weight of the tokens' own rewards")
    gamma: float = Field(
        1.0, gt=0.0, le=1.0, description="a reward counts this much less for each token before it"
    )
    kl_weight: float = Field(0.0, ge=0.0, description="0: the reference is for the tokens' rewards")
    reference_every: int = Field(0, ge=0, description="0: the reference stays as it is")
    aggregate: Literal["sequence", "token", "constant"] = Field(
        "token", description="how token losses are averaged, as in [grpo]"
    )
    clip_low: float = Field(
        0.2, ge=0.0, description="the ratio is clipped below 1 - clip_low; at 1 or more never"
    )
    clip_high: float = Field(0.2, ge=0.0, description="the ratio is clipped above 1 + clip_high")

    @property
    def needs_reference(self) -> bool:
        """See AlgorithmSettings."""
        return True

    @classmethod
    def hint_for_unknown(cls, key: str) -> str | None:
        """Hint for a name of the second model, which is not chosen."""
        named = key in ("prm_model", "reward_model", "process_reward_model", "prm_path")
        return "the second model begins as the policy; leave it out." if named else None

    @model_validator(mode="after")
    def _one_reference(self) -> PrimeSettings:
        for name in ("kl_weight", "reference_every"):
            if getattr(self, name):
                raise ValueError(f"{name} must be 0: the tokens' rewards are held against a fixed "
                                 "reference; leave it out")  # fmt: skip
        if self.overlong == "mask":
            raise ValueError(
                'overlong = "mask" is not for prime: rewards are compared where the second model '
                'is, and masked responses would leave the comparison; "keep" or "penalty"'
            )
        return self


@dataclass(frozen=True)
class Prime(WithCritic):
    """See r1.algorithms.protocol.Algorithm and r1.learner.objective.ImplicitObjective."""

    settings: PrimeSettings

    implicit: ClassVar[bool] = True
    value_lr: ClassVar[float] = 1.0  # of a head that is not used
    value_weight: ClassVar[float] = 0.0
    value_warmup: ClassVar[int] = 0
    kl_in_loss: ClassVar[bool] = False

    @property
    def critic_lr(self) -> float:
        return self.settings.prm_lr

    def finish_with_values(
        self,
        batch: TrainBatch,
        old: Sequence[Tensor],
        reference: Sequence[Tensor] | None,
        values: Sequence[Tensor],
    ) -> Valued:
        """values: phi's log-probabilities."""
        assert reference is not None
        beta, advantages, scores = self.settings.beta, list[list[float]](), list[float]()
        rewards = [
            beta * (phi_T.double() - reference_T.double())
            for phi_T, reference_T in zip(values, reference, strict=True)
        ]
        for group in batch.groups:
            size = len(group.responses)
            begin = len(scores)
            scores += [response.advantages[0] for response in group.responses]
            advantages += self._of_group(scores[begin:], rewards[begin : begin + size])
        outcomes = [float(score > self.settings.right_above) for score in scores]
        sums = [float(reward_T.sum()) for reward_T in rewards]
        agree = [(z > 0) == (o > 0) for z, o in zip(sums, outcomes, strict=True)]
        metrics = {} if not sums else {
            "prm_accuracy": sum(agree) / len(agree),
            "prm_reward": sum(sums) / len(sums),
        }  # fmt: skip
        return Valued(with_advantages(batch, advantages), list(reference), metrics, outcomes)

    def _of_group(self, scores_G: list[float], rewards_G: list[Tensor]) -> list[list[float]]:
        """The advantages of a group's tokens. rewards_G: r_t of each response, float64."""
        all_valid = [True] * len(scores_G)
        outcomes_G = leave_one_out(scores_G, all_valid)
        means_G = [float(reward_T.mean()) for reward_T in rewards_G]
        others_G = [m - c for m, c in zip(means_G, leave_one_out(means_G, all_valid), strict=True)]
        if len(scores_G) == 1:
            return [[0.0] * len(rewards_G[0])]
        centred_G = [r_T - b for r_T, b in zip(rewards_G, others_G, strict=True)]
        rows_GT = padded(centred_G)
        returns_GT = advantage_estimates(rows_GT, 0.0 * rows_GT, self.settings.gamma, 1.0)
        return [
            (self.settings.step_weight * return_T + outcome).tolist()
            for return_T, outcome in zip(unpadded(returns_GT, centred_G), outcomes_G, strict=True)
        ]

    def loss(self, tokens: PolicyTokens, totals: Totals) -> LossOutput:
        settings, values = self.settings, tokens.values
        assert values is not None
        assert values.outcomes_R is not None
        clip = Clip(settings.clip_low, settings.clip_high)
        policy = clipped_loss(
            tokens, totals, settings, clip, policy_ratio(tokens, "token"), kl=None
        )
        reward_M = settings.beta * (values.values_M - values.returns_M)
        zeros_R = reward_M.new_zeros(len(tokens.lengths_R))
        sum_R = zeros_R.index_add(0, tokens.response_M, reward_M)
        # log(1 + exp(x)), by a function whose gradient is right at 0 too, where every run begins.
        cross_entropy_R = ((1.0 - 2.0 * values.outcomes_R) * sum_R).logaddexp(zeros_R)
        prm_loss = (tokens.weights_R * cross_entropy_R).sum() / totals.num_responses
        lengths_R = tokens.lengths_R * (tokens.weights_R > 0)
        told = {"prm_loss": (lengths_R * cross_entropy_R.detach()).sum()}
        return LossOutput(policy.loss, {**policy.sums, **told}, prm_loss)


register_algorithm("prime", PrimeSettings, Prime)

"""GRPO with rewards for single steps (DeepSeekMath, 2402.03300, section 4.1.3; PURE, 2504.15275).

    A_t = GRPO's A of the response's total reward  +  step_weight * process advantage of token t

The process advantage comes from a process reward model's probabilities that steps are right, by
`credit` (both in `process`):

    "sum"   the later steps' scores, normalised over all steps of the group (DeepSeekMath)
    "min"   the worst step to come, by soft-min weights (PURE); harder to game by many easy steps

The model is one of the recipe's `reward_models`. Its weight there decides whether its aggregate is
in the total reward as well; 0 leaves the total to rules, and logs both.

Left out on purpose: learning the reward model along with the policy (`prime`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from r1.algorithms.group import compared_groups
from r1.algorithms.grpo import GRPO, GRPOSettings
from r1.algorithms.process import Steps, summed_steps, worst_step
from r1.algorithms.protocol import RewardedGroup
from r1.algorithms.registry import register_algorithm
from r1.errors import UserError

CREDIT = {"sum": summed_steps, "min": worst_step}


class ProcessGRPOSettings(GRPOSettings):
    """GRPO that also pays single steps, by a process reward model."""

    step_model: str = Field(
        "prm", description="which of the recipe's reward_models scores the steps"
    )
    step_weight: float = Field(1.0, gt=0.0, description="weight of the steps' advantages")
    credit: Literal["sum", "min"] = Field(
        "min",
        description='a token is paid the "sum" of its later steps (DeepSeekMath), or the worst of '
        'them, "min" (PURE)',
    )

    @property
    def needed_reward_model(self) -> str:
        """The reward model that the recipe must have."""
        return self.step_model


@dataclass(frozen=True)
class ProcessGRPO(GRPO):
    """See r1.algorithms.protocol.Algorithm."""

    settings: ProcessGRPOSettings

    def advantages(self, groups_P: Sequence[RewardedGroup]) -> list[list[list[float]]]:
        outcomes_PGT = compared_groups(groups_P, self.settings.std)
        return [
            _added(outcomes_GT, self._process(group), self.settings.step_weight)
            for group, outcomes_GT in zip(groups_P, outcomes_PGT, strict=True)
        ]

    def _process(self, group: RewardedGroup) -> list[list[float]]:
        """The process advantages of a group, (G, T); 0 where there was no verdict."""
        valid = [g for g, is_valid in enumerate(group.valid_G) if is_valid]
        steps_G = [self._steps(group, g) for g in valid]
        lengths_G = [group.lengths_G[g] for g in valid]
        found = dict(zip(valid, CREDIT[self.settings.credit](steps_G, lengths_G), strict=True))
        return [found.get(g, [0.0] * length) for g, length in enumerate(group.lengths_G)]

    def _steps(self, group: RewardedGroup, sample: int) -> Steps:
        name = self.settings.step_model
        score = group.scored.rewards[sample].parts.get(name)
        steps = () if score is None else score.steps
        if not steps and group.scored.group.completions[sample].text.strip():
            raise UserError(
                f"reward_models.{name} scores no steps of problem {group.scored.group.problem.id}: "
                'it must be trained with objective = "steps", with the policy\'s own tokenizer, '
                "and judge all families from step 0."
            )
        return Steps([step.end for step in steps], [step.value for step in steps])


def _added(
    first_GT: list[list[float]], second_GT: list[list[float]], weight: float
) -> list[list[float]]:
    return [
        [a + weight * b for a, b in zip(first_T, second_T, strict=True)]
        for first_T, second_T in zip(first_GT, second_GT, strict=True)
    ]


register_algorithm("process_grpo", ProcessGRPOSettings, ProcessGRPO)

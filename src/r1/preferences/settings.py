"""Settings of preference making: what is sampled, and which judged responses are kept (torch-free).

Where the paper gives numbers (section 3.1: four votes, a mean of more than 1) they are the
defaults.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from r1.config import Settings
from r1.curation.settings import CallSettings, ShardSettings
from r1.preferences.votes import VoteSettings
from r1.rollout.settings import SamplingSettings


class PreferenceSettings(Settings):
    """Responses of a checkpoint, judged: in pairs by which is better, or one by one by safety."""

    seed: int = Field(0, ge=0, description="decides the samples, and a judging engine's replies")
    objective: Literal["pairwise", "pointwise"] = Field(
        "pairwise",
        description='"pairwise": which of two responses is better (rows {prompt, chosen, rejected, '
        'margin}); "pointwise": whether one is safe, by majority (rows {prompt, response, label})',
    )
    part: Literal["answer", "whole"] | None = Field(
        None,
        description="what the judge reads: what follows the thinking (the default for pairs), or "
        "the whole response (the default for labels)",
    )
    num_samples: int = Field(
        2,
        ge=1,
        description="responses to each prompt; pairs are the first with the second, the third with "
        "the fourth, and so on",
    )
    sampling: SamplingSettings = SamplingSettings()
    judging: VoteSettings = VoteSettings()
    max_chars: int = Field(
        20_000, ge=100, description="longer responses, in characters, are not judged"
    )
    call: CallSettings = CallSettings()
    shards: ShardSettings = ShardSettings()
    domains: dict[str, str] = Field(
        {}, description='domain of each family in the data card, such as { cups = "logic" }'
    )

    @property
    def judged_part(self) -> Literal["answer", "whole"]:
        """What the judge reads of a response."""
        return self.part or ("answer" if self.objective == "pairwise" else "whole")

    @model_validator(mode="after")
    def _paired(self) -> PreferenceSettings:
        if self.objective == "pairwise" and self.num_samples % 2:
            raise ValueError("num_samples: pairs need an even number of responses to a prompt")
        return self


class VerifiedPairSettings(Settings):
    """Pairs of a right and a wrong response of one checkpoint to one problem."""

    seed: int = Field(0, ge=0, description="decides every sample")
    num_samples: int = Field(16, ge=2, description="responses to each problem")
    max_pairs: int = Field(2, ge=1, description="most pairs of one problem")
    length_ratio: float = Field(
        1.25, ge=1.0, description="most that the longer of a pair may be of the shorter, in tokens"
    )
    sampling: SamplingSettings = SamplingSettings()
    call: CallSettings = CallSettings()
    shards: ShardSettings = ShardSettings()
    domains: dict[str, str] = Field({}, description="domain of each family in the data card")

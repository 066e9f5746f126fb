"""Settings of preference making: what is sampled, and which judged responses are kept (torch-free).

Where the paper gives numbers (section 3.1: four votes, a mean of more than 1) they are the
defaults.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from r1.config import Settings
from r1.curation.settings import CallSettings, ShardSettings
from r1.data.preference_making import VoteSettings
from r1.rollout.settings import SamplingSettings


class PreferenceSettings(Settings):
    """Responses of a checkpoint, judged.

    objective: "pairwise" compares two responses to a prompt (rows {prompt, chosen, rejected,
        margin}: helpfulness); "pointwise" labels each as safe or unsafe (rows {prompt, response,
        label}: harmlessness; a majority of the votes decides, and margin and lengths mean nothing).
    part: what the judge reads; by default what a reward model of the same objective scores.
    num_samples: in pairs, the first with the second, the third with the fourth and so on.
    """

    seed: int = Field(0, ge=0, description="of the samples, and of a judge's replies in an engine")
    objective: Literal["pairwise", "pointwise"] = "pairwise"
    part: Literal["answer", "whole"] | None = Field(
        None, description="what follows the thinking (pairs), or the whole response (labels)"
    )
    num_samples: int = Field(2, ge=1, description="responses to a prompt")
    sampling: SamplingSettings = SamplingSettings()
    judging: VoteSettings = VoteSettings()
    max_chars: int = Field(20_000, ge=100, description="longer responses are not judged")
    call: CallSettings = CallSettings()
    shards: ShardSettings = ShardSettings()
    domains: dict[str, str] = Field({}, description="domain of each family in the data card")

    @property
    def judged_part(self) -> Literal["answer", "whole"]:
        """What the judge reads of a response."""
        return self.part or ("answer" if self.objective == "pairwise" else "whole")

    @model_validator(mode="after")
    def _paired(self) -> PreferenceSettings:
        if self.objective == "pairwise" and self.num_samples % 2:
            raise ValueError("num_samples: pairs need an even number of responses to a prompt")
        return self

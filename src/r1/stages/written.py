"""Shared parts of "prompted" and "refined": traces written by a general model (section 2.3.1)."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from r1.config import Settings
from r1.data.settings import SourceSettings
from r1.plan.estimate import Context, Estimate
from r1.plan.sampling import KEPT_NOTE, estimate_sampling
from r1.plan.workload import Amount
from r1.rewards.settings import RewardSettings
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_problems
from r1.stages.general import GeneralSettings, samplers_of
from r1.stages.protocol import SampledModel

BY_ENDPOINT = "the general model behind an endpoint computes elsewhere"


class WrittenStage(Settings):
    """Settings of the stages in which a general model writes, with cold start's rules."""

    general: GeneralSettings = Field(description="who writes: a checkpoint or an endpoint")
    problems: tuple[SourceSettings, ...] = Field(
        min_length=1, description="sources of the problems that traces are written for"
    )
    rewards: RewardSettings = RewardSettings(answer_from="boxed")


def check_written(
    stage: WrittenStage, heldout: tuple[SourceSettings, ...], cache: CheckCache
) -> None:
    """Check names of rewards and the problems."""
    stage.rewards.validate_names()
    check_problems((*stage.problems, *heldout), stage.rewards, cache)


def samplers(stage: WrittenStage) -> list[SampledModel]:
    """Return the general model, unless it is behind an endpoint."""
    return samplers_of(stage.general)


def estimate_written(
    name: str,
    kind: str,
    stage: WrittenStage,
    context: Context,
    amount: Amount,
    calls: int,
    kept_share: float,
) -> Estimate:
    """Estimate `calls` calls of the general model per row of amount; kept_share of the rows are
    written."""
    made = None
    if amount.rows is not None:
        made = Amount(round(amount.rows * kept_share), amount.tokens)
    if stage.general.model is None:
        asked = (amount.rows or 0) * calls
        return Estimate(name, kind, samples=asked, makes=made, assumptions=(BY_ENDPOINT,))
    shape = context.shape(stage.general.model)
    limit = stage.general.sampling.max_new_tokens
    done = estimate_sampling(name, kind, shape, context, amount, calls, limit, stage.general.engine)
    return replace(done, makes=made, assumptions=(*done.assumptions, KEPT_NOTE))

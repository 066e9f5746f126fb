"""kind = "rejection": the correct and readable samples of a checkpoint.

The paper's section 2.3.3, and R1-Zero's readable samples for the cold start (2.3.1).
r1.curation.rejection has the rules of what is kept.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from r1.curation.settings import RejectionSettings
from r1.data.settings import SourceSettings
from r1.plan.estimate import Context, Estimate
from r1.plan.sampling import KEPT_NOTE, KEPT_SHARE, estimate_sampling
from r1.plan.workload import Amount, amount_of
from r1.rewards.settings import RewardSettings
from r1.rollout.settings import EngineSettings
from r1.stages import registry, verified_sampling
from r1.stages.check_cache import CheckCache
from r1.stages.dataset import DATA, dataset_run, load_problem_lists, part
from r1.stages.protocol import StageContext, StageKind
from r1.template import TemplateSettings

NAME = "rejection"


class RejectionStage(RejectionSettings):
    """Rejection sampling from a checkpoint (paper, section 2.3.3); also R1-Zero's readable
    samples for the cold start (section 2.3.1)."""

    model: str = Field(description='what is sampled: "@STAGE", "tiny", a folder, a run or a Hub id')
    problems: tuple[SourceSettings, ...] = Field(
        min_length=1, description="sources of the problems that are sampled"
    )
    heldout: tuple[SourceSettings, ...] = Field(
        (), description="sources of evaluation problems, whose overlaps are left out"
    )
    template: TemplateSettings = TemplateSettings()
    rewards: RewardSettings = RewardSettings()
    engine: EngineSettings = EngineSettings()
    origin: str = Field("rejection", description="how the rows say that they were made")


def make(stage: RejectionStage, context: StageContext) -> None:
    """Sample a checkpoint and keep correct and readable responses."""
    from r1.curation.rejection import rejection_sample

    problems, heldout = load_problem_lists(
        stage.problems, stage.heldout, stage.rewards, context.base_folder
    )
    with verified_sampling.open_line(stage, problems, context) as (line, source):
        rejection_sample(
            context.folder,
            problems,
            line,
            part(stage, RejectionSettings),
            source=source,
            heldout=heldout,
            progress=context.progress.data,
            total=len(problems),
            origin=stage.origin,
        )


def check(stage: RejectionStage, cache: CheckCache) -> None:
    """Check names of rewards, the problems and the model."""
    verified_sampling.check(stage, cache, stage.heldout)


def estimate(name: str, stage: RejectionStage, context: Context) -> Estimate:
    """Estimate a checkpoint's samples; at most keep.cap good ones per prompt are written."""
    amount = amount_of(stage.problems, context.base_folder, context.made)
    shape = context.shape(stage.model)
    sampling, number = stage.sampling, stage.num_samples
    done = estimate_sampling(
        name, NAME, shape, context, amount, number, sampling.max_new_tokens, stage.engine
    )
    if amount.rows is None:
        return done
    good = KEPT_SHARE * number
    kept = min(good, stage.keep.cap) if stage.keep.cap else good
    mean = done.response_tokens / max(1, done.samples)
    made = Amount(round(amount.rows * kept), mean)
    return replace(done, makes=made, assumptions=(*done.assumptions, KEPT_NOTE))


registry.register(
    StageKind(
        name=NAME,
        label="data",
        settings=RejectionStage,
        outputs=DATA,
        run=dataset_run(make),
        check=check,
        estimate=estimate,
        samplers=verified_sampling.samplers,
        other_names=("rejection_sampling",),
    )
)

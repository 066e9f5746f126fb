"""kind = "verified_pairs": right over wrong responses of a checkpoint, for DPO or a reward model.

No judge is asked: the rewards' rules tell right from wrong (r1.preferences.verified).
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from r1.data.settings import SourceSettings
from r1.plan.estimate import Context, Estimate
from r1.plan.sampling import estimate_sampling
from r1.plan.workload import Amount, amount_of
from r1.preferences.settings import VerifiedPairSettings
from r1.rewards.settings import RewardSettings
from r1.rollout.settings import EngineSettings
from r1.stages import registry, verified_sampling
from r1.stages.dataset import DATA, dataset_run, load_problem_lists, part
from r1.stages.protocol import StageContext, StageKind
from r1.template import TemplateSettings

NAME = "verified_pairs"


class VerifiedPairsStage(VerifiedPairSettings):
    """Right over wrong responses of a checkpoint, told apart by rules."""

    model: str = Field(description='what is sampled: "@STAGE", "tiny", a folder, a run or a Hub id')
    problems: tuple[SourceSettings, ...] = Field(
        min_length=1, description="sources of the problems that are sampled"
    )
    template: TemplateSettings = TemplateSettings()
    rewards: RewardSettings = RewardSettings()
    engine: EngineSettings = EngineSettings()


def make(stage: VerifiedPairsStage, context: StageContext) -> None:
    """Sample a checkpoint and pair what is right with what is wrong."""
    from r1.preferences.verified import make_verified_pairs

    problems, _ = load_problem_lists(stage.problems, (), stage.rewards, context.base_folder)
    settings, progress = part(stage, VerifiedPairSettings), context.progress.data
    with verified_sampling.open_line(stage, problems, context) as (line, source):
        make_verified_pairs(context.folder, problems, line, settings, source, progress)


def estimate(name: str, stage: VerifiedPairsStage, context: Context) -> Estimate:
    """Estimate a checkpoint's samples; at most max_pairs pairs a problem are written."""
    amount = amount_of(stage.problems, context.base_folder, context.made)
    shape, limit = context.shape(stage.model), stage.sampling.max_new_tokens
    number = stage.num_samples
    done = estimate_sampling(name, NAME, shape, context, amount, number, limit, stage.engine)
    if amount.rows is None:
        return done
    mean = done.response_tokens / max(1, done.samples)
    return replace(done, makes=Amount(amount.rows * stage.max_pairs, mean))


registry.register(
    StageKind(
        name=NAME,
        label="data",
        settings=VerifiedPairsStage,
        outputs=DATA,
        run=dataset_run(make),
        check=verified_sampling.check,
        estimate=estimate,
        samplers=verified_sampling.samplers,
        other_names=("right_wrong", "verified_preferences"),
    )
)

"""kind = "step_labels": a checkpoint's solutions with labelled steps, for a process reward model.

r1.preferences.label_steps has the ways of labelling. Resumes where it stopped.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from r1.data.settings import SourceSettings
from r1.plan.estimate import Context, Estimate
from r1.plan.sampling import estimate_sampling
from r1.plan.workload import Amount, amount_of
from r1.preferences.step_settings import StepLabelSettings
from r1.rewards.settings import RewardSettings
from r1.rollout.settings import EngineSettings
from r1.stages import registry, verified_sampling
from r1.stages.dataset import DATA, dataset_run, load_problem_lists, part
from r1.stages.protocol import StageContext, StageKind
from r1.template import TemplateSettings

NAME = "step_labels"
CONTINUED = {"monte_carlo": 4.0, "binary_search": 1.5, "oracle": 0.0}
"""Whole responses that a solution's prefixes cost for each of the N, with eight steps a solution:
seven prefixes of half a response each, or three for wrong ones."""
CONTINUED_NOTE = "a solution has eight steps, and its prefixes are half a response long"


class StepLabelsStage(StepLabelSettings):
    """Labelled steps for a process reward model (paper, section 4.2 of version 1)."""

    model: str = Field(
        description='whose solutions are labelled: "@STAGE", "tiny", a folder, a run or a Hub id'
    )
    problems: tuple[SourceSettings, ...] = Field(
        min_length=1, description="sources of the problems that are solved"
    )
    template: TemplateSettings = TemplateSettings()
    rewards: RewardSettings = RewardSettings()
    engine: EngineSettings = EngineSettings()


def make(stage: StepLabelsStage, context: StageContext) -> None:
    """Sample solutions, continue their prefixes, and write the labelled steps."""
    from r1.preferences.label_steps import label_steps

    problems, _ = load_problem_lists(stage.problems, (), stage.rewards, context.base_folder)
    settings, progress = part(stage, StepLabelSettings), context.progress.data
    with verified_sampling.open_line(stage, problems, context) as (line, source):
        label_steps(context.folder, problems, line, settings, source, progress)


def estimate(name: str, stage: StepLabelsStage, context: Context) -> Estimate:
    """Estimate solutions and the continuations of their prefixes."""
    amount = amount_of(stage.problems, context.base_folder, context.made)
    shape, limit = context.shape(stage.model), stage.sampling.max_new_tokens
    number = round(stage.num_samples * (1 + stage.rollouts * CONTINUED[stage.method]))
    done = estimate_sampling(name, NAME, shape, context, amount, number, limit, stage.engine)
    if amount.rows is None:
        return done
    mean = done.response_tokens / max(1, done.samples)
    made = Amount(amount.rows * stage.num_samples, mean)
    return replace(done, makes=made, assumptions=(*done.assumptions, CONTINUED_NOTE))


registry.register(
    StageKind(
        name=NAME,
        label="data",
        settings=StepLabelsStage,
        outputs=DATA,
        run=dataset_run(make),
        check=verified_sampling.check,
        estimate=estimate,
        samplers=verified_sampling.samplers,
        other_names=("process_labels", "prm_labels"),
    )
)

"""kind = "prompted": traces that a general model writes, few-shot or direct (section 2.3.1).

r1.curation.prompted has the prompts and the rules of what is kept.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from r1.curation.settings import PromptedTraceSettings
from r1.data.rows import find_data
from r1.data.settings import SourceSettings
from r1.plan.estimate import Context, Estimate
from r1.plan.sampling import KEPT_SHARE
from r1.plan.workload import amount_of
from r1.stages import registry
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_paths
from r1.stages.dataset import DATA, dataset_run, load_problem_lists, part
from r1.stages.general import open_general
from r1.stages.protocol import StageContext, StageKind
from r1.stages.written import WrittenStage, check_written, estimate_written, samplers

NAME = "prompted"


class PromptedStage(WrittenStage, PromptedTraceSettings):
    """Traces by few-shot or direct prompting (paper, section 2.3.1)."""

    how: Literal["few-shot", "direct"] = Field(
        description="ask with worked examples, or directly for reflection and verification"
    )
    heldout: tuple[SourceSettings, ...] = Field(
        (), description="sources of evaluation problems, whose overlaps are left out"
    )
    examples: str | None = Field(
        None,
        description='data set whose traces are the worked examples: "@STAGE" or a folder; by '
        "default shipped ones",
    )


def make(stage: PromptedStage, context: StageContext) -> None:
    """Have the general model write traces for problems."""
    from r1.curation.prompted import prompted_traces
    from r1.curation.prompts import EXAMPLES, WorkedExample
    from r1.curation.store import read_rows
    from r1.rewards.pool import RewardPool

    problems, heldout = load_problem_lists(
        stage.problems, stage.heldout, stage.rewards, context.base_folder
    )
    examples: tuple[WorkedExample, ...] = EXAMPLES
    if stage.examples is not None:
        rows = read_rows(find_data(stage.examples, context.base_folder))
        keys = ("language", "prompt", "thinking", "summary")
        examples = tuple(WorkedExample(*(row[key] for key in keys)) for row in rows)
    with (
        RewardPool(stage.rewards) as pool,
        open_general(stage.general, context.base_folder, context.cluster) as general,
    ):
        prompted_traces(
            context.folder,
            problems,
            general,
            pool,
            part(stage, PromptedTraceSettings),
            kind=stage.how,
            examples=examples,
            heldout=heldout,
            progress=context.progress.data,
            total=len(problems),
        )


def check(stage: PromptedStage, cache: CheckCache) -> None:
    """Check names of rewards, the problems and that the examples exist."""
    check_written(stage, stage.heldout, cache)
    check_paths([stage.examples], cache)


def estimate(name: str, stage: PromptedStage, context: Context) -> Estimate:
    """Estimate num_samples calls per problem."""
    amount = amount_of(stage.problems, context.base_folder, context.made)
    calls = (stage.few_shot if stage.how == "few-shot" else stage.direct).num_samples
    kept = min(1.0, KEPT_SHARE * calls)
    return estimate_written(name, NAME, stage, context, amount, calls, kept)


registry.register(
    StageKind(
        name=NAME,
        label="data",
        settings=PromptedStage,
        outputs=DATA,
        run=dataset_run(make),
        check=check,
        estimate=estimate,
        samplers=samplers,
        other_names=("cold_start",),
    )
)

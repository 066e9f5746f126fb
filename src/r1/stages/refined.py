"""kind = "refined": a data set's traces, rewritten and summarised by a general model (2.3.1).

r1.curation.refined has the prompts and the rules of what is kept.
"""

from __future__ import annotations

from pydantic import Field

from r1.curation.settings import RefinedTraceSettings
from r1.data.rows import find_data
from r1.plan.estimate import Context, Estimate
from r1.plan.sampling import KEPT_SHARE
from r1.plan.workload import Amount
from r1.stages import registry
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_paths
from r1.stages.dataset import DATA, dataset_run, load_problem_lists, part
from r1.stages.general import open_general
from r1.stages.protocol import StageContext, StageKind
from r1.stages.written import WrittenStage, check_written, estimate_written, samplers

NAME = "refined"
CALLS = 2
"""Of the general model for each trace."""


class RefinedStage(WrittenStage, RefinedTraceSettings):
    """Readable samples, rewritten in the question's language with a summary (section 2.3.1)."""

    samples: str = Field(description='data set of traces to rewrite: "@STAGE" or a folder')


def make(stage: RefinedStage, context: StageContext) -> None:
    """Have the general model rewrite a data set's traces."""
    from r1.curation.refined import refined_traces
    from r1.rewards.pool import RewardPool

    problems, _ = load_problem_lists(stage.problems, (), stage.rewards, context.base_folder)
    with (
        RewardPool(stage.rewards) as pool,
        open_general(stage.general, context.base_folder, context.cluster) as general,
    ):
        refined_traces(
            context.folder,
            find_data(stage.samples, context.base_folder),
            {problem.id: problem for problem in problems},
            general,
            pool,
            part(stage, RefinedTraceSettings),
            progress=context.progress.data,
        )


def check(stage: RefinedStage, cache: CheckCache) -> None:
    """Check names of rewards, the problems and that the traces exist."""
    check_written(stage, (), cache)
    check_paths([stage.samples], cache)


def estimate(name: str, stage: RefinedStage, context: Context) -> Estimate:
    """Estimate CALLS calls per trace."""
    amount = context.made_by(stage.samples) or Amount(None)
    return estimate_written(name, NAME, stage, context, amount, CALLS, KEPT_SHARE)


registry.register(
    StageKind(
        name=NAME,
        label="data",
        settings=RefinedStage,
        outputs=DATA,
        run=dataset_run(make),
        check=check,
        estimate=estimate,
        samplers=samplers,
    )
)

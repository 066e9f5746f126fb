"""kind = "evaluation": one checkpoint for the table of stages (paper, tables 3 to 6).

r1.evaluation.battery samples, judges and computes the figures.
"""

from __future__ import annotations

from collections.abc import Mapping

from r1.errors import UserError
from r1.evaluation.battery_settings import EvaluationStageSettings
from r1.evaluation.source import find_model
from r1.plan.estimate import Context, Estimate
from r1.plan.sampling import estimate_sampling
from r1.plan.workload import amount_of
from r1.stages import registry
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_model, is_reference
from r1.stages.protocol import Artifact, ArtifactType, SampledModel, StageContext, StageKind

NAME = "evaluation"


def run(stage: EvaluationStageSettings, context: StageContext) -> Mapping[str, Artifact]:
    """Evaluate the checkpoint."""
    from r1.evaluation.battery import RESULT, run_battery

    counts = run_battery(
        stage,
        find_model(stage.model, context.base_folder),
        context.base_folder,
        context.folder,
        context.progress.training,
        cluster=context.cluster,
    )
    return {"results": Artifact(RESULT, ArtifactType.RESULTS, counts)}


def check(stage: EvaluationStageSettings, cache: CheckCache) -> None:
    """Check model and questions, unless another evaluation asks the same."""
    from r1.evaluation.battery import load_questions

    check_model(stage.model, cache)
    for name, use in stage.reward_models.items():
        for key in sorted(use.model_fields_set & {"weight", "families", "from_step"}):
            if getattr(use, key) != type(use).model_fields[key].get_default():
                raise UserError(
                    f"reward_models.{name}.{key} has no effect in an evaluation, which shows each "
                    "model's scores apart; remove it."
                )
    if not any(is_reference(source.path) for source in (*stage.problems, *stage.general)):
        asked = stage.model_copy(update={"model": "", "title": ""}).model_dump_json()
        cache.once(f"{NAME} {asked}", lambda: load_questions(stage, cache.base_folder))


def samplers(stage: EvaluationStageSettings) -> list[SampledModel]:
    """Return the checkpoint."""
    limits = {"max_new_tokens": stage.max_new_tokens}
    if stage.evaluation.max_new_tokens is not None:
        limits["evaluation.max_new_tokens"] = stage.evaluation.max_new_tokens
    return [SampledModel("model", stage.model, stage.engine, _limit(stage), limits)]


def estimate(name: str, stage: EvaluationStageSettings, context: Context) -> Estimate:
    """Estimate k samples of every problem and every general request."""
    amount = amount_of((*stage.problems, *stage.general), context.base_folder, context.made)
    shape, number = context.shape(stage.model), stage.evaluation.num_samples
    return estimate_sampling(
        name, NAME, shape, context, amount, number, _limit(stage), stage.engine
    )


def _limit(stage: EvaluationStageSettings) -> int:
    """Return the token limit of a response."""
    return stage.evaluation.max_new_tokens or stage.max_new_tokens


registry.register(
    StageKind(
        name=NAME,
        label="evaluation",
        settings=EvaluationStageSettings,
        outputs={"results": ArtifactType.RESULTS},
        run=run,
        check=check,
        estimate=estimate,
        samplers=samplers,
        other_names=("eval", "evaluate"),
    )
)

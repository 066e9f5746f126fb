"""kind = "r1_zero": reinforcement learning, from a base model or another stage's checkpoint.

The paper's sections 2.2 (R1-Zero), 2.3.2 and 2.3.4. The run itself is r1.r1_zero.run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r1.data.settings import GENERATORS, SourceSettings
from r1.plan.estimate import Context, Estimate
from r1.plan.training import estimate_rewarded
from r1.r1_zero.settings import MAY_CHANGE_ON_RESUME, MAY_GROW, R1ZeroRecipe
from r1.stages import registry
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_model, check_problems, is_reference
from r1.stages.protocol import ArtifactType, SampledModel, StageKind
from r1.stages.training import stage_run

NAME = "r1_zero"


def train(
    recipe: R1ZeroRecipe, base_folder: Path, out: Path, progress: Any, **options: bool
) -> Path:
    """Train into the folder `out`, or resume there; return it."""
    from r1.r1_zero.run import run_r1_zero

    return run_r1_zero(recipe, base_folder, out, progress, **options)


def check(recipe: R1ZeroRecipe, cache: CheckCache) -> None:
    """Check names of rewards, the model, the problems, and that every problem is judged."""
    from r1.rewards.unjudged import check_families

    recipe.rewards.validate_names()
    _check_steps(recipe)
    check_model(recipe.model, cache)
    if recipe.algorithm.teacher_model is not None:
        check_model(recipe.algorithm.teacher_model, cache, f"{recipe.algorithm_name}.teacher")
    sources = (*recipe.data.train, *recipe.data.heldout)
    problems = check_problems(sources, recipe.rewards, cache)
    if not any(is_reference(source.path) for source in sources):
        judging = {name: use.families for name, use in recipe.reward_models.items()}
        check_families(recipe.rewards, problems, judging)


def _check_steps(recipe: R1ZeroRecipe) -> None:
    """Raise UserError where the settings alone say that a step lacks problems."""
    from r1.data.source import quotas_of, require_enough

    train, num = recipe.data.train, recipe.algorithm.num_problems
    setting = f"{recipe.algorithm_name}.num_problems"
    weights = [source.weight for source in train if source.weight is not None]
    if weights:
        quotas = quotas_of(weights, num, setting)
        for source, quota in zip(train, quotas, strict=True):
            if (most := _most(source)) is not None:
                require_enough(most, quota, setting)
        return
    most_each = [most for source in train if (most := _most(source)) is not None]
    if len(most_each) == len(train):
        require_enough(sum(most_each), num, setting)


def _most(source: SourceSettings) -> int | None:
    """Return the most problems that a source may give; None where only its rows tell."""
    return source.num if source.kind in GENERATORS else source.limit


def samplers(recipe: R1ZeroRecipe) -> list[SampledModel]:
    """Return the policy."""
    longest = recipe.sampling.max_new_tokens
    limits = {"sampling.max_new_tokens": longest}
    if recipe.evaluation.max_new_tokens is not None:
        limits["evaluation.max_new_tokens"] = recipe.evaluation.max_new_tokens
    return [SampledModel("model", recipe.model, recipe.engine, longest, limits)]


def estimate(name: str, recipe: R1ZeroRecipe, context: Context) -> Estimate:
    """Estimate sampling, the update and its reference, reward models, evaluations."""
    return estimate_rewarded(name, NAME, recipe, context)


registry.register(
    StageKind(
        name=NAME,
        label="RL",
        settings=R1ZeroRecipe,
        outputs={"checkpoint": ArtifactType.CHECKPOINT},
        run=stage_run(train, "checkpoint", ArtifactType.CHECKPOINT),
        check=check,
        estimate=estimate,
        samplers=samplers,
        learns_from="rewards",
        may_change=MAY_CHANGE_ON_RESUME,
        may_grow=MAY_GROW,
        train=train,
        other_names=("grpo", "rl", "rlvr", "ppo", "zero"),
        assumed=True,
    )
)

"""kind = "reward_model": a reward model from preferences (paper, section 3.1).

The training itself is r1.reward_model.train.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r1.learner.settings import MAY_CHANGE_ON_RESUME, MAY_GROW
from r1.plan.estimate import Context, Estimate
from r1.plan.training import estimate_epochs, responses_amount
from r1.reward_model.settings import RewardModelRecipe
from r1.stages import registry
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_model
from r1.stages.protocol import ArtifactType, StageKind
from r1.stages.training import stage_run, train_on_data

NAME = "reward_model"


def train(
    recipe: RewardModelRecipe, base_folder: Path, out: Path, progress: Any, **options: bool
) -> Path:
    """Train into the folder `out`, or resume there; return it."""
    from r1.reward_model.train import train_reward_model

    return train_on_data(train_reward_model, recipe, base_folder, out, progress, **options)


def check(recipe: RewardModelRecipe, cache: CheckCache) -> None:
    """Check the model; the trainer checks the preferences."""
    check_model(recipe.model, cache, scores=True)


def estimate(name: str, recipe: RewardModelRecipe, context: Context) -> Estimate:
    """Estimate 6ND over both responses of every pair, or over every labelled response."""
    amount, notes = responses_amount(recipe, context, recipe.batch.max_tokens)
    return estimate_epochs(name, NAME, recipe, context, amount, notes)


registry.register(
    StageKind(
        name=NAME,
        label="reward model",
        settings=RewardModelRecipe,
        outputs={"reward_model": ArtifactType.REWARD_MODEL},
        run=stage_run(train, "reward_model", ArtifactType.REWARD_MODEL),
        check=check,
        estimate=estimate,
        learns_from="preferences",
        may_change=MAY_CHANGE_ON_RESUME,
        may_grow=MAY_GROW,
        train=train,
        other_names=("rm", "reward", "preference_model", "prm", "process_reward_model"),
    )
)

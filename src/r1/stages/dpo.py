"""kind = "dpo": direct preference optimisation on pairs.

The training itself is r1.dpo.train.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r1.dpo.settings import DPORecipe
from r1.learner.settings import MAY_CHANGE_ON_RESUME, MAY_GROW
from r1.plan.estimate import Context, Estimate
from r1.plan.training import estimate_epochs, responses_amount
from r1.stages import registry
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_model
from r1.stages.protocol import ArtifactType, StageKind
from r1.stages.training import stage_run, train_on_data

NAME = "dpo"


def train(recipe: DPORecipe, base_folder: Path, out: Path, progress: Any, **options: bool) -> Path:
    """Train into the folder `out`, or resume there; return it."""
    from r1.dpo.train import train_dpo

    return train_on_data(train_dpo, recipe, base_folder, out, progress, **options)


def check(recipe: DPORecipe, cache: CheckCache) -> None:
    """Check the model; the trainer checks the pairs."""
    check_model(recipe.model, cache)


def estimate(name: str, recipe: DPORecipe, context: Context) -> Estimate:
    """Estimate 6ND over both responses of every pair, and the reference's 2ND."""
    width = recipe.batch.max_tokens or context.shape(recipe.model).context
    amount, notes = responses_amount(recipe, context, width)
    return estimate_epochs(name, NAME, recipe, context, amount, notes)


registry.register(
    StageKind(
        name=NAME,
        label="DPO",
        settings=DPORecipe,
        outputs={"checkpoint": ArtifactType.CHECKPOINT},
        run=stage_run(train, "checkpoint", ArtifactType.CHECKPOINT),
        check=check,
        estimate=estimate,
        learns_from="preferences",
        may_change=MAY_CHANGE_ON_RESUME,
        may_grow=MAY_GROW,
        train=train,
        other_names=("ipo", "simpo", "direct_preference_optimization", "direct_preference"),
    )
)

"""kind = "sft": supervised fine-tuning on examples (paper, sections 2.3.1, 2.3.3 and 2.4).

The training itself is r1.sft.train.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r1.learner.settings import MAY_CHANGE_ON_RESUME, MAY_GROW
from r1.plan.estimate import Context, Estimate
from r1.plan.training import estimate_epochs
from r1.plan.workload import TABLE_5_TOKENS, Amount, amount_of
from r1.sft.settings import SFTRecipe
from r1.stages import registry
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_model, is_reference
from r1.stages.protocol import ArtifactType, StageKind
from r1.stages.training import stage_run, train_on_data

NAME = "sft"


def train(recipe: SFTRecipe, base_folder: Path, out: Path, progress: Any, **options: bool) -> Path:
    """Train into the folder `out`, or resume there; return it."""
    from r1.sft.train import train_sft

    return train_on_data(train_sft, recipe, base_folder, out, progress, **options)


def check(recipe: SFTRecipe, cache: CheckCache) -> None:
    """Check the model and the examples that no stage makes."""
    from r1.sft.examples import check_sources

    check_model(recipe.model, cache)
    sources = (*recipe.data.train, *recipe.data.heldout)
    check_sources([s for s in sources if not is_reference(s.path)], cache.base_folder)


def estimate(name: str, recipe: SFTRecipe, context: Context) -> Estimate:
    """Estimate 6ND over every example in every epoch."""
    amount, notes = _examples(recipe, context)
    return estimate_epochs(name, NAME, recipe, context, amount, notes)


def _examples(recipe: SFTRecipe, context: Context) -> tuple[Amount, list[str]]:
    amount = amount_of(recipe.data.train, context.base_folder, context.made)
    notes = [*amount.notes]
    if amount.rows is not None and amount.tokens is None:
        shape, limit = context.shape(recipe.model), recipe.batch.max_tokens
        width = limit or shape.context
        if width >= 32_768:
            amount = amount._replace(tokens=TABLE_5_TOKENS)
            notes.append("5,355 tokens an example: the mean of the paper's table 5")
        else:
            amount = amount._replace(tokens=width / 2)
            notes.append(f"{width / 2:,.0f} tokens an example: half of batch.max_tokens")
    return amount, notes


registry.register(
    StageKind(
        name=NAME,
        label="SFT",
        settings=SFTRecipe,
        outputs={"checkpoint": ArtifactType.CHECKPOINT},
        run=stage_run(train, "checkpoint", ArtifactType.CHECKPOINT),
        check=check,
        estimate=estimate,
        learns_from="examples",
        may_change=MAY_CHANGE_ON_RESUME,
        may_grow=MAY_GROW,
        train=train,
        other_names=("supervised", "finetune", "fine_tuning", "distill", "distillation"),
    )
)

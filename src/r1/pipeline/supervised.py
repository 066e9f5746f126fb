"""Who learns in a run of supervised fine-tuning or of a reward model: this process, or ranks on a
cluster (the recipe's [cluster], whose engine replicas such a run does not need).

A stage of a whole recipe has the recipe's [cluster], unless it has one of its own (kinds.py).
Without [cluster] nothing of Ray is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1.errors import UserError
from r1.reward_model.settings import RewardModelRecipe
from r1.run_dir import RunDir
from r1.sft.settings import SFTRecipe

if TYPE_CHECKING:
    from r1.cluster.ray_placement import Placement

OpenLearner = Callable[[Any, RunDir], AbstractContextManager[Any]]
"""sft.train.OpenLearner or reward_model.train.OpenLearner."""


@contextmanager
def learner_of(recipe: SFTRecipe | RewardModelRecipe, alone: OpenLearner) -> Iterator[OpenLearner]:
    """What makes the recipe's learner: `alone`, or ranks for which room is reserved meanwhile.

    Raises UserError where that cannot be, before anything is written.
    """
    if recipe.cluster is None:
        yield alone
        return
    if isinstance(recipe, SFTRecipe) and recipe.learner.lora is not None:
        raise UserError(
            "learner.lora runs in one process only; leave out [learner.lora] or [cluster]."
        )
    from r1.cluster.ray_placement import placed

    ranks_alone = {"engine_replicas": 0, "placement": "separate"}
    settings = recipe.cluster.model_copy(update=ranks_alone)
    with placed(settings, (recipe.learner.device != "cpu", False)) as placement:
        yield partial(_over_ranks, placement)


@contextmanager
def _over_ranks(placement: Placement, prepared: Any, run: RunDir) -> Iterator[Any]:
    """prepared: of either trainer."""
    from r1.cluster.ray_calls import Events
    from r1.cluster.ray_learner import RemoteLearner, RemoteSFTLearner, SupervisedSpec

    recipe, model = prepared.recipe, prepared.model
    spec = SupervisedSpec(
        str(Path(model).resolve()) if Path(model).exists() else model,
        recipe.learner,
        recipe.optimizer,
        prepared.order.num_steps,
        recipe.seed,
        prepared.tokenizer,
    )
    remote = RemoteLearner(spec, recipe.cluster, placement, Events(), run.newest_checkpoint)
    try:
        yield RemoteSFTLearner(remote) if isinstance(recipe, SFTRecipe) else remote
    finally:
        remote.close()

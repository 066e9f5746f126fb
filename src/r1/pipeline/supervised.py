"""Who learns in a run of supervised fine-tuning or of a reward model: this process, or ranks on a
cluster (the recipe's [cluster], whose engine replicas such a run does not need).

A stage of a whole recipe has the recipe's [cluster], unless it has one of its own (kinds.py).
Without [cluster] nothing of Ray is imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from r1.errors import UserError
from r1.learner.supervised_run import OpenLearner
from r1.models.load import absolute_model
from r1.reward_model.settings import RewardModelRecipe
from r1.run_dir import RunDir
from r1.sft.settings import SFTRecipe

if TYPE_CHECKING:
    from r1.cluster.ray_placement import Placement


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
    from r1.cluster.needs import Needs
    from r1.cluster.ray_placement import placed

    needs = Needs("cpu" if recipe.learner.device == "cpu" else "auto", "cpu")
    with placed(recipe.cluster.ranks_alone(), needs) as placement:
        yield partial(_over_ranks, placement)


@contextmanager
def _over_ranks(placement: Placement, prepared: Any, run: RunDir) -> Iterator[Any]:
    """prepared: of either trainer."""
    from r1.cluster.ray_calls import Events
    from r1.cluster.ray_learner import RemoteLearner, RemoteSFTLearner, SupervisedSpec

    recipe = prepared.recipe
    spec = SupervisedSpec(
        absolute_model(prepared.model),
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

"""Choose the learner of a run over fixed data: this process, or ranks on the recipe's
[cluster], whose engine replicas such a run does not need.

A stage of a whole recipe has the recipe's [cluster].
Without [cluster] nothing of Ray is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1.cluster.needs import demand_of
from r1.learner.supervised_run import OpenLearner, in_this_process
from r1.models.load import absolute_model
from r1.run_dir import RunDir

if TYPE_CHECKING:
    from r1.cluster.ray_placement import Placement


@contextmanager
def place(prepared: Any, learner: Callable[..., Any]) -> Iterator[OpenLearner]:
    """Yield a factory of the learner: in this process, or on reserved ranks.

    prepared, learner: as r1.learner.supervised_run.Place. Raises UserError where that cannot be.
    """
    recipe = prepared.recipe
    if recipe.cluster is None:
        with in_this_process(prepared, learner) as open_learner:
            yield open_learner
        return
    from r1.cluster.ray_placement import placed

    demand = demand_of(recipe, Path(), model=prepared.model)
    with placed(demand.settings, demand.needs) as placement:
        yield partial(_over_ranks, prepared, learner, placement)


@contextmanager
def _over_ranks(
    prepared: Any, learner: Callable[..., Any], placement: Placement, run: RunDir
) -> Iterator[Any]:
    from r1.cluster.ray_calls import Events
    from r1.cluster.ray_learner import RemoteLearner, SupervisedSpec

    recipe = prepared.recipe
    spec = SupervisedSpec(
        learner,
        absolute_model(prepared.model),
        recipe.learner,
        recipe.optimizer,
        prepared.order.num_steps,
        recipe.seed,
        prepared.tokenizer,
    )
    remote = RemoteLearner(spec, recipe.cluster, placement, Events(), run.newest_checkpoint)
    try:
        yield remote
    finally:
        remote.close()

"""Make a run's learner, engine and reward models, in this process or on a cluster; no other module
does.

Without [cluster] nothing of Ray is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from r1.cluster.needs import demand_of
from r1.learner.local import LocalLearner
from r1.learner.protocol import Learner
from r1.models.load import absolute_model, load_tokenizer
from r1.r1_zero.settings import R1ZeroRecipe
from r1.reward_model.mixture import CompletionScorer, load_reward_models
from r1.rewards.registry import PromptForm
from r1.rollout.make import make_engine
from r1.rollout.protocol import Engine
from r1.rollout.usage import Usage, watched
from r1.run_dir import RunDir

if TYPE_CHECKING:
    from r1.cluster.ray_calls import Events
    from r1.cluster.ray_placement import Placement


class Workers(NamedTuple):
    """The learner and the engine of a run, and a measure of how busy the engine is.

    events: what was lost of the cluster; None where there is none.
    """

    learner: Learner
    engine: Engine
    usage: Usage
    events: Events | None


def place(recipe: R1ZeroRecipe, model: str) -> AbstractContextManager[Placement | None]:
    """Connect to the recipe's cluster and reserve its resources; None without a [cluster].

    model: the folder or hub id that the run begins with. Raises UserError where that cannot be,
    before anything is written.
    """
    if recipe.cluster is None:
        return nullcontext(None)
    from r1.cluster.ray_placement import placed

    demand = demand_of(recipe, Path(), model=model)
    return placed(demand.settings, demand.needs)


@contextmanager
def open_workers(
    recipe: R1ZeroRecipe, model: str, teacher: str | None, placement: Placement | None, run: RunDir
) -> Iterator[Workers]:
    """Make learner and engine from the run's initial model; end their processes afterwards.

    teacher: the model that is the learner's reference, where the algorithm has one.
    """
    if placement is None:
        learner = LocalLearner(
            model,
            recipe.learner,
            recipe.optimizer,
            recipe.make_algorithm(),
            temperature=recipe.sampling.temperature,
            total_steps=recipe.num_steps,
            seed=recipe.seed,
            tokenizer=load_tokenizer(model),
            teacher=teacher,
        )
        with closing(make_engine(model, recipe.engine)) as local:
            engine_here = watched(local)
            yield Workers(learner, engine_here, engine_here.usage, None)
        return
    from r1.cluster.ray_calls import Events
    from r1.cluster.ray_engine import RemoteEngine
    from r1.cluster.ray_learner import LearnerSpec, RemoteLearner
    from r1.cluster.ray_partial import PartialRemoteEngine

    assert recipe.cluster is not None
    folder = absolute_model(model)
    spec = LearnerSpec(
        folder,
        recipe.learner,
        recipe.optimizer,
        recipe.make_algorithm(),
        recipe.sampling.temperature,
        recipe.num_steps,
        recipe.seed,
        None if teacher is None else absolute_model(teacher),
    )
    events = Events()
    kind = PartialRemoteEngine if recipe.algorithm.partial_rollouts else RemoteEngine
    engine = kind(folder, recipe.engine, recipe.cluster, placement, events)
    if placement.shared and placement.gpus_per_engine and recipe.engine.kind == "vllm":
        engine.wait_started()
    learners = RemoteLearner(spec, recipe.cluster, placement, events, run.newest_checkpoint)
    try:
        yield Workers(learners, engine, engine.usage, events)
    finally:
        engine.close()
        learners.close()


@contextmanager
def open_reward_models(
    recipe: R1ZeroRecipe,
    base_folder: Path,
    form: PromptForm,
    placement: Placement | None,
    events: Events | None,
) -> Iterator[Mapping[str, CompletionScorer]]:
    """Yield the recipe's reward models by name, in this process or in servers on the cluster; end
    those afterwards.

    form: how completions are asked for. Raises UserError for a model that cannot be loaded.
    """
    if placement is None or events is None or not placement.bundles.reward:
        yield load_reward_models(recipe.reward_models, base_folder, form)
        return
    from r1.cluster.ray_rewards import open_reward_servers

    assert recipe.cluster is not None
    parts = (recipe.reward_models, base_folder, form, recipe.cluster, placement, events)
    with open_reward_servers(*parts) as servers:
        yield servers

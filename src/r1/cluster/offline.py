"""Engine replicas without a learner, for work on finished checkpoints: sampling, evaluating.

Every replica serves the weights of the model's own folder, and one that is started again loads them
from there. Each is a RemoteEngine of its own (watched, restarted, its unfinished groups drawn
again), and all stand behind one queue (r1.rollout.engine_pool), so that work in windows keeps them
busy. Nothing is reserved for a learner.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from r1.cluster.needs import engine_needs
from r1.cluster.ray_calls import Call, Events, wait_all
from r1.cluster.ray_engine import RemoteEngine
from r1.cluster.ray_placement import Placement, placed
from r1.cluster.settings import ClusterSettings
from r1.models.load import absolute_model, check_model_folder, load_tokenizer
from r1.rollout.engine_pool import EnginePool
from r1.rollout.settings import EngineSettings

ONE_CALL = 2**31
"""groups_per_call of a replica: what the pool gives it, it is given at once."""


@contextmanager
def open_replicas(
    model: str | Path, settings: EngineSettings, cluster: ClusterSettings
) -> Iterator[EnginePool]:
    """Place `engine_replicas` engines of a model on the cluster; end them after.

    model: a folder that the cluster's nodes see too, or a hub id. Raises UserError for what the
    user can put right, before anything starts where it can be seen.
    """
    check_model_folder(str(model))
    folder = absolute_model(model)
    alone = cluster.replicas_alone()
    with placed(alone, engine_needs(settings, folder)) as placement:
        engines = [
            RemoteEngine(folder, settings, *one_replica(alone, placement, index), Events(), index)
            for index in range(cluster.engine_replicas)
        ]
        try:
            for engine in engines:
                engine.serve_folder()
            pool = EnginePool(
                engines,
                load_tokenizer(folder),
                _num_parameters(engines[0], cluster),
                settings.max_batch,
                cluster.groups_per_call,
            )
        except BaseException:
            for engine in engines:
                engine.close()
            raise
        with closing(pool):
            yield pool


def one_replica(
    cluster: ClusterSettings, placement: Placement, index: int
) -> tuple[ClusterSettings, Placement]:
    """The settings and the place of replica `index`, as those of an engine by itself."""
    own = placement.bundles._replace(engine=[placement.bundles.engine[index]])
    changes = {"engine_replicas": 1, "groups_per_call": ONE_CALL}
    return cluster.model_copy(update=changes), placement._replace(bundles=own)


def _num_parameters(engine: RemoteEngine, cluster: ClusterSettings) -> int:
    (replica,) = engine.replicas
    call = Call(replica.name, replica.actor.num_parameters.remote())
    (number,) = wait_all([call], cluster.timeouts.start_s, "tell the model's size")
    return int(number)

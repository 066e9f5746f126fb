"""Engine replicas without a learner, to sample from and evaluate finished checkpoints.

Every replica serves the weights of the model's own folder, and one that is started again loads them
from there. Each is a RemoteEngine of its own (watched, restarted, its unfinished groups drawn
again), and all stand behind one queue (r1.rollout.engine_pool), so that work in windows keeps them
busy. A replica that is lost for good, at its start or later, is left out with a warning, and the
others do its work. Nothing is reserved for a learner.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from r1.cluster.needs import engine_needs
from r1.cluster.ray_calls import ClusterError, Events
from r1.cluster.ray_engine import RemoteEngine
from r1.cluster.ray_placement import Placement, placed
from r1.cluster.settings import ClusterSettings
from r1.errors import UserError
from r1.models.load import absolute_model, check_model_folder, load_tokenizer
from r1.rollout.engine_pool import EnginePool
from r1.rollout.settings import EngineSettings

logger = logging.getLogger("r1.cluster")

ONE_CALL = 2**31
"""Groups per call of a replica: it is given at once what the pool gives it."""


@contextmanager
def open_replicas(
    model: str | Path, settings: EngineSettings, cluster: ClusterSettings
) -> Iterator[EnginePool]:
    """Place `engine_replicas` engines of a model on the cluster; end them afterwards.

    model: a folder that the cluster's nodes see too, or a hub id. Raises UserError for what the
    user can put right, before anything starts where it can be seen.
    """
    check_model_folder(str(model))
    folder = absolute_model(model)
    alone = cluster.replicas_alone()
    with placed(alone, engine_needs(settings, folder)) as placement:
        engines = [
            RemoteEngine(
                folder, settings, *one_replica(alone, placement, index), Events(), index, ONE_CALL
            )
            for index in range(cluster.engine_replicas)
        ]
        try:
            serving, size = _serving(engines)
            pool = EnginePool(
                serving,
                load_tokenizer(folder),
                size,
                settings.max_batch,
                lost=ClusterError,
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
    """Return settings and placement of replica `index` as those of a single engine."""
    own = placement.bundles._replace(engine=[placement.bundles.engine[index]])
    return cluster.model_copy(update={"engine_replicas": 1}), placement._replace(bundles=own)


def _serving(engines: Sequence[RemoteEngine]) -> tuple[list[RemoteEngine], int]:
    """Return the engines that loaded the folder, all at once, and the model's size.

    Raises UserError where none did, and what an engine itself raises.
    """
    threads = ThreadPoolExecutor(len(engines), thread_name_prefix="start")
    serving, lost, size = [], [], 0
    try:
        started = [threads.submit(_start, engine) for engine in engines]
        for engine, future in zip(engines, started, strict=True):
            try:
                size = future.result()
                serving.append(engine)
            except ClusterError as error:
                lost.append(error)
                engine.close()
    finally:
        threads.shutdown(wait=False)  # whoever closes the engines ends them
    if not serving:
        raise UserError(f"no engine replica came up: {lost[0]}") from lost[0]
    for why in lost:
        logger.warning(
            "%s; it is lost for good, and %d other replicas work.", why.__cause__, len(serving)
        )
    return serving, size


def _start(engine: RemoteEngine) -> int:
    engine.serve_folder()
    return engine.model_size()

"""A cluster of several nodes on one machine (Ray's own cluster utility), one of which is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("ray")

import sharded_jobs
import test_cluster_ray as shared
from r1.cluster.needs import Needs
from r1.cluster.ray_placement import placed
from r1.errors import UserError
from r1.learner.local import LocalLearner
from r1.rollout.embedded import EmbeddedEngine
from small_models import save_small_model

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_buckets")]


@pytest.fixture
def cluster() -> Iterator:
    """A head without CPUs, where the driver is, and three nodes with one each."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes.workers = [nodes.add_node(num_cpus=1) for _ in range(3)]
    yield nodes
    nodes.shutdown()


def test_a_node_removed_and_added_back_changes_no_number(cluster, tmp_path) -> None:
    model = save_small_model(tmp_path / "model")
    settings = shared.CLUSTER.model_copy(
        update={"address": cluster.address, "cpus_per_process": 1.0}
    )
    too_many = settings.model_copy(update={"learner_ranks": 4})
    with (
        pytest.raises(UserError, match=r"asks for 4 CPUs .*has 3"),
        placed(too_many, Needs("cpu", "cpu")),
    ):
        raise AssertionError("there are three CPUs only")
    local = LocalLearner(model, *sharded_jobs.settings({}), total_steps=8)
    expected = shared.steps(local, 0, 2)
    engine_alone = EmbeddedEngine.from_pretrained(model, shared.ENGINE)
    with placed(settings, Needs("cpu", "cpu")) as placement:
        world = shared.World(model, placement)
        with shared.remote_learner(world) as learner, shared.remote_engine(world) as engine:
            got = shared.steps(learner, 0, 1)
            engine.load_weights(learner.weights(), 1)
            engine_alone.load_weights(learner.weights(), 1)
            ids = {node.node_id: node for node in cluster.workers}
            victim = ids[node_of_first_rank(placement)]
            found = {}
            for request, completions in engine.generate(shared.requests(), shared.SAMPLING):
                if not found:
                    cluster.remove_node(victim, allow_graceful=False)
                assert request.id not in found
                found[request.id] = shared.tokens(completions)
            assert found == shared.sampled(engine_alone)
            cluster.add_node(num_cpus=1)
            got += shared.steps(learner, 1, 2)
            engine.load_weights(learner.weights(), 2)  # the lost replica may have owed nothing
            lost = learner.events.take() | engine.events.take()
            assert lost["pool/engine_restarts"] >= 1
    for ours, theirs in zip(got, expected, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-5)


def node_of_first_rank(placement) -> str:
    """The node of bundle 0: learner rank 0 and engine replica 0."""
    from ray.util import placement_group_table

    return placement_group_table(placement.group)["bundles_to_node_id"][0]

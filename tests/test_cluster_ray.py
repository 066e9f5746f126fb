"""Learner ranks and engine replicas on Ray: the numbers of one process, whoever is killed."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

pytest.importorskip("ray")

import sharded_jobs
from r1.cluster.needs import Needs
from r1.cluster.ray_calls import ClusterError, Events
from r1.cluster.ray_engine import RemoteEngine
from r1.cluster.ray_learner import LearnerSpec, RemoteLearner
from r1.cluster.ray_placement import Placement, placed
from r1.cluster.settings import ClusterSettings, TimeoutSettings
from r1.errors import UserError
from r1.learner.local import LocalLearner
from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.types import Completion, GroupRequest
from small_models import save_small_model

pytestmark = [
    pytest.mark.slow,  # Ray alone takes ten seconds to start
    pytest.mark.usefixtures("small_buckets"),
]

CLUSTER = ClusterSettings(
    address="local",
    learner_ranks=2,
    engine_replicas=2,
    cpus_per_process=0.5,
    timeouts=TimeoutSettings(start_s=120, generate_s=60, update_s=60, sync_s=60),
)
SAMPLING = SamplingSettings(max_new_tokens=48)
ENGINE = EngineSettings(device="cpu")


class World(NamedTuple):
    """A model, and a cluster to put it on."""

    model: Path
    placement: Placement


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    model = save_small_model(tmp_path_factory.mktemp("world") / "model")
    with placed(CLUSTER, Needs("cpu", "cpu")) as placement:
        yield World(model, placement)


def requests(count: int = 12, samples: int = 4) -> list[GroupRequest]:
    draw = random.Random(0)
    return [
        GroupRequest(
            f"p{i}",
            tuple(draw.randrange(2, 258) for _ in range(5 + i)),
            tuple(draw.randrange(2**63) for _ in range(samples)),
        )
        for i in range(count)
    ]


def tokens(completions: list[Completion]) -> list[tuple[list[int], str, str, int]]:
    return [(c.token_ids, c.text, c.finish_reason, c.version) for c in completions]


def sampled(engine: Any, count: int = 12) -> dict[str, list]:
    found: dict[str, list] = {}
    for request, completions in engine.generate(requests(count), SAMPLING):
        assert request.id not in found, "a group came twice"
        found[request.id] = tokens(completions)
    return found


@contextmanager
def remote_engine(world: World, **changes: Any) -> Iterator[RemoteEngine]:
    cluster = CLUSTER.model_copy(update=changes)
    engine = RemoteEngine(
        str(world.model), ENGINE, cluster, world.placement, Events(), groups_per_call=3
    )
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def remote_learner(
    world: World, newest: Path | None = None, events: Events | None = None, **changes: Any
) -> Iterator[RemoteLearner]:
    settings, optimizer, objective = sharded_jobs.settings({})
    spec = LearnerSpec(str(world.model), settings, optimizer, objective, 1.0, 8, 0)
    cluster = CLUSTER.model_copy(update=changes)
    learner = RemoteLearner(
        spec,
        cluster,
        world.placement,
        events or Events(),
        lambda: newest if newest is not None and newest.exists() else None,
    )
    try:
        yield learner
    finally:
        learner.close()


@pytest.fixture(scope="module")
def alone(world) -> tuple[EmbeddedEngine, dict[str, list]]:
    """One process's engine and what it samples, as version 3."""
    engine = EmbeddedEngine.from_pretrained(world.model, ENGINE)
    engine.version = 3
    return engine, sampled(engine)


def test_replicas_sample_what_one_engine_samples(world, alone) -> None:
    local, expected = alone
    with remote_engine(world) as engine:
        engine.load_weights(local.model.named_parameters(), 3)
        assert sampled(engine) == expected
        assert list(engine.generate([], SAMPLING)) == []
        empty = [GroupRequest("empty", (), (1,))]
        with pytest.raises(UserError, match="problem empty: the prompt has no tokens"):
            list(engine.generate(empty, SAMPLING))
        assert sampled(engine) == expected, "a refused request leaves the engine usable"


def test_the_driver_knows_how_busy_each_replica_is(world, alone) -> None:
    """12 groups in calls of 3: two replicas begin with 6 of them, 6 wait."""
    local, _ = alone
    with remote_engine(world) as engine:
        engine.load_weights(local.model.named_parameters(), 3)
        engine.usage.take()
        sampled(engine)
        used = engine.usage.take()
        assert set(used.busy) == {"engine_0", "engine_1"}
        assert 0 < min(used.busy.values()) <= max(used.busy.values()) <= used.any_busy
        assert used.any_busy <= used.seconds
        assert used.deepest == 6
        time.sleep(0.1)
        assert engine.usage.take()._replace(seconds=0.1) == (0.1, dict.fromkeys(used.busy, 0), 0, 0)


def test_a_killed_replica_is_started_again_and_no_group_is_lost(world, alone) -> None:
    local, expected = alone
    with remote_engine(world) as engine:
        engine.load_weights(local.model.named_parameters(), 3)
        found = {}
        for request, completions in engine.generate(requests(), SAMPLING):
            if len(found) in (0, 5):
                os.kill(engine.replicas[len(found) % 2].process_id, signal.SIGKILL)
            assert request.id not in found
            found[request.id] = tokens(completions)
        assert found == expected
        assert engine.events.take()["pool/engine_restarts"] == 2
        os.kill(engine.replicas[0].process_id, signal.SIGKILL)
        engine.load_weights(local.model.named_parameters(), 3)
        assert sampled(engine) == expected
        assert engine.events.take()["pool/engine_restarts"] == 1


def test_a_hanging_replica_is_given_up_in_time(world, alone) -> None:
    local, expected = alone
    limits = CLUSTER.timeouts.model_copy(update={"generate_s": 4.0})
    with remote_engine(world, timeouts=limits) as engine:
        engine.load_weights(local.model.named_parameters(), 3)
        os.kill(engine.replicas[1].process_id, signal.SIGSTOP)
        assert sampled(engine) == expected
        assert engine.events.take()["pool/engine_restarts"] == 1
    with remote_engine(world, timeouts=limits, max_restarts=0) as engine:
        engine.load_weights(local.model.named_parameters(), 3)
        os.kill(engine.replicas[1].process_id, signal.SIGSTOP)
        with pytest.raises(ClusterError, match="waited 4 s for engine replica 1 to end a group"):
            sampled(engine)


def steps(learner: Any, first: int, last: int) -> list[dict[str, float]]:
    kept = []
    for batch in sharded_jobs.batches(last)[first:]:
        metrics = learner.update(batch)
        kept.append({k: v for k, v in metrics.items() if k != "seconds" and "/" not in k})
    return kept


def weights(learner: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in learner.weights()}


class Undisturbed(NamedTuple):
    """Six steps of two ranks that nobody killed, with a checkpoint after two."""

    metrics: list[dict[str, float]]
    weights: dict[str, torch.Tensor]
    checkpoint: Path


@pytest.fixture(scope="module")
def undisturbed(world, tmp_path_factory) -> Undisturbed:
    checkpoint = tmp_path_factory.mktemp("undisturbed") / "checkpoint"
    checkpoint.mkdir()
    with remote_learner(world) as learner:
        metrics = steps(learner, 0, 2)
        learner.save(checkpoint)
        metrics += steps(learner, 2, 6)
        return Undisturbed(metrics, weights(learner), checkpoint)


def assert_equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_ranks_learn_what_one_process_learns(world, undisturbed) -> None:
    local = LocalLearner(world.model, *sharded_jobs.settings({}), total_steps=8)
    for ours, theirs in zip(undisturbed.metrics, steps(local, 0, 6), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-5)
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-5)
    for name, tensor in weights(local).items():
        torch.testing.assert_close(undisturbed.weights[name], tensor, atol=1e-4, rtol=0)


def test_a_killed_rank_costs_time_and_not_a_bit(world, undisturbed, tmp_path) -> None:
    """Killed before the first checkpoint, after it, while idle, and while weights are sent."""
    newest, events = tmp_path / "newest", Events()
    with remote_learner(world, newest, events) as learner:
        os.kill(learner.process_ids[1], signal.SIGKILL)
        metrics = steps(learner, 0, 2)
        (tmp_path / "writing").mkdir()
        learner.save(tmp_path / "writing")
        (tmp_path / "writing").rename(newest)
        os.kill(learner.process_ids[0], signal.SIGKILL)
        metrics += steps(learner, 2, 3)
        killer = threading.Timer(0.05, os.kill, (learner.process_ids[1], signal.SIGKILL))
        killer.start()
        metrics += steps(learner, 3, 6)
        killer.join()
        assert metrics == undisturbed.metrics
        os.kill(learner.process_ids[1], signal.SIGKILL)
        assert_equal(weights(learner), undisturbed.weights)


def test_a_hanging_rank_is_given_up_in_time(world, undisturbed) -> None:
    limits = CLUSTER.timeouts.model_copy(update={"update_s": 5.0})
    with remote_learner(world, timeouts=limits) as learner:
        os.kill(learner.process_ids[1], signal.SIGSTOP)
        assert steps(learner, 0, 1) == undisturbed.metrics[:1]
    with remote_learner(world, timeouts=limits, max_restarts=0) as learner:
        os.kill(learner.process_ids[1], signal.SIGSTOP)
        with pytest.raises(ClusterError, match=r"waited 5 s for learner rank .*update at step 0"):
            steps(learner, 0, 1)


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_checkpoint_goes_on_with_another_number_of_ranks(world, undisturbed, ranks) -> None:
    with remote_learner(world, learner_ranks=ranks) as learner:
        learner.load(undisturbed.checkpoint)
        for ours, before in zip(steps(learner, 2, 6), undisturbed.metrics[2:], strict=True):
            assert ours["loss"] == pytest.approx(before["loss"], abs=1e-5)
        with pytest.raises(UserError, match="not a learner's checkpoint"):
            learner.load(world.model)

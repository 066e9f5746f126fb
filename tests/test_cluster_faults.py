"""Transfers that hang end in time with who was waited for; a full disk costs no checkpoint."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ray")

import test_cluster_ray as shared
from r1.cluster.needs import Needs
from r1.cluster.ray_calls import ClusterError
from r1.cluster.ray_placement import placed
from r1.errors import UserError
from r1.learner.local import LocalLearner
from r1.run_dir.checkpoint import write_checkpoint
from run_processes import finish, start
from small_models import save_small_model
from small_recipe import TWO_BY_TWO, VARIED, write_recipe

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_buckets")]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[shared.World]:
    model = save_small_model(tmp_path_factory.mktemp("world") / "model")
    with placed(shared.CLUSTER, Needs("cpu", "cpu")) as placement:
        yield shared.World(model, placement)


LIMITS = shared.CLUSTER.timeouts.model_copy(update={"sync_s": 4.0})


def test_an_engine_that_hangs_while_it_takes_weights_is_replaced(world) -> None:
    local = LocalLearner(world.model, *shared.sharded_jobs.settings({}), total_steps=8)
    with shared.remote_engine(world, timeouts=LIMITS) as engine:
        engine.load_weights(local.weights(), 0)
        expected = shared.sampled(engine)
        old = engine.replicas[1].process_id
        os.kill(old, signal.SIGSTOP)
        engine.load_weights(local.weights(), 0)
        assert engine.replicas[1].process_id != old
        assert engine.events.take()["pool/engine_restarts"] == 1
        assert shared.sampled(engine) == expected
    with shared.remote_engine(world, timeouts=LIMITS, max_restarts=0) as engine:
        engine.load_weights(local.weights(), 0)
        os.kill(engine.replicas[0].process_id, signal.SIGSTOP)
        begin = time.monotonic()
        told = "waited 4 s for engine replica 0 to take the weights of version 1, in vain"
        with pytest.raises(ClusterError, match=told):
            engine.load_weights(local.weights(), 1)
        assert time.monotonic() - begin >= 4


def test_a_rank_that_hangs_while_weights_are_sent_is_replaced(world) -> None:
    with shared.remote_learner(world, timeouts=LIMITS) as learner:
        expected = shared.weights(learner)
        os.kill(learner.process_ids[1], signal.SIGSTOP)
        shared.assert_equal(shared.weights(learner), expected)
        assert learner.events.take()["pool/learner_restarts"] == 1
    with shared.remote_learner(world, timeouts=LIMITS, max_restarts=0) as learner:
        os.kill(learner.process_ids[1], signal.SIGSTOP)
        begin = time.monotonic()
        told = "waited 4 s for learner rank 0 and learner rank 1 to send the weights of step 0"
        with pytest.raises(ClusterError, match=told):
            shared.weights(learner)
        assert time.monotonic() - begin >= 4


def mounted(folder: Path, size: str) -> bool:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0


@pytest.fixture
def small(tmp_path) -> Iterator[Path]:
    """A file system that holds one checkpoint of the small model and not two."""
    size = sum(p.stat().st_size for p in save_small_model(tmp_path / "model").iterdir())
    folder = tmp_path / "small"
    if not mounted(folder, f"{6 * size // 1024}k"):
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_ranks_on_a_full_disk_lose_nothing(small, tmp_path) -> None:
    """Weights, optimiser and reference: 4 times the model."""
    (tmp_path / "recipe").mkdir()
    ranks = TWO_BY_TWO.replace("engine_replicas = 2", "engine_replicas = 1")
    recipe = write_recipe(tmp_path / "recipe", "qwen2", 4, VARIED + ranks)
    out = small / "run"
    process = start(recipe, out)
    _, errors = process.communicate(timeout=200)
    told = " ".join(errors.split())
    assert process.returncode == 2, errors
    assert "Traceback" not in errors
    assert f"the disk is full: {out}/checkpoints/step-000004 could not be written" in told
    assert "MB, and " in told
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["step-000002"]
    subprocess.run(["mount", "-o", "remount,size=256m", str(small)], check=True)
    finish(recipe, out)
    names = sorted(path.name for path in (out / "checkpoints").iterdir())
    assert names == ["step-000002", "step-000004"]
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 4


def test_one_process_on_a_full_disk_names_need_and_room(small, tmp_path) -> None:
    """torch.save and safetensors each tell a full disk in words of their own."""
    learner = LocalLearner(tmp_path / "model", *shared.sharded_jobs.settings({}), total_steps=8)
    shared.steps(learner, 0, 1)
    checkpoints = small / "checkpoints"
    write_checkpoint(checkpoints / "step-000001", 1, learner.save)
    held = {p: p.stat().st_size for p in checkpoints.rglob("*")}
    with pytest.raises(UserError, match=r"step-000002 could not .* needs about .* are free"):
        write_checkpoint(checkpoints / "step-000002", 2, learner.save)
    assert {p: p.stat().st_size for p in checkpoints.rglob("*")} == held
    subprocess.run(["mount", "-o", "remount,size=256m", str(small)], check=True)
    write_checkpoint(checkpoints / "step-000002", 2, learner.save)

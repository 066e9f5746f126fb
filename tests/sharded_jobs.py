"""What the ranks of test_cluster_fsdp do; imported by tests/rank_processes.py."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh

from r1.algorithms.distill import Distill, DistillSettings
from r1.algorithms.grpo import GRPO, GRPOSettings
from r1.algorithms.ppo import PPO, PPOSettings
from r1.algorithms.prime import Prime, PrimeSettings
from r1.cluster.fsdp import ShardedRanks
from r1.learner.local import LocalLearner
from r1.learner.settings import LearnerSettings, OptimizerSettings
from r1.models.load import load_tokenizer
from small_models import SMOOTH_EPSILON
from train_batches import make_batch_of, make_groups

SMOOTH = {"lr": 3e-3, "epsilon": SMOOTH_EPSILON}


def batches(steps: int) -> list:
    """The batches of a test, the last but one without anything to learn from."""
    made = [make_batch_of(make_groups(seed), 3, 20) for seed in range(steps)]
    return made


def settings(setup: dict[str, Any]) -> tuple:
    """learner, optimiser and objective of a setup, for either kind of learner."""
    objective: Any = GRPO(GRPOSettings(**{"kl_weight": 0.0, **setup.get("grpo", {})}))
    if "ppo" in setup:
        objective = PPO(PPOSettings(**setup["ppo"]))
    if "prime" in setup:
        objective = Prime(PrimeSettings(**setup["prime"]))
    if "distill" in setup:
        objective = Distill(DistillSettings(**setup["distill"]))
    return (
        LearnerSettings(device="cpu", **{"tokens_per_microbatch": 90, **setup.get("learner", {})}),
        OptimizerSettings(**{**SMOOTH, **setup.get("optimizer", {})}),
        objective,
    )


def learner_over(mesh: DeviceMesh, model: str, setup: dict[str, Any]) -> LocalLearner:
    """A rank's learner."""
    learner, optimizer, objective = settings(setup)
    return LocalLearner(
        model,
        learner,
        optimizer,
        objective,
        total_steps=8,
        tokenizer=load_tokenizer(model),
        ranks=ShardedRanks(mesh, learner.autocast),
        teacher=setup.get("distill", {}).get("teacher"),
    )


def train(
    mesh: DeviceMesh,
    model: str,
    setup: dict[str, Any],
    first: int,
    steps: int,
    load: str | None = None,
    save: str | None = None,
) -> dict[str, Any]:
    """Steps first..steps-1; the metrics of each and the weights after the last."""
    begin = time.perf_counter()
    learner = learner_over(mesh, model, setup)
    if load is not None:
        learner.load(Path(load))
    assert learner.step == first
    metrics = [learner.update(batch) for batch in batches(steps)[first:]]
    if save is not None:
        learner.save(Path(save))
    local = sum(p.to_local().numel() for p in learner.model.parameters())
    return {
        "metrics": metrics,
        "weights": {name: tensor.clone() for name, tensor in learner.weights()},
        "local_share": local / sum(p.numel() for p in learner.model.parameters()),
        "seconds": time.perf_counter() - begin,
    }


def peaks(mesh: DeviceMesh, model: str, warm_up: str, folder: str) -> list[dict[str, float]]:
    """Of each rank: how much its peak memory (bytes) grew by a learner made, and by one carried on.

    warm_up: a small model, with which everything is imported before.
    """
    for name in (warm_up, model):
        begin = _peak()
        learner = learner_over(mesh, name, {})
        grown = {"made": _peak() - begin}
        learner.save(Path(folder) / Path(name).name)
        learner.load(Path(folder) / Path(name).name)
        grown["carried on"] = _peak() - begin
    found: list[Any] = [None] * mesh.size()
    dist.all_gather_object(found, grown)
    return found


def _peak() -> float:
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

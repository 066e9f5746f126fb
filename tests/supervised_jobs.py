"""What the ranks of test_cluster_supervised do; imported by tests/rank_processes.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch.distributed.device_mesh import DeviceMesh

from r1.cluster.fsdp import ShardedRanks
from r1.dpo.learner import DPOLearner
from r1.dpo.settings import DPOLossSettings
from r1.learner.settings import LearnerSettings, OptimizerSettings
from r1.learner.sharded import whole
from r1.models.load import load_tokenizer
from r1.reward_model.learner import RewardLearner
from r1.sft.examples import Examples
from r1.sft.learner import SFTLearner
from reward_model_data import random_labels, random_pairs
from small_models import SMOOTH_EPSILON

STEPS = 5
REWARDS = ("pairwise", "pointwise")
SHAPES = [(5, 9, 30), (12, 3, 3), (1, 20, 1), (7, 2, 14), (3, 40, 5)]


def examples_of(seed: int, num: int = 7) -> Examples:
    """Random tokens, the second half of each example learnt."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 60, num)
    learnt = [np.arange(length) * 2 >= length for length in lengths]
    return Examples(
        rng.integers(2, 258, lengths.sum()).astype(np.uint32),
        np.concatenate(learnt),
        np.cumsum([0, *lengths]),
    )


def batch_of(kind: str, step: int) -> Any:
    """A step's examples; the last step has one alone."""
    last = step == STEPS - 1
    if kind == "sft":
        return examples_of(step).part([0] if last else range(7))
    if kind == "pointwise":
        shapes = [(a, b) for a, b, _ in SHAPES]
        return random_labels(shapes[:1] if last else shapes, step)
    return random_pairs(SHAPES[:1] if last else SHAPES, step)


def heldout_of(kind: str) -> Any:
    return batch_of(kind, 99)


def settings(kind: str, setup: dict[str, Any]) -> tuple:
    """learner and optimiser settings."""
    learner = LearnerSettings(device="cpu", **{"tokens_per_microbatch": 90, **setup})
    return learner, OptimizerSettings(
        lr=3e-3, epsilon=SMOOTH_EPSILON, schedule="cosine", warmup_steps=1
    )


def maker(kind: str) -> Callable[..., Any]:
    """The learner's class, or a partial of it."""
    if kind in REWARDS:
        return RewardLearner
    if kind == "sft":
        return SFTLearner
    return partial(DPOLearner, DPOLossSettings(nll_weight=0.1))


def learner_of(kind: str, model: str, setup: dict[str, Any], mesh: DeviceMesh | None = None) -> Any:
    """The learner of a rank, or of one process."""
    learner, optimizer = settings(kind, setup)
    ranks = None if mesh is None else ShardedRanks(mesh, learner.autocast)
    return maker(kind)(
        model,
        learner,
        optimizer,
        total_steps=8,
        seed=3,
        tokenizer=load_tokenizer(model),
        ranks=ranks,
    )


def named_parameters(learner: Any) -> dict[str, Any]:
    """The weights of any learner, whole."""
    model = learner.model if isinstance(learner, RewardLearner) else learner.local.model
    return {name: whole(p.detach()).clone() for name, p in model.named_parameters()}


def train(
    mesh: DeviceMesh,
    kind: str,
    model: str,
    setup: dict[str, Any],
    first: int,
    steps: int,
    load: str | None = None,
    save: str | None = None,
) -> dict[str, Any]:
    """Steps first..steps-1; metrics of each, and what is measured and the weights afterwards."""
    sharded: Any = learner_of(kind, model, setup, mesh)
    if load is not None:
        sharded.load(Path(load))
    assert sharded.step == first
    metrics = [sharded.update(batch_of(kind, step)) for step in range(first, steps)]
    if save is not None:
        sharded.save(Path(save))
    return {
        "metrics": metrics,
        "measured": sharded.measure(heldout_of(kind)),
        "weights": named_parameters(sharded),
    }

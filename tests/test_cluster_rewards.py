"""Reward models in servers on Ray: the scores of one process, whoever is killed or hangs."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("ray")

from r1.cluster.needs import Needs
from r1.cluster.ray_calls import ClusterError, Events
from r1.cluster.ray_placement import Placement, placed
from r1.cluster.ray_rewards import RemoteScorer, open_reward_servers
from r1.cluster.settings import ClusterSettings, TimeoutSettings
from r1.errors import UserError
from r1.reward_model.score import RewardModelScorer
from r1.reward_model.settings import RewardModelUse
from r1.rewards.registry import PromptForm
from r1.types import Completion, Problem, RolloutGroup
from reward_model_data import write_recipe as write_reward_model_recipe
from run_processes import finish
from small_recipe import VARIED, write_recipe
from test_reward_model_run import train

pytestmark = pytest.mark.slow

CLUSTER = ClusterSettings(
    address="local",
    reward_servers=2,
    cpus_per_process=0.25,
    timeouts=TimeoutSettings(start_s=120, generate_s=60),
)


class World(NamedTuple):
    """Two reward models, and a cluster with room for two servers of each."""

    uses: dict[str, RewardModelUse]
    placement: Placement


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    uses = {}
    for name, objective in (("helpful", "pairwise"), ("harmless", "pointwise")):
        folder = tmp_path_factory.mktemp(name)
        train(write_reward_model_recipe(folder, objective), folder / "run")
        uses[name] = RewardModelUse(path=str(folder / "run"), device="cpu")
    with placed(CLUSTER, Needs("cpu", "cpu", reward_devices=("cpu", "cpu"))) as placement:
        yield World(uses, placement)


@contextmanager
def served(world: World, **changes: Any) -> Iterator[tuple[dict[str, RemoteScorer], Events]]:
    cluster, events = CLUSTER.model_copy(update=changes), Events()
    parts = (world.uses, Path(), PromptForm(), cluster, world.placement, events)
    with open_reward_servers(*parts) as models:
        yield models, events  # type: ignore[misc]


def groups(count: int = 9) -> list[RolloutGroup]:
    ends = ("!", "?", "", "! more")
    return [
        RolloutGroup(
            Problem(str(i), "say this" + "." * i, "4", "exact"),
            tuple(range(4)),
            [Completion([1], [0.0], f"abc{'d' * i}{end}", "stop", 0) for end in ends],
        )
        for i in range(count)
    ]


def test_scores_are_those_of_one_process_whoever_dies(world) -> None:
    local = {name: RewardModelScorer.load(use) for name, use in world.uses.items()}
    expected = {name: [scorer.score_group(g) for g in groups()] for name, scorer in local.items()}
    with served(world) as (models, events):
        assert [server.bundle for scorer in models.values() for server in scorer.servers] == [
            0, 1, 2, 3,
        ]  # fmt: skip
        pending = {
            name: [m.submit_group(group) for group in groups()] for name, m in models.items()
        }
        found = {name: [scores.result() for scores in asked] for name, asked in pending.items()}
        assert found == expected
        assert len({score.value for scores in found["helpful"] for score in scores}) > 10
        again = [models["helpful"].submit_group(group) for group in groups()]
        victim = models["helpful"].servers[1].process_id
        os.kill(victim, signal.SIGKILL)
        assert [scores.result() for scores in reversed(again)] == expected["helpful"][::-1]
        assert models["helpful"].servers[1].process_id != victim
        assert events.take()["pool/reward_server_restarts"] == 1


def test_a_server_that_hangs_is_replaced_and_then_given_up(world) -> None:
    limits = CLUSTER.timeouts.model_copy(update={"generate_s": 3.0})
    alone = World({"harmless": world.uses["harmless"]}, world.placement)
    with served(alone, timeouts=limits, max_restarts=1, reward_servers=1) as (models, events):
        scorer = models["harmless"]
        (group,) = groups(1)
        expected = scorer.submit_group(group).result()
        os.kill(scorer.servers[0].process_id, signal.SIGSTOP)
        assert scorer.submit_group(group).result() == expected
        assert events.take()["pool/reward_server_restarts"] == 1
        scorer.cluster = scorer.cluster.model_copy(update={"max_restarts": 0})
        os.kill(scorer.servers[0].process_id, signal.SIGSTOP)
        begin = time.monotonic()
        told = "waited 3 s for reward server 0 of harmless to score a group, in vain"
        with pytest.raises(ClusterError, match=told):
            scorer.submit_group(group).result()
        assert time.monotonic() - begin >= 3


def test_what_a_server_cannot_have_is_told(world) -> None:
    uses = {"taste": world.uses["helpful"].model_copy(update={"device": "cuda"})}
    with served(world._replace(uses=uses), reward_servers=1) as (models, _):
        scores = models["taste"].submit_group(groups(1)[0])
        with pytest.raises(UserError, match="cuda"):
            scores.result()


SERVERS = """
[cluster]
address = "local"
reward_servers = 1
cpus_per_process = 0.5
"""
REWARD_MODELS = """
[reward_models.helpful]
path = "{helpful}"
device = "cpu"
from_step = 1
[reward_models.harmless]
path = "{harmless}"
device = "cpu"
normalise = "sigmoid"
"""


def test_a_run_is_paid_by_servers_as_by_its_own_process(world, tmp_path) -> None:
    paths = {name: use.path for name, use in world.uses.items()}
    sections = VARIED + REWARD_MODELS.format(**paths)
    one = write_recipe(tmp_path, "qwen2", num_steps=3, sections=sections)
    many = one.with_name("spread.toml")
    many.write_text(one.read_text() + SERVERS)
    finish(one, tmp_path / "one")
    finish(many, tmp_path / "many")
    ours, theirs = (
        [json.loads(line) for line in (tmp_path / run / "metrics.jsonl").open()]
        for run in ("many", "one")
    )
    for mine, other in zip(ours, theirs, strict=True):
        names = [name for name in other if "helpful" in name or "harmless" in name]
        assert names
        assert {name: mine[name] for name in names} == {name: other[name] for name in names}
        assert mine["reward"] == other["reward"]

"""Reward models in Ray actors: they score beside the driver while others sample, on their own GPUs.

Each model has `reward_servers` processes, which take its groups in turn and score them in the order
in which they came. A score depends on the group alone (rows never mix groups), so it does not
matter which server computes it, or how often: a server that dies or does not answer in time is
restarted and scores the groups it still owes.

Left out on purpose: a model over several GPUs, and moving one off its GPU while others compute.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import ray

from r1.cluster.ray_calls import Call, ClusterError, Events, LostProcess, give_up, wait_all
from r1.cluster.ray_placement import Placement
from r1.cluster.settings import ClusterSettings
from r1.reward_model.card import find_reward_model
from r1.reward_model.mixture import CompletionScorer
from r1.reward_model.score import RewardModelScorer
from r1.reward_model.settings import RewardModelUse
from r1.rewards.registry import PromptForm
from r1.rollout.scored import Scores
from r1.types import RolloutGroup, Score


class RewardServer:
    """The actor's code: one reward model."""

    scorer: RewardModelScorer

    def start(self, use: RewardModelUse, form: PromptForm, num_threads: int) -> int:
        """Load the model; return the process's id. (Not in __init__: there Ray would turn a
        UserError into a dead actor.)"""
        import torch

        torch.set_num_threads(num_threads)
        self.scorer = RewardModelScorer.load(use, form=form)
        return os.getpid()

    def score(self, group: RolloutGroup) -> list[Score]:
        """Return the scores of a group's completions, in order."""
        return self.scorer.score_group(group)


@dataclass(eq=False)
class _PendingGroup:
    """A group, the call that scores it, and the call's result."""

    group: RolloutGroup
    reference: Any
    scores: list[Score] | None = None


@dataclass(eq=False)
class _Server:
    """A server as the driver sees it. lost: deaths in a row without progress."""

    bundle: int
    name: str
    actor: Any = None
    started: Any = None
    process_id: int = 0
    lost: int = 0
    owes: deque[_PendingGroup] = field(default_factory=deque)


class RemoteScorer:
    """Implements r1.reward_model.mixture.GroupScorer over a model's servers. Usable from any
    thread."""

    def __init__(
        self,
        name: str,
        use: RewardModelUse,
        form: PromptForm,
        cluster: ClusterSettings,
        placement: Placement,
        events: Events,
        first: int = 0,
    ) -> None:
        """Start the servers; they load the model in the background.

        use: its path is one that the cluster's nodes see. first: the first server's reward bundle.
        """
        self._use, self.form = use, form
        self.cluster, self.placement, self.events = cluster, placement, events
        self.closed = False
        self._state = threading.Lock()  # for moments: who serves, and what each owes
        self._waiting = threading.Lock()  # while a thread waits for answers; taken before the other
        numbers = range(cluster.reward_servers)
        self.servers = [_Server(first + i, f"reward server {i} of {name}") for i in numbers]
        for server in self.servers:
            self._start(server)
        self._turns = itertools.cycle(self.servers)

    @property
    def use(self) -> RewardModelUse:
        """Return the recipe's settings of the model."""
        return self._use

    def submit_group(self, group: RolloutGroup) -> Scores:
        """Ask for a group's scores; return a handle that waits for them.

        It raises UserError as the model's loading does, and ClusterError where a server was lost
        more than max_restarts times in a row.
        """
        with self._state:
            server = next(self._turns)
            asked = _PendingGroup(group, server.actor.score.remote(group))
            server.owes.append(asked)
        return Scores(partial(self._result, server, asked), partial(self._answered, asked))

    def close(self) -> None:
        """End the servers."""
        self.closed = True
        for server in self.servers:
            ray.kill(server.actor, no_restart=True)

    @staticmethod
    def _answered(asked: _PendingGroup) -> bool:
        """Whether its server has answered, or was lost with it."""
        return asked.scores is not None or bool(ray.wait([asked.reference], timeout=0)[0])

    def _result(self, server: _Server, asked: _PendingGroup) -> list[Score]:
        with self._waiting:
            while asked.scores is None:
                self._take_oldest(server)
        return asked.scores

    def _take_oldest(self, server: _Server) -> None:
        """Wait for the group that a server is scoring, so that the time limit is for one group."""
        limits, oldest = self.cluster.timeouts, server.owes[0]
        started = Call(server.name, server.started)
        score = Call(server.name, oldest.reference)
        try:
            (server.process_id,) = wait_all([started], limits.start_s, "start")
            (oldest.scores,) = wait_all([score], limits.generate_s, "score a group")
        except LostProcess as lost:
            self._restart(server, lost)
            return
        with self._state:
            server.owes.popleft()
        server.lost = 0

    def _restart(self, server: _Server, lost: LostProcess) -> None:
        """Start a new process in its place and repeat the requests that the old one owes."""
        if self.closed:
            raise ClusterError("the reward models' servers were closed") from lost
        server.lost += 1
        if server.lost > self.cluster.max_restarts:
            raise give_up(lost, self.cluster.max_restarts) from lost
        self.events.restarted("reward_server", str(lost))
        with self._state:
            ray.kill(server.actor, no_restart=True)
            self._start(server)
            for asked in server.owes:
                asked.reference = server.actor.score.remote(asked.group)

    def _start(self, server: _Server) -> None:
        options = self.placement.reward_options(server.bundle)
        server.actor = ray.remote(RewardServer).options(**options).remote()
        threads = self.placement.reward_threads
        server.started = server.actor.start.remote(self._use, self.form, threads)


@contextmanager
def open_reward_servers(
    models: Mapping[str, RewardModelUse],
    base_folder: Path,
    form: PromptForm,
    cluster: ClusterSettings,
    placement: Placement,
    events: Events,
) -> Iterator[Mapping[str, CompletionScorer]]:
    """Start servers of a recipe's reward models, by name; end them afterwards.

    Raises UserError for a model that is missing.
    """
    scorers: dict[str, RemoteScorer] = {}
    try:
        for number, (name, use) in enumerate(models.items()):
            folder = find_reward_model(use.path, base_folder).resolve()
            there = use.model_copy(update={"path": str(folder)})
            first = number * cluster.reward_servers
            scorers[name] = RemoteScorer(name, there, form, cluster, placement, events, first)
        yield scorers
    finally:
        for scorer in scorers.values():
            scorer.close()

"""A discrete-event simulation of generation, rewards, updates and weight transfer over steps.

Batch n is begun when version n - k of the weights is there (version: updates done; k: `ahead`).

    whole     engines draw one batch after the other, each under the weights of one version; the
              next begins when the one before it is rewarded. k = 0: synchronous; 1: one step off
    partial   engines draw all that was begun at once; new weights take over in the midst of
              responses, whose keys and values are computed again
    own       the learner waits for the groups of its own batch, in the order of the batches
    first     it takes the P groups that ended first (AReaL, arXiv 2505.24298, section 5.1), and
              waits for old ones where otherwise one would be more than k updates old

r1 does "whole" and "partial" (r1.cluster.ahead), each with "own"; "first" is for comparison. A
transfer holds the learner once it has updated, and engines once they may take the weights.

A group goes to the engine with the most free rows and is rewarded once its last response has ended.
Everything random is the lengths, drawn from the seed.

Left out on purpose: checkpoints and evaluations (no batch is begun before one that it comes after),
failures, dynamic sampling, engines that differ.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from r1.plan.replica import EngineSpeed, Replica, Response

_NEXT = attrgetter("next_time")

Draw = Callable[[np.random.Generator, int, int], NDArray[np.int64]]
"""(generator, step, number) -> that many lengths of responses, in tokens."""


class Mode(NamedTuple):
    """How far ahead is sampled, and of what a batch is made. See the module's docstring."""

    name: str
    ahead: int = 0
    sampling: Literal["whole", "partial"] = "whole"
    batch: Literal["own", "first"] = "own"


def whole_batches(ahead: int) -> Mode:
    """grpo.staleness = ahead."""
    names = {0: "synchronous", 1: "one step off"}
    return Mode(names.get(ahead, f"whole batches, {ahead} ahead"), ahead)


def partial_rollouts(ahead: int) -> Mode:
    """grpo.staleness = ahead with grpo.partial_rollouts."""
    return Mode(f"partial rollouts, {ahead} ahead", ahead, "partial")


def first_finished(ahead: int) -> Mode:
    """Partial rollouts in batches of whichever groups end first; r1 does not have it."""
    return Mode(f"first finished, {ahead} ahead", ahead, "partial", "first")


SYNCHRONOUS = whole_batches(0)
ONE_STEP_OFF = whole_batches(1)


class Work(NamedTuple):
    """One step: groups, responses in each, tokens of a prompt, lengths, seconds to reward one
    response, processes that reward."""

    groups: int
    group_size: int
    prompt: int
    draw: Draw
    reward_s: float = 0.0
    reward_workers: int = 1


class LearnerSpeed(NamedTuple):
    """Seconds: of an update whatever is in it, of one response token, of one prompt token (once a
    group), of the square of a sequence's length."""

    update_s: float = 0.0
    token_s: float = 0.0
    prompt_s: float = 0.0
    square_s: float = 0.0

    def seconds(self, prompt: int, lengths: NDArray[np.int64], groups: int) -> float:
        """One update on responses of these lengths."""
        squares = float(np.sum((lengths + prompt) ** 2.0)) if self.square_s else 0.0
        tokens = self.token_s * float(lengths.sum()) + self.prompt_s * prompt * groups
        return self.update_s + tokens + self.square_s * squares


class Plant(NamedTuple):
    """Engines (how many, rows of each, speed), the learner, seconds to send weights."""

    replicas: int
    slots: int
    engine: EngineSpeed
    learner: LearnerSpeed
    sync_s: float = 0.0


class Outcome(NamedTuple):
    """Means over the steps after the warm-up.

    step_s: seconds a step. generator_busy: share of time in which an engine has rows, over engines.
    rows_share: living rows over slots, over time. learner_busy: share of time it learns.
    tokens_per_s: response tokens. staleness, staleness_max: versions between a group's begin and
    its update. rewards_wait_s: from a group's last response to its reward, mean.
    """

    mode: Mode
    step_s: float
    generator_busy: float
    rows_share: float
    learner_busy: float
    tokens_per_s: float
    staleness: float
    staleness_max: int
    rewards_wait_s: float


def simulate(
    work: Work, plant: Plant, mode: Mode, num_steps: int = 8, warm_up: int = 2, seed: int = 0
) -> Outcome:
    """Run num_steps updates after warm_up ones that are not counted."""
    run = _Run(work, plant, mode, np.random.default_rng(seed))
    for _ in range(warm_up):
        run.step()
    begin = run.snapshot()
    for _ in range(num_steps):
        run.step()
    end = run.snapshot()
    time, busy, rows, learning, tokens = (y - x for x, y in zip(begin, end, strict=True))
    ages, waits = run.ages[warm_up * work.groups :], run.waits[warm_up * work.groups :]
    time = time or math.inf
    return Outcome(
        mode,
        step_s=(end[0] - begin[0]) / num_steps,
        generator_busy=busy / (time * plant.replicas),
        rows_share=rows / (time * plant.replicas * plant.slots),
        learner_busy=learning / time,
        tokens_per_s=tokens / time,
        staleness=float(np.mean(ages)),
        staleness_max=max(ages),
        rewards_wait_s=float(np.mean(waits)),
    )


@dataclass
class _Group:
    index: int
    lengths: NDArray[np.int64]
    left: int
    version: int = -1


class _Ordered(NamedTuple):
    """A whole batch that was asked for. since: when its weights were there."""

    groups: list[_Group]
    since: float


@dataclass
class _Run:
    """The state between updates.

    ready: rewarded groups, by the time of their reward. rewarded: how many of each batch are, of
    those begun. ordered: whole batches that wait for the one before them. updated: when the newest
    weights came about.
    """

    work: Work
    plant: Plant
    mode: Mode
    generator: np.random.Generator
    now: float = 0.0
    version: int = 0
    updated: float = 0.0
    learning_s: float = 0.0
    learnt_tokens: float = 0.0
    ages: list[int] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.replicas = [
            Replica(self.plant.engine, self.plant.slots) for _ in range(self.plant.replicas)
        ]
        self.groups: dict[int, _Group] = {}
        self.queue: deque[_Group] = deque()
        self.ordered: deque[_Ordered] = deque()
        self.under_way = 0
        self.drawn_by = 0.0
        self.ready: list[tuple[float, int]] = []
        self.rewarded: Counter[int] = Counter()
        self.workers = [0.0] * self.work.reward_workers
        self.submitted = 0

    def snapshot(self) -> tuple[float, float, float, float, float]:
        """Time, busy seconds and row-seconds of engines, seconds of learning, tokens."""
        busy = sum(replica.busy_s for replica in self.replicas)
        rows = sum(replica.row_seconds for replica in self.replicas)
        return self.now, busy, rows, self.learning_s, self.learnt_tokens

    def step(self) -> None:
        """From weights `version` to the next: collect a batch, learn, send."""
        self._submit()
        batch, at = self._collect()
        lengths = np.concatenate([group.lengths for group in batch])
        seconds = self.plant.learner.seconds(self.work.prompt, lengths, len(batch))
        self.ages += [self.version - group.version for group in batch]
        self.learning_s += seconds
        self.learnt_tokens += float(lengths.sum())
        self.now = max(self.now, at) + seconds
        self._generate(self.now)
        self._send()
        self.version += 1

    def _submit(self) -> None:
        """Batches up to the bound, to whoever has room."""
        per_step = self.work.groups
        while self.submitted < (self.version + 1 + self.mode.ahead) * per_step:
            step = self.submitted // per_step
            number = per_step * self.work.group_size
            lengths = self.work.draw(self.generator, step, number).reshape(per_step, -1)
            groups = [_Group(self.submitted + i, row, len(row)) for i, row in enumerate(lengths)]
            self.submitted += per_step
            if self.mode.sampling == "partial":
                self.queue += groups
            else:
                for group in groups:
                    group.version = self.version
                self.ordered.append(_Ordered(groups, self.updated))
        if self.mode.sampling == "partial":
            self._dispatch(self.now)
        else:
            self._begin()

    def _begin(self) -> None:
        """The next whole batch, where the one before it is rewarded, once engines have weights."""
        if self.under_way or not self.ordered:
            return
        groups, since = self.ordered.popleft()
        self.queue += groups
        self.under_way = len(groups)
        is_new = groups[0].version > 0
        self._dispatch(max(since, self.drawn_by) + is_new * self.plant.sync_s)

    def _dispatch(self, now: float) -> None:
        """Give queued groups to the engines with the most free rows."""
        free = [(-r.free, i) for i, r in enumerate(self.replicas) if r.free > 0]
        heapq.heapify(free)
        while self.queue and free:
            _, index = heapq.heappop(free)
            group, replica = self.queue.popleft(), self.replicas[index]
            if group.version < 0:
                group.version = self.version
            self.groups[group.index] = group
            prompt = self.work.prompt
            replica.add([Response(group.index, prompt, int(n)) for n in group.lengths], now)
            self._gather(replica)
            if replica.free > 0:
                heapq.heappush(free, (-replica.free, index))

    def _collect(self) -> tuple[list[_Group], float]:
        """The next batch and when its last group is rewarded; engines run until then."""
        chosen = self._own() if self.mode.batch == "own" else self._first()
        taken = set(chosen)
        self.ready = [entry for entry in self.ready if entry not in taken]
        at = max(time for time, _ in chosen)
        self._generate(at)
        return [self.groups.pop(index) for _, index in chosen], at

    def _own(self) -> list[tuple[float, int]]:
        """The groups of the batch whose turn it is."""
        per_step = self.work.groups
        while self.rewarded[self.version] < per_step:
            self._next_event()
        return [entry for entry in self.ready if entry[1] // per_step == self.version]

    def _first(self) -> list[tuple[float, int]]:
        """The groups that ended first, but for the old ones that have to be taken."""
        while (needs := self._needs()) is None:
            rewarded = len(self.ready)
            while len(self.ready) == rewarded:
                self._next_event()
        order = sorted(self.ready)
        chosen: list[tuple[float, int]] = []
        for version, need in needs:
            old = [e for e in order if self.groups[e[1]].version <= version]
            had = sum(self.groups[index].version <= version for _, index in chosen)
            chosen += [e for e in old if e not in chosen][: max(0, need - had)]
        rest = [entry for entry in order if entry not in chosen]
        return chosen + rest[: self.work.groups - len(chosen)]

    def _needs(self) -> list[tuple[int, int]] | None:
        """(version, how many groups begun under it or before must be in this batch), oldest first,
        so that all later batches can keep the bound too; None where not all of them are ready.

        Of those that may wait for j more updates, j P may be left over.
        """
        if len(self.ready) < self.work.groups:
            return None
        needs = []
        for later in range(self.mode.ahead + 1):
            version = self.version - self.mode.ahead + later
            out = sum(group.version <= version for group in self.groups.values())
            done = sum(self.groups[index].version <= version for _, index in self.ready)
            need = out - later * self.work.groups
            if done < need:
                return None
            needs.append((version, need))
        return needs

    def _next_event(self) -> None:
        """The next row to end anywhere."""
        replica = min(self.replicas, key=_NEXT)
        assert replica.rows, "engines are empty and a batch is not complete"
        replica.finish_next()
        self._gather(replica)

    def _generate(self, until: float) -> None:
        """Engines go on up to a time at which something else happens."""
        while min(replica.next_time for replica in self.replicas) <= until:
            self._next_event()

    def _gather(self, replica: Replica) -> None:
        """Ended responses to their groups, whole groups to their rewards, room to the queue."""
        ended, replica.ended = replica.ended, []
        for time, response in ended:
            group = self.groups[response.group]
            group.left -= 1
            if group.left == 0:
                rewarded = self._reward(time)
                self.waits.append(rewarded - time)
                self.ready.append((rewarded, group.index))
                self.rewarded[group.index // self.work.groups] += 1
                self.under_way -= 1
                self.drawn_by = max(self.drawn_by, rewarded)
        if ended and self.queue and replica.free > 0:
            self._dispatch(replica.clock)
        if ended and self.mode.sampling == "whole":
            self._begin()

    def _reward(self, time: float) -> float:
        """When all responses of a group that ended at `time` are rewarded."""
        last = time
        for _ in range(self.work.group_size if self.work.reward_s else 0):
            begin = max(time, heapq.heappop(self.workers))
            last = max(last, begin + self.work.reward_s)
            heapq.heappush(self.workers, begin + self.work.reward_s)
        return last

    def _send(self) -> None:
        """New weights: into every engine at once, or (whole batches) before its next one."""
        self.updated = self.now
        if self.mode.sampling == "whole":
            self.now += self.plant.sync_s
            self._generate(self.now)
            return
        for replica in self.replicas:
            replica.pause(self.now, self.plant.sync_s)
            self._gather(replica)
        self.now += self.plant.sync_s

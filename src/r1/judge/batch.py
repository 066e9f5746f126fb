"""Many verdicts at once, asked in batches from an engine or an endpoint.

    votes = EngineVotes(engine, renderer, sampling, name="judge@step-400", seed=0)
    for id, found in votes.begin([Asked("p1#0", task, vote=0), ...]): ...

For data sets, which must be reproducible: a verdict depends on the task, the vote, the judge's
weights and the seed alone. So the nonce of a prompt (r1.judge.prompt) is a hash of the task instead
of random: no answer can contain a hash of itself, and `fresh_nonce` makes sure of it. Batches
depend on the tasks too, never on timing, which decides in `r1.judge.engine`.

An endpoint's replies are not reproducible. Paid replies are in the judge's cache and are not asked
for again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from itertools import count
from typing import NamedTuple, Protocol

from r1.errors import UserError
from r1.judge.asker import NoVerdict
from r1.judge.first_token import read_task
from r1.judge.judge import Judge
from r1.judge.model import Reply
from r1.judge.prompt import NONCE_BYTES, PLACEHOLDER, JudgeTask, build_prompt, fresh_nonce
from r1.judge.verdict import ReplyDefect, Verdict
from r1.rollout.engine_pool import capacity
from r1.rollout.protocol import Engine, FinishedGroup
from r1.rollout.seeds import sample_seed
from r1.rollout.settings import SamplingSettings
from r1.template import PromptRenderer
from r1.types import GroupRequest, Outcome

MALFORMED_RETRIES = 2


class VoteRequest(NamedTuple):
    """One vote on one task. id: unique in its batch."""

    id: str
    task: JudgeTask
    vote: int


Found = tuple[str, Verdict | NoVerdict]
"""An id and what the judge said."""


class Votes(Protocol):
    """A judge of batches. capacity: votes in progress at once, 0 for one batch at a time
    (r1.rollout.engine_pool.calls_ahead)."""

    capacity: int

    def begin(self, asked: Sequence[VoteRequest]) -> Iterator[Found]:
        """Ask for all votes now; yield each verdict when it is ready, in any order."""


class EngineVotes:
    """Votes from an engine; replicas (EnginePool) queue the whole batch at once.

    A reply that is malformed is asked for again, those of a batch together.
    Raises UserError (from what `begin` returns) where a prompt is longer than the context.
    """

    def __init__(
        self,
        engine: Engine,
        renderer: PromptRenderer,
        sampling: SamplingSettings,
        name: str,
        seed: int = 0,
        retries: int = MALFORMED_RETRIES,
    ) -> None:
        """Wrap an engine. name: the weights'. seed: of the replies. retries: of malformed ones."""
        self.capacity = capacity(engine)
        self._engine, self._renderer, self._sampling = engine, renderer, sampling
        self._name, self._seed, self._retries = name, seed, retries

    def begin(self, asked: Sequence[VoteRequest]) -> Iterator[Found]:
        """Queue the prompts; yield verdicts as the engine finishes them."""
        nonces, groups = self._ask(asked, 0)
        return self._read(asked, nonces, groups)

    def _ask(
        self, asked: Sequence[VoteRequest], attempt: int
    ) -> tuple[dict[str, str], Iterator[FinishedGroup]]:
        nonces = {one.id: self._nonce(one, attempt) for one in asked}
        assert len(nonces) == len(asked), "ids must differ"
        requests = []
        for one in asked:
            prompt = build_prompt(one.task, nonces[one.id])
            seed = sample_seed(self._seed, "judge", prompt)
            requests.append(GroupRequest(one.id, self._renderer.encode(prompt), (seed,)))
        return nonces, self._engine.generate(requests, self._sampling)

    def _nonce(self, one: VoteRequest, attempt: int) -> str:
        asked = [self._name, self._seed, build_prompt(one.task, PLACEHOLDER), one.vote, attempt]
        numbers = count()

        def draw() -> str:
            text = json.dumps([*asked, next(numbers)])
            return hashlib.blake2b(text.encode(), digest_size=NONCE_BYTES).hexdigest()

        return fresh_nonce(one.task, draw)

    def _read(
        self, asked: Sequence[VoteRequest], nonces: dict[str, str], groups: Iterator[FinishedGroup]
    ) -> Iterator[Found]:
        tasks = {one.id: one.task for one in asked}
        for attempt in range(self._retries + 1):
            defects: dict[str, ReplyDefect] = {}
            for request, (reply, *_) in groups:
                id = request.id
                said = Reply(reply.text, reply.finish_reason, 0, 0)
                found = read_task(tasks[id], said, nonces[id])
                if isinstance(found, Verdict):
                    yield id, found
                else:
                    defects[id] = found
            if attempt < self._retries and defects:
                # In their order, not in that in which the engine ended them.
                again = [one for one in asked if one.id in defects]
                nonces, groups = self._ask(again, attempt + 1)
                continue
            for id, defect in defects.items():
                reason = f"the judge's reply is malformed ({defect})"
                yield id, NoVerdict(Outcome.VERIFIER_FAILED, reason)
            return


class EndpointVotes:
    """Votes from a Judge, whose settings limit how fast and how often it is asked."""

    def __init__(self, judge: Judge) -> None:
        self.capacity = judge.settings.limits.concurrency
        self._judge = judge

    def begin(self, asked: Sequence[VoteRequest]) -> Iterator[Found]:
        """Submit all; yield the verdicts in order.

        Raises UserError as Judge.submit does, and where the endpoint answers none of them.
        """
        futures = [(one.id, self._judge.submit(one.task, one.vote)) for one in asked]
        return _answered(futures)


def _answered(futures: Sequence[tuple[str, Future[Verdict | NoVerdict]]]) -> Iterator[Found]:
    """Hold verdicts back until one question was answered: an endpoint that is down must not look
    like a judge without an opinion."""
    unanswered: list[tuple[str, NoVerdict]] = []
    down = True
    for id, future in futures:
        found = future.result()
        if down and isinstance(found, NoVerdict) and found.unanswered:
            unanswered.append((id, found))
            continue
        down = False
        yield from unanswered
        unanswered.clear()
        yield id, found
    if unanswered:
        raise UserError(
            f"the judge's endpoint answered none of {len(unanswered)} questions (the last: "
            f"{unanswered[-1][1].reason}): check that it runs and answers; the same command "
            "carries on. judge.endpoint.limits sets the longest wait."
        )

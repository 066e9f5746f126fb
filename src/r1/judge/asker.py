"""Get one verdict for one task: kept replies first, then paid ones (r1.judge.payer), read strictly.

    kept replies -> pay for one -> read

Simultaneous equal requests are sent once. A reply is stored before it is read. A malformed one is
asked for again with a new nonce, malformed_retries times, and is then a failure of the judge, never
a verdict. A resumed run finds the malformed replies too and does not pay for them again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from r1.judge.budget import TokenUsage
from r1.judge.cache import ReplyCache, cache_key
from r1.judge.first_token import read_task
from r1.judge.limits import jitter
from r1.judge.model import ChatModel, Reply, estimate_tokens
from r1.judge.payer import PaidRequest, Payer, Unanswered
from r1.judge.prompt import PLACEHOLDER, JudgeTask, build_prompt, fresh_nonce
from r1.judge.settings import JudgeSettings
from r1.judge.verdict import ReplyDefect, Verdict
from r1.types import Outcome


@dataclass(frozen=True, slots=True)
class NoVerdict:
    """Why the judge gave no verdict. outcome: VERIFIER_FAILED, or TIMED_OUT if every try timed out.

    unanswered: no reply came, though a later request may have one.
    """

    outcome: Outcome
    reason: str
    unanswered: bool = False


class Asker:
    """Asks for verdicts; belongs to one event loop.

    Raises (from `verdict`) UserError where the budget is used up or no request can succeed.
    """

    def __init__(
        self,
        model: ChatModel,
        settings: JudgeSettings,
        cache: ReplyCache,
        random_01: Callable[[], float] = jitter,
    ) -> None:
        self.payer = Payer(settings, cache, random_01)
        self._model = model
        self._settings = settings
        self._cache = cache
        self._asked: dict[str, asyncio.Task[Verdict | NoVerdict]] = {}

    async def verdict(self, task: JudgeTask, vote: int = 0) -> Verdict | NoVerdict:
        """Return the model's verdict on a task. vote: numbers independent replies to one task."""
        key = cache_key(self._model.identity, build_prompt(task, PLACEHOLDER), vote)
        asked = self._asked.get(key)
        if asked is None:
            asked = asyncio.create_task(self._find(key, task))
            self._asked[key] = asked
            asked.add_done_callback(lambda _: self._asked.pop(key))
        else:
            self.payer.counts.shared += 1
        return await asyncio.shield(asked)

    async def _find(self, key: str, task: JudgeTask) -> Verdict | NoVerdict:
        kept = self._cache.get(key)
        self.payer.counts.from_cache += len(kept)
        defect = ReplyDefect.EMPTY
        for number in range(max(len(kept), self._settings.malformed_retries + 1)):
            if number < len(kept):
                nonce, reply = kept[number]
            else:
                nonce = fresh_nonce(task)
                paid = await self._pay(key, nonce, build_prompt(task, nonce))
                if isinstance(paid, NoVerdict):
                    return paid
                reply = paid
            self.payer.counts.read.add(TokenUsage(1, reply.tokens_in, reply.tokens_out))
            found = read_task(task, reply, nonce)
            if isinstance(found, Verdict):
                self.payer.counts.verdicts += 1
                return found
            self.payer.counts.malformed[str(found)] += 1
            defect = found
        self.payer.counts.gave_up["malformed"] += 1
        return NoVerdict(Outcome.VERIFIER_FAILED, f"the judge's reply is malformed ({defect})")

    async def _pay(self, key: str, nonce: str, prompt: str) -> Reply | NoVerdict:
        async def send() -> list[Reply]:
            return [await self._model.ask(prompt)]

        most = TokenUsage(1, estimate_tokens(prompt), self._settings.max_tokens)
        paid = await self.payer.pay(PaidRequest([key], nonce, most, send))
        if isinstance(paid, Unanswered):
            outcome = Outcome.TIMED_OUT if paid.timed_out else Outcome.VERIFIER_FAILED
            return NoVerdict(outcome, paid.reason, unanswered=paid.again)
        return paid[0]

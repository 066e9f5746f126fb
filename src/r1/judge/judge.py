"""The judge for callers in any thread: questions in, futures out.

    with Judge(settings) as judge:
        judge.check()                                       # UserError before anything is spent
        future = judge.submit(grading_task(question, reference, answer))
        verdict = future.result()                           # Verdict or NoVerdict

All waiting happens in one background thread with an event loop: hundreds of requests under way
cost neither processes nor a thread each, and generation goes on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType

from r1.judge.asker import Asker, NoVerdict
from r1.judge.cache import ReplyCache
from r1.judge.counts import JudgeCounts
from r1.judge.endpoint import Endpoint
from r1.judge.grade import Judgement, grading_task, summarise_votes
from r1.judge.model import ChatModel
from r1.judge.pairwise import Comparison, comparison_tasks, summarise_pair
from r1.judge.prompt import JudgeTask
from r1.judge.settings import JudgeSettings
from r1.judge.thread import AskingThread
from r1.judge.verdict import Verdict


class Judge:
    """Asks one model for verdicts; usable from any thread, as a context manager.

    model: what writes the replies; the endpoint of the settings where none is given.
    Raises UserError on construction for a missing key or an unusable cache file.
    """

    def __init__(self, settings: JudgeSettings, model: ChatModel | None = None) -> None:
        self.settings = settings
        self._model = model or Endpoint(settings)
        self._cache = ReplyCache(settings.cache and settings.cache.expanduser())
        self._asker = Asker(self._model, settings, self._cache)
        self._thread = AskingThread("judge", self._asker.payer, self._release)

    def __enter__(self) -> Judge:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def check(self) -> None:
        """Raise UserError within seconds if the endpoint, the key or the model cannot work."""
        self._thread.start(self._model.check()).result()

    def submit(self, task: JudgeTask, vote: int = 0) -> Future[Verdict | NoVerdict]:
        """Ask for one verdict. The future raises UserError if no verdict is possible (budget used
        up, key refused) and CancelledError if the judge is closed first."""
        return self._thread.start(self._asker.verdict(task, vote))

    def submit_grade(self, question: str, reference: str, answer: str) -> Future[Judgement]:
        """Ask settings.votes times whether an answer agrees with the reference."""
        return self._thread.start(self._grade(question, reference, answer))

    def grade(self, question: str, reference: str, answer: str) -> Judgement:
        """Wait for a judgement of one answer."""
        return self.submit_grade(question, reference, answer).result()

    def grade_many(self, cases: Iterable[tuple[str, str, str]]) -> Iterator[Judgement]:
        """Judge any number of (question, reference, answer) triples, in order.

        Reads only so far ahead as keeps the endpoint busy.
        """
        window: list[Future[Judgement]] = []
        for case in cases:
            window.append(self.submit_grade(*case))
            if len(window) >= 4 * self.settings.limits.concurrency:
                yield window.pop(0).result()
        for future in window:
            yield future.result()

    def submit_comparison(self, question: str, first: str, second: str) -> Future[Comparison]:
        """Ask which of two answers is better, settings.votes times in each order."""
        return self._thread.start(self._compare(question, first, second))

    def compare(self, question: str, first: str, second: str) -> Comparison:
        """Wait for a comparison of two answers; its margin is positive if the first is better."""
        return self.submit_comparison(question, first, second).result()

    def take_counts(self) -> JudgeCounts:
        """Return the counts since the last call."""

        payer = self._asker.payer

        async def take() -> JudgeCounts:
            counts, payer.counts = payer.counts, JudgeCounts()
            return counts

        return payer.counts if self._thread.closed else self._thread.start(take()).result()

    def close(self) -> None:
        """Stop asking, wait briefly for replies in flight, store them, and end the thread.

        Futures without a result are cancelled. May be called twice.
        """
        self._thread.close()

    async def _grade(self, question: str, reference: str, answer: str) -> Judgement:
        task = grading_task(question, reference, answer)
        return summarise_votes(await self._votes([(task, v) for v in range(self.settings.votes)]))

    async def _compare(self, question: str, first: str, second: str) -> Comparison:
        forth, back = comparison_tasks(question, first, second)
        votes = range(self.settings.votes)
        found = await self._votes([(task, v) for v in votes for task in (forth, back)])
        return summarise_pair(found[::2], found[1::2])

    async def _votes(self, asked: list[tuple[JudgeTask, int]]) -> list[Verdict | NoVerdict]:
        return await asyncio.gather(*(self._asker.verdict(task, vote) for task, vote in asked))

    async def _release(self) -> None:
        await self._model.close()
        self._cache.close()

"""Sample a model behind an OpenAI-compatible endpoint, as an Engine.

    prompt -> chat/completions, once a sample (or n at once) -> <think>thinking</think> text

The endpoint applies its own chat template and its own tokenizer: a prompt's ids are the bytes of
its text (EndpointRenderer), and a sample has as many token ids, all 0, as the endpoint counted.

* A sample follows from the endpoint, not from its seed, which is sent all the same. Samples that
  were paid for are kept by (request, seed) and not asked for again.
* Thinking that comes apart from the text (`reasoning_content`, `reasoning`) is put before it in
  tags. One that was cut stays open.
* A request whose tries are used up, or that the provider's filter cut, gives a sample that ended
  FAILED: no verdict, never wrong. Where many fail in a row, or all of a call, UserError ends it;
  the refusal of a call's only request (too long, say) tells nothing of the others, and does not.

Left out on purpose: text completions with the tokens of a prompt, log-probabilities, new weights.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from r1.endpoint.settings import SampledEndpointSettings
from r1.errors import UserError
from r1.judge.budget import TokenUsage
from r1.judge.cache import ReplyCache, cache_key
from r1.judge.endpoint import Endpoint
from r1.judge.model import Reply, estimate_tokens
from r1.judge.payer import PaidRequest, Payer, Unanswered
from r1.judge.thread import AskingThread
from r1.rollout.protocol import FinishedGroup
from r1.rollout.settings import SamplingSettings
from r1.template import SYSTEM_ROLES, Earlier, TemplateSettings
from r1.types import FAILED, Completion, GroupRequest

_TURNS = "\0turns\0"
"""Begins a prompt of several turns, which no text of a user does."""
SEED_LIMIT = 2**31
"""Seeds are sent below this: what every server takes."""
FAILURES_PER_SLOT = 2
"""So many failures in a row for each request under way, and the endpoint counts as down."""


class EndpointRenderer:
    """Implements r1.template.Renderer for an engine that takes text."""

    opens_think = False
    takes_turns = True

    def __init__(self, template: TemplateSettings) -> None:
        """Raises UserError for a template that an endpoint cannot apply."""
        if template.kind == "r1_zero" or template.force_think or _own_template(template):
            raise UserError(
                "an endpoint applies its own chat template and begins the thinking itself: set "
                'template.kind = "chat" (or "plain"), without force_think, chat_template and '
                "chat_template_kwargs (endpoint.extra_body may carry those)."
            )

    def encode(self, problem: str, earlier: Earlier = ()) -> tuple[int, ...]:
        """Return the bytes of the prompt; of all turns, where there are earlier ones."""
        if not earlier:
            return tuple(problem.encode())
        turns = [{"role": role, "content": text} for role, text in (*earlier, ("user", problem))]
        return tuple((_TURNS + json.dumps(turns, ensure_ascii=False)).encode())


def _own_template(template: TemplateSettings) -> bool:
    return bool(template.chat_template or template.chat_template_kwargs)


def _messages(prompt: str) -> list[dict[str, str]]:
    """The messages that the renderer wrote as one text."""
    if prompt.startswith(_TURNS):
        turns: list[dict[str, str]] = json.loads(prompt.removeprefix(_TURNS))
        return turns
    return [{"role": "user", "content": prompt}]


class EndpointEngine:
    """Implements rollout.protocol.LoadedEngine; belongs to one endpoint. Close it when done.

    capacity: samples asked for at once. Raises UserError on construction for a missing key, and
    where the endpoint, the key or the model cannot work.
    """

    tokenizer: Any = None
    num_parameters = 0

    def __init__(
        self, settings: SampledEndpointSettings, kept: Path | None = None, system: str | None = None
    ) -> None:
        """kept: the file of paid samples. system: the system prompt of every request."""
        self.capacity = settings.limits.concurrency
        self._settings = settings
        self._system = [] if system is None else [{"role": "system", "content": system}]
        self._endpoint = Endpoint(settings)
        self._cache = ReplyCache(kept, settings.words)
        self._payer = Payer(settings, self._cache)
        self._failed_in_a_row, self._last_failure, self._may_recover = 0, "", False
        self._thread = AskingThread("endpoint", self._payer, self._release)
        try:
            self._thread.start(self._endpoint.check()).result()
        except BaseException:
            self.close()
            raise

    def generate(
        self, requests: Sequence[GroupRequest], sampling: SamplingSettings
    ) -> Iterator[FinishedGroup]:
        """Ask for all samples now; yield each group when its last sample is there.

        Raises UserError where the budget is used up or no request can succeed.
        """
        found: SimpleQueue[Future[FinishedGroup]] = SimpleQueue()
        futures = [self._thread.start(self._group(each, sampling)) for each in requests]
        for future in futures:
            future.add_done_callback(found.put)
        return self._ended(futures, found)

    def load_weights(self, weights: Iterable[tuple[str, Any]], version: int) -> None:
        """Raise an error: an endpoint serves its own weights."""
        raise NotImplementedError("an endpoint serves its own weights")

    def stream(
        self, prompt_ids: Sequence[int], sampling: SamplingSettings, seed: int = 0
    ) -> Generator[str, None, str]:
        """Yield one response's text in one piece; return how it ended."""
        [group] = self.generate([GroupRequest("stream", tuple(prompt_ids), (seed,))], sampling)
        yield group.completions[0].text
        return group.completions[0].finish_reason

    def close(self) -> None:
        """Stop asking; replies that are under way are waited for briefly and kept."""
        self._thread.close()

    async def _release(self) -> None:
        await self._endpoint.close()
        self._cache.close()

    def _ended(
        self, futures: Sequence[Future[FinishedGroup]], found: SimpleQueue[Future[FinishedGroup]]
    ) -> Iterator[FinishedGroup]:
        answered = not futures
        try:
            for _ in futures:
                group = found.get().result()
                answered |= any(one.finish_reason != FAILED for one in group.completions)
                yield group
            if not answered and self._last_failure and (len(futures) > 1 or self._may_recover):
                raise self._down(sum(len(each.result().completions) for each in futures))
        finally:
            for future in futures:
                future.cancel()

    async def _group(self, request: GroupRequest, sampling: SamplingSettings) -> FinishedGroup:
        prompt = bytes(request.prompt_ids).decode()
        body = self._body(prompt, sampling)
        keys = [cache_key(body, "", seed) for seed in request.seeds]
        kept = [self._cache.get(key) for key in keys]
        missing = [place for place, replies in enumerate(kept) if not replies]
        size = self._settings.samples_per_request
        parts = [missing[i : i + size] for i in range(0, len(missing), size)]
        asked = await asyncio.gather(
            *(
                self._ask(body, [(keys[place], request.seeds[place]) for place in part])
                for part in parts
            )
        )
        new = iter([sample for part in asked for sample in part])
        samples = [replies[0].reply if replies else next(new) for replies in kept]
        return FinishedGroup(request, [_completion(sample) for sample in samples])

    async def _ask(
        self, body: dict[str, Any], wanted: Sequence[tuple[str, int]]
    ) -> list[Reply | Unanswered]:
        """Return a sample for each (key, seed), asked for in one request if the endpoint can."""
        prompt = "\n".join(message["content"] for message in body["messages"])
        fields = {**body, "seed": wanted[0][1] % SEED_LIMIT} if self._settings.send_seed else body
        fields = {**fields, "n": len(wanted)} if len(wanted) > 1 else fields

        async def send() -> list[Reply]:
            return (await self._endpoint.ask_all(fields, prompt))[: len(wanted)]

        most_out = body[self._settings.token_limit_name] * len(wanted)
        most = TokenUsage(len(wanted), estimate_tokens(prompt), most_out)
        paid = await self._payer.pay(PaidRequest([key for key, _ in wanted], "", most, send))
        if isinstance(paid, Unanswered) and (len(wanted) == 1 or paid.again):
            self._count_failure(paid)
            return [paid] * len(wanted)
        samples = [] if isinstance(paid, Unanswered) else list(paid)
        self._failed_in_a_row = 0 if samples else self._failed_in_a_row
        rest = await asyncio.gather(*(self._ask(body, [one]) for one in wanted[len(samples) :]))
        return [*samples, *(sample for [sample] in rest)]

    def _body(self, prompt: str, sampling: SamplingSettings) -> dict[str, Any]:
        """The fields of a request that decide its reply, but for the seed."""
        fields: dict[str, Any] = {
            **self._settings.sampling(),
            self._settings.token_limit_name: sampling.max_new_tokens,
            "messages": self._with_system(_messages(prompt)),
        }
        if self._settings.send_sampling:
            fields |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
        if sampling.top_k:
            fields["top_k"] = sampling.top_k
        return fields | ({"stop": list(sampling.stop)} if sampling.stop else {})

    def _with_system(self, messages: list[dict[str, str]]) -> list[dict[str, str]]:
        own = messages[0]["role"] in SYSTEM_ROLES
        return messages if own else [*self._system, *messages]

    def _count_failure(self, failure: Unanswered) -> None:
        self._failed_in_a_row += 1
        self._last_failure, self._may_recover = failure.reason, failure.again
        if self._failed_in_a_row >= FAILURES_PER_SLOT * max(4, self.capacity):
            raise self._down(self._failed_in_a_row)

    def _down(self, number: int) -> UserError:
        return UserError(
            f"the model's endpoint {self._settings.base_url} answered none of {number} requests in "
            f"a row ({self._last_failure}): see that it runs and takes such requests; the same "
            "command carries on. endpoint.limits.retries and timeout_s say how long to wait for it."
        )


def _completion(sample: Reply | Unanswered) -> Completion:
    """Return a sample as a completion: thinking and text in one, with tags."""
    if isinstance(sample, Unanswered):
        return Completion([], [], "", FAILED)
    filtered = sample.finish_reason == "content_filter"
    cut = sample.finish_reason == "length"
    text = sample.text
    if sample.thinking:
        closing = "" if cut and not text else f"\n</think>\n\n{text}"
        text = f"<think>\n{sample.thinking}{closing}"
    reason = FAILED if filtered else "length" if cut else "stop"
    return Completion([0] * sample.tokens_out, [], text, reason)

"""Ask a model: conversations to responses.

A conversation is a list of turns, the user's first. What an engine's model thinks is cut off; a
response whose thinking never ended is None: it gave no answer. Where an endpoint gave no response
at all nobody knows what the model would have said: NO_REPLY, which counts neither way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, NamedTuple, Protocol

from r1.agents.counts import AskCounts, QuestionCount
from r1.rewards.reading import after_thinking
from r1.rollout.protocol import Engine
from r1.rollout.seeds import sample_seed
from r1.rollout.settings import SamplingSettings
from r1.template import Renderer
from r1.types import FAILED, Completion, GroupRequest


class NoReply(Enum):
    """The type of NO_REPLY."""

    NO_REPLY = "no reply"


NO_REPLY: Final = NoReply.NO_REPLY
Answer = str | None | NoReply
"""A response without its thinking; None: the thinking never ended; NO_REPLY: none came."""


class ReplyMissingError(Exception):
    """A question was left without a reply, so what depends on it cannot go on."""


class Turn(NamedTuple):
    """One message of a conversation."""

    role: Literal["user", "assistant"]
    content: str


class OpenConversation(NamedTuple):
    """A conversation to go on with. id: with the seed it decides the responses. greedy: at T 0."""

    id: str
    turns: tuple[Turn, ...]
    num_samples: int = 1
    greedy: bool = False


class AskModel(Protocol):
    """Answers questions; the answer to one does not depend on the others."""

    def __call__(self, questions: Sequence[OpenConversation]) -> list[list[Answer]]:
        """Return num_samples responses to each question, without their thinking."""


@dataclass
class EngineAsk:
    """An AskModel over an engine, which counts what it was asked for (`counts`).

    sampling: of what is not greedy. context: tokens that a prompt and its response may have
    together, None where an endpoint has it; a prompt that fills it is answered by None.
    """

    engine: Engine
    renderer: Renderer
    sampling: SamplingSettings
    context: int | None
    seed: int = 0
    counts: AskCounts = field(default_factory=AskCounts)

    def __call__(self, questions: Sequence[OpenConversation]) -> list[list[Answer]]:
        found: dict[str, list[Answer]] = {}
        for greedy in (False, True):
            asked = [question for question in questions if question.greedy is greedy]
            settings = self.sampling.model_copy(update={"temperature": 0.0} if greedy else {})
            requests = [request for request in map(self._request, asked) if request is not None]
            for group in self.engine.generate(requests, settings) if requests else ():
                found[group.request.id] = [self._answer(each) for each in group.completions]
                self.counts.add(group.request.id, _count(group.completions))
        return [found.get(each.id, [None] * each.num_samples) for each in questions]

    def _answer(self, completion: Completion) -> Answer:
        if completion.finish_reason == FAILED:
            return NO_REPLY
        return after_thinking(completion.text, self.renderer.opens_think)

    def _request(self, question: OpenConversation) -> GroupRequest | None:
        ids = encode_turns(question.turns, self.renderer)
        if self.context is not None and len(ids) >= self.context:
            self.counts.add(question.id, QuestionCount(too_long=1))
            return None
        seeds = [sample_seed(self.seed, "ask", question.id, g) for g in range(question.num_samples)]
        return GroupRequest(question.id, ids, tuple(seeds))


def _count(completions: Sequence[Completion]) -> QuestionCount:
    came = [each for each in completions if each.finish_reason != FAILED]
    return QuestionCount(len(came), sum(len(each.token_ids) for each in came))


def encode_turns(turns: Sequence[Turn], renderer: Renderer) -> tuple[int, ...]:
    """The prompt's token ids. A template for single questions gets the turns as one text."""
    *earlier, last = turns
    if earlier and not renderer.takes_turns:
        return renderer.encode("\n\n".join(f"{turn.role}: {turn.content}" for turn in turns))
    return renderer.encode(last.content, earlier)


def require_replies(answers: Sequence[Answer]) -> list[str | None]:
    """The answers. Raises ReplyMissingError where one is NO_REPLY."""
    found = [answer for answer in answers if not isinstance(answer, NoReply)]
    if len(found) < len(answers):
        raise ReplyMissingError(
            f"{len(answers) - len(found)} of {len(answers)} replies did not come"
        )
    return found


def ask_recorded(say: Callable[[OpenConversation, int], Answer]) -> AskModel:
    """Return an AskModel that replays recorded responses: say(question, number of the sample)."""

    def ask(questions: Sequence[OpenConversation]) -> list[list[Answer]]:
        return [
            [say(question, sample) for sample in range(question.num_samples)]
            for question in questions
        ]

    return ask

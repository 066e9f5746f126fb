"""AskModel a model: conversations to responses.

A conversation is a list of turns, the user's first. What an engine's model thinks is cut off; a
response whose thinking never ended is None: it gave no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from r1.chat_template import ChatTemplateError, render_chat
from r1.errors import UserError
from r1.rewards.reading import after_thinking
from r1.rollout.protocol import Engine
from r1.rollout.seeds import sample_seed
from r1.rollout.settings import SamplingSettings
from r1.template import THINK_OPENING, PromptRenderer
from r1.types import GroupRequest


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

    def __call__(self, questions: Sequence[OpenConversation]) -> list[list[str | None]]:
        """Return num_samples responses to each question, without their thinking."""


@dataclass
class EngineAsk:
    """An AskModel over an engine, which counts what it was asked for.

    sampling: of what is not greedy. context: tokens that a prompt and its response may have
    together; a prompt that fills it is answered by None, and counted.
    """

    engine: Engine
    renderer: PromptRenderer
    sampling: SamplingSettings
    context: int
    seed: int = 0
    num_samples: int = 0
    num_tokens: int = 0
    num_too_long: int = 0

    def __call__(self, questions: Sequence[OpenConversation]) -> list[list[str | None]]:
        found: dict[str, list[str | None]] = {}
        for greedy in (False, True):
            asked = [question for question in questions if question.greedy is greedy]
            settings = self.sampling.model_copy(update={"temperature": 0.0} if greedy else {})
            requests = [request for request in map(self._request, asked) if request is not None]
            for group in self.engine.generate(requests, settings) if requests else ():
                texts = [completion.text for completion in group.completions]
                opened = self.renderer.opens_think
                found[group.request.id] = [after_thinking(text, opened) for text in texts]
                self.num_samples += len(texts)
                self.num_tokens += sum(len(each.token_ids) for each in group.completions)
        return [found.get(each.id, [None] * each.num_samples) for each in questions]

    def _request(self, question: OpenConversation) -> GroupRequest | None:
        ids = encode_turns(question.turns, self.renderer)
        if len(ids) >= self.context:
            self.num_too_long += 1
            return None
        seeds = [sample_seed(self.seed, "ask", question.id, g) for g in range(question.num_samples)]
        return GroupRequest(question.id, ids, tuple(seeds))


def encode_turns(turns: Sequence[Turn], renderer: PromptRenderer) -> tuple[int, ...]:
    """The prompt's token ids. A template for single questions gets the turns as one text."""
    if len(turns) == 1:
        return renderer.encode(turns[0].content)
    if renderer.settings.kind != "chat":
        return renderer.encode("\n\n".join(f"{turn.role}: {turn.content}" for turn in turns))
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    if renderer.settings.system is not None:
        messages.insert(0, {"role": "system", "content": renderer.settings.system})
    try:
        text = render_chat(renderer.tokenizer, messages)
    except ChatTemplateError as refusal:
        raise UserError(
            f"the chat template refuses a conversation of {len(turns)} turns: {refusal}; give "
            "template.chat_template."
        ) from None
    if renderer.settings.force_think and not text.rstrip().endswith("<think>"):
        text += THINK_OPENING
    return tuple(renderer.tokenizer(text, add_special_tokens=False)["input_ids"])


def ask_recorded(say: Callable[[OpenConversation, int], str | None]) -> AskModel:
    """Return an AskModel that replays recorded responses: say(question, number of the sample)."""

    def ask(questions: Sequence[OpenConversation]) -> list[list[str | None]]:
        return [
            [say(question, sample) for sample in range(question.num_samples)]
            for question in questions
        ]

    return ask

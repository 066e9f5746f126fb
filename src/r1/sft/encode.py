"""From conversations to token ids, and which of them are learnt: the responses, nothing else.

chat, marked     the chat template's own `{% generation %}` marks
chat, by prefix  the template is rendered up to each learnt response and through it; the tokens of
                 both must be prefixes of the whole conversation's, which is verified for every
                 example, since templates may rewrite earlier turns
joined           prompt and response are tokenised apart, exactly as a rollout sees them, and the
                 end token follows: "r1_zero", "plain", and chat with response = "verbatim"

A template that changes a response (many take the thinking out) would teach something else than the
data says: such a row is refused. White space that a template writes after the end of a turn is
never sampled and so is not learnt.

Left out on purpose: tools declared to the template, and turns of several messages at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from r1.chat_template import ChatTemplateError, render_chat, within_limit
from r1.data.rows import RowError
from r1.data.thinking import APART, response_of, thinking_of
from r1.sft.rows import Conversation
from r1.sft.settings import ExampleSettings
from r1.template import NO_THINKING, PromptRenderer, TemplateSettings

_GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")
_REFUSES = "the chat template refuses it: {}"
_VERBATIM = 'set examples.response = "verbatim" to learn the last response as it stands'


class EncodedExample(NamedTuple):
    """Token ids of one example up to its last learnt token, and for each whether it is learnt."""

    token_ids: list[int]
    learnt: list[bool]


class _Joined(NamedTuple):
    prompt: str
    response: str


class _Whole(NamedTuple):
    """text: the conversation; spans: what comes before each learnt response, and through it."""

    text: str
    spans: list[tuple[str, str]]


class ConversationEncoder:
    """Encodes conversations for one tokenizer.

    Raises UserError on construction where kind is "chat" and the tokenizer has no chat template.
    """

    def __init__(
        self, tokenizer: Any, template: TemplateSettings, settings: ExampleSettings
    ) -> None:
        self.tokenizer = tokenizer
        self.template = template
        self.settings = settings
        self.renderer = PromptRenderer(tokenizer, template)
        self.joined = template.kind != "chat" or settings.response == "verbatim"
        self.marked = not self.joined and bool(_GENERATION.search(_template_of(tokenizer)))
        self._special = frozenset(tokenizer.all_special_ids)

    def encode(self, conversations: Sequence[Conversation]) -> list[EncodedExample | RowError]:
        """Encode many at once; a RowError stands where one cannot be encoded."""
        if self.marked:
            return [_attempt(self._encode_marked, c.turns) for c in conversations]
        plan = self._join if self.joined else self._span
        plans = [_attempt(plan, c.turns) for c in conversations]
        opened = [p.prompt for p in plans if isinstance(p, _Joined)]
        prompts = iter(self._tokens(opened, prompt=True))
        texts = iter(self._tokens([text for p in plans for text in _texts(p)]))
        encoded: list[EncodedExample | RowError] = []
        for item in plans:
            if isinstance(item, _Joined):
                encoded.append(self._finish_joined(next(prompts), next(texts)))
            elif isinstance(item, _Whole):
                parts = [next(texts) for _ in _texts(item)]
                encoded.append(_attempt(self._finish_whole, parts))
            else:
                encoded.append(item)
        return encoded

    def _tokens(self, texts: list[str], prompt: bool = False) -> list[list[int]]:
        """A prompt gets an opening token where the tokenizer has one, and stays open at its end."""
        if not texts:
            return []
        special = prompt and self.template.kind != "chat"
        rows: list[list[int]] = self.tokenizer(texts, add_special_tokens=special)["input_ids"]
        end = self.tokenizer.eos_token_id
        return [ids[:-1] if special and len(ids) > 1 and ids[-1] == end else ids for ids in rows]

    def _render(self, turns: Sequence[dict[str, Any]], prompt: bool = False) -> str:
        try:
            variables = self.template.chat_template_kwargs
            return render_chat(self.tokenizer, turns, prompt, variables)
        except ChatTemplateError as refusal:
            raise RowError(_REFUSES.format(refusal)) from None

    def _with_system(self, turns: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        system = self.template.system
        if system is None or turns[0]["role"] in ("system", "developer"):
            return turns
        return ({"role": "system", "content": system}, *turns)

    def _join(self, turns: tuple[dict[str, Any], ...]) -> _Joined:
        response = response_of(turns[-1], answer_tags=self.template.kind == "r1_zero")
        _check_calls(turns[-1], response, len(turns))
        if self.template.kind == "chat":
            prompt = self.renderer.opened(self._render(self._with_system(turns)[:-1], prompt=True))
        else:
            roles = [turn["role"] for turn in turns]
            if roles != ["user", "assistant"]:
                raise RowError(
                    f'template.kind = "{self.template.kind}" takes one user and one assistant '
                    f'turn, not {", ".join(roles)}; use template.kind = "chat"'
                )
            prompt = self.renderer.render(turns[0]["content"])
        response = self._after_opening(prompt, response)
        join = self.settings.join
        if join is None:
            join = " " if prompt.endswith(":") and not response[:1].isspace() else ""
        return _Joined(prompt, join + response)

    def _after_opening(self, prompt: str, response: str) -> str:
        """The response as it follows a prompt that has opened the thinking, or any other.

        One without thinking closes it first, as the R1 family answers; one that opens its own and
        does not close it is a thought under way, and stays open.
        """
        if not prompt.rstrip().endswith("<think>"):
            return response
        if response.lstrip().startswith("<think>"):
            response = response.lstrip().removeprefix("<think>")
            return response.lstrip("\n") if prompt.endswith("\n") else response
        if self.renderer.opens_think and "</think>" not in response:
            return NO_THINKING + response.lstrip()
        return response

    def _finish_joined(self, prompt: list[int], response: list[int]) -> EncodedExample:
        end = self.tokenizer.eos_token_id
        response = response if response[-1:] == [end] else [*response, end]
        return EncodedExample(prompt + response, [False] * len(prompt) + [True] * len(response))

    def _span(self, turns: tuple[dict[str, Any], ...]) -> _Whole:
        turns = self._with_system(turns)
        text = self._render(turns)
        spans = []
        for k, turn in enumerate(turns):
            last = k == len(turns) - 1
            if turn["role"] != "assistant" or (self.settings.turns == "last" and not last):
                continue
            before = self._render(turns[:k], prompt=True)
            through = text if last else self._render(turns[: k + 1])
            if not (text.startswith(through) and through.startswith(before)):
                raise RowError(
                    f"the chat template renders turn {k + 1} differently with what precedes or "
                    f'follows it; set examples.turns = "last", or {_VERBATIM}'
                )
            _check_kept(turn, through[len(before) :], k + 1)
            spans.append((before, through))
        return _Whole(text, spans)

    def _finish_whole(self, parts: list[list[int]]) -> EncodedExample:
        ids, *prefixes = parts
        learnt = [False] * len(ids)
        for before, through in zip(prefixes[::2], prefixes[1::2], strict=True):
            if ids[: len(before)] != before or ids[: len(through)] != through:
                raise RowError(
                    "the prompt's tokens are no prefix of the conversation's: the tokenizer merges "
                    f"across the beginning of a response; {_VERBATIM}"
                )
            end = self._end_of_turn(ids, len(before), len(through))
            learnt[len(before) : end] = [True] * (end - len(before))
        return _cut(ids, learnt)

    def _end_of_turn(self, ids: list[int], start: int, end: int) -> int:
        """`end` without the white space that follows an end-of-turn token."""
        k = end
        while k > start and ids[k - 1] not in self._special:
            if not self.tokenizer.decode([ids[k - 1]]).isspace():
                return end
            k -= 1
        return k if k > start else end

    def _encode_marked(self, turns: tuple[dict[str, Any], ...]) -> EncodedExample:
        turns = self._with_system(turns)
        text = self._render(turns)
        for number, turn in enumerate(turns, start=1):
            last = number == len(turns)
            if turn["role"] == "assistant" and (last or self.settings.turns == "all"):
                _check_kept(turn, text, number)
        try:
            found = within_limit(
                lambda: self.tokenizer.apply_chat_template(
                    list(turns),
                    tokenize=True,
                    return_dict=True,
                    return_assistant_tokens_mask=True,
                    **self.template.chat_template_kwargs,
                ),
                turns,
            )
        except ChatTemplateError as refusal:
            raise RowError(_REFUSES.format(refusal)) from None
        learnt = [bool(mark) for mark in found["assistant_masks"]]
        if not any(learnt):
            raise RowError("the chat template's {% generation %} marks nothing in it")
        if self.settings.turns == "last":
            end = len(learnt) - learnt[::-1].index(True)
            start = end
            while start and learnt[start - 1]:
                start -= 1
            learnt[:start] = [False] * start
        return _cut(list(found["input_ids"]), learnt)


def _texts(plan: Any) -> list[str]:
    """What of a plan is tokenised without an opening token, in order."""
    if isinstance(plan, _Joined):
        return [plan.response]
    if isinstance(plan, _Whole):
        return [plan.text, *(text for span in plan.spans for text in span)]
    return []


def _attempt(function: Any, argument: Any) -> Any:
    try:
        return function(argument)
    except RowError as fault:
        return fault


def _cut(ids: list[int], learnt: list[bool]) -> EncodedExample:
    """Leave out what follows the last learnt token: nothing depends on it."""
    end = len(learnt) - learnt[::-1].index(True)
    return EncodedExample(ids[:end], learnt[:end])


def _check_kept(turn: Mapping[str, Any], rendered: str, number: int) -> None:
    """RowError where the chat template leaves out, or changes, something that is to be learnt."""
    if turn["content"].strip() not in rendered:
        raise RowError(
            f"the chat template changes the response of turn {number} (many take the thinking out "
            f"of it); {_VERBATIM}"
        )
    thinking = thinking_of(turn)
    if thinking is not None and thinking not in rendered:
        key = next(key for key in APART if turn.get(key))
        raise RowError(
            f"the chat template leaves out the {key} of turn {number}; {_VERBATIM}, that thinking "
            "before it"
        )
    _check_calls(turn, rendered, number)


def _check_calls(turn: Mapping[str, Any], rendered: str, number: int) -> None:
    """RowError where a call of a tool would not be learnt."""
    calls = turn.get("tool_calls") or []
    names = [call.get("function", call).get("name") for call in calls if isinstance(call, Mapping)]
    if calls and not all(isinstance(name, str) and name in rendered for name in names):
        raise RowError(f"the tool_calls of turn {number} are left out; write them as its content")


def _template_of(tokenizer: Any) -> str:
    template = tokenizer.chat_template
    return template if isinstance(template, str) else str(tokenizer.get_chat_template())

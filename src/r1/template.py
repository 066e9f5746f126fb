"""Render prompts that ask for `<think> … </think> <answer> … </answer>`, and parse the responses.

The words of the R1-Zero template are Table 1 of the DeepSeek-R1 paper: structure only, no hint at
content or strategy, so that emerging behaviour can be observed. Evaluation may force the response
to begin with `<think>\\n` (the paper's evaluation protocol): then the prompt already contains the
tag, and the parser gets `opened=True`.

Left out on purpose: repairing a malformed response. The best guess at its thinking and answer is
for display; only a well-formed response has an `answer_strict`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Protocol

from pydantic import Field, model_validator

from r1.chat_template import RENDERING, ChatTemplateError, check_chat_template, render_chat
from r1.config import Settings
from r1.errors import SettingError, UserError

logger = logging.getLogger(__name__)

R1_ZERO_TEMPLATE = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant "
    "solves it. The assistant first thinks about the reasoning process in the mind and then "
    "provides the user with the answer. The reasoning process and answer are enclosed within "
    "<think> </think> and <answer> </answer> tags, respectively, i.e., <think> reasoning process "
    "here </think> <answer> answer here </answer>. User: prompt. Assistant:"
)
"""Table 1, with the paper's own placeholder: the word "prompt" stands for the question."""

THINK_OPENING = "<think>\n"
NO_THINKING = "\n</think>\n\n"
"""What follows the opening in a response without thinking."""
SYSTEM_ROLES = ("system", "developer")


def render_r1_zero(question: str) -> str:
    """Return Table 1's prompt for a question; it ends in "Assistant:".

    The replacement is literal, as the paper words it: the full stop after the placeholder stays
    even where the question ends in a question mark.
    """
    head, tail = R1_ZERO_TEMPLATE.split("prompt.")
    return f"{head}{question.strip()}.{tail}"


class TemplateSettings(Settings):
    """The form of prompts."""

    kind: Literal["r1_zero", "chat", "plain"] = Field(
        "r1_zero",
        description="the paper's Table 1, the tokenizer's chat template, or the bare problem",
    )
    system: str | None = Field(None, description='system prompt; only with kind = "chat"')
    force_think: bool = Field(
        False,
        description='end the prompt in "<think>\\n", so that every response begins by thinking',
    )
    chat_template: str | None = Field(
        None,
        description="text of a chat template in Jinja, in place of the tokenizer's; only with "
        'kind = "chat". It is saved with the model',
    )

    chat_template_kwargs: dict[str, Any] = Field(
        {},
        description="variables of the chat template, such as { enable_thinking = false }; only "
        'with kind = "chat"',
    )

    @model_validator(mode="after")
    def _consistent(self) -> TemplateSettings:
        if self.chat_template_kwargs and self.kind != "chat":
            raise ValueError(
                'template.chat_template_kwargs needs template.kind = "chat"; remove one of them'
            )
        own = sorted(self.chat_template_kwargs.keys() & RENDERING)
        if own:
            raise ValueError(
                f"template.chat_template_kwargs.{own[0]} is r1's own to say; remove it"
            )
        if self.chat_template is not None and self.kind != "chat":
            raise ValueError(
                'template.chat_template needs template.kind = "chat"; remove one of them'
            )
        if self.system is not None and self.kind != "chat":
            raise ValueError('template.system needs template.kind = "chat"; remove one of them')
        return self


class ChatTemplateSettings(TemplateSettings):
    """The form of conversations: the tokenizer's chat template, unless set otherwise."""

    kind: Literal["r1_zero", "chat", "plain"] = Field(
        "chat",
        description="the tokenizer's chat template, the paper's Table 1, or the bare prompt",
    )


Earlier = Sequence[tuple[str, str]]
"""(role, text) of the turns before a problem's own."""


class Renderer(Protocol):
    """The part of `PromptRenderer` that sampling needs."""

    opens_think: bool
    takes_turns: bool
    """Whether a prompt may have turns before it."""

    def encode(self, problem: str, earlier: Earlier = ()) -> tuple[int, ...]:
        """Return the token ids of the prompt for a problem's text, after the turns before it."""


class PromptRenderer:
    """Renders problems for one tokenizer (any transformers tokenizer; none is needed to `render`
    the kinds "r1_zero" and "plain"). A chat template in the settings replaces the tokenizer's.

    Raises UserError on construction where kind is "chat" and the tokenizer has no chat template, or
    one that is broken, refuses the system prompt or does not end.
    """

    def __init__(self, tokenizer: Any, settings: TemplateSettings) -> None:
        self.tokenizer = tokenizer
        self.settings = settings
        if settings.chat_template is not None:
            tokenizer.chat_template = settings.chat_template
        if settings.kind == "chat" and not getattr(tokenizer, "chat_template", None):
            raise SettingError(
                'template.kind = "chat", but the tokenizer has no chat template (a base model has '
                'none): set template = { kind = "plain" } or { kind = "r1_zero" }, give '
                "template.chat_template, or take a model with a chat template."
            )
        if settings.kind == "chat":
            own = settings.chat_template is not None
            origin = "template.chat_template" if own else f"the chat template of {_name(tokenizer)}"
            check_chat_template(tokenizer, origin, settings.system, settings.chat_template_kwargs)
        self.opens_think: bool = self.render("?").rstrip().endswith("<think>")
        """True where prompts end in an open `<think>`: pass it on as `opened` to the parser."""
        self.takes_turns = settings.kind == "chat"
        self._warn_of_lost_bos()

    def render(self, problem: str, earlier: Earlier = ()) -> str:
        """Return the prompt text of one problem.

        earlier: the turns before it, of which a system turn takes the place of the settings' own.
        Raises UserError for such turns where kind is not "chat", and where the template refuses.
        """
        return self.opened(self._frame(problem, earlier))

    def encode(self, problem: str, earlier: Earlier = ()) -> tuple[int, ...]:
        """Return the prompt's token ids, with an opening token if the tokenizer has one."""
        return self._tokens(self.render(problem, earlier))

    def encode_turns(self, turns: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
        """Return the token ids of these turns alone by the chat template, the answer opened.

        Raises ChatTemplateError where it refuses them.
        """
        return self._tokens(self.opened(self._rendered(turns)))

    def opened(self, text: str) -> str:
        """Return a rendered prompt with the opening of the thinking, where the settings force it
        and the chat template has not written it."""
        if self.settings.force_think and not text.rstrip().endswith("<think>"):
            text += (" " if text.endswith(":") else "") + THINK_OPENING
        return text

    def _rendered(self, turns: Sequence[Mapping[str, Any]]) -> str:
        return render_chat(self.tokenizer, turns, True, self.settings.chat_template_kwargs)

    def _tokens(self, text: str) -> tuple[int, ...]:
        # A chat template writes its special tokens itself.
        special = self.settings.kind != "chat"
        ids = list(self.tokenizer(text, add_special_tokens=special)["input_ids"])
        end = getattr(self.tokenizer, "eos_token_id", None)
        if special and end is not None and len(ids) > 1 and ids[-1] == end:
            ids.pop()  # some tokenizers close every text; a prompt must stay open
        return tuple(ids)

    def parse(self, text: str) -> Parsed:
        """Parse a response to one of these prompts."""
        return parse(text, self.opens_think)

    def _warn_of_lost_bos(self) -> None:
        """Warn if the model's texts begin with BOS and a chat template's prompts do not."""
        bos = getattr(self.tokenizer, "bos_token_id", None)
        if self.settings.kind != "chat" or bos is None or self.encode("?")[:1] == (bos,):
            return
        if list(self.tokenizer("?", add_special_tokens=True)["input_ids"])[:1] == [bos]:
            logger.warning(
                "the chat template writes no %s, with which the tokenizer begins every other text; "
                "if the model was trained with it, write {{ bos_token }} first in the template.",
                self.tokenizer.bos_token,
            )

    def _frame(self, problem: str, earlier: Earlier) -> str:
        if earlier and self.settings.kind != "chat":
            raise UserError(
                f'template.kind = "{self.settings.kind}" asks one question, and the problem '
                f"{problem[:60]!r} has turns before it ({', '.join(role for role, _ in earlier)}); "
                'use template.kind = "chat".'
            )
        if self.settings.kind == "r1_zero":
            return render_r1_zero(problem)
        if self.settings.kind == "plain":
            return problem
        messages = [{"role": role, "content": text} for role, text in (*earlier, ("user", problem))]
        if self.settings.system is not None and messages[0]["role"] not in SYSTEM_ROLES:
            messages.insert(0, {"role": "system", "content": self.settings.system})
        try:
            return self._rendered(messages)
        except ChatTemplateError as refusal:
            raise UserError(
                f"the chat template refuses the problem {problem[:80]!r}: {refusal}; leave the "
                "problem out, or give template.chat_template."
            ) from None


def _name(tokenizer: Any) -> str:
    return str(getattr(tokenizer, "name_or_path", "") or "the tokenizer")


class FormDefect(StrEnum):
    """What is wrong with a response's form; the first that applies, in this order."""

    EMPTY = "empty response"
    MISSING_THINK = "no <think>"
    UNCLOSED_THINK = "<think> is never closed"
    UNOPENED_THINK = "</think> without <think>"
    MISSING_ANSWER = "no <answer>"
    UNCLOSED_ANSWER = "<answer> is never closed"
    UNOPENED_ANSWER = "</answer> without <answer>"
    NESTED = "nested tags"
    REPEATED_THINK = "several <think> blocks"
    SEVERAL_ANSWERS = "several <answer> blocks"
    WRONG_ORDER = "the answer comes before the thinking"
    TEXT_BEFORE = "text before <think>"
    TEXT_BETWEEN = "text between </think> and <answer>"
    TEXT_AFTER = "text after </answer>"
    EMPTY_THINK = "nothing inside <think>"
    EMPTY_ANSWER = "nothing inside <answer>"


class Parsed(NamedTuple):
    """The parts of a response. thinking and answer are stripped; None for a missing part.

    Where defect is not None both are the best guess, for display only.
    """

    thinking: str | None
    answer: str | None
    defect: FormDefect | None

    @property
    def answer_strict(self) -> str | None:
        """Return the answer of a well-formed response, else None."""
        return self.answer if self.defect is None else None


class _Block(NamedTuple):
    kind: str
    start: int  # of the opening tag
    inner: tuple[int, int]
    end: int  # after the closing tag
    depth: int


class _Scan(NamedTuple):
    blocks: list[_Block]  # closed ones, by their start
    unclosed: dict[str, int]  # kind -> where the content of its first unclosed tag begins
    unopened: set[str]
    seen: set[str]  # kinds of which any tag occurs


_TAG = re.compile(r"<(/?)(think|answer)>")


@lru_cache(maxsize=4)  # every reward of a response parses it
def parse(text: str, opened: bool = False) -> Parsed:
    """Parse a response; opened=True if the prompt already ended in `<think>`.

    Never raises; linear in the length of the text for any text with few tags.
    """
    if opened:
        text = "<think>" + text
    scan = _scan(text)
    defect = _find_defect(text, scan)
    return Parsed(_guess_thinking(text, scan), _guess_answer(text, scan), defect)


def _scan(text: str) -> _Scan:
    blocks: list[_Block] = []
    open_tags: list[tuple[str, int, int]] = []
    unclosed: dict[str, int] = {}
    unopened: set[str] = set()
    seen: set[str] = set()
    for tag in _TAG.finditer(text):
        kind = tag[2]
        seen.add(kind)
        if not tag[1]:
            open_tags.append((kind, tag.start(), tag.end()))
            continue
        if all(kind != other for other, _, _ in open_tags):
            unopened.add(kind)
            continue
        while open_tags[-1][0] != kind:
            other, _, inside = open_tags.pop()
            unclosed.setdefault(other, inside)
        _, start, inside = open_tags.pop()
        blocks.append(_Block(kind, start, (inside, tag.start()), tag.end(), len(open_tags)))
    for other, _, inside in open_tags:
        unclosed.setdefault(other, inside)
    return _Scan(sorted(blocks, key=lambda block: block.start), unclosed, unopened, seen)


def _find_defect(text: str, scan: _Scan) -> FormDefect | None:
    if not text.strip():
        return FormDefect.EMPTY
    for kind, missing, unclosed, unopened in (
        ("think", FormDefect.MISSING_THINK, FormDefect.UNCLOSED_THINK, FormDefect.UNOPENED_THINK),
        (
            "answer",
            FormDefect.MISSING_ANSWER,
            FormDefect.UNCLOSED_ANSWER,
            FormDefect.UNOPENED_ANSWER,
        ),
    ):
        if kind not in scan.seen:
            return missing
        if kind in scan.unclosed:
            return unclosed
        if kind in scan.unopened:
            return unopened
    if any(block.depth for block in scan.blocks):
        return FormDefect.NESTED
    thinks = [block for block in scan.blocks if block.kind == "think"]
    answers = [block for block in scan.blocks if block.kind == "answer"]
    if len(thinks) > 1:
        return FormDefect.REPEATED_THINK
    if len(answers) > 1:
        return FormDefect.SEVERAL_ANSWERS
    return _find_stray_text(text, thinks[0], answers[0])


def _find_stray_text(text: str, think: _Block, answer: _Block) -> FormDefect | None:
    if answer.start < think.start:
        return FormDefect.WRONG_ORDER
    for piece, defect in (
        (text[: think.start], FormDefect.TEXT_BEFORE),
        (text[think.end : answer.start], FormDefect.TEXT_BETWEEN),
        (text[answer.end :], FormDefect.TEXT_AFTER),
    ):
        if piece.strip():
            return defect
    if not text[slice(*think.inner)].strip():
        return FormDefect.EMPTY_THINK
    if not text[slice(*answer.inner)].strip():
        return FormDefect.EMPTY_ANSWER
    return None


def _guess_thinking(text: str, scan: _Scan) -> str | None:
    for block in scan.blocks:
        if block.kind == "think":
            return text[slice(*block.inner)].strip()
    if "think" in scan.unclosed:
        rest = text[scan.unclosed["think"] :]
        return rest.split("<answer>", 1)[0].strip()
    if "think" in scan.unopened:
        return text.split("</think>", 1)[0].strip()
    return None


def _guess_answer(text: str, scan: _Scan) -> str | None:
    """Return the last answer block, else an unclosed one, else the text after the thinking."""
    for block in reversed(scan.blocks):
        if block.kind == "answer":
            return text[slice(*block.inner)].strip()
    if "answer" in scan.unclosed:
        return text[scan.unclosed["answer"] :].split("</think>", 1)[0].strip()
    rest = text.rpartition("</think>")[2] if "</think>" in text else ""
    return rest.replace("</answer>", "").strip() or None

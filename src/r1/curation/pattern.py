"""The output pattern of curated responses, reasoning first, then a summary:

    |special_token|<reasoning_process>|special_token|<summary>

The paper's cold-start pattern (§2.3.1), with <think> and </think> as the default tokens; one token
on both sides, as the paper writes it, works too. R1-Zero's own form, whose summary stands inside
<answer> tags (Table 1), is the same pattern with `answer_tags`. Models that write no thinking have
two empty tokens: the whole response is the summary.

Left out on purpose: repairing a response. One that does not keep the pattern is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from pydantic import Field, model_validator

from r1.config import Settings

ANSWER_TAGS = ("<answer>", "</answer>")
TABLE_1_TOKENS = ("<think>", "</think>")


class PatternDefect(StrEnum):
    """Why a text does not keep the pattern; the first that applies, in this order."""

    EMPTY = "empty response"
    NOT_OPENED = "the reasoning is not opened first"
    NOT_CLOSED = "the reasoning is never closed"
    REPEATED_TOKEN = "a special token occurs again"
    NO_REASONING = "no reasoning"
    NO_SUMMARY = "no summary"
    BROKEN_ANSWER = "the summary is not one <answer> block"


class Split(NamedTuple):
    """A response taken apart, stripped; both None where defect is not."""

    thinking: str | None
    summary: str | None
    defect: PatternDefect | None


class PatternSettings(Settings):
    """How reasoning and summary are joined in a response. The two tokens may be the same."""

    opening: str = Field(
        "<think>",
        description="special token before the reasoning; both empty: responses have none, as those "
        "of models that do not think apart",
    )
    closing: str = Field("</think>", description="special token after the reasoning")
    inside: str = Field("\n", description="white space between either token and the reasoning")
    between: str = Field(
        "\n\n", description="white space between the closing token and the summary"
    )
    answer_tags: bool = Field(
        False, description="put the summary into <answer> … </answer>, as in the paper's Table 1"
    )

    @model_validator(mode="after")
    def _usable(self) -> PatternSettings:
        if bool(self.opening) != bool(self.closing):
            raise ValueError("give both opening and closing, or leave both empty (no reasoning)")
        for name in ("opening", "closing"):
            token = getattr(self, name)
            if token != token.strip():
                raise ValueError(f"{name} begins or ends in white space; put that into inside")
        for name in ("inside", "between"):
            if getattr(self, name).strip():
                raise ValueError(f"{name} is more than white space; put it into a token")
        return self

    @property
    def has_reasoning(self) -> bool:
        """Whether responses hold reasoning before their summary."""
        return bool(self.opening)

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """What neither reasoning nor summary may contain."""
        tokens = (self.opening, self.closing) if self.has_reasoning else ()
        return (*tokens, *ANSWER_TAGS) if self.answer_tags else tokens

    def render(self, thinking: str, summary: str) -> str:
        """Return the response; split() gives both back where they hold no special token."""
        if self.answer_tags:
            summary = f"{ANSWER_TAGS[0]}{self.inside}{summary.strip()}{self.inside}{ANSWER_TAGS[1]}"
        if not self.has_reasoning:
            return summary.strip()
        reasoning = f"{self.opening}{self.inside}{thinking.strip()}{self.inside}{self.closing}"
        return f"{reasoning}{self.between}{summary.strip()}"

    def split(self, text: str, opened: bool = False) -> Split:
        """Take a response apart. opened: the prompt already ended in the opening token.

        Never raises; linear in the length of the text.
        """
        body = text.strip()
        if not body:
            return Split(None, None, PatternDefect.EMPTY)
        if not self.has_reasoning:
            return self._split_summary("", body)
        if not opened:
            if not body.startswith(self.opening):
                return Split(None, None, PatternDefect.NOT_OPENED)
            body = body[len(self.opening) :]
        thinking, found, summary = body.partition(self.closing)
        if not found:
            return Split(None, None, PatternDefect.NOT_CLOSED)
        if any(t in thinking or t in summary for t in (self.opening, self.closing)):
            return Split(None, None, PatternDefect.REPEATED_TOKEN)
        return self._split_summary(thinking.strip(), summary.strip())

    def _split_summary(self, thinking: str, summary: str) -> Split:
        if self.answer_tags:
            inner = _inside_answer(thinking, summary)
            if inner is None:
                return Split(None, None, PatternDefect.BROKEN_ANSWER)
            summary = inner
        if not summary or (self.has_reasoning and not thinking):
            missing = PatternDefect.NO_SUMMARY if thinking else PatternDefect.NO_REASONING
            return Split(None, None, missing)
        return Split(thinking, summary, None)

    def whole(self, text: str, finish_reason: str, stop: Sequence[str]) -> str:
        """Return a sample with the stop string `</answer>` that ended it put back."""
        opening, closing = ANSWER_TAGS
        ended = finish_reason == "stop" and closing in stop and self.answer_tags
        return text + closing if ended and opening in text and closing not in text else text

    def in_think_tags(self, text: str, opened: bool = False) -> str:
        """Return the text with Table 1's tags for the pattern's tokens, which is what the rewards
        read; unchanged where the tokens are those already or the text does not keep the pattern."""
        if (self.opening, self.closing) == TABLE_1_TOKENS or not self.has_reasoning:
            return text
        split = self.split(text, opened)
        if split.thinking is None or split.summary is None:
            return text
        tags = PatternSettings(answer_tags=self.answer_tags)
        rendered = tags.render(split.thinking, split.summary)
        return rendered.removeprefix(tags.opening) if opened else rendered


def _inside_answer(thinking: str, summary: str) -> str | None:
    opening, closing = ANSWER_TAGS
    if not summary.startswith(opening) or not summary.endswith(closing):
        return None
    inner = summary[len(opening) : -len(closing)]
    if any(tag in thinking or tag in inner for tag in ANSWER_TAGS):
        return None
    return inner.strip()

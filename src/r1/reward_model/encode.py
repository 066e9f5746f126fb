"""From a prompt and a response to what a reward model reads: the prompt, the scored part, an end.

    part = "answer"   what follows the thinking, all of it (the paper's final summary); tags of an
                      answer are dropped, and a response that never ends its thinking has none
    part = "whole"    the response as it stands, thinking included

Every scored text ends with the tokenizer's end token, and the score is read there. Where steps are
scored (always of the whole response) there is no end token, so that a response under way is scored
as a finished one is, and a score is read at each step's last token.

A response above the limit loses its middle: how it begins and how it ends are kept. In steps it
loses those beyond the limit.
Left out on purpose: token ids straight from the policy (a reward
model has a tokenizer of its own).
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from r1.data.rows import FaultyRows, RowError
from r1.errors import UserError
from r1.preferences.examples import PreferenceExample
from r1.preferences.types import Pair, Preference, Preferences, StepLabels
from r1.reward_model.settings import Part, RewardLossSettings
from r1.rewards.reading import after_thinking
from r1.steps.ends import encode_steps
from r1.steps.split import LINE, joined, split_steps
from r1.template import NO_THINKING, Earlier, PromptRenderer, TemplateSettings


class EncodedResponse(NamedTuple):
    """A prompt and a response as token ids, end token included; cut: its middle is missing.

    ends: the last token of each step, where steps are scored; members: which of the response's
    steps each of them is made of.
    """

    prompt_ids: tuple[int, ...]
    response_ids: array[int]
    cut: bool = False
    ends: tuple[int, ...] = ()
    members: tuple[tuple[int, ...], ...] = ()

    @property
    def scored_at(self) -> tuple[int, ...]:
        """The tokens of the response at which it is scored."""
        return self.ends or (len(self.response_ids) - 1,)

    @property
    def num_tokens(self) -> int:
        return len(self.prompt_ids) + len(self.response_ids)


class PreferenceExamples(NamedTuple):
    """All examples of a run; counts: how many were "dropped" or "cut" as over-long.

    useless: what a source with unusable = "drop" lost besides, reason -> how many.
    """

    items: list[PreferenceExample]
    counts: dict[str, int]
    useless: dict[str, int]

    def notices(self, what: str = "") -> list[str]:
        """What the user should know; what: "" or "held-out "."""
        said = [f"{n} over-long {what}rows were {how}." for how, n in self.counts.items() if n]
        useless = sorted(self.useless.items())
        return said + [f"{n} {what}rows were dropped ({reason})." for reason, n in useless]


class _UselessRowError(RowError):
    """A row that teaches nothing. reason: as it is counted; overlong: the limit is the cause."""

    def __init__(self, message: str, reason: str, overlong: bool = False) -> None:
        super().__init__(message)
        self.reason, self.overlong = reason, overlong


class ResponseEncoder:
    """Encodes for one tokenizer, template and part.

    Raises UserError on construction where kind is "chat" and the tokenizer has no chat template.
    """

    def __init__(
        self,
        tokenizer: Any,
        template: TemplateSettings,
        part: Part,
        max_tokens: int,
        separator: str = LINE,
    ) -> None:
        self.tokenizer = tokenizer
        self.renderer = PromptRenderer(tokenizer, template)
        self.part = part
        self.max_tokens = max_tokens
        self.separator = separator
        self._prompt: tuple[tuple[str, Earlier], tuple[int, ...]] = (("", ()), ())

    def part_of(self, response: str, opened: bool = False) -> str | None:
        """The part of a response that is scored, stripped; None where there is nothing.

        opened: the response's own prompt already ended in `<think>`.
        """
        if self.part == "answer":
            return (after_thinking(response, opened) or "").strip() or None
        whole = "<think>" + response if opened else response
        return whole.strip() or None

    def steps_of(self, response: str, opened: bool = False) -> list[str]:
        """The steps of a response, which may be unfinished: the break after its last one stays."""
        whole = "<think>" + response if opened else response
        return split_steps(whole.lstrip(), self.separator)

    def encode(self, prompt: str, part: str, earlier: Earlier = ()) -> EncodedResponse:
        """Encode a scored part; RowError where the prompt alone fills the limit.

        earlier: the turns before the prompt. Raises UserError where the template takes none.
        """
        prompt_ids, room = self._prompt_and_room(prompt, earlier)
        text = self._join(prompt, part)
        end = self.tokenizer.eos_token_id
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        cut = len(ids) > room
        if cut:
            ids = ids[: room - room // 2] + ids[len(ids) - room // 2 :]
        return EncodedResponse(prompt_ids, array("I", [*ids, end]), cut)

    def encode_steps(
        self, prompt: str, steps: Sequence[str], earlier: Earlier = ()
    ) -> EncodedResponse:
        """Encode a response in steps; RowError where the limit leaves no whole step."""
        prompt_ids, room = self._prompt_and_room(prompt, earlier)
        whole = "".join(steps)
        before = self._join(prompt, whole).removesuffix(whole)
        found = encode_steps(self.tokenizer, [before + steps[0], *steps[1:]])
        kept = [end for end in found.ends if end < room]
        if not kept:
            raise _UselessRowError(
                f"its first step does not end within the limit of {self.max_tokens} tokens "
                "(batch.max_tokens)",
                "the first step fills batch.max_tokens",
                overlong=True,
            )
        ids = found.token_ids[: kept[-1] + 1]
        members = tuple(map(tuple, found.members[: len(kept)]))
        cut = len(kept) < len(found.ends)
        return EncodedResponse(prompt_ids, array("I", ids), cut, tuple(kept), members)

    def _prompt_and_room(self, prompt: str, earlier: Earlier) -> tuple[tuple[int, ...], int]:
        """A prompt's tokens, and how many are left for the response."""
        last, prompt_ids = self._prompt  # siblings come one after the other
        if last != (prompt, earlier) or not prompt_ids:
            prompt_ids = self.renderer.encode(prompt, earlier)
            self._prompt = ((prompt, earlier), prompt_ids)
        room = self.max_tokens - len(prompt_ids) - 1
        if room < 1:
            raise _UselessRowError(
                f"the prompt has {len(prompt_ids)} tokens, which leaves no room for a response "
                f"below the limit of {self.max_tokens} (batch.max_tokens)",
                "the prompt fills batch.max_tokens",
                overlong=True,
            )
        return prompt_ids, room

    def _join(self, prompt: str, part: str) -> str:
        """The part as it follows the prompt: whatever the prompt has opened is closed first."""
        if self.renderer.opens_think:
            if self.part == "answer":
                return NO_THINKING + part
            return part.removeprefix("<think>").lstrip("\n")
        if self.renderer.settings.kind == "chat":
            return part
        return (" " if self.renderer.render(prompt).endswith(":") else "\n") + part


def encode_preferences(
    sources: Iterable[Preferences],
    encoder: ResponseEncoder,
    loss: RewardLossSettings,
    overlong: str,
) -> PreferenceExamples:
    """Encode what was read; overlong: "refuse", "drop" or "cut".

    Raises UserError with the first ten rows of a source that are over-long or lack the part to
    score, and where nothing is left.
    """
    items: list[PreferenceExample] = []
    counts = {"dropped": 0, "cut": 0}
    useless: Counter[str] = Counter()
    for source in sources:
        faults = FaultyRows(source.origin)
        for row, item in zip(source.rows, source.items, strict=True):
            try:
                encoded = _encode_item(item, encoder)
            except _UselessRowError as fault:
                if fault.overlong and overlong == "drop":
                    counts["dropped"] += 1
                elif source.drops:
                    useless[fault.reason] += 1
                else:
                    faults.add(row, f'{fault}; mend it, or set unusable = "drop"')
                continue
            if any(found.cut for found in encoded):
                if overlong == "refuse":
                    faults.add(row, _overlong(encoder))
                    continue
                counts["cut" if overlong == "cut" else "dropped"] += 1
                if overlong == "drop":
                    continue
            items.append(_example(item, encoded, loss))
        faults.raise_if_any()
    if not items:
        reasons = [f"{n} ({reason})" for reason, n in sorted(useless.items())]
        if counts["dropped"] or not reasons:
            reasons.append(
                f"{counts['dropped']} longer than batch.max_tokens = {encoder.max_tokens}; raise "
                'it, or set batch.overlong = "cut"'
            )
        raise UserError(f"every row was dropped: {', '.join(reasons)}.")
    return PreferenceExamples(items, counts, dict(useless))


def _encode_item(item: Preference, encoder: ResponseEncoder) -> list[EncodedResponse]:
    if isinstance(item, StepLabels):
        steps = encoder.encode_steps(item.prompt, joined(item.steps, encoder.separator))
        if all(math.isnan(_least_of(item, members)) for members in steps.members):
            raise _UselessRowError(
                f"no step within the limit of {encoder.max_tokens} tokens (batch.max_tokens) has "
                "a label",
                "no labelled step below batch.max_tokens",
                overlong=True,
            )
        return [steps]
    named = (
        [("chosen", item.chosen), ("rejected", item.rejected)]
        if isinstance(item, Pair)
        else [("response", item.response)]
    )
    encoded = []
    for name, text in named:
        part = encoder.part_of(text)
        if part is None:
            raise _UselessRowError(
                f'{name} has nothing after its thinking to score (part = "answer")',
                "nothing after the thinking",
            )
        encoded.append(encoder.encode(item.prompt, part, item.earlier))
    if len(encoded) == 2 and encoded[0].response_ids == encoded[1].response_ids:
        if not any(found.cut for found in encoded):
            raise _UselessRowError(
                "chosen and rejected do not differ in the part that is scored", "equal scored parts"
            )
        raise _UselessRowError(
            "chosen and rejected do not differ in what the limit leaves of them",
            "equal once cut",
            overlong=True,
        )
    return encoded


def _example(
    item: Preference, encoded: list[EncodedResponse], loss: RewardLossSettings
) -> PreferenceExample:
    if isinstance(item, StepLabels):
        [found] = encoded
        targets = tuple(_least_of(item, members) for members in found.members)
        responses = (found.response_ids,)
        return PreferenceExample(found.prompt_ids, responses, 0.0, item, found.ends, targets)
    if isinstance(item, Pair):
        target = loss.margin + loss.row_margin_weight * item.margin
    else:
        target = float(item.positive)
    return PreferenceExample(
        encoded[0].prompt_ids, tuple(found.response_ids for found in encoded), target, item
    )


def _least_of(item: StepLabels, members: Sequence[int]) -> float:
    """The label of steps that one token ends: the least known one, NaN where none is known."""
    labels = (item.labels[n] for n in members)
    return min((label for label in labels if label is not None), default=math.nan)


def _overlong(encoder: ResponseEncoder) -> str:
    return (
        f"longer than the limit of {encoder.max_tokens} tokens (batch.max_tokens); shorten it, or "
        'set batch.overlong = "drop" or "cut"'
    )

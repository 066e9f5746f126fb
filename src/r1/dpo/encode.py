"""From pairs to token ids: what is asked, once, and two responses with their end tokens.

Both responses are written as fine-tuning writes them (`r1.sft.encode`), each behind the same
prompt, so that the policy is trained on the very tokens it would sample. The tokens before the
response must be equal in both, which is verified: they share one prompt in the row.

Left out on purpose: responses of several turns, and a learnt part that begins where the two begin
to differ.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from r1.data.rows import FaultyRows, RowError
from r1.dpo.settings import DPOLossSettings, DPORecipe
from r1.errors import UserError
from r1.preferences.examples import PreferenceExample
from r1.preferences.types import Pair, Preferences
from r1.sft.encode import ConversationEncoder, EncodedExample
from r1.sft.rows import Conversation
from r1.sft.settings import ExampleSettings

ROWS_AT_ONCE = 256


EQUAL = "equal tokens"


class _EqualTokensError(RowError):
    """A pair whose two texts are the same tokens, which teaches nothing."""


class EncodedPairs(NamedTuple):
    """All pairs of a run; counts: how many were "dropped" or "truncated" as over-long, how many
    responses are "open" (their last token is not the end token), and how many pairs a source with
    unusable = "drop" lost to EQUAL (absent where none)."""

    items: list[PreferenceExample]
    counts: dict[str, int]

    @property
    def lengths(self) -> np.ndarray:
        """Row tokens of each pair."""
        return np.array([item.num_tokens for item in self.items])


class PairEncoder:
    """Encodes pairs for one tokenizer and recipe.

    Raises UserError on construction where the template is "chat" and the tokenizer has none.
    """

    def __init__(self, tokenizer: Any, recipe: DPORecipe, max_tokens: int) -> None:
        own = recipe.examples
        settings = ExampleSettings(turns="last", response=own.response, join=own.join)
        self.conversations = ConversationEncoder(tokenizer, recipe.template, settings)
        self.loss, self.overlong, self.max_tokens = recipe.loss, own.overlong, max_tokens
        self.end = tokenizer.eos_token_id
        self.counts = Counter({"dropped": 0, "truncated": 0, "open": 0})

    def encode(self, pairs: Sequence[Pair]) -> list[PreferenceExample | RowError | None]:
        """Encode some; a RowError stands where one cannot be, None where one is dropped."""
        both = [
            _conversation(pair, text) for pair in pairs for text in (pair.chosen, pair.rejected)
        ]
        encoded = self.conversations.encode(both)
        found: list[PreferenceExample | RowError | None] = []
        for pair, (chosen, rejected) in zip(
            pairs, zip(encoded[::2], encoded[1::2], strict=True), strict=True
        ):
            try:
                found.append(self._pair(pair, chosen, rejected))
            except RowError as fault:
                found.append(fault)
        return found

    def _pair(
        self, pair: Pair, chosen: EncodedExample | RowError, rejected: EncodedExample | RowError
    ) -> PreferenceExample | None:
        prompts, responses = [], []
        for name, one in (("chosen", chosen), ("rejected", rejected)):
            if isinstance(one, RowError):
                raise RowError(f"{name}: {one}")
            start = one.learnt.index(True)
            prompts.append(one.token_ids[:start])
            responses.append(one.token_ids[start:])
        if prompts[0] != prompts[1] or not prompts[0]:
            raise RowError(
                "chosen and rejected do not follow the same prompt tokens; set "
                'examples.response = "verbatim"'
            )
        self.counts["open"] += sum(ids[-1] != self.end for ids in responses)
        room = self.max_tokens - len(prompts[0])
        if max(map(len, responses)) > room:
            if self.overlong == "refuse":
                raise RowError(
                    f"longer than the limit of {self.max_tokens} tokens (batch.max_tokens); "
                    'shorten it, or set examples.overlong = "drop" or "truncate"'
                )
            responses = [ids[: max(0, room)] for ids in responses]
            if self.overlong == "drop" or responses[0] == responses[1]:
                self.counts["dropped"] += 1
                return None
            self.counts["truncated"] += 1
        if responses[0] == responses[1]:
            raise _EqualTokensError(
                "chosen and rejected are the same tokens, so nothing is preferred; mend it, or set "
                'unusable = "drop"'
            )
        chosen_ids, rejected_ids = (array("I", ids) for ids in responses)
        return PreferenceExample(
            tuple(prompts[0]), (chosen_ids, rejected_ids), _asked(pair, self.loss), pair
        )


def encode_pairs(sources: Iterable[Preferences], encoder: PairEncoder) -> EncodedPairs:
    """Encode what was read.

    Raises UserError with the first ten rows of a source that cannot be encoded or are over-long,
    and where nothing is left.
    """
    items: list[PreferenceExample] = []
    before = dict(encoder.counts)
    for source in sources:
        faults = FaultyRows(source.origin)
        for start in range(0, len(source.items), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            pairs = [item for item in source.items[part] if isinstance(item, Pair)]
            for row, one in zip(source.rows[part], encoder.encode(pairs), strict=True):
                if isinstance(one, _EqualTokensError) and source.drops:
                    encoder.counts[EQUAL] += 1
                elif isinstance(one, RowError):
                    faults.add(row, str(one))
                elif one is not None:
                    items.append(one)
        faults.raise_if_any()
    counts = {name: n - before.get(name, 0) for name, n in encoder.counts.items()}
    if not items:
        raise UserError(
            f"every pair was dropped ({counts[EQUAL]} for {EQUAL}); give others."
            if counts.get(EQUAL)
            else f"every pair is longer than batch.max_tokens = {encoder.max_tokens}; raise it, or "
            "shorten the responses."
        )
    return EncodedPairs(items, counts)


def _asked(pair: Pair, loss: DPOLossSettings) -> float:
    return loss.asked_margin + loss.row_margin_weight * pair.margin


def _conversation(pair: Pair, response: str) -> Conversation:
    turns = [*pair.earlier, ("user", pair.prompt), ("assistant", response)]
    return Conversation(0, None, tuple({"role": role, "content": text} for role, text in turns))

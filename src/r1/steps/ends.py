"""Where steps end in tokens: at the last token that holds a part of the step.

A tokenizer may merge the line break with what is before it, or with what follows; the token that
holds the break is the last one that the step's score may look at. Two steps of which one token
holds both ends are one step (`Merged`).

Shapes: T tokens.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple


class TokenSteps(NamedTuple):
    """Tokens of a response, and its steps there. ends[j]: index of the last token of step j, in
    rising order; members[j]: which of the given steps it is made of."""

    token_ids: list[int]
    ends: list[int]
    members: list[list[int]]


def encode_steps(tokenizer: Any, steps: Sequence[str]) -> TokenSteps:
    """Encode the joined steps as one text, and find their ends; `tokenizer` must be a fast one."""
    found = tokenizer("".join(steps), add_special_tokens=False, return_offsets_mapping=True)
    starts_T = [start for start, _ in found["offset_mapping"]]
    bounds = accumulate(map(len, steps))
    ends = [bisect_left(starts_T, bound) - 1 for bound in bounds]
    return _merged(list(found["input_ids"]), ends)


def find_steps(tokenizer: Any, token_ids: Sequence[int], steps: Sequence[str]) -> TokenSteps:
    """Find the ends of steps in tokens that were sampled, which may not be those of an encoder.

    The steps joined must begin the decoded text. What follows them (an end token) belongs to none.
    """
    ids = list(token_ids)
    ends, low, before = [], 0, ""
    for step in steps:
        before += step
        low = _first_holding(tokenizer, ids, before, low)
        ends.append(low)
    return _merged(ids, ends)


def _first_holding(tokenizer: Any, ids: list[int], text: str, low: int) -> int:
    """Return the first index up to which the tokens' text begins with `text`."""
    high = len(ids) - 1
    while low < high:
        middle = (low + high) // 2
        decoded = tokenizer.decode(
            ids[: middle + 1], skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        if decoded.startswith(text):
            high = middle
        else:
            low = middle + 1
    return low


def _merged(token_ids: list[int], ends: Sequence[int]) -> TokenSteps:
    """Join steps that end at one token, and those before the first token with the next."""
    found = TokenSteps(token_ids, [], [])
    for number, end in enumerate(ends):
        end = max(end, 0)
        if found.ends and found.ends[-1] >= end:
            found.members[-1].append(number)
        else:
            found.ends.append(end)
            found.members.append([number])
    return found

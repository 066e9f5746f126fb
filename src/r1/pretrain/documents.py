"""The corpus as groups for the packed forward pass: no padding, and no document sees another."""

from __future__ import annotations

import random

from transformers import PreTrainedTokenizerFast

from r1.data.tiny.corpus import draw_document
from r1.types import TrainGroup, TrainResponse


def draw_groups(
    tokenizer: PreTrainedTokenizerFast, num_tokens: int, seed: int, step: int
) -> list[TrainGroup]:
    """Documents of a step, by (seed, step) alone, until they hold at least num_tokens tokens.

    A document's first token is its group's prompt, all that follows (and an end token) its one
    response: every token but the first is predicted.
    """
    rng = random.Random(f"corpus/{seed}/{step}")
    groups: list[TrainGroup] = []
    held = 0
    while held < num_tokens:
        token_ids = [*tokenizer(draw_document(rng).text).input_ids, tokenizer.eos_token_id]
        response = TrainResponse(token_ids[1:], engine_logprobs=[], advantages=[])
        groups.append(TrainGroup((token_ids[0],), [response]))
        held += len(token_ids)
    return groups

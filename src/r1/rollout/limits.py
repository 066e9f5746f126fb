"""Limits of a response's length, and requests that no engine can answer."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from r1.errors import UserError
from r1.rollout.settings import SamplingSettings
from r1.types import GroupRequest

logger = logging.getLogger(__name__)


def response_limit(request: GroupRequest, sampling: SamplingSettings, context: int) -> int:
    """Return the response's token limit: max_new_tokens, or the rest of the context.

    Raises UserError for a prompt that is empty or leaves no room, and for a group of no samples.
    """
    length = len(request.prompt_ids)
    if not length:
        raise UserError(f"problem {request.id}: the prompt has no tokens")
    if not request.seeds:
        raise UserError(f"problem {request.id}: no samples are asked for (no seeds)")
    if length > context - 1:
        raise UserError(
            f"problem {request.id}: its prompt has {length} tokens, but the model's context "
            f"is {context} and a response needs at least one: shorten or drop the problem"
        )
    return min(sampling.max_new_tokens, context - length)


def tell_of_short_room(
    whose: str, prompt_lengths: Sequence[int], max_new_tokens: int, context: int
) -> None:
    """Warn of prompts that leave a response less than max_new_tokens, with their number."""
    rooms = [context - length for length in prompt_lengths]
    num_short = sum(room < max_new_tokens for room in rooms)
    if num_short:
        logger.warning(
            "%s of %s %s leave a response less than max_new_tokens = %s of the model's context of "
            "%s tokens (the longest prompt leaves %s): responses to them are cut there. Lower "
            "max_new_tokens, or shorten these prompts or leave them out.",
            *(num_short, len(rooms), whose, max_new_tokens, context, min(rooms)),
        )

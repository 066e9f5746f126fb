"""How long a response may get, and which requests no engine can answer."""

from __future__ import annotations

from r1.errors import UserError
from r1.rollout.settings import SamplingSettings
from r1.types import GroupRequest


def response_limit(request: GroupRequest, sampling: SamplingSettings, context: int) -> int:
    """Most tokens the response may have: max_new_tokens, or what the context leaves.

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

"""The interface to the model that writes the replies: an endpoint, or an engine of the project."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

BYTES_PER_TOKEN = 3
"""Of the estimate where nothing better is known; on the low side, so as not to overspend."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply and its cost. finish_reason is "length" if it was cut off.

    first_token: what the first token might have been, each with its natural log-probability, of
    tokens as short as a label; empty where the endpoint gave none. thinking: what a reasoning
    model's endpoint gives apart from the text.
    """

    text: str
    finish_reason: str
    tokens_in: int
    tokens_out: int
    first_token: tuple[tuple[str, float], ...] = ()
    thinking: str = ""


class NoReplyError(Exception):
    """One try brought no reply.

    cause: a short word for the counts ("429", "500", "timeout", "truncated", "unreachable", ...).
    again: whether another try may succeed. retry_after_s: how long all requests should wait first,
    if the endpoint says so. maybe_billed: the endpoint may have done the work and want its money.
    """

    def __init__(
        self,
        cause: str,
        detail: str,
        *,
        again: bool = True,
        retry_after_s: float | None = None,
        maybe_billed: bool = False,
    ) -> None:
        super().__init__(detail)
        self.cause = cause
        self.again = again
        self.retry_after_s = retry_after_s
        self.maybe_billed = maybe_billed


class ChatModel(Protocol):
    """Answers prompts; used from one event loop."""

    identity: dict[str, Any]
    """JSON of everything about the model that decides what it replies: part of cache keys."""

    async def ask(self, prompt: str) -> Reply:
        """Return a reply. Raises NoReplyError, or UserError if no prompt can succeed."""

    async def check(self) -> None:
        """Raise UserError within seconds if the endpoint, the key or the model cannot work."""

    async def close(self) -> None:
        """Release connections and threads."""


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text has, erring on the high side."""
    return max(1, math.ceil(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN))

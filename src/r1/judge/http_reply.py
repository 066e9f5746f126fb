"""Parse an endpoint's reply without trusting it: every number is bounded, every text scrubbed."""

from __future__ import annotations

import email.utils
import json
import math
from typing import Any

from r1.judge.model import NoReplyError, Reply, estimate_tokens
from r1.judge.scrub import KeyScrubber

MAX_TOKENS = 10**8
"""A reply cannot have more tokens, whatever the endpoint counts: then an estimate stands."""
MAX_WORDS_CHARS = 200
MAX_ALTERNATIVES, MAX_LABEL_CHARS = 20, 4
"""Of a first token, those that are kept: so many, and none longer."""


def retry_after_s(value: str | None, now: float) -> float | None:
    """Return the seconds of a Retry-After header (a number or a date), None without one.

    now: seconds since 1970.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if seconds < float("inf") else None


def read_replies(text: str, prompt: str, scrub: KeyScrubber) -> list[Reply]:
    """Read a completion's JSON, a reply for each choice, in their order.

    A reply has the thinking that the endpoint gives apart. The prompt's tokens are the first
    reply's; those of several choices, which are counted together, are shared by their length.
    Raises NoReplyError if the JSON is cut short or has another form.
    """
    try:
        body = read_json(text)
    except ValueError:
        raise NoReplyError("truncated", "the reply is no whole JSON", maybe_billed=True) from None
    try:
        choices = [_choice(choice) for choice in body["choices"]]
        if not choices:
            raise LookupError
    except (LookupError, TypeError, AttributeError):
        raise NoReplyError("schema", "the reply is no completion", maybe_billed=True) from None
    usage = body.get("usage")
    lengths = [estimate_tokens(thinking + content) for content, _, thinking in choices]
    written = _count(usage, "completion_tokens") or sum(lengths)
    read = _count(usage, "prompt_tokens") or estimate_tokens(prompt)
    return [
        Reply(
            scrub(content),
            scrub(finish_reason)[:40],
            read if number == 0 else 0,
            max(1, round(written * lengths[number] / sum(lengths))),
            _first_token(body["choices"][number], scrub),
            scrub(thinking),
        )
        for number, (content, finish_reason, thinking) in enumerate(choices)
    ]


def _choice(choice: Any) -> tuple[str, str, str]:
    """Return content, finish reason and thinking. Raises TypeError for what is no text."""
    message = choice["message"]
    content = message.get("content") or ""
    finish_reason = choice.get("finish_reason") or "stop"
    thinking = message.get("reasoning_content") or message.get("reasoning") or ""
    if not isinstance(content, str) or not isinstance(finish_reason, str):
        raise TypeError
    return content, finish_reason, thinking if isinstance(thinking, str) else ""


def _first_token(choice: Any, scrub: KeyScrubber) -> tuple[tuple[str, float], ...]:
    """The short alternatives of a reply's first token; none of what spells the key."""
    try:
        alternatives = choice["logprobs"]["content"][0]["top_logprobs"][:MAX_ALTERNATIVES]
        pairs = [(one["token"], one["logprob"]) for one in alternatives]
    except (LookupError, TypeError):
        return ()
    found = tuple(
        (token, float(min(logprob, 0)))
        for token, logprob in pairs
        if isinstance(token, str) and len(token) <= MAX_LABEL_CHARS
        if type(logprob) in (int, float) and math.isfinite(logprob)
    )
    spelled = "".join(token for token, _ in found)
    return found if scrub(spelled) == spelled else ()


def read_json(text: str) -> Any:
    """Parse an endpoint's JSON. Raises ValueError, also for nesting that is too deep."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _count(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if type(value) is int and 0 < value <= MAX_TOKENS else 0


def model_names(text: str) -> list[str]:
    """Return the models of an endpoint's list; none if it is no such list."""
    try:
        return [str(model["id"])[:MAX_WORDS_CHARS] for model in read_json(text)["data"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []


def error_words(text: str) -> str:
    """Return the endpoint's error message, or its whole text if there is none."""
    try:
        body = read_json(text)
    except ValueError:
        return text
    error = body.get("error", body) if isinstance(body, dict) else body
    words = error.get("message", error) if isinstance(error, dict) else error
    return words if isinstance(words, str) else text

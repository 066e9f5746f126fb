"""What a benchmark adds to its judge's settings: a place for replies, and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r1.judge.ask import CACHE_NAME
from r1.judge.settings import JudgeSettings

TOP_LOGPROBS = 5
"""Alternatives of the first token that are asked for, as AlpacaEval does."""
LABEL_TOKENS = 16
"""Longest reply that is a label, unless the settings name another."""


def prepared(settings: JudgeSettings, folder: Path, first_token: bool) -> JudgeSettings:
    """Return the settings for one benchmark: its folder's cache, and log-probabilities if its
    tasks are read by them.

    `logprobs = false` in extra_body asks for none: the text is read.
    """
    changed: dict[str, Any] = {}
    if settings.cache is None:
        changed["cache"] = folder / CACHE_NAME
    if first_token:
        asked = {"logprobs": True, "top_logprobs": TOP_LOGPROBS} | settings.extra_body
        if not asked["logprobs"]:
            asked = {name: asked[name] for name in asked if "logprobs" not in name}
        changed["extra_body"] = asked
        if "max_tokens" not in settings.model_fields_set:
            changed["max_tokens"] = LABEL_TOKENS
    return settings.model_copy(update=changed)

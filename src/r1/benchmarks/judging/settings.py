"""The judge of a benchmark, by an address and a model, or by a file.

--judge http://localhost:8000/v1#my-judge      a server; the key from OPENAI_API_KEY if it is set
--judge judge.toml                             the keys of a recipe's [rewards.judge]
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1.config import read_toml, validate
from r1.errors import UserError
from r1.judge.settings import JudgeSettings

CACHE_NAME = "judge.jsonl"
TOP_LOGPROBS = 5
"""Alternatives of the first token that are asked for, as AlpacaEval does."""
LABEL_TOKENS = 16
"""Longest reply that is a label, unless the settings name another."""
KEY_VARIABLE = "OPENAI_API_KEY"


def read_judge(given: str) -> JudgeSettings:
    """Return a judge's settings from URL#MODEL or the path of a TOML file.

    Raises UserError for an address without a model, a missing file or an impossible value.
    """
    if not given.startswith(("http://", "https://")):
        if not Path(given).is_file():
            raise UserError(
                f"--judge {given}: no such file; give URL#MODEL of an OpenAI-compatible endpoint, "
                "or a TOML file with the keys of [rewards.judge]."
            )
        return _checked(read_toml(Path(given)), given)
    address, _, model = given.partition("#")
    if not model:
        raise UserError(f"--judge {given} names no model; give URL#MODEL.")
    key = KEY_VARIABLE if os.environ.get(KEY_VARIABLE, "").strip() else ""
    return _checked({"base_url": address, "model": model, "api_key_env": key}, "--judge")


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


def _checked(values: Mapping[str, Any], origin: str) -> JudgeSettings:
    settings = validate(values, JudgeSettings, origin)
    if settings.votes != 1:
        raise UserError(f"{origin}: votes = {settings.votes}; a benchmark takes one reply a task.")
    return settings

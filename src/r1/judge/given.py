"""The judge that a command is given: by an address and a model, or by a file.

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


def _checked(values: Mapping[str, Any], origin: str) -> JudgeSettings:
    settings = validate(values, JudgeSettings, origin)
    if settings.votes != 1:
        raise UserError(f"{origin}: votes = {settings.votes}; one reply a task is taken here.")
    return settings

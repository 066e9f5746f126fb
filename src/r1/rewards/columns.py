"""Turn other data sets' columns into a verifier's metadata: known names, plain JSON values."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from r1.errors import UserError
from r1.rewards.registry import find_verifier, registered_verifier

REWARDS: dict[str, tuple[str, ...]] = {"format": (), "language": ("language",)}
"""Columns of the rewards that other trainers call beside the verifiers."""
COMMON = ("answer_from",)
_CARRIED = """
    prompts completions prompt completion prompt_ids completion_ids trainer_state log_extra
    log_metric environments index split id question answer data_source ability tools_kwargs
    interaction_kwargs need_tools_kwargs num_turns rollout_reward_scores reward_model extra_info
    difficulty
"""
_TRAINERS = frozenset(_CARRIED.split())
"""Columns that trainers and their data carry for other purposes."""


def columns_read(kind: str) -> tuple[str, ...] | None:
    """Return the metadata that a verifier or reward reads; None if it may read any."""
    if kind in REWARDS:
        return (*REWARDS[kind], *COMMON)
    verifier = registered_verifier(kind)
    if verifier is None or verifier.reads is None:
        return None
    return (*verifier.reads, *verifier.reads_json, *COMMON)


def needs_reference(kind: str) -> bool:
    """Whether a verifier or reward compares responses with a column of gold answers."""
    verifier = registered_verifier(kind)
    return kind not in REWARDS and (verifier is None or verifier.needs_reference)


def check_named(kind: str, metadata: Mapping[str, Any]) -> None:
    """Raise UserError for an unknown verifier, and for metadata that it does not read (a plugin's
    may read any)."""
    if kind not in REWARDS:
        find_verifier(kind)
    valid = columns_read(kind)
    if valid is None:
        return
    for key in metadata:
        if key not in valid:
            near = difflib.get_close_matches(key, valid, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"it reads: {', '.join(valid)}."
            raise UserError(f"{kind}: {key!r} is not among what it reads; {hint}")


def unused_columns(kind: str, names: Iterable[str], reference: str) -> list[str]:
    """Return the columns that nothing reads, except those that trainers add."""
    read = columns_read(kind)
    if read is None:
        return []
    used = {*read, reference} | _TRAINERS
    return sorted(name for name in names if name not in used)


def plain_metadata(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata that the verifier reads, as JSON values without nulls.

    Structured values may come as JSON text, as tables without nested columns hold them.
    """
    read, verifier = columns_read(kind), registered_verifier(kind)
    structured = verifier.reads_json if verifier else ()
    found = {
        name: _from_json(plain(value)) if name in structured else plain(value)
        for name, value in given.items()
        if read is None or name in read
    }
    return {name: value for name, value in found.items() if value is not None}


def plain(value: Any) -> Any:
    """Return a value as JSON types: arrays as lists, their scalars as Python's."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def plain_text(gold: Any) -> str | None:
    """Return a gold answer as text, also from a number or a list of one; None if it is none."""
    value = plain(gold)
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str) and value.startswith('["'):
        listed = _from_json(value)
        value = listed[0] if isinstance(listed, list) and len(listed) == 1 else value
    return None if value is None or isinstance(value, list | dict) else str(value)


def _from_json(value: Any) -> Any:
    """Return the list or table that a text holds as JSON; any other value as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value  # the verifier says what it wants instead
    return value

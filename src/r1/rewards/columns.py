"""Turn other data sets' columns into a verifier's metadata: known names, plain JSON values."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from r1.errors import UserError

KNOWN: dict[str, tuple[str, ...]] = {
    "math": (),
    "exact": ("aliases", "case"),
    "choice": ("options",),
    "letter": ("options",),
    "drop": ("golds",),
    "numeric": ("rel_tol", "abs_tol", "unit"),
    "ifeval": ("instruction_id_list", "kwargs"),
    "reasoning_gym": ("task", "entry", "parameters"),
    "code": (
        "language", "tests", "test_program", "entry", "checker", "order", "tolerance", "compare",
        "case", "before", "after", "time_limit_s", "memory_mb",
    ),
    "judge": (),
    "none": (),
    "afterwards": ("question", "baseline", "difficulty"),
    "format": (),
    "language": ("language",),
}  # fmt: skip
"""Metadata that each verifier reads; a plugin's is given every column."""
COMMON = ("answer_from",)
_CARRIED = """
    prompts completions prompt completion prompt_ids completion_ids trainer_state log_extra
    log_metric environments index split id question answer data_source ability tools_kwargs
    interaction_kwargs need_tools_kwargs num_turns rollout_reward_scores reward_model extra_info "
    difficulty
"""
_TRAINERS = frozenset(_CARRIED.split())
"""Columns that trainers and their data carry for other purposes."""
_LISTS = "aliases options golds instruction_id_list kwargs entry parameters tests checker"
_STRUCTURED = frozenset(_LISTS.split())


def check_named(kind: str, metadata: Mapping[str, Any]) -> None:
    """Raise UserError for metadata that the verifier does not read (a plugin's may read any)."""
    known = KNOWN.get(kind)
    for key in metadata if known is not None else ():
        valid = [*(known or ()), *COMMON]
        if key not in valid:
            near = difflib.get_close_matches(key, valid, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"it reads: {', '.join(valid)}."
            raise UserError(f"{kind}: {key!r} is not among what it reads; {hint}")


def unused_columns(kind: str, names: Iterable[str], reference: str) -> list[str]:
    """Return the columns that nothing reads, except those that trainers add."""
    if kind not in KNOWN:
        return []
    used = {*KNOWN[kind], *COMMON, reference} | _TRAINERS
    return sorted(name for name in names if name not in used)


def plain_metadata(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata that the verifier reads, as JSON values without nulls.

    Structured values may come as JSON text, as tables without nested columns hold them.
    """
    names = given if kind not in KNOWN else [n for n in given if n in (*KNOWN[kind], *COMMON)]
    found = {name: _parsed(name, plain(given[name])) for name in names}
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
        listed = _parsed("options", value)
        value = listed[0] if isinstance(listed, list) and len(listed) == 1 else value
    return None if value is None or isinstance(value, list | dict) else str(value)


def _parsed(name: str, value: Any) -> Any:
    if name in _STRUCTURED and isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            return value  # the verifier says what it wants instead
    return value

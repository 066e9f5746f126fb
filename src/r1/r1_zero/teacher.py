"""The teacher of a recipe that distils: find its folder, and refuse one that reads other tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r1.endpoint.settings import is_endpoint
from r1.errors import SettingError, UserError, prefixed
from r1.evaluation.source import find_weights
from r1.models.load import check_model_folder, load_tokenizer
from r1.r1_zero.settings import R1ZeroRecipe

_SHOWN = 3


def find_teacher(recipe: R1ZeroRecipe, base_folder: Path, tokenizer: Any) -> str | None:
    """Return the folder or hub id of the recipe's teacher; None where its algorithm has none.

    tokenizer: the student's. Raises UserError for a broken folder and for another tokenizer.
    """
    named = recipe.algorithm.teacher_model
    if named is None:
        return None
    setting = f"{recipe.algorithm_name}.teacher = {named!r}"
    if is_endpoint(named):
        raise SettingError(
            f"{setting}: an endpoint tells no log-probabilities of the student's tokens; give a "
            "folder, a run or a Hub id."
        )
    try:
        teacher = find_weights(named, base_folder)
        check_model_folder(teacher)
    except UserError as refusal:
        raise prefixed(refusal, setting) from None
    _check_same_tokens(tokenizer, load_tokenizer(teacher), setting)
    return teacher


def _check_same_tokens(student: Any, teacher: Any, setting: str) -> None:
    """Raise UserError unless both give every token the same id.

    Only ids reach the teacher, so how a text is cut into tokens is the student's affair.
    """
    own, theirs = student.get_vocab(), teacher.get_vocab()
    if own == theirs:
        return
    odd = sorted(t for t in own.keys() | theirs.keys() if own.get(t) != theirs.get(t))
    shown = ", ".join(
        f"{token!r} ({own.get(token, 'none')} here, {theirs.get(token, 'none')} there)"
        for token in odd[:_SHOWN]
    )
    raise SettingError(
        f"{setting}: its tokenizer is not the student's. {len(odd):,} of {len(own):,} tokens have "
        f"another id: {shown}. The teacher reads the ids that the student draws, so take a teacher "
        "with the same tokenizer; or let it write examples and train on those (docs/sft.md)."
    )

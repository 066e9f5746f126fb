"""Reward functions in the form that other trainers call: TRL's and verl's.

    from r1.rewards import trl_reward
    GRPOTrainer(reward_funcs=[trl_reward("math", reference="solution"), trl_reward("format")], …)

verl: this file is its `custom_reward_function.path`, `compute_score` the name.

Only the assistant's last message of a dialogue is judged, never a tool's or a user's. If the prompt
ended in `<think>`, nothing before the `</think>` is judged. A gold answer that cannot be verified
gives no verdict (None for TRL, 0 for verl): it is logged once, and `r1.rewards.library.counts()`
counts it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from r1.errors import UserError
from r1.rewards.columns import (
    check_named,
    needs_reference,
    plain_metadata,
    plain_text,
    unused_columns,
)
from r1.rewards.turns import final_turn, leaves_thinking_open, question_of
from r1.types import Outcome, Problem, Score

TRLReward = Callable[..., "list[float | None]"]
_said: set[str] = set()


def trl_reward(
    kind: str = "math", reference: str = "answer", *, opened: bool | None = None, **metadata: Any
) -> TRLReward:
    """Return a function for TRL's `reward_funcs`; it gives None for a response without a verdict.

    kind: "format", "language" or the name of a verifier ("math", "choice", "exact", "code", …).
    reference: the column with the gold answers. opened: whether prompts end in `<think>`; None
    reads it off each prompt, which shows it only where no chat template adds the tag. Columns that
    the verifier knows ("options", "rel_tol", "tests", …) and "answer_from" are used where the data
    have them; metadata hold for every row. Raises UserError for metadata of another verifier.
    """
    check_named(kind, metadata)
    name = f"{kind}_reward"

    def reward(
        prompts: Sequence[Any], completions: Sequence[Any], **columns: Any
    ) -> list[float | None]:
        if reference not in columns and needs_reference(kind):
            raise UserError(
                f"{name}: the data have no column {reference!r} with gold answers; "
                f'name it: trl_reward("{kind}", reference="…").'
            )
        if unused := unused_columns(kind, columns, reference):
            _say(f"{name}: columns that the verifier {kind!r} does not read: {', '.join(unused)}")
        rows = [
            _JudgedRow(
                _response(completion, prompt, opened),
                question_of(prompt),
                columns[reference][i] if columns.get(reference) is not None else None,
                {k: v[i] for k, v in columns.items() if k != reference and _has(v, i)} | metadata,
            )
            for i, (prompt, completion) in enumerate(zip(prompts, completions, strict=True))
        ]
        return [score.value if score.outcome.is_verdict else None for score in _judge(kind, rows)]

    reward.__name__ = name
    return reward


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | str | None = None,
    **_: Any,
) -> float:
    """Score one response for verl: one number, 0 without a verdict.

    extra_info may hold "verifier" (math), "question", "answer_from", "opened" (the prompt ended in
    `<think>`) or "prompt" (from which that is read), and what the verifier needs ("options",
    "rel_tol", "tests", …). `r1.rewards.library.counts()` tells failures from wrong answers.
    """
    given = json.loads(extra_info) if isinstance(extra_info, str) else extra_info
    extra = dict(given or {})
    verifier = str(extra.pop("verifier", "math"))
    prompt = extra.pop("prompt", None)
    question = str(extra.pop("question", None) or question_of(prompt))
    opened = extra.pop("opened", None)
    if unused := unused_columns(verifier, extra, ""):
        _say(f"compute_score: extra_info that {verifier!r} does not read: {', '.join(unused)}")
    row = _JudgedRow(_response(solution_str, prompt, opened), question, ground_truth, extra)
    return _judge(verifier, [row])[0].value


class _JudgedRow:
    """One response and the data that it is judged with."""

    def __init__(self, text: str, question: str, gold: Any, given: Mapping[str, Any]) -> None:
        self.text = text
        self.question = question
        self.gold = gold
        self.given = given


def _judge(kind: str, rows: Sequence[_JudgedRow]) -> list[Score]:
    from r1.rewards import library

    if kind == "format":
        return [library.format_reward(row.text) for row in rows]
    if kind == "language":
        return [
            library.language_reward(row.text, str(row.given.get("language") or "en"))
            for row in rows
        ]
    problems = [
        Problem(
            f"row-{i}",
            row.question,
            plain_text(row.gold),
            kind,
            metadata=plain_metadata(kind, row.given),
        )
        for i, row in enumerate(rows)
    ]
    scores = library.judge_all([row.text for row in rows], problems)
    for row, score in zip(rows, scores, strict=True):
        if score.outcome is Outcome.VERIFIER_FAILED:
            _say(f"{kind}: no verdict on gold {str(row.gold)[:80]!r}: {score.detail}")
    return scores


def _response(completion: Any, prompt: Any, opened: bool | None) -> str:
    """Return the text to judge, with the `<think>` that the prompt already contained."""
    from r1.rewards.library import reopened

    is_open = leaves_thinking_open(prompt) if opened is None else bool(opened)
    # It opens the first message. The turns of a text are not told apart for certain: a policy may
    # write their marks itself.
    opens = isinstance(completion, str) or len(completion) == 1
    return reopened(final_turn(completion), is_open and opens)


def _has(column: Any, i: int) -> bool:
    listed = not isinstance(column, str | bytes | Mapping) and hasattr(column, "__getitem__")
    return listed and hasattr(column, "__len__") and i < len(column) and column[i] is not None


def _say(message: str) -> None:
    """Log a warning once."""
    if message not in _said and len(_said) < 1000:
        _said.add(message)
        warnings.warn(message, stacklevel=3)

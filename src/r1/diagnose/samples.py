"""Short examples of samples for people, and a second opinion on whether an answer is right.

The second opinion needs no worker: exact match after normalisation, then comparison as exact
numbers (both linear in the text). Where the reference is no number, two texts may differ and mean
the same; those go to the mathematics verifier, in a worker, which takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from r1.diagnose.view import Row, RunView
from r1.rewards.exact import score_exact
from r1.rewards.library import judge_all
from r1.rewards.numeric import read_numeric
from r1.rewards.reading import read_answer
from r1.rewards.registry import PromptForm, registered_verifier
from r1.rewards.settings import AnswerSource, RewardSettings
from r1.terminal import one_line
from r1.types import Completion, Problem, Score

MAX_EXAMPLES = 3
MAX_CHARS = 160
GUESS = 0.05
"""Relative distance up to which a number judged by tolerance is not called a guess."""

Verdict = Literal["right", "wrong", "unlike"]
"""unlike: two texts that are not the same, of which neither is a number."""

_PLAIN = RewardSettings()


def examples(rows: Sequence[Row], detail: str | None = None) -> tuple[str, ...]:
    """Return up to three samples, of different problems where possible, a line each.

    detail: the reward whose detail is shown as well.
    """
    chosen: dict[str, Row] = {}
    for row in rows:
        chosen.setdefault(row["problem_id"], row)
    picked = [*chosen.values(), *(row for row in rows if row not in chosen.values())]
    return tuple(_example(row, detail) for row in picked[:MAX_EXAMPLES])


def _example(row: Row, detail: str | None) -> str:
    wrote = one_line(row["text"], MAX_CHARS, end=True) or "(nothing)"
    wanted = "" if row.get("reference") is None else f"; wanted {one_line(row['reference'], 40)}"
    why = one_line(str(row.get(f"detail/{detail}") or ""), 120) if detail else ""
    return f"{one_line(row['problem_id'], 40)}: wrote {wrote}{wanted}{f' ({why})' if why else ''}"


class ReadSample(NamedTuple):
    """A sample with the answer that was read from it."""

    row: Row
    answer: str


def form_of(view: RunView) -> PromptForm:
    """Return the form of the run's prompts."""
    opened = view.facts.get("opens_think", view.setting("template.force_think", False))
    return PromptForm(bool(opened), tuple(view.setting("sampling.stop", ())))


def completion_of(row: Row) -> Completion:
    """Return a stored sample as a completion, without its tokens."""
    return Completion([], [], row["text"], row["finish_reason"] or "stop")


def read_with(row: Row, source: AnswerSource, form: PromptForm) -> str | None:
    """Return the answer that a source reads in a sample."""
    return read_answer(completion_of(row), source, form)


def answer_of(view: RunView, row: Row) -> str | None:
    """Return the answer that was judged, as far as the run tells."""
    return read_with(row, view.setting("rewards.answer_from", "answer"), form_of(view))


def second_opinion(row: Row, answer: str, case: bool = False) -> Verdict | None:
    """Judge an answer by exact match and as a number; None without a reference.

    case: capitals count, as a problem's metadata may have asked.
    """
    reference = row.get("reference")
    if not reference:
        return None
    if score_exact(problem_of(row, "exact", case=case), answer, _PLAIN).value:
        return "right"
    wanted, given = read_numeric(reference), read_numeric(answer)
    if wanted is None:
        return "unlike"
    return "right" if given is not None and given.value == wanted.value else "wrong"


def is_near(row: Row, answer: str) -> bool:
    """Whether a numeric answer is within GUESS of the reference."""
    wanted, given = read_numeric(row["reference"] or ""), read_numeric(answer)
    if wanted is None or given is None:
        return False
    return abs(given.value - wanted.value) <= abs(wanted.value) * GUESS


def same_by_mathematics(samples: Sequence[ReadSample]) -> list[bool | None]:
    """Judge answers by the mathematics verifier in a worker; None where it has no verdict."""
    if not samples:
        return []
    found = judge_all(
        [sample.answer for sample in samples],
        [problem_of(sample.row, "math") for sample in samples],
        answer_from="text",
    )
    return [_verdict(score) for score in found]


def _verdict(score: Score) -> bool | None:
    return score.value > 0.5 if score.outcome.is_verdict else None


def problem_of(row: Row, verifier: str, **metadata: Any) -> Problem:
    """Return a stored problem, to be judged by another verifier than its own."""
    return Problem(row["problem_id"], row["prompt"], row["reference"], verifier, metadata=metadata)


def is_own_verifier(name: str) -> bool:
    """Whether a verifier is not one of r1's: a plugin of the user's, imported here or not."""
    verifier = registered_verifier(name)
    return verifier is None or not verifier.score.__module__.startswith("r1.")

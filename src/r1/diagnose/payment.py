"""What is paid: a verifier that another one contradicts, and form above accuracy."""

from __future__ import annotations

import statistics
from typing import NamedTuple

from r1.diagnose.diagnosis import Diagnosis, check
from r1.diagnose.samples import (
    MAX_EXAMPLES,
    ReadSample,
    answer_of,
    is_near,
    is_own_verifier,
    same_by_mathematics,
    second_opinion,
)
from r1.diagnose.thresholds import threshold
from r1.diagnose.view import ACCURACY, LEAST_STEPS, Row, RunView, mean
from r1.terminal import one_line
from r1.types import Outcome

MAX_JUDGED = 100
"""Paid samples, and unpaid ones, that are judged again."""
LEAST_JUDGED = 8
FORMS = ("format", "language")


class Contradicted(NamedTuple):
    """Samples of one verdict judged again, and those that the second verifier contradicts."""

    judged: int
    against: list[ReadSample]

    @property
    def share(self) -> float:
        """Return the share that is contradicted."""
        return len(self.against) / max(1, self.judged)

    def examples(self) -> tuple[str, ...]:
        """Return up to three, a line each."""
        return tuple(
            f"{one_line(row['problem_id'], 40)}: read {one_line(answer, 80)}; "
            f"reference {one_line(str(row['reference']), 40)}"
            for row, answer in self.against[:MAX_EXAMPLES]
        )


def samples_of(view: RunView, paid: bool) -> list[ReadSample]:
    """Return samples that were paid (or not) with the answer read in each, evenly spaced."""
    if view.main_part is None:
        return []
    chosen = [row for row in view.rows if row["valid"] and _is_paid(view, row) is paid]
    chosen = chosen[:: max(1, len(chosen) // MAX_JUDGED)][:MAX_JUDGED]
    read = ((row, answer_of(view, row)) for row in chosen)
    return [ReadSample(row, answer) for row, answer in read if answer]


def _is_paid(view: RunView, row: Row) -> bool | None:
    outcome = view.outcome(row)
    return outcome == Outcome.CORRECT if outcome in (Outcome.CORRECT, Outcome.WRONG) else None


@check("pays_wrong", "samples")
def pays_wrong(view: RunView) -> Diagnosis | None:
    """Find a verifier that pays answers which another one calls wrong."""
    found = judged_again(view, paid=True)
    if found.judged < LEAST_JUDGED or found.share < threshold("disagree"):
        return None
    verifier = _verifier(found.against[0].row)
    remedy = f'verifier = "math" (now "{verifier}") in data.train, or mend the verifier'
    if verifier == "numeric":
        remedy = "a smaller rel_tol in the problems' metadata (1e-6 without one)"
    return Diagnosis(
        "pays_wrong",
        "The verifier pays answers that are wrong.",
        f"of {found.judged} paid samples of {view.steps_seen} {found_by(view)} calls "
        f"{len(found.against)} wrong ({found.share:.0%})",
        remedy,
        found.share,
        examples=found.examples(),
        explains=("at_ceiling", "all_right", "length_hacking"),
    )


@check("refuses_right", "samples")
def refuses_right(view: RunView) -> Diagnosis | None:
    """Find a verifier that refuses answers which another one calls right."""
    found = judged_again(view, paid=False)
    if found.judged < LEAST_JUDGED or found.share < threshold("disagree"):
        return None
    verifier = _verifier(found.against[0].row)
    remedy = f'verifier = "math" (now "{verifier}") in data.train'
    if verifier == "math" or is_own_verifier(verifier):
        remedy = f'mend the verifier "{verifier}", or the references'
    return Diagnosis(
        "refuses_right",
        "The verifier refuses answers that are right.",
        f"of {found.judged} samples of {view.steps_seen} called wrong {found_by(view)} calls "
        f"{len(found.against)} right ({found.share:.0%})",
        remedy,
        found.share,
        examples=found.examples(),
        explains=("all_wrong", "form_dominates"),
    )


def found_by(view: RunView) -> str:
    """Name the second verifier."""
    return "the judge" if view.judge else "a second verifier (exact match, numbers, mathematics)"


def judged_again(view: RunView, paid: bool) -> Contradicted:
    """Judge samples of one verdict again: by rules, or by the recipe's judge where asked for."""
    samples = samples_of(view, paid)
    if view.judge:
        from r1.diagnose.ask_judge import judge_samples

        verdicts = judge_samples(view, samples)
        return Contradicted(
            sum(verdict is not None for verdict in verdicts),
            [s for s, v in zip(samples, verdicts, strict=True) if v is not None and v is not paid],
        )
    against = [s for s in samples if (_pays_too_much(s) if paid else _refused(s))]
    unsure = [s for s in against if second_opinion(s.row, s.answer) == "unlike"]
    # In the midst of a run no worker is started; what only mathematics could tell is left.
    agreed = same_by_mathematics(unsure) if view.slow_too else [None] * len(unsure)
    surely = [s for s, same in zip(unsure, agreed, strict=True) if same is False]
    kept = [s for s in against if s not in unsure or s in surely]
    return Contradicted(len(samples), kept)


def _pays_too_much(sample: ReadSample) -> bool:
    """Whether a paid answer is not the reference. Of r1's verifiers only those that compare values
    are asked: others (aliases, programs, options) know more than the reference."""
    row, answer = sample
    verifier = _verifier(row)
    opinion = second_opinion(row, answer)
    if is_own_verifier(verifier):
        return opinion in ("wrong", "unlike")
    return verifier == "numeric" and opinion == "wrong" and not is_near(row, answer)


def _refused(sample: ReadSample) -> bool:
    """Whether an unpaid answer is the reference."""
    verifier = _verifier(sample.row)
    known = verifier in ("math", "exact", "numeric") or is_own_verifier(verifier)
    return known and second_opinion(*sample, case=True) == "right"


def _verifier(row: Row) -> str:
    """Return the verifier of a sample's problem; older runs do not say, and "math" claims least."""
    return row.get("verifier") or "math"


@check("form_dominates", "training")
def form_dominates(view: RunView) -> Diagnosis | None:
    """Find that what differs within groups is form, language or length, hardly ever accuracy.

    Form is learnt first, so the first steps say nothing.
    """
    if view.main_part is None or view.main_trend.rose or view.num_steps < LEAST_STEPS:
        return None
    if view.main_trend.last >= threshold("ceiling"):
        return None
    weights: dict[str, float] = view.setting("rewards.weights", {})
    spread = {name: weight**2 * _variance(view, name) for name, weight in weights.items()}
    total, own = sum(spread.values()), spread.get(ACCURACY, 0.0)
    if total <= 0 or own <= 0 or own / total >= threshold("accuracy_share"):
        return None
    other = max((name for name in spread if name != ACCURACY), key=lambda name: spread[name])
    equal = weights[ACCURACY] * (spread[other] / own) ** 0.5
    smaller = weights[other] * weights[ACCURACY] / equal
    return Diagnosis(
        "form_dominates",
        f"The reward {other!r} decides, not accuracy.",
        f"accuracy is {own / total:.0%} of the reward's variance within groups, {other} "
        f"{spread[other] / total:.0%}; accuracy {view.main_trend.first:.0%} in the first steps, "
        f"{view.main_trend.last:.0%} in the last",
        f"rewards.weights.accuracy = {equal:.2g} (now {weights[ACCURACY]:g}), with which both "
        f"weigh the same, or rewards.weights.{other} = {smaller:.2g}",
        1.0 - own / total,
    )


def _variance(view: RunView, part: str) -> float:
    """Return the mean variance of a reward's values within groups."""
    found = [statistics.pvariance(v) for g in view.last if len(v := g.values(part)) > 1]
    return mean(found) or 0.0

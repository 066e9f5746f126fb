"""Which of two models' answers a judge prefers: one evaluation beside another.

    responses of both to a problem, the first of each, the second of each, ...
        -> answers (what follows the thinking) -> five labels in both orders (r1.judge.pairwise)
        -> B's share of the pair: 1 where the two verdicts together prefer B, 0 where A, else 1/2

    win rate of B = mean over problems of the mean over their pairs, with an interval over problems

An answer that never came loses against one that did: the thinking did not end, nothing follows it,
or more than a judge is sent. Equal answers are tied unasked. Where neither came, a response failed,
or the judge gave no verdict in an order, the pair is in no share; each is counted.

    out/judge.jsonl          the judge's paid replies: nothing is paid for twice
    out/judgements.jsonl     a line a pair
    out/preference.json      the figures

Left out on purpose: AlpacaEval's length control, which needs many problems and a fitted model; the
win rate of the answers that are not longer stands beside the whole one.

Shapes: P problems.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from r1.errors import UserError
from r1.evaluation.compare import DifferenceVerdict
from r1.evaluation.stored import find_evaluation
from r1.intervals import Interval, share_interval
from r1.judge.ask import CACHE_NAME, MAX_ANSWER_CHARS, Asked, ask, require_verdict, verdict_json
from r1.judge.judge import Judge
from r1.judge.pairwise import Comparison, comparison_tasks, first_preferred, summarise_pair
from r1.judge.prompt import JudgeTask
from r1.judge.settings import JudgeSettings
from r1.judge.verdict import Verdict
from r1.rewards.reading import after_thinking
from r1.run_dir import atomic
from r1.run_dir.stored import iterate_completions
from r1.types import FAILED

JUDGEMENTS, FIGURES = "judgements.jsonl", "preference.json"


class Answer(NamedTuple):
    """An answer to a problem. text: None where none came. failed: the engine gave no response."""

    text: str | None
    failed: bool


class AnsweredProblem(NamedTuple):
    """A problem and the answers to it, by their number."""

    question: str
    family: str
    answers: dict[int, Answer]


class AnsweredEvaluation(NamedTuple):
    """An evaluation's problems by their id."""

    name: str
    problems: dict[str, AnsweredProblem]


class AnswerPair(NamedTuple):
    """Two answers to a problem."""

    problem_id: str
    family: str
    question: str
    sample: int
    first: Answer
    other: Answer

    @property
    def ending(self) -> str:
        """Whether it is "judged", or why nothing is asked."""
        one, two = self.first, self.other
        if one.failed or two.failed:
            return "failed"
        if one.text is None:
            return "neither" if two.text is None else "only other"
        if two.text is None:
            return "only first"
        return "same" if one.text == two.text else "judged"

    @property
    def tasks(self) -> tuple[JudgeTask, JudgeTask] | None:
        """What the judge is asked: both orders. None where nothing is."""
        if self.ending != "judged":
            return None
        return comparison_tasks(self.question, self.first.text or "", self.other.text or "")


class JudgedPair(NamedTuple):
    """A pair with its verdicts. compared: None where nothing was asked."""

    pair: AnswerPair
    compared: Comparison | None

    @property
    def share(self) -> float | None:
        """B's share of the pair; None where there is none."""
        if self.compared is None:
            return {"only first": 0.0, "only other": 1.0, "same": 0.5}.get(self.pair.ending)
        margin = self.compared.margin
        return None if margin is None else float(margin < 0) + 0.5 * (margin == 0)

    @property
    def not_longer(self) -> bool:
        """Whether both answers came, and B's is no longer than A's."""
        first, other = self.pair.first.text, self.pair.other.text
        return first is not None and other is not None and len(other) <= len(first)


def prefer(
    first: Path,
    other: Path,
    settings: JudgeSettings,
    out: Path,
    console: Console,
    num_samples: int = 1,
) -> dict[str, Any]:
    """Ask a judge which answers it prefers; write and return the figures.

    first, other: as of `find_evaluation`. num_samples: responses of a problem that are compared.
    Raises UserError where they have no problem in common, or the judge cannot work or gives no
    verdict at all. A call that was stopped carries on.
    """
    one, two = read_answers(first), read_answers(other)
    pairs = pair_answers(one, two, num_samples)
    out.mkdir(parents=True, exist_ok=True)
    if settings.cache is None:
        settings = settings.model_copy(update={"cache": out / CACHE_NAME})
    tasks = list(dict.fromkeys(task for pair in pairs for task in pair.tasks or ()))
    if tasks:
        with Judge(settings) as judge:
            judge.check()
    asked = ask(settings, tasks, console)
    require_verdict(asked, settings)
    judged = [JudgedPair(pair, _compared(pair, asked)) for pair in pairs]
    lines = (json.dumps(_line(each), ensure_ascii=False) + "\n" for each in judged)
    atomic.write_text(out / JUDGEMENTS, "".join(lines))
    figures = {
        "first": one.name,
        "other": two.name,
        **preference_figures(judged),
        "left_out": _left_out(one, two),
        "judge": asked.told(settings),
    }
    atomic.write_text(out / FIGURES, json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
    return figures


def read_answers(path: Path) -> AnsweredEvaluation:
    """Read an evaluation's answers. Raises UserError as `find_evaluation` does."""
    found = find_evaluation(path)
    rows = [row for file in found.files for row in iterate_completions(file)]
    forced = bool(found.settings.get("template", {}).get("force_think"))
    opened = forced or any(_closes_only(row["text"]) for row in rows)
    problems: dict[str, AnsweredProblem] = {}
    for row in rows:
        problem = problems.setdefault(
            row["problem_id"], AnsweredProblem(row["prompt"], row["family"], {})
        )
        final = (after_thinking(row["text"], opened) or "").strip()
        came = 0 < len(final) <= MAX_ANSWER_CHARS
        failed = row["finish_reason"] == FAILED
        problem.answers[row["sample"]] = Answer(final if came else None, failed)
    return AnsweredEvaluation(found.name, problems)


def _closes_only(text: str) -> bool:
    """Whether a response ends a thinking that its prompt began, as every prompt of a model does."""
    before, closing, _ = text.partition("</think>")
    return bool(closing) and "<think>" not in before


def pair_answers(
    first: AnsweredEvaluation, other: AnsweredEvaluation, num_samples: int
) -> list[AnswerPair]:
    """Return the answers to the same questions side by side, in the first's order.

    Raises UserError where there are none.
    """
    pairs = [
        AnswerPair(name, one.family, one.question, number, answer, two.answers[number])
        for name, one in first.problems.items()
        if (two := other.problems.get(name)) is not None and two.question == one.question
        for number, answer in sorted(one.answers.items())
        if number < num_samples and number in two.answers
    ]
    if not pairs:
        raise UserError(
            f"{first.name} (A) and {other.name} (B) answer no question in common; evaluate both "
            "on the same problems: r1 eval MODEL --recipe RECIPE."
        )
    return pairs


def preference_figures(judged: Sequence[JudgedPair]) -> dict[str, Any]:
    """Return what the pairs come to; shares in [0, 1], None where nothing tells them."""
    known = [each for each in judged if each.share is not None]
    compared = [each.compared for each in judged if each.compared and each.compared.num_pairs]
    families = list(dict.fromkeys(each.pair.family for each in judged))
    endings = Counter(each.pair.ending for each in judged)
    rate = win_rate(known)
    return {
        "win_rate": _json(rate),
        "verdict": str(_verdict(rate)),
        "num_problems": len({each.pair.problem_id for each in known}),
        "num_pairs": len(known),
        "won": sum(each.share == 1.0 for each in known),
        "tied": sum(each.share == 0.5 for each in known),
        "lost": sum(each.share == 0.0 for each in known),
        "families": {
            name: _json(win_rate([each for each in known if each.pair.family == name]))
            for name in families
            if len(families) > 1
        },
        "where_not_longer": _json(win_rate([each for each in known if each.not_longer])),
        "mean_chars": [
            _mean_length([each.pair.first for each in judged]),
            _mean_length([each.pair.other for each in judged]),
        ],
        "without_answer": {
            "first": endings["only other"] + endings["neither"],
            "other": endings["only first"] + endings["neither"],
            "both": endings["neither"],
        },
        "failed": endings["failed"],
        "without_verdict": endings["judged"] - len(compared),
        "position_consistency": _mean([found.consistency or 0.0 for found in compared]),
        "first_place_preferred": _mean([_first_place(found) for found in compared]),
    }


def win_rate(judged: Sequence[JudgedPair]) -> Interval | None:
    """Return B's mean share with an interval over problems; None without a pair."""
    by_problem: dict[str, list[float]] = {}
    for each in judged:
        if each.share is not None:
            by_problem.setdefault(each.pair.problem_id, []).append(each.share)
    shares_P = np.array([np.mean(shares) for shares in by_problem.values()])
    return share_interval(shares_P, num_samples=sum(map(len, by_problem.values())))


def _verdict(rate: Interval | None) -> DifferenceVerdict:
    if rate is None or rate.low <= 0.5 <= rate.high:
        return DifferenceVerdict.NOT_TOLD_APART
    return DifferenceVerdict.BETTER if rate.value > 0.5 else DifferenceVerdict.WORSE


def _first_place(found: Comparison) -> float:
    """The share of a comparison's verdicts that prefer what was shown first; a tie counts half."""
    verdicts = [v for v in (*found.forward, *found.backward) if isinstance(v, Verdict)]
    return float(np.mean([first_preferred(verdict.label) for verdict in verdicts]))


def _compared(pair: AnswerPair, asked: Asked) -> Comparison | None:
    if (tasks := pair.tasks) is None:
        return None
    forth, back = (asked.answers[task] for task in tasks)
    return summarise_pair([forth], [back])


def _left_out(first: AnsweredEvaluation, other: AnsweredEvaluation) -> dict[str, int]:
    """Numbers of problems that could not be compared, by why."""
    shared = first.problems.keys() & other.problems.keys()
    changed = [n for n in shared if first.problems[n].question != other.problems[n].question]
    return {
        "only_first": len(first.problems) - len(shared),
        "only_other": len(other.problems) - len(shared),
        "other_question": len(changed),
    }


def _line(judged: JudgedPair) -> dict[str, Any]:
    """A pair as JSON values. In the second of its verdicts B of the label is the first
    evaluation."""
    pair, compared = judged.pair, judged.compared
    return {
        "problem_id": pair.problem_id,
        "sample": pair.sample,
        "ending": pair.ending,
        "share": judged.share,
        "verdicts": [verdict_json(v) for v in (*compared.forward, *compared.backward)]
        if compared
        else [],
        "first": pair.first.text,
        "other": pair.other.text,
    }


def _json(found: Interval | None) -> dict[str, float] | None:
    return None if found is None else found._asdict()


def _mean_length(answers: Sequence[Answer]) -> float | None:
    return _mean([len(answer.text) for answer in answers if answer.text is not None])


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None

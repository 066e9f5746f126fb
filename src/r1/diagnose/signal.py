"""Groups without signal, by what they have in common: no verdict, unparseable, wrong, right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

from r1.diagnose.diagnosis import Diagnosis, check
from r1.diagnose.samples import examples, form_of, read_with, second_opinion
from r1.diagnose.thresholds import threshold
from r1.diagnose.view import Row, RunView, SampledGroup, is_unparseable
from r1.rewards.settings import AnswerSource
from r1.types import Outcome

GroupKind = Literal["no verdict", "unparseable", "all wrong", "all right", "with signal"]
SOURCES: tuple[AnswerSource, ...] = (
    "answer", "tag", "boxed", "marker", "json", "last_line", "stated", "text",
)  # fmt: skip
"""From the strictest to the most lenient; the first that reads the most right answers is named."""
MAX_READ = 200
LEAST_GROUPS = 6
"""Of fewer groups nothing is said."""
NEARLY_ALL = 0.9
"""A group with less of it unparseable has answers that were read, and are all wrong."""


def kind_of(group: SampledGroup, view: RunView) -> GroupKind:
    """Return why a group has no signal in the main part of the reward, or that it has.

    A family of problems may have no such part: of that the whole reward counts.
    """
    part = view.main_part
    if all(row.get(f"reward/{part}") is None for row in group.rows):
        part = None
    values = group.values(part)
    if len(values) < 2:
        return "no verdict"
    if max(values) - min(values) > 1e-9:
        return "with signal"
    unread = sum(is_unparseable(view.outcome(row)) for row in group.rows if row["valid"])
    if unread >= NEARLY_ALL * len(values):
        return "unparseable"
    right = sum(view.outcome(row) == Outcome.CORRECT for row in group.rows if row["valid"])
    if part is None:
        right = len(values) if values[0] > 0.99 else 0
    return "all right" if 2 * right > len(values) else "all wrong"


class GroupSplit(NamedTuple):
    """Groups of the last steps by kind."""

    counts: Counter[GroupKind]
    total: int

    def share(self, kind: GroupKind) -> float:
        """Return a kind's share of all groups."""
        return self.counts[kind] / max(1, self.total)

    def __str__(self) -> str:
        kinds = ", ".join(f"{number} {kind}" for kind, number in self.counts.most_common())
        return f"of {self.total} groups {kinds}"


def split_groups(view: RunView) -> GroupSplit:
    """Count the groups of the last steps by kind."""
    return GroupSplit(Counter(kind_of(group, view) for group in view.last), len(view.last))


def _lacks_signal(view: RunView, kind: GroupKind) -> GroupSplit | None:
    """Return the split where most groups lack signal, many for this reason, and nothing rises.

    Most: the threshold, plus two standard errors of a share of so few groups.
    """
    split = split_groups(view)
    limit = threshold("no_signal")
    surely = min(1.0, limit + 2.0 * (limit * (1.0 - limit) / max(1, split.total)) ** 0.5)
    most = split.total >= LEAST_GROUPS and 1.0 - split.share("with signal") >= surely
    named = split.share(kind) >= threshold("class_share") and not view.main_trend.rose
    return split if most and named else None


@check("verifier_failed", "samples")
def verifier_failed(view: RunView) -> Diagnosis | None:
    """Find samples that no verifier judged."""
    failed = [row for row in view.rows if not row["valid"]]
    share = len(failed) / len(view.rows)
    if share < threshold("failed"):
        return None
    parts = [key.removeprefix("outcome/") for key in view.rows[0] if key.startswith("outcome/")]
    counts = Counter(
        (part, row[f"outcome/{part}"])
        for row in failed
        for part in parts
        if row.get(f"outcome/{part}") in (Outcome.VERIFIER_FAILED, Outcome.TIMED_OUT)
    )
    (part, outcome), number = counts.most_common(1)[0] if counts else (("", ""), 0)
    slow = outcome == Outcome.TIMED_OUT
    limit = view.setting("rewards.timeout_s", 5.0)
    remedy = f"rewards.timeout_s = {4 * limit:g} (now {limit:g}), or simpler references"
    if not slow:
        remedy = (
            "correct what the details name; if a worker ran out of memory, rewards.worker_memory_mb"
            f" = {2 * view.setting('rewards.worker_memory_mb', 2048)}"
        )
    return Diagnosis(
        "verifier_failed",
        "The verifier fails, and what it does not judge teaches nothing.",
        f"{len(failed)} of {len(view.rows)} samples of {view.steps_seen} have no verdict; "
        f"reward {part!r}: {number} {outcome}",
        remedy,
        share,
        hopeless=view.nothing_learnt,
        examples=examples(failed, part),
        explains=("unparseable", "all_wrong", "form_dominates"),
    )


@check("unparseable", "samples")
def unparseable(view: RunView) -> Diagnosis | None:
    """Find that no answer is read in most responses, and the source that would read them."""
    judged = [row for row in view.rows if view.outcome(row) is not None and row["valid"]]
    unread = [row for row in judged if is_unparseable(view.outcome(row))]
    share = len(unread) / max(1, len(judged))
    if _lacks_signal(view, "unparseable") is None:
        return None
    now = view.setting("rewards.answer_from", "answer")
    better = best_source(unread, view)
    told, remedy = "; no other source of answers reads right ones", _teach_the_form(view)
    if better is not None:
        told = (
            f'; answer_from = "{better.source}" reads {len(better.read)} of {better.tried} of these'
        )
        told += f", and {better.right} of them are right"
        remedy = f'rewards.answer_from = "{better.source}" (now "{now}")'
    return Diagnosis(
        "unparseable",
        "No answer is found in most responses.",
        f"{len(unread)} of {len(judged)} samples of {view.steps_seen} are unparseable with "
        f'rewards.answer_from = "{now}"{told}',
        remedy,
        share,
        hopeless=view.nothing_learnt,
        examples=examples(better.read if better else unread, view.main_part),
        explains=("all_wrong", "form_dominates", "refuses_right"),
    )


def _teach_the_form(view: RunView) -> str:
    """Return how a model comes to answer in a form that can be read."""
    ways = ['a cold start first (a stage of kind "sft")']
    if not view.setting("rewards.weights", {}).get("format"):
        ways.insert(0, "rewards.weights.format = 1.0, which pays for the form")
    if view.setting("template.kind", "r1_zero") == "plain":
        ways.insert(0, 'template.kind = "r1_zero", which asks for the form')
    return "; or ".join(ways)


class BetterSource(NamedTuple):
    """How many unparseable samples another source of answers reads, and reads right."""

    source: AnswerSource
    tried: int
    read: list[Row]
    right: int


def best_source(unread: Sequence[Row], view: RunView) -> BetterSource | None:
    """Return the source that reads the most right answers, the strictest of those; None if none
    reads a right one.

    Where the prompts ask for tags (Table 1), these are named as soon as they read a right answer:
    the model learns what it is asked for.
    """
    form, tried = form_of(view), unread[:MAX_READ]
    asked = "answer" if view.setting("template.kind") == "r1_zero" else ""
    best: BetterSource | None = None
    for source in SOURCES:
        if source == view.setting("rewards.answer_from", "answer"):
            continue
        answers = [(row, read_with(row, source, form)) for row in tried]
        read = [(row, answer) for row, answer in answers if answer is not None]
        right = sum(second_opinion(row, answer) == "right" for row, answer in read)
        if right > (best.right if best else 0):
            best = BetterSource(source, len(tried), [row for row, _ in read], right)
            if source == asked:
                break
    return best


@check("at_ceiling", "training")
def at_ceiling(view: RunView) -> Diagnosis | None:
    """Find that the model solved its problems before training."""
    trend, limit = view.main_trend, threshold("ceiling")
    if view.main_part is None or not view.metrics:
        return None
    if trend.rose or trend.first < limit or trend.last < limit:
        return None
    split = split_groups(view)
    return Diagnosis(
        "at_ceiling",
        "The model solves these problems already.",
        f"{trend.first:.0%} right in the first steps, {trend.last:.0%} in the last; {split}",
        "harder problems in data.train (for the tiny world data.train.0.levels), or "
        f"{view.algorithm_key('dynamic_sampling')} = 2, which looks for groups with signal",
        split.share("all right"),
        hopeless=view.nothing_learnt,
        explains=("all_right",),
    )


@check("all_right", "training")
def all_right(view: RunView) -> Diagnosis | None:
    """Find groups in which every sample is right."""
    if (split := _lacks_signal(view, "all right")) is None:
        return None
    return Diagnosis(
        "all_right",
        "Most groups are all right, and compare nothing.",
        f"{split}; {view.steps_seen}",
        f"harder problems in data.train, or {view.algorithm_key('dynamic_sampling')} = 2",
        split.share("all right"),
        hopeless=view.nothing_learnt,
    )


@check("all_wrong", "training")
def all_wrong(view: RunView) -> Diagnosis | None:
    """Find groups in which every sample is wrong."""
    if (split := _lacks_signal(view, "all wrong")) is None:
        return None
    size = int(view.of_algorithm("group_size", 16))
    wrong = [row for row in view.rows if view.outcome(row) == Outcome.WRONG]
    return Diagnosis(
        "all_wrong",
        "Most groups are all wrong, and compare nothing.",
        f"{split}; {view.main_trend.last:.1%} right in {view.steps_seen}",
        "easier problems in data.train (for the tiny world data.train.0.levels); or a cold start "
        f'(a stage of kind "sft") first; or {view.algorithm_key("group_size")} = {4 * size} '
        f"(now {size}), which finds rarer right answers",
        split.share("all wrong"),
        hopeless=view.nothing_learnt,
        examples=examples(wrong, view.main_part),
        explains=("form_dominates",),
    )

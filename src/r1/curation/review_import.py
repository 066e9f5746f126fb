"""What people made of the traces, each edit checked, as a data set and a report.

Checked of every trace: its id was exported and occurs once; its question is the exported one; its
decision is keep or drop; reasoning and summary are there and hold no special token. Checked of
every edited one besides: the answer is verified again, and the readability limits where the
settings have any. White space at the ends of lines is no edit.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from r1.config import dump
from r1.curation.card import write_card
from r1.curation.cold_start import hash_of_texts
from r1.curation.filters import accuracy_of
from r1.curation.journal import Record
from r1.curation.pattern import PatternSettings
from r1.curation.review_export import edited_file, read_originals
from r1.curation.review_format import DROP, KEEP, ParsedTrace, ReviewTrace, read_edited, trace_of
from r1.curation.rows import PART, part_values, row_schema
from r1.curation.scoring import PatternScorer, ReadingScorer, answer_of
from r1.curation.settings import ReviewSettings, ShardSettings
from r1.curation.store import Store
from r1.errors import UserError
from r1.rewards.registry import PromptForm
from r1.run_dir import atomic
from r1.text.readability import readability_defects
from r1.types import Completion, Outcome, Problem, Reward, RolloutGroup

HUMAN = "human"
REPORT_JSON, REPORT_MD = "review.json", "review.md"
MAX_SHOWN, MAX_PLACES = 10, 5
MAX_DIFF_LINES = 60


@dataclass(frozen=True, slots=True)
class TraceError:
    """What is wrong with a trace; line is where it begins in the edited file, 0 if nowhere."""

    id: str
    line: int
    reason: str

    @property
    def place(self) -> str:
        """The trace, with its line."""
        return f"line {self.line}: {self.id}" if self.line else self.id

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


def _first_of(places: Sequence[str]) -> str:
    """The first traces of one fault, and how many more have it."""
    more = len(places) - MAX_PLACES
    return ", ".join(places[:MAX_PLACES]) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True)
class Change:
    """An accepted edit and its difference, line by line."""

    id: str
    diff: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """What became of the exported traces; faults tells what settings.faulty was applied to."""

    exported: int
    unchanged: int = 0
    edited: int = 0
    dropped: int = 0
    missing: int = 0
    faults: list[TraceError] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def as_markdown(self) -> str:
        """The report for people."""
        lines = ["# Review", "", "| | Traces |", "|---|---:|"]
        for name in ("exported", "unchanged", "edited", "dropped", "missing"):
            lines.append(f"| {name} | {getattr(self, name):,} |")
        lines.append(f"| faulty | {len(self.faults):,} |")
        if self.faults:
            lines += ["", "## Faults", "", *(f"* {fault}" for fault in self.faults)]
        for change in self.changes:
            fence = "`" * max(3, 1 + max(_longest_fence(line) for line in (*change.diff, "")))
            lines += ["", f"## {change.id}", "", f"{fence}diff", *change.diff, fence]
        return "\n".join(lines) + "\n"


def import_review(
    folder: Path,
    export: Path,
    problems: Mapping[str, Problem],
    scorer: ReadingScorer,
    settings: ReviewSettings,
    pattern: PatternSettings,
    *,
    count_tokens: Callable[[str], int],
    edited: Path | None = None,
) -> Report:
    """Write the reviewed traces of `export` into `folder` as a data set, with a report beside it.

    problems: by id, for the verifiers. edited: the file that people edited, where it is not one of
    the export's own. Raises UserError for what the settings refuse, naming the first ten.
    """
    originals = {row["id"]: row for row in read_originals(export)}
    path = edited or edited_file(export)
    found = list(read_edited(path))
    review = _Review(originals, problems, scorer, settings, pattern)
    review.check(found)
    review.refuse(path)
    rows = review.rows(count_tokens)
    _write(folder, rows, review, settings)
    atomic.write_json(folder / REPORT_JSON, asdict(review.report))
    atomic.write_text(folder / REPORT_MD, review.report.as_markdown())
    return review.report


class _Review:
    """The exported rows, what people made of them, and what may be used of that."""

    def __init__(
        self,
        originals: Mapping[str, dict[str, Any]],
        problems: Mapping[str, Problem],
        scorer: ReadingScorer,
        settings: ReviewSettings,
        pattern: PatternSettings,
    ) -> None:
        self.originals, self.problems = originals, problems
        self.scorer, self.settings, self.pattern = scorer, settings, pattern
        self.report = Report(len(originals))
        self.dropped: set[str] = set()
        self.faulty: set[str] = set()
        self.accepted: dict[str, tuple[ReviewTrace, Reward]] = {}
        self.missing: list[str] = []

    def check(self, found: Sequence[ParsedTrace]) -> None:
        """Sort the traces of the edited file into accepted, dropped and faulty."""
        seen: dict[str, int] = {}
        to_verify: list[tuple[int, ReviewTrace]] = []
        for line, trace, fault in found:
            if trace is None:
                self._fault("a trace", line, str(fault))
                continue
            first = seen.setdefault(trace.id, line)
            reason = f"it stands in line {first} already" if first != line else self._form(trace)
            if reason is not None:
                self._fault(trace.id, line, reason)
            elif trace.decision == DROP:
                self.dropped.add(trace.id)
            elif self._is_edited(trace) or self.settings.verify_unchanged:
                to_verify.append((line, trace))
        self._verify(to_verify)
        self.dropped -= self.faulty
        self.missing = [id_ for id_ in self.originals if id_ not in seen]
        self._count()

    def refuse(self, path: Path) -> None:
        """Raise UserError where faults or absent traces are not to be imported around."""
        places: dict[str, list[str]] = {}  # by the reason
        if self.settings.faulty == "refuse":
            for fault in self.report.faults:
                places.setdefault(fault.reason, []).append(fault.place)
        if self.settings.missing == "refuse" and self.missing:
            places['it is not in the file; write "drop" to leave it out'] = self.missing
        if places:
            number = sum(map(len, places.values()))
            lines = [f"  {_first_of(where)}: {reason}" for reason, where in places.items()]
            if len(lines) > MAX_SHOWN:
                lines[MAX_SHOWN:] = [f"  and {len(lines) - MAX_SHOWN} faults more"]
            told = "\n".join(lines)
            raise UserError(
                f"{path}: {number} trace{'s' * (number > 1)} cannot be imported:\n"
                f"{told}\nMend them, then import again."
            )

    def rows(self, count_tokens: Callable[[str], int]) -> list[tuple[str, dict[str, Any] | None]]:
        """(id, row) in the exported order; None where a trace is left out."""
        out: list[tuple[str, dict[str, Any] | None]] = []
        left_out = set(self.dropped)
        left_out |= self.faulty if self.settings.faulty == "drop" else set()
        left_out |= set(self.missing) if self.settings.missing == "drop" else set()
        for id_, row in self.originals.items():
            if id_ in left_out:
                out.append((id_, None))
            elif id_ in self.accepted and self._is_edited(self.accepted[id_][0]):
                out.append((id_, self._edited_row(row, *self.accepted[id_], count_tokens)))
            else:
                out.append((id_, row))
        return out

    def _form(self, trace: ReviewTrace) -> str | None:
        """Why a trace cannot be used as it stands, before its answer is looked at."""
        row = self.originals.get(trace.id)
        if row is None:
            return "no trace of this id was exported"
        if row["problem_id"] not in self.problems:
            return f"its problem {row['problem_id']!r} is not among the problems given"
        if trace.decision not in (KEEP, DROP):
            return f'the decision is {trace.decision!r}; it must be "keep" or "drop"'
        if trace.question and _plain(trace.question) != _plain(row["prompt"]):
            return "the question was edited; only reasoning and summary may be"
        if trace.decision == DROP:
            return None
        for name in ("reasoning", "summary"):
            text = getattr(trace, name)
            if not text:
                return f"the {name} is empty"
            token = next((t for t in self.pattern.special_tokens if t in text), None)
            if token is not None:
                return f"the {name} holds the special token {token}"
        return self._readability(trace, row) if self._is_edited(trace) else None

    def _readability(self, trace: ReviewTrace, row: dict[str, Any]) -> str | None:
        limits = self.settings.readability
        if limits is None:
            return None
        defects = readability_defects(trace.reasoning, row["language"], limits, row["prompt"])
        return str(defects[0]) if defects else None

    def _verify(self, traces: list[tuple[int, ReviewTrace]]) -> None:
        scorer = PatternScorer(self.scorer, self.pattern)
        handles = []
        for _, trace in traces:
            text = self.pattern.render(trace.reasoning, trace.summary)
            problem = self.problems[self.originals[trace.id]["problem_id"]]
            completion = Completion([], [], text, "stop")
            handles.append(scorer.submit_group(RolloutGroup(problem, (), [completion])))
        for (line, trace), handle in zip(traces, handles, strict=True):
            (reward,) = handle.result().rewards
            if accuracy_of(reward) is Outcome.CORRECT:
                self.accepted[trace.id] = trace, reward
                continue
            score = reward.parts["accuracy"]
            detail = f" ({score.detail})" if score.detail else ""
            self._fault(trace.id, line, f"the answer is not verified: {score.outcome}{detail}")

    def _is_edited(self, trace: ReviewTrace) -> bool:
        before = trace_of(self.originals[trace.id])
        return (_plain(trace.reasoning), _plain(trace.summary)) != (
            _plain(before.reasoning),
            _plain(before.summary),
        )

    def _fault(self, id_: str, line: int, reason: str) -> None:
        self.report.faults.append(TraceError(id_, line, reason))
        if id_ in self.originals:
            self.faulty.add(id_)
            self.accepted.pop(id_, None)

    def _count(self) -> None:
        report = self.report
        edited = [id_ for id_, (trace, _) in self.accepted.items() if self._is_edited(trace)]
        report.changes = [
            Change(id_, _diff(trace_of(self.originals[id_]), self.accepted[id_][0]))
            for id_ in self.originals
            if id_ in edited
        ]
        report.edited, report.dropped = len(edited), len(self.dropped)
        report.missing = len(self.missing)
        others = len(edited) + len(self.dropped) + len(self.missing) + len(self.faulty)
        report.unchanged = report.exported - others

    def _edited_row(
        self,
        row: dict[str, Any],
        trace: ReviewTrace,
        reward: Reward,
        count_tokens: Callable[[str], int],
    ) -> dict[str, Any]:
        response = self.pattern.render(trace.reasoning, trace.summary)
        problem = self.problems[row["problem_id"]]
        shown = Completion([], [], self.pattern.in_think_tags(response), "stop")
        return row | {
            "response": response,
            "thinking": trace.reasoning,
            "summary": trace.summary,
            "answer": answer_of(problem, shown, self.scorer.settings, PromptForm()),
            "origin": HUMAN,
            "num_tokens": count_tokens(response),
            "reward": reward.total,
            **{f"{PART}{name}": value for name, value in part_values(reward).items()},
        }


def _write(
    folder: Path,
    rows: Sequence[tuple[str, dict[str, Any] | None]],
    review: _Review,
    settings: ReviewSettings,
) -> None:
    parts = {
        name.removeprefix(PART) for _, row in rows for name in row or () if name.startswith(PART)
    }
    job = {
        "kind": "review",
        "source": hash_of_texts([[id_, sorted((row or {}).items())] for id_, row in rows]),
        "settings": dump(settings),
    }
    with Store(folder, job, row_schema(parts), ShardSettings()) as store:
        if not store.complete:
            for index, (id_, row) in enumerate(rows):
                family = review.originals[id_]["family"]
                counts = {"problems": 1, "rows": 0}
                if row is not None:
                    tokens = row["num_tokens"]
                    counts = {"problems": 1, "solved": 1, "rows": 1}
                    counts |= {"tokens": tokens or 0, "counted": int(tokens is not None)}
                if not store.has(index):
                    store.add(Record(index, id_, family, counts, [] if row is None else [row]))
            store.finish(len(rows))
        write_card(folder, store.totals, {}, "Reviewed traces")


def _diff(before: ReviewTrace, after: ReviewTrace) -> tuple[str, ...]:
    lines: list[str] = []
    for name in ("reasoning", "summary"):
        old, new = (getattr(trace, name).splitlines() for trace in (before, after))
        lines += difflib.unified_diff(old, new, name, name, n=1, lineterm="")
    if len(lines) > MAX_DIFF_LINES:
        lines = [*lines[:MAX_DIFF_LINES], f"… {len(lines) - MAX_DIFF_LINES} more lines"]
    return tuple(lines)


def _plain(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


def _longest_fence(line: str) -> int:
    return max((len(run) for run in re.findall("`+", line)), default=0)

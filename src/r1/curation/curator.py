"""From one prompt's judged responses to the rows that are kept, whoever wrote the responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from r1.curation.filters import DROPPED, CorrectSample, choose, first_fault
from r1.curation.job import Numbered
from r1.curation.journal import SAMPLED_TOKENS, Record
from r1.curation.pattern import PatternSettings
from r1.curation.readers import ReaderPool
from r1.curation.rows import CuratedRow, part_values
from r1.curation.scoring import answer_of, in_think_tags
from r1.curation.settings import DecontaminationSettings, FilterSettings, KeepSettings
from r1.data.decontaminate import HeldoutIndex, words
from r1.rewards.registry import PromptForm
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Problem, Reward


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides which responses are kept and how they are written.

    form: how the responses were asked for. rewards: where answers are read. source, origin: see
    r1.curation.rows.
    """

    sampled: PatternSettings
    written: PatternSettings
    filters: FilterSettings
    keep: KeepSettings
    seed: int
    form: PromptForm
    rewards: RewardSettings
    source: str
    origin: str


@dataclass(frozen=True, slots=True)
class JudgedResponse:
    """A judged response; sample is its place in the group. fault: why it is dropped already."""

    sample: int
    seed: int
    completion: Completion
    num_tokens: int
    reward: Reward
    fault: str | None = None


@dataclass(slots=True)
class ProseCheck:
    """A prompt whose responses' prose is being checked."""

    index: int
    key: str
    problem: Problem
    counts: dict[str, int]
    checks: list[tuple[CorrectSample, Future[str | None]]] = field(default_factory=list)

    def done(self) -> bool:
        """True where Curator.record would not wait."""
        return all(future.done() for _, future in self.checks)

    def drop(self, reason: str, number: int = 1) -> None:
        """Count responses under a reason."""
        name = DROPPED + reason
        self.counts[name] = self.counts.get(name, 0) + number


class Curator:
    """Applies the rules: read() begins, record() waits for the checks and ends."""

    def __init__(self, rules: Rules, readers: ReaderPool) -> None:
        self.rules, self._readers = rules, readers

    def read(
        self, index: int, key: str, problem: Problem, attempts: Sequence[JudgedResponse]
    ) -> ProseCheck:
        """Drop what is cut, malformed or wrong; begin to check the prose of the rest."""
        rules = self.rules
        tokens = sum(attempt.num_tokens for attempt in attempts)
        counts = {"problems": 1, "sampled": len(attempts), SAMPLED_TOKENS: tokens}
        reading = ProseCheck(index, key, problem, counts)
        for attempt in attempts:
            completion = attempt.completion
            text = rules.sampled.whole(completion.text, completion.finish_reason, rules.form.stop)
            split = rules.sampled.split(text, rules.form.opened)
            fault = attempt.fault or first_fault(
                completion.finish_reason,
                attempt.num_tokens,
                attempt.reward,
                split,
                problem,
                rules.filters,
            )
            if fault is not None or split.thinking is None or split.summary is None:
                reading.drop(str(fault))
                continue
            shown = in_think_tags(completion, rules.sampled, rules.form)
            candidate = CorrectSample(
                attempt.sample,
                attempt.seed,
                split.thinking,
                split.summary,
                answer_of(problem, shown, rules.rewards, rules.form),
                attempt.num_tokens,
                attempt.reward,
            )
            future = self._readers.submit(
                split.thinking or split.summary, problem.language, problem.prompt
            )
            reading.checks.append((candidate, future))
        return reading

    def record(self, reading: ProseCheck) -> Record:
        """Wait for the checks, drop duplicates and what is beyond the cap, and write rows."""
        rules, problem = self.rules, reading.problem
        good = []
        for candidate, future in reading.checks:
            defect = future.result()
            if defect is None:
                good.append(candidate)
            else:
                reading.drop(defect)
        kept, dropped = choose(good, rules.keep, rules.seed, problem.id)
        for reason, number in dropped.items():
            reading.drop(reason, number)
        counts = reading.counts | {
            "rows": len(kept),
            "tokens": sum(candidate.num_tokens for candidate in kept),
            "counted": len(kept),
            "solved": int(bool(kept)),
        }
        rows = [self._row(problem, candidate).columns() for candidate in kept]
        return Record(reading.index, reading.key, problem.family, counts, rows)

    def _row(self, problem: Problem, candidate: CorrectSample) -> CuratedRow:
        return CuratedRow(
            problem=problem,
            sample=candidate.sample,
            seed=candidate.seed,
            response=self.rules.written.render(candidate.thinking, candidate.summary),
            thinking=candidate.thinking,
            summary=candidate.summary,
            answer=candidate.answer,
            source=self.rules.source,
            origin=self.rules.origin,
            num_tokens=candidate.num_tokens,
            reward=candidate.reward.total,
            parts=part_values(candidate.reward),
        )


class Overlaps:
    """Finds prompts that overlap evaluation problems (r1.data.decontaminate)."""

    def __init__(self, heldout: Sequence[Problem], settings: DecontaminationSettings) -> None:
        self._index = HeldoutIndex(heldout, settings.ngram, settings.common_share)
        self._any = bool(heldout)

    def has(self, problem: Problem) -> bool:
        """Whether a problem's prompt overlaps one of them."""
        return self._any and self._index.find(words(problem.dialogue)) is not None

    def split(
        self, call: Sequence[Numbered[Problem]]
    ) -> tuple[list[Numbered[Problem]], list[Record]]:
        """The problems that overlap none, and the records of those that are left out."""
        clean: list[Numbered[Problem]] = []
        left_out: list[Record] = []
        for entry in call:
            if self.has(entry.item):
                counts = {"problems": 1, "contaminated": 1}
                left_out.append(Record(entry.number, entry.key, entry.item.family, counts))
            else:
                clean.append(entry)
        return clean, left_out


def in_turn(
    readings: Iterator[ProseCheck], finish: Callable[[ProseCheck], Record]
) -> Iterator[Record]:
    """Finish readings as their checks end, in their order, while further ones begin."""
    waiting: list[ProseCheck] = []
    for reading in readings:
        waiting.append(reading)
        while waiting and waiting[0].done():
            yield finish(waiting.pop(0))
    for reading in waiting:
        yield finish(reading)


def decisive(values: Mapping[str, object], *names: str) -> dict[str, object]:
    """Settings, as dumped, without those that change no row: the named ones, by dotted path."""
    kept = {k: dict(v) if isinstance(v, dict) else v for k, v in values.items()}
    for name in names:
        section, _, key = name.partition(".")
        inner = kept[section] if key else kept
        assert isinstance(inner, dict)
        inner.pop(key or section)
    return kept

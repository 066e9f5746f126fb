"""Readable R1-Zero samples, rewritten by a general model and verified again (supplement).

    sample -> reasoning in the question's language -> summary -> same answer? right language?

A refined response is dropped, and counted, where a reply was cut or empty or holds a special token,
the answer is no longer correct or another one than before, or the filters find fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

from r1.curation.card import Card, write_card
from r1.curation.cold_start import General, hash_of_texts, job_of, rules_of
from r1.curation.curator import Curator, JudgedResponse, ProseCheck, in_turn
from r1.curation.filters import DropReason
from r1.curation.generate import Ask, Begin, GeneratedText, asking
from r1.curation.job import Numbered, problem_key, run_job
from r1.curation.journal import Record
from r1.curation.progress import DataEvents, Silent
from r1.curation.prompts import REFINE, SUMMARISE, fill, language_name
from r1.curation.readers import ReaderPool
from r1.curation.rows import row_schema
from r1.curation.scoring import PatternScorer, ReadingScorer, answer_of
from r1.curation.settings import RefinedTraceSettings
from r1.curation.store import Store, read_rows
from r1.errors import UserError
from r1.rewards.reading import after_thinking
from r1.rewards.registry import PromptForm
from r1.rollout.engine_pool import calls_ahead
from r1.rollout.seeds import sample_seed
from r1.types import Completion, Problem, Reward, RolloutGroup

REFINED = "r1-zero refined"


def refined_traces(
    folder: Path,
    samples: Path,
    problems: Mapping[str, Problem],
    general: General,
    scorer: ReadingScorer,
    settings: RefinedTraceSettings,
    *,
    progress: DataEvents | None = None,
) -> Card:
    """Refine the traces of `samples` (the folder of any data set of this package).

    problems: by id; every sample's must be there. scorer: verifies the refined responses, made for
    prompts that open no thinking. Raises UserError for a sample whose problem is not given.
    """
    refiner = _Refiner(general, scorer, settings)
    job = job_of(settings, REFINED, general.name, scorer, ())
    groups = (_Drafts(problem, rows) for problem, rows in _by_problem(samples, problems))
    ahead = calls_ahead(general.capacity, settings.call.prompts)
    with (
        asking(ahead) as begin,
        ReaderPool(settings.filters) as readers,
        Store(folder, job, row_schema(scorer.settings.names), settings.shards) as store,
    ):
        curator = Curator(rules_of(settings, scorer, general.name, REFINED), readers)

        def process(call: list[Numbered[_Drafts]]) -> Iterator[Record]:
            return in_turn(refiner.readings(call, curator, begin), curator.record)

        told = progress or Silent()
        run_job(store, groups, lambda drafts: drafts.key, process, settings.call, told, ahead=ahead)
        return write_card(folder, store.totals, settings.domains, f"R1-Zero by {general.name}")


class _Drafts(NamedTuple):
    """A problem with its readable samples (rows)."""

    problem: Problem
    rows: list[dict[str, Any]]

    @property
    def key(self) -> str:
        texts = [[row["sample"], row["response"]] for row in self.rows]
        return f"{problem_key(self.problem)}:{hash_of_texts(texts)}"


class _Draft(NamedTuple):
    """One sample on its way: its refined parts, or why it is dropped."""

    problem: Problem
    row: dict[str, Any]
    thinking: str
    summary: str
    fault: str | None


class _Refiner:
    """Rewrites reasoning, then writes summaries, then has both verified."""

    def __init__(
        self, general: General, scorer: ReadingScorer, settings: RefinedTraceSettings
    ) -> None:
        self.general, self.scorer, self.settings = general, scorer, settings
        self.shown_scorer = PatternScorer(scorer, settings.pattern)

    def readings(
        self, call: list[Numbered[_Drafts]], curator: Curator, begin: Begin[list[_Draft]]
    ) -> Iterator[ProseCheck]:
        """Begin to rewrite; yield the readings once both parts are written."""
        drafts = [
            _Draft(entry.item.problem, row, row["thinking"], "", None)
            for entry in call
            for row in entry.item.rows
        ]
        wait = begin(lambda: self._write(self._write(drafts, "reasoning"), "summary"))
        return self._read(call, curator, wait)

    def _read(
        self, call: list[Numbered[_Drafts]], curator: Curator, wait: Callable[[], list[_Draft]]
    ) -> Iterator[ProseCheck]:
        refined = iter(wait())
        done = [[next(refined) for _ in entry.item.rows] for entry in call]
        handles = [
            self.shown_scorer.submit_group(
                RolloutGroup(entry.item.problem, (), [self._response(draft) for draft in own])
            )
            for entry, own in zip(call, done, strict=True)
        ]
        for entry, own, handle in zip(call, done, handles, strict=True):
            scored = handle.result()
            attempts = [
                JudgedResponse(
                    draft.row["sample"],
                    draft.row["seed"],
                    completion,
                    self.general.count_tokens(completion.text),
                    reward,
                    draft.fault or self._other_answer(draft, completion, reward),
                )
                for draft, completion, reward in zip(
                    own, scored.group.completions, scored.rewards, strict=True
                )
            ]
            yield curator.read(entry.number, entry.key, entry.item.problem, attempts)

    def _write(self, drafts: list[_Draft], part: Literal["reasoning", "summary"]) -> list[_Draft]:
        """Ask for one part of every draft that has no fault yet."""
        good = [draft for draft in drafts if draft.fault is None]
        replies = iter(self.general.generate([self._ask(draft, part) for draft in good]))
        return [d if d.fault is not None else self._take(d, next(replies), part) for d in drafts]

    def _ask(self, draft: _Draft, part: str) -> Ask:
        refined = self.settings.refined
        own = refined.reasoning_prompt or REFINE
        if part == "summary":
            own = refined.summary_prompt or SUMMARISE
        values = {
            "question": draft.problem.dialogue,
            "reasoning": draft.thinking,
            "answer": draft.row["answer"] or "",
            "language": language_name(draft.problem.language),
        }
        seed = sample_seed(self.settings.seed, part, draft.problem.id, draft.row["sample"])
        return Ask(fill(own, values), seed)

    def _take(self, draft: _Draft, reply: GeneratedText, part: str) -> _Draft:
        text = after_thinking(reply.text, opened=False)
        tokens = self.settings.pattern.special_tokens
        if reply.cut:
            return draft._replace(fault=DropReason.CUT)
        if text is None or not text.strip() or any(token in text for token in tokens):
            return draft._replace(fault=DropReason.MALFORMED)
        if part == "reasoning":
            return draft._replace(thinking=text.strip())
        return draft._replace(summary=text.strip())

    def _response(self, draft: _Draft) -> Completion:
        text = self.settings.pattern.render(draft.thinking, draft.summary)
        return Completion([], [], "" if draft.fault is not None else text, "stop")

    def _other_answer(self, draft: _Draft, completion: Completion, reward: Reward) -> str | None:
        """Where several answers are right, refining must not change which one is given."""
        before = draft.row["answer"]
        if before is None or not reward.valid:
            return None
        shown = self.settings.pattern.in_think_tags(completion.text)
        settings, form = self.scorer.settings, PromptForm()
        now = answer_of(draft.problem, Completion([], [], shown, "stop"), settings, form)
        if now is None or reward.parts["accuracy"].value == 0.0:
            return None  # wrong or unreadable, and counted as that
        first, second = self.scorer.group_answers(draft.problem, [before, now])
        return None if first == second else DropReason.OTHER_ANSWER


def _by_problem(
    samples: Path, problems: Mapping[str, Problem]
) -> Iterator[tuple[Problem, list[dict[str, Any]]]]:
    """The rows of a data set, those of one problem together, as they were written."""
    for problem_id, rows in groupby(read_rows(samples), key=lambda row: row["problem_id"]):
        if problem_id not in problems:
            raise UserError(
                f"{samples} holds a sample of problem {problem_id!r}, which is not among the "
                "problems given; give the problems that were sampled."
            )
        yield problems[problem_id], list(rows)

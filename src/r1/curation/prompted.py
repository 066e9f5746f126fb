"""Traces that a general model writes for problems: few-shot, or direct with reflection (§2.3.1).

Few-shot shows worked examples with long chains of thought; direct asks for a detailed answer with
reflection and verification. What comes back is kept where it has the pattern, is correct, and
passes the filters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal

from r1.curation.card import Card, write_card
from r1.curation.cold_start import General, hash_of_texts, job_of, rules_of
from r1.curation.curator import Curator, JudgedResponse, Overlaps, ProseCheck, in_turn
from r1.curation.generate import Ask, Begin, GeneratedText, asking
from r1.curation.job import Numbered, problem_key, run_job
from r1.curation.journal import Record
from r1.curation.progress import DataEvents, Silent
from r1.curation.prompts import (
    DIRECT,
    EXAMPLE,
    EXAMPLES,
    FEW_SHOT,
    WorkedExample,
    fill,
    language_name,
)
from r1.curation.readers import ReaderPool
from r1.curation.rows import row_schema
from r1.curation.scoring import PatternScorer, ReadingScorer
from r1.curation.settings import PromptedSettings, PromptedTraceSettings
from r1.curation.store import Store
from r1.errors import UserError
from r1.rollout.engine_pool import calls_ahead
from r1.rollout.seeds import sample_seed
from r1.types import Completion, Problem, RolloutGroup

Kind = Literal["few-shot", "direct"]


def prompted_traces(
    folder: Path,
    problems: Iterable[Problem],
    general: General,
    scorer: ReadingScorer,
    settings: PromptedTraceSettings,
    *,
    kind: Kind,
    examples: Sequence[WorkedExample] = EXAMPLES,
    heldout: Sequence[Problem] = (),
    progress: DataEvents | None = None,
    total: int | None = None,
) -> Card:
    """Ask the general model for traces of problems, and keep what is correct and readable.

    scorer: verifies responses in the settings' pattern; made for prompts that open no thinking.
    examples: for few-shot; those in the problem's language are taken where there are any.
    Raises UserError where few-shot has no example.
    """
    if kind == "few-shot" and not examples:
        raise UserError("few-shot prompting needs worked examples; give at least one.")
    prompted = settings.few_shot if kind == "few-shot" else settings.direct
    writer = _Writer(general, scorer, settings, prompted, kind, examples)
    job = job_of(settings, kind, general.name, scorer, heldout)
    job["examples"] = hash_of_texts(
        [list(example) for example in examples] if kind == "few-shot" else []
    )
    ahead = calls_ahead(general.capacity, settings.call.prompts * prompted.num_samples)
    with (
        asking(ahead) as begin,
        ReaderPool(settings.filters) as readers,
        Store(folder, job, row_schema(scorer.settings.names), settings.shards) as store,
    ):
        curator = Curator(rules_of(settings, scorer, general.name, kind), readers)
        overlaps = Overlaps(heldout, settings.decontamination)

        def process(call: list[Numbered[Problem]]) -> Iterator[Record]:
            clean, left_out = overlaps.split(call)
            readings = writer.readings(clean, curator, begin)
            return chain(left_out, in_turn(readings, curator.record))

        told = progress or Silent()
        run_job(store, problems, problem_key, process, settings.call, told, total, ahead)
        return write_card(folder, store.totals, settings.domains, f"{kind} by {general.name}")


class _Writer:
    """Asks for whole responses to problems."""

    def __init__(
        self,
        general: General,
        scorer: ReadingScorer,
        settings: PromptedTraceSettings,
        prompted: PromptedSettings,
        kind: Kind,
        examples: Sequence[WorkedExample],
    ) -> None:
        self.general, self.settings, self.prompted = general, settings, prompted
        self.scorer = PatternScorer(scorer, settings.pattern)
        self.kind, self.examples = kind, examples

    def readings(
        self, call: list[Numbered[Problem]], curator: Curator, begin: Begin[Sequence[GeneratedText]]
    ) -> Iterator[ProseCheck]:
        """Begin to ask; yield the readings once there are replies."""
        asks = [ask for entry in call for ask in self._asks(entry.item)]
        return self._read(call, curator, begin(lambda: self.general.generate(asks)))

    def _read(
        self,
        call: list[Numbered[Problem]],
        curator: Curator,
        wait: Callable[[], Sequence[GeneratedText]],
    ) -> Iterator[ProseCheck]:
        replies = iter(wait())
        handles = []
        for entry in call:
            completions = [_completion(next(replies)) for _ in range(self.prompted.num_samples)]
            handles.append(self.scorer.submit_group(RolloutGroup(entry.item, (), completions)))
        for entry, handle in zip(call, handles, strict=True):
            scored = handle.result()
            attempts = [
                JudgedResponse(
                    sample,
                    self._seed(entry.item, sample),
                    completion,
                    self.general.count_tokens(completion.text),
                    reward,
                )
                for sample, (completion, reward) in enumerate(
                    zip(scored.group.completions, scored.rewards, strict=True)
                )
            ]
            yield curator.read(*entry, attempts)

    def _asks(self, problem: Problem) -> list[Ask]:
        return [
            Ask(self._prompt(problem, seed), seed)
            for seed in (self._seed(problem, g) for g in range(self.prompted.num_samples))
        ]

    def _seed(self, problem: Problem, sample: int) -> int:
        return sample_seed(self.settings.seed, self.kind, problem.id, sample)

    def _prompt(self, problem: Problem, seed: int) -> str:
        pattern = self.settings.pattern
        values = {
            "question": problem.dialogue,
            "language": language_name(problem.language),
            "opening": pattern.opening,
            "closing": pattern.closing,
        }
        if self.kind == "direct":
            return fill(self.prompted.prompt or DIRECT, values)
        form = self.prompted.example or EXAMPLE
        shown = [
            fill(
                form,
                {"question": e.question, "response": pattern.render(e.thinking, e.summary)},
            )
            for e in choose_examples(
                self.examples, problem.language, self.prompted.num_examples, seed
            )
        ]
        return fill(self.prompted.prompt or FEW_SHOT, values | {"examples": "".join(shown)})


def choose_examples(
    examples: Sequence[WorkedExample], language: str, number: int, seed: int
) -> list[WorkedExample]:
    """Draw worked examples, those in the language where there are any."""
    fitting = [e for e in examples if e.language == language] or list(examples)
    order = sorted(range(len(fitting)), key=lambda i: sample_seed(seed, "example", i))
    return [fitting[i] for i in order[:number]]


def _completion(reply: GeneratedText) -> Completion:
    return Completion([], [], reply.text.strip(), "length" if reply.cut else "stop")

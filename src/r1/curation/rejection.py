"""Rejection sampling: several samples a prompt, the correct and readable ones kept (§2.3.3).

    problems -> samples -> correct? -> filters -> duplicates -> cap -> shards -> card

One pass over a stream of problems with constant memory: a call's prompts, the rows of one shard;
over several engines a few calls', so that no engine waits for the end of one.
A sample's seed follows from (seed, problem id, place in the group) alone, and so does which of a
prompt's good samples are kept. Resumed where it stopped (store.py, job.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from r1.config import dump
from r1.curation.card import Card, write_card
from r1.curation.curator import (
    Curator,
    JudgedResponse,
    Overlaps,
    ProseCheck,
    Rules,
    decisive,
    in_turn,
)
from r1.curation.job import Numbered, problem_key, run_job
from r1.curation.journal import Record
from r1.curation.progress import DataEvents, Silent
from r1.curation.readers import ReaderPool
from r1.curation.rows import row_schema
from r1.curation.scoring import PatternScorer, ReadingScorer
from r1.curation.settings import RejectionSettings
from r1.curation.store import Store
from r1.errors import UserError
from r1.rewards.registry import PromptForm
from r1.rollout.engine_pool import calls_ahead, capacity
from r1.rollout.protocol import Engine
from r1.rollout.scored import scored_groups
from r1.rollout.seeds import sample_seed
from r1.template import Renderer
from r1.types import GroupRequest, Problem, ScoredGroup


@dataclass(frozen=True, slots=True)
class SamplingLine:
    """What samples and what judges. The scorer must have been made for the same form of prompts
    (opened by the renderer, the sampling's stop strings)."""

    engine: Engine
    scorer: ReadingScorer
    renderer: Renderer


def rejection_sample(
    folder: Path,
    problems: Iterable[Problem],
    line: SamplingLine,
    settings: RejectionSettings,
    *,
    source: str,
    heldout: Sequence[Problem] = (),
    progress: DataEvents | None = None,
    total: int | None = None,
    origin: str = "rejection",
) -> Card:
    """Sample every problem and write what is good into `folder`, or carry on there.

    source: the name and hash of the checkpoint behind the engine; a folder begun with another is
        refused. heldout: evaluation problems; a problem that overlaps one is not sampled.
    total: the number of problems, where it is known, for the time left.
    The problems of one call must have different ids. Returns the data card, which is also written
    as card.json and card.md. Raises UserError for the user's mistakes.
    """
    job = {
        "kind": origin,
        "source": source,
        "settings": decisive(dump(settings), "filters.num_workers", "call.resume", "domains"),
        "rewards": sorted(line.scorer.settings.names),
        "heldout": sorted(problem_key(problem) for problem in heldout),
    }
    rules = Rules(
        sampled=settings.sampled,
        written=settings.written or settings.sampled,
        filters=settings.filters,
        keep=settings.keep,
        seed=settings.seed,
        form=PromptForm(opened=line.renderer.opens_think, stop=settings.sampling.stop),
        rewards=line.scorer.settings,
        source=source,
        origin=origin,
    )
    schema = row_schema(line.scorer.settings.names)
    with (
        ReaderPool(settings.filters) as readers,
        Store(folder, job, schema, settings.shards) as store,
    ):
        overlaps = Overlaps(heldout, settings.decontamination)
        sampler = _Sampler(line, settings, Curator(rules, readers), overlaps)
        told = progress or Silent()
        samples = settings.call.prompts * settings.num_samples
        ahead = calls_ahead(capacity(line.engine), samples)
        run_job(store, problems, problem_key, sampler.run_call, settings.call, told, total, ahead)
        return write_card(folder, store.totals, settings.domains, title=f"{origin} from {source}")


class _Sampler:
    """One call: problems in, a record for each out."""

    def __init__(
        self, line: SamplingLine, settings: RejectionSettings, curator: Curator, overlaps: Overlaps
    ) -> None:
        self.line, self.settings = line, settings
        self.curator, self.overlaps = curator, overlaps
        rules = curator.rules
        self.scorer = PatternScorer(line.scorer, rules.sampled, rules.form)

    def run_call(self, call: list[Numbered[Problem]]) -> Iterator[Record]:
        """Give the engine the requests; yield the records as their groups are done."""
        clean, left_out = self.overlaps.split(call)
        return chain(left_out, in_turn(self._readings(clean), self.curator.record))

    def _readings(self, call: list[Numbered[Problem]]) -> Iterator[ProseCheck]:
        by_id = {entry.item.id: entry for entry in call}
        if len(by_id) < len(call):
            repeated = next(e.item.id for e in call if by_id[e.item.id] is not e)
            raise UserError(f"problem id {repeated!r} occurs twice; ids must differ.")
        problems = [entry.item for entry in call]
        requests = [self._request(problem) for problem in problems]
        sampling = self.settings.sampling
        groups = scored_groups(self.line.engine, self.scorer, problems, requests, sampling)
        return self._read(groups, by_id)

    def _read(
        self, groups: Iterator[ScoredGroup], by_id: Mapping[str, Numbered[Problem]]
    ) -> Iterator[ProseCheck]:
        for scored in groups:
            entry = by_id[scored.group.problem.id]
            yield self.curator.read(*entry, self._attempts(scored))

    def _attempts(self, scored: ScoredGroup) -> list[JudgedResponse]:
        problem = scored.group.problem
        pairs = zip(scored.group.completions, scored.rewards, strict=True)
        return [
            JudgedResponse(g, self._seed(problem, g), completion, len(completion.token_ids), reward)
            for g, (completion, reward) in enumerate(pairs)
        ]

    def _request(self, problem: Problem) -> GroupRequest:
        seeds = tuple(self._seed(problem, g) for g in range(self.settings.num_samples))
        return GroupRequest(
            problem.id, tuple(self.line.renderer.encode(problem.prompt, problem.earlier)), seeds
        )

    def _seed(self, problem: Problem, sample: int) -> int:
        return sample_seed(self.settings.seed, self.curator.rules.origin, problem.id, sample)

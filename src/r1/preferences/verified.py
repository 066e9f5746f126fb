"""Pairs that a verifier tells apart: a right response of a checkpoint over a wrong one.

    problems -> samples -> verdicts -> pairs of about equal length -> shards -> card

A problem's right and wrong samples are paired shortest with shortest; a pair whose lengths differ
by more than `length_ratio` is left out, since a loss on summed log-probabilities would learn the
length (docs/dpo.md). Responses are whole, with their thinking and the tags that the prompt or a
stop string took. A sample without a verdict is in no pair. Nor is one that the token limit cut, on
either side: it might have become right, and a loss would teach that it ends there.

Resumed where it stopped (r1.curation.store, r1.curation.job): a call of problems is sampled again
as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from r1.curation.filters import ACCURACY, DROPPED, DropReason
from r1.curation.job import Numbered
from r1.curation.journal import SAMPLED_TOKENS, Record
from r1.curation.progress import DataEvents
from r1.curation.rejection import SamplingLine
from r1.preferences.responses import whole_response
from r1.preferences.sampled import SampledData, make_sampled
from r1.preferences.settings import VerifiedPairSettings
from r1.rollout.scored import scored_groups
from r1.rollout.seeds import sample_seed
from r1.types import Completion, GroupRequest, Outcome, Problem, ScoredGroup

SCHEMA = pa.schema(
    [
        (name, pa.string())
        for name in ("id", "problem_id", "prompt", "chosen", "rejected", "family", "language")
    ]
    + [("source", pa.string())]
)


def make_verified_pairs(
    folder: Path,
    problems: Sequence[Problem],
    line: SamplingLine,
    settings: VerifiedPairSettings,
    source: str,
    progress: DataEvents,
) -> dict[str, Any]:
    """Sample every problem and write its pairs into `folder`, or carry on there; return the card.

    source: name and hash of the checkpoint behind the engine. Raises UserError for the user's
    mistakes.
    """

    def run_call(call: list[Numbered[Problem]]) -> Iterator[Record]:
        by_id = {entry.item.id: entry for entry in call}
        requests = [_request(entry.item, line, settings) for entry in call]
        asked = [entry.item for entry in call]
        groups = scored_groups(line.engine, line.scorer, asked, requests, settings.sampling)
        return (_record(by_id[group.group.problem.id], group, line, settings, source)
                for group in groups)  # fmt: skip

    made = SampledData("verified_pairs", SCHEMA, f"right over wrong, from {source}")
    return make_sampled(folder, made, problems, line, settings, source, run_call, progress)


def _request(problem: Problem, line: SamplingLine, settings: VerifiedPairSettings) -> GroupRequest:
    seeds = (
        sample_seed(settings.seed, "verified pair", problem.id, g)
        for g in range(settings.num_samples)
    )
    return GroupRequest(problem.id, tuple(line.renderer.encode(problem.prompt)), tuple(seeds))


def _record(
    entry: Numbered[Problem],
    scored: ScoredGroup,
    line: SamplingLine,
    settings: VerifiedPairSettings,
    source: str,
) -> Record:
    problem, counts = entry.item, Counter({"problems": 1})
    right: list[Completion] = []
    wrong: list[Completion] = []
    for completion, reward in zip(scored.group.completions, scored.rewards, strict=True):
        counts["sampled"] += 1
        counts[SAMPLED_TOKENS] += len(completion.token_ids)
        outcome = reward.parts[ACCURACY].outcome
        if completion.finish_reason == "length":
            counts[DROPPED + DropReason.CUT] += 1
        elif outcome.is_verdict and completion.text.strip():
            (right if outcome == Outcome.CORRECT else wrong).append(completion)
        else:
            counts[DROPPED + "without a verdict or empty"] += 1
    pairs = pair_up(right, wrong, settings.max_pairs, settings.length_ratio)
    if not pairs:
        reason = _why_none(right, wrong)
        counts[f"{DROPPED}problem: {reason}"] += 1
    rows = [
        {
            "id": f"{problem.id}/{number}",
            "problem_id": problem.id,
            "prompt": problem.prompt,
            "chosen": whole_response(chosen, line.renderer, settings.sampling.stop),
            "rejected": whole_response(rejected, line.renderer, settings.sampling.stop),
            "family": problem.family,
            "language": problem.language,
            "source": source,
        }
        for number, (chosen, rejected) in enumerate(pairs)
    ]
    tokens = sum(len(side.token_ids) for pair in pairs for side in pair)
    counts.update(rows=len(rows), tokens=tokens, counted=2 * len(rows), solved=int(bool(rows)))
    return Record(entry.number, entry.key, problem.family, dict(counts), rows)


def _why_none(right: Sequence[Completion], wrong: Sequence[Completion]) -> str:
    if not right and not wrong:
        return "none whole and judged"
    return "all right" if not wrong else "all wrong" if not right else "lengths differ"


def pair_up(
    right: Sequence[Completion], wrong: Sequence[Completion], most: int, ratio: float
) -> list[tuple[Completion, Completion]]:
    """Return pairs (right, wrong) of distinct texts whose lengths are within `ratio`.

    Both sides are walked from the shortest on, so that each response is in one pair at most.
    """
    left, other = (
        sorted({c.text: c for c in side}.values(), key=lambda c: (len(c.token_ids), c.text))
        for side in (right, wrong)
    )
    pairs: list[tuple[Completion, Completion]] = []
    i = j = 0
    while i < len(left) and j < len(other) and len(pairs) < most:
        lengths = len(left[i].token_ids), len(other[j].token_ids)
        if max(lengths) <= ratio * min(lengths):
            pairs.append((left[i], other[j]))
            i, j = i + 1, j + 1
        elif lengths[0] < lengths[1]:
            i += 1
        else:
            j += 1
    return pairs

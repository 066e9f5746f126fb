"""Responses of a checkpoint as a data set, all of them: what judges are shown afterwards.

A row is a sample, with its thinking, whatever it is worth. Resumed where it stopped, over one
engine or several (store.py, job.py); a sample's seed follows from (seed, problem id, place in the
group) alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from r1.config import dump
from r1.curation.generate import THINK
from r1.curation.job import Numbered, problem_key, run_job
from r1.curation.journal import SAMPLED_TOKENS, Record
from r1.curation.pattern import PatternSettings
from r1.curation.progress import DataEvents
from r1.curation.store import Store, read_rows
from r1.errors import UserError
from r1.preferences.settings import PreferenceSettings
from r1.rollout.engine_pool import calls_ahead, capacity
from r1.rollout.protocol import Engine, FinishedGroup
from r1.rollout.seeds import sample_seed
from r1.template import Renderer
from r1.types import Completion, GroupRequest, Problem

SCHEMA = pa.schema(
    {
        "problem_id": pa.string(),
        "prompt": pa.string(),
        "family": pa.string(),
        "language": pa.string(),
        "source": pa.string(),
        "sample": pa.int32(),
        "seed": pa.int64(),
        "response": pa.string(),
        "finish_reason": pa.string(),
        "num_tokens": pa.int32(),
    }
)


class ResponseSampler(NamedTuple):
    """What samples, and how prompts are written for it."""

    engine: Engine
    renderer: Renderer


class Response(NamedTuple):
    """One sample; text has its opening `<think>` where the prompt ended in it."""

    sample: int
    text: str
    cut: bool


class Answered(NamedTuple):
    """A prompt with its responses, in the order of their places."""

    problem_id: str
    prompt: str
    family: str
    language: str
    responses: list[Response]


def sample_responses(
    folder: Path,
    problems: Sequence[Problem],
    open_sampler: Callable[[], AbstractContextManager[ResponseSampler]],
    settings: PreferenceSettings,
    source: str,
    progress: DataEvents,
) -> None:
    """Sample every prompt into `folder`, or carry on there. A prompt's text is asked once.

    open_sampler: loads the model; not called where all is there. source: the model's name and
    hash; a folder begun with another is refused. Raises UserError for the user's mistakes.
    """
    job = {
        "kind": "responses",
        "source": source,
        "seed": settings.seed,
        "num_samples": settings.num_samples,
        "sampling": dump(settings.sampling),
    }
    with Store(folder, job, SCHEMA, settings.shards) as store:
        if store.complete:
            return
        by_text: dict[str, Problem] = {}
        for problem in problems:
            refuse_dialogue(problem)
            by_text.setdefault(problem.prompt.strip(), problem)
        prompts = list(by_text.values())
        with open_sampler() as sampler:

            def process(call: list[Numbered[Problem]]) -> Iterator[Record]:
                requests = [_request(entry.item, sampler, settings) for entry in call]
                groups = sampler.engine.generate(requests, settings.sampling)
                return _records(call, groups, sampler.renderer, settings, source)

            samples = settings.call.prompts * settings.num_samples
            ahead = calls_ahead(capacity(sampler.engine), samples)
            total = len(prompts)
            run_job(store, prompts, problem_key, process, settings.call, progress, total, ahead)


def read_responses(folder: Path) -> Iterator[Answered]:
    """The prompts of a finished data set of responses, in their order."""
    for problem_id, grouped in groupby(read_rows(folder), key=lambda row: row["problem_id"]):
        rows = list(grouped)
        responses = [
            Response(row["sample"], row["response"], row["finish_reason"] == "length")
            for row in rows
        ]
        first = rows[0]
        yield Answered(problem_id, first["prompt"], first["family"], first["language"], responses)


def refuse_dialogue(problem: Problem) -> None:
    """Raise UserError for a problem with turns before its prompt, which the rows cannot hold."""
    if problem.earlier:
        raise UserError(
            f"problem {problem.id} has turns before its prompt; preferences are made of "
            "single prompts: leave such problems out."
        )


def _request(
    problem: Problem, sampler: ResponseSampler, settings: PreferenceSettings
) -> GroupRequest:
    seeds = (
        sample_seed(settings.seed, "preferences", problem.id, g)
        for g in range(settings.num_samples)
    )
    return GroupRequest(
        problem.id, tuple(sampler.renderer.encode(problem.prompt, problem.earlier)), tuple(seeds)
    )


def _records(
    call: list[Numbered[Problem]],
    groups: Iterator[FinishedGroup],
    renderer: Renderer,
    settings: PreferenceSettings,
    source: str,
) -> Iterator[Record]:
    by_id = {entry.item.id: entry for entry in call}
    for request, completions in groups:
        number, key, problem = by_id[request.id]
        shared = {
            "problem_id": problem.id,
            "prompt": problem.prompt,
            "family": problem.family,
            "language": problem.language,
            "source": source,
        }
        rows = [
            {**shared, "sample": g, "seed": seed, **_row(completion, renderer, settings)}
            for g, (seed, completion) in enumerate(zip(request.seeds, completions, strict=True))
        ]
        tokens = sum(row["num_tokens"] for row in rows)
        counts = {"sampled": len(rows), "rows": len(rows), SAMPLED_TOKENS: tokens}
        yield Record(number, key, problem.family, counts, rows)


def _row(
    completion: Completion, renderer: Renderer, settings: PreferenceSettings
) -> dict[str, Any]:
    """The columns of one sample."""
    return {
        "response": whole_response(completion, renderer, settings.sampling.stop),
        "finish_reason": completion.finish_reason,
        "num_tokens": len(completion.token_ids),
    }


def whole_response(completion: Completion, renderer: Renderer, stop: Sequence[str]) -> str:
    """A sample's text with the tags that the prompt or a stop string took."""
    text = PatternSettings(answer_tags=True).whole(completion.text, completion.finish_reason, stop)
    return (THINK if renderer.opens_think else "") + text

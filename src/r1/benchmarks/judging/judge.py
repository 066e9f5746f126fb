"""Ask a judge about a benchmark's stored responses, and make the result.

    out/NAME/blocks/*.parquet       the responses, as `r1 bench run` stored them
    out/NAME/judge.jsonl            the judge's paid replies (r1.judge.cache)
    out/NAME/judgements.jsonl       a line a response: outcome, verdicts, the judged summary

Verdicts are read from the kept replies every time, so a run that is killed carries on with the next
request and ends with the same bytes. Another judge may be asked later of the same responses.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from r1.benchmarks.caps import caps_up_to
from r1.benchmarks.judging.protocol import OUTCOMES, Judging, StoredResponse, Tally
from r1.benchmarks.judging.settings import prepared
from r1.errors import UserError
from r1.judge.ask import Asked, ask, require_verdict, verdict_json
from r1.judge.judge import Judge
from r1.judge.prompt import JudgeTask
from r1.judge.settings import JudgeSettings
from r1.judge.verdict import Verdict
from r1.rewards.reading import after_thinking
from r1.run_dir import atomic
from r1.run_dir.evaluation import block_files
from r1.run_dir.stored import iterate_completions
from r1.types import FAILED, Problem

JUDGEMENTS = "judgements.jsonl"


class StoredSamples(NamedTuple):
    """What was sampled. opened: prompts ended in `<think>`. k: samples of each problem."""

    folder: Path
    problems: Sequence[Problem]
    k: int
    opened: bool


def check_judge(settings: JudgeSettings | None, needed: bool) -> None:
    """Raise UserError where a judge is needed and there is none, or it cannot work."""
    if not needed:
        return
    if settings is None:
        raise UserError(
            "a judged benchmark needs a judge; give --judge URL#MODEL of an OpenAI-compatible "
            "endpoint, or a TOML file with the keys of [rewards.judge]."
        )
    with Judge(settings) as judge:
        judge.check()


def judged_result(
    sampled: StoredSamples, judging: Judging, settings: JudgeSettings, console: Console
) -> dict[str, Any]:
    """Judge the stored responses; return the result's figures as JSON values.

    Raises UserError where samples are missing, or the judge cannot go on (key, budget) or gives no
    verdict at all, which is no figure of the model.
    """
    responses = list(read_responses(sampled))
    settings = prepared(settings, sampled.folder, judging.first_token)
    tasks = [_tasks(judging, response) for response in responses]
    asked = ask(settings, list(dict.fromkeys(task for each in tasks for task in each)), console)
    require_verdict(asked, settings)
    judged = [
        replace(response, found=tuple(asked.answers[task] for task in each))
        for response, each in zip(responses, tasks, strict=True)
    ]
    lines = [json.dumps(_line(judging, each), ensure_ascii=False) for each in judged]
    atomic.write_text(sampled.folder / JUDGEMENTS, "".join(f"{line}\n" for line in lines))
    came = [each for each in judged if not each.failed]
    tally = judging.tally(came)
    counts = Counter(judging.outcome(each) for each in judged)
    return {
        "score": tally.score and tally.score._asdict(),
        "outcomes": {name: counts[name] / len(judged) for name in OUTCOMES},
        "figures": tally.figures,
        "counts": dict(tally.counts),
        "departures": list(tally.departures),
        "caps": _scores_at_caps(judging, came),
        "judge": _told(settings, judging, asked, tally),
    }


def _scores_at_caps(judging: Judging, came: Sequence[StoredResponse]) -> list[list[float]]:
    """The score at every smaller token limit, [limit, score] up to the longest response.

    A response that the limit would have cut counts as unfinished; nothing new is asked.
    """
    lengths = [response.num_tokens for response in came]
    found = []
    for cap in caps_up_to(min(lengths, default=0), max(lengths, default=0)):
        score = judging.tally([response.cut_at(cap) for response in came]).score
        if score is not None:
            found.append([float(cap), score.value])
    return found


def read_responses(sampled: StoredSamples) -> Iterator[StoredResponse]:
    """Yield the stored responses in their order, without verdicts.

    Raises UserError unless there are k of every problem, and none of another.
    """
    problems = {problem.id: problem for problem in sampled.problems}
    counts: Counter[str] = Counter()
    for path in block_files(sampled.folder):
        for row in iterate_completions(path):
            problem = problems.get(row["problem_id"])
            counts[row["problem_id"]] += 1
            if problem is not None:
                final = after_thinking(row["text"], sampled.opened)
                summary = None if final is None else final.strip()
                cut = row["finish_reason"] == "length"
                failed = row["finish_reason"] == FAILED
                tokens = row["num_tokens"]
                yield StoredResponse(
                    problem, row["sample"], summary, cut, failed=failed, num_tokens=tokens
                )
    if counts != dict.fromkeys(problems, sampled.k):
        raise UserError(
            f"{sampled.folder}: not every question has {sampled.k} samples, and no other question "
            "has any; remove the folder and run the benchmark again."
        )


def _tasks(judging: Judging, response: StoredResponse) -> tuple[JudgeTask, ...]:
    if response.unasked or response.summary is None:
        return ()
    return judging.tasks(response.problem, response.summary)


def _line(judging: Judging, response: StoredResponse) -> dict[str, Any]:
    return {
        "problem_id": response.problem.id,
        "sample": response.sample,
        "outcome": judging.outcome(response),
        "verdicts": [verdict_json(found) for found in response.found],
        "summary": response.summary,
    }


def _told(settings: JudgeSettings, judging: Judging, asked: Asked, tally: Tally) -> dict[str, Any]:
    """What a reader must know of the judge, and of how its verdicts were read."""
    verdicts, read = len(asked.answers) - len(asked.failed), asked.counts.read
    shares = [found.share for found in asked.answers.values() if isinstance(found, Verdict)]
    told = asked.told(settings) | {
        "parse_rate": verdicts / read.requests if read.requests else None,
        "position_consistency": tally.position_consistency,
    }
    if judging.first_token:
        by_share = sum(share is not None for share in shares)
        told["by_logprobs"] = by_share / len(shares) if shares else None
    return told

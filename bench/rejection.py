"""Rejection sampling at scale: peak memory and speed of 600,000 rows of up to 5,000 tokens.

    .venv/bin/python bench/rejection.py                       # all of it: hours on one core
    .venv/bin/python bench/rejection.py --rows 60000 --json   # a tenth

The engine and the verdicts are made up; everything after them is the project's own: the order of
the groups, the filters (r1.text.readability), duplicates, cap, journal, Parquet shards, card.
Responses are sentences drawn by the sample's seed, log-uniform in length up to --tokens; of a
hundred samples some are wrong, cut, of mixed language, without summary, or copies.

Resident memory is printed at every tenth: it must not grow with the rows. `--workers N` moves the
readability checks, which take nearly all of the time, to processes of their own.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from r1.curation.card import Card
from r1.curation.journal import Record
from r1.curation.progress import DataProgress
from r1.curation.rejection import SamplingLine, rejection_sample
from r1.curation.settings import RejectionSettings
from r1.rewards.settings import RewardSettings
from r1.rollout.protocol import FinishedGroup
from r1.types import (
    Completion,
    GroupRequest,
    Outcome,
    Problem,
    Reward,
    RolloutGroup,
    Score,
    ScoredGroup,
)

MIB = 2**20
SAMPLES, CAP = 5, 4
TEXT = (
    "first second then value number sum result because every term must count once so we get "
    "another step and compare it with what the question asked before taking the last part again "
    "which gives more than half of them while both sides stay equal after this change"
)
WORDS = TEXT.split()
FOREIGN = "然后我们再检查一遍这个结果是不是正确的因为每一步都要核对清楚才能放心地写下来。" * 3


class FakeEngine:
    """Draws responses by their seeds from a fixed stock of sentences."""

    def __init__(self, max_tokens: int) -> None:
        draw = random.Random(0)
        self.max_tokens = max_tokens
        self.sentences = [self._sentence(draw) for _ in range(20_000)]

    def generate(self, requests: Sequence[GroupRequest], sampling: Any) -> Iterator[FinishedGroup]:
        for request in requests:
            answer = request.id.removeprefix("p")
            yield FinishedGroup(request, [self._sample(answer, seed) for seed in request.seeds])

    def load_weights(self, weights: Any, version: int) -> None:
        raise NotImplementedError

    def _sample(self, answer: str, seed: int) -> Completion:
        draw = random.Random(seed)
        tokens = int(math.exp(draw.uniform(math.log(16), math.log(self.max_tokens))))
        parts: list[str] = []
        left = tokens
        while left > 0:
            sentence = self.sentences[draw.randrange(len(self.sentences))]
            parts.append(sentence)
            left -= sentence.count(" ") + 1
        paragraphs = [" ".join(parts[i : i + 4]) for i in range(0, len(parts), 4)]
        thinking, reason = "\n\n".join(paragraphs), "stop"
        fault = draw.random()
        if fault < 0.02:
            answer += "0"
        elif fault < 0.04:
            reason = "length"
        elif fault < 0.06:
            thinking += f"\n\n{FOREIGN}"
        elif fault < 0.07:
            thinking += "</think>"
        text = f"<think>\n{thinking}\n</think>\n\nThe answer is \\boxed{{{answer}}}."
        return Completion([0] * tokens, [0.0] * tokens, text, reason)

    @staticmethod
    def _sentence(draw: random.Random) -> str:
        words = [draw.choice(WORDS) for _ in range(draw.randint(5, 14))]
        if draw.random() < 0.3:
            words.append(f"$x_{{{draw.randint(1, 9)}}} + {draw.randint(1, 999)}$")
        return " ".join(words).capitalize() + "."


class FakeScorer:
    """Correct where the boxed answer is the problem's."""

    settings = RewardSettings(weights={"accuracy": 1.0}, answer_from="boxed")

    def submit_group(self, group: RolloutGroup) -> Future[ScoredGroup]:
        gold = f"\\boxed{{{group.problem.reference}}}"
        rewards = []
        for completion in group.completions:
            right = gold in completion.text[-80:]
            score = Score(float(right), Outcome.CORRECT if right else Outcome.WRONG)
            rewards.append(Reward(score.value, {"accuracy": score}, True))
        future: Future[ScoredGroup] = Future()
        future.set_result(ScoredGroup(group, rewards))
        return future

    def group_answers(self, problem: Problem, answers: Sequence[str | None]) -> list[int]:
        raise NotImplementedError


class FakeRenderer:
    opens_think = False

    def encode(self, problem: str) -> tuple[int, ...]:
        return tuple(range(len(problem) // 4))


class Watch(DataProgress):
    """The progress line, and the resident memory at every tenth."""

    def __init__(self) -> None:
        super().__init__("bench")
        self.tenths: list[tuple[int, int]] = []
        self._num_rows = self._num = 0
        self._of = 1

    def begin(self, done: int, total: int | None) -> None:
        super().begin(done, total)
        self._num, self._of = done, total or 1

    def advance(self, record: Record) -> None:
        super().advance(record)
        self._num += 1
        self._num_rows += len(record.rows)
        if self._num * 10 // self._of > len(self.tenths):
            self.tenths.append((self._num_rows, resident_mib()))
            rows, mib = self.tenths[-1]
            print(f"{rows:>9,} rows  {mib:>6,} MiB", file=sys.stderr, flush=True)


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        result = measure(arguments, Path(folder))
    print(json.dumps(result, indent=2) if arguments.json else describe(result))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=600_000)
    parser.add_argument("--tokens", type=int, default=5000, help="longest response")
    parser.add_argument("--workers", type=int, default=0, help="processes for readability")
    parser.add_argument("--folder", default=None, help="where the data goes meanwhile")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    settings = RejectionSettings.model_validate(
        {
            "num_samples": SAMPLES,
            "keep": {"cap": CAP},
            "filters": {"num_workers": arguments.workers},
        }
    )
    num_problems = math.ceil(arguments.rows / (CAP * 0.99))
    problems = (
        Problem(f"p{i}", f"What is {i} counted once more?", str(i), "exact", family=f"f{i % 5}")
        for i in range(num_problems)
    )
    watch = Watch()
    before = resident_mib()
    start, busy = time.perf_counter(), time.process_time()
    line = SamplingLine(FakeEngine(arguments.tokens), FakeScorer(), FakeRenderer())
    card = rejection_sample(
        folder, problems, line, settings, source="made up", progress=watch, total=num_problems
    )
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    return {
        **counts(card),
        "bytes": sum(f.stat().st_size for f in (folder / "data").iterdir()),
        "shards": len(list((folder / "data").iterdir())),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // MIB,
        "before_mib": before,
        "resident_mib_at_tenths": [mib for _, mib in watch.tenths],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(busy, 1),
        "rows_per_s": round(card.total.samples / seconds, 1),
        "rows_per_cpu_s": round(card.total.samples / busy, 1),
        "workers": arguments.workers,
    }


def counts(card: Card) -> dict[str, Any]:
    mean = card.total.mean_tokens or 0.0
    return {
        "prompts": card.total.prompts,
        "sampled": card.total.sampled,
        "rows": card.total.samples,
        "mean_tokens": round(mean, 1),
        "dropped": card.total.dropped,
    }


def resident_mib() -> int:
    """The resident set of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // MIB


def describe(result: dict[str, Any]) -> str:
    return (
        f"{result['rows']:,} rows of {result['sampled']:,} samples, mean "
        f"{result['mean_tokens']:,.0f} tokens, {result['bytes'] / 2**30:.2f} GiB in "
        f"{result['shards']} shards\n"
        f"peak {result['peak_mib']:,} MiB (before {result['before_mib']:,}); at the tenths: "
        f"{result['resident_mib_at_tenths']}\n"
        f"{result['rows_per_s']:,} rows/s ({result['seconds']:,} s), "
        f"{result['rows_per_cpu_s']:,} rows per CPU second ({result['cpu_seconds']:,} s)"
    )


if __name__ == "__main__":
    main()

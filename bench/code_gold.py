"""HumanEval and sanitized MBPP through the code verifier: gold solutions paid, stubs not.

    python bench/code_gold.py ../shared/benchmarks [--json] [--limit 20]

Every gold solution must be paid and every stub (`pass`, `return None`, `raise`) must not, but where
the stub is right: a problem's tests may all expect None. Prints counts and problems a second.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from r1.benchmarks.protocol import load
from r1.benchmarks.registry import find_benchmark
from r1.rewards.code import verifier
from r1.rewards.code.run import SandboxError
from r1.rewards.code.verifier import score_code
from r1.rewards.settings import RewardSettings
from r1.types import Problem, Score

STUBS = {"pass": "pass", "none": "return None", "raise": "raise NotImplementedError"}
Row = tuple[Problem, str, dict[str, str]]


def rows(name: str, folder: Path) -> Iterator[Row]:
    """Problems with their gold solution and stubs, as `r1 bench run` reads them."""
    for problem in load(find_benchmark(name), folder).problems:
        entry = problem.metadata["entry"]
        stubs = {kind: f"def {entry}(*args):\n    {body}" for kind, body in STUBS.items()}
        yield problem, str(problem.reference), stubs


SETS = ("humaneval", "mbpp")


def outcome(problem: Problem, answer: str) -> Score | str:
    """The score, or the words of a verifier that failed."""
    try:
        return score_code(problem, f"```python\n{answer}\n```", RewardSettings())
    except SandboxError as error:
        return f"verifier-failed: {error}"


def run(name: str, folder: Path, limit: int | None, stubs: bool) -> dict[str, object]:
    """Judge one set and return its counts and everything that is not as it should be."""
    counts: Counter[str] = Counter()
    odd: list[str] = []
    began = time.monotonic()
    for problem, gold, others in list(rows(name, folder))[:limit]:
        for kind, answer in {"gold": gold, **(others if stubs else {})}.items():
            score = outcome(problem, answer)
            paid = isinstance(score, Score) and score.value == 1
            counts[f"{kind} {'paid' if paid else 'unpaid'}"] += 1
            if paid is not (kind == "gold") or isinstance(score, str):
                odd.append(f"{problem.id} {kind}: {score}")
    seconds = time.monotonic() - began
    judged = sum(counts.values())
    return {"counts": dict(counts), "odd": odd, "answers_per_s": round(judged / seconds, 2)}


def main() -> None:
    """Judge both sets; the exit status says whether all is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--limit", type=int)
    parser.add_argument("--gold-only", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    verifier.NUM_GOLD_RUN = 0  # all of them are run here
    found = {name: run(name, given.folder, given.limit, not given.gold_only) for name in given.sets}
    print(json.dumps(found, indent=1) if given.json else "\n".join(map(str, found.items())))
    sys.exit(any(result["odd"] for result in found.values()))


if __name__ == "__main__":
    main()

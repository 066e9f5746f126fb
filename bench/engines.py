"""R1-Zero through vLLM and through the embedded engine: do both rise alike?

    make test-vllm PYTEST_ARGS=--collect-only     # the environment that has vLLM
    .venv-vllm/bin/python bench/engines.py --json --runs runs/engines

The tiny R1-Zero recipe, for so many seeds through each engine, with truncated importance weights
for what remains between engine and learner. Per run: held-out pass@1 before and after with its 95 %
interval, the rise, the mean and largest difference of the engine's and the learner's
log-probabilities of the same tokens (`engine_gap`) and the share of tokens at the cap.
Runs that are there already are carried on or only read, so a stopped bench goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from r1.report.summary import run_json

RECIPE = Path(__file__).parents[1] / "recipes" / "tiny" / "r1_zero.toml"


def main() -> None:
    arguments = parse_arguments()
    runs = {
        engine: [one_run(engine, seed, arguments) for seed in arguments.seeds]
        for engine in arguments.engines
    }
    result = {"recipe": RECIPE.name, "steps": arguments.steps, "runs": runs}
    if {"embedded", "vllm"} <= set(runs):
        result["after_intervals_overlap"] = [
            overlap(one["after"], other["after"])
            for one, other in zip(runs["embedded"], runs["vllm"], strict=True)
        ]
    print(json.dumps(result, indent=2) if arguments.json else describe(result))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=Path, default=Path("runs/engines"), help="where runs go")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--engines", nargs="+", default=["embedded", "vllm"])
    parser.add_argument("--importance-cap", type=float, default=2.0)
    return parser.parse_args()


def one_run(engine: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    out = arguments.runs / f"{engine}{seed}"
    settings = [
        f"num_steps={arguments.steps}",
        f"seed={seed}",
        f'engine.kind="{engine}"',
        f"grpo.importance_cap={arguments.importance_cap}",
        "evaluation.every=0",
    ]
    command = [sys.executable, "-m", "r1", "run", str(RECIPE), "--out", str(out)]
    for setting in settings:
        command += ["--set", setting]
    out.parent.mkdir(parents=True, exist_ok=True)
    with (out.parent / f"{out.name}.log").open("a") as log:
        done = subprocess.run(command, stdout=log, stderr=log, env=os.environ)
    if done.returncode != 0:
        sys.exit(f"{engine}, seed {seed} failed: see {out.parent / out.name}.log")
    rows = [json.loads(line) for line in (out / "metrics.jsonl").open()]
    summary = run_json(out)
    before, after = (summary["pass_at_1"][when] for when in ("before", "after"))
    return {
        "seed": seed,
        "before": before,
        "after": after,
        "rise": after["value"] - before["value"],
        "engine_gap_mean": sum(row["engine_gap"] for row in rows) / len(rows),
        "engine_gap_max": max(row["engine_gap_max"] for row in rows),
        "weights_capped": max(row["importance_capped"] for row in rows),
    }


def overlap(one: dict[str, float], other: dict[str, float]) -> bool:
    return one["low"] <= other["high"] and other["low"] <= one["high"]


def describe(result: dict[str, Any]) -> str:
    lines = []
    for engine, runs in result["runs"].items():
        for run in runs:
            after = run["after"]
            lines.append(
                f"{engine} {run['seed']}: {run['before']['value']:.1%} -> {after['value']:.1%} "
                f"({after['low']:.1%} to {after['high']:.1%}), gap {run['engine_gap_mean']:.1e}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

"""What Ray costs: the tiny R1-Zero recipe in one process and as one rank and one replica of Ray.

    .venv/bin/pip install -e '.[cluster]'
    .venv/bin/python bench/cluster.py --json
    .venv/bin/python bench/cluster.py --json --ranks 2 --repeats 1         the same numbers?

Both sides are whole runs of `r1 run`, in turn (in process, Ray, Ray, in process, ...), with as many
threads; the second holds the same policy in one learner rank and one engine replica that share a
bundle of all CPUs (or --ranks of both, sharing them out). Seconds are those of a step
(`seconds/total` of timings.jsonl: sampling, scoring, update, new weights), without each run's first
two; starting Ray is beside it. The ratio is of the medians over all steps of a side. Samples and
losses of both sides are compared as well, as far as the first step with another sample (rounding
moves a draw across a token's boundary).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

RECIPE = Path(__file__).parents[1] / "recipes" / "tiny" / "r1_zero.toml"
PHASES = ("total", "rollout", "update", "sync")


def main() -> None:
    arguments = parse_arguments()
    sides: dict[str, list[Path]] = {"in_process": [], "ray": []}
    started: dict[str, list[float]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(arguments.repeats):
            order = list(sides) if repeat % 2 == 0 else list(reversed(sides))
            for side in order:
                out = Path(folder) / f"{side}{repeat}"
                begin = time.perf_counter()
                run(side, out, arguments)
                wall = time.perf_counter() - begin
                sides[side].append(out)
                started[side].append(wall - sum(seconds(out, "total")))
        result = {
            "recipe": RECIPE.name,
            "steps": arguments.steps,
            "problems": arguments.problems,
            "skipped": arguments.skip,
            "repeats": arguments.repeats,
            "threads": arguments.threads,
            "ranks": arguments.ranks,
            **{side: figures(outs, started[side], arguments) for side, outs in sides.items()},
            **agreement(*(outs[0] for outs in sides.values())),
        }
    medians = [result[side]["total"]["median_s"] for side in ("ray", "in_process")]
    result["ray_over_in_process"] = round(medians[0] / medians[1], 3)
    print(json.dumps(result, indent=2) if arguments.json else describe(result))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--problems", type=int, default=16, help="a step; 16 take about 3 seconds")
    parser.add_argument("--skip", type=int, default=2, help="first steps left out of the medians")
    parser.add_argument("--ranks", type=int, default=1, help="learner ranks, and replicas")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each side")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    return parser.parse_args()


def run(side: str, out: Path, arguments: argparse.Namespace) -> None:
    settings = [
        f"num_steps={arguments.steps}",
        f"grpo.num_problems={arguments.problems}",
        "evaluation.every=0",
        "evaluation.num_samples=1",
    ]
    if side == "ray":
        settings += [
            'cluster.address="local"',
            f"cluster.learner_ranks={arguments.ranks}",
            f"cluster.engine_replicas={arguments.ranks}",
            f"cluster.cpus_per_process={arguments.threads // arguments.ranks}",
        ]
    command = [sys.executable, "-m", "r1", "run", str(RECIPE), "--out", str(out)]
    for setting in settings:
        command += ["--set", setting]
    environment = os.environ | {"OMP_NUM_THREADS": str(arguments.threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"{side} failed:\n{done.stdout[-2000:]}{done.stderr[-3000:]}")


def seconds(out: Path, phase: str) -> list[float]:
    rows = [json.loads(line) for line in (out / "timings.jsonl").open()]
    return [row[f"seconds/{phase}"] for row in rows if f"seconds/{phase}" in row]


def figures(outs: list[Path], beside: list[float], arguments: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for phase in PHASES:
        values = [s for out in outs for s in seconds(out, phase)[arguments.skip :]]
        low, _, high = statistics.quantiles(values, n=4)
        found[phase] = {
            "median_s": round(statistics.median(values), 3),
            "quartiles_s": [round(low, 3), round(high, 3)],
        }
    found["outside_steps_s"] = round(statistics.median(beside), 1)
    return found


def agreement(one: Path, other: Path) -> dict[str, Any]:
    """Steps with equal samples, from the first on, and the largest difference of their losses."""
    losses = [
        [json.loads(line)["loss"] for line in (out / "metrics.jsonl").open()]
        for out in (one, other)
    ]
    samples = [
        [texts(path) for path in sorted((out / "rollouts").iterdir())] for out in (one, other)
    ]
    pairs = zip(*samples, strict=True)
    equal = next((step for step, (a, b) in enumerate(pairs) if a != b), len(samples[0]))
    differences = [abs(a - b) for a, b in zip(*losses, strict=True)][:equal]
    return {
        "steps_with_equal_samples": equal,
        "largest_loss_difference": max(differences, default=0),
    }


def texts(rollouts: Path) -> list[tuple[str, int, str]]:
    """Problem, sample and text of every response of a step, in one order."""
    table = pq.read_table(rollouts, columns=["problem_id", "sample", "text"])
    return sorted(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))


def describe(result: dict[str, Any]) -> str:
    lines = [f"Ray over in-process: {result['ray_over_in_process']:.3f} of the median step"]
    for side in ("in_process", "ray"):
        phases = ", ".join(f"{p} {result[side][p]['median_s']:.2f} s" for p in PHASES)
        lines.append(f"{side}: {phases}; outside steps {result[side]['outside_steps_s']:.0f} s")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

"""Kill `r1 reproduce` of every claim again and again, and compare with a run that nobody killed.

    python bench/kill_claims.py [CLAIM ...] [--kills 10] [--num 24] [--out FOLDER] [--json FILE]

The claims are those of recipes/claims with every number of problems, samples, steps and tokens cut
down (SMALL), so that the whole graph of stages runs in minutes; nothing else differs. A kill is
SIGKILL to the command and all it started, at a moment drawn from half to three halves of the time
that shares the whole run evenly. Compared are the weights, the moments, the tables, the metrics,
the values and the verdicts, byte by byte. Run it from the repository's root.

The verdicts mean nothing at this size.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

SMALL = {
    "num": 24, "num_steps": 2, "num_samples": 4, "num_problems": 16, "group_size": 2,
    "rollouts": 2, "budget": 200, "epochs": 1, "max_steps": 2, "every": 1, "from_step": 1,
    "value_warmup": 1,
}  # fmt: skip
"""The largest value of each setting; --num is that of `num`."""
COMPARED = (".safetensors", ".pt", ".parquet", ".jsonl")
COMPARED_NAMES = ("claims.json", "values.json", "manifest.json", "search.json", "card.json")
CLOCKED = ("timings.jsonl",)
MADE_HERE = {"recipes", "whole", "whole.log", "killed", "killed.log"}


def cut_down(source: Path, target: Path, num: int) -> None:
    """Copy the recipes with their numbers cut down."""
    largest = {**SMALL, "num": num}
    pattern = re.compile(rf"\b({'|'.join(largest)}) = (\d+)\b")

    def smaller(match: re.Match[str]) -> str:
        return f"{match[1]} = {min(int(match[2]), largest[match[1]])}"

    shutil.copytree(source, target)
    for path in target.rglob("*.toml"):
        path.write_text(pattern.sub(smaller, path.read_text()))


def command(claims: list[Path], out: Path) -> list[str]:
    """The command of a run into `out`."""
    return [sys.executable, "-m", "r1", "reproduce", *map(str, claims), "--out", str(out)]


def start(claims: list[Path], out: Path, log: Path) -> subprocess.Popen[bytes]:
    """Begin a run, or carry it on."""
    with log.open("ab") as file:
        return subprocess.Popen(
            command(claims, out), stdout=file, stderr=file, start_new_session=True
        )


def kill_and_resume(claims: list[Path], out: Path, kills: int, seconds: float) -> list[float]:
    """Kill a run so many times, then let it end; return when each kill came, in seconds of its
    own start. Raises SystemExit where a run ends in another way."""
    rng, times, log = random.Random(kills), [], out.with_suffix(".log")
    for _ in range(kills):
        process, after = start(claims, out, log), rng.uniform(0.5, 1.5) * seconds / (kills + 1)
        try:
            code = process.wait(timeout=after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            times.append(after)
            continue
        if code:
            raise SystemExit(f"it ended with {code} before it was killed; see {log}")
        break
    if code := start(claims, out, log).wait():
        raise SystemExit(f"it ended with {code} after the kills; see {log}")
    return times


def compared(out: Path) -> dict[str, bytes]:
    """The bytes that must be the same, by path."""
    files = (path for path in sorted(out.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in files
        if path.name in COMPARED_NAMES or (path.suffix in COMPARED and path.name not in CLOCKED)
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("claims", nargs="*", help="names; by default all")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--num", type=int, default=SMALL["num"], help="problems of a source")
    parser.add_argument("--out", type=Path, default=Path("runs/kill_claims"))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    there = {path.name for path in args.out.iterdir()} if args.out.exists() else set[str]()
    if not there <= MADE_HERE:
        raise SystemExit(f"{args.out} holds other things; give another --out")
    every = {path.stem for path in Path("recipes/claims").glob("*.toml")}
    if unknown := sorted(set(args.claims) - every):
        raise SystemExit(f"no claim {unknown[0]!r}; claims: {', '.join(sorted(every))}")
    shutil.rmtree(args.out, ignore_errors=True)
    cut_down(Path("recipes"), args.out / "recipes", args.num)
    known = sorted((args.out / "recipes" / "claims").glob("*.toml"))
    claims = [path for path in known if not args.claims or path.stem in args.claims]
    begun = time.monotonic()
    if code := start(claims, args.out / "whole", args.out / "whole.log").wait():
        raise SystemExit(f"it ended with {code}; see {args.out / 'whole.log'}")
    seconds = time.monotonic() - begun
    times = kill_and_resume(claims, args.out / "killed", args.kills, seconds)
    whole, killed = compared(args.out / "whole"), compared(args.out / "killed")
    differ = sorted(
        name for name in whole.keys() | killed.keys() if whole.get(name) != killed.get(name)
    )
    stages = len({name.partition("/")[0] for name in whole if "/" in name})
    found = {
        "claims": [path.stem for path in claims],
        "stages": stages,
        "seconds_whole": round(seconds),
        "kills_at": [round(each, 1) for each in times],
        "files_compared": len(whole),
        "differ": differ,
    }
    print(json.dumps(found, indent=1))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if differ or len(times) < args.kills else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Starts `r1 run` as a process of its own, and kills it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def start(recipe: Path, out: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "r1", "run", str(recipe), "--out", str(out), *more]
    paths = [str(recipe.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, text=True
    )


def finish(recipe: Path, out: Path, *more: str) -> str:
    process = start(recipe, out, *more)
    _, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    return errors


def kill_after(recipe: Path, out: Path, steps: int) -> None:
    """Start the run and kill it with -9 once `steps` steps stand in metrics.jsonl."""
    process = start(recipe, out)
    file = out / "metrics.jsonl"
    while process.poll() is None:
        if file.is_file() and len(file.read_text().splitlines()) >= steps:
            break
        time.sleep(0.02)
    assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.communicate()

"""When a training in epochs measures its held-out data, and where it commits what it found."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from r1.run_dir import RunDir
from r1.run_dir.events import RunEvents


def commit_heldout(
    run: RunDir,
    step: int,
    num_steps: int,
    every: int,
    measure: Callable[[], dict[str, Any]],
    progress: RunEvents,
) -> None:
    """Commit what `measure` finds of the weights after `step` updates, where that is due and not
    done: before the first step, after the last of num_steps, and every so many (0: not between)."""
    due = step in (0, num_steps) or (every > 0 and step % every == 0)
    if not due or run.has_evaluation(step):
        return
    begin = time.perf_counter()
    summary = measure()
    run.commit_evaluation(step, summary, seconds=time.perf_counter() - begin)
    progress.evaluation(step, summary)

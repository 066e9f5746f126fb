"""Several ranks against one process: what the tests of every sharded learner of policies check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import sharded_jobs
from r1.learner.local import LocalLearner
from rank_processes import Job, run_jobs


def ranks_take_over(model: Path, setup: dict[str, Any], folder: Path) -> None:
    """Steps 0 and 1 by two ranks, step 2 by three and by one process, which both go on from there.

    Metrics and weights are those of one process that did all three. setup: see `sharded_jobs`.
    """
    base = {"model": str(model), "setup": setup}
    saved = str(folder / "after-2")
    two, three = run_jobs(
        [
            Job(2, "sharded_jobs:train", {**base, "first": 0, "steps": 2, "save": saved}),
            Job(3, "sharded_jobs:train", {**base, "first": 2, "steps": 3, "load": saved}),
        ],
        folder / "jobs",
    )
    teacher = setup.get("distill", {}).get("teacher")
    alone, taken = (
        LocalLearner(model, *sharded_jobs.settings(setup), total_steps=8, teacher=teacher)
        for _ in range(2)
    )
    batches = sharded_jobs.batches(3)
    expected = [alone.update(batch) for batch in batches]
    taken.load(folder / "after-2")
    for last in (three["metrics"][0], taken.update(batches[2])):
        for got, wanted in zip([*two["metrics"], last], expected, strict=True):
            assert got.keys() == wanted.keys()
            for name in wanted.keys() - {"seconds", "tokens_processed"}:
                near = 1e-5 * max(1.0, abs(wanted[name]))
                assert got[name] == pytest.approx(wanted[name], abs=near), name
    for name, tensor in dict(alone.weights()).items():
        torch.testing.assert_close(three["weights"][name], tensor, atol=1e-4, rtol=0)

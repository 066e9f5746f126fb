"""The prepared script for a lent GPU: its parts at toy size on a CPU, its refusal without one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import gpu


@pytest.mark.parametrize("part", ["attention", "learner", "offloaded", "engine", "resume", "trl"])
def test_every_part_runs_at_toy_size(part) -> None:
    found = gpu.measured(gpu.PARTS[part], gpu.TOY)
    assert "failed" not in found, found
    expected = {
        "attention": {"right": True},
        "learner": {"peak_gib": None},
        "offloaded": {"peak_gib": None},
        "engine": {"rows": gpu.TOY.samples},
        "resume": {"deterministic": True},
        "trl": {},
    }[part]
    assert {name: found[name] for name in expected} == expected


def test_a_part_that_fails_is_written_down() -> None:
    found = gpu.measured(lambda size: 1 / 0, gpu.TOY)
    assert found["failed"] == "ZeroDivisionError: division by zero"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    with pytest.raises(SystemExit, match="sees none here"):
        gpu.main()

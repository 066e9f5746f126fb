"""What bench/kill_claims.py runs, cut down, is still every claim; and it sees what differs."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from r1.claims.arms import plan_claims
from r1.claims.settings import find_claims

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kill_claims", ROOT / "bench/kill_claims.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_cut_down_it_is_the_same_graph_of_every_claim(bench: ModuleType, tmp_path: Path) -> None:
    bench.cut_down(ROOT / "recipes", tmp_path / "recipes", num=24)
    small, whole = (
        plan_claims(find_claims([], folder / "claims"), seeds=1, scale="tiny")
        for folder in (tmp_path / "recipes", ROOT / "recipes")
    )
    assert small.arms.keys() == whole.arms.keys()
    for claim, arms in whole.arms.items():
        assert small.arms[claim].keys() == arms.keys(), claim
    assert len(small.stages) > 0.8 * len(whole.stages), "arms that differ in size alone are one"


def test_what_differs_is_found(bench: ModuleType, tmp_path: Path) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name / "a").mkdir(parents=True)
        for file in ("values.json", "model.safetensors", "timings.jsonl", "report.html"):
            (tmp_path / name / "a" / file).write_text("1")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert bench.compared(whole) == bench.compared(killed)
    assert set(bench.compared(whole)) == {"a/values.json", "a/model.safetensors"}
    (killed / "a" / "timings.jsonl").write_text("2")  # a clock's
    assert bench.compared(whole) == bench.compared(killed)
    (killed / "a" / "model.safetensors").write_text("2")
    assert bench.compared(whole) != bench.compared(killed)

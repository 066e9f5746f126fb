"""`r1 run` on Ray against `r1 run` in one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

from run_processes import finish
from small_recipe import TWO_BY_TWO, VARIED, write_recipe

pytest.importorskip("ray")
pytestmark = pytest.mark.slow


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").open()]


class Runs(NamedTuple):
    """The same recipe in one process and on Ray."""

    recipe: Path
    alone: Path
    spread: Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Runs:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "alone").mkdir()
    one = write_recipe(folder / "alone", "qwen2", num_steps=10, sections=VARIED)
    many = one.with_name("spread.toml")
    many.write_text(one.read_text() + TWO_BY_TWO)
    finish(one, folder / "one")
    finish(many, folder / "many")
    return Runs(many, folder / "one", folder / "many")


def test_ten_steps_give_the_same_samples_and_losses(runs) -> None:
    names = sorted(path.name for path in (runs.alone / "rollouts").iterdir())
    assert len(names) == 10
    for name in names:
        ours, theirs = (pq.read_table(run / "rollouts" / name) for run in (runs.spread, runs.alone))
        assert ours.equals(theirs), name
    for ours, theirs in zip(metrics(runs.spread), metrics(runs.alone), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-5)
        assert ours["reward"] == theirs["reward"]
        assert theirs["grad_norm"] > 0
    for path in sorted((runs.alone / "evaluations").glob("*.json")):
        assert json.loads((runs.spread / "evaluations" / path.name).read_text()) == json.loads(
            path.read_text()
        )

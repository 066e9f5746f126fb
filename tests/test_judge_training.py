"""A whole run whose accuracy a misbehaving judge gives, and the same run again for nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from fake_endpoint import KEY, MODEL, FakeEndpoint
from r1.config import load_recipe
from r1.errors import UserError
from r1.r1_zero.run import prepare, run_r1_zero
from r1.r1_zero.settings import R1ZeroRecipe
from small_recipe import write_recipe

SECTIONS = """
[grpo]
num_problems = 2
group_size = 3
[evaluation]
num_samples = 1
[optimizer]
lr = 1e-3  # with the default rate two steps move nothing, of which the run warns
"""


class Quiet:
    """A progress that keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def begin(self, first_step: int, num_steps: int, notices: list[str]) -> None: ...
    def step(self, step: int, metrics: Mapping[str, float]) -> None: ...
    def evaluating(self, step: int, done: int, total: int) -> None: ...
    def evaluation(self, step: int, summary: Mapping[str, Any]) -> None: ...

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def judged_recipe(folder: Path, endpoint: FakeEndpoint, *more: str) -> R1ZeroRecipe:
    path = write_recipe(folder, "qwen2", num_steps=2, sections=SECTIONS)
    data = folder / "data.jsonl"
    data.write_text(data.read_text().replace('"exact"', '"judge"'))
    overrides = [
        "rewards.answer_from=text",
        f"rewards.judge.base_url={endpoint.base_url}",
        f"rewards.judge.model={MODEL}",
        "rewards.judge.api_key_env=FAKE_KEY",
        "rewards.judge.limits.backoff_s=0.01",
        "rewards.judge.limits.timeout_s=2",
        *more,
    ]
    return load_recipe(path, R1ZeroRecipe, overrides)


@pytest.fixture
def _ready(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAKE_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.slow
@pytest.mark.usefixtures("_ready")
def test_a_run_with_a_misbehaving_judge(tmp_path: Path) -> None:
    faults = ["429", "500", "truncated", "hang", "schema", "malformed"]
    with FakeEndpoint(faults) as endpoint:
        recipe = judged_recipe(tmp_path, endpoint)
        runs = [tmp_path / "run", tmp_path / "again"]
        quiet = Quiet()
        run_r1_zero(recipe, tmp_path, runs[0], quiet)
        first = endpoint.num_requests
        replies = (runs[0] / "judge.jsonl").read_text().splitlines()
        assert sum("reply" in json.loads(line) for line in replies) == first - 5
        assert not quiet.warnings
        # The same run anew, with the first one's replies: the same rewards, and nothing paid.
        again = judged_recipe(tmp_path, endpoint, f"rewards.judge.cache={runs[0] / 'judge.jsonl'}")
        run_r1_zero(again, tmp_path, runs[1], quiet)
        assert endpoint.num_requests == first
    tables = [
        [pq.read_table(path) for path in sorted((run / "rollouts").rglob("*.parquet"))]
        for run in runs
    ]
    assert len(tables[0]) == 2
    assert sum(table.num_rows for table in tables[0]) == 2 * 2 * 3
    assert tables[0] == tables[1]
    outcomes = [value for table in tables[0] for value in table["outcome/accuracy"].to_pylist()]
    assert set(outcomes) <= {"wrong", "correct", "unparseable"}
    assert "wrong" in outcomes


@pytest.mark.usefixtures("_ready")
def test_a_judge_that_cannot_work_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeEndpoint() as endpoint:
        recipe = judged_recipe(tmp_path, endpoint)
        prepare(recipe, tmp_path)
        with pytest.raises(UserError, match="does not serve model"):
            prepare(judged_recipe(tmp_path, endpoint, "rewards.judge.model=other"), tmp_path)
        monkeypatch.delenv("FAKE_KEY")
        with pytest.raises(UserError, match="FAKE_KEY is not set"):
            prepare(recipe, tmp_path)
        without = recipe.model_copy(
            update={"rewards": recipe.rewards.model_copy(update={"judge": None})}
        )
        with pytest.raises(UserError, match=r"\[rewards\.judge\]"):
            run_r1_zero(without, tmp_path, tmp_path / "none", Quiet())
    assert not (tmp_path / "none").exists()
    assert endpoint.num_requests == 0 + 1  # the unlisted model was asked for once

"""A pipeline whose folder is moved carries on the stage under way; other inputs are refused."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

import r1
from r1.errors import UserError
from r1.evaluation.battery import _claim
from r1.run_dir import RunDir
from r1.run_dir.atomic import write_json
from r1.run_dir.inputs import FileHash, Input
from small_recipe import write_recipe

PIPELINE = """
kind = "r1"
[stages.one]
kind = "sft"
model = "model"
data = { train = [{ path = "rows.jsonl" }] }
template = { kind = "plain" }
batch = { size = 2, max_steps = 2 }
checkpoints = { every = 1 }
[stages.two]
like = "one"
model = "@one"
"""


def stopped(recipe: Path, out: Path, *, at: tuple[str, int] | None = None) -> list[tuple[str, int]]:
    """Train until a stage's step; return the steps that were taken."""
    taken: list[tuple[str, int]] = []

    def note(stage: str, step: int, metrics) -> None:
        taken.append((stage, step))
        if (stage, step) == at:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        r1.train(recipe, out, show=False, on_step=note)
    return taken


def test_a_moved_pipeline_carries_on_the_stage_under_way(tmp_path) -> None:
    write_recipe(tmp_path, "qwen2", 1, "")
    rows = ['{"prompt": "a b", "response": "c d"}', '{"prompt": "e", "response": "f g"}']
    (tmp_path / "rows.jsonl").write_text("\n".join(rows * 2))
    recipe = tmp_path / "pipeline.toml"
    recipe.write_text(PIPELINE)
    out, moved = tmp_path / "out", tmp_path / "moved"
    assert stopped(recipe, out, at=("two", 0)) == [("one", 0), ("one", 1), ("two", 0)]
    out.rename(moved)
    assert stopped(recipe, moved) == [("two", 1)]
    assert r1.load_run(moved).done
    assert not list(moved.glob("*.old-*"))


def open_stage(folder: Path, model: str, content: str) -> None:
    """Open the run of a stage whose model is the output of another stage."""
    write_json(folder / "BEGUN.json", {"settings": {"model": "@one"}, "inputs": {"model": "hash"}})
    read = Input("model", model, {"weights": FileHash(1, content)})
    with RunDir.open(folder / "run", {"model": model, "lr": 1}, "sft", inputs=[read]) as run:
        for step in run.remaining_steps(run.resume_step() + 1):
            run.commit_step(step, lambda place: None, {"loss": 1.0})


def test_where_an_input_lies_may_differ_and_what_it_holds_may_not(tmp_path) -> None:
    (tmp_path / "two").mkdir()
    open_stage(tmp_path / "two", "/old/one/run", "content")
    open_stage(tmp_path / "two", "/new/one/run", "content")
    with pytest.raises(UserError, match="begun with other files"):
        open_stage(tmp_path / "two", "/new/one/run", "other")
    (tmp_path / "two" / "BEGUN.json").unlink()  # of no pipeline: a path is a setting
    with pytest.raises(UserError, match="belongs to another recipe"):
        RunDir.open(tmp_path / "two" / "run", {"model": "/third", "lr": 1}, "sft")


def test_a_moved_evaluation_keeps_its_blocks(tmp_path) -> None:
    def claims(model: dict[str, str]) -> bool:
        _claim(tmp_path / "blocks", {"model": model})
        kept = (tmp_path / "blocks" / "0.parquet").exists()
        (tmp_path / "blocks" / "0.parquet").touch()
        return kept

    assert not claims({"source": "/old", "sha256": "1"})
    assert claims({"source": "/new", "sha256": "1"})
    assert not claims({"source": "/new", "sha256": "2"})
    assert not claims({"source": "hub/one"})
    assert not claims({"source": "hub/two"})

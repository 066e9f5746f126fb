"""Benchmarks as stages of a pipeline, and a pipeline's evaluations as benchmarks."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from r1.benchmarks.page.stages import read_stages, stages_section
from r1.cli import app
from r1.errors import UserError
from r1.evaluation.compare import compare
from r1.evaluation.stored import read_evaluation
from r1.pipeline.plan import plan_json
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.plan.estimate import Given
from r1.progress import TerminalProgress
from r1.report import build_report, report_json

RECIPE = """
kind = "r1"

[stages.eval_base]
kind = "evaluation"
title = "Base"
model = "tiny"
problems = [{ kind = "tiny", split = "heldout", families = ["arithmetic", "cups"], num = 4 }]
max_new_tokens = 60
evaluation = { num_samples = 2 }

[stages.eval_qwen]
like = "eval_base"
title = "Qwen"
model = "tiny-qwen"

[stages.bench_base]
kind = "benchmarks"
title = "Base"
model = "tiny"
names = ["tiny_world", "mine.toml"]
limit = 2
num_samples = 2
max_new_tokens = 40
think = false
"""
TABLE = """
name = "mine"
title = "Mine"
verifier = "exact"
data = "mine.jsonl"
prompt = "{question}"
answer = "gold"
k = 1
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks")
    write(folder, RECIPE)
    return train(folder)


def write(folder: Path, recipe: str) -> None:
    (folder / "recipe.toml").write_text(recipe)
    (folder / "mine.toml").write_text(TABLE)
    rows = [{"question": f"{n} + 1?", "gold": str(n + 1)} for n in range(3)]
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def train(folder: Path) -> Path:
    recipe = load_any_recipe(folder / "recipe.toml")
    out = folder / "run"
    run_recipe(recipe, folder, out, TerminalProgress(Console(file=io.StringIO())))
    return out


@pytest.mark.slow
def test_a_stage_measures_benchmarks_by_name_and_by_file(run: Path) -> None:
    marker = json.loads((run / "bench_base" / "STAGE.json").read_text())
    assert marker["outputs"]["results"]["counts"] == {"benchmarks": 2, "questions": 4}
    for name in ("tiny_world", "mine"):
        result = json.loads((run / "bench_base" / name / "benchmark.json").read_text())
        assert (result["k"], result["num_questions"]) == (2, 2)
        assert sum(result["outcomes"].values()) == pytest.approx(1.0)


@pytest.mark.slow
def test_scores_of_benchmarks_join_the_evaluation_in_the_table_of_stages(run: Path) -> None:
    found = report_json(run)["checkpoints"]
    assert set(found) == {"base", "qwen"}
    assert set(found["base"]["families"]) == {"arithmetic", "cups", "Tiny world", "Mine"}
    assert set(found["qwen"]["families"]) == {"arithmetic", "cups"}
    assert found["base"]["overall"]["pass_at_1"]


@pytest.mark.slow
def test_evaluations_are_benchmarks_too(run: Path) -> None:
    models = read_stages(run)
    assert [model.title for model in models] == ["Base", "Qwen"]
    assert set(models[0].results) == {"problems", "tiny_world", "mine"}
    for model, stage in zip(models, ("eval_base", "eval_qwen"), strict=True):
        told = json.loads((run / stage / "evaluation.json").read_text())
        result = model.results["problems"]
        assert result["score"]["value"] == pytest.approx(told["overall"]["pass_at_1"]["value"])
        assert result["outcomes"]["correct"] == pytest.approx(result["score"]["value"])
        assert sum(result["outcomes"].values()) == pytest.approx(1.0)
        assert result["mean_tokens"] == pytest.approx(told["overall"]["mean_length"]["value"])
        assert set(result["parts"]["family"]) == {"arithmetic", "cups"}
        assert "at most 60 tokens" in result["departures"]


@pytest.mark.slow
def test_a_problem_that_lacks_a_sample_is_refused(run: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from r1.benchmarks.page.stages import problems_result

    place = tmp_path / "eval_base"
    place.mkdir()
    (place / "evaluation.json").write_text((run / "eval_base" / "evaluation.json").read_text())
    table = pq.read_table(run / "eval_base" / "completions.parquet")
    pq.write_table(table.slice(1), place / "completions.parquet")
    with pytest.raises(UserError, match=r"completions\.parquet: not every problem has 2 samples"):
        problems_result(place, "Base")


@pytest.mark.slow
def test_the_report_and_the_terminal_show_them(run: Path) -> None:
    page = build_report(run, stages_section(run)).read_text()
    for words in ('id="benchmarks"', "Mine", "unfinished"):
        assert words in page
    done = CliRunner().invoke(app, ["bench", "show", str(run)])
    assert done.exit_code == 0, done.output
    for words in ("Held-out problems", "Tiny world", "Mine", "Qwen"):
        assert words in done.output
    assert CliRunner().invoke(app, ["bench", "show", str(run / "bench_base")]).exit_code == 0


def test_a_run_without_measured_checkpoints_says_so(tmp_path: Path) -> None:
    (tmp_path / "pipeline.json").write_text('{"kind": "r1", "stages": []}')
    assert stages_section(tmp_path) == ""
    done = CliRunner().invoke(app, ["bench", "show", str(tmp_path)])
    assert isinstance(done.exception, UserError)
    assert "no stage has measured a checkpoint yet" in str(done.exception)


@pytest.mark.slow
def test_two_stages_are_compared(run: Path) -> None:
    first, second = (read_evaluation(run / name) for name in ("eval_base", "eval_qwen"))
    assert (first.num_samples, first.settings["sampling"]["max_new_tokens"]) == (2, 60)
    (found,) = compare(first.counts, [second.counts])
    assert found.overall.num_problems == 4


@pytest.mark.slow
def test_a_stage_is_planned(run: Path) -> None:
    path = run.parent / "recipe.toml"
    told = plan_json(load_any_recipe(path), path, Given())
    stages = {stage["name"]: stage for stage in told["stages"]}
    assert stages["bench_base"]["samples"] == 2 * 2 + 2 * 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("names = [", 'names = ["math5000", '), "math5000"),
        (("names = [", 'names = ["math500", '), "math500 needs data: set path"),
        (("names = [", 'path = "."\nnames = ["math500", '), "math500: no data in"),
        (("names = [", 'names = ["alpaca_eval", '), "judge"),
        (('model = "tiny"\nnames', 'model = "nowhere/no"\nnames'), "nowhere/no"),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(
    tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    write(tmp_path, RECIPE.replace(*change))
    with pytest.raises(UserError, match=words):
        train(tmp_path)
    assert not (tmp_path / "run" / "eval_base").exists()

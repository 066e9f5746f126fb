"""`import r1`: the functions of a script or notebook do what the commands do."""

from __future__ import annotations

import asyncio
import json
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

import r1
from r1 import cli
from run_story import story
from small_recipe import with_plain_heldout, write_recipe

ROOT = Path(__file__).parents[1]
EVERY = """
[grpo]
num_problems = 2
group_size = 2
[optimizer]
lr = 5e-3
[evaluation]
num_samples = 1
[checkpoints]
every = 1
keep = 0
"""


@pytest.fixture
def small(tmp_path, monkeypatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return with_plain_heldout(write_recipe(tmp_path, "qwen2", num_steps=3, sections=EVERY))


def test_importing_loads_nothing_and_every_name_is_there() -> None:
    code = (
        "import sys, r1\n"
        "heavy = {'torch', 'pydantic', 'numpy', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "for name in r1.__all__: assert getattr(r1, name) is not None, name\n"
        "assert set(r1.__all__) <= set(dir(r1))\n"
        "try: r1.nothing\n"
        "except AttributeError as error: assert 'nothing' in str(error)\n"
        "else: raise AssertionError\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_names_that_a_type_checker_sees_are_those_that_there_are() -> None:
    lines = (ROOT / "src" / "r1" / "__init__.py").read_text().splitlines()
    typed = {line.split(" as ")[-1] for line in lines if line.startswith("    from r1.")}
    assert typed == set(r1.__all__) - {"__version__"}


def test_a_recipe_with_changes_is_the_file_with_overrides(small) -> None:
    from r1.pipeline.recipe import load_any_recipe

    changes = {"num_steps": 5, "grpo": {"clip_high": 0.3}, "sampling.max_new_tokens": 9}
    recipe = r1.load_recipe(small, **changes)
    words = ["num_steps=5", "grpo.clip_high=0.3", "sampling.max_new_tokens=9"]
    assert recipe.settings == load_any_recipe(small, words)
    assert recipe.settings.grpo.num_problems == 2  # what stands beside a change stays
    assert recipe.changed(seed=4).as_dict() == {**recipe.as_dict(), "seed": 4}


def test_a_recipe_of_keywords_is_that_of_a_file(small) -> None:
    tables = tomllib.loads(small.read_text())
    made = r1.recipe(base_folder=small.parent, **tables)
    assert made.settings == r1.load_recipe(small).settings
    assert made.base_folder == small.parent
    paths = {"train": ({"path": Path("data.jsonl")},)}
    assert r1.recipe(model=Path("m"), num_steps=1, data=paths).settings.model == "m"


def test_plugins_beside_a_recipe_are_found(tmp_path) -> None:
    registers = "from r1.plugins import note_registration\nnote_registration('seen')\n"
    (tmp_path / "beside_an_object.py").write_text(registers)
    data = {"train": [{"path": "data.jsonl"}]}
    given = {"model": "tiny", "num_steps": 1, "data": data, "plugins": ["beside_an_object"]}
    assert r1.recipe(base_folder=tmp_path, **given).settings.plugins == ("beside_an_object",)
    with pytest.raises(r1.UserError, match="beside_nothing"):
        r1.recipe(base_folder=tmp_path, **{**given, "plugins": ["beside_nothing"]})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_step": 3}, r"num_step: unknown setting; did you mean 'num_steps'"),
        ({"grpo": {"clip_hihg": 0.3}}, "grpo.clip_hihg: unknown setting; did you mean"),
        ({"num_steps": "3"}, "write the number without quotes"),
        ({"kind": "grpo"}, "is no kind of recipe"),
    ],
)
def test_mistakes_are_refused_as_in_a_file(small, changes, said) -> None:
    with pytest.raises(r1.UserError, match=said) as refused:
        r1.load_recipe(small, **changes)
    assert str(small) in str(refused.value)
    with pytest.raises(r1.UserError, match=r"r1\.recipe\(\.\.\.\)"):
        r1.recipe(model="tiny", num_step=3)


@pytest.mark.slow
def test_a_run_stopped_in_a_notebook_is_carried_on_as_if_it_had_not_been(
    small, tmp_path, capsys
) -> None:
    """An event loop runs already, and the stop button raises KeyboardInterrupt."""
    whole = r1.train(r1.load_recipe(small), tmp_path / "whole", show=False)

    def stop(stage: str, step: int, metrics) -> None:
        assert (stage, metrics["reward"]) == ("training", pytest.approx(seen(whole, step)))
        if step == 1:
            raise KeyboardInterrupt

    async def notebook() -> r1.RunFolder:
        with pytest.raises(KeyboardInterrupt):
            r1.train(small, tmp_path / "run", on_step=stop)
        assert not r1.load_run(tmp_path / "run").done
        return r1.train(small, tmp_path / "run")

    run = asyncio.run(notebook())
    told = capsys.readouterr().err
    assert "the checkpoint after step 2. The same command carries on" in told
    assert "Carrying on after step 2 of 3." in told
    assert "step 3/3" in told
    assert story(run.folder) == story(whole.folder)


def seen(run: r1.RunFolder, step: int) -> float:
    return run.metrics[step]["reward"]


def test_a_run_is_read_as_rows(small, tmp_path) -> None:
    with pytest.raises(r1.UserError, match="does not exist"):
        r1.load_run(tmp_path / "none")
    run = r1.train(small, tmp_path / "run", show=False)
    assert run.done
    assert [row["step"] for row in run.metrics] == [0, 1, 2]
    assert [row["step"] for row in run.evaluations] == [0, 3]
    assert list(run.checkpoints) == [1, 2, 3]
    assert all((folder / "config.json").is_file() for folder in run.checkpoints.values())
    assert run.recipe["num_steps"] == 3
    assert run.lineage["parent"]["model"] == "model"
    assert run.timings[0]["seconds/total"] > 0
    rows = list(run.rollouts())
    assert len(rows) == 3 * 2 * 2
    assert {row["step"] for row in run.rollouts([1])} == {1}
    with pytest.raises(r1.UserError, match="no rollouts of step 7"):
        list(run.rollouts([7]))


def test_a_recipe_of_stages_is_done_when_every_stage_is(tmp_path) -> None:
    stages = [{"name": name, "kind": "sft"} for name in ("one", "two")]
    (tmp_path / "pipeline.json").write_text(json.dumps({"kind": "r1", "stages": stages}))
    run = r1.load_run(tmp_path)
    assert not run.done
    assert run.stages == {}
    (tmp_path / "one").mkdir()
    marker = {"inputs": {}, "parents": {}, "outputs": {}, "seconds": 1.0}
    (tmp_path / "one" / "STAGE.json").write_text(json.dumps(marker))
    assert list(run.stages) == ["one"]  # read anew, while it is being written
    assert run.stages["one"].done
    assert not run.done
    (tmp_path / "two").mkdir()
    assert not run.done
    (tmp_path / "two" / "STAGE.json").write_text(json.dumps(marker))
    assert run.done


def test_evaluating_and_sampling_are_what_the_commands_do(small, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = r1.train(small, show=False)
    assert run.folder == Path("runs/recipe")
    found = r1.evaluate(run, num_samples=2, show=False)
    words = ["eval", "runs/recipe", "--samples", "2", "--out", "by-command"]
    assert CliRunner().invoke(cli.app, words).exit_code == 0
    assert found.summary == json.loads(Path("by-command/evaluation.json").read_text())
    assert found.folder == Path("runs/eval-recipe")
    assert found.pass_at_1.low <= found.pass_at_1.value <= found.pass_at_1.high
    assert len(list(found.samples())) == 4 * 2
    assert r1.load_evaluation(found.folder).summary == found.summary
    with pytest.raises(r1.UserError, match="is an evaluation"):
        r1.load_run(found.folder)
    with pytest.raises(r1.UserError, match="no evaluation"):
        r1.load_evaluation(run)
    again = r1.evaluate(run, r1.load_recipe(small), num_samples=2, out="again", show=False)
    assert again.pass_at_1 == found.pass_at_1


def test_problems_are_rows_or_a_file(small, tmp_path) -> None:
    rows = [{"prompt": f"{i} + 1", "reference": str(i + 1), "verifier": "exact"} for i in range(3)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = tmp_path / "model"
    given = {"num_samples": 1, "max_new_tokens": 4, "show": False}
    by_rows = r1.evaluate(model, rows, out=tmp_path / "a", **given)
    by_file = r1.evaluate(model, tmp_path / "rows.jsonl", out=tmp_path / "b", **given)
    assert by_rows.summary == by_file.summary
    assert by_rows.summary["num_problems"] == 3
    assert r1.evaluate(model, rows, out=tmp_path / "a", **given).folder == tmp_path / "a"
    with pytest.raises(r1.UserError, match="no row"):
        r1.evaluate(model, [], out=tmp_path / "c", **given)
    with pytest.raises(r1.UserError, match="prompt"):
        r1.evaluate(model, [{"question": "1 + 1"}], out=tmp_path / "c", **given)
    with pytest.raises(r1.UserError, match=r"^problems: .*\n  row 2: reference is empty"):
        r1.evaluate(model, [*rows[:1], rows[1] | {"reference": ""}], out=tmp_path / "c", **given)
    with pytest.raises(r1.UserError, match=r"another evaluation .* \(out=\.\.\.\)"):
        r1.evaluate(model, rows[:2], out=tmp_path / "a", **given)
    with pytest.raises(r1.UserError, match="model is a int; give a run"):
        r1.evaluate(3, rows, out=tmp_path / "c", **given)


def test_samples_follow_from_their_seeds(small, tmp_path) -> None:
    model, limit = str(tmp_path / "model"), {"max_new_tokens": 6}
    first = r1.sample(model, ["1 + 1", "2 + 2"], 3, seed=5, **limit)
    assert [len(group) for group in first] == [3, 3]
    assert all(0 < each.num_tokens <= 6 for group in first for each in group)
    with r1.open_model(model) as loaded:
        assert r1.sample(loaded, ["1 + 1", "2 + 2"], 3, seed=5, **limit) == first
        assert loaded.sample(["1 + 1", "2 + 2"], 3, seed=6, **limit) != first
        with pytest.raises(r1.UserError, match="give a list"):
            loaded.sample("1 + 1")
        for given, said in (
            ({"temperature": -1.0}, "r1.sample:\n  temperature: .*greater than or equal to 0"),
            ({"top_p": 2}, "top_p: .*less than or equal to 1"),
            ({"max_new_tokens": 0}, "max_new_tokens: .*greater than or equal to 1"),
            (
                {"max_new_tokens": 10**6},
                "max_new_tokens = 1000000 is more than the model's context",
            ),
            ({"num_samples": 0}, "num_samples = 0: give 1 or more"),
        ):
            with pytest.raises(r1.UserError, match=said):
                loaded.sample(["1 + 1"], **given)
        with pytest.raises(r1.UserError, match="prompt 1 is not UTF-8 at character 1"):
            loaded.sample(["a", "a\ud800"])


def test_rewards_by_name() -> None:
    assert r1.verify("so it is \\boxed{\\frac12}", "0.5").outcome is r1.Outcome.CORRECT
    assert r1.verify("Paris", "paris", "exact").value == 1.0
    assert r1.reward("math")("\\boxed{7}", "8").outcome is r1.Outcome.WRONG
    assert r1.reward("format")("<think>a</think> <answer>b</answer>").value == 1.0
    assert r1.reward("numeric")("about 3.1", "3.1").value == 1.0
    with pytest.raises(r1.UserError, match="did you mean 'math'"):
        r1.reward("maths")
    with pytest.raises(r1.UserError):
        r1.verify("7", "8", "maths")


def test_no_public_name_is_a_module_too() -> None:
    """A package of a function's name takes its place in r1 once any part of it is imported."""
    modules = {module.name for module in pkgutil.iter_modules(r1.__path__)}
    assert not modules & set(r1.__all__)


def test_an_endpoint_is_asked_under_a_loop_that_runs_already() -> None:
    from r1.judge.lookup import run_to_end

    async def answer() -> int:
        await asyncio.sleep(0)
        return 7

    async def fail() -> None:
        raise ValueError("as it is")

    async def notebook() -> int:
        with pytest.raises(ValueError, match="as it is"):
            run_to_end(fail())
        return run_to_end(answer())

    assert run_to_end(answer()) == asyncio.run(notebook()) == 7

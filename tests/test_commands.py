"""What the commands themselves say: help texts, Ctrl-C."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from r1 import cli
from r1.pipeline.stopped import saved_in


def commands() -> dict[tuple[str, ...], object]:
    """Every command by its words."""
    found: dict[tuple[str, ...], object] = {}
    waiting = [((), get_command(cli.app))]
    while waiting:
        words, command = waiting.pop()
        found[words] = command
        waiting += [((*words, name), sub) for name, sub in getattr(command, "commands", {}).items()]
    return found


COMMANDS = commands()
RECIPES = Path(__file__).parents[1] / "recipes"
STAGES = """
kind = "r1"
[stages.a]
kind = "rejection"
model = "tiny"
problems = [{ path = "x.jsonl" }]
[stages.b]
kind = "sft"
model = "tiny"
data.train = [{ kind = "parquet", path = "@a" }]
"""


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_shows_every_word_of_every_option(words, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERMINAL_WIDTH", "200")
    shown = CliRunner().invoke(cli.app, [*words, "--help"], env={"COLUMNS": "200"}).output
    flat = " ".join(re.sub(r"[│╭╰─╮╯]", " ", shown).split())
    for parameter in COMMANDS[words].params:
        assert parameter.help, f"{words} {parameter.name} has no help text"
        rendered = [word.strip("`*") for word in parameter.help.split()]
        missing = [word for word in rendered if word not in flat]
        assert not missing, f"{words} --{parameter.name}: {missing} not in {flat}"
    assert "[bold]" not in flat
    assert "[cyan]" not in flat


def test_optional_options_name_their_default() -> None:
    """An option that may be left out says what holds then, in its text or by typer."""
    told = {"overrides", "cluster", "metrics_port", "first", "only", "replicas"}
    for words, command in COMMANDS.items():
        for parameter in command.params:
            plain = parameter.param_type_name == "option" and not parameter.is_flag
            if plain and parameter.default is None and parameter.name not in told:
                needed = parameter.required or "default" in parameter.help
                assert needed or parameter.name in ("lengths", "recipe", "figures"), (
                    words, parameter.name, parameter.help,
                )  # fmt: skip


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("arguments", "patched", "said"),
    [
        (["run", "RECIPE", "--out", "OUT"], "r1.pipeline.run.run_recipe", "after step 12"),
        (["eval", "tiny", "--out", "OUT"], "r1.evaluate.command.run_eval_command", "after step 12"),
        (
            ["plan", "RECIPE", "--hardware", "CPU"],
            "r1.pipeline.plan.plan_command",
            "nothing was written",
        ),
        (["report", "OUT"], "r1.report.build_report", "nothing was written"),
    ],
)
def test_ctrl_c_says_what_was_saved(
    monkeypatch, capsys, tmp_path, arguments, patched, said
) -> None:
    (tmp_path / "checkpoints" / "step-000012").mkdir(parents=True)
    recipe = str(Path(__file__).parents[1] / "recipes" / "tiny" / "r1_zero.toml")
    words = {"RECIPE": recipe, "OUT": str(tmp_path)}
    monkeypatch.setattr(patched, stop)
    monkeypatch.setattr(sys, "argv", ["r1", *(words.get(word, word) for word in arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 130
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_what_is_saved_of_a_pipeline_and_of_an_evaluation(tmp_path) -> None:
    assert "Nothing was saved" in saved_in(tmp_path / "none")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "STAGE.json").write_text("{}")
    (tmp_path / "c" / "run" / "checkpoints" / "step-000003").mkdir(parents=True)
    assert "stages a, b; stage c after step 3" in saved_in(tmp_path)
    (tmp_path / "blocks").mkdir()
    (tmp_path / "blocks" / "block-00000.parquet").write_text("")
    assert "1 blocks of judged samples" in saved_in(tmp_path)


@pytest.mark.parametrize(
    ("words", "gpu", "on_cpu"),
    [
        ([], False, True),
        ([], True, False),
        (["--set", "learner.device=cpu"], True, True),
        (["--set", "learner.device=cuda"], False, False),
        (["--hardware", "H100"], False, False),
        (["--gpus", "8"], False, False),
        (["--cluster-recipe"], False, False),
        (["--stages"], False, True),
        (["--stages", "--set", "stages.b.learner.device=cuda"], False, False),
        (["--stages", "--set", "cluster.learner_ranks=2"], False, False),
        (["--stages"], True, False),
    ],
)
def test_a_plan_is_for_this_machine_where_the_recipe_runs_on_its_cpu(
    monkeypatch, tmp_path, words, gpu, on_cpu
) -> None:
    text = 'model = "tiny"\nnum_steps = 1\n[[data.train]]\npath = "x.jsonl"\n'
    if words == ["--cluster-recipe"]:
        text, words = text + '[cluster]\naddress = "local"\n', []
    if words[:1] == ["--stages"]:
        text, words = STAGES, words[1:]
    (tmp_path / "recipe.toml").write_text(text)
    planned = []
    monkeypatch.setattr("r1.pipeline.plan.plan_command", lambda *args: planned.append(args[3]))
    glob = Path.glob
    monkeypatch.setattr(
        Path,
        "glob",
        lambda path, what: iter(["gpu"] * gpu) if path == Path("/dev") else glob(path, what),
    )
    shown = CliRunner().invoke(cli.app, ["plan", str(tmp_path / "recipe.toml"), *words])
    assert shown.exit_code == 0, shown.output
    assert (planned[0].hardware == "CPU") is on_cpu
    assert ("Planned for the CPU" in shown.output) is on_cpu


@pytest.mark.parametrize("recipe", sorted(p.stem for p in (RECIPES / "cluster").glob("*.toml")))
def test_a_clusters_recipe_is_planned_for_its_gpus_wherever_it_is_asked(recipe) -> None:
    from r1.pipeline.plan import given_here
    from r1.pipeline.recipe import load_any_recipe
    from r1.plan.estimate import Given

    path = RECIPES / "cluster" / f"{recipe}.toml"
    assert given_here(load_any_recipe(path), path, Given()) == Given()


def test_a_dry_run_is_planned_for_this_machine_too(tmp_path) -> None:
    (tmp_path / "recipe.toml").write_text(STAGES.replace("x.jsonl", "none.jsonl"))
    words = ["--dry-run", "--set", "stages.b.learner.device=cpu"]
    words += ["--set", "stages.a.engine.device=cpu", "--out", str(tmp_path / "out")]
    shown = CliRunner().invoke(cli.app, ["run", str(tmp_path / "recipe.toml"), *words])
    assert shown.exit_code == 0, shown.output
    assert "CPU" in shown.output
    assert "H800" not in shown.output

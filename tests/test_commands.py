"""What the commands themselves say: help texts, Ctrl-C."""

from __future__ import annotations

import errno
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from r1 import __main__ as entry
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


@pytest.mark.parametrize(
    ("arguments", "patched", "said"),
    [
        (["run", "RECIPE", "--out", "OUT"], "r1.pipeline.run.run_recipe", "after step 12"),
        (
            ["eval", "tiny", "--out", "OUT"],
            "r1.evaluation.command.run_eval_command",
            "after step 12",
        ),
        (
            ["plan", "RECIPE", "--hardware", "CPU"],
            "r1.pipeline.plan.plan_command",
            "nothing was written",
        ),
        (["report", "OUT"], "r1.report.build_report", "nothing was written"),
        (
            ["bench", "run", "tiny", "math500", "--out", "OUT"],
            "r1.benchmarks.running.measure.run_benchmarks",
            "after step 12",
        ),
        (["bench", "show", "OUT"], "r1.benchmarks.running.show.show_results", "nothing was"),
        (["fetch", "smollm2", "OUT"], "r1.models.fetch.fetch", "after step 12"),
        (["pretrain", "BASE", "--out", "OUT"], "r1.pretrain.train.pretrain", "after step 12"),
        (["reproduce", "CLAIM", "--out", "OUT"], "r1.claims.run.run_claims", "after step 12"),
        (["export", "OUT", "x"], "r1.publish.export.export", "nothing was written"),
        (["data", "x.jsonl"], "r1.data_command.show", "nothing was written"),
        (["diagnose", "OUT"], "r1.diagnose.diagnose_all", "nothing was written"),
        (["lineage", "OUT"], "r1.pipeline.show.show_lineage", "nothing was written"),
        (["doctor"], "r1.doctor.examine", "nothing was written"),
    ],
)
def test_ctrl_c_says_what_was_saved(
    monkeypatch, capsys, tmp_path, arguments, patched, said
) -> None:
    def stop(*_: object, **__: object) -> None:
        (tmp_path / "checkpoints" / "step-000012").mkdir(parents=True)
        raise KeyboardInterrupt

    recipes = Path(__file__).parents[1] / "recipes"
    words = {
        "RECIPE": str(recipes / "tiny" / "r1_zero.toml"),
        "BASE": str(recipes / "tiny" / "base.toml"),
        "CLAIM": str(sorted((recipes / "claims").glob("*.toml"))[0]),
        "OUT": str(tmp_path),
    }
    monkeypatch.setattr(patched, stop)
    monkeypatch.setattr(sys, "argv", ["r1", *(words.get(word, word) for word in arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 130
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_ctrl_c_while_the_command_is_still_imported(monkeypatch, capsys) -> None:
    class StoppedImport:
        def find_spec(self, name, path, target=None):
            if name == "r1.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "r1.cli")
    monkeypatch.setattr(sys, "meta_path", [StoppedImport(), *sys.meta_path])
    with pytest.raises(SystemExit) as stopped:
        entry.main()
    assert stopped.value.code == 130
    assert capsys.readouterr().err.strip() == "Stopped."


def test_what_is_saved_of_a_pipeline_and_of_an_evaluation(tmp_path) -> None:
    assert "Nothing was saved" in saved_in(tmp_path / "none")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "STAGE.json").write_text("{}")
    (tmp_path / "c" / "run" / "checkpoints" / "step-000003").mkdir(parents=True)
    assert "stages a, b; stage c after step 3" in saved_in(tmp_path)
    titles = {"a": "PPO, seed 0", "c": "GRPO, seed 0"}
    assert "stages PPO, seed 0, b; stage GRPO, seed 0 after" in saved_in(tmp_path, titles)
    for number in range(20):
        (tmp_path / f"s{number}").mkdir()
        (tmp_path / f"s{number}" / "STAGE.json").touch()
    assert ": 22 stages; stage c after step 3" in saved_in(tmp_path)
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


@pytest.mark.parametrize(
    ("limit", "expected"), [("max\n", None), ("1000000000\n", 1e9), (None, None)]
)
def test_what_must_fit_on_a_cpu_is_the_memory_of_this_machine(
    monkeypatch, tmp_path, limit, expected
) -> None:
    from r1.pipeline.estimates import estimate_recipe
    from r1.pipeline.plan import given_here
    from r1.pipeline.recipe import load_any_recipe
    from r1.plan import hardware
    from r1.plan.estimate import Given

    monkeypatch.setattr(hardware, "CONTAINER_LIMIT", tmp_path / "memory.max")
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit)
    path = RECIPES / "tiny" / "r1_zero.toml"
    recipe = load_any_recipe(path)
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for asked in (Given(hardware="cpu"), Given(hardware="CPU")):
        given = given_here(recipe, path, asked)
        assert given.memory_bytes == (expected or installed)
        machine = estimate_recipe(recipe, path.parent, given).machine
        assert machine.device == "cpu"
        assert machine.budget == given.memory_bytes


def test_a_dry_run_is_planned_for_this_machine_too(tmp_path) -> None:
    (tmp_path / "recipe.toml").write_text(STAGES.replace("x.jsonl", "none.jsonl"))
    words = ["--dry-run", "--set", "stages.b.learner.device=cpu"]
    words += ["--set", "stages.a.engine.device=cpu", "--out", str(tmp_path / "out")]
    shown = CliRunner().invoke(cli.app, ["run", str(tmp_path / "recipe.toml"), *words])
    assert shown.exit_code == 0, shown.output
    assert "CPU" in shown.output
    assert "H800" not in shown.output


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("can't start new thread"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
    ids=repr,
)
def test_a_lack_of_memory_is_told_without_a_traceback(error, monkeypatch, capsys) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "there is not enough memory" in capsys.readouterr().err


def test_another_error_keeps_its_traceback(monkeypatch) -> None:
    def fail() -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(RuntimeError, match="a defect"):
        cli.main()


def test_a_limit_of_memory_on_the_whole_command(tmp_path) -> None:
    """torch's libraries alone need more than 600 MB of addresses."""
    done = subprocess.run(
        [sys.executable, "-m", "r1", "eval", "tiny", "--out", str(tmp_path / "out")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (600_000_000, 600_000_000)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "there is not enough memory" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["train", "mine.toml"], "did you mean r1 run RECIPE?"),
        (["sft", "mine.toml"], 'kind = "sft"'),
        (["run", "mine.toml", "--num_steps", "3"], "--set num_steps=VALUE"),
        (["run", "mine.toml", "--lr=1e-5"], "--set optimizer.lr=VALUE"),
        (["run", "mine.toml", "--learning-rate", "1e-5"], "--set optimizer.lr=VALUE"),
        (["eval", "tiny", "--limit", "3"], "--set data.heldout.0.limit=VALUE"),
        (
            ["run", "mine.toml", "--set", "num_steps=3", "grpo.group_size=4"],
            "give it again for each: --set grpo.group_size=4",
        ),
    ],
)
def test_words_of_other_trainers_are_answered_with_ours(monkeypatch, capsys, words, answer) -> None:
    monkeypatch.setattr(sys, "argv", ["r1", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert answer in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["run", "none.toml", "--out", "x", "--dry-run"],
        ["bench"],
        [],
        ["run", "none.toml", "--set", "a=1", "--set", "b=2"],
        ["run", "--set", "a=1", "Runs/x=2.toml"],
    ],
)
def test_words_that_r1_has_pass(monkeypatch, capsys, words) -> None:
    monkeypatch.setattr(sys, "argv", ["r1", *words])
    with pytest.raises(SystemExit):
        cli.main()
    told = capsys.readouterr().err
    assert "did you mean r1" not in told
    assert "has no option" not in told
    assert "again for each" not in told

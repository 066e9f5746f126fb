"""A user's mistakes: one screen with what, where and the remedy, exit status 2, no traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from r1 import cli
from small_models import make_model, make_tokenizer

GOOD_ROW = {"id": "a", "prompt": "What is 1 + 1?", "reference": "2"}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tokenizer = make_tokenizer()
    make_model("qwen2", vocab_size=len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def recipe(tmp_path, model) -> Path:
    """A valid recipe on two problems; the cases below break one thing each."""
    rows = [GOOD_ROW, {"id": "b", "prompt": "What is 2 + 2?", "reference": "4"}]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "recipe.toml"
    path.write_text(
        f'kind = "r1_zero"\nmodel = "{model}"\nnum_steps = 1\n'
        '[[data.train]]\npath = "train.jsonl"\n'
        "[grpo]\nnum_problems = 2\ngroup_size = 2\n[sampling]\nmax_new_tokens = 4\n"
    )
    return path


def run_cli(monkeypatch, capsys, *arguments: str) -> tuple[int, str]:
    """Exit status and everything printed."""
    monkeypatch.setattr(sys, "argv", ["r1", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    printed = capsys.readouterr()
    return stopped.value.code, printed.out + printed.err


def assert_refused(code: int, text: str, *expected: str) -> None:
    assert code == 2, text
    assert "Traceback" not in text
    assert len(text.splitlines()) <= 24, text
    flat = " ".join(text.replace("│", " ").split())
    for part in expected:
        assert part in flat, f"{part!r} is not in: {text}"


SETTINGS = [
    # (override, what the message must hold)
    ("grpo.clip_hihg=0.28", ["grpo.clip_hihg", "clip_high"]),
    ("grop.clip_high=0.28", ["grop", "grpo"]),
    ("numsteps=3", ["numsteps", "num_steps"]),
    ("grpo.group_size=1", ["grpo.group_size", "2"]),
    ("grpo.group_size=many", ["grpo.group_size", "integer", "many"]),
    ("grpo.ratio=tokens", ["grpo.ratio", "token"]),
    ("grpo.kl_weight=-1", ["grpo.kl_weight", "0"]),
    ("grpo.overlong=penalty", ["overlong_buffer"]),
    ("grpo.overlong_buffer=10", ["overlong_buffer is for overlong", '"penalty"', "by default 0"]),
    ("sampling.temperature=0", ["temperature", "nothing to learn"]),
    ("sampling.top_p=1.5", ["sampling.top_p"]),
    ("sampling.max_new_tokens=0", ["sampling.max_new_tokens"]),
    ("optimizer.lr=fast", ["optimizer.lr", "number"]),
    ("optimizer.kind=sgd", ["optimizer.kind", "adamw"]),
    ("learner.device=tpu0", ["tpu0"]),
    ("engine.device=cuda:99", ["cuda"]),
    ("rewards.weights.acuracy=1.0", ["acuracy", "accuracy"]),
    ("evaluation.every=5", ["data.heldout"]),
    ("num_steps=0", ["num_steps", "1"]),
    ("template.kind=chatml", ["template.kind", "r1_zero"]),
    ("template.system=hello", ["template.system", "chat"]),
    ("template.kind=chat", ["chat template"]),
    ("model=/does/not/exist", ["/does/not/exist"]),
    ("grpo.num_problems=3", ["grpo.num_problems", "2"]),
    ("checkpoints.every=0", ["checkpoints.every"]),
    ("sampling.stop=[1]", ["sampling.stop"]),
    ("no-equals-sign", ["section.key=value"]),
    ("seed=-1", ["seed"]),
    ("model.path=x", ["model"]),
]


@pytest.mark.parametrize(("override", "expected"), SETTINGS, ids=[s for s, _ in SETTINGS])
def test_settings(recipe, monkeypatch, capsys, tmp_path, override, expected) -> None:
    out = tmp_path / "run"
    code, text = run_cli(monkeypatch, capsys, "run", recipe, "--out", out, "--set", override)
    assert_refused(code, text, *expected)
    assert not out.exists(), "a mistake must leave nothing behind"


ROWS = [
    # (name, lines of the file, what the message must hold)
    ("empty", [], ["train.jsonl", "empty"]),
    ("bad json", ['{"id": "a"'], ["train.jsonl", "row 1"]),
    ("no prompt", [json.dumps({"id": "a", "reference": "2"})], ["prompt"]),
    ("null prompt", [json.dumps({**GOOD_ROW, "prompt": None})], ["row 1", "prompt"]),
    ("same id", [json.dumps(GOOD_ROW)] * 2, ["row 2", "'a'"]),
    ("unknown verifier", [json.dumps({**GOOD_ROW, "verifier": "mth"})], ["mth", "math"]),
    ("no reference", [json.dumps({"id": "a", "prompt": "?"})], ["reference"]),
    ("unverifiable", [json.dumps({**GOOD_ROW, "reference": "blue-ish {"})], ["row 1", "reference"]),
    ("too long", [json.dumps({**GOOD_ROW, "prompt": "x " * 9000})], ["context", "a"]),
]


@pytest.mark.parametrize(("lines", "expected"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_rows(recipe, monkeypatch, capsys, tmp_path, lines, expected) -> None:
    (tmp_path / "train.jsonl").write_text("".join(line + "\n" for line in lines))
    code, text = run_cli(monkeypatch, capsys, "run", recipe, "--out", tmp_path / "run")
    assert_refused(code, text, *expected)
    assert not (tmp_path / "run").exists()


def test_missing_recipe_names_the_nearest(recipe, monkeypatch, capsys) -> None:
    code, text = run_cli(monkeypatch, capsys, "run", recipe.with_name("recpe.toml"))
    assert_refused(code, text, "does not exist", "recipe.toml")


def test_recipe_that_is_not_toml(recipe, monkeypatch, capsys) -> None:
    recipe.write_text("num_steps == 3")
    code, text = run_cli(monkeypatch, capsys, "run", recipe)
    assert_refused(code, text, "TOML", "line 1")


def test_recipe_that_is_a_folder(recipe, monkeypatch, capsys) -> None:
    code, text = run_cli(monkeypatch, capsys, "run", recipe.parent)
    assert_refused(code, text, "folder")


def test_required_setting_left_out(recipe, monkeypatch, capsys) -> None:
    recipe.write_text(recipe.read_text().replace("num_steps = 1\n", ""))
    code, text = run_cli(monkeypatch, capsys, "run", recipe)
    assert_refused(code, text, "num_steps", "required")


def test_missing_data_file(recipe, monkeypatch, capsys) -> None:
    (recipe.parent / "train.jsonl").unlink()
    code, text = run_cli(monkeypatch, capsys, "run", recipe)
    assert_refused(code, text, "train.jsonl")


def test_model_folder_without_weights(recipe, model, monkeypatch, capsys, tmp_path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    (broken / "model.safetensors").unlink()
    code, text = run_cli(monkeypatch, capsys, "run", recipe, "--set", f"model={broken}")
    assert_refused(code, text, "broken")


def test_model_folder_with_truncated_weights(recipe, model, monkeypatch, capsys, tmp_path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    out = tmp_path / "run"
    code, text = run_cli(
        monkeypatch, capsys, "run", recipe, "--out", out, "--set", f"model={broken}"
    )
    assert_refused(code, text, "model.safetensors")


def test_tokenizer_without_end_token(recipe, model, monkeypatch, capsys, tmp_path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    settings = json.loads((broken / "tokenizer_config.json").read_text())
    settings = {k: v for k, v in settings.items() if k not in ("eos_token", "pad_token")}
    (broken / "tokenizer_config.json").write_text(json.dumps(settings))
    for name in ("config.json", "generation_config.json"):
        values = json.loads((broken / name).read_text())
        values.pop("eos_token_id", None)
        (broken / name).write_text(json.dumps(values))
    code, text = run_cli(monkeypatch, capsys, "run", recipe, "--set", f"model={broken}")
    assert_refused(code, text, "end")


def test_run_folder_with_other_things(recipe, monkeypatch, capsys, tmp_path) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter.txt").write_text("precious")
    code, text = run_cli(monkeypatch, capsys, "run", recipe, "--out", out)
    assert_refused(code, text, "thesis", "chapter.txt")
    assert [path.name for path in out.iterdir()] == ["chapter.txt"]


def test_report_of_something_else(monkeypatch, capsys, tmp_path) -> None:
    code, text = run_cli(monkeypatch, capsys, "report", tmp_path)
    assert_refused(code, text, tmp_path.name)


def test_eval_without_problems(model, monkeypatch, capsys, tmp_path) -> None:
    code, text = run_cli(monkeypatch, capsys, "eval", model, "--out", tmp_path / "eval")
    assert_refused(code, text, "nothing to evaluate on")


def test_unknown_command_through_the_shell() -> None:
    """The same for what typer itself refuses, in a process of its own."""
    command = [sys.executable, "-m", "r1", "trian"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "trian" in done.stderr


@pytest.mark.slow
def test_docstrings_that_python_was_told_to_strip_are_kept(model) -> None:
    """transformers makes its models of docstrings."""
    for flags, variables in ((["-OO"], {}), ([], {"PYTHONOPTIMIZE": "2"})):
        command = [sys.executable, *flags, "-m", "r1", "chat", str(model)]
        environment = {**os.environ, **variables}
        done = subprocess.run(command, input="", capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_library_without_docstrings_is_told_of_them(model) -> None:
    code = f"from r1.models.load import load_model; load_model({str(model)!r})"
    done = subprocess.run([sys.executable, "-OO", "-c", code], capture_output=True, text=True)
    assert "python -OO" in done.stderr

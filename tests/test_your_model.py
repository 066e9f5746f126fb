"""docs/your-model.md as its reader follows it: files written, commands run, top to bottom.

The model is a random one in SmolLM2's layout; the real one where R1_TEST_REAL_MODELS names a
folder that has smollm2 (made by `r1 fetch`).
"""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from fake_endpoint import KEY, FakeEndpoint
from r1 import cli
from r1.models.fetch import RECORD, record_of
from r1.pipeline.recipe import load_any_recipe
from small_models import make_tokenizer, save_small_model

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "your-model.md"
BLOCK = re.compile(r"(?:`([\w.]+)`:\n\n)?```(\w*)\n(.*?)```", re.DOTALL)
CHAT = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


class Block(NamedTuple):
    name: str
    language: str
    text: str


BLOCKS = [Block(*found) for found in BLOCK.findall(PAGE.read_text())]
COMMANDS = [line for block in BLOCKS if block.language == "sh" for line in block.text.splitlines()]


def write_files(folder: Path) -> list[Path]:
    """Write every file that the page shows."""
    named = [block for block in BLOCKS if block.name]
    for block in named:
        (folder / block.name).write_text(block.text)
    return [folder / block.name for block in named]


def put_model(folder: Path) -> None:
    """Put the real model into `folder`, or a random one that passes for fetched."""
    real = Path(os.environ.get("R1_TEST_REAL_MODELS", "/nowhere")) / "smollm2"
    if real.is_dir():
        folder.parent.mkdir()
        folder.symlink_to(real.resolve())
        return
    save_small_model(folder, "llama")
    tokenizer = make_tokenizer()
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)
    (folder / RECORD).write_text(json.dumps(record_of("smollm2")))


def test_the_page_shows_files_of_every_kind() -> None:
    suffixes = {Path(block.name).suffix for block in BLOCKS if block.name}
    assert suffixes == {".jsonl", ".toml", ".py"}
    unnamed = [block.language for block in BLOCKS if not block.name]
    assert set(unnamed) <= {"sh", ""}, "a file without its name, or commands that no test runs"
    assert len(COMMANDS) >= 10


def test_its_recipes_are_valid_and_its_rows_are_json(tmp_path) -> None:
    for path in write_files(tmp_path):
        if path.suffix == ".toml":
            load_any_recipe(path)
        if path.suffix == ".jsonl":
            assert all(json.loads(line) for line in path.read_text().splitlines())


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_have_the_options_they_use(command) -> None:
    words = [word for word in shlex.split(command) if not word.startswith("PYTHONPATH=")]
    assert words[0] == "r1"
    named = get_command(cli.app).commands[words[1]]
    options = {option for parameter in named.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_a_server_is_measured_by_the_command_that_follows_it(tmp_path, monkeypatch) -> None:
    """An endpoint in place of vLLM's: what is sent, and what is read in the replies."""
    [command] = [line for block in BLOCKS for line in block.text.splitlines() if "http" in line]
    asked: list[str] = []

    def reply(body: dict) -> dict:
        asked.extend(message["content"] for message in body["messages"])
        first, sign, second = re.search(r"(\d+) ([+-]) (\d+)", asked[-1]).groups()
        value = int(first) + (int(second) if sign == "+" else -int(second))
        choice = {"message": {"content": f"{value}"}, "finish_reason": "stop"}
        return {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}

    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FakeEndpoint(complete=reply, models=["my-model"]) as server:
        words = command.replace("http://localhost:8000/v1", server.base_url).split()
        assert words[:2] == ["r1", "eval"]
        done = CliRunner().invoke(cli.app, [*words[1:], "--samples", "2", "--out", "out"])
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["pass_at_1"]["value"] == 1
    assert {"Reply with the number only.", "What is 17 + 21?"} <= set(asked)


@pytest.mark.slow
def test_what_the_page_says_works_from_top_to_bottom(tmp_path, monkeypatch, capsys) -> None:
    write_files(tmp_path)
    put_model(tmp_path / "models" / "smollm2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", ".")
    monkeypatch.syspath_prepend(str(tmp_path))
    for command in COMMANDS:
        words = [word for word in shlex.split(command) if not word.startswith("PYTHONPATH=")]
        monkeypatch.setattr(sys, "argv", words)
        monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115 (r1 chat reads it)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        kept_none = "keep.toml" in command and "not one row was kept" in told.err
        assert ended.value.code in (0, None) or kept_none, f"{command}\n{told.out}\n{told.err}"
    runpy.run_path(str(tmp_path / "use.py"))
    assert (tmp_path / "runs" / "mine" / "report.html").is_file()

"""The examples of README, docs/python.md, the notebook and docs/serving.md run as they stand."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import r1
from fake_endpoint import FakeEndpoint

ROOT = Path(__file__).parents[1]
SMALL = {
    "grpo": {"num_problems": 2, "group_size": 2},
    "sampling": {"max_new_tokens": 12},
    "evaluation": {"num_samples": 1, "every": 0},
}
load_recipe = r1.load_recipe


def blocks(page: str, language: str = "python") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder with the recipes, where examples are small."""
    shutil.copytree(ROOT / "recipes" / "tiny", tmp_path / "recipes" / "tiny")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        r1, "load_recipe", lambda path, **changes: load_recipe(path, **changes, **SMALL)
    )
    return tmp_path


@pytest.mark.slow
def test_the_lines_of_the_readme(folder, capsys) -> None:
    [lines] = [block for block in blocks("README.md") if "r1.train" in block]
    assert len(lines.splitlines()) <= 10
    exec(lines, {})
    assert "Interval(value=" in capsys.readouterr().out
    assert (folder / "my-model" / "README.md").is_file()


@pytest.mark.slow
def test_the_lines_of_the_python_page(folder, capsys) -> None:
    first, recipes, evaluating, figures = blocks("docs/python.md")
    exec(first, {})
    assert "correct" in capsys.readouterr().out
    (folder / "my.toml").write_text((folder / "recipes" / "tiny" / "r1_zero.toml").read_text())
    r1.load_recipe = load_recipe
    exec(recipes, {"r1": r1})
    exec(evaluating.replace("num_samples=8", "num_samples=1, max_new_tokens=8"), {"r1": r1})
    names: dict[str, Any] = {}
    exec(figures, names)
    *_, twice, voted = figures.splitlines()
    for line in (twice, voted):
        assert eval(line, names) == pytest.approx(float(line.split("# ")[1]), abs=0.004)


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys) -> None:
    """In order, in one namespace, under an event loop, as Jupyter's kernel has one."""
    book = json.loads((ROOT / "docs" / "notebooks" / "first_run.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}

    async def kernel() -> None:
        for cell in cells:
            exec(cell, names)

    asyncio.run(kernel())
    said = capsys.readouterr()
    assert "did you mean 'clip_high'" in said.out
    assert "No licence: choose one" in said.out
    assert "step 4/4" in said.err
    assert names["run"].done


@pytest.fixture
def model(tmp_path, monkeypatch) -> Path:
    """An exported model, as docs/serving.md begins with."""
    from small_models import save_small_model

    save_small_model(tmp_path / "my-model", "llama")
    settings = r1.recipe(
        model="tiny", num_steps=1, data={"train": [{"kind": "tiny", "split": "train"}]}
    ).settings
    from r1.models.load import load_tokenizer
    from r1.publish.served_template import served_template

    template = served_template(load_tokenizer(tmp_path / "my-model"), settings.template)
    (tmp_path / "my-model" / "chat_template.jinja").write_text(template)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "my-model"


def test_transformers_as_the_page_says(model, capsys) -> None:
    [lines] = [block for block in blocks("docs/serving.md") if "AutoModelForCausalLM" in block]
    exec(lines.replace("max_new_tokens=1024", "max_new_tokens=3"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_the_openai_client_as_the_page_says(field, capsys) -> None:
    """Against a server in this process that answers in vLLM's form."""
    pytest.importorskip("openai", reason="openai is not installed: make test installs it")

    def complete(body: dict[str, Any]) -> dict[str, Any]:
        assert body["messages"] == [{"role": "user", "content": "What is 12 + 30?"}]
        message = {"role": "assistant", "content": "42", field: "twelve and thirty"}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
        told = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"]}
        return {**told, "choices": [choice], "usage": usage}

    [lines] = [block for block in blocks("docs/serving.md") if "OpenAI(" in block]
    with FakeEndpoint(complete=complete, models=("my-model",)) as server:
        lines = lines.replace("http://127.0.0.1:8000/v1", server.base_url)
        exec(lines.replace('"none"', '"test-key-of-nobody"'), {})
    assert capsys.readouterr().out == "thinking: twelve and thirty\nanswer: 42\n"

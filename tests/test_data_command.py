"""`r1 data`: what a file can be, how much of it is used, and its first row."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from r1.data_command import FORMS, data_command, show
from r1.errors import UserError
from sft_data import write_model

CHAT = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}<|assistant|>"
PAIR = {
    "system": "Be brief.",
    "question": "Q?",
    "chosen": "good",
    "rejected": "bad",
}


def shown(values, forms=FORMS, model=None) -> str:
    console = Console(record=True, width=200)
    show(values, forms, model, console)
    return console.export_text()


def test_what_a_file_can_be(tmp_path) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps([PAIR, {**PAIR, "question": "R?"}, PAIR]))
    text = shown({"path": str(path), "unusable": "drop"})
    assert f"{path}: columns system, question, chosen, rejected" in text
    assert "pairs     2 rows  2 with turns before the prompt" in text
    assert "1 rows were dropped (repetition)" in text
    assert 'no column "label"' in text or 'no column "prompt"' in text
    lines = [line.strip() for line in text.splitlines()]
    assert lines[-4:] == ["system  Be brief.", "user  Q?", "chosen  good", "rejected  bad"]


def test_the_first_prompt_as_a_model_sees_it(tmp_path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("question,answer\n2 + 3?,so #### 5\n")
    write_model(tmp_path / "model", template=CHAT)
    text = shown({"path": str(path)}, ["problems", "examples"], str(tmp_path / "model"))
    assert "1 rows  layout GSM8K, verifier math" in text
    assert "1 rows  question and answer" in text
    assert "reference  5" in text
    assert text.rstrip().endswith("<|user|>2 + 3?<|assistant|>")


def test_settings_of_the_source_and_what_cannot_be_read(tmp_path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("a,b\n1,2\n")
    columns = {"prompt": "{a} + {b}?", "reference": "{b}"}
    assert "user  1 + 2?" in shown({"path": str(path), "columns": columns}, ["problems"])
    with pytest.raises(UserError) as refused:
        shown({"path": str(path)})
    assert all(f"as {form}: " in str(refused.value) for form in FORMS)
    with pytest.raises(UserError, match="--as problem is no kind of data"):
        data_command(str(path), "problem")
    with pytest.raises(UserError, match=r"none\.csv does not exist; did you mean|none\.csv"):
        data_command(str(tmp_path / "none.csv"))

"""A user's mistakes with `r1 run` on an "sft" recipe: one screen, status 2, nothing written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from r1 import cli
from sft_data import FORGETTING_CHAT, STRIPPING_CHAT, turns, write_model, write_recipe
from small_recipe import write_jsonl


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sft")
    write_model(folder / "stripping", template=STRIPPING_CHAT)
    write_model(folder / "forgetting", template=FORGETTING_CHAT)
    thought = "<think>x</think>b"
    write_jsonl(folder / "thought.jsonl", [{"messages": turns("a", thought)}])
    write_jsonl(folder / "turns.jsonl", [{"messages": turns("a", thought, "c", "d")}])
    write_jsonl(folder / "question.jsonl", [{"messages": turns("a")}, {"messages": turns("a", "")}])
    write_jsonl(folder / "twice.jsonl", [{"id": 7, "messages": turns("a", "b")}] * 2)
    write_jsonl(folder / "other.jsonl", [{"query": "a", "note": "b"}])
    (folder / "table.parquet").write_bytes(b"PAR1 but not really")
    (folder / "array.jsonl").write_text("[]")
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("keep")
    return write_recipe(folder)


def data(**values: str) -> str:
    return "data.train=[{" + ", ".join(f"{k} = '{v}'" for k, v in values.items()) + "}]"


CHAT = 'template.kind="chat"'
CASES = [
    # (overrides, what the message must hold)
    (["kind=stf"], ["'stf' is no kind of recipe", '"sft"']),
    (["batch.sise=3"], ["batch.sise", "did you mean 'size'"]),
    (["batch.size=0"], ["batch.size", "greater than or equal to 1"]),
    (["batch.epochs=half"], ["batch.epochs", "integer", "half"]),
    (["batch.unit=tokens"], ["batch.unit", "rows"]),
    (["batch.max_tokens=4096"], ["recipe.toml", "4096", "context of 2048", "lower it to 2048"]),
    (["batch.max_tokens=12"], ["above the limit of 12", 'examples.overlong = "drop"', "rows 1"]),
    (["optimizer.schedule=cos"], ["optimizer.schedule", "cosine"]),
    (["learner.device=cuda:99"], ["cuda:99"]),
    (["learner.lora.target_modules=nothing"], ["target_modules"]),
    (["data.heldout=[]", "evaluation.every=3"], ["evaluation.every", "[[data.heldout]]"]),
    (["model=modle"], ["modle"]),
    (["model=./modle"], ["./modle does not exist"]),
    ([CHAT], ["recipe.toml", "no chat template", 'template = { kind = "plain" }']),
    (["examples.join=x", CHAT], ["examples.join has no place"]),
    (["template.force_think=true", CHAT], ["template.force_think has no place", "verbatim"]),
    (["template.system=x"], ["template.system", "chat"]),
    ([data(path="trian.jsonl")], ["trian.jsonl does not exist", "did you mean", "train.jsonl"]),
    ([data(path="train.xlsx")], ["train.xlsx", "files of this kind are not read", ".jsonl"]),
    ([data(path="array.jsonl")], ["array.jsonl is empty"]),
    ([data(path="other.jsonl")], ['prompt = "query", response = "..."']),
    ([data(path="question.jsonl")], ["2 rows cannot be used", "row 1: no assistant turn",
                                     "row 2: the response is empty", "Mend or remove"]),
    ([data(path="twice.jsonl")], ["row 2: id '7' is also the id of row 1"]),
    ([data(path="turns.jsonl")], ["row 1", "one user and one assistant turn", "chat"]),
    ([data(path="table.parquet")], ["table.parquet cannot be read as Parquet"]),
    ([data(path="./none/here")], ["here does not exist"]),
    ([data(path="train.jsonl", split="train")], ['"split" means nothing for kind = "jsonl"']),
    ([data(kind="tiny", split="train", levels="x")], ["levels"]),
    ([data(path="thought.jsonl"), CHAT, "model=stripping"],
     ["row 1", "changes the response of turn 2", 'examples.response = "verbatim"']),
    ([data(path="turns.jsonl"), CHAT, "model=forgetting"],
     ["row 1", "renders turn 2 differently", 'examples.turns = "last"']),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "expected"), CASES, ids=[" ".join(c[0]) for c in CASES])
def test_refused_with_a_remedy(recipe, tmp_path, monkeypatch, capsys, overrides, expected) -> None:
    arguments = [part for override in overrides for part in ("--set", override)]
    code, text = run_cli(monkeypatch, capsys, recipe, tmp_path / "out", *arguments)
    assert_refused(code, text, expected)
    assert not list((tmp_path / "out").rglob("step-*"))


def test_a_foreign_folder_stays_as_it_is(recipe, monkeypatch, capsys) -> None:
    notes = recipe.parent / "notes"
    code, text = run_cli(monkeypatch, capsys, recipe, notes)
    assert_refused(code, text, ["not a run", "mine.txt", "give a new folder"])
    assert [path.name for path in notes.iterdir()] == ["mine.txt"]


def test_another_recipe_s_run_stays_as_it_is(recipe, tmp_path, monkeypatch, capsys) -> None:
    steps = ("--set", "batch.max_steps=1")
    code, text = run_cli(monkeypatch, capsys, recipe, tmp_path / "out", *steps)
    assert code == 0, text
    for part in ("held-out loss after 0 steps", "step 1/1  loss", "tokens/s  left 0:00"):
        assert part in text
    changed = ("--set", "optimizer.lr=1e-6")
    code, text = run_cli(monkeypatch, capsys, recipe, tmp_path / "out", *steps, *changed)
    assert_refused(code, text, ["optimizer.lr", "belongs to another recipe"])


def run_cli(monkeypatch, capsys, recipe: Path, out: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and everything printed."""
    monkeypatch.setattr(sys, "argv", ["r1", "run", str(recipe), "--out", str(out), *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    printed = capsys.readouterr()
    return int(stopped.value.code or 0), printed.out + printed.err


def assert_refused(code: int, text: str, expected: list[str]) -> None:
    assert code == 2, text
    assert "Traceback" not in text
    assert len(text.splitlines()) <= 24, text
    flat = " ".join(text.split())
    for part in expected:
        assert part in flat, f"{part!r} is not in: {text}"

"""`r1 bench` on the shipped model: two benchmarks, killed and carried on, and the table."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from r1.agents.ask import OpenConversation, Turn
from r1.benchmarks.protocol import RESULT, load
from r1.benchmarks.registry import find_benchmark
from r1.benchmarks.running import converse
from r1.benchmarks.running.figures import OUTCOMES, figures_of, outcome_of
from r1.benchmarks.running.measure import Options, run_benchmarks
from r1.benchmarks.running.show import show_results
from r1.cli import app
from r1.errors import UserError
from r1.evaluation import blocks
from r1.evaluation.source import open_sampler

OPTIONS = Options(limit=3, num_samples=2, max_new_tokens=8)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "aime2024").mkdir()
    rows = [{"problem": f"{i} + {i} = ?", "answer": f"{2 * i:03d}"} for i in range(4)]
    rows.append({"problem": "no answer", "answer": ""})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "aime2024" / "test.jsonl").write_text(text)
    (folder / "drop").mkdir()
    pairs = [{"question": f"Who is {i}?", "answer": {"spans": [f"man {i}"]}} for i in range(3)]
    long = {"passage": "word " * 1200, "qa_pairs": pairs[:1]}
    passages = {"p": {"passage": "Three men.", "qa_pairs": pairs[:2]}, "q": long}
    (folder / "drop" / "drop_dataset_dev.json").write_text(json.dumps(passages))
    return folder


def run(data: Path, out: Path) -> dict[str, dict]:
    chosen = [find_benchmark(name) for name in ("aime2024", "drop")]
    return run_benchmarks("tiny", chosen, data, out, Console(file=io.StringIO()), OPTIONS)


@pytest.mark.slow
def test_two_benchmarks_killed_and_carried_on_end_with_the_same_bytes(data, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_SAMPLES", 2)
    results = run(data, tmp_path / "whole")
    aime, drop = results["aime2024"], results["drop"]
    assert (aime["num_questions"], aime["k"], aime["num_found"]) == (3, 2, 4)
    assert sum(aime["refused"].values()) == 1
    assert aime["departures"] == ["3 questions", "k = 2, not 64", "at most 8 tokens"]
    assert (drop["num_questions"], drop["metric"], drop["partial_credit"]) == (2, "f1", True)
    assert "1 questions left out, too long for the context" in drop["departures"]
    for result in results.values():
        assert sum(result["outcomes"].values()) == pytest.approx(1.0)
        assert result["begins_with_think"]
        # Eight tokens end no thinking.
        assert result["outcomes"]["unfinished"] == 1.0
        assert result["score"]["value"] == 0.0

    written, calls = blocks.completion_table, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) in (2, 5):
            raise KeyboardInterrupt
        return written(*arguments)

    monkeypatch.setattr(blocks, "completion_table", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(data, tmp_path / "killed")
    assert run(data, tmp_path / "killed") == results
    assert len(calls) == 3 + 2 + 2  # five blocks, two of them twice
    files = [p for p in (tmp_path / "whole").rglob("*") if p.suffix in (".json", ".parquet")]
    assert len(files) == 2 * 3 + 5 + 1  # request, evaluation, benchmark; the blocks; the queue
    for path in files:
        twin = tmp_path / "killed" / path.relative_to(tmp_path / "whole")
        assert path.read_bytes() == twin.read_bytes(), path

    console = Console(file=io.StringIO(), width=200)
    show_results(console, tmp_path / "killed")
    shown = console.file.getvalue()
    assert "AIME 2024" in shown
    assert "79.8" in shown  # R1's, by the paper
    assert "DROP (F1)" in shown
    assert "100.0" in shown
    assert "1 rows refused" in shown
    assert "In 2 of 2 benchmarks hardly a sample ends its thinking" in shown


def row(text: str, outcome: str, finish: str = "stop") -> dict[str, str]:
    return {"text": text, "outcome/accuracy": outcome, "finish_reason": finish}


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        (row("a</think>B", "correct"), "correct"),
        (row("a</think>B", "correct", "length"), "correct"),
        (row("a</think>C", "wrong"), "wrong"),
        (row("a</think>C", "wrong", "length"), "unfinished"),
        (row("a</think>", "unparseable"), "unreadable"),
        (row("a</think>", "unparseable", "length"), "unfinished"),
        (row("it ended and never closed", "unparseable"), "unfinished"),
        (row("a</think>B", "verifier-failed"), "verifier failed"),
        (row("a", "timed-out", "length"), "verifier failed"),
    ],
)
def test_outcomes_are_told_apart(stored, name) -> None:
    assert outcome_of(stored, opened=True) == name
    assert name in OUTCOMES


def test_a_missing_sample_is_no_figure(data, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_SAMPLES", 2)
    chosen = [find_benchmark("aime2024")]
    run_benchmarks("tiny", chosen, data, tmp_path, Console(file=io.StringIO()), OPTIONS)
    ids = [f"aime2024/test:{number}" for number in (1, 2, 3)]
    folder = tmp_path / "aime2024"
    assert figures_of(folder, ids, 2, "accuracy", True).score is not None
    for wrong_ids, k in ((ids, 3), (ids[:2], 2), ([*ids, "x"], 2)):
        with pytest.raises(UserError, match="not every question has"):
            figures_of(folder, wrong_ids, k, "accuracy", True)
    assert json.loads((folder / RESULT).read_text())["layout"] == "AIME 2024 I and II"


def test_commands(data, tmp_path) -> None:
    listed = CliRunner().invoke(app, ["bench", "list", "--data", str(data)], env={"COLUMNS": "80"})
    assert listed.exit_code == 0
    assert "swe_bench_verified " in listed.output
    assert "…" not in listed.output  # nothing is cut on a narrow terminal
    assert "r1 bench list NAME" in listed.output
    two = CliRunner().invoke(app, ["bench", "list", "gpqa", "aime2024", "--data", str(data)])
    assert "gpqa_diamond.csv into DATA/gpqa" in two.output
    assert "aime2024: found: AIME 2024 I and II" in two.output
    shown = CliRunner().invoke(app, ["bench", "show", str(tmp_path)])
    assert isinstance(shown.exception, UserError)
    wrong = CliRunner().invoke(app, ["bench", "run", "tiny", "aime", "--data", str(data)])
    assert "did you mean 'aime2025'" in str(wrong.exception) or "aime2024" in str(wrong.exception)
    none = CliRunner().invoke(app, ["bench", "run", "tiny", "--data", str(tmp_path)])
    assert "no benchmark's data" in str(none.exception)


@pytest.mark.slow
def test_the_tiny_world_needs_no_data_and_is_in_no_suite(tmp_path) -> None:
    words = ["bench", "run", "tiny", "tiny_world", "--no-think", "--limit", "3", "--samples", "1"]
    words += ["--max-new-tokens", "4", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.exception or done.output
    result = json.loads((tmp_path / "out" / "tiny_world" / RESULT).read_text())
    assert (result["num_questions"], result["num_found"]) == (3, 90)
    assert set(result["parts"]["family"]) <= {"arithmetic", "cups", "functions"}
    none = CliRunner().invoke(app, ["bench", "run", "tiny", "--data", str(tmp_path)])
    assert "tiny_world needs none" in str(none.exception)
    problems = load(find_benchmark("tiny_world"), tmp_path).problems
    gold = [each.reference for each in problems if each.reference]
    assert len(gold) == 90
    lenient = load(find_benchmark("tiny_world@lenient"), tmp_path).problems
    assert [each.prompt for each in lenient] == [each.prompt for each in problems]
    assert {each.metadata["answer_from"] for each in lenient} == {"stated"}


@pytest.mark.slow
def test_conversations_share_one_engine_and_begin_before_anything_is_sampled(
    data, tmp_path, monkeypatch
) -> None:
    """Another seed is refused before the other benchmarks are measured."""

    def talk(ask, problems, folder, model) -> dict:
        first = OpenConversation(problems[0].id, (Turn("user", problems[0].prompt),))
        ((answer,),) = ask([first])
        return {"score": None, "outcomes": {}, "answered": answer is not None}

    opened = []

    @contextmanager
    def counted(*arguments, **named):
        opened.append(1)
        with open_sampler(*arguments, **named) as model:
            yield model

    monkeypatch.setattr(converse, "open_sampler", counted)
    aime = find_benchmark("aime2024")
    both = [
        dataclasses.replace(aime, name=name, lies_in="aime2024", converse=talk)
        for name in ("talk", "chat")
    ]
    console = Console(file=io.StringIO())
    found = run_benchmarks("tiny", [*both, aime], data, tmp_path, console, OPTIONS)
    assert list(found) == ["aime2024", "talk", "chat"]
    assert opened == [1]
    assert found["talk"]["answered"] is False  # eight tokens end no thinking
    assert found["talk"]["departures"] == ["3 questions", "at most 8 tokens"]
    assert json.loads((tmp_path / "chat" / RESULT).read_text()) == found["chat"]
    shutil.rmtree(tmp_path / "aime2024")
    other = OPTIONS._replace(seed=1)
    with pytest.raises(UserError, match="talk holds another measurement"):
        run_benchmarks("tiny", [*both, aime], data, tmp_path, console, other)
    unopened = OPTIONS._replace(think=False)
    with pytest.raises(UserError, match=r"another measurement \(template differ\)"):
        run_benchmarks("tiny", [*both, aime], data, tmp_path, console, unopened)
    assert not (tmp_path / "aime2024").exists()

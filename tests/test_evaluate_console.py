"""What of an evaluation is told in the terminal: progress, outcomes, a few samples."""

from __future__ import annotations

import io
import json

import pyarrow.parquet as pq
from rich.console import Console

from r1.evaluation import console as shown
from r1.evaluation.summary import JudgedProblem, JudgedSample
from r1.run_dir import completion_table
from r1.run_dir.evaluation import outcomes_line
from r1.template import parse
from r1.types import Completion, Outcome, Problem, Reward, RolloutGroup, Score, ScoredGroup


def plain_console() -> Console:
    return Console(file=io.StringIO(), width=200)


def judged(number: int, outcome: Outcome) -> JudgedProblem:
    return JudgedProblem(str(number), "sums", [JudgedSample(outcome, 0, 5, False, False)])


def test_progress_without_a_terminal_is_a_line_now_and_then(monkeypatch) -> None:
    monkeypatch.setattr(shown.time, "monotonic", iter(range(0, 1000, 4)).__next__)
    console = plain_console()
    with shown.show_progress(console, 7) as on_problem:
        for number in range(7):
            on_problem(judged(number, Outcome.CORRECT if number else Outcome.WRONG))
    lines = console.file.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["1/7", "4/7", "7/7"]
    assert "pass@1 0.0%" in lines[0]
    assert "24 s left" in lines[0]
    assert "pass@1 85.7%" in lines[-1]


def test_outcomes_are_counted_and_no_answer_is_explained() -> None:
    assert outcomes_line({"unparseable": 40, "correct": 0}).startswith("40 of 40 unparseable; no")
    cut = outcomes_line({"unparseable": 12, "wrong": 4}, cut_share=0.8125)
    assert cut.endswith("; most responses were cut at sampling.max_new_tokens before an answer")
    assert "answer_from" in outcomes_line({"unparseable": 12, "wrong": 4}, cut_share=0.25)
    assert outcomes_line({"wrong": 4}, cut_share=1.0) == "4 of 4 wrong"
    assert outcomes_line({"correct": 3, "wrong": 1}) == "3 of 4 correct, 1 of 4 wrong"
    assert outcomes_line({}) == ""


def row(outcome: str | None, text: str = "text", **more: str) -> dict:
    return {
        "problem_id": "p", "num_tokens": 3, "prompt": "ask?", "text": text, "reference": "7",
        "outcome/accuracy": outcome, **more,
    }  # fmt: skip


def test_samples_of_different_outcomes_are_shown_and_do_not_drive_the_terminal() -> None:
    console = plain_console()
    hostile = "\x1b[2J[bold]x[/bold]\x07\r\x9b1m " + "y" * 900 + " END"
    rows = [row("wrong"), row("wrong"), row("wrong"), row("correct", hostile), row(None)]
    shown.show_samples(console, rows)
    text = console.file.getvalue()
    assert [text.count(f"[{name}]") for name in ("wrong", "correct", "not judged")] == [1, 1, 1]
    assert text.isprintable() or all(c.isprintable() or c == "\n" for c in text)
    assert "END" in text
    assert len(max(text.splitlines(), key=len)) < 300
    shown.show_samples(console, [])


def test_rows_of_folders_without_any(tmp_path) -> None:
    assert shown.block_rows(tmp_path) == []
    assert shown.run_rows(tmp_path) == []


def test_a_pipelines_end_shows_the_last_stage_that_has_samples(tmp_path) -> None:
    names = ("zero", "eval_zero", "mixture")
    stages = [{"name": name, "kind": "x", "title": name, "inputs": {}, "outputs": {}}
              for name in names]  # fmt: skip
    (tmp_path / "pipeline.json").write_text(json.dumps({"stages": stages}))
    console = plain_console()
    shown.show_end(console, tmp_path)
    assert console.file.getvalue() == ""
    (tmp_path / "eval_zero").mkdir()
    rewards = [
        Reward(value, {"accuracy": Score(value, outcome)}, True)
        for value, outcome in ((1.0, Outcome.CORRECT), (0.0, Outcome.UNPARSEABLE))
    ]
    completions = [Completion([1], [0.0], text, "stop") for text in ("<answer>7</answer>", "no")]
    rollout = RolloutGroup(Problem("p", "3+4?", "7", "math"), (1,), completions)
    group = ScoredGroup(rollout, rewards)
    table = completion_table(0, [group], parse)
    pq.write_table(table, tmp_path / "eval_zero" / "completions.parquet")
    shown.show_end(console, tmp_path)
    text = console.file.getvalue()
    assert "of stage eval_zero" in text
    assert "1 of 2 unparseable, 1 of 2 correct" in text
    assert [text.count(f"[{name}]") for name in ("correct", "unparseable")] == [1, 1]

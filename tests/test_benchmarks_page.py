"""The page of benchmarks, and what stored samples say at smaller token limits."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from r1.benchmarks.judging.judge import StoredSamples, read_responses
from r1.benchmarks.page.order import grouped
from r1.benchmarks.page.page import write_page
from r1.benchmarks.page.samples import WeighedSamples, cap_curve, read_samples, token_figures
from r1.benchmarks.running.beside import show_beside
from r1.benchmarks.running.figures import figures_of
from r1.cli import app
from r1.errors import UserError
from r1.run_dir import completion_table
from r1.template import parse
from r1.types import FAILED, Completion, Outcome, Problem, Reward, RolloutGroup, Score, ScoredGroup

SECRET = "Which particle decays so?"
HOSTILE = "</script><script>alert(1)</script>"


def group(name: str, question: str, samples: list[tuple[int, Outcome, str]]) -> ScoredGroup:
    """A question's samples: tokens, verdict, how it ended."""
    problem = Problem(name, question, "1", "math")
    completions = [
        Completion([0] * tokens, [], f"<think>hm</think>{HOSTILE}", reason)
        for tokens, _, reason in samples
    ]
    rewards = [
        Reward(0.0, {"accuracy": Score(float(outcome == "correct"), outcome)}, True)
        for _, outcome, _ in samples
    ]
    return ScoredGroup(RolloutGroup(problem, (), completions), rewards)


def write(folder: Path, name: str, title: str, model: str, groups: list[ScoredGroup]) -> None:
    table = completion_table(0, groups, parse)
    table = table.append_column("vote", pa.array([0] * table.num_rows, type=pa.int32()))
    (folder / name / "blocks").mkdir(parents=True)
    pq.write_table(table, folder / name / "blocks" / "block-00000.parquet")
    ids = [each.group.problem.id for each in groups]
    k = len(groups[0].rewards)
    figures = figures_of(folder / name, ids, k, "accuracy", False)
    result = {
        "benchmark": name, "protocol": "its own", "layout": "all", "model": model, "title": title,
        "metric": "accuracy", "k": k, "num_questions": len(groups), "num_found": len(groups),
        "refused": {}, "score": figures.score and figures.score._asdict(),
        "cons_at_k": {"value": 0.5, "low": 0.0, "high": 1.0}, "outcomes": figures.outcomes,
        "mean_tokens": figures.mean_tokens, "sampling": {"max_new_tokens": 100},
        "begins_with_think": False, "departures": ["2 questions"],
    }  # fmt: skip
    result["parts"] = {
        "language": {
            "cpp": {"num_questions": 1, "score": {"value": 0.123, "low": 0.1, "high": 0.2}}
        }
    }
    result["figures"] = {"attempted": None, "F": 0.456}
    result["further"] = {"told": [f"a rating of {k}{HOSTILE}"]}
    (folder / name / "benchmark.json").write_text(json.dumps(result))


C, W, F = Outcome.CORRECT, Outcome.WRONG, Outcome.VERIFIER_FAILED


@pytest.fixture
def folders(tmp_path) -> list[Path]:
    maths = [
        group("a", "1 + 1?", [(20, C, "stop"), (60, C, "stop"), (100, W, "length")]),
        group("b", "2 + 2?", [(30, W, "stop"), (0, F, FAILED), (90, C, "stop")]),
    ]
    science = [group("g", SECRET, [(50, C, "stop")])]
    for name in ("new", "old"):
        write(tmp_path / name, "math500", "MATH-500", f"runs/{name}", maths)
    write(tmp_path / "new", "gpqa", "GPQA Diamond", "runs/new", science)
    write(tmp_path / "new", "own", HOSTILE, "runs/new", maths[:1])
    return [tmp_path / "new", tmp_path / "old"]


def test_accuracy_at_every_smaller_limit_is_that_of_samples_cut_there(folders) -> None:
    samples = read_samples(folders[0] / "math500", "accuracy")
    curve = cap_curve(samples, 100)
    assert curve.caps_C == [16, 32, 64, 100]
    # Question a: its samples of 20 and 60 tokens are right; b: that of 90, of two that came.
    by_hand = [0, (1 / 3) / 2, (2 / 3) / 2, (2 / 3 + 1 / 2) / 2]
    assert curve.accuracy_C == pytest.approx(by_hand)
    result = json.loads((folders[0] / "math500" / "benchmark.json").read_text())
    assert curve.accuracy_C[-1] == pytest.approx(result["score"]["value"])
    assert token_figures(samples).mean == pytest.approx(np.mean([20, 60, 100, 30, 90]))
    assert token_figures(samples).median == 60


def test_partial_credit_is_counted_as_it_is() -> None:
    samples = WeighedSamples(np.array([10, 20]), np.array([0.5, np.nan]), np.array([0, 1]))
    assert cap_curve(samples, 40).accuracy_C[-1] == 0.5
    none = WeighedSamples(np.array([10]), np.array([np.nan]), np.array([0]))
    assert cap_curve(none, 40) is None


def test_the_page_has_the_figures_and_publishes_no_hidden_question(folders, tmp_path) -> None:
    write_page(folders, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<script>") == 1
    assert HOSTILE not in page.replace(re.search("<script>.*</script>", page, re.DOTALL)[0], "")
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)
    assert "97.3" in page  # R1's MATH-500, by the paper
    assert "94.3" in page  # table 5
    assert '<td>cpp</td><td class="number">12.3</td>' in page
    assert '<td>F</td><td class="number">45.6</td>' in page
    assert "a rating of 3&lt;" in page
    assert "58.3" in page  # ours
    assert page.count("<polyline") == 4  # two models on MATH-500, one on the others
    assert "Not shown, so as not to publish them: GPQA Diamond." in page
    assert SECRET not in page
    few = json.loads(re.search(r'id="few">(.*?)</script>', page)[1])
    assert {problem[1] for problem in few["problems"]} == {"1 + 1?", "2 + 2?"}
    outcomes = {part[1] for completion in few["completions"] for part in completion[12]}
    assert outcomes == {"correct", "wrong", "unfinished", "engine failed"}


def test_models_stand_beside_the_papers_in_its_order(folders, tmp_path) -> None:
    console = Console(file=io.StringIO(), width=160)
    show_beside(console, folders)
    shown = console.file.getvalue()
    assert re.search(r"MATH-500 .* 97\.3 +58\.3 +58\.3", shown)
    assert shown.index("GPQA") < shown.index("MATH-500") < shown.index("Others")
    assert grouped(["gsm8k", "mmlu", "aime2024"]) == [
        ("English", ["mmlu"]),
        ("Mathematics", ["aime2024"]),
        ("Others", ["gsm8k"]),
    ]
    out = tmp_path / "p.html"
    done = CliRunner().invoke(app, ["bench", "show", *map(str, folders), "--page", str(out)])
    assert done.exit_code == 0, done.output
    assert out.is_file()
    with pytest.raises(UserError, match="holds no result"):
        write_page([tmp_path / "nowhere"], out)


def test_suites_are_compared_benchmark_by_benchmark(tmp_path) -> None:
    def asked(right: int, count: int) -> list[ScoredGroup]:
        outcomes = [C if number < right else W for number in range(count)]
        return [group(f"q{i}", f"{i}?", [(9, each, "stop")]) for i, each in enumerate(outcomes)]

    for name, rights in (("new", (38, 20)), ("old", (8, 19))):
        for benchmark, right in zip(("math500", "gsm8k"), rights, strict=True):
            groups = asked(right, 40)
            write(tmp_path / name, benchmark, benchmark.upper(), name, groups)
            folder = tmp_path / name / benchmark
            request = {"engine": "embedded", "template": {"kind": "chat"}}
            (folder / "request.json").write_text(json.dumps(request))
            summary = {"step": 0, "num_problems": 40, "k": 1, "sampling": {"temperature": 0.6}}
            (folder / "evaluation.json").write_text(json.dumps(summary))
    folders = [str(tmp_path / "old"), str(tmp_path / "new")]
    done = CliRunner().invoke(app, ["bench", "compare", *folders, "--json"])
    assert done.exit_code == 0, done.exception
    [found] = json.loads(done.output)["comparisons"]
    families = {family["name"]: family for family in found["families"]}
    assert families["MATH500"]["verdict"] == "better"
    assert families["MATH500"]["difference"]["value"] == pytest.approx(30 / 40)
    assert families["GSM8K"]["verdict"] == "not told apart"
    assert families["GSM8K"]["method"] == "exact McNemar"
    assert families["MATH500"]["corrected_p"] == pytest.approx(2 * families["MATH500"]["p"])
    shown = CliRunner().invoke(app, ["bench", "compare", *folders], env={"COLUMNS": "120"})
    assert "MATH500" in shown.output
    alone = CliRunner().invoke(app, ["bench", "compare", folders[0]])
    assert "give two evaluations or more" in str(alone.exception)


def test_partial_credit_and_a_judges_verdicts_are_compared_as_they_count(tmp_path) -> None:
    from r1.benchmarks.running.compare import worth_of_samples

    write(tmp_path, "drop", "DROP", "m", [group("a", "?", [(9, C, "stop"), (9, F, FAILED)])])
    assert worth_of_samples(tmp_path / "drop", "f1") == {"a": [1.0]}
    assert worth_of_samples(tmp_path / "drop", "accuracy") is None
    lines = [{"problem_id": "a", "sample": i, "outcome": outcome} for i, outcome in enumerate(
        ["correct", "tied", "wrong", "judge failed", "engine failed"])]  # fmt: skip
    path = tmp_path / "drop" / "judgements.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert worth_of_samples(tmp_path / "drop", "judged") == {"a": [1.0, 0.5, 0.0]}
    path.write_text("{}")
    with pytest.raises(UserError, match="is no judgement"):
        worth_of_samples(tmp_path / "drop", "judged")


def test_a_judged_response_that_never_came_is_the_engines_failure(tmp_path) -> None:
    groups = [group("a", "?", [(9, F, "stop"), (0, F, FAILED)])]
    write(tmp_path, "simpleqa", "SimpleQA", "m", groups)
    samples = StoredSamples(tmp_path / "simpleqa", [groups[0].group.problem], 2, False)
    came, failed = read_responses(samples)
    assert (came.failed, failed.failed) == (False, True)
    assert (came.unasked, failed.unasked) == (None, "engine failed")

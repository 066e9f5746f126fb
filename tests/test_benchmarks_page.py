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
from r1.benchmarks.running.against import ABOVE, BELOW, SAME, mark_against
from r1.benchmarks.running.beside import show_beside
from r1.benchmarks.running.figures import figures_of
from r1.benchmarks.running.show import show_results
from r1.cli import app
from r1.errors import UserError
from r1.intervals import share_interval
from r1.run_dir import completion_table
from r1.template import parse
from r1.types import FAILED, Completion, Outcome, Problem, Reward, RolloutGroup, Score, ScoredGroup

SECRET = "Which particle decays so?"
TABLE_4_ROWS = (
    "MMLU ", "MMLU-Redux", "MMLU-Pro", "DROP", "IFEval", "GPQA", "SimpleQA", "FRAMES", "AlpacaEval",
    "Arena-Hard", "LiveCodeBench", "Codeforces, beaten", "Codeforces, rating", "SWE-bench Verified",
    "Aider", "AIME 2024", "MATH-500", "CNMO 2024", "CLUEWSC", "C-Eval", "C-SimpleQA",
)  # fmt: skip
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
    assert re.search(r"MATH-500 .* 97\.3 +58\.3≈ +58\.3≈", shown)
    assert "≈ not told apart from it" in shown
    assert shown.index("GPQA") < shown.index("MATH-500") < shown.index("Others")
    for title in TABLE_4_ROWS:
        assert title in shown, title
    assert re.search(r"MATH-500 .* run here", shown)
    assert re.search(r"AlpacaEval 2.0 .* - +- +not run; needs a judge", shown)
    assert re.search(r"SWE-bench Verified .* not run; needs .*containers", shown)
    assert re.search(r"Codeforces, rating .* 2029 +- +- +not run", shown)
    assert f"2 of the table's {len(TABLE_4_ROWS)} rows were run here" in shown
    (tmp_path / "data" / "mmlu_pro").mkdir(parents=True)
    again = Console(file=io.StringIO(), width=160)
    show_beside(again, folders[:1], tmp_path / "data")
    assert re.search(r"MMLU-Pro .* not run; data missing", again.file.getvalue())
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


def test_codeforces_has_the_papers_two_rows_and_its_bar(folders, tmp_path) -> None:
    write(tmp_path / "new", "codeforces", "Codeforces", "runs/new", [group("c", "?", [(9, C, "")])])
    path = tmp_path / "new" / "codeforces" / "benchmark.json"
    scored = {"full": {"beaten": 0.4321, "rating": 1234.5}, "decay": {"beaten": 0.1, "rating": 1.0}}
    result = {**json.loads(path.read_text()), "further": {"told": [], "by_scoring": scored}}
    path.write_text(json.dumps(result))
    write_page(folders, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    row = re.search(r'<th scope="row">Codeforces, beaten</th>(.*?)</tr>', page)[1]
    assert " ".join(re.findall(r"[\d.]+(?=</span>)", row)) == "20.3 23.6 58.7 93.4 96.6 96.3 43.2"
    row = re.search(r'<th scope="row">Codeforces, rating</th>(.*?)</tr>', page)[1]
    assert re.findall(r"[\d.]+(?=</span>)", row)[-2:] == ["2029", "1234"]
    assert "<title>runs/new: 43.2</title>" in page  # figure 1's bar
    assert '<th scope="row">Codeforces</th>' not in page.partition("Beside the distilled")[0]


def test_another_set_stands_beside_no_figure_of_the_papers(folders, tmp_path) -> None:
    chmath, cnmo = "LIMO's CHMath 2024 (not CNMO)", "LiveMathBench, English"
    questions = [group(str(n), f"{n}?", [(9, W, "stop")]) for n in range(30)]
    write(tmp_path / "new", "cnmo2024", "CNMO 2024", "runs/new", questions)
    write(tmp_path / "old", "cnmo2024", "CNMO 2024", "runs/old", questions)
    result_is_of(tmp_path / "new" / "cnmo2024", chmath)
    result_is_of(tmp_path / "old" / "cnmo2024", chmath)
    alone = shown_beside(folders)
    assert f"another set: {chmath}" in alone
    row = re.search(r"CNMO 2024 .*", alone)[0]
    assert "78.8" not in row
    assert BELOW not in row
    assert "run here" not in row
    assert "2 of the table's" in alone
    write_page(folders, tmp_path / "page.html")
    cells = re.search(r"CNMO 2024 \(LIMO.*?</tr>", (tmp_path / "page.html").read_text())[0]
    assert "78.8" not in cells
    assert BELOW not in cells
    console = Console(file=io.StringIO(), width=200)
    show_results(console, tmp_path / "new")
    assert "78.8" not in console.file.getvalue()
    result_is_of(tmp_path / "old" / "cnmo2024", cnmo)
    mixed = shown_beside(folders)
    row = re.search(r"CNMO 2024 .*", mixed)[0]
    assert re.search(rf"78\.8 +- +0\.0{BELOW} +run here; another set", row)
    assert "3 of the table's" in mixed


def result_is_of(folder: Path, layout: str) -> None:
    result = json.loads((folder / "benchmark.json").read_text())
    (folder / "benchmark.json").write_text(json.dumps({**result, "layout": layout}))


def shown_beside(folders: list[Path]) -> str:
    console = Console(file=io.StringIO(), width=220)
    show_beside(console, folders)
    return console.file.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("num", [30, 500])
def test_equal_models_are_hardly_ever_marked_and_unequal_ones_are(num) -> None:
    """Two models of one ability on the same questions, a sample each: at most 1 % are marked."""
    generator = np.random.default_rng(num)
    marks = []
    for _ in range(400):
        chance_P = generator.beta(1.0, 0.7, size=num)
        own, theirs = (generator.uniform(size=(2, num)) < chance_P).astype(float)
        score = share_interval(own, num_resamples=300)
        marks.append(mark_against(score._asdict(), 100 * theirs.mean(), num))
    assert np.mean([mark != SAME for mark in marks]) <= 0.01
    score = share_interval(np.arange(num) % 5 < 3, num_resamples=300)._asdict()
    assert mark_against(score, 99.0, num) == BELOW
    assert mark_against(score, 10.0, num) == ABOVE
    assert mark_against(score, 65.0, num) == SAME
    none_right = {"value": 0.0, "low": 0.0, "high": 0.708}  # 0 of 3
    assert mark_against(none_right, 79.8, 30) == SAME


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

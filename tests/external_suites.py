"""The files of benchmarks, searches and claims that somebody else may have written (see
external_files): `make_suites(folder)` writes a sound one of each."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from r1.agents.polyglot.exercise import read_exercise
from r1.benchmarks.page.page import write_page
from r1.benchmarks.protocol import load
from r1.benchmarks.registry import find_benchmark
from r1.benchmarks.running.beside import show_beside
from r1.benchmarks.running.choose import NO_DATA
from r1.benchmarks.running.compare import compare_suites
from r1.benchmarks.running.show import show_results
from r1.benchmarks.table import read_table
from r1.claims.measure import measure_stage
from r1.claims.settings import load_claim
from r1.curation.progress import Silent
from r1.diagnose import diagnose
from r1.evaluation.search import finish_search
from r1.evaluation.search_data import make_search_data
from r1.evaluation.search_data_settings import SearchDataSettings, find_search
from r1.evaluation.stored import read_evaluation
from r1.judge.given import read_judge
from r1.report import build_report
from r1.run_dir import completion_table
from r1.search.settings import SearchSettings
from r1.template import parse
from r1.types import Completion, Outcome, Problem, Reward, RolloutGroup, Score, ScoredGroup

BLOCK = "blocks/block-00000.parquet"
_EXERCISE = {
    "solution": ["twice.py"],
    "test": ["twice_test.py"],
    "example": [".meta/example.py"],
}
_SCORE = {"value": 0.5, "low": 0.1, "high": 0.9}


def _write_block(folder: Path) -> None:
    groups = []
    for name in ("a", "b"):
        problem = Problem(name, "1 + 1?", "2", "math")
        score = {"accuracy": Score(1.0, Outcome.CORRECT)}
        completions = [Completion([1, 2], [], "<think>hm</think>2", "stop") for _ in range(2)]
        rewards = [Reward(1.0, score, True) for _ in completions]
        groups.append(ScoredGroup(RolloutGroup(problem, (), completions), rewards))
    table = completion_table(0, groups, parse)
    table = table.append_column("vote", pa.array([0] * table.num_rows, type=pa.int32()))
    (folder / "blocks").mkdir(parents=True)
    pq.write_table(table, folder / BLOCK)


def _write_evaluation(folder: Path) -> None:
    _write_block(folder)
    summary = {"step": 0, "k": 2, "pass_at_1": _SCORE, "by_family": {}, "sampling": {}}
    (folder / "evaluation.json").write_text(json.dumps(summary))
    request = {"model": {"model": "tiny"}, "template": {"kind": "plain"}, "dtype": "float32"}
    (folder / "request.json").write_text(json.dumps(request))


def _write_result(folder: Path, metric: str) -> None:
    _write_evaluation(folder)
    result = {
        "benchmark": folder.name, "protocol": "its own", "layout": "all", "model": "runs/a",
        "title": folder.name, "metric": metric, "k": 2, "num_questions": 2, "num_found": 2,
        "refused": {"odd": 1}, "score": _SCORE, "cons_at_k": _SCORE, "outcomes": {"correct": 1.0},
        "mean_tokens": 2.0, "sampling": {"max_new_tokens": 100}, "begins_with_think": True,
        "departures": ["2 questions"], "further": {"told": ["a rating"]},
        "parts": {"language": {"cpp": {"num_questions": 1, "score": _SCORE}}},
    }  # fmt: skip
    if metric == "judged":
        rates = {"requests": 2, "failed": 0.0, "parse_rate": 1.0, "position_consistency": None}
        spent = {"tokens_in": 3, "tokens_out": 4, "cost": 0.0}
        judge = {**rates, **spent, "reasons": {"late": 1}, "sampling": {"model": "m"}}
        outcomes = {"correct": 1.0, "not attempted": 0.0, "tied": 0.0, "judge failed": 0.0}
        result |= {"judge": judge, "figures": {"attempted": 0.5}, "counts": {"elo": 7}}
        result |= {"outcomes": outcomes, "caps": [[16.0, 0.5]]}
        lines = [{"problem_id": name, "outcome": "correct"} for name in ("a", "b")]
        (folder / "judgements.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    (folder / "benchmark.json").write_text(json.dumps(result))


def _write_data(folder: Path) -> None:
    """One file of each format in which benchmarks are published."""
    for name in ("simpleqa", "humaneval", "mmlu", "drop"):
        (folder / name).mkdir(parents=True)
    head = "metadata,problem,answer\n"
    (folder / "simpleqa" / "simple_qa_test_set.csv").write_text(head + '{},"Who?",I\n' * 8)
    task = {"task_id": "HumanEval/0", "prompt": "def f():\n", "entry_point": "f"}
    task |= {"canonical_solution": "    return 1\n", "test": "def check(c):\n    assert c() == 1\n"}
    lines = json.dumps(task).encode() + b"\n"
    (folder / "humaneval" / "HumanEval.jsonl.gz").write_bytes(gzip.compress(lines, mtime=0))
    with zipfile.ZipFile(folder / "mmlu" / "mmlu.zip", "w") as archive:
        archive.writestr("data/test/anatomy_test.csv", '"What?",1,2,3,4,B\n' * 8)
    number = {"number": "3", "spans": [], "date": {"day": "", "month": "", "year": ""}}
    pair = {"question": "How many?", "query_id": "q", "answer": number, "validated_answers": []}
    passage = {"passage": "Three.", "qa_pairs": [pair]}
    (folder / "drop" / "drop_dataset_dev.json").write_text(json.dumps({"p": passage}))


def make_suites(folder: Path) -> None:
    """Write a sound one of every file that SUITE_READERS reads."""
    for name, metric in (("math500", "accuracy"), ("simpleqa", "judged")):
        _write_result(folder / "bench" / name, metric)
    _write_data(folder / "benchdata")
    _write_evaluation(folder / "evaluation")
    _write_block(folder / "searched")
    nodes = [
        {"parent": n - 1, "text": "1", "mean": 0.5, "value": None, "visits": 1, "prior": 0.5,
         "ended": None} for n in range(2)
    ]  # fmt: skip
    candidate = {"score": 0.5, "visits": 1, "followed": True, "tokens": 2, "steps": [0.5]}
    cost = {"generated": 4, "prefilled": 1, "scored": 1}
    (folder / "searched" / "searches").mkdir()
    (folder / "searched" / "searches" / "0.jsonl").write_text(
        "".join(
            json.dumps({"id": name, "candidates": [candidate] * 2, "cost": cost, "tree": nodes})
            + "\n"
            for name in ("a", "b")
        )
    )
    searched(folder / "searched")  # which writes its figures
    ended = [{**node, "ended": "stop" if n else None} for n, node in enumerate([*nodes, nodes[1]])]
    ended[2]["parent"] = 0
    learnt = folder / "learnt"
    shutil.copytree(folder / "searched", learnt)
    shutil.copy(folder / "evaluation" / "request.json", learnt)
    line = {"candidates": [candidate] * 2, "cost": cost, "tree": ended}
    (learnt / "searches" / "0.jsonl").write_text(
        "".join(json.dumps({"id": name, **line}) + "\n" for name in ("a", "b"))
    )
    (folder / "claim").mkdir()
    (folder / "claim" / "mine.toml").write_text(
        'title = "a"\nsays = "b"\nsource = "c"\nminutes = 1\n[arms.x]\nmodel = "tiny"\n'
        '[arms.y]\nmodel = "tiny"\n[[compare]]\nsays = "d"\narm = "x"\nthan = "y"\n'
    )
    values = {"values": {"any": {"p": 0.5}}, "of_run": {"tokens": 1.0}}
    values |= {"lines": {"critic": {"value": [[0, 0.5], [1, 0.25]]}}}
    (folder / "claim" / "values.json").write_text(json.dumps(values))
    (folder / "judge.toml").write_text('base_url = "http://127.0.0.1:1/v1"\nmodel = "m"\n')
    (folder / "table").mkdir()
    (folder / "table" / "capitals.toml").write_text(
        'name = "capitals"\ndata = "capitals.jsonl"\nanswer = "capital"\nverifier = "exact"\n'
        'prompt = "What is the capital of {country}?"\nk = 2\n'
    )
    row = json.dumps({"country": "France", "capital": "Paris"}) + "\n"
    (folder / "table" / "capitals.jsonl").write_text(row * 4)
    texts = {
        ".docs/instructions.md": "Double.",
        "twice.py": "def twice(x): ...\n",
        "twice_test.py": "import unittest\n",
        ".meta/example.py": "def twice(x): return 2 * x\n",
        ".meta/config.json": json.dumps({"files": _EXERCISE}),
    }
    for name, text in texts.items():
        (folder / "exercise" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "exercise" / name).write_text(text)


def bench(folder: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    show_results(console, folder)
    show_beside(console, [folder])
    write_page([folder], folder / "page.html")
    compare_suites([folder, folder])


def evaluation(folder: Path) -> None:
    read_evaluation(folder)
    diagnose(folder)
    build_report(folder)


def searched(folder: Path) -> None:
    finish_search(folder, SearchSettings(method="mcts", scorer="constant", budget=100), "x")


def learnt(folder: Path) -> None:
    make_search_data(folder / "made", find_search(folder), SearchDataSettings(), Silent())


def table(folder: Path) -> None:
    load(read_table(folder / "capitals.toml"), NO_DATA)


def exercise(folder: Path) -> None:
    read_exercise(folder, "python")


def judge(path: Path) -> None:
    read_judge(str(path))


def claim(folder: Path) -> None:
    load_claim(folder / "mine.toml")
    measure_stage(folder)


def questions(folder: Path) -> None:
    for name in ("simpleqa", "humaneval", "mmlu", "drop"):
        load(find_benchmark(name), folder)


SUITE_READERS = [
    ("bench", bench, (
        "math500/benchmark.json", "simpleqa/benchmark.json", "simpleqa/judgements.jsonl",
        f"math500/{BLOCK}",
    )),
    ("evaluation", evaluation, ("request.json", "evaluation.json", BLOCK)),
    ("searched", searched, ("searches/0.jsonl",)),
    ("learnt", learnt, ("request.json", "searches/0.jsonl", BLOCK)),
    ("claim", claim, ("mine.toml", "values.json")),
    ("judge.toml", judge, ("",)),
    ("table", table, ("capitals.toml", "capitals.jsonl")),
    ("exercise", exercise, (".meta/config.json", ".meta/example.py", ".docs/instructions.md")),
    ("benchdata", questions, (
        "simpleqa/simple_qa_test_set.csv", "humaneval/HumanEval.jsonl.gz", "mmlu/mmlu.zip",
        "drop/drop_dataset_dev.json",
    )),
]  # fmt: skip
"""What is given to the reader, the reader, and the files inside that are damaged."""

"""Hostile answers to the benchmarks of programs: none is right; right ones beside them are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmark_attacks import CHECKED, FUNCTION, MUL, RIGHT, ROWS, STDIN
from r1.benchmarks.contests.frozen import ContestProblem, FrozenContest, write_contest
from r1.benchmarks.protocol import load
from r1.benchmarks.registry import find_benchmark
from r1.rewards.code import verifier as code
from r1.rewards.code.verifier import score_code
from r1.rewards.settings import RewardSettings
from r1.sandbox import SandboxSettings
from r1.types import Outcome, Problem, Score

COMPILED = {"cpp", "java", "csharp", "typescript"}
PATIENT = RewardSettings.model_validate(
    {"code": {"total_s": 600.0, "sandbox": {"compile_cpu_s": 90.0}}}
)
"""For machines that do much else beside the tests."""
WHY_NOT = code._why_not


@pytest.fixture(autouse=True)
def _quick(monkeypatch) -> None:
    monkeypatch.setattr(code, "_why_not", lambda language, sandbox: None)
    monkeypatch.setattr(code, "NUM_GOLD_RUN", 0)


def judge(problem: Problem, answer: str) -> Score:
    language = problem.metadata["language"]
    if missing := WHY_NOT(language, SandboxSettings()):
        pytest.skip(missing)
    for _ in range(4):
        score = score_code(problem, f"```{language}\n{answer}\n```", PATIENT)
        if score.outcome is not Outcome.TIMED_OUT:
            break
    return score


def only_problem(data: Path, name: str, file: str, row: dict[str, object]) -> Problem:
    path = data / name.partition("@")[0] / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row) + "\n")
    (problem,) = load(find_benchmark(name), data).problems
    return problem


def translated(data: Path, language: str) -> Problem:
    suffix, prompt, test = ROWS[language]
    row = {"task_id": "HumanEval_0_add_two", "language": suffix, "prompt": prompt, "test": test}
    return only_problem(data, f"humaneval_mul@{language}", f"humaneval-{suffix}.jsonl", row)


def parameters(table: dict[str, dict[str, str]]) -> list:
    return [
        pytest.param(language, name, marks=[pytest.mark.slow] if language in COMPILED else [])
        for language, answers in table.items()
        for name in answers
    ]


@pytest.mark.parametrize(("language", "name"), parameters(MUL))
def test_attacks_on_eight_languages_are_wrong(tmp_path, language: str, name: str) -> None:
    score = judge(translated(tmp_path, language), MUL[language][name])
    assert (score.value, score.outcome) == (0, Outcome.WRONG), score


@pytest.mark.parametrize(
    ("language", "name"), parameters({language: {"right": ""} for language in RIGHT})
)
def test_a_right_answer_to_the_same_row_is_right(tmp_path, language: str, name: str) -> None:
    score = judge(translated(tmp_path, language), RIGHT[language])
    assert (score.value, score.outcome) == (1, Outcome.CORRECT), score


def dated(data: Path, kind: str) -> Problem:
    given = ("3 4", "1 1") if kind == "stdin" else ("3\n4", "1\n1")
    tests = [
        {"input": text, "output": out, "testtype": kind}
        for text, out in zip(given, "72", strict=True)
    ]
    row = {
        "question_id": "q", "question_content": "Add.", "difficulty": "easy",
        "contest_date": "2024-09-01", "public_test_cases": json.dumps(tests[:1]),
        "private_test_cases": json.dumps(tests[1:]), "metadata": '{"func_name": "add"}',
        "starter_code": "" if kind == "stdin" else "class Solution:\n    def add(self, a, b):",
    }  # fmt: skip
    return only_problem(data, "livecodebench", "test.jsonl", row)


@pytest.mark.parametrize("name", [*STDIN, "right"])
def test_attacks_on_standard_input_are_wrong(tmp_path, name: str) -> None:
    answers = {**STDIN, "right": "print(sum(map(int, input().split())))"}
    score = judge(dated(tmp_path, "stdin"), answers[name])
    wanted = (1, Outcome.CORRECT) if name == "right" else (0, Outcome.WRONG)
    assert (score.value, score.outcome) == wanted, score


@pytest.mark.parametrize("name", [*FUNCTION, "right"])
def test_attacks_on_functions_are_wrong(tmp_path, name: str) -> None:
    right = "class Solution:\n    def add(self, a, b):\n        return a + b"
    score = judge(dated(tmp_path, "functional"), {**FUNCTION, "right": right}[name])
    wanted = (1, Outcome.CORRECT) if name == "right" else (0, Outcome.WRONG)
    assert (score.value, score.outcome) == wanted, score


CHECKER = (
    "import sys\nwant, got = (sorted(map(int, open(p).read().split())) for p in sys.argv[2:4])\n"
    "print(1 if want == got else 0)\n"
)


@pytest.mark.parametrize("name", [*CHECKED, "right"])
def test_attacks_on_checkers_are_wrong(tmp_path, name: str) -> None:
    (tmp_path / "codeforces/contests").mkdir(parents=True)
    problems = (ContestProblem("A", 500.0),)
    rows = np.array([[0.0, 0.0, 1400.0], [0.0, 0.0, 1500.0]])
    contest = FrozenContest(7, "Round", "CF", "2024-11-25", 120.0, problems, rows)
    write_contest(tmp_path / "codeforces/contests/7.json", contest)
    row = {
        "contest_id": "7", "index": "A", "description": "Print 2 and 3 in any order.",
        "time_limit": 2, "memory_limit": 256, "official_tests_complete": True,
        "official_tests": [{"input": "1\n", "output": "2 3\n"}], "generated_checker": CHECKER,
    }  # fmt: skip
    problem = only_problem(tmp_path, "codeforces@python", "problems.jsonl", row)
    score = judge(problem, {**CHECKED, "right": "print(3)\nprint(2)"}[name])
    wanted = (1, Outcome.CORRECT) if name == "right" else (0, Outcome.WRONG)
    assert (score.value, score.outcome) == wanted, score

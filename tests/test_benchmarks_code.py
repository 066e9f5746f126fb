"""HumanEval, MBPP, HumanEval-Mul and LiveCodeBench: rows read and refused, gold and known-right
solutions right, mutants wrong, windows, packed tests that are never run.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from humaneval_mul_solutions import BODIES, mutant, right
from r1.benchmarks.humaneval_mul import LANGUAGES
from r1.benchmarks.protocol import Loaded, load
from r1.benchmarks.registry import find_benchmark
from r1.benchmarks.running.parts import mean_of_parts, scores_by_part
from r1.errors import UserError
from r1.rewards.code import verifier as code
from r1.rewards.code.in_class import in_class
from r1.rewards.code.livecodebench import text_of_pickle
from r1.rewards.code.reading import fenced_blocks
from r1.rewards.code.task_error import TaskError
from r1.rewards.code.verifier import score_code
from r1.rewards.settings import RewardSettings
from r1.sandbox import SandboxSettings
from r1.types import Outcome, Problem, Score

DATA = Path(__file__).parents[2] / "shared/benchmarks"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/benchmarks")
COUNTS = {
    "python": 164, "cpp": 156, "java": 156, "csharp": 153, "javascript": 159, "typescript": 158,
    "php": 160, "bash": 158,
}  # fmt: skip
PATIENT = RewardSettings.model_validate(
    {"code": {"total_s": 600.0, "sandbox": {"compile_cpu_s": 90.0}}}
)
"""For machines that do much else beside the tests."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch) -> None:
    """No program runs while data are loaded."""
    monkeypatch.setattr(code, "check_machine", lambda problem, settings: None)
    monkeypatch.setattr(code, "NUM_GOLD_RUN", 0)


@pytest.fixture
def machine(monkeypatch):
    """Names languages that the machine seems to lack."""

    def lacks(*languages: str) -> None:
        told = {language: f"{language} needs a tool, which is not here" for language in languages}
        monkeypatch.setattr(code, "_why_not", lambda language, sandbox: told.get(language))

    lacks()
    return lacks


def judge(problem: Problem, answer: str, tag: str = "python") -> Score:
    if missing := code._why_not(problem.metadata["language"], SandboxSettings()):
        pytest.skip(missing)
    for _ in range(4):
        score = score_code(problem, f"```{tag}\n{answer}\n```", PATIENT)
        if score.outcome is not Outcome.TIMED_OUT:
            break
    return score


@needs_data
def test_rows_differ_by_language_and_impossible_ones_are_refused_by_name(machine) -> None:
    found = load(find_benchmark("humaneval_mul"), DATA)
    assert Counter(p.metadata["language"] for p in found.problems) == COUNTS
    assert (
        sum(COUNTS.values()) + len(found.refused) == find_benchmark("humaneval_mul").num_questions
    )
    reasons = Counter(refused.reason.partition(",")[0] for refused in found.refused)
    assert reasons == {
        "PHP has a function strlen of its own": 1,
        "its C++ type hides what it holds": 4,
        "its tests ask Equals of a reference": 3,
        "its tests want a value of another type": 2,
        "its tests break a line within a string": 1,
        "its tests want true of 3 and false of 3.0": 5,
    }
    assert found.left_out == {}
    assert len(load(find_benchmark("humaneval"), DATA).problems) == 164
    assert len(load(find_benchmark("mbpp"), DATA).problems) == 427


@needs_data
def test_a_language_without_its_toolchain_is_left_out_aloud(machine) -> None:
    machine("java", "php")
    found = load(find_benchmark("humaneval_mul"), DATA)
    assert {p.metadata["language"] for p in found.problems} == set(COUNTS) - {"java", "php"}
    assert found.left_out == {
        name: f"{name} needs a tool, which is not here" for name in ("java", "php")
    }
    only = find_benchmark("humaneval_mul@java")
    with pytest.raises(UserError, match="java needs a tool"):
        load(only, DATA)
    with pytest.raises(UserError, match="languages are python"):
        find_benchmark("humaneval_mul@rust")
    with pytest.raises(UserError, match="no variants"):
        find_benchmark("mbpp@rust")


def test_the_plain_mean_weighs_languages_alike() -> None:
    problems = [
        Problem(str(i), "", None, "code", metadata={"language": language})
        for i, language in enumerate(["a", "a", "a", "b"])
    ]
    values = {"0": [1.0, 0.0], "1": [1.0], "2": [], "3": [0.0, 0.0]}
    parts = scores_by_part(problems, values, ("language",))["language"]
    assert [(p["num_questions"], p["score"]["value"]) for p in parts.values()] == [
        (3, 0.75),
        (1, 0.0),
    ]
    mean = mean_of_parts(problems, values, "language")
    assert mean is not None
    assert mean.value == pytest.approx(0.375)
    assert 0.0 < mean.low < 0.25  # three questions tell little
    assert 0.5 < mean.high < 1.0
    assert mean_of_parts(problems, {**values, "3": []}, "language") is None
    assert np.isnan(values["2"]).size == 0


@needs_data
@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_gold_programs_are_right_and_stubs_wrong(machine, name: str) -> None:
    problems = load(find_benchmark(name), DATA).problems
    for problem in problems[38:40]:  # HumanEval/38 calls a function of its prompt
        assert judge(problem, str(problem.reference)).outcome is Outcome.CORRECT
        stub = f"def {problem.metadata['entry']}(*args):\n    return None"
        assert judge(problem, stub).outcome is Outcome.WRONG


@needs_data
def test_the_function_alone_is_whole(machine) -> None:
    problem = load(find_benchmark("humaneval"), DATA).problems[32]  # calls poly, of the prompt
    body = str(problem.reference).removeprefix(problem.metadata["before"])
    assert "def poly" not in body
    assert judge(problem, body).outcome is Outcome.CORRECT


def solutions(language: str, part: int, parts: int) -> list[tuple[str, int, Score, Score]]:
    if missing := code._why_not(language, SandboxSettings()):
        pytest.skip(missing)
    loaded = load(find_benchmark(f"humaneval_mul@{language}"), DATA).problems
    problems = {int(p.id.split("_")[2]): p for p in loaded}
    closing = "}\n}" if LANGUAGES[language].in_class else "}"

    def one(number: int) -> tuple[str, int, Score, Score]:
        stub = fenced_blocks(problems[number].prompt)[0].text
        body = BODIES[language][number]
        answers = [f"{stub}{make(body)}\n{closing}" for make in (right, mutant)]
        first, second = (judge(problems[number], answer, language) for answer in answers)
        return language, number, first, second

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, sorted(BODIES[language])[part::parts]))


def faults(judged: list[tuple[str, int, Score, Score]]) -> list[tuple[str, int, Score, Score]]:
    wanted = (Outcome.CORRECT, Outcome.WRONG)
    return [row for row in judged if (row[2].outcome, row[3].outcome) != wanted]


def test_there_are_twenty_known_right_solutions_a_language() -> None:
    assert set(BODIES) == set(LANGUAGES) - {"python"}
    assert all(len(bodies) >= 20 for bodies in BODIES.values())
    assert all(
        right(body) != mutant(body) for bodies in BODIES.values() for body in bodies.values()
    )


@needs_data
@pytest.mark.parametrize("language", ["javascript", "php", "bash"])
def test_two_known_right_solutions_pass_and_their_mutants_fail(language: str) -> None:
    assert faults(solutions(language, 3, 11)) == []


PARTS = {"cpp": 4, "java": 4, "csharp": 2}  # compilers take seconds
TRIED = 4 if os.environ.get("R1_TEST_ALL") == "1" else 1


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "part"),
    [
        (language, part)
        for language in sorted(BODIES)
        for part in range(min(TRIED, PARTS.get(language, 1)))
    ],
)
def test_known_right_solutions_pass_and_their_mutants_fail(language: str, part: int) -> None:
    """A part of those whose compilers are slow; R1_TEST_ALL=1 for all of them."""
    assert faults(solutions(language, part, PARTS.get(language, 1))) == []


def test_a_bare_method_is_put_into_its_class() -> None:
    method = "import java.util.*;\n// f(x) {\npublic static int f(int x) {\n    return x;\n}"
    wrapped = in_class(method, "f", "Problem")
    assert wrapped.startswith("import java.util.*;\nclass Problem {\n")
    assert wrapped.rstrip().endswith("}\n}")
    assert in_class(wrapped, "f", "Problem") == wrapped
    assert in_class(method, "f", "") == method
    arrow = "using System;\nstatic int F(int x) => x;"
    assert in_class(arrow, "F", "P") == "using System;\nclass P {\nstatic int F(int x) => x;\n}\n"


def packed(text: object) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(text))).decode()


def lcb_row(**changed: object) -> dict[str, object]:
    tests = [{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]
    return {
        "question_id": "q1", "question_content": "Add.", "starter_code": "", "difficulty": "easy",
        "contest_date": "2024-09-01T00:00:00", "metadata": "{}",
        "public_test_cases": json.dumps(tests),
        "private_test_cases": packed(json.dumps([{**tests[0], "input": "5 6", "output": "11.0"}])),
        **changed,
    }  # fmt: skip


def lcb(folder: Path, *rows: dict[str, object], name: str = "livecodebench") -> Loaded:
    path = folder / "livecodebench" / "test.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load(find_benchmark(name), folder)


def test_public_and_private_tests_judge_and_numbers_are_exact_decimals(machine, tmp_path) -> None:
    (problem,) = lcb(tmp_path, lcb_row()).problems
    assert problem.metadata["total_s"] == 2 * 7 + 5
    assert judge(problem, "print(sum(map(int, input().split())))").detail == "2/2 tests"
    public_only = "x = sum(map(int, input().split()))\nprint(x if x < 9 else x + 1e-9)"
    assert judge(problem, public_only).outcome is Outcome.WRONG


def test_functional_tests_call_the_method_one_process_each(machine, tmp_path) -> None:
    cases = [
        {"input": f'[{i}, 2]\n"a"', "output": f'[{i + 2}, "a"]', "testtype": "functional"}
        for i in range(3)
    ]
    row = lcb_row(
        starter_code="class Solution:\n    def f(self, x: List[int], s: str):\n        ",
        metadata='{"func_name": "f"}',
        public_test_cases=json.dumps(cases[:1]),
        private_test_cases=packed(json.dumps(cases[1:])),
    )
    (problem,) = lcb(tmp_path, row).problems
    answer = "class Solution:\n    def f(self, x: List[int], s):\n        return (sum(x), s)"
    assert judge(problem, answer).detail == "3/3 tests"
    counting = (
        "n = 0\nclass Solution:\n    def f(self, x, s):\n        global n\n        n += 1\n"
        "        return [sum(x) + n - 1, s]"
    )
    assert judge(problem, counting).detail == "3/3 tests"  # nothing is left of an earlier call
    assert judge(problem, answer.replace("sum(x)", "sum(x) + 1e-9")).outcome is Outcome.WRONG


def test_the_window_is_by_date_and_any(machine, tmp_path) -> None:
    dates = ("2024-07-31", "2024-08-01", "2025-01-31", "2025-02-01")
    rows = [lcb_row(question_id=date, contest_date=f"{date}T00:00:00") for date in dates]
    inside = lcb(tmp_path, *rows)
    assert [p.id[14:] for p in inside.problems] == ["2024-08-01", "2025-01-31"]
    assert [p.metadata["month"] for p in inside.problems] == ["2024-08", "2025-01"]
    for window, number in {
        "2024-07:2024-07": 1,
        "2024-08-01:2025-02": 3,
        "2025-02-01:2025-02-01": 1,
    }.items():
        assert len(lcb(tmp_path, *rows, name=f"livecodebench@{window}").problems) == number
    for odd in ("2024", "2024-07", "a:b", "2024-07:"):
        with pytest.raises(UserError, match="two months or days"):
            find_benchmark(f"livecodebench@{odd}")
    for odd in ("2025-13:2025-14", "2024-08:2024-00", "2024-02-30:2024-03", "2024-01:2024-02-30"):
        with pytest.raises(UserError, match="is no day"):
            find_benchmark(f"livecodebench@{odd}")
    for odd in ("2025-03:2025-01", "2025-01-02:2025-01-01"):
        with pytest.raises(UserError, match="ends before it begins"):
            find_benchmark(f"livecodebench@{odd}")
    with pytest.raises(UserError, match="no contest date is within 2023-01-01 to 2023-02-31"):
        lcb(tmp_path, *rows, name="livecodebench@2023-01:2023-02")


class Evil:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    "private",
    [
        packed(Evil()), packed([1]), packed(("a", "b")), packed(b"[]"), packed("no JSON"), "!!",
        "aGk=", base64.b64encode(zlib.compress(b"\x80\x04X")).decode(), packed('{"input": 1}'),
        packed("[3]"),
        base64.b64encode(zlib.compress(pickle.dumps("[]"))[:-3]).decode(),
        packed(json.dumps([{"input": "1", "output": "2", "testtype": "interactive"}])),
        packed(json.dumps([{"input": "1", "output": "2", "testtype": "functional"}])),
    ],
)  # fmt: skip
def test_packed_tests_that_are_no_text_are_refused_and_never_run(
    machine, tmp_path, capsys, private
) -> None:
    with pytest.raises(UserError, match="no question"):
        lcb(tmp_path, lcb_row(private_test_cases=private))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_text_of_any_protocol_is_read(protocol: int) -> None:
    text = "[é\n\u2028" + "x" * 70_000
    assert text_of_pickle(pickle.dumps(text, protocol)) == text
    with pytest.raises(TaskError, match="refused"):
        text_of_pickle(pickle.dumps(Evil(), protocol))


def test_a_row_without_a_sound_date_is_odd(machine, tmp_path) -> None:
    found = lcb(tmp_path, lcb_row(), lcb_row(contest_date="soon"), lcb_row(difficulty=None))
    assert len(found.problems) == 1
    assert len(found.refused) == 2


@needs_data
def test_four_hundred_problems_of_the_first_release_are_read(machine) -> None:
    found = load(find_benchmark("livecodebench@2023-05:2024-03"), DATA)
    assert found.layout.startswith("public tests alone")
    assert (len(found.problems), found.refused) == (400, [])
    kinds = Counter(code.read_task(problem).kind for problem in found.problems)
    assert kinds == {"calls": 181, "stdio": 219}

"""Aider's benchmark: exercises made here and the shared ones, the two tries, killed and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polyglot_world import edit, make_exercise
from r1.agents.ask import OpenConversation, ask_recorded
from r1.agents.polyglot import grade, measure, tries
from r1.agents.polyglot.exercise import read_exercise
from r1.agents.polyglot.go_names import declared, shadowed
from r1.agents.polyglot.grade import ExerciseVerdict, Graded, missing_toolchains, run_tests
from r1.agents.polyglot.measure import measure_exercises
from r1.agents.polyglot.toolchain import TOOLCHAINS
from r1.benchmarks.protocol import load
from r1.benchmarks.registry import find_benchmark
from r1.errors import UserError

DATA = Path(__file__).parents[2] / "shared/benchmarks"
WRONG = edit("twice.py", "    pass\n", "    return 3 * x\n")
RIGHT = edit("twice.py", "    return 3 * x\n", "    return 2 * x\n")
BROKEN = edit("twice.py", "    nothing\n", "    return 2 * x\n")


SLOW = [
    pytest.param(language, marks=pytest.mark.slow) for language in ("cpp", "java", "go", "rust")
]


@pytest.mark.parametrize("language", ["python", "javascript", *SLOW])
def test_an_example_passes_and_a_stub_fails(language, tmp_path) -> None:
    if language in missing_toolchains():
        pytest.skip(missing_toolchains()[language])
    exercise = read_exercise(make_exercise(tmp_path, language), language)
    good = run_tests(exercise, {**exercise.solution, **exercise.example})
    assert good.verdict is ExerciseVerdict.PASSED, good.output
    assert good.passed == (2 if language in ("cpp", "java") else 3)
    assert run_tests(exercise, exercise.solution).verdict is ExerciseVerdict.FAILED


@pytest.fixture
def sources(tmp_path) -> dict[str, tuple[str, str]]:
    """Four Python exercises and one in a language that has no runner."""
    found = {}
    for name in ("a", "b", "c", "d"):
        folder = make_exercise(tmp_path / "data", "python", name)
        found[f"python/{name}"] = (str(folder), "python")
    found["zig/x"] = (str(tmp_path / "data" / "zig"), "zig")
    return found


class Said:
    """A model that replays responses by exercise and number, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, OpenConversation] = {}
        self.responses = {
            "python/a": {"0/0": WRONG.replace("3 * x", "2 * x")},
            "python/b": {"0/0": WRONG, "1/0": RIGHT},
            "python/c": {"0/0": BROKEN, "0/1": WRONG.replace("3 * x", "x + x")},
            "python/d": {"0/0": None, "1/0": "I give up."},
        }

    def __call__(self, question: OpenConversation, sample: int) -> str | None:
        self.asked[question.id] = question
        return self.responses[question.id[:8]][question.id[9:]]


def test_two_tries_and_their_figures(sources, tmp_path) -> None:
    said = Said()
    result = measure_exercises(sources, ask_recorded(said), tmp_path / "out")
    assert (result["pass_rate_1"]["value"], result["pass_rate_2"]["value"]) == (0.5, 0.75)
    assert (result["well_formed"], result["num_questions"]) == (0.75, 4)
    assert result["by_language"]["python"]["pass_rate_2"] == 0.75
    assert result["departures"] == ["zig left out (1 exercises): r1 has no runner of zig's tests"]
    assert result["outcomes"]["unfinished"] == 0.25
    second = said.asked["python/b/1/0"].turns[-1].content
    assert "AssertionError: 6 != 4" in second  # the tests' output
    assert "return 3 * x" in second  # the file as it is now
    assert [turn.role for turn in said.asked["python/b/1/0"].turns] == ["user", "assistant", "user"]
    assert "are not in twice.py" in said.asked["python/c/0/1"].turns[-1].content
    assert "python/a/1/0" not in said.asked


def judged_by_sight(exercise, files, wanted=None, settings=None) -> Graded:
    right = any(text in files["twice.py"] for text in ("2 * x", "x + x"))
    return Graded(ExerciseVerdict.PASSED if right else ExerciseVerdict.FAILED, 3 * right, "output")


def test_killed_it_carries_on_with_the_same_figures(sources, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tries, "BLOCK", 1)
    monkeypatch.setattr(measure, "run_tests", judged_by_sight)
    monkeypatch.setattr(tries, "run_tests", judged_by_sight)
    whole = measure_exercises(sources, ask_recorded(Said()), tmp_path / "whole")
    asked = []
    said = Said()

    def killed(question: OpenConversation, sample: int) -> str | None:
        asked.append(question.id)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return said(question, sample)

    with pytest.raises(KeyboardInterrupt):
        measure_exercises(sources, ask_recorded(killed), tmp_path / "killed")
    assert measure_exercises(sources, ask_recorded(killed), tmp_path / "killed") == whole
    assert asked.count("python/a/0/0") == 1
    assert asked.count("python/b/0/0") == 2  # its record was not yet stored


def test_no_verdict_is_no_wrong_answer(sources, tmp_path, monkeypatch) -> None:
    real = grade.run_tests

    def failing(exercise, files, wanted=None, settings=None):
        if exercise.name == "a" and "return 2 * x" in files["twice.py"] and wanted is not None:
            return Graded(ExerciseVerdict.NONE, 0, "")
        return real(exercise, files, wanted, settings)

    monkeypatch.setattr(tries, "run_tests", failing)
    result = measure_exercises(
        {name: sources[name] for name in ("python/b", "python/a")},
        ask_recorded(lambda question, _: Said().responses[question.id[:8]].get(question.id[9:])),
        tmp_path,
    )
    assert result["outcomes"]["verifier failed"] == 0.5
    assert result["pass_rate_2"]["value"] == 1.0


def test_an_exercise_whose_example_fails_is_refused(tmp_path, monkeypatch) -> None:
    folder = make_exercise(tmp_path / "data", "python", "odd")
    (folder / ".meta" / "example.py").write_text("def twice(x):\n    return x\n")
    with pytest.raises(UserError, match="no exercise can be judged"):
        measure_exercises({"python/odd": (str(folder), "python")}, ask_recorded(Said()), tmp_path)
    monkeypatch.setattr(measure, "missing_toolchains", lambda *_: {"python": "needs python3"})
    with pytest.raises(UserError, match="needs python3"):
        measure_exercises({"python/odd": (str(folder), "python")}, ask_recorded(Said()), tmp_path)


def test_a_folder_that_is_odd_is_refused_by_name(tmp_path) -> None:
    root = tmp_path / "aider_polyglot"
    make_exercise(root, "python", "good")
    config = make_exercise(root, "python", "escape") / ".meta" / "config.json"
    files = {"solution": ["../../../x.py"], "test": ["t.py"], "example": []}
    config.write_text(json.dumps({"files": files}))
    loaded = load(find_benchmark("aider_polyglot"), tmp_path)
    assert [problem.id for problem in loaded.problems] == ["python/good"]
    assert "inside the folder" in loaded.refused[0].reason


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/benchmarks")
def test_the_shared_exercises_are_read() -> None:
    assert len(load(find_benchmark("aider_polyglot"), DATA).problems) == 18
    assert len(load(find_benchmark("exercism_python"), DATA).problems) == 14


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/benchmarks")
@pytest.mark.parametrize(
    ("name", "language"),
    [("exercism_python", "python"), *(("aider_polyglot", each) for each in sorted(TOOLCHAINS))],
)
def test_shared_examples_pass_and_their_stubs_fail(name, language) -> None:
    if language in missing_toolchains():
        pytest.skip(missing_toolchains()[language])
    problems = load(find_benchmark(name), DATA).problems
    for problem in (each for each in problems if each.metadata["language"] == language):
        folder = problem.metadata["folder"]
        if problem.id == "rust/robot-name":  # its example needs a crate
            continue
        exercise = read_exercise(Path(folder), language)
        good = run_tests(exercise, {**exercise.solution, **exercise.example})
        assert good.verdict is ExerciseVerdict.PASSED, (problem.id, good.output)
        stub = run_tests(exercise, exercise.solution, good.passed)
        assert stub.verdict is ExerciseVerdict.FAILED, problem.id


def test_the_names_that_a_go_file_declares_for_its_package() -> None:
    text = (
        'package x\nimport ("fmt"; "os")\n// var no = 1\nconst true = false\n'
        "var (\n\ta, nil = 1, 2\n\tc = func() int { var cap = 3; return cap }()\n)\n"
        "const (\n\tk = iota\n)\ntype (\n\terror interface{ len() int }\n)\n"
        "var s = `\nvar no = 1\n`\n"
        "func len(x any) int { copy := 1; return copy }\nfunc (t T) append() {}\nvar p, q = 1, 2\n"
    )
    assert declared(text, ("var",)) == {"a", "nil", "c", "s", "p", "q"}
    assert declared(text, ("func",)) == {"len"}
    assert shadowed(text) == ["error", "len", "nil", "true"]

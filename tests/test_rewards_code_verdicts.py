"""Who is at fault: what an answer causes is wrong, only what the verifier causes has no verdict."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from r1.rewards.code import run as code_run
from r1.rewards.code import verifier as code
from r1.rewards.code.run import OutOfTimeError
from r1.rewards.code.verifier import code_reward as code_reward_once
from r1.rewards.settings import RewardSettings
from r1.sandbox import Program, RunResult, SandboxSettings, Status
from r1.sandbox.toolchains import find_tool
from r1.types import Outcome, Problem, Score

if missing := code._why_not("python", SandboxSettings()):
    pytest.skip(missing, allow_module_level=True)


def code_reward(*given: object) -> Score:
    """Tests run on busy machines, where there may be no verdict: ask again."""
    for _ in range(4):
        score = code_reward_once(*given)  # type: ignore[arg-type]
        if not score.detail.startswith("a busy machine"):
            break
    return score


def problem(**metadata: object) -> Problem:
    return Problem("p", "", None, "code", metadata={"language": "python", **metadata})


LENGTH_FIRST = """
#include <fstream>
#include <vector>
int main(int, char** v) {
    std::ifstream given(v[2]), wanted(v[3]);
    long n, m;
    given >> n;
    std::vector<int> items(n);
    wanted >> m;
    return n == m ? 0 : 1;
}
"""
ECHOING = (
    "import sys\nx = open(sys.argv[2]).read()\nprint(x, file=sys.stderr)\nsys.exit(len(x) > 9)"
)
PARSING = "import sys\nx = [int(t) for t in open(sys.argv[2]).read().split()]\nsys.exit(x != [7])"
COUNTING = "import sys\nx = list(range(int(open(sys.argv[2]).read())))\nsys.exit(len(x) != 7)"
PATIENT = "import sys, time\ntime.sleep(int(open(sys.argv[2]).read()))"


@pytest.mark.parametrize(
    ("language", "checker", "printed"),
    [
        ("cpp", LENGTH_FIRST, "print(-1)"),
        ("cpp", LENGTH_FIRST, "print(4 * 10**9)"),
        ("python", PARSING, "print('MemoryError')"),
        ("python", PARSING, "print('Out of memory')"),
        ("python", PARSING, "print('std::bad_alloc')"),
        ("python", PARSING, "print('9' * 10**5)"),
        ("python", ECHOING, "print('x' * 200_000)"),
        ("python", COUNTING, "print(10**8)"),
        ("python", PATIENT, "print(1000)"),
    ],
)
def test_an_output_that_breaks_a_checker_is_wrong(language, checker, printed, monkeypatch) -> None:
    if language == "cpp" and find_tool("g++") is None:
        pytest.skip("no g++")
    limits = replace(code_run.CHECKER_LIMITS, wall_s=3.0, cpu_s=2.0, memory_mb=256)
    monkeypatch.setattr(code_run, "CHECKER_LIMITS", limits)
    checker = {"language": language, "source": checker}
    task = problem(tests=[{"input": "", "output": "0\n"}], checker=checker)
    score = code_reward(printed, task)
    assert (score.value, score.outcome) == (0, Outcome.WRONG), score


def test_a_checker_has_room_for_its_files() -> None:
    checker = {"language": "bash", "source": "cmp -s $2 $3"}
    tests = [{"input": "", "output": "x" * (9 << 20)}]
    task = problem(tests=tests, checker=checker)
    assert code_reward("print('x' * (9 << 20), end='')", task).value == 1


SLEEPS = "import time\ntime.sleep(0.4)\nprint(1)"
BURNS = "import time\nwhile time.process_time() < 0.4: pass\nprint(1)"


@pytest.mark.parametrize("answer", [SLEEPS, BURNS, "import time\ntime.sleep(100)"])
def test_filling_the_time_of_all_tests_is_wrong(answer: str, monkeypatch) -> None:
    """Each test passes within its limits; all together they never end."""
    monkeypatch.setattr(code_run, "OWN_SHARE", 0.2)  # holds on a machine that is five times busy
    settings = RewardSettings.model_validate({"code": {"total_s": 1.5}})
    task = problem(tests=[{"input": str(n), "output": "1"} for n in range(20)])
    score = code_reward(answer, task, settings)
    assert (score.value, score.outcome) == (0, Outcome.WRONG)
    assert "all tests may take 1.5 s" in score.detail


def test_waiting_through_the_time_of_all_tests_is_no_verdict(monkeypatch) -> None:
    waited = RunResult(Status.OK, 0, "3", "", 0.4, 1.0, cpu_s=0.05)
    monkeypatch.setattr(Program, "run", lambda self, **given: time.sleep(0.3) or waited)
    settings = RewardSettings.model_validate({"code": {"total_s": 0.5}})
    task = problem(tests=[{"input": "", "output": "3"}] * 20)
    assert code_reward("print(3)", task, settings).outcome is Outcome.TIMED_OUT
    clock = code_run.Clock(0.0)
    with pytest.raises(OutOfTimeError):
        clock.run(Program.build("python", "print(1)"), code_run.CHECKER_LIMITS)


def test_a_checker_that_a_busy_machine_left_uncompiled_is_compiled_again(monkeypatch) -> None:
    starved = RunResult(Status.STARVED, None, "", "", 60.0, 0.0)
    program = Program.build("python", "print(1)")
    build = Program.build
    monkeypatch.setattr(Program, "build", lambda *_, **__: replace(program, compile_result=starved))
    sandbox = RewardSettings().code.sandbox
    assert code_run.built("python", "pass  # once", sandbox).compile_result is starved
    monkeypatch.setattr(Program, "build", build)
    assert code_run.built("python", "pass  # once", sandbox).compile_result is None


def java(body: str = "System.out.println(5);", **names: str) -> str:
    name, more = names.get("name", "Main"), names.get("more", "")
    main = f"public static void main(String[] a) {{ {body} }}"
    return f"```java\npublic class {name} {{ {main} }}\n{more}\n```"


def classes(count: int, length: int = 0) -> str:
    return "".join(f"class A{i}{'x' * length} {{}}\n" for i in range(count))


SUM = {"language": "java", "tests": [{"input": "", "output": "7"}]}


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "answer",
    [
        java(name="A" * 300),
        java(name="A" * 256),
        java(name="A" * 20_000),
        java(name="中" * 200),
        java(more=f"class {'B' * 300} {{}}"),
        java(more=f"interface I {{ class {'C' * 250} {{}} }}"),
        java(more=classes(250)),
        java(more=classes(1300)),
        java(more=classes(2500)),
        java(more=classes(190, length=200)),
        java(more="record R(int x) {}\n" * 2),
        java(body='System.err.println("OutOfMemoryError"); System.exit(3);'),
    ],
    ids=lambda text: f"{len(text)} characters",
)
def test_javas_names_and_classes_buy_nothing(answer: str) -> None:
    if find_tool("javac") is None:
        pytest.skip("javac is not installed")
    for _ in range(3):  # a busy machine may keep the compiler waiting
        score = code_reward(answer, Problem("p", "", None, "code", metadata=SUM))
        if score.outcome is not Outcome.TIMED_OUT:
            break
    assert (score.value, score.outcome) == (0, Outcome.WRONG), score


def test_many_classes_can_be_right() -> None:
    if find_tool("javac") is None:
        pytest.skip("javac is not installed")
    body = "System.out.println(new A1500() != null ? 7 : 0);"
    answer = java(body, more=classes(2000))
    score = code_reward(answer, Problem("p", "", None, "code", metadata=SUM))
    assert score.outcome is Outcome.CORRECT, score

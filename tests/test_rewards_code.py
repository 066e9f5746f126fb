"""The code reward: right programs are paid, and nothing else is, whatever it tries."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from r1.data.tiny.problems import make_problems
from r1.errors import UserError
from r1.rewards.accuracy import check_reference
from r1.rewards.code import run as code_run
from r1.rewards.code import verifier as code
from r1.rewards.code.problem import read_task
from r1.rewards.code.run import OutOfTimeError
from r1.rewards.code.verifier import check_gold, judge
from r1.rewards.code.verifier import code_reward as code_reward_once
from r1.rewards.pool import RewardPool
from r1.rewards.settings import RewardSettings
from r1.sandbox import Limits, Program, RunResult, SandboxSettings, Status
from r1.sandbox.supervisor import descendants
from r1.types import Completion, Outcome, Problem, RolloutGroup, Score

if missing := code._why_not("python", SandboxSettings()):
    pytest.skip(missing, allow_module_level=True)

SECRET = "plum-4417-harbour"


def code_reward(*given: object) -> Score:
    """Tests run on busy machines, where there may be no verdict: ask again."""
    for _ in range(4):
        score = code_reward_once(*given)  # type: ignore[arg-type]
        if not score.detail.startswith("a busy machine"):
            break
    return score


def problem(reference: str | None = None, **metadata: object) -> Problem:
    return Problem("p", "", reference, "code", metadata={"language": "python", **metadata})


CALLS = problem(
    entry="f",
    time_limit_s=0.2,
    memory_mb=128,
    tests=[
        {"args": [3], "expected": 7},
        {"args": [10], "expected": SECRET},
        {"args": [0], "expected": True},
        {"args": [4], "expected": 2.5},
    ],
)
STDIO = problem(
    time_limit_s=0.2,
    memory_mb=128,
    tests=[{"input": "3\n", "output": "7.25\n"}, {"input": "10\n", "output": f"{SECRET}\n"}],
)
PROGRAM = problem(
    entry="f",
    time_limit_s=0.2,
    memory_mb=128,
    test_program=f"""
def check(candidate):
    assert candidate(3) == 7
    assert candidate(10) == {SECRET!r}
    assert candidate([1, (2, 3)], key) == {{1: (2, 3)}}
    assert abs(candidate(4) - 2.5) < 1e-6
key = "k"
""",
)
RIGHT = f"""
def f(x, key=None):
    if key:
        return {{1: (2, 3)}}
    return {{3: 7, 10: {SECRET!r}, 0: True, 4: 2.5}}[x]
"""
RIGHT_STDIO = f"print({{'3': '7.250000001', '10': ' {SECRET} '}}[input()])"


def share(problem: Problem, answer: str) -> Score:
    settings = RewardSettings.model_validate({"code": {"credit": "share"}})
    return code_reward(answer, problem, settings)


def test_right_programs_are_paid() -> None:
    assert code_reward(f"Here:\n```python\n{RIGHT}```", CALLS) == Score(
        1, Outcome.CORRECT, "4/4 tests"
    )
    assert code_reward(RIGHT_STDIO, STDIO).value == 1
    assert code_reward(RIGHT, PROGRAM).value == 1
    noisy = "import sys\nprint('debug', end='')\n" + RIGHT.replace("if key", "print(x)\n    if key")
    assert code_reward(noisy, CALLS).value == 1
    assert code_reward(noisy, PROGRAM).value == 1


# What an answer may try against calls of its function: f(3) should be 7, f(10) the secret, f(0)
# True and f(4) 2.5; nothing of that is in the sandbox.
FIND_NONCE = """
import sys
frame = sys._getframe()
while frame.f_back:
    frame = frame.f_back
def main_locals():
    frame = sys._getframe()
    while frame:
        if "setup" in frame.f_locals:
            return frame.f_locals
        frame = frame.f_back
nonce = main_locals()["setup"]["nonce"]
"""
CALL_ATTACKS = {
    "exits at once": "import os\nos._exit(0)",
    "exits in the call": "import os\ndef f(x): os._exit(0)",
    "sys.exit at once": "import sys\nsys.exit(0)",
    "sys.exit in the call": "import sys\ndef f(x): sys.exit(0)",
    "sys.exit in a destructor": (
        "import sys\nclass D:\n    def __del__(self): sys.exit(0)\nd = D()\ndef f(x):\n"
        "    global d\n    d = None\n    return 0"
    ),
    "exits in atexit": (
        "import atexit, os\natexit.register(lambda: os._exit(0))\ndef f(x): return 0"
    ),
    "raises SystemExit(0)": "def f(x): raise SystemExit(0)",
    "an object equal to everything": (
        "class A:\n    def __eq__(self, other): return True\ndef f(x): return A()"
    ),
    "a number equal to everything": (
        "class A(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\n"
        "def f(x): return A(0)"
    ),
    "a text equal to everything": (
        "class A(str):\n    def __eq__(self, other): return True\n    __hash__ = str.__hash__\n"
        "def f(x): return A('no')"
    ),
    "patched builtins": (
        "import builtins\nfor name in ('all', 'any', 'bool', 'isinstance'):\n"
        "    setattr(builtins, name, lambda *a: True)\ndef f(x): return 0"
    ),
    "patched json": "import json\njson.dumps = lambda *a, **k: 'true'\ndef f(x): return 0",
    "patched standard output": (
        "import sys\nreal = sys.__stdout__\nclass O:\n"
        "    def write(self, t): real.write(t.replace(' 0\\n', ' 7\\n'))\n"
        "    def flush(self): sys.__stdout__.flush()\nsys.stdout = O()\ndef f(x): return 0"
    ),
    "patched main module": (
        "import sys\nmain = sys.modules['__main__']\nmain.find = lambda *a: (lambda *b: True)\n"
        "def f(x): return 0"
    ),
    "forged records": FIND_NONCE + (
        "for n in range(9):\n    for word in ('ok 7', 'ok true', 'ok 2.5', 'pass', 'ok'):\n"
        "        print(f'\\n{nonce} {n} {word}', flush=True)\nimport os\nos._exit(0)"
    ),
    "all plausible answers": FIND_NONCE + (
        "def f(x):\n    for v in range(100):\n        print(f'\\n{nonce} {x} ok {v}', flush=True)\n"
        "    return list(range(100))"
    ),
    "a record that nests without end": FIND_NONCE + (
        "print(f'\\n{nonce} 0 ok ' + '[' * 100000, flush=True)\ndef f(x): return 0"
    ),
    "a record of a million digits": FIND_NONCE + (
        "print(f'\\n{nonce} 0 ok ' + '9' * 900000, flush=True)\ndef f(x): return 0"
    ),
    "not a number": "def f(x): return float('nan')",
    "infinity": "def f(x): return float('inf')",
    "no function": "x = 1",
    "a function of functions": "def f(x): return f",
    "nothing": "def f(x): pass",
    "true for everything": "def f(x): return True",
    "one for true, text for numbers": "def f(x): return {3: '7', 10: '', 0: 1, 4: '2.5'}[x]",
    "reads the calls to come": "import sys\nrest = sys.stdin.read()\ndef f(x): return rest",
    "kills its parent": (
        "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\ndef f(x): return 0"
    ),
    "kills everybody": "import os, signal\nos.kill(-1, signal.SIGKILL)\ndef f(x): return 0",
    "leaves a child that speaks": FIND_NONCE + (
        "import os, time\nif os.fork() == 0:\n    time.sleep(0.2)\n"
        "    print(f'\\n{nonce} 0 ok 7', flush=True)\nos._exit(0)"
    ),
    "overwrites the harness": (
        "import sys, os\nfor path in (sys.argv[0], '/program/main.py', '/program/tests.json'):\n"
        "    try:\n        open(path, 'w').write('print(1)')\n    except OSError:\n        pass\n"
        "def f(x): return 0"
    ),
    "writes its own memory": (
        "import ctypes\nctypes.memset(id(0) + 24, 7, 1)\ndef f(x): return 0"
    ),
    "a syntax error": "def f(x: return 1",
    "endless recursion": "def f(x): return f(x)",
    "no end": "def f(x):\n    while True: pass",
    "no end of output": "def f(x):\n    while True: print('x' * 10000)",
    "no end of memory": "def f(x): return [bytearray(1 << 24) for _ in range(1000)]",
}  # fmt: skip


@pytest.mark.parametrize("name", CALL_ATTACKS)
def test_attacks_on_calls_are_not_paid(name: str) -> None:
    score = code_reward(CALL_ATTACKS[name], CALLS)
    assert (score.value, score.outcome) == (0, Outcome.WRONG), score


@pytest.mark.parametrize("kind", ["calls", "stdio", "program"])
def test_the_expected_results_are_nowhere_to_be_found(kind: str, tmp_path: Path) -> None:
    """The answer looks for the secret in memory, in files, in other processes and in its input."""
    searched = f"""
import gc, os, sys
MARK = b"ruobrah-7144-mulp"  # backwards, or the answer would find itself
def search():
    seen = [sys.stdin.read().encode(), repr(sys.argv).encode(), repr(dict(os.environ)).encode()]
    for thing in gc.get_objects():
        if isinstance(thing, (dict, list, tuple)) and len(thing) < 10000:
            seen += [v.encode() for v in (thing.values() if isinstance(thing, dict) else thing)
                     if type(v) is str]
    frame = sys._getframe()
    while frame:
        values = [v for v in frame.f_locals.values() if type(v) in (str, dict)]
        seen.append(repr(values)[:10**6].encode())
        frame = frame.f_back
    tops = ["/program", "/tmp", "/home", "/root", "/work", "/var", "/dev/shm", "/run"]
    for top in [*tops, {str(tmp_path)!r}]:
        for folder, _, names in os.walk(top):
            for name in names[:200]:
                try:
                    with open(os.path.join(folder, name), "rb") as file:
                        seen.append(file.read(1 << 20))
                except OSError:
                    pass
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in ("cmdline", "environ", "mem", "fd/0", "fd/3", "fd/4"):
            try:
                with open(f"/proc/{{pid}}/{{name}}", "rb") as file:
                    seen.append(file.read(1 << 20))
            except (OSError, ValueError):
                pass
    return any(MARK in piece[::-1] for piece in seen)
"""
    (tmp_path / "tests.json").write_text(SECRET)
    call = (
        f"def f(x, key=None): return {'{0!r}'}.join(['plum', '4417', 'harbour']) if search() else x"
    )
    if kind == "stdio":
        tests = [{"input": "3\n", "output": SECRET}]
        answer = searched + "print('-'.join(['plum', '4417', 'harbour']) if search() else 'no')"
        assert code_reward(answer, problem(tests=tests)).detail.startswith(
            "0/1 tests; test 1: printed 'no'"
        )
        return
    answer = searched + call.format("-")
    if kind == "calls":
        score = code_reward(answer, problem(entry="f", tests=[{"args": [10], "expected": SECRET}]))
        assert "returned '10'" in score.detail, score
    else:
        tests = f"def check(candidate):\n    assert candidate(10) == {SECRET!r}"
        score = code_reward(answer, problem(entry="f", test_program=tests))
        assert "an assertion fails" in score.detail, score
    assert score.value == 0


STDIO_ATTACKS = {
    "says nothing": "pass",
    "exits at once": "import os\nos._exit(0)",
    "all plausible answers": "for i in range(100000): print(i / 100)",
    "not a number": "print(float('nan'))",
    "infinity": "print(float('inf'))",
    "larger than any number": "print('1e400')",
    "the right answer and another": "print(7.25, 7.5)",
    "the right answer, then a crash": "print(7.25)\nraise SystemExit(3)",
    "the right answer, then a signal": (
        "import os\nprint(7.25, flush=True)\nos.kill(os.getpid(), 11)"
    ),
    "the right answer, then sleep": "import time\nprint(7.25, flush=True)\ntime.sleep(1000)",
    "the right answer, then no end": "print(7.25, flush=True)\nwhile True: pass",
    "the right answer, then noise": "print(7.25, flush=True)\nwhile True: print(' ' * 10000)",
    "the right answer by mouth only": "import sys\nprint(7.25, file=sys.stderr)",
    "a hexadecimal float": "print((7.25).hex())",
    "digits of another script": "print('７.２５')",
    "underscores": "print('7.2_5')",
    "zero bytes": "import sys\nsys.stdout.write('7.25\\0')",
    "not unicode": "import sys\nsys.stdout.buffer.write(b'7.25\\xff')",
}


@pytest.mark.parametrize("name", STDIO_ATTACKS)
def test_attacks_on_output_are_not_paid(name: str) -> None:
    first = problem(time_limit_s=0.2, memory_mb=128, tests=STDIO.metadata["tests"][:1])
    score = code_reward(STDIO_ATTACKS[name], first)
    assert (score.value, score.outcome) == (0, Outcome.WRONG), score


PROGRAM_ATTACKS = {
    "exits at once": "import os\nos._exit(0)",
    "exits in the call": "import os\ndef f(*a): os._exit(0)",
    "raises SystemExit": "def f(*a): raise SystemExit(0)",
    "sys.exit in a destructor": (
        "import sys\nclass D:\n    def __del__(self): sys.exit(0)\ndef f(*a): return D()"
    ),
    "defines check": "def check(candidate): pass\ndef f(*a): return 0",
    "an object equal to everything": (
        "class A:\n    def __eq__(self, other): return True\n"
        "    def __sub__(self, other): return 0\ndef f(*a): return A()"
    ),
    "a list equal to everything": (
        "class A(list):\n    def __eq__(self, other): return True\ndef f(*a): return A()"
    ),
    "patched builtins": (
        "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.AssertionError = Exception\n"
        "def f(*a): return 0"
    ),
    "patched main module": (
        "import sys\nsys.modules['__main__'].check = lambda c: None\n"
        "sys.modules['__main__'].main = lambda: None\ndef f(*a): return 0"
    ),
    "says that it is done": FIND_NONCE + (
        "print(f'\\n{nonce} done', flush=True)\ndef f(*a):\n"
        "    print(f'\\n{nonce} done', flush=True)\n    return 0"
    ),
    "says it through a value": FIND_NONCE + "def f(*a): return f'\\n{nonce} done\\n'",
    "forged tags": (
        "import json\njson.dumps = lambda *a, **k: '{\"set\": [[1]], \"dict\": 3}'\n"
        "def f(*a): return 0"
    ),
    "not a number": "def f(*a): return float('nan')",
    "returns nothing": "def f(*a): pass",
    "raises AssertionError": "def f(*a): raise AssertionError",
    "no end": "def f(*a):\n    while True: pass",
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name == "no end" else [])
        for name in PROGRAM_ATTACKS
    ],
)
def test_attacks_on_test_programs_are_not_paid(name: str) -> None:
    score = code_reward(PROGRAM_ATTACKS[name], PROGRAM)
    assert (score.value, score.outcome) == (0, Outcome.WRONG), score


def test_test_programs_that_need_more_than_one_round() -> None:
    tests = """
import random
def check(candidate):
    rng = random.Random(1)
    for _ in range(50):
        text = "".join(rng.choice("abc") for _ in range(rng.randint(1, 9)))
        assert candidate(candidate(text)) == text
    assert candidate(("a", {1: {2}})) == ({1: {2}}, "a")
    try:
        candidate(5)
    except ValueError as error:
        assert str(error) == "five"
    else:
        assert False, "no error"
"""
    right = (
        "def f(x):\n    if x == 5: raise ValueError('five')\n    assert x is not None\n"
        "    return x[::-1]"
    )
    task = problem(entry="f", test_program=tests)
    assert code_reward(right, task).value == 1
    assert code_reward(right.replace("five'", "six'"), task).value == 0
    assert code_reward("def f(x): return x", task).value == 0
    assert code_reward(right.replace("[::-1]", "[::-1] if len(x) < 9 else x[1:]"), task).value == 0
    mbpp = problem(entry="Solution.f", test_program="assert Solution().f(2) == 3\nassert f(3) == 4")
    assert code_reward("class Solution:\n    def f(self, x): return x + 1", mbpp).value == 1
    assert code_reward("class Solution:\n    def f(self, x): return 3", mbpp).value == 0


def test_a_test_program_that_is_broken_is_never_paid() -> None:
    task = problem(entry="f", test_program="assert f(1) == 1\nassert no_such_name")
    score = code_reward("def f(x): return x", task)
    assert (score.value, score.outcome) == (0.0, Outcome.VERIFIER_FAILED)
    assert "no_such_name" in score.detail


def test_credit_for_a_share_of_the_tests() -> None:
    tests = [{"args": [x], "expected": x * x} for x in range(-5, 5)]
    task = problem(entry="f", tests=tests, time_limit_s=0.2)
    half = "def f(x): return x ** 2 if x < 0 else 7"
    assert code_reward(half, task).value == 0
    assert share(task, half).value == 0.5
    crash = "import os\ndef f(x): return x ** 2 if x % 5 else os._exit(1)"
    assert share(task, crash).value == 0.8
    assert "test 1: runtime-error" in share(task, crash).detail
    assert share(task, "def f(x): return x ** 2 if x > -5 else 1 / 0").value == 0.9
    inputs = problem(tests=[{"input": f"{x}", "output": f"{x * x}"} for x in range(4)])
    assert share(inputs, "x = int(input())\nprint(x * x if x != 2 else 5)").value == 0.75


def test_a_program_that_never_ends_is_given_up_and_counts_as_wrong() -> None:
    tests = [{"args": [x], "expected": x} for x in range(40)]
    score = share(
        problem(entry="f", tests=tests, time_limit_s=0.2), "def f(x):\n  while x: pass\n  return x"
    )
    assert score.value == 1 / 40
    assert score.outcome is Outcome.WRONG
    assert "36 not tried" in score.detail


def test_stops_at_the_first_failure_unless_each_test_is_paid(monkeypatch) -> None:
    tests = [{"input": str(x), "output": str(x)} for x in range(6)]
    task = read_task(problem(tests=tests))
    settings = RewardSettings().code
    verdicts = judge(task, "print(0)", settings, stop_early=True)
    assert [verdict.passed for verdict in verdicts] == [True, False]
    verdicts = judge(task, "print(0)", settings, stop_early=False)
    assert [verdict.passed for verdict in verdicts] == [True] + 5 * [False]


CHECKER = """
import sys
n = int(open(sys.argv[1]).read())
words = open(sys.argv[2]).read().split()
assert open(sys.argv[3]).read().strip() == "any two numbers"
a, b = map(int, words)
sys.exit(0 if len(words) == 2 and a + b == n and a > 0 and b > 0 else 1)
"""


def test_a_checker_judges_in_a_sandbox_of_its_own() -> None:
    checker = {"language": "python", "source": CHECKER}
    tests = [{"input": str(n), "output": "any two numbers"} for n in (5, 9)]
    task = problem(tests=tests, checker=checker)
    assert code_reward("n = int(input())\nprint(1, n - 1)", task).value == 1
    for wrong in (
        "print(1, 4)",
        "print('any two numbers')",
        "print(2, 2, 1)",
        "pass",
        "open('/tmp/reference.txt', 'w').write('x')\nprint('__import__(\"os\")._exit(0)')",
        "import os\nos._exit(0)",
    ):
        assert code_reward(wrong, task).outcome is Outcome.WRONG, wrong
    broken = {"language": "python", "source": "import sys\nsys.exit(3)"}
    score = code_reward("print(1, 4)", problem(tests=tests, checker=broken))
    assert (score.value, score.outcome) == (0, Outcome.VERIFIER_FAILED)
    assert "exit code 3" in score.detail


def test_a_failing_sandbox_is_no_verdict(monkeypatch) -> None:
    failed = RunResult(Status.SANDBOX_FAILED, None, "", "bwrap: no", 0.0, 0.0)
    monkeypatch.setattr(Program, "run", lambda self, **given: failed)
    score = code_reward("print(1)", STDIO)
    assert (score.value, score.outcome) == (0, Outcome.VERIFIER_FAILED)
    assert "bwrap: no" in score.detail


def test_answers_that_are_no_program() -> None:
    assert code_reward("```cpp\nint main() {}\n```", STDIO).outcome is Outcome.UNPARSEABLE
    assert code_reward("x" * 200_000, STDIO).outcome is Outcome.WRONG
    assert code_reward("print(1)\0", STDIO).outcome is Outcome.WRONG
    assert code_reward("print('\ud800')", STDIO).outcome is Outcome.WRONG


def test_machines_without_the_means_are_refused_before_training(monkeypatch) -> None:
    def missing(*_: object, **__: object) -> Program:
        raise UserError("the sandbox needs bwrap, which is not here: apt-get install -y bubblewrap")

    code._fault_of.cache_clear()
    monkeypatch.setattr(Program, "build", missing)
    try:
        assert "apt-get install -y bubblewrap" in (check_reference(CALLS) or "")
    finally:
        code._fault_of.cache_clear()
    monkeypatch.undo()
    assert check_reference(CALLS) is None
    assert "valid: " in (check_reference(problem(language="cobol")) or "")


def test_one_busy_moment_does_not_refuse_a_language_for_good(monkeypatch) -> None:
    """Load leaves the machine unknown; neither the compiler's nor the sandbox's is remembered."""
    busy = RunResult(Status.STARVED, None, "", "", 60.0, 1.0)
    broken = replace(busy, status=Status.SANDBOX_FAILED)
    code._fault_of.cache_clear()
    monkeypatch.setattr(Program, "run", lambda self, **_: busy)
    assert code._why_not("python", SandboxSettings()) is None
    monkeypatch.setattr(Program, "run", lambda self, **_: broken)
    assert "cannot be run" in (code._why_not("python", SandboxSettings()) or "")
    monkeypatch.setattr(Program, "run", lambda self, **_: replace(busy, status=Status.OK))
    assert "fails: ok" in (code._why_not("python", SandboxSettings()) or "")  # known, remembered
    monkeypatch.undo()
    assert "fails: ok" in (code._why_not("python", SandboxSettings()) or "")
    code._fault_of.cache_clear()
    assert code._why_not("python", SandboxSettings()) is None


def test_a_gold_program_that_fails_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(code, "_gold_run", {})
    tests = [{"args": [1], "expected": 2}]
    assert check_reference(problem("def f(x): return x + 1", entry="f", tests=tests)) is None
    reason = check_reference(problem("def f(x): return x", entry="f", tests=tests))
    assert "test 1: returned '1', expected '2'" in (reason or "")


def test_gold_programs_of_the_tiny_world_pass() -> None:
    problems = make_problems("train", ("functions",), num=100) + make_problems(
        "heldout", ("functions",), num=12
    )
    assert not {p.prompt for p in problems[:100]} & {p.prompt for p in problems[100:]}
    for one in random.Random(0).sample(problems, 12):
        assert check_gold(one, RewardSettings()) is None, one
        assert code_reward("def f(x): return 0", one).value == 0


@pytest.mark.slow
def test_every_gold_program_of_the_tiny_world_passes() -> None:
    for split, num in (("train", 350), ("heldout", 24)):
        for one in make_problems(split, ("functions",), num=num):
            assert check_gold(one, RewardSettings()) is None, one


def test_in_the_pool_with_a_clock_and_memory_of_its_own() -> None:
    """A second is less than these programs take, and 512 MB less than JavaScript reserves."""
    settings = RewardSettings.model_validate(
        {"weights": {"accuracy": 1.0}, "timeout_s": 0.3, "worker_memory_mb": 512}
    )
    languages = ["python"] + [
        name for name in ("javascript",) if code._why_not(name, SandboxSettings()) is None
    ]
    answers = {
        "python": "import time\ntime.sleep(0.5)\ndef f(x): return x + 1",
        "javascript": "const f = (x) => x + 1",
    }
    with RewardPool(settings) as pool:
        for language in languages:
            one = problem(language=language, entry="f", tests=[{"args": [1], "expected": 2}])
            texts = [answers[language], answers[language].replace("+ 1", "+ 2"), ""]
            group = RolloutGroup(
                one,
                (1,),
                [
                    Completion([], [], f"<think>a</think><answer>{text}</answer>", "stop")
                    for text in texts
                ],
            )
            [scored] = pool.score_groups([group])
            parts = [reward.parts["accuracy"] for reward in scored.rewards]
            assert [str(part.outcome) for part in parts] == ["correct", "wrong", "unparseable"]
        assert pool.take_counts().restarts == 0


def test_no_process_is_left_behind() -> None:
    daemon = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(300)"
    assert code_reward(daemon, STDIO).value == 0
    names = []
    for pid in descendants(os.getpid()):  # a supervisor takes in what a program leaves behind
        try:
            names.append(Path(f"/proc/{pid}/cmdline").read_bytes())
        except OSError:
            continue
    assert not any(b"/program/main.py" in name and b"bwrap" not in name for name in names)


@pytest.mark.slow
def test_a_busy_machine_is_no_verdict_and_sleeping_is_wrong(monkeypatch) -> None:
    """The same overrun of the wall clock; what was done with it decides."""
    program = Program.build("python", "while True: pass")
    clock = code_run.Clock(60.0)
    with pytest.raises(OutOfTimeError, match="busy machine"):
        clock.run(program, Limits(wall_s=1.0, cpu_s=60.0))
    sleeps = code_reward("import time\ntime.sleep(100)", STDIO)
    assert (sleeps.value, sleeps.outcome) == (0, Outcome.WRONG)
    assert "time-limit" in sleeps.detail
    starved = RunResult(Status.STARVED, None, "", "", 14.0, 0.0, cpu_s=0.3)
    monkeypatch.setattr(Program, "run", lambda self, **given: starved)
    score = code_reward("print(1)", STDIO)
    assert score.outcome is Outcome.TIMED_OUT
    assert "0.3 s of processor time in 14.0 s" in score.detail


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(Status.TIME_LIMIT, Outcome.WRONG), (Status.STARVED, Outcome.TIMED_OUT)],
)
def test_a_compiler_that_is_not_done(monkeypatch, status: Status, outcome: Outcome) -> None:
    compiled = RunResult(status, None, "", "", 60.0, 0.0, cpu_s=20.1)
    program = Program.build("python", "print(1)")
    built = replace(program, compile_result=compiled)
    monkeypatch.setattr(Program, "build", lambda *_, **__: built)
    score = code_reward("print(1)", STDIO)
    assert score.outcome is outcome
    assert "20.1 s of processor time" in score.detail

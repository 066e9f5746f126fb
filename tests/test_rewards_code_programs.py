"""Test programs: what is a test is run, values of every kind cross, and what cannot be judged is no
verdict rather than wrong, or paid.
"""

# ruff: noqa: E501
from __future__ import annotations

import sys
from pathlib import Path

import pytest

from r1 import doctor
from r1.rewards.code import packages
from r1.rewards.code import verifier as code
from r1.rewards.code.problem import TaskError, read_task
from r1.rewards.code.testable import code_in_prompt
from r1.rewards.code.verifier import score_code
from r1.rewards.settings import RewardSettings
from r1.sandbox import SandboxSettings
from r1.types import Outcome, Problem

pytestmark = pytest.mark.slow

if missing := code._why_not("python", SandboxSettings()):
    pytest.skip(missing, allow_module_level=True)

LIMITS = {"time_limit_s": 10.0, "memory_mb": 256}


def outcome(answer: str, tests: str, entry: str = "f", prompt: str = "", **more: object) -> str:
    """The word of the outcome, "verifier-failed" where the tests cannot judge."""
    metadata = {"language": "python", "entry": entry, "test_program": tests, **LIMITS, **more}
    score = score_code(
        Problem("p", prompt, None, "code", metadata=metadata), answer, RewardSettings()
    )
    return str(score.outcome)


ADD = "def f(a, b=0):\n    return a + b"
CASE = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(f(1, 2), 3)\n"
STYLES = {
    "a unittest case": CASE,
    "a case and its main": CASE + "if __name__ == '__main__':\n    unittest.main()\n",
    "a case and main at once": CASE + "unittest.main()\n",
    "a case and a runner": CASE + (
        "suite = unittest.defaultTestLoader.loadTestsFromTestCase(T)\n"
        "unittest.TextTestRunner().run(suite)\n"
    ),
    "a case that is set up": (
        "from unittest import TestCase, main\nclass Add(TestCase):\n"
        "    def setUp(self): self.want = 3\n"
        "    def test_it(self):\n        for a in (1, 2):\n            with self.subTest(a=a):\n"
        "                self.assertEqual(f(a, 3 - a), self.want)\nmain()\n"
    ),
    "an asynchronous case": (
        "import unittest\nclass T(unittest.IsolatedAsyncioTestCase):\n"
        "    async def test_a(self): self.assertEqual(f(1, 2), 3)\n"
    ),
    "a function": "def test_f():\n    assert f(1, 2) == 3\n",
    "a function that is called": "def test_f():\n    assert f(1, 2) == 3\ntest_f()\n",
    "a function of the candidate": "def test(candidate):\n    assert candidate(1, 2) == 3\n",
    "an asynchronous function": "async def test_f():\n    assert f(1, 2) == 3\n",
    "a class of functions": "class TestF:\n    def test_f(self):\n        assert f(1, 2) == 3\n",
    "below a main guard": "if __name__ == '__main__':\n    assert f(1, 2) == 3\n",
    "check": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
    "check that is called": "def check(g):\n    assert g(1, 2) == 3\ncheck(f)\n",
    "statements": "assert f(1, 2) == 3\nassert f(a=1, b=2) == f(1, b=2) == 3\n",
    "an end of its own": "import sys\nassert f(1, 2) == 3\nsys.exit(0)\n",
    "an exit status": "import sys\nif f(1, 2) != 3:\n    sys.exit(1)\nsys.exit(0)\n",
    "an exception": "if f(1, 2) != 3:\n    raise Exception('no')\n",
    "an import of the answer": "from solution import f as add\ndef test_f():\n    assert add(1, 2) == 3\n",
    "a helper named check": (
        "def check(value, want):\n    assert value == want\ncheck(f(1, 2), 3)\n"
    ),
    "what is printed": (
        "import io, contextlib\nout = io.StringIO()\nwith contextlib.redirect_stdout(out):\n"
        "    print(f(1, 2))\nassert out.getvalue() == '3\\n'\n"
    ),
    "results of results": "total = 0\nfor i in range(5):\n    total = f(total, i)\nassert total == 10\n",
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
def test_what_is_a_test_is_run(style: str) -> None:
    assert outcome(ADD, STYLES[style]) == "correct"
    assert outcome(ADD.replace("+", "-"), STYLES[style]) == "wrong"


NODE = "class ListNode:\n    def __init__(self, val=0, next=None):\n        self.val, self.next = val, next\n"
REVERSE = "def f(head):\n    back = None\n    while head:\n        head.next, back, head = back, head, head.next\n    return back\n"
POINT = "class Point:\n    def __init__(self, x, y):\n        self.x, self.y = x, y\n    def __eq__(self, other):\n        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)\n"
CARRIED = {
    "bytes": ("def f(): return b'ab'", "assert f() == b'ab'"),
    "complex": ("def f(x): return x * 1j", "assert f(2 + 1j) == 2j - 1"),
    "Fraction": (
        "def f(x): return x / 3",
        "from fractions import Fraction\nassert f(Fraction(1)) == Fraction(1, 3)",
    ),
    "Decimal": (
        "def f(x): return x / 4",
        "from decimal import Decimal\nr = f(Decimal(1))\nassert r == Decimal('0.25') and isinstance(r, Decimal)",
    ),
    "dates": (
        "from datetime import timedelta\ndef f(d): return d + timedelta(days=1), timedelta(hours=2)",
        "from datetime import *\nassert f(datetime(2024, 2, 28, 1, tzinfo=timezone.utc)) == "
        "(datetime(2024, 2, 29, 1, tzinfo=timezone.utc), timedelta(hours=2))",
    ),
    "sets": (
        "def f(x): return frozenset(x), {1} | x",
        "assert f({2}) == (frozenset([2]), {1, 2})\nassert isinstance(f({3})[0], frozenset)",
    ),
    "collections": (
        "def f(words):\n    d = defaultdict(list)\n    d['a'].append(1)\n"
        "    return Counter(words), d, deque([1], maxlen=3), OrderedDict(b=1)",
        "from collections import *\nc, d, q, o = f('aab')\nassert c.most_common(1) == [('a', 2)]\n"
        "assert d['b'] == [] and q.maxlen == 3 and q[0] == 1 and isinstance(o, OrderedDict)",
    ),
    "namedtuple": (
        "from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(): return P(1, 2)",
        "p = f()\nassert p.x == 1 and p == (1, 2)",
    ),
    "a generator": ("def f(n):\n    yield from range(n)", "assert list(f(100)) == list(range(100))"),
    "a generator without end": (
        "def f():\n    n = 0\n    while True:\n        yield n\n        n += 1",
        "import itertools\nassert list(itertools.islice(f(), 300)) == list(range(300))\ng = f()\nassert next(g) == 0",
    ),
    "an iterator that ends": (
        "def f(x): return iter(x)",
        "it = f([1])\nassert next(it) == 1\ntry:\n    next(it)\n    assert False\nexcept StopIteration:\n    pass",
    ),
    "an iterator as argument": ("def f(x): return sum(x)", "assert f(i for i in (1, 2)) == 3"),
    "a coroutine": (
        "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x + 1",
        "import asyncio\nassert asyncio.run(f(1)) == 2",
    ),
    "views": ("def f(d): return d.keys()", "assert f({'a': 1}) == {'a'}\nassert sorted(f({2: 1})) == [2]"),
    "None, nan and infinity": (
        "def f(x): return None if x is None else x * 2",
        "import math\nassert f(None) is None and f(math.inf) == math.inf and math.isnan(f(math.nan))",
    ),
    "large numbers": ("def f(n): return 10 ** n", "assert f(5000) == 10 ** 5000"),
    "types and functions of the library": (
        "def f(g, x): return g(x), type(x)", "assert f(len, 'ab') == (2, str)\nassert f(str.upper, 'a')[0] == 'A'"
    ),
    "a change in place": ("def f(a): a.sort()", "a = [3, 1]\nf(a)\nassert a == [1, 3]"),
    "a change of what is inside": (
        "def f(m):\n    m[0][0] = 9\n    m[1]['k'] = {1}", "m = [[1], {}]\nf(m)\nassert m == [[9], {'k': {1}}]"
    ),
    "a change and a result": (
        "def f(a):\n    a[:] = sorted(set(a))\n    return len(a)", "n = [2, 1, 2]\nk = f(n)\nassert k == 2\nassert n[:k] == [1, 2]"
    ),
    "a change that a case looks at": (
        "def f(d): d.update(x=1)",
        "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        d = {}\n        f(d)\n        self.assertEqual(d, {'x': 1})",
    ),
    "linked lists": (REVERSE, NODE + "r = f(ListNode(1, ListNode(2)))\nassert (r.val, r.next.val, r.next.next) == (2, 1, None)"),
    "linked lists that the answer defines": (NODE + REVERSE, NODE + "r = f(ListNode(1, ListNode(2)))\nassert r.next.val == 1"),
    "a list that is a circle": (
        "def f(head):\n    seen = set()\n    while head and head not in seen:\n        seen.add(head)\n        head = head.next\n    return bool(head)",
        "a = ListNode(1)\na.next = a\nassert f(a) is True and f(ListNode(1)) is False",
    ),
    "trees": (
        "def f(a):\n    if a: return TreeNode(a[len(a) // 2], f(a[:len(a) // 2]), f(a[len(a) // 2 + 1:]))",
        "t = f([1, 2, 3])\nassert (t.val, t.left.val, t.right.val, t.left.left) == (2, 1, 3, None)",
    ),
    "classes of both sides": (POINT + "def f(p): return Point(p.y, p.x)", POINT + "assert f(Point(1, 2)) == Point(2, 1)"),
    "an enumeration": (
        "import enum\nclass C(enum.Enum):\n    A = 1\n    B = 2\ndef f(c): return C.B if c is C.A else C.A",
        "import enum\nclass C(enum.Enum):\n    A = 1\n    B = 2\nassert f(C.A) is C.B",
    ),
    "attributes of an object": (
        "from dataclasses import dataclass\n@dataclass\nclass R:\n    total: 'int'\ndef f(x): return R(x)", "assert f(3).total == 3"
    ),
    "an exception": (
        "def f(x): raise ValueError('no', x)",
        "try:\n    f(1)\nexcept ValueError as e:\n    assert e.args == ('no', 1)\nelse:\n    assert False",
    ),
    "an exception of the tests": (
        "class Poor(Exception):\n    def __init__(self, need):\n        super().__init__(f'need {need}')\n        self.need = need\ndef f(): raise Poor(3)",
        "class Poor(Exception): pass\nimport unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        with self.assertRaises(Poor) as c:\n            f()\n        self.assertEqual(c.exception.need, 3)",
    ),
    "an exception below a known one": (
        "class Mine(KeyError): pass\ndef f(): raise Mine('k')", "try:\n    f()\n    assert False\nexcept KeyError as e:\n    assert str(e) == \"'k'\""
    ),
    "StopIteration where it is wanted": (
        "def f(): raise StopIteration", "try:\n    f()\n    ok = False\nexcept StopIteration:\n    ok = True\nassert ok"
    ),
    "an exit where it is wanted": (
        "import sys\ndef f(): sys.exit(2)", "try:\n    f()\n    ok = 0\nexcept SystemExit as e:\n    ok = e.code\nassert ok == 2"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CARRIED)
def test_values_of_every_kind_cross(kind: str) -> None:
    answer, tests = CARRIED[kind]
    assert outcome(answer, tests) == "correct"
    assert outcome("def f(*args): return 'other'", tests) == "wrong"
    assert outcome("class Odd: pass\ndef f(*args): return Odd()", tests) == "wrong"


NO_VERDICT = {
    "a package is missing": (ADD, "import no_such_package\nassert f(1) == 1"),
    "a name is missing": (ADD, "assert helper(f(1)) == 1"),
    "a name is missing in a case": (ADD, CASE.replace("f(1, 2)", "helper(f(1, 2))")),
    "a function as argument": ("def f(g, x): return g(x)", "assert f(lambda x: x + 1, 1) == 2"),
    "a function as result": ("def f(x): return lambda y: x + y", "assert f(1)(2) == 3"),
    "a method of a result": (
        "class A:\n    def area(self): return 4\ndef f(): return A()",
        "assert f().area() == 4",
    ),
    "another method of the class": (
        "class S:\n    def f(self): return 1\n    def g(self): return 2",
        "s = S()\nassert s.f() == 1 and s.g() == 2",
    ),
    "methods of an argument": (
        "def f(dog): return dog.speak()",
        "class Dog:\n    def speak(self): return 'wau'\nassert f(Dog()) == 'wau'",
    ),
    "a fixture": (ADD, "def test_f(capsys):\n    assert f(1) == 1"),
    "calls in a function that nobody calls": (
        ADD,
        "def other():\n    assert f(1) == 1\nassert 1 == 1",
    ),
    "a loop over nothing": (ADD, "f(1)\nfor x in []:\n    assert f(x) == x"),
    "an end before the end": (ADD, "import os\nassert f(1) == 1\nos._exit(0)"),
}


@pytest.mark.parametrize("kind", NO_VERDICT)
def test_what_cannot_be_judged_is_no_verdict(kind: str) -> None:
    answer, tests = NO_VERDICT[kind]
    entry = "S.f" if answer.startswith("class S") else "f"
    assert outcome(answer, tests, entry) == "verifier-failed"


@pytest.mark.parametrize(
    ("language", "source", "complaint"),
    [
        ("python", "assert 1 == 1", "never calls f"),
        ("python", "print(f(1))", "no assertion"),
        ("python", "f(1)\nf(2)", "no assertion"),
        ("python", "assert f(1) ==", "is not Python"),
        ("python", "def test_g():\n    assert g(1) == 1", "never calls f"),
        ("javascript", "console.log(f(1));", "no assertion"),
        ("javascript", "assert(true); // f(1)", "never names f"),
        ("php", "<?php class T extends TestCase { function testF() { assert(f(1)); } }", "framework"),
        ("java", "import org.junit.Test;\nclass T { @Test void a() { assert f(1) == 1; } }", "framework"),
        ("java", "class T { void a() { assert(f(1) == 1); } }", "no main"),
        ("csharp", "using NUnit.Framework;\nclass T { }", "framework"),
        ("cpp", "#include <gtest/gtest.h>\nTEST(A, B) { EXPECT_EQ(f(1), 1); }", "framework"),
        ("cpp", "void test() { assert(f(1) == 1); }", "no main"),
        ("bash", "# [[ $(f 1) = 1 ]]\nf 1", "no assertion"),
        ("bash", "[[ $(f 1) = 1 ]] || echo FAIL", "no assertion"),
        ("python", "assert (f(1) == 1, 'no')", "no assertion"),
        ("python", "try:\n    assert f(1) == 1\nexcept Exception:\n    pass", "no assertion"),
        ("python", "try:\n    assert f(1) == 1\nexcept:\n    print('no')", "no assertion"),
    ],
)  # fmt: skip
def test_tests_that_test_nothing_are_refused(language: str, source: str, complaint: str) -> None:
    metadata = {"language": language, "entry": "f", "test_program": source}
    with pytest.raises(TaskError, match=complaint):
        read_task(Problem("p", "", None, "code", metadata=metadata))


def test_a_package_that_the_sandbox_lacks_is_named(monkeypatch) -> None:
    """Wrong, or a policy could leave its group by an import; the verdict and doctor name it."""
    monkeypatch.setitem(packages.WELL_KNOWN, "r1_no_such_package", "python3-none")
    packages.missing_packages.cache_clear()
    answer = "import r1_no_such_package as np\ndef f(x): return x"
    problem = Problem("p", "", None, "code", metadata={"language": "python", "tests": [IO]})
    score = score_code(problem, answer, RewardSettings())
    assert score.outcome is Outcome.WRONG
    assert "apt-get install -y python3-none" in score.detail
    forged = "import sys\nsys.exit(\"No module named 'r1_no_such_package'\")"
    assert "apt-get" not in score_code(problem, forged, RewardSettings()).detail
    for other in (answer, forged, "import nothing"):
        assert outcome(other, "assert f(1) == 1") == "wrong"
    assert "r1_no_such_package" in doctor._lacking("python")
    packages.missing_packages.cache_clear()


IO = {"input": "", "output": "1"}
GOLD = Path(__file__).parents[2] / "shared" / "benchmarks"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_gold_solutions_are_paid_and_stubs_are_not(name: str) -> None:
    if not GOLD.exists():
        pytest.skip("no ../shared/benchmarks")
    sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
    from code_gold import run

    assert run(name, GOLD, limit=60, stubs=False)["odd"] == []  # all of them: bench/code_gold.py
    assert run(name, GOLD, limit=20, stubs=True)["odd"] == []


HELPER = "def double(x):\n    return 2 * x\n\ndef f(x: int):\n    '''Half of it.'''\n"


def test_what_the_prompt_defines_is_there_for_the_tests() -> None:
    tests = "def check(candidate):\n    assert candidate(double(4)) == 4\n    assert f(2) == 1\n"
    answer = "def f(x): return x // 2"
    assert outcome(answer, tests, prompt=HELPER) == "correct"
    assert outcome(answer, tests, prompt=f"Complete:\n```python\n{HELPER}```\n") == "correct"
    assert outcome("```python\n    return x // 2\n```", tests, before=HELPER) == "correct"
    assert outcome("def f(x): return x", tests, before=HELPER) == "wrong"
    assert outcome(answer, tests, prompt="Halve it.") == "verifier-failed"
    assert code_in_prompt("Write a def of f.") == ""


def test_the_usual_imports_are_there_but_never_the_function_itself() -> None:
    answer = "def f(a: List[int]): return heappop(a), gcd(4, 6), defaultdict(int)[1], pow(3, 2, 5)"
    assert outcome(answer, "assert f([3, 1]) == (3, 2, 0, 4)") == "correct"
    assert outcome("x = gcd(4, 6)", "assert gcd(4, 6) == 2", entry="gcd") == "wrong"
    assert outcome("x = 1", "assert f(1) is None") == "wrong"


@pytest.mark.parametrize(
    "tests",
    [
        {"inputs": ["3\n", ["4", ""]], "outputs": ["6\n", ["8"]]},
        '{"inputs": ["3"], "outputs": ["6"]}',
    ],
)
def test_the_tests_of_apps_are_read(tests: object) -> None:
    task = read_task(
        Problem("p", "", None, "code", metadata={"language": "python", "tests": tests})
    )
    assert (task.stdio[0].input.strip(), task.stdio[0].output.strip()) == ("3", "6")


def test_calls_of_apps_and_assertions_of_mbpp_are_read() -> None:
    def read(**data: object):
        return read_task(Problem("p", "", None, "code", metadata={"language": "python", **data}))

    calls = read(inputs=[[1, 2], [3, 4]], outputs=[[3], [7]], fn_name="f")
    assert [(test.args, test.expected) for test in calls.calls] == [([1, 2], 3), ([3, 4], 7)]
    assert calls.entry == "f"
    assert read(input_output='{"inputs": [[1]], "outputs": [[[2, 3]]], "fn_name": "f"}').calls[
        0
    ].expected == [2, 3]
    mbpp = read(tests=["assert f(1) == 1"], test_imports=["import math"], entry="f")
    assert mbpp.test_program == "import math\nassert f(1) == 1"
    assert read(tests=["assert f(1) == 1"], test_imports="import math", entry="f") == mbpp
    for data, complaint in (
        ({"tests": ["assert f(1) == 1"]}, "MBPP"),
        ({"inputs": ["1"], "outputs": []}, "1 inputs and 0 outputs"),
        ({"tests": ["assert f(1) == 1"], "entry": "f", "test_imports": [1]}, "a list of lines"),
        ({"tests": {"inputs": "1"}}, "APPS"),
        ({"tests": "no"}, "not JSON"),
    ):
        with pytest.raises(TaskError, match=complaint):
            read(**data)

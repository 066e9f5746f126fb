"""Test programs that pass without an assertion: wrong where the answer caused it, else no verdict.

And the siblings: whatever an answer returns where tests call a method of it, pass it on or loop on
it decides about the answer alone.
"""

# ruff: noqa: E501
from __future__ import annotations

import json

import pytest

from r1.rewards.code import program
from r1.rewards.code import verifier as code
from r1.rewards.code.calls import CallRecord
from r1.rewards.code.verifier import score_code
from r1.rewards.settings import RewardSettings
from r1.sandbox import SandboxSettings
from r1.types import Outcome, Problem

pytestmark = pytest.mark.slow


def outcome(answer: str, tests: str, language: str = "python", **more: object) -> str:
    if missing := code._why_not(language, SandboxSettings()):
        pytest.skip(missing)
    entry = "S.f" if language in ("java", "csharp") else "f"
    metadata = {"language": language, "entry": entry, "test_program": tests, "time_limit_s": 10.0}
    problem = Problem("p", "", None, "code", metadata={**metadata, **more})
    for _ in range(4):
        score = score_code(problem, f"```{language}\n{answer}\n```", RewardSettings())
        if score.outcome is not Outcome.TIMED_OUT:
            break
    return str(score.outcome)


CASE = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        for x in f(3): self.assertGreater(x, 0)"
REACHED = {  # name -> right answer, an answer with which nothing is asserted, tests
    "a loop over the result": (
        "def f(n): return [n]",
        "def f(n): return []",
        "for x in f(3):\n    assert x > 0",
    ),
    "a loop of a case": ("def f(n): return [n]", "def f(n): return []", CASE),
    "while there is more": (
        "def f(n): return [n]",
        "def f(n): return []",
        "r = f(3)\nwhile r:\n    assert r.pop() == 3",
    ),
    "only where there is a result": (
        "def f(n): return n",
        "def f(n): return None",
        "r = f(3)\nif r is not None and r:\n    assert r == 3",
    ),
    "where another result is right": (
        "def f(n): return n",
        "def f(n): return 9",
        "if f(3) == 3:\n    assert f(4) == 4",
    ),
    "a count of items": (
        "def f(n): return [n]",
        "def f(n): return ''",
        "r = f(3)\nfor i in range(len(r)):\n    assert r[i] == 3",
    ),
    "checks in a comprehension": (
        "def f(n): return [n]",
        "def f(n): return []",
        "def check_one(x): assert x == 3\n[check_one(x) for x in f(3)]",
    ),
    "below what raises": (
        "def f(n): return n",
        "def f(n): raise KeyError(n)",
        "import contextlib\nwith contextlib.suppress(KeyError):\n    r = f(3)\n    assert r == 3",
    ),
    "only where it raises": (
        "def f(n): raise ValueError('no')",
        "def f(n): return n",
        "try:\n    f(-1)\nexcept ValueError as error:\n    assert str(error) == 'no'",
    ),
}


@pytest.mark.parametrize("kind", REACHED)
def test_an_answer_that_keeps_tests_from_asserting_is_wrong(kind: str) -> None:
    right, evasive, tests = REACHED[kind]
    assert outcome(right, tests) == "correct"
    assert outcome(evasive, tests) == "wrong"


@pytest.mark.parametrize(
    "tests",
    [
        "def helper():\n    assert f(1) == 1\nf(2)",
        "def helper():\n    assert f(1) == 1\nprint(f(2))",
        "DEBUG = False\nr = f(2)\nif DEBUG:\n    assert r == 2",
        "for x in ():\n    assert f(x)\nf(2)",
        "class Helper:\n    def go(self):\n        assert f(1) == 1\nf(2)",
    ],
)
def test_tests_that_assert_nothing_by_themselves_give_no_verdict(tests: str) -> None:
    assert outcome("def f(n): return n", tests) == "verifier-failed"


GUARDS = {
    "assert False": "try:\n    f(-1)\n    assert False\nexcept ValueError:\n    pass",
    "assert 0 with a word": "try:\n    f(-1)\n    assert 0, 'no error'\nexcept ValueError:\n    pass",
    "fail": "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        try:\n            f(-1)\n        except ValueError:\n            return\n        self.fail()",
}


@pytest.mark.parametrize("kind", GUARDS)
def test_an_assertion_that_must_not_be_reached_is_one(kind: str) -> None:
    assert outcome("def f(n): raise ValueError(n)", GUARDS[kind]) == "correct"
    assert outcome("def f(n): return n", GUARDS[kind]) == "wrong"


OTHERS = {  # language -> right answer, evasive answer, tests, tests that assert nothing
    "javascript": (
        "const f = (n) => [n];",
        "const f = (n) => [];",
        "const assert = require('assert');\nfor (const x of f(3)) assert(x > 0);",
        "const assert = require('assert');\nfunction never() { assert(f(1)); }\nf(2);",
    ),
    "php": (
        "<?php function f($n) { return [$n]; }",
        "<?php function f($n) { return []; }",
        "<?php foreach (f(3) as $x) assert($x > 0);",
        "<?php function never() { assert(f(1)); } f(2);",
    ),
    "cpp": (
        "#include <vector>\nstd::vector<int> f(int n) { return {n}; }",
        "#include <vector>\nstd::vector<int> f(int n) { return {}; }",
        "#include <cassert>\n#include <vector>\nint main() { for (int x : f(3)) assert(x > 0); }",
        "#include <cassert>\n#include <vector>\nvoid never() { assert(f(1)[0]); }\nint main() { f(2); }",
    ),
    "java": (
        "class S { static List<Integer> f(int n) { return List.of(n); } }",
        "class S { static List<Integer> f(int n) { return List.of(); } }",
        "class T { public static void main(String[] a) { for (int x : S.f(3)) assert (x > 0); } }",
        "class T { void never() { assert (S.f(1) != null); } public static void main(String[] a) { S.f(2); } }",
    ),
    "csharp": (
        "class S { public static int[] f(int n) { return new[] {n}; } }",
        "class S { public static int[] f(int n) { return new int[0]; } }",
        "class T { static void Main() { foreach (var x in S.f(3)) Debug.Assert(x > 0); } }",
        "class T { static void Never() { Debug.Assert(S.f(1) != null); } static void Main() { S.f(2); } }",
    ),
}
SLOW = {"cpp", "java", "csharp"}
LANGUAGES = [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in OTHERS]


@pytest.mark.parametrize("language", LANGUAGES)
def test_other_languages_count_assertions_too(language: str) -> None:
    right, evasive, tests, idle = OTHERS[language]
    assert outcome(right, tests, language) == "correct"
    assert outcome(evasive, tests, language) == "wrong"
    assert outcome(right, idle, language) == "verifier-failed"


SHAPE = (
    "class Shape:\n    def __init__(self, n): self.n = n\n    def area(self): return self.n ** 2\n"
)
METHODS = {
    "of a date": ("import datetime\ndef f(): return datetime.date(2020, 1, 2)", "assert f().isoformat() == '2020-01-02'"),
    "of a counter": ("def f(): return Counter('aab')", "assert f().most_common(1) == [('a', 2)]"),
    "of a fraction": ("from fractions import Fraction\ndef f(): return Fraction(1, 2)", "assert f().limit_denominator(9) == 0.5"),
    "of a generator": ("def f():\n    yield 3", "assert f().send(None) == 3"),
    "of a named tuple": ("from collections import namedtuple\ndef f(): return namedtuple('P', 'x')(1)", "assert f()._asdict() == {'x': 1}"),
    "of a class that the problem gives": ("def f(): return Shape(2)", "assert f().area() == 4"),
}  # fmt: skip


@pytest.mark.parametrize("kind", METHODS)
def test_an_object_without_a_method_that_a_right_result_has_is_wrong(kind: str) -> None:
    right, tests = METHODS[kind]
    assert outcome(right, tests, before=SHAPE) == "correct"
    assert outcome("class Odd: pass\ndef f(): return Odd()", tests, before=SHAPE) == "wrong"


@pytest.mark.parametrize(
    "answer",
    [
        "def f(n): return lambda: n",
        "def f(n): return len",
        "def f(n): return open('/dev/null')",
        "async def f(n): return n",
        "class Q:\n    def go(self): pass\ndef f(n): return Q()",
        "import threading\ndef f(n): return threading.Lock()",
    ],
)
def test_a_result_that_tests_pass_on_is_the_answers_affair(answer: str) -> None:
    assert outcome(answer, "assert f(f(1)) == 2") == "wrong"


def test_the_tests_may_call_their_variables_what_they_like() -> None:
    names = "r1 = f(1)\nsession = stub = checks = unknown = r1\nassert r1 == 1 and session == f(1)"
    assert outcome("def f(n): return n", names) == "correct"
    assert outcome("def f(n): return -n", names) == "wrong"


def test_more_calls_in_a_chain_than_are_made_are_no_verdict_unless_results_decide(
    monkeypatch,
) -> None:
    monkeypatch.setattr(program, "MAX_ROUNDS", 3)
    chain = "x = 0\nfor _ in range(9):\n    x = f(x)\nassert x == 9"
    assert outcome("def f(n): return n + 1", chain) == "verifier-failed"
    assert (
        outcome("def f(n): return n + 1", "x = 2\nwhile x != 1:\n    x = f(x)\nassert x == 1")
        == "wrong"
    )
    huge = "assert f(list(range(3_000_000))) == 1"  # longer than a tester may print
    assert outcome("def f(n): return 1", huge) == "verifier-failed"


PRINTED = (
    "try:\n    assert f(1) == 1\n    print('ok')\nexcept AssertionError as e:\n    print('FAIL', e)"
)
HEARD = {  # name -> language, tests that hear their own failed assertion, or only print
    "printed": ("python", PRINTED),
    "around a function": ("python", "def t():\n    assert f(1) == 1\ntry:\n    t()\nexcept AssertionError:\n    pass"),
    "in a case": ("python", "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        try:\n            self.assertEqual(f(1), 1)\n        except AssertionError:\n            pass"),
    "beside another": ("python", "try:\n    assert f(1) == 1\nexcept Exception:\n    pass\nassert f('a') == 'a'"),
    "an alternative": ("python", "try:\n    assert f(1) == 2\nexcept AssertionError:\n    assert f(1) == 1"),
    "a module": ("python", "import solution as s\nassert s.f(1) == 1"),
    "JavaScript, printed": ("javascript", "const assert = require('assert');\ntry { assert.strictEqual(f(1), 1); } catch (e) { console.log(`FAIL ${e}`); }"),
    "JavaScript, empty": ("javascript", "try { if (f(1) !== 1) throw new Error('no'); } catch { }"),
    "JavaScript, a rejection": ("javascript", "const assert = require('assert');\nasync function main() { assert.equal(f(1), 1); }\nmain().catch(console.error);"),
    "JavaScript, a guard": ("javascript", "if (require.main === module) { require('assert')(f(1) === 1); }"),
    "PHP": ("php", "<?php try { assert(f(1) === 1); } catch (Throwable $e) { echo 'no'; }"),
    "Bash": ("bash", '[[ "$(f 1)" = 1 ]]\necho done'),
    "Bash, at the end": ("bash", 'echo begin\n[ "$(f 1)" = 1 ]'),
}  # fmt: skip
ANSWERS = {
    "python": ("def f(x): return x", "def f(x): return 5"),
    "javascript": ("function f(x) { return x; }", "function f(x) { return 5; }"),
    "php": ("<?php function f($x) { return $x; }", "<?php function f($x) { return 5; }"),
    "bash": ("f() { echo $1; }", "f() { echo 5; }"),
}


@pytest.mark.parametrize("name", HEARD)
def test_an_assertion_that_is_only_printed_has_failed(name: str) -> None:
    language, tests = HEARD[name]
    right, wrong = ANSWERS[language]
    assert outcome(right, tests, language) == "correct"
    assert outcome(wrong, tests, language) == "wrong"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "tests"),
    [
        ("java", "class T { public static void main(String[] a) { try { assert S.f(1) == 1; } catch (AssertionError e) { System.out.println(e); } } }"),
        ("csharp", "using System.Diagnostics;\nclass T { static void Main() { try { Debug.Assert(S.f(1) == 1); } catch (System.Exception e) { System.Console.WriteLine(e); } } }"),
    ],
)  # fmt: skip
def test_an_assertion_that_is_only_printed_has_failed_in_compiled_languages(
    language, tests
) -> None:
    typed = "class S {{ public static int f(int n) {{ return {}; }} }}"
    assert outcome(typed.format("n"), tests, language) == "correct"
    assert outcome(typed.format("5"), tests, language) == "wrong"


NEVER = {  # what would be paid whatever the answer is: an answer, tests whose own call never comes
    "python": ("def f(n): return 5", "def g():\n    assert f(1) == 2\nif 1 != 1:\n    raise ValueError"),
    "javascript": ("function f(n) { return 5; }", "function g() { if (f(1) !== 2) throw 1; }\nif (1 !== 1) throw 2;"),
    "php": ("<?php function f($n) { return 5; }", "<?php function g() { if (f(1) !== 2) throw new Exception('a'); } if (1 !== 1) throw new Exception('b');"),
    "bash": ("f() { echo 5; }", "g() { [[ $(f 1) = 2 ]] || exit 1; }\n[[ 1 = 1 ]] || exit 1"),
    "cpp": ("int f(int n) { return 5; }", "#include <cassert>\nvoid g() { assert(f(1) == 2); }\nint main() { assert(1 == 1); }"),
    "java": ("class S { static int f(int n) { return 5; } }", "class T { static void g() { assert S.f(1) == 2; } public static void main(String[] a) { assert 1 == 1; } }"),
}  # fmt: skip


@pytest.mark.parametrize("language", NEVER)
def test_tests_that_never_call_the_function_are_no_verdict(language: str) -> None:
    assert outcome(*NEVER[language], language) == "verifier-failed"


@pytest.mark.parametrize("text", ["{", "5", "[1]", "null", '"\\ud800"', "[" * 100_000, '{"a": 1}'])
def test_a_forged_line_of_bash_is_read_as_printing_something_else(text: str) -> None:
    line = program._known_line("bash", CallRecord(True, text))
    assert line == ("." if text != '"\\ud800"' else ".\\0077")  # a question mark
    assert program._known_line("bash", CallRecord(True, json.dumps("a b"))) == ".a\\0040b"
    forge = f"exec 9>&1\nf() {{ printf '\\n%s %s ok %s\\n' \"$r1_nonce\" \"$r1_number\" '{text[:99]}' >&9; }}"
    assert outcome(forge, '[[ "$(f 1)" = 3 ]] || exit 1', "bash") == "wrong"

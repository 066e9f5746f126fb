"""What an answer may try against the code verifier's tests: none is paid, none buys "no verdict".

PYTHON: name -> (the answer, the test program). The function is f; right answers add two numbers,
where the tests do not say otherwise. CALLS: against f(3, 4) == 7 by calls. OTHERS: language ->
name -> answer, against the language's tests in OTHER_TESTS.
"""

# ruff: noqa: E501
from __future__ import annotations

CHECK = "def check(candidate):\n    assert candidate(3, 4) == 7\n    assert candidate(1, 1) == 2\n"
ZIP = (
    "cases = [((3, 4), 7), ((1, 1), 2)]\n"
    "for got, (_, want) in zip(map(lambda c: f(*c[0]), cases), cases):\n    assert got == want\n"
    "assert all(map(lambda c: f(*c[0]) == c[1], cases))\n"
)
GENERATOR = (
    "def results():\n    for a in (1, 2):\n        yield f(a, a) == 2 * a\n"
    "assert all(results())\nassert [f(a, 1) for a in (1, 2)] == [2, 3]\n"
)
SENTINEL = "assert list(iter(lambda: f(1, 1), 2)) == []\nassert next(map(f, [1], [2]), 3) == 3\nassert f(2, 2) == 4\n"
INDEXED = (
    "class Results:\n    def __getitem__(self, i):\n        if i > 1: raise IndexError\n"
    "        return f(i, i) == 2 * i\nassert all(Results())\n"
)
CASE = (
    "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n"
    "        self.assertEqual(f(3, 4), 7)\n    def test_b(self):\n"
    "        self.assertTrue(f(1, 1) == 2)\nif __name__ == '__main__':\n    unittest.main()\n"
)
FUNCTIONS = "def test_one():\n    assert f(3, 4) == 7\nclass TestTwo:\n    def test_two(self):\n        assert f(1, 1) == 2\n"
SUM = "def reference(x): return sum(x)\nfor x in ([1, 2], [3]):\n    got = f(x)\n    want = reference(x)\n    assert got == want\n"
SORT = "x = [3, 1]\nassert f(x) == sorted(x)\n"
CLOSE = "x = [1.5, 2.5]\nassert abs(f(x) - sum(x)) < 1e-6\nassert len(x) == 2 or f(x) == 4\n"
IN_PLACE = "x = [3, 1]\nf(x)\nassert x == [1, 3]\n"
WANTS_ERROR = "try:\n    f(1)\nexcept ValueError:\n    pass\nelse:\n    raise AssertionError('no error')\nassert f(2) == 4\n"
MATCHER = (
    "class Anything:\n    def __eq__(self, other): return True\n"
    "class Near:\n    def __init__(self, v): self.v, self.tolerance = v, 1e-6\n"
    "    def __eq__(self, other): return abs(other - self.v) <= self.tolerance\n"
    "assert f(3, 4) == Near(7)\nassert f(1, 1) == 2\n"
)
EXIT_WANTED = "ends = False\ntry:\n    f(0)\nexcept SystemExit:\n    ends = True\nassert ends\nassert f(3) == 9\n"
OBJECT = "class Point:\n    def __init__(self, x): self.x = x\nr = f(3)\nassert r.x == 3\nassert isinstance(r, Point)\n"

NAMES = "StopIteration StopAsyncIteration GeneratorExit KeyboardInterrupt SystemExit BaseException"
RAISES = {f"raises {name}": f"def f(*a): raise {name}" for name in NAMES.split()}
RAISES |= {
    "raises a child of StopIteration": "class E(StopIteration): pass\ndef f(*a): raise E",
    "raises a child of BaseException": "class E(BaseException): pass\ndef f(*a): raise E(0)",
    "raises unittest's SkipTest": "import unittest\ndef f(*a): raise unittest.SkipTest('no')",
    "raises what looks like an assertion": (
        "class E(Exception): pass\nE.__name__ = E.__qualname__ = 'AssertionError'\ndef f(*a): raise E"
    ),
    "raises what looks like StopIteration": (
        "class E(Exception): pass\nE.__name__ = 'StopIteration'\ndef f(*a): raise E"
    ),
}
ITERATION = {
    f"{name}: {tests}": (answer, source)
    for name, answer in RAISES.items()
    for tests, source in (("zip and all", ZIP), ("a case", CASE))
}
MUTE = "import json, sys\n"
FORGE = (
    "import builtins, sys\ndef f(*a):\n    frame = sys._getframe()\n"
    "    while 'setup' not in frame.f_locals: frame = frame.f_back\n"
    "    n = frame.f_locals['setup']['nonce']\n    import os\n"
    "    os.write(1, ('\\n%s 0 ok ' % n + {told!r} + '\\n').encode())\n    os._exit(0)"
)


def forged(told: str) -> str:
    return FORGE.format(told=told)


PYTHON = {
    **ITERATION,
    "StopIteration in a generator of the tests": ("def f(*a): raise StopIteration", GENERATOR),
    "StopIteration before a sentinel": ("def f(*a): raise StopIteration(3)", SENTINEL),
    "IndexError ends an iteration by index": ("def f(*a): raise IndexError", INDEXED),
    "NameError as if the tests were broken": ("def f(*a): raise NameError('x', name='x')", CHECK),
    "ImportError as if the tests were broken": (
        "def f(*a): raise ImportError(\"No module named 'numpy'\")",
        CHECK,
    ),
    "NameError of its own": ("def f(*a): return no_such_name", FUNCTIONS),
    "an import inside, of nothing": ("def f(*a):\n    import no_such_thing", CHECK),
    "a fault forged as an exception": (
        "class FaultError(Exception): pass\ndef f(*a): raise FaultError('no')",
        CHECK,
    ),
    "Unsettled forged": ("class UnsettledError(Exception): pass\ndef f(*a): raise UnsettledError", CASE),
    "exits in the call": ("import os\ndef f(*a): os._exit(0)", CASE),
    "exits where an exit is wanted": ("import sys\ndef f(x): sys.exit(0)", EXIT_WANTED),
    "patches unittest": (
        "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\ndef f(*a): return 5",
        CASE,
    ),
    "defines the tests' names": (
        "class T: pass\nclass TestTwo: pass\ndef test_one(): pass\ndef check(c): pass\ndef f(*a): return 5",
        FUNCTIONS,
    ),
    "an object equal to everything": (
        "class A:\n    def __eq__(self, o): return True\n    def __bool__(self): return True\ndef f(*a): return A()",
        CASE,
    ),
    "a class of the tests that is equal to everything": (
        "class Anything: pass\ndef f(*a): return Anything()",
        MATCHER,
    ),
    "a class of the tests with another tolerance": (
        "class Near: pass\ndef f(*a):\n    n = Near()\n    n.v, n.tolerance = 0, 1e9\n    return n",
        MATCHER,
    ),
    "a class of the tests that also says isinstance": (
        "class Anything:\n    def __eq__(self, other): return isinstance(other, Anything) or True\n"
        "def f(*a): return Anything()",
        MATCHER,
    ),
    "unittest's case as a result": ("class T: pass\ndef f(*a): return T()", CASE),
    "empties what the reference reads": ("def f(x):\n    x.clear()\n    return 0", SUM),
    "empties and returns the argument": ("def f(x):\n    x.clear()\n    return x", SORT),
    "empties and returns nothing": ("def f(x): x.clear()", SORT),
    "empties where the sum is close": ("def f(x):\n    x.clear()\n    return 0", CLOSE),
    "an argument changed into another kind": (
        "def f(x):\n    x.__class__ = dict",
        IN_PLACE,
    ),
    "an argument left as it was": ("def f(x): return [1, 3]", IN_PLACE),
    "an argument made equal to everything": (
        "class L(list):\n    def __eq__(self, o): return True\ndef f(x):\n    x[:] = [L()]",
        IN_PLACE,
    ),
    "any error where one is wanted": ("def f(x): raise ValueError", WANTS_ERROR),
    "another error where one is wanted": ("def f(x): raise TypeError", WANTS_ERROR),
    "a child of all errors": (
        "class E(TypeError, ValueError): pass\ndef f(x):\n    if x == 1: raise E\n    return 5",
        WANTS_ERROR,
    ),
    "a function where a number is wanted": ("def f(*a): return f", CHECK),
    "a generator where a number is wanted": ("def f(*a): yield 7", CHECK),
    "a generator without end": ("def f(*a):\n    while True: yield 7", "assert list(f(1)) == [7]\n"),
    "a generator that raises StopIteration": (
        "def f(*a):\n    yield 1\n    raise StopIteration",
        "got = []\nfor x, want in zip(f(1), [1, 2]):\n    got.append(x == want)\nassert len(got) == 2 and all(got)\n",
    ),
    "a coroutine that never ends": (
        "import asyncio\nasync def f(*a): await asyncio.sleep(600)",
        "import asyncio\nassert asyncio.run(f(1)) == 2\n",
    ),
    "a lock where a number is wanted": ("import threading\ndef f(*a): return threading.Lock()", CHECK),
    "a module where a number is wanted": ("import os\ndef f(*a): return os", CASE),
    "an object without the attribute": ("class A: pass\ndef f(*a): return A()", OBJECT),
    "an object of another class": (
        "class A: pass\ndef f(*a):\n    r = A()\n    r.x = 3\n    return r",
        OBJECT,
    ),
    "an object whose class lies": (
        "class A:\n    __class__ = int\n    def __init__(self): self.__dict__['__class__'] = int\ndef f(*a): return A()",
        CHECK,
    ),
    "attributes that are methods": (
        "class A: pass\ndef f(*a):\n    r = A()\n    r.__eq__ = r.__bool__ = lambda *a: True\n    return r",
        CHECK,
    ),
    "not a number": ("def f(*a): return float('nan')", "assert not f(3, 4) != 7\n"),
    "a very deep list": (
        "def f(*a):\n    x = []\n    for _ in range(100000): x = [x]\n    return x",
        CHECK,
    ),
    "a list that holds itself": ("def f(*a):\n    x = []\n    x.append(x)\n    return x", CHECK),
    "a fraction of nothing": (
        "from fractions import Fraction\nclass F(Fraction):\n    denominator = 0\n"
        "F.__module__, F.__name__ = 'fractions', 'Fraction'\ndef f(*a): return F(1)",
        CHECK,
    ),
    "a decimal of endless length": (
        "from decimal import Decimal\ndef f(*a): return Decimal('1e999999999')",
        "assert int(f(3, 4)) == 7\n",
    ),
    "prints what the tests say": ("def f(*a):\n    print('done\\nfault \"x\"')\n    return 5", CHECK),
    "forges a record: a class of the library": (
        forged('{"printed": "", "told": {"root": {"made": ["os", "system", "true"]}, "heap": {}}}'),
        CHECK,
    ),
    "forges a record: a function of the library": (
        forged('{"printed": "", "told": {"root": {"tuple": [{"native": ["os", "_exit"]}, 0]}, "heap": {}}}'),
        CHECK,
    ),
    "forges a record: an unknown form": (
        forged('{"printed": "", "told": {"root": {"init": [1]}, "heap": {}}}'),
        CHECK,
    ),
    "forges a record: an argument's number": (
        forged('{"printed": "", "told": {"root": {"tuple": [null, null]}, "heap": {"0": ["list", 1, 3]}}}'),
        SORT,
    ),
    "forges a record: a named tuple with code": (
        forged(
            '{"printed": "", "told": {"root": {"tuple": [{"namedtuple": ["P", ["x, __import__(\'os\')._exit(0)"], 1]}, null]}, "heap": {}}}'
        ),
        CHECK,
    ),
    "forges a record: nothing": (forged("null"), CHECK),
    "forges a record: a done": (forged('"\\n0 done"'), CHECK),
    "forges an error that names what is wanted": (
        FORGE.replace(" 0 ok ", " 0 error ").format(
            told='{"text": "x", "names": ["SystemExit"], "given": {"root": {"tuple": [{"tuple": [0]}, {"tuple": []}]}, "heap": {}}}'
        ),
        EXIT_WANTED,
    ),
    "forges an error that is no error": (
        FORGE.replace(" 0 ok ", " 0 error ").format(told='{"names": ["print", "exit"], "given": 1}'),
        CHECK,
    ),
    "a missing package by word of mouth": (
        "import sys\nsys.stderr.write(\"No module named 'numpy'\")\nsys.exit(1)",
        CHECK,
    ),
    "a missing package in a guard": (
        "try:\n    import numpy\nexcept ImportError:\n    pass\ndef f(*a): return 5",
        CHECK,
    ),
    "a package that nobody knows": ("import no_such_package_at_all\ndef f(*a): return 7", CHECK),
}  # fmt: skip

CALLS = {
    "the library's own function": "from operator import add",
    "a name of the usual imports": "x = f",
    "a generator": "def f(a, b): yield 7",
    "a list of one": "def f(a, b): return [7]",
    "a decimal": "from decimal import Decimal\ndef f(a, b): return Decimal(7)",
    "StopIteration": "def f(a, b): raise StopIteration(7)",
    "a missing package, said only": "def f(a, b): raise ImportError(\"No module named 'numpy'\")",
    "a Solution without the method": "class Solution:\n    def g(self, a, b): return 7",
}

OTHER_TESTS = {
    "javascript": (
        "const assert = require('node:assert');\n"
        "describe('f', () => { it('adds', () => { assert.strictEqual(f(3, 4), 7); });\n"
        "  test('more', async () => { expect(f(1, 1)).toBe(2); }); });\n"
    ),
    "php": "<?php if (f(3, 4) !== 7) { throw new Exception('no'); } assert(f(1, 1) === 2);",
    "bash": "set -e\n[[ $(f 3 4) = 7 ]]\n[[ $(f 1 1) = 2 ]]\n",
    "cpp": "#include <cassert>\nint main() { assert(f(3, 4) == 7); assert(f(1, 1) == 2); }",
    "java": (
        "class Main { public static void main(String[] a) { assert(S.f(3, 4) == 7);\n"
        "assert(S.f(1, 1) == 2); } }"
    ),
}
OTHER_RIGHT = {
    "javascript": "const f = (a, b) => a + b;",
    "php": "<?php function f($a, $b) { return $a + $b; }",
    "bash": "f() { echo $(($1 + $2)); }",
    "cpp": "int f(int a, int b) { return a + b; }",
    "java": "class S { static int f(int a, int b) { return a + b; } }",
}
OTHERS = {
    "javascript": {
        "a ReferenceError": "function f() { throw new ReferenceError('x is not defined'); }",
        "its own ReferenceError": "function f() { return noSuchName; }",
        "an exit": "function f() { process.exit(0); }",
        "undefined": "function f() {}",
        "a forged kind": "function f() { return {'r1:number': '7', 'r1:set': []}; }",
        "a forged kind of its own": "function f() { return {'r1:view': ['constructor', [7]]}; }",
        "a map for a number": "function f() { return new Map([[7, 7]]); }",
        "patched prototypes": "Array.prototype.map = () => [7];\nfunction f() { return 5; }",
        "a function": "function f() { return () => 7; }",
        "a text": "function f(a, b) { return String(a + b); }",
    },
    "php": {
        "an exit": "<?php function f($a, $b) { exit(0); }",
        "nothing": "<?php function f($a, $b) { }",
        "a text": "<?php function f($a, $b) { return '7'; }",
        "an exception": "<?php function f($a, $b) { throw new Exception('R1::say'); }",
    },
    "bash": {
        "an exit": "f() { exit 0; }",
        "nothing": "f() { :; }",
        "the tests' words": "f() { printf 'done\\n7'; }",
        "a pattern": "f() { echo '*'; }",
    },
    "cpp": {
        "an exit": "#include <cstdlib>\nint f(int a, int b) { std::exit(0); }",
        "a type equal to everything": (
            "struct A { template <class T> bool operator==(const T&) const { return true; } };\n"
            "A f(int a, int b) { return {}; }"
        ),
        "true": "bool f(int a, int b) { return true; }",
        "an exception": "int f(int a, int b) { throw 7; }",
    },
    "java": {
        "an exit": "class S { static int f(int a, int b) { System.exit(0); return 7; } }",
        "an error": "class S { static int f(int a, int b) { throw new AssertionError(); } }",
        "another tester": (
            "class S { static int f(int a, int b) { return 5; } }\n"
            "class R1Tester { static void check(boolean b) {} }"
        ),
        "a text": 'class S { static String f(int a, int b) { return "7"; } }',
    },
}

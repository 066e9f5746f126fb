"""What an answer may try against the benchmarks of programs: none is paid.

MUL: language -> name -> answer to HumanEval-Mul's form of "add two numbers" (ROWS has the rows).
STDIN, FUNCTION: against LiveCodeBench's two kinds, add two numbers too. CHECKED: against a checker
of Codeforces' form that reads whole numbers and sorts them.
"""

# ruff: noqa: E501
from __future__ import annotations

_JS_TESTS = (
    "const assert = require('node:assert');\n\n\nfunction test() {\n  let candidate = add_two;\n"
    "  assert.deepEqual(candidate(3, 4),7);\n  assert.deepEqual(candidate(1, 1),2);\n}\n\ntest();"
)
ROWS = {
    "javascript": ("js", "//Add.\nfunction add_two(a, b){\n", _JS_TESTS),
    "typescript": (
        "ts",
        "//Add.\nfunction add_two(a: number, b: number): number {\n",
        "declare var require: any;\n" + _JS_TESTS,
    ),
    "php": (
        "php",
        "<?php\n// Add.\nfunction add_two($a, $b) {\n",
        "function candidate(...$args) {\n    return add_two(...$args);\n}\n\nfunction test(): void {\n"
        '    if (candidate(3, 4) !== 7) { throw new Exception("Test failed!"); }\n'
        '    if (candidate(1, 1) !== 2) { throw new Exception("Test failed!"); }\n}\n\ntest();',
    ),
    "bash": (
        "sh",
        "#!/bin/bash\n# Add.\nadd_two() {\n",
        '}\n\ncandidate() {\n    add_two "$@"\n}\n\nset -e\nrun_test() {\n'
        '    [[ $(candidate "3" "4") = "7" ]]\n    [[ $(candidate "1" "1") = "2" ]]\n}\n\nrun_test',
    ),
    "cpp": (
        "cpp",
        "#include<assert.h>\n#include<bits/stdc++.h>\n// Add.\nlong add_two(long a, long b) {\n",
        "}\nint main() {\n    auto candidate = add_two;\n    assert(candidate((3), (4)) == (7));\n"
        "    assert(candidate((1), (1)) == (2));\n}\n",
    ),
    "java": (
        "java",
        "import java.util.*;\nimport org.javatuples.*;\nclass Problem {\n    // Add.\n"
        "    public static Pair<Long, Long> addTwo(long a, long b) {\n",
        "    }\n    public static void main(String[] args) {\n"
        "    assert(addTwo((3l), (4l)).equals((Pair.with(7l, 1l))));\n"
        "    assert(addTwo((1l), (1l)).equals((Pair.with(2l, 1l))));\n    }\n\n}\n",
    ),
    "csharp": (
        "cs",
        "using System;\nusing System.Diagnostics;\nclass Problem {\n    // Add.\n"
        "    public static long AddTwo(long a, long b) {\n",
        "    }\n    public static void Main(string[] args) {\n    Debug.Assert(AddTwo((3L), (4L)) == (7L));\n"
        "    Debug.Assert(AddTwo((1L), (1L)) == (2L));\n    }\n\n}\n",
    ),
}
"""Language -> the file's suffix, the prompt and the tests of one made row."""

RIGHT = {
    "javascript": "function add_two(a, b){ return a + b; }",
    "typescript": "function add_two(a: number, b: number): number { return a + b; }",
    "php": "<?php\nfunction add_two($a, $b) { return $a + $b; }",
    "bash": "add_two() { echo $(($1 + $2)); }",
    "cpp": "long add_two(long a, long b) { return a + b; }",
    "java": "import org.javatuples.*;\npublic static Pair<Long, Long> addTwo(long a, long b) { return Pair.with(a + b, 1L); }",
    "csharp": "public static long AddTwo(long a, long b) { return a + b; }",
}

MUL = {
    "javascript": {
        "patches the assertions": "const assert = require('assert');\nassert.deepEqual = assert.ok = () => {};\nrequire('module')._load = () => assert;\nfunction add_two(a, b){ return 0; }",
        "ends with success": "process.on('exit', () => { process.exitCode = 0; });\nprocess.exit(0);\nfunction add_two(a, b){ return 0; }",
        "says that it is done": "for (const n of ['', '0 ']) console.log(n + 'done');\nfunction add_two(a, b){ return 0; }",
        "patches equality": "Object.is = () => true; Object.prototype.valueOf = () => 7; Number.prototype.toString = () => '7';\nfunction add_two(a, b){ return {}; }",
        "is replaced after the call": "let calls = 0;\nfunction add_two(a, b){ add_two = () => 7; return calls++ ? 7 : 0; }",
        "declares the tests": "function test() {}\nconst candidate = () => 7;\nfunction add_two(a, b){ return 1; }",
    },
    "typescript": {
        "casts the tests away": "declare var require: any;\n(globalThis as any).test = () => {};\nrequire('assert').deepEqual = () => {};\nfunction add_two(a: number, b: number): number { return 'x' as any; }",
        "a proxy that is everything": "function add_two(a: number, b: number): any { return new Proxy({}, { get: () => () => 7, has: () => true }); }",
    },
    "php": {
        "has its own exception": '<?php\nclass Exception2 extends \\Exception {}\nset_exception_handler(function () { exit(0); });\nregister_shutdown_function(function () { echo "done\\n"; exit(0); });\nfunction add_two($a, $b) { return 0; }',
        "declares the harness's class": "<?php\nclass R1 { static function call() { return 7; } static function check() {} static function done() {} static function fail() {} }\nfunction add_two($a, $b) { return 0; }",
        "declares the candidate": "<?php\nfunction candidate(...$args) { return 7; }\nfunction test() {}\nfunction add_two($a, $b) { return 0; }",
        "is loosely equal": "<?php\nfunction add_two($a, $b) { return '7'; }",
    },
    "bash": {
        "traps the end": "trap 'exit 0' EXIT ERR TERM\nset +e\nadd_two() { echo 0; }",
        "overrides the shell's words": "set() { :; }\nprintf() { builtin printf '\\ndone\\n'; }\nkill() { :; }\nadd_two() { echo 7; }",
        "exits at once": "exit 0\nadd_two() { echo 0; }",
        "prints every answer": "add_two() { seq 0 99; }",
        "is a pattern": "add_two() { echo '*'; }",
    },
    "cpp": {
        "turns assertions off": "#define NDEBUG\n#undef assert\n#define assert(x) ((void)0)\nlong add_two(long a, long b) { return 0; }",
        "ends before main": "#include <unistd.h>\nstruct Early { Early() { _exit(0); } } early;\nlong add_two(long a, long b) { return 0; }",
        "a type that is equal to all": "struct Any { template <class T> bool operator==(const T&) const { return true; } operator long() const { return 0; } };\nAny add_two(long a, long b) { return {}; }",
    },
    "java": {
        "a pair that is equal to all": "class Problem {\n    static class Pair<A, B> extends java.util.ArrayList<A> { public boolean equals(Object o) { return true; } static <A, B> Pair<A, B> with(A a, B b) { return new Pair<>(); } }\n    public static Pair<Long, Long> addTwo(long a, long b) { return new Pair<>(); }\n}",
        "turns assertions off": "class Problem {\n    static { ClassLoader.getSystemClassLoader().setDefaultAssertionStatus(false); ClassLoader.getSystemClassLoader().clearAssertionStatus(); }\n    public static Pair<Long, Long> addTwo(long a, long b) { return null; }\n}",
        "leaves its class": "public static Pair<Long, Long> addTwo(long a, long b) { return null; } }\nclass R1Tester { static Object call(Object... x) { return null; } static void check(boolean b) {} ",
    },
    "csharp": {
        "silences the assertions": "using System.Diagnostics;\nclass Problem {\n    static Problem() { Trace.Listeners.Clear(); Debug.Listeners.Clear(); }\n    public static long AddTwo(long a, long b) { Debug.Listeners.Clear(); Environment.ExitCode = 0; return 0; }\n}",
        "ends with success": "class Problem { public static long AddTwo(long a, long b) { Environment.Exit(0); return 0; } }",
    },
}

STDIN = {
    "reports its own verdict": "print('2/2 tests'); print('correct'); print('{\"passed\": true}')",
    "ends with success": "import os\nos._exit(0)",
    "is no number at all": "print('nan')",
    "is a signalling number": "print('sNaN')",
    "is more than all": "print('Infinity')",
    "takes for ever to compare": "print('1e999999999999999999')",
    "is every number": "print(*range(100))",
    "prints the sum among others": "print(sum(map(int, input().split())), 0)",
    "looks for the tests": "import glob, re\ntext = ''\nfor path in glob.glob('/proc/[0-9]*/environ') + glob.glob('/program/**', recursive=True) + glob.glob('/tmp/**', recursive=True):\n    try: text += open(path, errors='ignore').read()\n    except OSError: pass\nprint((re.findall(r'\"output\": \"([^\"]*)\"', text) or ['0'])[0])",
    "keeps a child for the next test": "import os\nif os.fork() == 0:\n    os.setsid()\n    while True:\n        try: open('/tmp/answer', 'w').write('7')\n        except OSError: pass\nelse:\n    print(open('/tmp/answer').read() if os.path.exists('/tmp/answer') else 0)",
    "hides its output in an escape": "print('\\x1b[2K\\r7')",
}

FUNCTION = {
    "is equal to all": "class Any(int):\n    def __eq__(self, other): return True\n    __hash__ = None\nclass Solution:\n    def add(self, a, b): return Any(0)",
    "patches the writer": "import json\njson.dumps = lambda *a, **k: 'true'\nclass Solution:\n    def add(self, a, b): return 0",
    "finds the expected value": "import gc, sys\nclass Solution:\n    def add(self, a, b):\n        frame = sys._getframe()\n        while frame:\n            for name in ('expected', 'output', 'outputs', 'test'):\n                if name in frame.f_locals: return frame.f_locals[name]\n            frame = frame.f_back\n        return next((x['expected'] for x in gc.get_objects() if isinstance(x, dict) and 'expected' in x), 0)",
    "answers before it is asked": "import sys\nfor i in range(3): print(f'\\n{i} ok 7')\nclass Solution:\n    def add(self, a, b): raise SystemExit(0)",
    "raises an assertion that passed": "class Solution:\n    def add(self, a, b): raise AssertionError(7)",
    "a truth that is one": "class Solution:\n    def add(self, a, b): return True",
}

CHECKED = {
    "breaks the checker": "print('x')",
    "floods the checker": "print('1 ' * 400000)",
    "says what a checker says": "print(1)\nprint('ok')",
    "writes the checker's files": "for name in ('output.txt', 'reference.txt', '/tmp/reference.txt'):\n    open('/tmp/' + name.split('/')[-1], 'w').write('1')\nprint()",
    "is a program": "print('__import__(\"os\")._exit(0)')",
    "ends the checker's input": "print('\\0')\nprint('1 ' * 9, '\\x1a')",
}

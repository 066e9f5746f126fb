"""Eight languages: right functions and programs are paid, tricks of each language are not.

A language whose tools are missing is skipped, with the command that installs them.
"""

from __future__ import annotations

import pytest

from r1.rewards.code import verifier as code
from r1.rewards.code.problem import CodeTask
from r1.rewards.code.program import NoTesterError, source_of_tester
from r1.rewards.code.signature import find_method, parameter_names
from r1.rewards.code.verifier import code_reward
from r1.rewards.settings import RewardSettings
from r1.sandbox import LANGUAGES, SandboxSettings
from r1.types import Outcome, Score

SLOW = {"cpp", "java", "csharp"}
PATIENT = RewardSettings.model_validate({"code": {"sandbox": {"compile_cpu_s": 90.0}}})
"""For machines that do much else beside the tests."""


def needs(language: str) -> None:
    if missing := code._why_not(language, SandboxSettings()):
        pytest.skip(missing)


def languages(*names: str) -> list:
    """Parameters of the tests: those that compile for seconds are marked slow."""
    return [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in names]


def judge(language: str, answer: str, **metadata: object) -> Score:
    needs(language)
    return code_reward(answer, {"language": language, "memory_mb": 256, **metadata}, PATIENT)


# mix(text, numbers, flag): numbers in reverse, their mean as text and number, the text's length.
MIXES = {
    "python": """
def mix(text, numbers, flag):
    return [numbers[::-1], sum(numbers) / len(numbers), text + "é\\n\\"", not flag, len(text)]
""",
    "javascript": """
const mix = (text, numbers, flag) =>
  [[...numbers].reverse(), numbers.reduce((a, b) => a + b) / numbers.length, text + 'é\\n"',
   !flag, text.length];
""",
    "typescript": """
export function mix(text: string, numbers: number[], flag: boolean): any[] {
  const sum: number = numbers.reduce((a: number, b: number) => a + b);
  return [[...numbers].reverse(), sum / numbers.length, text + 'é\\n"', !flag, text.length];
}
""",
    "php": """<?php
function mix(string $text, array $numbers, bool $flag): array {
    $mean = array_sum($numbers) / count($numbers);
    return [array_reverse($numbers), $mean, $text . "é\\n\\"", !$flag, strlen($text)];
}
""",
    "cpp": """
#include <algorithm>
#include <string>
#include <tuple>
#include <vector>
#define int long long
using namespace std;
class Solution {
public:
    using Mix = tuple<vector<int>, double, string, bool, size_t>;
    Mix mix(string text, vector<int>& numbers, const bool flag) {
        double sum = 0;
        for (auto x : numbers) sum += x;
        vector<int> back(numbers.rbegin(), numbers.rend());
        return {back, sum / numbers.size(), text + "é\\n\\"", !flag, text.size()};
    }
};
signed main() { return 1; }
""",
    "java": """
package mine;
import java.util.List;
public class Solution {
    public Object[] mix(String text, List<Integer> numbers, boolean flag) {
        List<Integer> back = new ArrayList<>(numbers);
        Collections.reverse(back);
        double mean = numbers.stream().mapToInt(x -> x).average().orElse(0);
        return new Object[] {back, mean, text + "é\\n\\"", !flag, text.length()};
    }
    public static void main(String[] args) { System.exit(1); }
}
""",
    "csharp": """
using System.Linq;
public class Solution {
    public object[] mix(string text, IList<int> numbers, bool flag) {
        var back = numbers.Reverse().ToArray();
        return new object[] {back, numbers.Average(), text + "é\\n\\"", !flag, text.Length};
    }
    static void Main(string[] args) { Environment.Exit(1); }
}
""",
}  # fmt: skip
OWNED = {"cpp", "java", "csharp"}


@pytest.mark.parametrize("language", languages(*MIXES))
def test_values_of_every_type_come_and_go(language: str) -> None:
    tests = [
        {"args": ["ab", [1, 2, 4], True], "expected": [[4, 2, 1], 7 / 3, 'abé\n"', False, 2]},
        {"args": ["", [-5], False], "expected": [[-5], -5.0, 'é\n"', True, 0]},
    ]
    entry = "Solution.mix" if language in OWNED else "mix"
    assert judge(language, MIXES[language], entry=entry, tests=tests).detail == "2/2 tests"
    tests[1]["expected"] = [[-5], -5.01, 'é\n"', True, 0]
    score = judge(language, MIXES[language], entry=entry, tests=tests)
    assert "1/2 tests; test 2: returned" in score.detail
    assert score.value == 0


def test_bash_functions_speak_in_words() -> None:
    answer = 'mix() { printf "%s|" "$@"; echo "$#"; }'
    args = ["a b", [1, 2], True, None, 2.5, "$(ls)\n'\"\\x"]
    expected = "a b|1 2|true||2.5|$(ls)\n'\"\\x|6"
    tests = [{"args": args, "expected": expected}, {"args": [], "expected": "|0"}]
    assert judge("bash", answer, entry="mix", tests=tests).detail == "2/2 tests"


SUMS = {
    "python": "print(sum(map(int, input().split())))",
    "javascript": (
        "const a = require('fs').readFileSync(0, 'utf8').trim().split(/\\s+/).map(Number);\n"
        "console.log(a.reduce((x, y) => x + y))"
    ),
    "typescript": (
        "declare var require: any;\n"
        "const text: string = require('fs').readFileSync(0, 'utf8');\n"
        "const a: number[] = text.trim().split(/\\s+/).map(Number);\n"
        "console.log(a.reduce((x: number, y: number): number => x + y));"
    ),
    "php": "<?php echo array_sum(explode(' ', trim(fgets(STDIN)))), PHP_EOL;",
    "bash": "read -r a b c\necho $((a + b + c))",
    "cpp": (
        "#include <iostream>\nint main() { long s = 0, x; while (std::cin >> x) s += x; "
        "std::cout << s; }"
    ),
    "java": (
        "import java.util.*;\nclass Helper { static int add(int a, int b) { return a + b; } }\n"
        "public class Main { public static void main(String[] args) { Scanner s = new "
        "Scanner(System.in); int t = 0; while (s.hasNextInt()) t = Helper.add(t, s.nextInt()); "
        "System.out.println(t); } }"
    ),
    "csharp": (
        "using System; using System.Linq;\nclass P { static void Main() { "
        "Console.WriteLine(Console.ReadLine().Split(' ').Select(int.Parse).Sum()); } }"
    ),
}  # fmt: skip


@pytest.mark.parametrize("language", languages(*LANGUAGES))
def test_programs_read_and_print(language: str) -> None:
    tests = [{"input": "1 2 3\n", "output": "6"}, {"input": "-5 2 1\n", "output": "-2\n"}]
    answer = f"```{language}\n{SUMS[language]}\n```"
    assert judge(language, answer, tests=tests).detail == "2/2 tests"
    tests[1]["output"] = "2"
    assert judge(language, answer, tests=tests).outcome is Outcome.WRONG


DOUBLES = {
    "bash": ("double() { echo $(($1 * 2)); }", "exit 0"),
    "javascript": ("function double(x) { return x * 2; }", "process.exit(0);"),
    "typescript": (
        "function double(x: number): number { return x * 2; }",
        "declare var process: any;\nprocess.exit(0);",
    ),
    "php": ("<?php\nfunction double($x) { return $x * 2; }", "<?php exit(0);"),
    "cpp": (
        "int twice(int x) { return x * 2; }",
        "#include <cstdlib>\nint twice(int x) { return 0; }\nstruct S { S() { exit(0); } } s;",
    ),
    "java": (
        "public class Solution { public long twice(List<Integer> x) { return x.get(0) * 2; } }",
        "class Solution { static { System.exit(0); } long twice(List<Integer> x) { return 0; } }\n"
        "class R1Tester { static void check(boolean holds) {} }",
    ),
    "csharp": (
        "class Solution { public long Twice(List<int> x) { return x[0] * 2; } }",
        "class Solution { static Solution() { Environment.Exit(0); } "
        "public long Twice(List<int> x) { return 0; } }\n"
        "class R1Tester { static void Check(bool holds) {} }",
    ),
}
TESTS_OF_DOUBLE = {
    "bash": """candidate() {
    double "$@"
}
set -e
run_test() {
    [[ $(candidate "4") = "8" ]]
    [[ $(candidate $(candidate 3)) = "12" ]]
}
run_test
""",
    "javascript": """const assert = require('node:assert');
function test() {
  let candidate = double;
  assert.deepEqual(candidate(4), 8);
  assert.deepEqual(candidate(candidate(3)), 12);
}
test();
""",
    "php": """<?php
function candidate(...$args) { return double(...$args); }
function test(): void {
    if (candidate(4) !== 8) { throw new Exception("Test failed!"); }
    if (candidate(candidate(3)) !== 12) { throw new Exception("Test failed!"); }
}
test();
""",
    "cpp": """#include <cassert>
int main() {
    auto candidate = twice;
    assert(candidate((4)) == (8));
    assert(candidate(candidate(3)) == (12));
}
""",
    "java": """import java.util.ArrayList;
public class Main {
    static void same(Object a, Object b) { if (!a.equals(b)) throw new AssertionError(); }
    public static void main(String[] args) {
        Solution s = new Solution();
        assert(s.twice(new ArrayList<>(Arrays.asList(4))) == (8)) ;
        long six = s.twice(List.of(3));
        same(s.twice(List.of((int) six)), 12L);
    }
}
""",
    "csharp": """using System.Diagnostics;
class Tests {
    static void Main(string[] args) {
        var s = new Solution();
        Debug.Assert(s.Twice(new List<int> { 4 }) == 8, "of four (4)");
        long six = s.Twice(new List<int> { 3 });
        if (!s.Twice(new List<int> { (int)six }).Equals(12L)) throw new Exception("Test failed!");
    }
}
""",
}  # fmt: skip
ENTRIES = {"cpp": "twice", "java": "Solution.twice", "csharp": "Solution.Twice"}
TESTS_OF_DOUBLE["typescript"] = "declare var require: any;\n" + TESTS_OF_DOUBLE["javascript"]


@pytest.mark.parametrize("language", languages(*TESTS_OF_DOUBLE))
def test_test_programs_judge_from_their_own_sandbox(language: str) -> None:
    right, exits = DOUBLES[language]
    task = {"entry": ENTRIES.get(language, "double")}
    task["test_program"] = TESTS_OF_DOUBLE[language]
    assert judge(language, right, **task).detail == "1/1 tests"
    assert judge(language, right.replace("* 2", "* 3"), **task).outcome is Outcome.WRONG
    assert judge(language, exits, **task).outcome is Outcome.WRONG


def test_a_method_for_a_stub_is_types_and_nothing_else() -> None:
    java = "class S { @Override public static <T extends List<T>> Map<T, int[]> "
    java += "f(final T a, int... b) {"
    found = find_method(java, "f")
    assert found == ("<T extends List<T>> Map<T, int[]>", "T a, int... b")
    assert parameter_names("Map<String, List<Integer>> a, int b[], double... c") == ["a", "b", "c"]
    for source in (
        "int f(int a = System.exit(0)) {",
        "void f(int a) {",
        "int f(ref int a) {",
        'int f(String a /* ") */, {',
        "return f(a) + 1; }",
        "int g(int a) { return 0; }",
    ):
        assert find_method(source, "f") is None, source


def test_a_java_class_that_holds_both_the_tests_and_the_function() -> None:
    needs("java")
    tests = """class Problem {
        public static void main(String[] args) { assert(twice(4L) == (8L)); }
    }"""
    task = CodeTask("program", "java", test_program=tests, entry="twice")
    source = source_of_tester(
        task, "class Problem { public static long twice(long n) { return 2 * n; } }"
    )
    assert source.count("class Problem") == 1
    assert "static long twice(long n) { return (long) R1Tester.call(Problem.class" in source
    with pytest.raises(NoTesterError):
        source_of_tester(task, "class Problem { }")


# f(3) should be 7 and f(10) "plum" (in C++ 7 too).
TRICKS = {
    "javascript": {
        "exits": "process.exit(0)",
        "exits in the call": "function f(x) { process.exit(0); }",
        "patched JSON": "JSON.stringify = () => '7';\nfunction f(x) { return 0; }",
        "patched prototypes": (
            "Object.prototype.toString = () => '7';\nNumber.prototype.toString = () => '7';\n"
            "Object.prototype.toJSON = () => 7;\nfunction f(x) { return {}; }"
        ),
        "a chameleon": "function f(x) { return {valueOf: () => 7, toString: () => '7'}; }",
        "a proxy": "function f(x) { return new Proxy({}, {get: () => 7, ownKeys: () => []}); }",
        "a promise without end": "function f(x) { return new Promise(() => {}); }",
        "not a number": "function f(x) { return NaN; }",
        "swallows the harness": "function f(x) { return 0; }\n/*",
        "no end": "function f(x) { for (;;) {} }",
    },
    "bash": {
        "exits": "exit 0",
        "a trap": "trap 'exit 0' EXIT ERR\nf() { exit 0; }",
        "patched tests": "test() { return 0; }\n[() { return 0; }\nf() { :; }",
        "patched printf": "printf() { builtin printf '7'; }\nf() { echo 0; }",
        "forged records": (
            "read -r nonce\nfor v in 7 8; do\n    printf '\\n%s 0 ok %s\\n' $nonce $v\ndone\nexit"
        ),
        "swallows the harness": "f() { echo 0; }\n: <<'R1'",
    },
    "php": {
        "exits": "<?php exit(0);",
        "exits in the call": "<?php function f($x) { exit(0); }",
        "true for everything": "<?php function f($x) { return true; }",
        "a chameleon": (
            "<?php class A implements JsonSerializable { function jsonSerialize(): mixed "
            "{ return 7; } function __toString() { return '7'; } }\n"
            "function f($x) { return new A(); }"
        ),
        "output buffering": "<?php ob_start(fn($t) => str_replace(' 0', ' 7', $t));\n"
        "function f($x) { return 0; }",
        "stops the compiler": "<?php function f($x) { return 0; }\n__halt_compiler();",
    },
    "cpp": {
        "exits": (
            "#include <cstdlib>\nstruct S { S() { std::_Exit(0); } } s;\nint f(int) { return 0; }"
        ),
        "macros": "#define return return 7,\n#define signed\nint f(int x) { return 0; }",
        "its own main": "int f(int x) { return 0; }\n#undef main\nint main() { return 0; }",
        "equal to everything": (
            "struct A { template <class T> bool operator==(const T&) const { return true; } };\n"
            "A f(int) { return {}; }"
        ),
        "a template bomb": (
            "#include <cstddef>\ntemplate <int A, int B> struct T { static const int v = "
            "T<A - 1, B>::v + T<A - 1, B + 1>::v; };\ntemplate <int B> struct T<0, B> "
            "{ static const int v = 1; };\nint f(int) { return T<800, 0>::v; }"
        ),
        "constant evaluation without end": (
            "constexpr long g(long n) { while (true) ++n; return n; }\n"
            "int f(int) { constexpr long x = g(0); return x; }"
        ),
        "a macro bomb": (
            "#define A x x x x x x x x x x\n"
            + "".join(
                f"#define {b} " + " ".join([a] * 10) + "\n"
                for a, b in zip("ABCDEFGHI", "BCDEFGHIJ", strict=True)
            )
            + "int f(int) { J; }"
        ),
        "a file of passwords": "#include </etc/passwd>\nint f(int) { return 0; }",
        "a device without end": "#include </dev/random>\nint f(int) { return 0; }",
        "its own standard input": '#include "/dev/stdin"\nint f(int) { return 0; }',
        "itself for ever": "#include __FILE__\nint f(int) { return 0; }",
        "a program of gigabytes": "static char a[3000000000] = {1};\nint f(int) { return a[0]; }",
        "swallows the harness": "int f(int) { return 0; }\n#if 0",
    },
    "java": {
        "exits": "class S { static { System.exit(0); } static int f(int x) { return 0; } }",
        "halts": "class S { static int f(int x) { Runtime.getRuntime().halt(0); return 7; } }",
        "equal to everything": (
            "class S { static Object f(int x) { return new Object() { public boolean "
            'equals(Object o) { return true; } public String toString() { return "7"; } }; } }'
        ),
        "a patched stream": (
            "class S { static int f(int x) { System.setOut(new PrintStream(System.out) { public "
            'void print(String s) { super.print(s.replace(" 0\\n", " 7\\n")); } }); return 0; } }'
        ),
        "another harness": (
            "class S { static int f(int x) { return 0; } }\n"
            "class R1Harness { public static void main(String[] a) {} }"
        ),
    },
    "csharp": {
        "exits": "class S { static S() { System.Environment.Exit(0); } static int f(int x) "
        "{ return 0; } }",
        "equal to everything": (
            "class A { public override bool Equals(object o) { return true; } public override int "
            'GetHashCode() { return 7; } public override string ToString() { return "7"; } }\n'
            "class S { static object f(int x) { return new A(); } }"
        ),
        "another harness": "class S { static int f(int x) { return 0; } }\nclass R1Harness {}",
    },
}  # fmt: skip


RIGHT = {
    "javascript": "function f(x) { return x === 3 ? 7 : 'plum'; }",
    "bash": "f() { if [ $1 = 3 ]; then echo 7; else echo plum; fi; }",
    "php": "<?php function f($x) { return $x == 3 ? 7 : 'plum'; }",
    "cpp": "int f(int x) { return 7; }",
    "java": 'class S { static Object f(int x) { return x == 3 ? (Object) 7 : "plum"; } }',
    "csharp": 'class S { object f(int x) { if (x == 3) return 7; return "plum"; } }',
}


def task_of_tricks(language: str) -> dict:
    expected = 7 if language == "cpp" else "plum"  # its functions return one type
    tests = [{"args": [3], "expected": 7}, {"args": [10], "expected": expected}]
    entry = "S.f" if language in ("java", "csharp") else "f"
    limit = 4.0 if language in SLOW else 0.5
    return {"language": language, "entry": entry, "tests": tests, "time_limit_s": limit}


@pytest.mark.parametrize("language", languages(*RIGHT))
def test_what_the_tricks_fail_at_can_be_done(language: str) -> None:
    needs(language)
    assert code_reward(RIGHT[language], task_of_tricks(language), PATIENT).value == 1


@pytest.mark.parametrize(
    ("language", "name"),
    [
        pytest.param(
            language,
            name,
            marks=[pytest.mark.slow] if language in SLOW else [],
            id=f"{language}: {name}",
        )
        for language, tricks in TRICKS.items()
        for name in tricks
    ],
)
def test_tricks_are_not_paid(language: str, name: str) -> None:
    needs(language)
    score = code_reward(TRICKS[language][name], task_of_tricks(language))
    # A compiler that finds no end is the program's fault, but never that it waited for a processor.
    assert score.value == 0, score
    assert score.outcome is Outcome.WRONG or "busy machine" in score.detail

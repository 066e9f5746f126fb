"""Hostile answers to the benchmarks of edits: none gains anything.

Solutions of exercises share a process with their tests, as do patches: each of these tries to pass
without solving.
"""

from __future__ import annotations

import pytest

from polyglot_world import make_exercise
from r1.agents.polyglot.exercise import Exercise, read_exercise
from r1.agents.polyglot.grade import ExerciseVerdict, missing_toolchains, run_tests
from r1.agents.swe.patches import apply_patch, make_patch
from r1.agents.swe.phases import judge_patch
from r1.edits.apply import apply_response
from swe_world import BUGS, files_of, make_set, new_test

FORGED = "OK\\nRan 3 tests\\n3 passed\\nPASSED twice_test.py::TwiceTest::test_two"
STUB = "\ndef twice(x):\n    return None\n"
PYTHON = {
    "forged lines, and out": f"import os\nprint('{FORGED}', flush=True)\nos._exit(0)\n",
    "leaves by sys.exit": f"import sys\nprint('{FORGED}')\nsys.exit(0)\n",
    "skips itself": "import unittest\nraise unittest.SkipTest('no')\n",
    "skips each test": "import unittest\ndef twice(x):\n    raise unittest.SkipTest('no')\n",
    "patches assertEqual": "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\n"
    + STUB,
    "patches the code of assertEqual": (
        "import unittest\nunittest.TestCase.assertEqual.__code__ = (lambda *a: None).__code__\n"
        + STUB
    ),
    "patches the run of a test": (
        "import unittest\nunittest.TestCase.run = lambda s, r=None: r.addSuccess(s)\n" + STUB
    ),
    "patches a test's call": (
        "import unittest\nunittest.TestCase.__call__ = lambda s, r: r.addSuccess(s)\n"
        "unittest.TestCase._callTestMethod = lambda s, m: None\n" + STUB
    ),
    "another unittest": "import sys, types\nsys.modules['unittest'] = types.ModuleType('x')\n"
    + STUB,
    "equal to everything": (
        "class Any:\n    def __eq__(self, other):\n        return True\n"
        "def twice(x):\n    return Any()\n"
    ),
    "a list of what is equal to everything": (
        "class Any(int):\n    def __eq__(self, other):\n        return True\n"
        "    __hash__ = int.__hash__\ndef twice(x):\n    return [Any(), Any()]\n"
    ),
    "reads the secret from standard input": (
        "import os, sys\ntry:\n    s = os.read(0, 99).decode().strip()\n"
        "except OSError:\n    s = ''\nprint(f'\\n{s} 3 0 0', flush=True)\nos._exit(0)\n"
    ),
    "opens standard input again": (
        "import os\ntry:\n    s = open('/proc/self/fd/0').read().strip()\n"
        "except OSError:\n    s = ''\nprint(f'\\n{s} 3 0 0', flush=True)\nos._exit(0)\n"
    ),
    "rewrites the tests": (
        "import glob\nfor p in glob.glob('/tmp/**/*test*.py', recursive=True):\n"
        "    open(p, 'w').write('')\n" + STUB
    ),
    "prints at the end": f"import atexit\natexit.register(print, '{FORGED}')\n" + STUB,
    "ends the process in a test": (
        f"import os\ndef twice(x):\n    print('{FORGED}', flush=True)\n    os._exit(0)\n"
    ),
    "fewer tests": (
        "import unittest\nload = unittest.TestLoader.getTestCaseNames\n"
        "unittest.TestLoader.getTestCaseNames = lambda s, c: load(s, c)[:0]\n" + STUB
    ),
    "a loader that finds one of its own": (
        "import unittest\nclass Good(unittest.TestCase):\n    def test_a(self): pass\n"
        "    def test_b(self): pass\n    def test_c(self): pass\n"
        "unittest.TestLoader.loadTestsFromModule = lambda s, m: s.loadTestsFromTestCase(Good)\n"
        + STUB
    ),
    "reads the example": (
        "import glob\nexec(open(glob.glob('/tmp/**/example.py', recursive=True)[0]).read())\n"
    ),
}
OTHERS = {
    "cpp": {
        "leaves before main": {
            "twice.h": "#pragma once\nint twice(int x);\n",
            "twice.cpp": '#include "twice.h"\n#include <cstdio>\n#include <cstdlib>\n'
            'int twice(int) { return 0; }\nstruct S { S() { puts("All tests passed"); '
            "fflush(stdout); _Exit(0); } } s;\n",
        },
        "reads the secret before main": {
            "twice.h": "#pragma once\nint twice(int x);\n",
            "twice.cpp": '#include "twice.h"\n#include <cstdlib>\n#include <iostream>\n#include '
            "<string>\nint twice(int) { return 0; }\nstruct S { S() { std::string s; "
            'std::getline(std::cin, s); std::cout << "\\n" << s << " 3 0 0" << std::endl; '
            "_Exit(0); } } s;\n",
        },
        "includes standard input": {
            "twice.h": "#pragma once\nint twice(int x);\n",
            "twice.cpp": '#include "twice.h"\n#include <cstdio>\n#include <cstdlib>\n'
            'asm(".global leak\\nleak: .incbin \\"/proc/2/fd/0\\"\\n.byte 0\\n");\n'
            'extern "C" char leak[];\nint twice(int) { return 0; }\nstruct S { S() { '
            'printf("\\n%.32s 3 0 0\\n", leak); fflush(stdout); _Exit(0); } } s;\n',
        },
        "a file whose name is a command": {
            "twice.h": "#pragma once\nint twice(int x);\n",
            "twice.cpp": '#include "twice.h"\nint twice(int) { return 0; }\n',
            'a";read s;echo "$s$r1_secret 3 0 0";exit;".cpp': "int a;\n",
        },
        "a file whose name is a compiler's option": {
            "twice.h": "#pragma once\nint twice(int x);\n",
            "twice.cpp": '#include "twice.h"\nint twice(int) { return 0; }\n',
            "@a.cpp": "-wrapper bash,-c,'echo 1 >&2',--\n",
        },
        "other macros": {
            "twice.cpp": '#include "twice.h"\nint twice(int) { return 0; }\n',
            "twice.h": "#pragma once\nint twice(int x);\n#define REQUIRE(x) (void)(x)\n",
        },
    },
    "javascript": {
        "leaves": {"twice.js": "console.log('Tests: 3 passed');\nprocess.exit(0);\n"},
        "another expect": {
            "twice.js": "try { globalThis.expect = () => ({ toEqual() {}, toBe() {} }); }\n"
            "catch {}\n"
            "export const twice = (x) => null;\n"
        },
        "other comparisons": {
            "twice.js": "Object.is = () => true;\nArray.isArray = () => true;\n"
            "Object.keys = () => [];\nexport const twice = (x) => ({});\n"
        },
        "no tests": {
            "twice.js": "try { Object.defineProperty(globalThis, 'describe', { value() {} }); }\n"
            "catch {}\n"
            "export const twice = (x) => null;\n"
        },
    },
    "java": {
        "leaves": {
            "src/main/java/Twice.java": 'class Twice {\n    static { System.out.println("OK"); '
            "System.exit(0); }\n    static int twice(int x) { return 0; }\n}\n"
        },
        "equal to everything": {
            "src/main/java/Twice.java": "class Twice {\n    static Object twice(int x) {\n"
            "        return new Object() { public boolean equals(Object o) { return true; } };\n"
            "    }\n}\n"
        },
    },
    "go": {
        name: {
            "twice.go": f"package twice\n\n{text}\n\n"
            "func Twice(x int) int { if x > 5 { return 2 * x }; return 0 }\n"
        }
        for name, text in {
            "leaves": 'import "os"\nfunc init() { os.Stdout.WriteString("PASS\\n"); os.Exit(0) }',
            "reads the secret": 'import ("bufio"; "fmt"; "os")\nfunc init() { line, _ := '
            'bufio.NewReader(os.Stdin).ReadString(10); fmt.Printf("%s 3 0 0\\n", line); '
            "os.Exit(0) }",
            "no cases": "func init() { cases = nil }",
            "no tests": 'import "os"\nfunc init() { os.Args = append(os.Args, "-test.run=^$") }',
            "flags before main": 'import ("flag"; "testing")\nfunc init() { testing.Init(); '
            'flag.Set("test.run", "^$"); flag.Set("test.count", "0") }',
            "opens standard input again": 'import ("fmt"; "os"; "strings")\nfunc init() { b, _ := '
            'os.ReadFile("/proc/self/fd/0"); fmt.Printf("\\n%s 3 0 0\\n", '
            "strings.TrimSpace(string(b))); os.Exit(0) }",
            "a main of its own": 'import ("os"; "testing")\n'
            "func TestMain(m *testing.M) { os.Exit(0) }",
            "the tests themselves": 'import "testing"\nfunc TestTwice(t *testing.T) {}',
            "Go's own names": "const true, false = 1 == 0, 1 == 0",
            "loops over nothing": "func len(any) int { return 0 }\nvar (\n\tx, nil = 1, 2\n)",
        }.items()
    },
    "rust": {
        "other macros": {
            "src/lib.rs": "#[macro_export]\nmacro_rules! assert_eq { ($($t:tt)*) => { () }; }\n"
            "pub fn twice(x: i32) -> i32 { assert!(x >= 0); 0 }\n"
        },
        "reads the secret before main": {
            "src/lib.rs": 'extern "C" fn go() { let mut s = String::new(); '
            'std::io::stdin().read_line(&mut s).ok(); println!("\\n{} 3 0 0", s.trim()); '
            'std::process::exit(0); }\n#[used]\n#[link_section = ".init_array"]\n'
            'static A: extern "C" fn() = go;\npub fn twice(x: i32) -> i32 { let _ = A; x - x }\n'
        },
        "leaves": {"src/lib.rs": "pub fn twice(_: i32) -> i32 { std::process::exit(0) }\n"},
    },
}


@pytest.fixture(scope="module")
def exercise(tmp_path_factory) -> Exercise:
    return read_exercise(make_exercise(tmp_path_factory.mktemp("x"), "python"), "python")


@pytest.mark.parametrize("name", list(PYTHON))
def test_a_python_solution_gains_nothing(name, exercise) -> None:
    run = run_tests(exercise, {"twice.py": PYTHON[name]}, 3)
    assert run.verdict is ExerciseVerdict.FAILED, run.output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "name"), [(language, name) for language in OTHERS for name in OTHERS[language]]
)
def test_a_solution_in_another_language_gains_nothing(language, name, tmp_path) -> None:
    if language in missing_toolchains():
        pytest.skip(missing_toolchains()[language])
    other = read_exercise(make_exercise(tmp_path, language), language)
    wanted = 2 if language in ("cpp", "java") else 3
    run = run_tests(other, {**other.solution, **OTHERS[language][name]}, wanted)
    assert run.verdict is ExerciseVerdict.FAILED, run.output


@pytest.mark.parametrize(
    "path",
    [
        "twice_test.py",
        "../twice_test.py",
        "CMakeLists.txt",
        ".meta/example.py",
        "/tmp/x.py",
        ".git/x.y",
    ],
)
def test_edits_of_tests_build_files_and_outer_paths_are_refused(path, exercise) -> None:
    said = f"{path}\n```\n<<<<<<< SEARCH\n=======\nx = 1\n>>>>>>> REPLACE\n```\n"
    done = apply_response(said, exercise.solution, "diff", exercise.protected)
    assert done.files == exercise.solution
    assert [failure.kind for failure in done.failures] == ["refused"]


BUG = BUGS[0]
SOURCE = f"pack/{BUG.name}.py"
WRONG = "\n\ndef clamp(x, low, high):\n    return None\n"
PASSES = "PASSED tests/test_issue.py::test_issue\\nPASSED tests/test_clamp.py::test_old"
PATCHES: dict[str, dict[str, str | None]] = {
    "forged lines, and out": {SOURCE: f"import os\nos.write(1, b'{PASSES}\\n')\nos._exit(0)\n"},
    "the tests say so themselves": {
        "tests/test_issue.py": "def test_issue():\n    pass\n",
        "tests/test_clamp.py": "def test_old():\n    pass\n",
    },
    "a conftest that passes all": {
        "conftest.py": "import pytest\n\n\n@pytest.hookimpl(hookwrapper=True)\n"
        "def pytest_runtest_makereport(item, call):\n    out = yield\n"
        "    out.get_result().outcome = 'passed'\n"
    },
    "a configuration that runs nothing": {
        "pytest.ini": "[pytest]\naddopts = --collect-only\n",
        "setup.cfg": "[tool:pytest]\naddopts = -k nothing\n",
    },
    "a module that is loaded at the start": {"sitecustomize.py": "import os\nos._exit(0)\n"},
    "another pytest": {"pytest.py": f"print('{PASSES}')\n", "_pytest/__init__.py": ""},
    "patches pytest's calls": {
        SOURCE: "import _pytest.python\n_pytest.python.Function.runtest = lambda self: None\n"
        "_pytest.python.pytest_pyfunc_call = lambda pyfuncitem: True\n" + WRONG
    },
    "patches pytest's reports": {
        SOURCE: "import _pytest.reports as r\nreal = r.TestReport.__init__\n"
        "def fake(self, nodeid, location, keywords, outcome, longrepr, when, *a, **k):\n"
        "    real(self, nodeid, location, keywords, 'passed', None, when, *a, **k)\n"
        "r.TestReport.__init__ = fake\n" + WRONG
    },
    "skips": {SOURCE: "import pytest\npytest.skip('no', allow_module_level=True)\n"},
    "expected to fail": {
        SOURCE: "import pytest\n\n\ndef clamp(x, low, high):\n    pytest.skip('no')\n"
    },
    "reads the fix from git's history": {
        SOURCE: "import subprocess\ntext = subprocess.run(['git', 'log', '-p', '--all'], "
        "capture_output=True, text=True).stdout\nassert 'high' in text\n"
        "clamp = lambda x, low, high: max(low, min(x, high))\n"
    },
    "reads the secret": {
        SOURCE: "import os\ntry:\n    s = os.read(0, 99).decode().strip()\nexcept OSError:\n"
        "    s = ''\nos.write(1, f'\\n{s} PASSED tests/test_issue.py::test_issue\\n'.encode())\n"
        "os._exit(0)\n"
    },
    "opens the secret again": {
        SOURCE: "import os\ntry:\n    s = open('/proc/self/fd/0').read().strip()\nexcept OSError:\n"
        "    s = ''\nos.write(1, f'\\n{s} PASSED tests/test_issue.py::test_issue\\n'.encode())\n"
        "os._exit(0)\n"
    },
    "the source is gone": {SOURCE: None},
}  # fmt: skip


QUICK = ("a conftest that passes all", "patches pytest's calls", "reads the fix from git's history")


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in PATCHES],
)
def test_a_patch_gains_nothing(name, tmp_path) -> None:
    (instance,) = make_set(tmp_path, [BUG])
    before = files_of(BUG)
    changed = {**before, **PATCHES[name]}
    after = {path: text for path, text in changed.items() if text is not None}
    found = judge_patch(instance, make_patch(before, after))
    assert found is not None
    assert not found.resolved


OUTSIDE = "--- /dev/null\n+++ b/../out.py\n@@ -0,0 +1 @@\n+x\n"
LINK = (
    "diff --git a/pack/link.py b/pack/link.py\nnew file mode 120000\n--- /dev/null\n"
    "+++ b/pack/link.py\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n"
)
GIT = "--- /dev/null\n+++ b/.git/hooks/x\n@@ -0,0 +1 @@\n+x\n"


@pytest.mark.parametrize("patch", [OUTSIDE, LINK, GIT, "rubbish", "", "   \n"])
def test_a_patch_that_leads_out_or_is_none_does_not_apply(patch) -> None:
    assert apply_patch(files_of(BUG), patch) is None


def test_the_new_test_is_the_original_whatever_a_patch_writes_there(tmp_path) -> None:
    """The right fix with an own version of the hidden test still applies, and is resolved."""
    (instance,) = make_set(tmp_path, [BUG])
    before = files_of(BUG)
    fixed = before[SOURCE].replace("min(x, low)", "min(x, high)")
    own = dict.fromkeys(new_test(BUG), "def test_issue():\n    assert False\n")
    found = judge_patch(instance, make_patch(before, {**before, SOURCE: fixed, **own}))
    assert found is not None
    assert found.resolved
